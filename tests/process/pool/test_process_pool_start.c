/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers that cannot be started, or end before they are ready: now and then, and always; and the
 * fork server, which starts them.
 */
#include "fl_process_pool_faults.h"

#include "process/pool/process_pool.h"

/* Now and then. */

/* A single fault must not be visible, except to a submit on its own thread. */
static int start_with_fault(int call, int role, int skip)
{
	fl_executor *e = NULL;
	fl_future *f = NULL;
	int nine = 0;
	process_pool_fail(call, role, skip, 1, -ENOMEM);
	int rc = fl_process_executor_create(&e, &(fl_executor_config){.workers = 1});
	if (rc != 0) {
		FL_RC(rc, -ENOMEM);
		assert_true(role == PROCESS_POOL_HERE && call == PROCESS_POOL_ALLOC);
		return process_pool_heal();
	}
	rc = process_pool_square_submit(e, 3, &f);
	if (rc != 0) {
		print_message("%s, %d: the submit says %s\n", process_pool_call_names[call], skip, fl_error_name(rc));
		assert_true(role == PROCESS_POOL_HERE && (rc == -ENOMEM || rc == -EAGAIN));
		assert_null(f);
		process_pool_works(e);
	} else {
		FL_OK(fl_future_wait(f));
		if (fl_future_error(f) != 0)
			print_error("%s, %d: %s\n", process_pool_call_names[call], skip, fl_future_message(f));
		FL_OK(process_pool_square_get(f, &nine));
		assert_int_equal(nine, 9);
		fl_future_free(f);
	}
	process_pool_works(e);
	fl_executor_free(e);
	return process_pool_heal();
}

FL_TEST(process_pool_start_with_a_fault_here)
{
	process_pool_sweep(PROCESS_POOL_HERE, start_with_fault);
}

FL_TEST(process_pool_start_with_a_fault_in_the_fork_server)
{
	process_pool_sweep(PROCESS_POOL_IN_FORK_SERVER, start_with_fault);
}

FL_TEST(process_pool_start_with_a_fault_in_the_worker)
{
	process_pool_sweep(PROCESS_POOL_IN_WORKER, start_with_fault);
}

FL_TEST(process_pool_first_submit_says_what_is_short)
{
	static const int errors[] = {-ENOSPC, -EMFILE, -ENFILE, -ENOMEM};
	FL_EACH (i, errors) {
		(void)process_pool_begin();
		FL_SCOPED(fl_executor) *e = fl_test_executor(fl_process_executor_create, NULL);
		process_pool_fail(i ? PROCESS_POOL_EVENT : PROCESS_POOL_WATCH, PROCESS_POOL_HERE, 0, 1, errors[i]);
		FL_RC(process_pool_square_submit(e, 3, NULL), errors[i]);
		(void)process_pool_heal();
		process_pool_works(e);
	}
}

/* Always: one clear error in the end, and no wait hangs. */

/* Submits tasks, all of which fail with that error. */
static void all_fail(fl_executor *e, int error, const char *why)
{
	enum { TASKS = 40 };
	fl_future *f[TASKS];
	int *runs = process_pool_counters(1), n = 0, rc = 0;
	for (; n < TASKS && rc == 0; n += rc == 0)
		rc = process_pool_counts_submit(e, runs, &f[n]);
	if (rc != 0)
		FL_RC(rc, -ENOTRECOVERABLE);
	assert_true(rc == 0 || (n > 0 && error == rc));
	for (int i = 0; i < n; i++)
		process_pool_fails(f[i], error, why);
	assert_int_equal(process_pool_counted(runs), 0);
}

static void breaks(const fl_executor_config *config, const char *why)
{
	fl_executor *e = fl_test_executor(fl_process_executor_create, config);
	all_fail(e, -ENOTRECOVERABLE, why);
	assert_true(fl_executor_is_broken(e));
	FL_RC(process_pool_square_submit(e, 3, NULL), -ENOTRECOVERABLE);
	FL_OK(fl_executor_join(e));
	FL_RC(process_pool_square_submit(e, 3, NULL), -ENOTRECOVERABLE);
	fl_executor_free(e);
}

struct fault_at_start {
	int call, role, error;
	int seen; /* by the tasks */
	const char *why;
};

static void strike(const struct fault_at_start *fault)
{
	process_pool_fail(fault->call, fault->role, 0, INT32_MAX, fault->error);
}

