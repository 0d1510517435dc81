/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function that the library calls ends otherwise than by its return: the table of docs/ends.md.
 */
#include "fl_account.h"
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_in_loop.h"

ACCOUNT_OF_PROCESS(account);

enum how { EXITS, IS_CANCELLED };

static void leave(enum how how)
{
	if (how == EXITS)
		pthread_exit(NULL);
	FL_OK(pthread_cancel(pthread_self()));
	pthread_testcancel();
}

FL_TASK(ends_by, enum how, int)
{
	*result = 1;
	leave(*arg);
	return 0;
}

FL_TASK(ends_well, int, int)
{
	*result = *arg + 1;
	return 0;
}

static fl_executor *pool_of(unsigned workers)
{
	return FL_TEST_EXECUTOR(thread, .workers = workers);
}

static void fails_with_its_thread(fl_future *f)
{
	fl_test_future_ends(f, -EOWNERDEAD, NULL);
	assert_string_equal(fl_future_message(f),
	                    "the task's function ends its thread, by pthread_exit() or pthread_cancel()");
	fl_future_free(f);
}

static void succeeds(fl_executor *e)
{
	assert_int_equal(fl_test_result_of(e, &ends_well, &(int){1}), 2);
}

static void count_bytes_drop(void *data, void *drops)
{
	++*(int *)drops;
}

FL_TASK(ends_with_bytes, int *, fl_bytes)
{
	if (!*arg)
		return fl_bytes_append(result, "ends well", 9);
	FL_OK(fl_bytes_adopt(result, *arg, sizeof **arg, count_bytes_drop, *arg));
	leave(EXITS);
	return 0;
}

FL_TEST(ends_free_the_bytes_of_the_result)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	int drops = 0;
	fl_future *f;
	FL_OK(ends_with_bytes_submit(e, &drops, &f));
	fails_with_its_thread(f);
	int *const args[] = {NULL, &drops, NULL};
	FL_SCOPED(fl_imap) *it = NULL;
	FL_OK(ends_with_bytes_imap(e, args, 3, &it, &(fl_imap_config){.chunk = 3}));
	FL_EACH (i, args) {
		FL_SCOPED(fl_bytes) got = {0};
		FL_RC(ends_with_bytes_imap_next(it, NULL, &got), args[i] ? FL_ETASK : 0);
		assert_int_equal(got.size, args[i] ? 0 : 9);
	}
	FL_OK(fl_executor_join(e));
	assert_int_equal(drops, 2);
}

/* alitto/pond #135 */
FL_TEST(ends_the_thread_of_its_worker)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	for (int i = 0; i < 6; i++) {
		fl_future *f, *behind;
		FL_OK(ends_by_submit(e, i % 2 ? EXITS : IS_CANCELLED, &f));
		FL_OK(ends_well_submit(e, 1, &behind)); /* pending meanwhile, or not */
		fails_with_its_thread(f);
		fl_test_future_ends(behind, 0, NULL);
		fl_future_free(behind);
		if (i % 3 == 0)
			succeeds(e);
	}
	FL_OK(fl_executor_join(e));
	fl_executor_stats stats;
	FL_OK(fl_executor_get_stats(e, &stats));
	assert_int_equal(stats.threads, 0);
	assert_true(stats.workers_started >= 6);
	assert_int_equal(stats.cancelled, 0);
}

/* A join, a free and a cancel find the worker gone, and all memory of its tasks given back. */
FL_TEST(ends_the_last_worker_of_a_closed_pool)
{
	const long before = account_live(&account);
	for (int i = 0; i < 20; i++) {
		fl_executor *e;
		fl_future *f;
		e = FL_TEST_EXECUTOR(thread, .workers = 1);
		FL_OK(ends_well_submit(e, 1, NULL));
		FL_OK(ends_by_submit(e, EXITS, &f));
		if (i % 2)
			fl_executor_close(e);
		if (i % 3 == 0)
			FL_OK(fl_executor_join(e));
		fails_with_its_thread(f);
		fl_executor_free(e);
		assert_int_equal(account_live(&account), before);
	}
}

