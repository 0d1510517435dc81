/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers that use an object of the library while another fiber of their loop is blocked outside of
 * the library: that fiber waits until plain threads, which use the same object, have made their
 * calls. No call may wait for a fiber that cannot run now.
 */
#include "fl_in_loop.h"
#include "fl_process.h"

#include "core/exec/executor.h"
#include "core/exec/registry.h"

enum { BLOCKED_THREADS = 2, BLOCKED_FIBERS = 3, BLOCKED_PROMISES = 20000 };

static const int64_t blocked_round = FL_MS(3); /* longer than a mutex lets its first waiter wait */

typedef struct use {
	void (*begin)(void);    /* in a fiber */
	int (*wait)(void *arg); /* what the fibers do; NULL: the call, again and again */
	void (*call)(void);     /* what the threads do */
	void (*finish)(void);   /* in a fiber, when the threads have ended: lets the waits return */
	void (*end)(void);      /* in a fiber, at last */
	unsigned rounds, calls; /* of each thread in a round, at least; 0: 15, 50 */
	unsigned needs;         /* FL_NEEDS() */
} use;

static struct {
	const use *use;
	unsigned round, done, stop;
} blocked;

static bool blocked_stops(void)
{
	return fl__load_acquire(&blocked.stop); /* pairs with blocked_run() */
}

static int blocked_thread(void *unused)
{
	const use *u = blocked.use;
	const unsigned calls = u->calls ? u->calls : 50;
	for (unsigned seen = 0, round;;) {
		while ((round = fl__load_acquire(&blocked.round)) == seen &&
		       !blocked_stops()) /* acquire: pairs with blocked_run() */
			u->call();
		if (round == seen)
			return 0;
		seen = round;
		const fl_time end = fl_after(blocked_round);
		for (unsigned i = 0; i < calls || !fl_time_is_past(end); i++)
			u->call();
		fl__add_release(&blocked.done, 1); /* release: pairs with the acquire in blocked_run() */
	}
}

static int blocked_call(void *unused)
{
	while (!blocked_stops()) {
		for (int i = 0; i < 20; i++)
			blocked.use->call();
		fl_fiber_yield();
	}
	return 0;
}

/* The first fiber. Each FL_WAIT_FOR() blocks the loop's thread. */
static int blocked_run(void *arg)
{
	const use *u = arg;
	fl_thread *threads[BLOCKED_THREADS];
	fl_fiber *fibers[BLOCKED_FIBERS];
	blocked.use = u;
	blocked.round = blocked.stop = 0;
	if (u->begin)
		u->begin();
	const unsigned n = u->wait ? 1 : BLOCKED_FIBERS;
	for (unsigned i = 0; i < n; i++)
		fibers[i] = fl_test_start(u->wait ? u->wait : blocked_call, NULL);
	FL_EACH (i, threads)
		fl_test_go(&threads[i], blocked_thread, NULL);
	for (unsigned round = 0; round < (u->rounds ? u->rounds : 15); round++) {
		for (int i = 0; i < 5; i++)
			fl_fiber_yield();
		fl__store_relaxed(&blocked.done, 0);
		fl__add_release(&blocked.round, 1);
		FL_WAIT_FOR(fl__load_acquire(&blocked.done) == BLOCKED_THREADS);
	}
	fl__store_release(&blocked.stop, 1);
	FL_END_ALL(threads);
	if (u->finish)
		u->finish();
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl_test_join(fibers[i]));
	if (u->end)
		u->end();
	return 0;
}