/* The tasks fail, and the executor works when the shortage has passed. */
FL_TEST(process_pool_outlives_shortages)
{
	static const struct fault_at_start faults[] = {
	    /* RLIMIT_NPROC is reached. */
	    {PROCESS_POOL_FORK, PROCESS_POOL_IN_FORK_SERVER, -EAGAIN, -EAGAIN, "fl_process_start: EAGAIN"},
	    {PROCESS_POOL_FORK, PROCESS_POOL_IN_FORK_SERVER, -ENOMEM, -ENOMEM, "fl_process_start: ENOMEM"},
	    {PROCESS_POOL_EVENT, PROCESS_POOL_HERE, -EMFILE, -EMFILE, "eventfd: EMFILE"},
	    {PROCESS_POOL_PAIR, PROCESS_POOL_HERE, -ENFILE, -ENFILE, "socketpair: ENFILE"},
	    {PROCESS_POOL_MEMORY, PROCESS_POOL_HERE, -EMFILE, -EMFILE, "shared memory: EMFILE"},
	    {PROCESS_POOL_FILL, PROCESS_POOL_HERE, -ENOSPC, -ENOMEM, "shared memory: ENOMEM"},
	    {PROCESS_POOL_WATCH, PROCESS_POOL_HERE, -ENOSPC, -ENOSPC, "epoll_ctl: ENOSPC"},
	    {PROCESS_POOL_MAP, PROCESS_POOL_IN_WORKER, -ENOMEM, -EOWNERDEAD, "exited with status 1"},
	    {PROCESS_POOL_THREAD, PROCESS_POOL_IN_WORKER, -EAGAIN, -EOWNERDEAD, "exited with status 1"},
	};
	const struct process_pool_census before = process_pool_begin();
	PROCESS_LOG();
	FL_EACH (i, faults) {
		fl_executor *e = FL_TEST_EXECUTOR(process, .workers = 3, .max_tasks = 1);
		process_pool_works(e); /* the pool's thread and its descriptors exist */
		FL_WAIT_FOR(process_pool_size(e) == 0);
		strike(&faults[i]);
		all_fail(e, faults[i].seen, faults[i].why);
		assert_false(fl_executor_is_broken(e));
		assert_true(process_pool_heal() > 1); /* tried again */
		process_pool_works(e);
		fl_executor_free(e);
		process_pool_same(&before);
	}
}

/* What no time mends. */
FL_TEST(process_pool_never_starts)
{
	static const struct fault_at_start faults[] = {
	    {PROCESS_POOL_PIDFD, PROCESS_POOL_IN_FORK_SERVER, -ENOSYS, 0, "fl_process_start: ENOSYS"},
	    {PROCESS_POOL_MEMORY, PROCESS_POOL_HERE, -ENOSYS, 0, "shared memory: ENOSYS"},
	};
	const struct process_pool_census before = process_pool_begin();
	PROCESS_LOG();
	FL_EACH (i, faults) {
		strike(&faults[i]);
		breaks(&(fl_executor_config){.workers = 3}, faults[i].why);
		const int struck = process_pool_heal();
		print_message("%s: %d times\n", faults[i].why, struck);
		assert_true(struck > 1 && struck < 50); /* tried again, but not for ever */
		process_pool_same(&before);
	}
}

/* It comes back before the last try. */
PROCESS_POOL_TEST(process_pool_starts_in_the_end, 2)
{
	(void)process_pool_begin();
	PROCESS_LOG();
	process_pool_fail(PROCESS_POOL_FORK, PROCESS_POOL_IN_FORK_SERVER, 0, 4, -EAGAIN);
	process_pool_works(e);
	assert_int_equal(process_pool_heal(), 4);
	/* As long as one serves, that others cannot be started breaks nothing. */
	struct process_pool_gate *gate = process_pool_gate();
	process_pool_fail(PROCESS_POOL_FORK, PROCESS_POOL_IN_FORK_SERVER, 0, INT32_MAX, -EAGAIN);
	fl_future *held = process_pool_hold(e, gate), *f = FL_SUBMITTED(process_pool_square, e, 3);
	FL_WAIT_FOR(fl__load_relaxed(&process_pool_fault->struck) >= 7); /* relaxed: a number */
	FL_RC(fl_future_try_wait(f), -EAGAIN);
	process_pool_let_go(gate, held);
	FL_OK(fl_future_wait(f));
	FL_OK(fl_future_error(f));
	fl_future_free(f);
	(void)process_pool_heal();
	process_pool_works(e);
}