static uint32_t dropped, called;

static void count_drop(void *arg)
{
	fl__add_relaxed(&dropped, 1);
}

static void count_call(fl_future *f, void *arg)
{
	fl__add_relaxed(&called, 1);
}

FL_TASK(ends_in_thirds, int, void, .drop_arg = count_drop)
{
	if (*arg % 3 == 0) {
		fl_blocking_begin(); /* is not left, either */
		leave(*arg % 2 ? EXITS : IS_CANCELLED);
	}
	return 0;
}

static void many(const fl_executor_config *config)
{
	enum { TASKS = 300 };
	FL_SCOPED(fl_executor) *e = NULL;
	fl_future *f[TASKS];
	fl__store_relaxed(&dropped, 0);
	fl__store_relaxed(&called, 0);
	e = fl_test_executor(fl_thread_executor_create, config);
	FL_EACH (i, f) {
		FL_OK(ends_in_thirds_submit(e, i, &f[i]));
		FL_OK(fl_future_on_end(f[i], count_call, NULL));
	}
	FL_EACH (i, f)
		fl_test_future_ends(f[i], i % 3 == 0 ? -EOWNERDEAD : 0, NULL);
	fl_test_futures_free(f, TASKS);
	FL_OK(fl_executor_join(e));
	assert_int_equal(fl__load_relaxed(&dropped), TASKS);
	assert_int_equal(fl__load_relaxed(&called), TASKS);
	fl_executor_stats stats;
	FL_OK(fl_executor_get_stats(e, &stats));
	assert_int_equal(stats.ended, TASKS);
	assert_int_equal(stats.blocked, 0);
}

FL_TEST(ends_many_workers)
{
	many(&(fl_executor_config){.workers = 4});
	many(&(fl_executor_config){.workers = 3, .backlog = 1});
	many(&(fl_executor_config){.workers = 2, .backlog = 5});
}

static uint32_t refused;

FL_TEST_THREAD_CREATE(refuse_some)
{
	if (fl__load_relaxed(&refused) > 0) {
		fl__sub_relaxed(&refused, 1);
		return -EAGAIN;
	}
	return fl_test_real_sys.thread_create(thread, attr, routine, arg);
}

/* The thread that ends tries until a worker takes its place. */
FL_TEST(ends_while_no_thread_can_be_started)
{
	FL_FAULTS();
	fl__store_relaxed(&refused, 0);
	fl__sys.thread_create = refuse_some;
	FL_SCOPED(fl_executor) *e = pool_of(1);
	succeeds(e); /* there is a worker */
	fl__store_relaxed(&refused, 3);
	fl_future *f, *behind[3];
	FL_OK(ends_by_submit(e, EXITS, &f));
	FL_EACH (i, behind) {
		int rc = ends_well_submit(e, i, &behind[i]);
		while (rc == -EAGAIN) /* the worker has ended before, and none can be started */
			rc = ends_well_submit(e, i, &behind[i]);
		FL_OK(rc);
	}
	fails_with_its_thread(f);
	FL_EACH (i, behind)
		fl_test_future_ends(behind[i], 0, NULL);
	fl_test_futures_free(behind, 3);
	FL_OK(fl_executor_join(e));
}

FL_TEST_LOG_HANDLER(log_is_a_cancellation_point)
{
	pthread_testcancel();
}

static uint32_t logged;

FL_TASK(ends_after_a_log, void, void)
{
	fl_executor *e = NULL;
	FL_OK(pthread_cancel(pthread_self()));
	FL_RC(fl_thread_executor_create(&e, &(fl_executor_config){.workers = -1u}), -EINVAL);
	fl__store_relaxed(&logged, 1);
	pthread_testcancel();
	return 0;
}

/* The library may hold locks when it logs. */
FL_TEST(ends_not_in_a_log_handler)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	fl_future *f;
	fl__store_relaxed(&logged, 0);
	fl_log_handler *before = fl_log_set_handler(log_is_a_cancellation_point);
	FL_OK(ends_after_a_log_submit(e, &f));
	FL_OK(fl_future_wait(f));
	(void)fl_log_set_handler(before);
	assert_int_equal(fl__load_relaxed(&logged), 1);
	fails_with_its_thread(f);
}

