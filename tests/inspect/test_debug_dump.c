/* SPDX-License-Identifier: BSD-2-Clause */
/* What the dump says of waits that no lock names, and of executors with pending tasks. */
#include "fl_debugging.h"

#include "fl_faults.h"
#include "fl_kinds.h"
#include "fl_pool.h"
#include "process/shm/shm_lock.h"

/* The objects have names, since they are static. */
static fl_event dump_event;
static fl_latch dump_latch;
static fl_timer dump_timer;
static fl_shm_event dump_shm_event;
static fl_shm_mutex dump_shm_mutex = FL_SHM_MUTEX_INIT;
static fl_shm_cond dump_shm_cond = FL_SHM_COND_INIT;
static fl_shm_sem dump_shm_sem;
static fl_cancel_token dump_token;
static fl_cancel_callback dump_callback;
static fl_group dump_group;
static fl_executor *dump_pool;
static fl_promise *dump_promises[2];
static fl_future *dump_futures[2];
static fl_imap *dump_imap;
static fl_pipe *dump_pipes[2];
static int dump_fds[2];
static fl_process *dump_child;
static pthread_t dump_main;

/* A step of a wait: a function that makes one call, which returns 0. */
#define STEP(name, call)                                                                                               \
	static void name(void)                                                                                         \
	{                                                                                                              \
		FL_OK(call);                                                                                           \
	}

STEP(await_event, fl_event_wait_until(&dump_event, FL_FOREVER, FL_SHIELDED))

static void set_event(void)
{
	fl_event_set(&dump_event);
}

FL_TASK_STATIC(dump_task, int, void)
{
	await_event();
	return 0;
}

static void nothing(void)
{
}

/* A second thread, for waits that need one. It waits for the event. */
static fl_thread *dump_other;

static int run_other(void *arg)
{
	void (*function)(void) = *(void (**)(void))arg;
	function();
	return 0;
}

static void start_other(void (*function)(void))
{
	static void (*run)(void);
	run = function;
	fl_test_go(&dump_other, run_other, &run);
}

static void join_other(void)
{
	set_event();
	fl_test_end(dump_other);
}

STEP(begin_latch, fl_latch_init(&dump_latch, 2))
STEP(wait_latch, fl_latch_wait(&dump_latch))

static void open_latch(void)
{
	fl_latch_count_down(&dump_latch, 2);
}

static void make_promises(void)
{
	FL_EACH (i, dump_promises)
		FL_OK(fl_promise_create(&dump_promises[i], 0, NULL, &dump_futures[i]));
}

STEP(wait_future, fl_future_wait(dump_futures[0]))

static void next_as_completed(void)
{
	size_t index;
	FL_SCOPED(fl_as_completed) *done = NULL;
	FL_OK(fl_as_completed_create(&done, dump_futures, 2));
	FL_OK(fl_as_completed_next(done, &index));
}

static void keep_promises(void)
{
	FL_EACH (i, dump_promises)
		FL_OK(fl_promise_set(dump_promises[i], NULL));
}

static void free_promises(void)
{
	FL_EACH (i, dump_promises) {
		fl_promise_free(dump_promises[i]);
		fl_future_free(dump_futures[i]);
	}
}

static void begin_group(void)
{
	dump_group = (fl_group)FL_GROUP_INIT(dump_pool);
	for (int i = 0; i < 2; i++)
		FL_OK(dump_task_group_submit(&dump_group, i));
}

STEP(join_group, fl_group_join(&dump_group))

static const int dump_numbers[2];

static void begin_imap(void)
{
	const fl_imap_config config = {.cancel = &dump_token};
	dump_token = (fl_cancel_token)FL_CANCEL_TOKEN_INIT;
	FL_OK(dump_task_imap(dump_pool, dump_numbers, 2, &dump_imap, &config));
}

static void next_of_imap(void)
{
	size_t index;
	FL_OK(fl_imap_next(dump_imap, &index, NULL));
}

static void free_imap(void)
{
	fl_imap_free(dump_imap);
	fl_cancel_token_destroy(&dump_token);
}