FL_TASK(process_pool_kills_itself, int *, void)
{
	process_pool_count(*arg);
	return kill(getpid(), SIGKILL);
}

FL_TASK(process_pool_exits_itself, int *, void)
{
	process_pool_count(*arg);
	exit(5);
}

FL_TASK(process_pool_aborts_itself, int *, void)
{
	process_pool_count(*arg);
	abort();
}

FL_TEST(process_pool_initializer_that_ends_its_worker)
{
	static const struct {
		const fl_task_type *initialize;
		const char *why;
	} ways[] = {
	    {&process_pool_exits_itself, "exited with status 5"},
	    {&process_pool_aborts_itself, "killed by SIGABRT"},
	};
	const struct process_pool_census before = process_pool_begin();
	FL_EACH (i, ways) {
		int *runs = process_pool_counters(1);
		breaks(&(fl_executor_config){.workers = 2, .initialize = ways[i].initialize, .initialize_arg = &runs},
		       ways[i].why);
		assert_true(process_pool_counted(runs) > 1 && process_pool_counted(runs) < 50);
		process_pool_same(&before);
	}
}

FL_TASK(process_pool_counts_and_fails, int *, void)
{
	process_pool_count(*arg);
	return -EIO;
}

static struct {
	const int *runs; /* of the initializer */
	fl_process *worker;
	unsigned starts;
	bool met;
} both;

static int count_starts(fl_process **p, const fl_process_config *config)
{
	both.starts++;
	const int rc = fl_process_start(p, config);
	fl__store_release(&both.worker, *p); /* pairs with the acquire in wait_for_both() */
	return rc;
}

/*
 * The manager learns in one wait that the initializer has failed and that its worker is dead,
 * unless it has taken the failure before.
 */
static int wait_for_both(int epoll, struct epoll_event *events, int n, int ms)
{
	int got = fl_test_real_fd_sys.epoll_wait(epoll, events, n, ms);
	if (both.met || process_pool_counted(both.runs) == 0 || !strstr(fl_thread_current_name(), "-manager"))
		return got;
	for (bool alive = true; got < 2 && alive;) {
		alive = fl_process_is_alive(fl__load_acquire(&both.worker));
		got = fl_test_real_fd_sys.epoll_wait(epoll, events, n, -1);
	}
	both.met = true;
	return got;
}

FL_TEST(process_pool_initializer_that_fails_ends_the_starts)
{
	int *runs = process_pool_counters(1);
	both.runs = runs;
	fl__process_pool_sys.start = count_starts;
	fl__fd_sys.epoll_wait = wait_for_both;
	breaks(
	    &(fl_executor_config){.workers = 1, .initialize = &process_pool_counts_and_fails, .initialize_arg = &runs},
	    "EIO");
	fl__fd_sys.epoll_wait = fl_test_real_fd_sys.epoll_wait;
	fl__process_pool_sys.start = fl_process_start;
	assert_true(both.met);
	assert_int_equal(both.starts, 1);
	assert_int_equal(process_pool_counted(runs), 1);
}

/* The kernel may have killed the worker for want of memory. */
FL_TEST(process_pool_initializer_whose_worker_is_killed)
{
	PROCESS_POOL_LEAVES_NOTHING();
	int *runs = process_pool_counters(1);
	fl_executor *e =
	    FL_TEST_EXECUTOR(process, .workers = 2, .initialize = &process_pool_kills_itself, .initialize_arg = &runs);
	all_fail(e, -EOWNERDEAD, "killed by SIGKILL");
	assert_false(fl_executor_is_broken(e));
	fl_executor_free(e);
	assert_true(process_pool_counted(runs) > 1);
}

