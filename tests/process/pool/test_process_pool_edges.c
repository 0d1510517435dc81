/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for tasks in other processes: threads, fibers, wait-any, callbacks; and an idle executor.
 */
#include "fl_in_loop.h"
#include "fl_process_pool.h"

/* An end and a death, beside a task that does not end. */
PROCESS_POOL_TEST(process_pool_wait_any, 2)
{
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *held = process_pool_hold(e, gate);
	for (int i = 0; i < 20; i++) {
		struct process_pool_gate *dying = process_pool_gate();
		FL_SCOPED(fl_future) *f = FL_SUBMITTED(process_pool_square, e, i);
		assert_int_equal(FL_WAIT_ANY(FL_ON_FUTURE(held), FL_ON_FUTURE(f)), 1);
		fl_future *dead = process_pool_hold(e, dying);
		FL_OK(kill(dying->pid, SIGKILL));
		assert_int_equal(FL_WAIT_ANY(FL_ON_FUTURE(held), FL_ON_FUTURE(dead)), 1);
		process_pool_fails(dead, -EOWNERDEAD, "killed by SIGKILL");
	}
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_FUTURE(held)), -ETIMEDOUT);
	process_pool_open(gate);
	assert_int_equal(FL_WAIT_ANY(FL_ON_FUTURE(held)), 0);
	fl_future_free(held);
}

/* Fibers: all on one thread, each waits for its own. */

struct in_fiber {
	fl_executor *e;
	struct process_pool_gate *gate;
};

/* Runs while the other waits: only then can it release it. */
static int opens_in_fiber(void *gate)
{
	(void)process_pool_await(gate);
	process_pool_open(gate);
	return 0;
}

static int held_in_fiber(void *arg)
{
	const struct in_fiber *in = arg;
	int unused;
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(process_pool_held, in->e, in->gate);
	fl_fiber *other = fl_test_start(opens_in_fiber, in->gate);
	FL_OK(process_pool_held_get(f, &unused));
	return fl_test_join(other);
}

PROCESS_POOL_TEST(process_pool_fiber_that_waits_holds_up_no_other, 1)
{
	fl_test_in_loop(held_in_fiber, &(struct in_fiber){e, process_pool_gate()});
}

/* Threads. */

struct customer {
	fl_executor *e;
	unsigned rounds;
	int number, calls;
	fl_thread *thread;
};

static void count_end(fl_future *f, void *arg)
{
	process_pool_count(arg);
}

static int be_served(void *arg)
{
	struct customer *c = arg;
	enum { AT_ONCE = 7 };
	for (unsigned i = 0; i < c->rounds; i++) {
		fl_future *f[AT_ONCE];
		int result;
		FL_EACH (j, f)
			FL_OK(process_pool_square_submit_with(
			    c->e, c->number + j, &f[j],
			    &(fl_submit_config){.on_end = j == 3 ? count_end : NULL, .on_end_arg = &c->calls}));
		if (i % 5 == 0)
			FL_IGNORE(fl_future_cancel(f[1]));
		FL_EACH (j, f) {
			int rc = process_pool_square_get(f[j], &result);
			if (rc != 0)
				FL_CHECK(j == 1 && rc == FL_ETASK && fl_future_error(f[j]) == -ECANCELED);
			else
				FL_CHECK(result == (c->number + (int)j) * (c->number + (int)j));
			fl_future_free(f[j]);
		}
	}
	return 0;
}

FL_TEST(process_pool_served_to_50_threads)
{
	enum { THREADS = 50 };
	fl_executor *e = process_pool_with(3);
	static struct customer customers[THREADS];
	FL_EACH (i, customers) {
		customers[i] = (struct customer){.e = e, .rounds = fl_test_scaled(100), .number = 100 * i};
		fl_test_go(&customers[i].thread, be_served, &customers[i]);
	}
	FL_EACH (i, customers)
		fl_test_end(customers[i].thread);
	fl_executor_free(e);
	FL_EACH (i, customers)
		assert_int_equal(process_pool_counted(&customers[i].calls), customers[i].rounds);
}

static int wait_for_it(void *f)
{
	return fl_future_wait(f);
}

PROCESS_POOL_TEST(process_pool_several_wait_for_one, 1)
{
	FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
	for (int round = 0; round < 20; round++) {
		enum { THREADS = 4 };
		struct process_pool_gate *gate = process_pool_gate();
		fl_future *f = process_pool_hold(e, gate);
		fl_thread *threads[THREADS];
		FL_EACH (i, threads)
			fl_test_go(&threads[i], wait_for_it, f);
		FL_RC(fl_future_wait_until(f, fl_after(FL_US(300)), NULL), -ETIMEDOUT);
		fl_cancel_token_request(&stop);
		FL_RC(fl_future_wait_until(f, FL_FOREVER, &stop), -ECANCELED);
		process_pool_open(gate);
		FL_END_ALL(threads);
		FL_OK(fl_future_wait(f));
		fl_future_free(f);
	}
}