FL_TASK(ends_if_odd, int, int)
{
	if (*arg % 2)
		leave(EXITS);
	*result = *arg + 1;
	return 0;
}

FL_TEST(ends_in_a_map_cost_one_element)
{
	enum { N = 9 };
	FL_SCOPED(fl_executor) *e = pool_of(2);
	FL_SCOPED(fl_imap) *it = NULL;
	int args[N], results[N];
	fl_test_number(args, N);
	FL_RC(ends_if_odd_map(e, args, N, results, NULL), -EOWNERDEAD);
	FL_OK(ends_if_odd_imap(e, args, N, &it, &(fl_imap_config){.chunk = 4}));
	for (size_t i = 0; i < N; i++) {
		size_t index;
		int result = 0;
		FL_RC(ends_if_odd_imap_next(it, &index, &result), i % 2 ? FL_ETASK : 0);
		assert_int_equal(index, i);
		if (i % 2 == 0)
			assert_int_equal(result, (int)i + 1);
	}
}

static int ends_on_a_thread(void *how)
{
	leave(*(enum how *)how);
	return 7;
}

FL_TEST_WITH(ends_a_thread_of_a_loop, fl_test_body_in_loop, void)
{
	for (int i = 0; i < 4; i++) {
		enum how how = i % 2 ? EXITS : IS_CANCELLED;
		int result = 5;
		FL_CHECK(fl_to_thread(ends_on_a_thread, &how, &result) == -EOWNERDEAD && result == 5);
	}
}

static int ends_a_part(void *state, size_t from, size_t to)
{
	leave(EXITS);
	return 0;
}

/* With one worker nothing is forked, so that the loop can fail. */
FL_TEST(ends_a_parallel_loop)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	FL_RC(fl_parallel_for(e, 0, 100, ends_a_part, NULL, NULL), -EOWNERDEAD);
	succeeds(e);
}

/* Panics: in a child, which says why. */

/* The child is to end with SIGABRT, after that text. */
static void panics(void (*function)(void *arg), const void *arg, const char *text)
{
	if (!fl_test_children_have_threads())
		FL_SKIP(FL_TEST_CHILDREN_REASON);
	fl_test_child_dies(function, (void *)(uintptr_t)arg, SIGABRT, text);
}

static void exit_thread(void *arg)
{
	leave(EXITS);
}

static void exit_in_callback(fl_future *f, void *arg)
{
	exit_thread(arg);
}

/* The parent's handler would fail the case. */
static void begin_child(void)
{
	(void)fl_panic_set_handler(NULL);
}

/* What the child waits for does not come. */
static void wait_for_the_panic(void)
{
	fl_event never = FL_EVENT_INIT;
	FL_IGNORE(fl_event_wait(&never));
}

/* A task, and the conditions under which its function, or what it leads to, ends the thread. */
struct fatal {
	const fl_task_type *type;
	const void *arg;
	fl_executor_config config;
	fl_submit_config submit;
};

static void submit_fatal(void *arg)
{
	const struct fatal *fatal = arg;
	fl_executor *e = NULL;
	begin_child();
	e = fl_test_executor(fl_thread_executor_create, &fatal->config);
	FL_IGNORE(fl_submit_with(e, fatal->type, fatal->arg, NULL, &fatal->submit));
	wait_for_the_panic();
}

FL_TASK(ends_in_its_hook, int, void, .drop_arg = exit_thread)
{
	return 0;
}

FL_TEST(ends_panics_outside_of_a_task)
{
	static const int number = 3;
	static const struct fatal callback = {&ends_well, &number, .submit = {.on_end = exit_in_callback}};
	static const struct fatal hook = {&ends_in_its_hook, &number};
	static const struct fatal initializer = {&ends_well, &number,
	                                         .config = {.initialize = &ends_in_thirds, .initialize_arg = &number}};
	const struct fatal *const fatals[] = {&callback, &hook, &initializer};
	FL_EACH (i, fatals)
		panics(submit_fatal, fatals[i],
		       "an initializer, a callback, a hook or a part of a parallel loop ends its thread");
}