/* A worker begins its tasks when the gate is open. */
FL_TASK(process_pool_waits_for_its_gate, struct process_pool_gate *, void)
{
	return fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

static void kill_workers(fl_executor *e)
{
	int pids[8];
	const size_t n = fl_process_executor_pids(e, pids, 8);
	for (size_t i = 0; i < n && i < 8; i++)
		(void)kill(pids[i], SIGKILL);
}

/* Each worker is killed as soon as it is seen. */
FL_TEST(process_pool_outlives_a_killer)
{
	struct process_pool_gate *gate = process_pool_gate();
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(
	    process, .workers = 2, .initialize = &process_pool_waits_for_its_gate, .initialize_arg = &gate);
	fl_future *f = FL_SUBMITTED(process_pool_square, e, 3);
	while (!process_pool_ended(f)) {
		kill_workers(e);
		sched_yield();
	}
	process_pool_fails(f, -EOWNERDEAD, "killed by SIGKILL");
	assert_false(fl_executor_is_broken(e));
	process_pool_open(gate);
	process_pool_works(e);
}

/* Each shortage meets an idle pool whose workers have died; every second one, no fork server. */
PROCESS_POOL_TEST(process_pool_outlives_a_shortage_of_descriptors, 2)
{
	PROCESS_LOG();
	for (int round = 0; round < 4; round++) {
		process_pool_works(e);
		if (round % 2 > 0)
			FL_OK(kill(fl__fork_server_pid(), SIGKILL));
		kill_workers(e);
		FL_WAIT_FOR(process_pool_size(e) == 0);
		const rlim_t limit = fl_test_limit_fds(round < 2 ? 0 : 3);
		all_fail(e, -EMFILE, "EMFILE");
		fl_test_unlimit_fds(limit);
		assert_false(fl_executor_is_broken(e));
	}
	process_pool_works(e);
}

FL_TEST(process_pool_without_descriptors)
{
	const struct process_pool_census before = process_pool_begin();
	PROCESS_LOG();
	for (unsigned more = 0; more < 12; more++) {
		fl_executor *e = process_pool_with(1);
		fl_future *f = NULL;
		rlim_t limit = fl_test_limit_fds(more);
		int rc = process_pool_square_submit(e, 3, &f);
		if (rc == 0)
			FL_OK(fl_future_wait(f));
		fl_test_unlimit_fds(limit);
		if (rc != 0) {
			FL_RC(rc, -EMFILE); /* of the manager's own: all is as before */
			process_pool_works(e);
		} else if (fl_future_error(f) != 0) {
			process_pool_fails(f, -EMFILE, "EMFILE");
			process_pool_works(e);
		} else {
			fl_future_free(f);
		}
		fl_executor_free(e);
		process_pool_same(&before);
	}
}

/* The fork_server. */

PROCESS_POOL_TEST(process_pool_outlives_the_fork_server, 2)
{
	for (int round = 0; round < 10; round++) {
		enum { TASKS = 40 };
		struct process_pool_gate *gates[2] = {process_pool_gate(), process_pool_gate()};
		int *runs = process_pool_counters(TASKS), pid;
		fl_future *f[TASKS], *held[2] = {process_pool_hold(e, gates[0]), process_pool_hold(e, gates[1])};
		PROCESS_POOL_COUNT_ALL(e, runs, f);
		const int fork_server = fl__fork_server_pid();
		assert_true(fork_server > 0);
		FL_OK(kill(fork_server, SIGKILL));
		FL_EACH (i, held)
			process_pool_fails(held[i], -EOWNERDEAD, "how is not known");
		FL_EACH (i, f) {
			FL_OK(process_pool_counts_get(f[i], &pid));
			assert_true(pid != gates[0]->pid && pid != gates[1]->pid);
			assert_int_equal(process_pool_counted(&runs[i]), 1);
			fl_future_free(f[i]);
		}
		assert_int_not_equal(fl__fork_server_pid(), fork_server);
		process_pool_works(e);
	}
}

/* A fork server without the signals of its children ends: it would not see their ends. */
PROCESS_POOL_TEST(process_pool_fork_server_without_signals, 1)
{
	process_pool_works(e);
	PROCESS_LOG();
	FL_OK(kill(fl__fork_server_pid(), SIGKILL));
	FL_WAIT_FOR(process_pool_size(e) == 0);
	process_pool_fail(PROCESS_POOL_SIGNALS, PROCESS_POOL_IN_FORK_SERVER, 0, 1, -EMFILE);
	process_pool_works(e);
	assert_int_equal(process_pool_heal(), 1);
	kill_workers(e);
	FL_WAIT_FOR(process_pool_size(e) == 0);
}

FL_TASK(process_pool_kills_its_parent, void, void)
{
	FL_OK(kill(getppid(), SIGKILL));
	fl_test_rest();
}

static void process_pool_kill_fork_servers(int n)
{
	FL_SCOPED(fl_executor) *e = process_pool_with(2);
	for (int i = 0; i < n; i++) {
		fl_future *f = FL_SUBMITTED(process_pool_kills_its_parent, e);
		process_pool_fails(f, -EOWNERDEAD, NULL);
		process_pool_works(e);
	}
}

FL_TEST(process_pool_task_kills_the_fork_server)
{
	/* the first one may be that of fl_process_main(), which has no death pipe */
	process_pool_kill_fork_servers(1);
	PROCESS_POOL_LEAVES_NOTHING();
	process_pool_kill_fork_servers(5);
}

static void process_pool_set_event(fl_future *f, void *event)
{
	fl_event_set(event);
}

/*
 * The fork server does not answer while a worker is being started: a task's end, its callback and
 * the kill of a task that is deaf to a request are not held up.
 */
FL_TEST(process_pool_with_a_fork_server_that_is_stopped)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 2, .grace_period = FL_MS(1));
	struct process_pool_gate *gate = process_pool_gate(), *deaf = process_pool_gate();
	fl_event called = FL_EVENT_INIT;
	fl_future *held = process_pool_hold(e, gate), *f = NULL;
	const int fork_server = fl__fork_server_pid();
	const int64_t answer_timeout = fl__process_sys.answer_timeout;
	const unsigned fds = fl_test_fds();
	fl__process_sys.answer_timeout = FL_S(1000000);
	process_stop(fork_server);
	FL_OK(process_pool_held_submit(e, deaf, &f));
	FL_WAIT_FOR(fl_test_fds() > fds); /* the worker is being started */
	FL_OK(fl_future_on_end(held, process_pool_set_event, &called));
	process_pool_let_go(gate, held);
	FL_OK(fl_event_wait(&called));
	const int worker = process_pool_await(deaf);
	FL_IGNORE(fl_future_cancel(f));
	FL_WAIT_FOR(process_state(worker) == 'Z'); /* the fork server will reap it */
	FL_OK(kill(fork_server, SIGCONT));
	process_pool_fails(f, -EOWNERDEAD, "its task ran for too long");
	process_pool_works(e);
	fl__process_sys.answer_timeout = answer_timeout;
}