STEP(submit_one, dump_task_submit(dump_pool, 0, NULL))
STEP(join_pool, fl_executor_join(dump_pool))

static void on_timer(void *arg)
{
	await_event();
}

STEP(start_timer, fl_timer_start(&dump_timer, fl_now(), on_timer, NULL))
STEP(join_timer, fl_timer_join(&dump_timer))

static void on_request(void *arg)
{
	fl__store_release((uint32_t *)arg, 1); /* pairs with begin_callback() */
	await_event();
}

static void request_token(void)
{
	fl_cancel_token_request(&dump_token);
}

static void begin_callback(void)
{
	static uint32_t called;
	dump_token = (fl_cancel_token)FL_CANCEL_TOKEN_INIT;
	FL_CHECK(fl_cancel_token_on_request(&dump_token, &dump_callback, on_request, &called));
	start_other(request_token);
	FL_WAIT_FOR(fl__load_acquire(&called));
}

static void remove_callback(void)
{
	(void)fl_cancel_callback_remove(&dump_callback);
}

static void make_token(void)
{
	dump_token = (fl_cancel_token)FL_CANCEL_TOKEN_INIT;
}

static void destroy_token(void)
{
	fl_cancel_token_destroy(&dump_token);
}

static void sleep_long(void)
{
	FL_RC(fl_sleep_until(FL_FOREVER, &dump_token), -ECANCELED);
}

static void wait_shm_event(void)
{
	FL_RC(fl_shm_event_wait_until(&dump_shm_event, FL_FOREVER, &dump_token), -ECANCELED);
}

STEP(wait_shm_event_in_the_kernel, fl_shm_event_wait(&dump_shm_event))
STEP(set_shm_event, fl_shm_event_set(&dump_shm_event))

static void reset_shm_event(void)
{
	fl_shm_event_reset(&dump_shm_event);
}

STEP(wait_shm_sem, fl_shm_sem_acquire(&dump_shm_sem))
STEP(release_shm_sem, fl_shm_sem_release(&dump_shm_sem))

static void wait_shm_cond(void)
{
	FL_OK(fl_shm_mutex_lock(&dump_shm_mutex));
	FL_OK(fl_shm_cond_wait(&dump_shm_cond, &dump_shm_mutex));
	fl_shm_mutex_unlock(&dump_shm_mutex);
}

static void broadcast_shm_cond(void)
{
	fl_shm_cond_broadcast(&dump_shm_cond);
}

STEP(lock_shm_mutex, fl_shm_mutex_lock(&dump_shm_mutex))

static void unlock_shm_mutex(void)
{
	fl_shm_mutex_unlock(&dump_shm_mutex);
}

static void lock_and_unlock_shm_mutex(void)
{
	lock_shm_mutex();
	unlock_shm_mutex();
}

static void lock_shm_mutex_under_token(void)
{
	FL_RC(fl_shm_mutex_lock_until(&dump_shm_mutex, FL_FOREVER, &dump_token), -ECANCELED);
}

static void make_token_and_lock(void)
{
	make_token();
	lock_shm_mutex();
}

static void destroy_token_and_unlock(void)
{
	destroy_token();
	unlock_shm_mutex();
}

static int wait_in_loop(void *arg)
{
	(*(void (**)(void))arg)();
	return 0;
}

static void lock_shm_mutex_in_fiber(void)
{
	void (*function)(void) = lock_shm_mutex_under_token;
	FL_OK(fl_loop_run(wait_in_loop, &function));
}

STEP(open_fds, pipe(dump_fds))
STEP(wait_fd, fl_fd_wait(dump_fds[0], FL_FD_IN))

static void wait_fd_under_token(void)
{
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	FL_OK(fl_fd_wait_until(dump_fds[0], FL_FD_IN, FL_FOREVER, &token));
	fl_cancel_token_destroy(&token);
}

STEP(close_writer, close(dump_fds[1]))
STEP(close_reader, close(dump_fds[0]))
STEP(make_pipe, fl_pipe_create(&dump_pipes[0], &dump_pipes[1], NULL))