FL_TASK(ends_inside, enum how, void)
{
	fl_future *f = FL_SUBMITTED(ends_by, fl_executor_current(), *arg);
	FL_IGNORE(fl_future_wait(f));
	return 0;
}

static int exits(void *arg)
{
	exit_thread(arg);
	return 0;
}

FL_TASK(ends_a_fork, void, void)
{
	return fl_parallel_invoke(exits, NULL, exits, NULL);
}

/* One worker: it runs the task that it waits for. */
FL_TEST(ends_panics_inside_of_another_call)
{
	static const enum how how = EXITS;
	static const struct fatal nested = {&ends_inside, &how, {.workers = 1}},
				  forker = {&ends_a_fork, NULL, {.workers = 1}};
	panics(submit_fatal, &nested, "a task that runs inside of another task, or forks, ends its thread");
	panics(submit_fatal, &forker, "a task that runs inside of another task, or forks, ends its thread");
}

static int runs_a_task(void *unused)
{
	fl_executor *e = fl_test_executor(fl_sequential_executor_create, NULL);
	return ends_by_submit(e, EXITS, NULL);
}

static void caller_exits(void *unused)
{
	begin_child();
	fl_thread *t;
	FL_OK(fl_thread_start(&t, runs_a_task, NULL, &(fl_thread_config){.name = "caller"}));
	FL_IGNORE(fl_thread_join(t, NULL));
}

static void timer_exits(void *unused)
{
	begin_child();
	static fl_timer t = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&t, FL_NO_WAIT, exit_thread, NULL));
	wait_for_the_panic();
}

FL_TEST(ends_panics_on_other_threads)
{
	panics(caller_exits, NULL, "caller(");
	panics(timer_exits, NULL, "timers(");
}

static void fiber_exits(void *unused)
{
	begin_child();
	FL_IGNORE(fl_loop_run(exits, unused));
}

static void loop_executor_exits(void *unused)
{
	begin_child();
	fl_executor *e = FL_TEST_EXECUTOR(loop, .name = "theirs");
	FL_IGNORE(ends_by_submit(e, IS_CANCELLED, NULL));
	wait_for_the_panic();
}

static int calls_soon(void *unused)
{
	FL_OK(fl_loop_post(fl_loop_current(), exit_thread, NULL));
	return fl_sleep(FL_S(60));
}

static void loop_call_exits(void *unused)
{
	begin_child();
	FL_IGNORE(fl_loop_run(calls_soon, unused));
}

FL_TEST(ends_panics_on_a_loop)
{
	FL_NEEDS(FL_TEST_EVENTFD);
#if defined(FL__ASAN) || defined(FL__TSAN)
	FL_SKIP("the sanitizer does not follow an exit from a fiber's stack");
#endif
	panics(fiber_exits, NULL, "fiber main ends its thread, by pthread_exit() or pthread_cancel()");
	panics(loop_executor_exits, NULL, "fiber theirs-0 ends its thread");
	panics(loop_call_exits, NULL, "fiber callbacks ends its thread");
}

/* A longjmp() to a frame of the outer task, past the wait in which the inner task runs. */
static jmp_buf outer;

FL_TASK(ends_by_longjmp, void, void)
{
	longjmp(outer, 1);
}

FL_TASK(ends_inside_by_longjmp, void, void)
{
	fl_future *f = NULL;
	if (setjmp(outer) == 0) {
		FL_OK(ends_by_longjmp_submit(fl_executor_current(), &f));
		FL_IGNORE(fl_future_wait(f));
	}
	return 0;
}

FL_TEST(ends_panics_after_a_longjmp)
{
	static const struct fatal skips = {&ends_inside_by_longjmp, NULL, {.workers = 1}};
	panics(submit_fatal, &skips, "ends_inside_by_longjmp(");
}