/* NAME's case: BLOCKED(name, .call = ..., ...). */
#define BLOCKED(name, ...)                                                                                             \
	FL_TEST(loop_blocked_##name)                                                                                   \
	{                                                                                                              \
		static const use this_use = {__VA_ARGS__};                                                             \
		FL_NEEDS(this_use.needs);                                                                              \
		fl_test_in_loop(blocked_run, (void *)(uintptr_t)&this_use);                                            \
	}

/*
 * A condition of the program: a signalled fiber is not in the queue of the mutex before it runs. So
 * the mutex is not handed over to it.
 */
static fl_mutex lock = FL_MUTEX_INIT;
static fl_cond changed = FL_COND_INIT;
static unsigned changes;

static int wait_for_change(void *unused)
{
	FL_LOCKED(&lock);
	while (changes == 0)
		FL_OK(fl_cond_wait(&changed, &lock));
	return 0;
}

static int change_for_long(void *unused)
{
	const fl_time end = fl_after(blocked_round);
	do {
		FL_LOCKED(&lock);
		changes++;
		fl_cond_broadcast(&changed);
	} while (!fl_time_is_past(end));
	fl__store_release(&blocked.done, 1); /* pairs with loop_blocked_cond() */
	return 0;
}

FL_LOOP_TEST(loop_blocked_cond)
{
	fl_thread *t;
	fl_fiber *f = fl_test_start(wait_for_change, NULL);
	fl_fiber_yield();
	fl__store_relaxed(&blocked.done, 0);
	fl_test_go(&t, change_for_long, NULL);
	FL_WAIT_FOR(fl__load_acquire(&blocked.done));
	FL_OK(fl_test_join(f));
	fl_test_end(t);
}

/* Executors. */
static fl_executor *pool;

FL_TASK(blocked_task, int, int)
{
	*result = *arg;
	return 0;
}

static void begin_pool(void)
{
	pool = FL_TEST_EXECUTOR(thread, .workers = 2);
}

static void end_pool(void)
{
	fl_executor_free(pool);
	pool = NULL;
}

static fl_future *submit_to_pool(void)
{
	const int one = 1;
	fl_future *f = NULL;
	FL_OK(fl_executor_submit(pool, &blocked_task, &one, &f));
	return f;
}

static void submit(void)
{
	fl_future_free(submit_to_pool());
}

static void submit_and_cancel(void)
{
	fl_future *f = submit_to_pool();
	FL_IGNORE(fl_future_cancel(f)); /* it may have ended */
	fl_future_free(f);
}

static void submit_and_get(void)
{
	fl_future *f = submit_to_pool();
	FL_CHECK(fl_test_result(f) == 1);
	fl_future_free(f);
}

/* Then the pool is idle. */
static void submit_seldom(void)
{
	submit_and_get();
	for (const fl_time end = fl_after(FL_US(20)); !fl_time_is_past(end);)
		;
}

static int wait_until_idle(void *unused)
{
	while (!blocked_stops())
		FL_OK(fl_executor_wait_idle(pool));
	return 0;
}

static void run_a_group(void)
{
	fl_group g = FL_GROUP_INIT(pool);
	int one = 1, result;
	FL_OK(fl_group_submit(&g, &blocked_task, &one, &result));
	FL_OK(fl_group_join(&g));
}

static void ask_pool(void)
{
	FL_CHECK(!fl_executor_is_broken(pool));
}

BLOCKED(submit, .begin = begin_pool, .call = submit, .end = end_pool)
BLOCKED(future_cancel, .begin = begin_pool, .call = submit_and_cancel, .end = end_pool)
BLOCKED(group, .begin = begin_pool, .call = run_a_group, .end = end_pool)
BLOCKED(executor_is_broken, .begin = begin_pool, .call = ask_pool, .end = end_pool)

BLOCKED(wait_idle, .begin = begin_pool, .wait = wait_until_idle, .call = submit_seldom, .end = end_pool)

/* The manager of this executor is a fiber of the loop. */
static void begin_loop_executor(void)
{
	FL_OK(fl_loop_executor_create_on(&pool, fl_loop_current(), NULL));
}

static int stay(void *unused)
{
	while (!blocked_stops())
		fl_fiber_yield();
	return 0;
}

/*
 * The tasks run only while the loop does: without a bound the threads submit more than it ever
 * runs.
 */
static void submit_some(void)
{
	enum { MOST = 5000 };
	static uint32_t submitted;
	if (fl__add_relaxed(&submitted, 1) < MOST)
		submit();
	else
		ask_pool();
}

BLOCKED(loop_executor, .begin = begin_loop_executor, .wait = stay, .call = submit_some, .end = end_pool)

/* Futures. */
static fl_promise *promises[BLOCKED_PROMISES];
static fl_future *futures[BLOCKED_PROMISES];
static unsigned promises_set;

static void begin_promises(void)
{
	promises_set = 0;
	FL_EACH (i, promises)
		FL_OK(fl_promise_create(&promises[i], sizeof(int), NULL, &futures[i]));
}

static bool set_next(void)
{
	const unsigned i = fl__add_relaxed(&promises_set, 1); /* a number by itself */
	if (i < BLOCKED_PROMISES)
		FL_OK(fl_promise_set(promises[i], &(int){1}));
	return i < BLOCKED_PROMISES;
}

/* Few: they must last for all rounds. */
static void set_one(void)
{
	const fl_time end = fl_after(FL_US(50));
	(void)set_next();
	while (!fl_time_is_past(end))
		;
}

static int iterate(void *unused)
{
	fl_as_completed *c;
	size_t i, n = 0;
	FL_OK(fl_as_completed_create(&c, futures, BLOCKED_PROMISES));
	while (fl_as_completed_next(c, &i) == 0)
		n++;
	FL_CHECK(n == BLOCKED_PROMISES);
	fl_as_completed_free(c);
	return 0;
}

static void set_all(void)
{
	while (set_next())
		;
}

static void end_promises(void)
{
	fl_test_futures_free(futures, BLOCKED_PROMISES);
}

BLOCKED(as_completed, .begin = begin_promises, .wait = iterate, .call = set_one, .finish = set_all, .end = end_promises)

/* Timers. */
static fl_timer joined = FL_TIMER_INIT;

static void nothing(void *unused)
{
}

static void start_timer(void)
{
	fl_timer t = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&t, fl_after(FL_S(3600)), nothing, NULL));
	FL_OK(fl_timer_cancel(&t));
}