static void receive(void)
{
	char byte;
	size_t size;
	FL_OK(fl_pipe_receive(dump_pipes[0], &byte, 1, &size));
}

STEP(send_one, fl_pipe_send(dump_pipes[1], "x", 1))

static void free_pipe(void)
{
	fl_pipe_free(dump_pipes[0]);
	fl_pipe_free(dump_pipes[1]);
}

static void start_child(void)
{
	static const char *const arguments[] = {"sleep", "1000", NULL};
	FL_OK(fl_process_start(&dump_child, &(fl_process_config){.program = "sleep", .argv = arguments}));
}

STEP(wait_child, fl_process_join_until(dump_child, NULL, FL_FOREVER, FL_SHIELDED))
STEP(kill_child, fl_process_kill(dump_child))

static void free_child(void)
{
	fl_process_free(dump_child);
}

static const struct dump_wait {
	const char *expected;
	void (*prepare)(void);
	void (*wait)(void);
	void (*end)(void);
	void (*clean)(void);
} dump_waits[] = {
    {"some of 2 futures ", make_promises, next_as_completed, keep_promises, free_promises},
    {"group dump_group at ", begin_group, join_group, set_event, nothing},
    {"a result of lazy map 0x", begin_imap, next_of_imap, set_event, free_imap},
    {"the end of timer dump_timer at ", start_timer, join_timer, set_event, nothing},
    {"the return of cancel callback dump_callback at ", begin_callback, remove_callback, join_other, destroy_token},
    {"the end of a sleep ", make_token, sleep_long, request_token, destroy_token},
    {"object dump_shm_event", make_token, wait_shm_event, request_token, destroy_token},
    {"object dump_shm_event", nothing, wait_shm_event_in_the_kernel, set_shm_event, reset_shm_event},
    {"object dump_shm_sem", nothing, wait_shm_sem, release_shm_sem, nothing},
    {"object dump_shm_cond", nothing, wait_shm_cond, broadcast_shm_cond, nothing},
    {"lock dump_shm_mutex", lock_shm_mutex, lock_and_unlock_shm_mutex, unlock_shm_mutex, nothing},
    {"lock dump_shm_mutex", make_token_and_lock, lock_shm_mutex_under_token, request_token, destroy_token_and_unlock},
    {"descriptor ", open_fds, wait_fd, close_writer, close_reader},
    {"descriptor ", open_fds, wait_fd_under_token, close_writer, close_reader},
    {"pipe 0x", make_pipe, receive, send_one, free_pipe},
    {"the end of process ", start_child, wait_child, kill_child, free_child},
    {"the end of executor 0x", submit_one, join_pool, set_event, nothing}, /* last: it closes the pool */
};

static int wait_in_thread(void *how)
{
	((const struct dump_wait *)how)->wait();
	return 0;
}

static int await_event_for_an_hour(void *unused)
{
	return fl_event_wait_until(&dump_event, fl_after(FL_S(3600)), FL_SHIELDED);
}

/*
 * The clock goes on by two hours while the waiter sleeps. This case comes first: it changes the
 * table of system calls, which the threads that other cases leave behind read.
 */
FL_TEST(debug_dump_says_how_long_ago_a_deadline_was)
{
	fl_thread *t;
	FL_FAULTS();
	FL_DEBUGGING(FL_DEBUG_WAITS);
	fl_test_clock_ours();
	fl_event_reset(&dump_event);
	fl_test_go(&t, await_event_for_an_hour, NULL);
	FL_WAIT_FOR(dump_has(" s, at most "));
	fl__store_relaxed(&fl_test_ahead, FL_S(7200));
	FL_WAIT_FOR(dump_has(" s, was due "));
	fl_test_contains(printed, " s ago\n");
	assert_null(strstr(printed, " s, at most "));
	fl__store_relaxed(&fl_test_ahead, 0);
	set_event();
	fl_test_end(t);
}

