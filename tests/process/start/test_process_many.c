/* SPDX-License-Identifier: BSD-2-Clause */
/* Many processes, by many threads, from fibers; and nothing is left of them. */
#include "fl_in_loop.h"
#include "fl_process.h"

FL_ALL_NEED(FL_TEST_PROCESSES)

FL_TASK(process_answers, int, void)
{
	exit(*arg);
}

FL_TASK(process_waits_for_its_end, void, void)
{
	fl_test_rest();
}

static void start_and_join(fl_process_method method, int code)
{
	FL_RC(PROCESS_RUN(.task = &process_answers, .arg = &code, .method = method).code, code);
}

static void start_program(void)
{
	FL_OK(PROCESS_RUN(.program = "/bin/true").code);
}

FL_TEST(process_thousand_starts_leave_nothing)
{
	start_and_join(FL_PROCESS_FORK_SERVER, 1);
	start_program();
	FL_WAIT_FOR(process_children_of(getpid()) == 0);
	const size_t fds = fl_test_fds();
	for (unsigned i = 0; i < fl_test_scaled(1000); i++)
		start_and_join(FL_PROCESS_FORK_SERVER, (int)(i % 200));
	for (unsigned i = 0; i < fl_test_scaled(1000); i++) {
		if (process_can(FL_PROCESS_FORK))
			start_and_join(FL_PROCESS_FORK, (int)(i % 200));
		start_program();
	}
	for (unsigned i = 0; i < fl_test_scaled(200); i++)
		start_and_join(FL_PROCESS_EXEC, (int)(i % 200));
	assert_int_equal(fl_test_fds(), fds);
	FL_WAIT_FOR(process_children_of(getpid()) == 0);
	FL_WAIT_FOR(process_children_of(fl__fork_server_pid()) == 0);
}

static int on_a_fiber(void *arg)
{
	fl_process *p = NULL;
	const fl_process_config fork = {.task = &process_waits_for_its_end, .method = FL_PROCESS_FORK};
	FL_RC(fl_process_start(&p, &fork), -EDEADLK);
	start_and_join(FL_PROCESS_FORK_SERVER, 3);
	start_program();
	return 0;
}

FL_TEST(process_on_fibers)
{
	PROCESS_LOG();
	fl_test_in_loop(on_a_fiber, NULL);
	process_log_has(process_can(FL_PROCESS_FORK) ? "the caller is a fiber" : "cannot be forked");
}

FL_TEST(process_hundred_at_once)
{
	enum { N = 100 };
	fl_process *all[N];
	FL_EACH (i, all)
		all[i] = PROCESS_STARTED(.task = &process_waits_for_its_end, .daemon = i % 2);
	assert_int_equal(fl_process_active_children(NULL, NULL), N);
	for (int i = 0; i < N; i += 4)
		FL_OK(fl_process_kill(all[i]));
	for (int i = 0; i < N; i += 4)
		FL_OK(fl_process_join(all[i], NULL));
	assert_int_equal(fl_process_active_children(NULL, NULL), N - N / 4);
	FL_EACH (i, all) {
		if (i % 4 != 0)
			FL_OK(fl_process_kill(all[i]));
		fl_process_free(all[i]);
	}
	assert_int_equal(fl_process_active_children(NULL, NULL), 0);
	FL_WAIT_FOR(process_children_of(fl__fork_server_pid()) == 0);
}

static int start_some(void *arg)
{
	const int n = *(int *)arg;
	for (int i = 0; i < 10; i++) {
		start_and_join(FL_PROCESS_FORK_SERVER, n);
		if (i % 5 == 0)
			start_program();
		if (i == 7)
			start_and_join(FL_PROCESS_EXEC, n);
	}
	return 0;
}

FL_TEST(process_started_by_fifty_threads)
{
	enum { THREADS = 50 };
	fl_thread *threads[THREADS];
	int numbers[THREADS];
	start_and_join(FL_PROCESS_FORK_SERVER, 0); /* what the first start opens stays */
	start_program();
	const size_t fds = fl_test_fds();
	PROCESS_FAULTS();
	fl__process_sys.answer_timeout =
	    FL_S(1000000); /* fifty starts at once may take a slow machine longer than 30 s */
	FL_EACH (i, numbers) {
		numbers[i] = i;
		fl_test_go(&threads[i], start_some, &numbers[i]);
	}
	FL_END_ALL(threads);
	assert_int_equal(fl_test_fds(), fds);
	FL_WAIT_FOR(process_children_of(getpid()) == 0);
}

static int join_it(void *arg)
{
	fl_process_status status = {0, 0};
	int rc = fl_process_join(arg, &status);
	return rc ? rc : status.signal;
}

FL_TEST(process_joined_and_ended_by_several_threads)
{
	fl_thread *threads[8];
	fl_process *p = PROCESS_STARTED(.task = &process_waits_for_its_end);
	FL_EACH (i, threads)
		fl_test_go(&threads[i], join_it, p);
	FL_OK(fl_process_terminate(p));
	FL_EACH (i, threads) {
		int rc = 0;
		FL_OK(fl_thread_join(threads[i], &rc));
		assert_int_equal(rc, SIGTERM);
	}
	fl_process_free(p);
}

FL_TEST(process_in_wait_any)
{
	fl_event never = FL_EVENT_INIT;
	FL_SCOPED(fl_process) *p = PROCESS_STARTED(.task = &process_waits_for_its_end);
	FL_SCOPED(fl_process) *q = PROCESS_STARTED(PROCESS_COMMAND("sleep", "1000"));
	FL_RC(FL_WAIT_ANY_UNTIL(fl_test_soon(), NULL, FL_ON_EVENT(&never), FL_ON_PROCESS(p), FL_ON_PROCESS(q)),
	      -ETIMEDOUT);
	FL_OK(fl_process_kill(q));
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_PROCESS(p), FL_ON_PROCESS(q)), 2);
	FL_OK(fl_process_try_join(q, NULL));
	FL_OK(fl_process_kill(p));
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_PROCESS(p)), 1);
	FL_OK(fl_process_try_join(p, NULL));
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_PROCESS(q), FL_ON_PROCESS(p)), 1);
}