/* An endless stream of tasks without waiters: deaths and other ends are still handled. */

struct flow {
	fl_executor *e;
	bool stops;
	int running; /* chains */
	int ended;   /* tasks */
};

static void go_on(fl_future *f, void *arg)
{
	struct flow *flow = arg;
	fl__add_relaxed(&flow->ended, 1);            /* relaxed: a number by itself */
	if (fl__load_relaxed(&flow->stops)) {        /* relaxed: a hint */
		fl__add_release(&flow->running, -1); /* pairs with the acquire in the test */
		return;
	}
	FL_OK(process_pool_square_submit_with(flow->e, 1, NULL,
	                                      &(fl_submit_config){.on_end = go_on, .on_end_arg = flow}));
}

PROCESS_POOL_TEST(process_pool_death_in_a_flow_that_never_stops, 2)
{
	enum { CHAINS = 32 };
	struct flow flow = {.e = e, .running = CHAINS};
	for (int i = 0; i < CHAINS; i++)
		FL_OK(process_pool_square_submit_with(e, 1, NULL,
		                                      &(fl_submit_config){.on_end = go_on, .on_end_arg = &flow}));
	for (int i = 0; i < 20; i++) {
		struct process_pool_gate *gate = process_pool_gate();
		fl_future *f = FL_SUBMITTED(process_pool_held, e, gate);
		(void)process_pool_await(gate);
		FL_OK(kill(gate->pid, SIGKILL));
		FL_WAIT_FOR(process_pool_ended(f));
		process_pool_fails(f, -EOWNERDEAD, "killed by SIGKILL");
	}
	fl__store_relaxed(&flow.stops, true);              /* relaxed: a hint */
	FL_WAIT_FOR(fl__load_acquire(&flow.running) == 0); /* pairs with the release in go_on() */
	print_message("%d tasks at the same time\n", flow.ended);
}

/* Nothing to do. */

/* How often the threads of a process have given up their CPU, or lost it. */
static unsigned long switches_of(int pid)
{
	char path[300], line[256];
	unsigned long sum = 0, n;
	FL_TEXT(path, "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	FL_CHECK(tasks != NULL);
	for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
		/* This thread is not idle. */
		if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
			continue;
		FL_TEXT(path, "/proc/%d/task/%.16s/status", pid, task->d_name);
		FILE *status = fopen(path, "re");
		FL_CHECK(status != NULL || errno == ENOENT);
		if (!status)
			continue; /* it has ended since */
		while (fgets(line, sizeof line, status)) {
			const char *is = strstr(line, "ctxt_switches:");
			if (is && sscanf(is, "ctxt_switches: %lu", &n) == 1)
				sum += n;
		}
		(void)fclose(status);
	}
	(void)closedir(tasks);
	return sum;
}

static unsigned long switches(fl_executor *e)
{
	int pids[2];
	assert_int_equal(fl_process_executor_pids(e, pids, 2), 2);
	return switches_of(getpid()) + switches_of(fl__fork_server_pid()) + switches_of(pids[0]) + switches_of(pids[1]);
}

/*
 * Neither the manager thread nor the workers run at all, whatever happened before, and with held
 * tasks.
 */
FL_TEST(process_pool_that_is_idle_sleeps)
{
	if (!process_can(FL_PROCESS_FORK))
		FL_SKIP(FL_TEST_ALONE_REASON); /* which wakes all the time */
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 2, .grace_period = FL_S(1000));
	for (int round = 0; round < 4; round++) {
		struct process_pool_gate *gates[2] = {process_pool_gate(), process_pool_gate()};
		fl_future *f[2];
		FL_EACH (i, f)
			f[i] = process_pool_hold(e, gates[i]);
		for (int i = 0; i < 2 && round % 2; i++)
			process_pool_let_go(gates[i], f[i]);
		/* They come to rest, and stay so for a while that is long to them. */
		unsigned long seen = switches(e);
		fl_time since = fl_now();
		const int64_t end = fl_test_wait_begin();
		while (!fl_time_is_past(fl_time_add(since, FL_MS(300)))) {
			const unsigned long now = switches(e);
			if (now != seen) {
				seen = now;
				since = fl_now();
			}
			fl_test_wait_on(end, "it comes to rest", __FILE__, __LINE__);
		}
		for (int i = 0; i < 2 && round % 2 == 0; i++)
			process_pool_let_go(gates[i], f[i]);
	}
}