/* Starts the waiter. Returns when the dump says that it waits for this. */
static void dump_names(fl_thread **waiter, fl_thread_function *function, const void *arg, const char *object)
{
	char expected[128];
	FL_OK(fl_thread_start(waiter, function, (void *)(uintptr_t)arg, &(fl_thread_config){.name = "waiter"}));
	FL_TEXT(expected, ") has waited for %s", object);
	FL_WAIT_FOR(dump_has("%s", expected) && !strstr(printed, "left out"));
	const char *line = strstr(printed, "\n  waiter ("); /* not "held by waiter (" */
	assert_non_null(line);
	assert_ptr_equal(strstr(line, expected), strchr(line, ')'));
	assert_null(strstr(printed, "something"));
}

static int wait_for_kind(void *kind)
{
	return ((const fl_kind *)kind)->wait(NULL, FL_FOREVER, FL_SHIELDED);
}

FL_TEST(debug_dump_names_each_kind_of_wait)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_EACH_KIND(kind)
	{
		int rc = -1;
		fl_thread *waiter;
		dump_names(&waiter, wait_for_kind, kind, kind->awaited);
		kind->finish();
		FL_OK(fl_thread_join(waiter, &rc));
		FL_RC(rc, kind->done);
	}
}

FL_TEST(debug_dump_names_what_each_wait_is_for)
{
	FL_NOT_ON_POSIX("the core alone has no shared memory, no descriptors and no processes");
	FL_NEEDS(FL_TEST_PROCESSES);
	FL_DEBUGGING(FL_DEBUG_WAITS);
	dump_pool = pool_with(2);
	FL_EACH (i, dump_waits) {
		fl_thread *waiter;
		const struct dump_wait *how = &dump_waits[i];
		fl_event_reset(&dump_event);
		how->prepare();
		dump_names(&waiter, wait_in_thread, how, how->expected);
		how->end();
		fl_test_end(waiter);
		how->clean();
	}
	fl_executor_free(dump_pool);
}

FL_TEST(debug_dump_counts_what_a_join_waits_for)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	dump_pool = pool_with(2);
	fl_event_reset(&dump_event);
	begin_group();
	begin_latch();
	make_promises();
	fl_thread *threads[3];
	const struct dump_wait waits[] = {{.wait = join_group}, {.wait = wait_latch}, {.wait = wait_future}};
	FL_EACH (i, threads)
		fl_test_go(&threads[i], wait_in_thread, (void *)(uintptr_t)&waits[i]);
	FL_WAIT_FOR(dump_has(" (members that have not ended: 2) for ") && strstr(printed, " has waited for latch ") &&
	            strstr(printed, " (promise) for "));
	set_event();
	open_latch();
	keep_promises();
	FL_END_ALL(threads);
	free_promises();
	fl_executor_free(dump_pool);
}

STEP(end_other, fl_thread_join(dump_other, NULL))

/* What they wait for may be freed before the dump. */
FL_TEST(debug_waits_end_after_their_mode)
{
	FL_DEBUGGING(FL_DEBUG_WAITS | FL_DEBUG_CONTENTION);
	dump_pool = pool_with(2);
	fl_event_reset(&dump_event);
	begin_group();
	begin_latch();
	make_promises();
	fl_thread *threads[4];
	const struct dump_wait waits[] = {
	    {.wait = join_group}, {.wait = wait_latch}, {.wait = wait_future}, {.wait = end_other}};
	start_other(await_event);
	FL_EACH (i, threads)
		fl_test_go(&threads[i], wait_in_thread, (void *)(uintptr_t)&waits[i]);
	FL_WAIT_FOR(dump_has(" (members that have not ended: 2) for ") && strstr(printed, " has waited for latch ") &&
	            strstr(printed, " (promise) for ") && strstr(printed, " has waited for the end of thread-"));
	FL_OK(fl_debug_enable(FL_DEBUG_CONTENTION));
	assert_false(dump_has(" has waited for "));
	set_event();
	open_latch();
	keep_promises();
	FL_END_ALL(threads);
	free_promises();
	memset(&dump_group, 0xff, sizeof dump_group);
	fl_executor_free(dump_pool);
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS | FL_DEBUG_CONTENTION));
	assert_false(dump_has(" has waited for group "));
	assert_null(strstr(printed, " has waited for the end "));
	assert_null(strstr(printed, "promise"));
	assert_null(strstr(printed, " has waited for latch "));
}