static void begin_joined(void)
{
	FL_OK(fl_timer_start(&joined, fl_after(FL_S(3600)), nothing, NULL));
}

static int join_timer(void *unused)
{
	return fl_timer_join(&joined);
}

static void cancel_joined(void)
{
	FL_OK(fl_timer_cancel(&joined));
}

BLOCKED(timer_start, .call = start_timer)
BLOCKED(timer_join, .begin = begin_joined, .wait = join_timer, .call = start_timer, .finish = cancel_joined)

/* Lists. */
static void find_task(void)
{
	const fl_task_type *found = NULL;
	FL_CHECK(fl__registry_find("blocked_task", &found) == 0 && found == &blocked_task);
}

static void list_threads(void)
{
	FL_CHECK(fl_thread_enumerate(NULL, NULL) > 0);
}

static void run_thread(void)
{
	fl_test_on_thread(fl_test_nothing, NULL);
}

BLOCKED(task_find, .call = find_task)
BLOCKED(thread_enumerate, .call = list_threads)
BLOCKED(thread_start, .call = run_thread, .calls = 5)

/* Processes. */
static fl_process *process;

static void begin_process(void)
{
	process = PROCESS_STARTED(.program = "cat", .in = FL_PROCESS_PIPE);
}

static void end_process(void)
{
	(void)close(fl_process_take_pipe(process, 0));
	FL_OK(fl_process_join(process, NULL));
	fl_process_free(process);
}

static void ask_process(void)
{
	FL_CHECK(fl_process_is_alive(process));
}

static void list_processes(void)
{
	FL_CHECK(fl_process_active_children(NULL, NULL) > 0);
}

static void run_program(void)
{
	fl_process *p = PROCESS_STARTED(.program = "true");
	FL_OK(fl_process_join(p, NULL));
	fl_process_free(p);
}