static fl_executor *process_pool_logged;
static int process_pool_joined;

FL_TEST_LOG_HANDLER(process_pool_join_it)
{
	process_pool_joined = fl_executor_join(process_pool_logged);
}

/* Of a failed start, on the thread that a join waits for. */
FL_TEST(process_pool_joined_by_its_log)
{
	process_pool_logged = process_pool_with(1);
	fl_log_handler *before = fl_log_set_handler(process_pool_join_it);
	process_pool_fail(PROCESS_POOL_FORK, PROCESS_POOL_IN_FORK_SERVER, 0, 1, -EAGAIN);
	process_pool_works(process_pool_logged);
	assert_int_equal(process_pool_heal(), 1);
	FL_RC(process_pool_joined, -EDEADLK);
	(void)fl_log_set_handler(before);
	fl_executor_free(process_pool_logged);
}

/* What was to be one more when it was asked for is one too many when it is there. */
PROCESS_POOL_TEST(process_pool_resized_while_a_worker_starts, 2)
{
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *held = process_pool_hold(e, gate), *f = NULL;
	const int fork_server = fl__fork_server_pid();
	const size_t fds = fl_test_fds();
	process_stop(fork_server);
	FL_OK(process_pool_square_submit(e, 3, &f));
	FL_WAIT_FOR(fl_test_fds() > fds); /* it is being started */
	FL_OK(fl_executor_resize(e, 1));
	FL_OK(kill(fork_server, SIGCONT));
	/*
	 * The worker has been started, and was sent home. Fewer: the watcher has closed the pidfd
	 * of a fork server that an earlier case killed.
	 */
	FL_WAIT_FOR(fl_test_fds() <= fds);
	FL_WAIT_FOR(process_children_of(fork_server) == 1);
	assert_int_equal(process_pool_size(e), 1);
	process_pool_let_go(gate, held);
	FL_OK(fl_future_wait(f));
	fl_future_free(f);
	assert_int_equal(process_pool_pid(e), gate->pid);
}

/*
 * recvmsg() has no memory from some call on, for good: the manager spun at the sentinel of a worker
 * that had ended, and the executor could not be freed.
 */
FL_TEST(process_pool_end_of_a_worker_that_cannot_be_received)
{
	PROCESS_POOL_LEAVES_NOTHING();
	PROCESS_LOG();
	for (int skip = 0; skip < 3; skip++) {
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		process_pool_works(e);
		process_pool_fail(PROCESS_POOL_RECEIVE, PROCESS_POOL_HERE, skip, INT_MAX, -ENOMEM);
		FL_OK(fl_executor_join(e));
		assert_true(process_pool_heal() < 100);
	}
}