static int wait_for_latch(void *l)
{
	return fl_latch_wait(l);
}

static int free_latch_and_dump(void *unused)
{
	enum { SIZE = 4096 };
	fl_fiber *waiter;
	fl_latch *l = fl__sys.map(SIZE);
	FL_OK(fl_latch_init(l, 1));
	FL_OK(fl_fiber_start(&waiter, wait_for_latch, l, NULL));
	while (!dump_has(" has waited for latch "))
		fl_fiber_yield();
	fl_latch_count_down(l, 1);
	fl_latch_destroy(l);
	fl__sys.unmap(l, SIZE);
	FL_CHECK(dump_has(" has waited for latch ")); /* the waiter has not run since its wake */
	return fl_fiber_join(waiter, NULL);
}

FL_TEST(debug_dump_reads_no_latch_that_another_context_has_freed)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_OK(fl_loop_run(free_latch_and_dump, NULL));
}

static void *switch_waits_off_at_a_map(size_t size)
{
	fl__sys.map = fl_test_real_sys.map;
	FL_OK(fl_debug_enable(FL_DEBUG_CONTENTION));
	return fl_test_real_sys.map(size);
}

/* The mode is on as the wait begins, and off when the table is locked. */
FL_TEST(debug_waits_are_not_recorded_after_their_mode)
{
	FL_FAULTS();
	FL_DEBUGGING(FL_DEBUG_WAITS | FL_DEBUG_CONTENTION);
	fl_event_reset(&dump_event);
	fl__sys.map = switch_waits_off_at_a_map;
	FL_RC(fl_event_wait_until(&dump_event, fl_test_soon(), NULL), -ETIMEDOUT);
	assert_ptr_equal(fl__sys.map, fl_test_real_sys.map);
	assert_false(dump_has("main ("));
}

static bool dump_says_alive;

/* The waiter, which would take the lock of a thread that does not exist, is told that it does. */
static bool says_alive(uint32_t thread)
{
	return !pthread_equal(pthread_self(), dump_main) || dump_says_alive;
}

/* A waiter in the kernel, by a bridge, and in a fiber. */
FL_TEST(debug_dump_names_the_process_that_holds_a_shared_lock)
{
	enum { NONE = 0x3ffffffe /* no thread has this TID */ };
	static const struct dump_wait waits[] = {{.wait = lock_and_unlock_shm_mutex},
	                                         {.wait = lock_shm_mutex_under_token},
	                                         {.wait = lock_shm_mutex_in_fiber}};
	uint32_t *word = fl__shm_word((struct fl__shm_lock *)(void *)&dump_shm_mutex);
	bool (*const exists)(uint32_t thread) = fl__sys.thread_exists;
	FL_OK(fl_loop_run(fl_test_nothing, NULL)); /* here, where a system without loops skips the case */
	FL_DEBUGGING(FL_DEBUG_WAITS);
	dump_main = pthread_self();
	fl__sys.thread_exists = says_alive; /* alone: bridges read other members */
	FL_EACH (i, waits) {
		fl_thread *waiter;
		make_token_and_lock();
		const uint32_t own = fl__load_relaxed(word) & ~FL__SHM_WAITERS;
		fl_test_go(&waiter, wait_in_thread, (void *)(uintptr_t)&waits[i]);
		FL_WAIT_FOR(dump_has(", held by thread %u of process %d (", own, (int)getpid()));
		/* as if another thread had locked it */
		fl__store_relaxed(word, NONE | FL__SHM_WAITERS);
		dump_says_alive = true;
		FL_WAIT_FOR(dump_has(", held by thread %u, process unknown\n", NONE));
		dump_says_alive = false;
		FL_WAIT_FOR(dump_has(", held by thread %u, which has ended\n", NONE));
		fl__store_relaxed(word, own | FL__SHM_WAITERS);
		if (i == 0)
			unlock_shm_mutex();
		else
			fl_cancel_token_request(&dump_token);
		fl_test_end(waiter);
		if (i > 0)
			unlock_shm_mutex();
		destroy_token();
	}
	fl__sys.thread_exists = exists;
}