BLOCKED(process_is_alive, .begin = begin_process, .call = ask_process, .end = end_process, .needs = FL_TEST_PROCESSES)
BLOCKED(active_children, .begin = begin_process, .call = list_processes, .end = end_process, .needs = FL_TEST_PROCESSES)
BLOCKED(program, .call = run_program, .rounds = 5, .calls = 2, .needs = FL_TEST_PROCESSES)

FL_TASK(blocked_process, void, void)
{
	return 0;
}

static void run_process(void)
{
	fl_process *p = PROCESS_STARTED(.task = &blocked_process);
	FL_OK(fl_process_join(p, NULL));
	fl_process_free(p);
}

BLOCKED(process, .begin = run_process, .call = run_process, .rounds = 5, .calls = 2, .needs = FL_TEST_PROCESSES)

/* Pipes. */
static fl_pipe *pipe_out, *pipe_in;

static void begin_pipe(void)
{
	FL_OK(fl_pipe_create(&pipe_out, &pipe_in, NULL));
}

static void end_pipe(void)
{
	fl_pipe_free(pipe_out);
	fl_pipe_free(pipe_in);
}

static void try_pipe(void)
{
	char text[8];
	size_t size;
	FL_CHECK(fl_pipe_send_until(pipe_out, "x", 1, FL_NO_WAIT, FL_SHIELDED) != -EPIPE);
	FL_CHECK(fl_pipe_receive_until(pipe_in, text, sizeof text, &size, FL_NO_WAIT, FL_SHIELDED) != -EPIPE);
}

BLOCKED(pipe, .begin = begin_pipe, .call = try_pipe, .end = end_pipe)

/*
 * An allocator with a lock of the library. Of two fibers the first calls it with the executor's
 * lock held, while a thread has the allocator's lock. The second is blocked until a thread has
 * submitted, too.
 */
static struct {
	fl_mutex lock;
	unsigned waits, held, blocks, submitted;
} arena;

static void *arena_alloc(size_t size, void *unused)
{
	if (pool && fl_mutex_is_locked(&pool->lock)) {
		fl__store_release(&arena.waits, 1);
		fl_mutex_lock(&arena.lock);
		fl_mutex_unlock(&arena.lock);
	}
	return malloc(size);
}

static void arena_free(void *memory, void *unused)
{
	free(memory);
}

/*
 * Frees the lock when the second fiber is blocked, or cannot run, since the first has the thread.
 */
static int arena_holder(void *unused)
{
	FL_LOCKED(&arena.lock);
	fl__store_release(&arena.held, 1);
	FL_WAIT_FOR(fl__load_acquire(&arena.waits));
	for (const fl_time end = fl_after(FL_MS(50)); !fl__load_acquire(&arena.blocks) && !fl_time_is_past(end);)
		(void)sched_yield();
	return 0;
}

static int arena_submitter(void *unused)
{
	FL_WAIT_FOR(fl__load_acquire(&arena.waits));
	submit();
	fl__store_release(&arena.submitted, 1);
	return 0;
}

static int arena_first_submit(void *unused)
{
	submit();
	return 0;
}

FL_LOOP_TEST(loop_blocked_in_the_allocator)
{
	static const fl_allocator mine = {arena_alloc, arena_free, NULL};
	fl_thread *holder, *submitter;
	fl_allocator_set(&mine);
	pool = FL_TEST_EXECUTOR(thread, .workers = 2);
	fl_test_go(&holder, arena_holder, NULL);
	FL_WAIT_FOR(fl__load_acquire(&arena.held));
	fl_test_go(&submitter, arena_submitter, NULL);
	fl_fiber *f = fl_test_start(arena_first_submit, NULL);
	fl_fiber_yield();
	FL_CHECK(fl__load_acquire(&arena.waits)); /* the first fiber has called the allocator */
	fl__store_release(&arena.blocks, 1);
	FL_WAIT_FOR(fl__load_acquire(&arena.submitted));
	FL_OK(fl_test_join(f));
	fl_test_end(holder);
	fl_test_end(submitter);
	end_pool();
	fl_allocator_set(NULL);
}
