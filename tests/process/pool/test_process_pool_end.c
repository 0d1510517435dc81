/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a process executor: close, cancel, terminate, join, free; from outside, and from
 * callbacks.
 */
#include "fl_process_pool.h"

#include "core/sync/helper.h"

/* Is deaf to it, and never ends. */
FL_TASK(process_pool_never_ends, struct process_pool_gate *, int, .max_attempts = 100)
{
	process_pool_enter(*arg);
	fl_test_rest();
}

static void submit_many(fl_executor *e, int *runs, fl_future **f, int n)
{
	for (int i = 0; i < n; i++)
		FL_OK(process_pool_counts_submit(e, runs, &f[i]));
}

FL_TEST(process_pool_terminate_kills_what_runs)
{
	enum { TASKS = 60, WORKERS = 3 };
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = process_pool_with(WORKERS);
	struct process_pool_gate *gates[WORKERS];
	fl_future *f[TASKS], *deaf[WORKERS];
	int *runs = process_pool_counters(1);
	FL_EACH (i, gates) {
		gates[i] = process_pool_gate();
		FL_OK(process_pool_never_ends_submit(e, gates[i], &deaf[i]));
		(void)process_pool_await(gates[i]);
	}
	submit_many(e, runs, f, TASKS);
	assert_int_equal(fl_executor_terminate(e), TASKS);
	FL_EACH (i, f) {
		FL_OK(fl_future_try_wait(f[i]));
		process_pool_is_cancelled(f[i]);
	}
	FL_OK(fl_executor_terminate(e));
	FL_RC(process_pool_counts_submit(e, runs, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	FL_EACH (i, deaf) {
		FL_OK(fl_future_try_wait(deaf[i]));
		/* And is not run again. */
		assert_int_equal(process_pool_counted(&gates[i]->runs), 1);
		process_pool_fails(deaf[i], -ECANCELED, "terminated");
		assert_true(process_pool_is_gone(gates[i]->pid));
	}
	assert_int_equal(process_pool_counted(runs), 0);
}

/* A task that has ended before it is killed has ended well; nothing is left undecided. */
FL_TEST(process_pool_terminate_at_any_time)
{
	enum { TASKS = 30 };
	PROCESS_POOL_LEAVES_NOTHING();
	for (unsigned round = 0; round < fl_test_scaled(100); round++) {
		fl_executor *e = process_pool_with(2);
		fl_future *f[TASKS];
		int *runs = process_pool_counters(TASKS), failed = 0, cancelled = 0;
		PROCESS_POOL_COUNT_ALL(e, runs, f);
		for (unsigned i = 0; i < round; i++)
			sched_yield();
		if (round % 3 == 0)
			FL_OK(fl_future_wait(f[round % TASKS]));
		cancelled -= (int)fl_executor_terminate(e);
		fl_executor_free(e);
		FL_EACH (i, f) {
			FL_OK(fl_future_try_wait(f[i]));
			const int error = fl_future_error(f[i]), started = process_pool_counted(&runs[i]);
			const bool is_cancelled = fl_future_state(f[i]) == FL_CANCELLED;
			FL_IN_RANGE(started, error == 0, !is_cancelled);
			FL_OK_OR(error, -ECANCELED);
			failed += error != 0 && !is_cancelled;
			cancelled += is_cancelled;
			fl_future_free(f[i]);
		}
		FL_IN_RANGE(failed, 0, 2);
		/* Each worker may have been about to begin one, and was told in time. */
		FL_IN_RANGE(cancelled, 0, 2);
	}
}

/*
 * The manager is between its work and its sleep, without the lock, when the executor is terminated.
 */
static struct {
	fl_future *first; /* its end is the manager's last work */
	uint32_t reached, missed, terminated;
} window;

static int terminated_before_the_sleep(int epoll, struct epoll_event *events, int n, int ms)
{
	fl_future *first = fl__load_acquire(&window.first);
	if (first && fl_future_state(first) == FL_DONE) {
		fl__store_release(ms == 0 ? &window.reached : &window.missed, 1);
		while (ms == 0 && !fl__load_acquire(&window.terminated))
			sched_yield();
		const fl_time end = fl_test_soon(); /* longer than the manager polls on after work */
		while (ms == 0 && !fl_time_is_past(end))
			sched_yield();
	}
	return fl_test_real_fd_sys.epoll_wait(epoll, events, n, ms);
}

static bool terminate_before_the_sleep(void)
{
	window.reached = window.missed = window.terminated = 0;
	fl_executor *e = process_pool_with(1);
	fl_future *first = NULL, *running = NULL;
	struct process_pool_gate *gate = process_pool_gate();
	FL_OK(process_pool_square_submit(e, 3, &first));
	fl__store_release(&window.first, first);
	FL_OK(process_pool_never_ends_submit(e, gate, &running));
	(void)process_pool_await(gate);
	while (!fl__load_acquire(&window.reached) && !fl__load_acquire(&window.missed))
		sched_yield();
	(void)fl_executor_terminate(e);
	fl__store_release(&window.terminated, 1);
	fl_executor_free(e);
	fl__store_relaxed(&window.first, NULL); /* relaxed: the manager has ended */
	fl_future_free(first);
	process_pool_fails(running, -ECANCELED, "was killed");
	return window.reached;
}

FL_TEST(process_pool_terminate_before_the_manager_sleeps)
{
	fl__helpers_end(); /* the library's threads read the table */
	FL_FD_FAULTS();
	fl__fd_sys.epoll_wait = terminated_before_the_sleep;
	unsigned reached = 0; /* each time it may also be on its way to a sleep that an event ends */
	for (int i = 0; reached < 20 && i < 1000; i++)
		reached += terminate_before_the_sleep();
	fl__helpers_end();
	assert_int_equal(reached, 20);
}

/* Joining. */

/* Callbacks run on the executor's thread: it cannot wait for its own end. */
static void join_in_callback(fl_future *f, void *arg)
{
	fl_executor *e = arg;
	FL_RC(fl_executor_join_until(e, FL_NO_WAIT, NULL), -EDEADLK);
	fl_executor_close(e);
	FL_RC(process_pool_square_submit(e, 1, NULL), -EPIPE);
	FL_OK(fl_executor_terminate(e));
}

PROCESS_POOL_TEST(process_pool_join_in_a_callback_is_a_deadlock, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fl_executor_submit_with(e, &process_pool_square, &(int){2}, &f,
	                              &(fl_submit_config){.on_end = join_in_callback, .on_end_arg = e}));
	FL_OK(fl_future_wait(f));
	FL_OK(fl_executor_join(e));
	FL_RC(process_pool_square_submit(e, 1, NULL), -EPIPE);
}

static void free_in_callback(fl_future *f, void *arg)
{
	fl_executor_free(arg);
}

FL_TASK(process_pool_is_freed_in_a_callback, void, void)
{
	fl_executor *e = process_pool_with(1);
	FL_OK(process_pool_square_submit(e, 2, NULL));
	FL_OK(fl_executor_submit_with(e, &process_pool_square, &(int){2}, NULL,
	                              &(fl_submit_config){.on_end = free_in_callback, .on_end_arg = e}));
	FL_OK(fl_executor_join(e));
	return 0;
}

FL_TEST(process_pool_free_in_a_callback_panics)
{
	char text[1024];
	int err = fl_test_scratch();
	const fl_process_status status =
	    PROCESS_RUN(.task = &process_pool_is_freed_in_a_callback, .err = FL_PROCESS_FD(err));
	fl_test_take(err, text, sizeof text);
	assert_int_equal(status.signal, SIGABRT);
	fl_test_contains(text, "fl_executor_free");
}

/* The task's own executor is another one; the task cannot end that one, either. */
FL_TASK(process_pool_joins_its_own, void, int)
{
	fl_executor *e = fl_executor_current();
	FL_RC(fl_executor_join(e), -EDEADLK);
	FL_RC(fl_executor_try_join(e), -EDEADLK);
	FL_RC(fl_executor_resize(e, 2), -ENOTSUP);
	return 0;
}

PROCESS_POOL_TEST(process_pool_task_joins_its_own, 1)
{
	int unused;
	process_pool_call(e, &process_pool_joins_its_own, NULL, &unused);
}