static void never_called(void *arg)
{
}

FL_TEST(debug_dump_says_what_the_timers_wait_for)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_OK(fl_timer_start(&dump_timer, fl_after(FL_S(1000)), never_called, NULL));
	FL_WAIT_FOR(dump_has(" has waited for the next timer never_called at ") && strstr(printed, "  timers ("));
	const char *more = strstr(strstr(printed, " timer never_called at "), ", at most ");
	assert_non_null(more);
	assert_true(strtod(more + strlen(", at most "), NULL) <= 1000);
	FL_OK(fl_debug_enable(0));
	assert_true(dump_has(" waits for the next timer never_called at "));
	FL_OK(fl_timer_cancel(&dump_timer));
	assert_true(dump_has(" waits for the next timer\n"));
}

static bool dump_has_run(const char *name)
{
	return dump_has("  fiber %s has had the thread of its loop for ", name);
}

static void dump_in_child(void *unused)
{
	FL_CHECK(!dump_has_run("runs"));
}

static void dump_in_callback(void *done)
{
	FL_CHECK(dump_has_run("callbacks"));
	fl_event_set(done);
}

static int dump_in_fiber(void *event)
{
	char text[64];
	FL_CHECK(dump_has_run("runs"));
	FL_OK(fl_debug_enable(FL_DEBUG_CONTENTION));
	FL_CHECK(!dump_has_run("runs")); /* its end would not be seen */
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	fl_fiber_yield();
	FL_RC(fl_test_child(dump_in_child, NULL, text, sizeof text), 0);
	FL_OK(fl_debug_enable(0));
	FL_CHECK(!dump_has_run("runs"));
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	FL_CHECK(!dump_has_run("runs")); /* not known since when */
	FL_OK(fl_loop_post(fl_loop_current(), dump_in_callback, event));
	FL_OK(fl_event_wait(event));
	FL_CHECK(dump_has_run("runs"));
	return 0;
}

static int dump_from_main(void *event)
{
	fl_fiber *f;
	FL_OK(fl_fiber_start(&f, dump_in_fiber, event, &(fl_fiber_config){.name = "runs"}));
	return fl_fiber_join(f, NULL);
}

FL_TEST(debug_dump_says_which_fiber_has_the_thread)
{
	fl_event event = FL_EVENT_INIT;
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_OK(fl_loop_run(dump_from_main, &event));
	assert_false(dump_has("has had the thread"));
}

static int switch_off_in_fiber(void *unused)
{
	FL_OK(fl_debug_enable(0));
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	/* The only record since then is that this fiber runs. A yield within a batch of the loop is no switch. */
	while (!dump_has_run("alone"))
		fl_fiber_yield();
	FL_OK(fl_debug_enable(0));
	FL_CHECK(!dump_has_run("alone"));
	return 0;
}

static int switch_off_from_main(void *unused)
{
	fl_fiber *f;
	FL_OK(fl_fiber_start(&f, switch_off_in_fiber, NULL, &(fl_fiber_config){.name = "alone"}));
	return fl_fiber_join(f, NULL);
}

FL_TEST(debug_forgets_a_fiber_that_runs_if_it_knows_nothing_else)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_OK(fl_loop_run(switch_off_from_main, NULL));
}

/* Without FL_DEBUG_WAITS the dump names the object, but not for how long. */
FL_TEST(debug_dump_without_debugging_names_objects)
{
	fl_thread *waiter;
	const struct dump_wait wait = {.wait = await_event};
	FL_OK(fl_debug_enable(0)); /* a case that was skipped has left it on */
	fl_event_reset(&dump_event);
	FL_OK(
	    fl_thread_start(&waiter, wait_in_thread, (void *)(uintptr_t)&wait, &(fl_thread_config){.name = "waiter"}));
	FL_WAIT_FOR(dump_has(" waits for event dump_event at ") && strstr(printed, "waiter ("));
	set_event();
	fl_test_end(waiter);
}

static void submit_all(fl_executor *e, int n)
{
	for (int i = 0; i < n; i++)
		FL_OK(dump_task_submit(e, i, NULL));
}

/* More than a pool has workers and stand-ins for waiting workers. */
enum { DUMP_TASKS = 100 };

static const fl_executor_config dump_starved = {.workers = 2, .name = "starved"};

/* Whether the line on the pool says that each task is pending, or that a worker waits within it. */
static bool all_tasks_are_counted(void)
{
	size_t pending;
	unsigned wait, events;
	return dump_has("  executor starved (threads): ") &&
	       sscanf(
		   strstr(printed, "(threads): "),
		   "(threads): pending tasks: %zu; workers: 0 run, %u wait (%u for event), 0 idle, at most 2; STARVED",
		   &pending, &wait, &events) == 3 &&
	       strstr(printed, "; STARVED: all wait\n") && wait == events && pending + wait == DUMP_TASKS;
}

FL_TEST(debug_dump_lists_executors_with_pending_tasks)
{
	FL_SCOPED(fl_executor) *pool = NULL, *loop = NULL, *idle = pool_with(1);
	fl_event_reset(&dump_event);
	pool = fl_test_executor(fl_thread_executor_create, &dump_starved);
	loop = fl_test_executor(fl_loop_executor_create, &dump_starved);
	submit_all(pool, DUMP_TASKS);
	submit_all(loop, 5);
	FL_WAIT_FOR(all_tasks_are_counted());
	FL_WAIT_FOR(dump_has("  executor starved (loop): pending tasks: 3; workers: at most 2\n"));
	assert_null(strstr(printed, "  executor worker"));
	set_event();
	FL_OK(fl_executor_join(pool));
	FL_OK(fl_executor_join(loop));
	assert_false(dump_has("  executor "));
}

FL_TEST(debug_dump_counts_workers_that_wait)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	fl_event_reset(&dump_event);
	FL_SCOPED(fl_executor) *pool = fl_test_executor(fl_thread_executor_create, &dump_starved);
	submit_all(pool, DUMP_TASKS);
	FL_WAIT_FOR(all_tasks_are_counted());
	set_event();
	FL_WAIT_FOR(dump_has(" has waited for a task of executor "));
}

/* The allocator of a create and of a free: it makes a dump, and fails the allocation of that number. */
static long dump_fails_at;
static int dump_null;

static void *dump_and_alloc(size_t size)
{
	fl_debug_dump(dump_null);
	return fl__add_relaxed(&dump_fails_at, -1) == 0 ? NULL : fl_test_real_sys.alloc(size);
}

static void dump_and_free(void *memory)
{
	fl_debug_dump(dump_null);
	fl_test_real_sys.free(memory);
	fl_debug_dump(dump_null);
}

/* While an executor is made and freed, the dump reads no part that does not exist. */
static void dump_beside(fl_test_create *create, const fl_executor_config *config)
{
	int rc = -ENOMEM;
	for (long n = 0; rc == -ENOMEM; n++) {
		fl_executor *e = NULL;
		FL_FAULTS();
		dump_fails_at = n;
		fl__sys.alloc = dump_and_alloc;
		fl__sys.free = dump_and_free;
		rc = create(&e, config);
		FL_OK_OR(rc, -ENOMEM);
		fl_executor_free(e);
	}
}

FL_TEST(debug_dump_of_an_executor_that_is_not_whole)
{
	dump_null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	FL_CHECK(dump_null >= 0);
	dump_beside(fl_sequential_executor_create, NULL);
	dump_beside(fl_thread_executor_create, &(fl_executor_config){.workers = 2, .backlog = 4});
	dump_beside(fl_loop_executor_create, &(fl_executor_config){.workers = 2});
	dump_beside(fl_process_executor_create, &(fl_executor_config){.workers = 2});
	FL_OK(close(dump_null));
}
