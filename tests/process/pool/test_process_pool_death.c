/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker dies: its task fails, and says how; nothing else does. */
#include "fl_process_pool.h"

/* What a task does to its process. */
enum harm {
	KILLED,
	SEGFAULT,
	BUS,
	ILLEGAL,
	DIVIDES,
	ABORTS,
	TRAPPED,
	NAMELESS,
	EXITS_3,
	EXITS_0,
	EXITS_AT_ONCE,
	ENDS_ITS_THREAD,
	BECOMES_ANOTHER,
	HARMS
};

static const char pointer_told[] = " (it used a pointer of the submitting process, which is not valid there: pass data "
				   "by value, or in a region)";

static const char *const told[HARMS] = {
    [KILLED] = "killed by SIGKILL",
    [SEGFAULT] = "killed by SIGSEGV",
    [BUS] = "killed by SIGBUS",
    [ILLEGAL] = "killed by SIGILL",
    [DIVIDES] = "killed by SIGFPE",
    [ABORTS] = "killed by SIGABRT",
    [TRAPPED] = "killed by SIGTRAP",
    [NAMELESS] = "killed by signal ",
    [EXITS_3] = "exited with status 3",
    [EXITS_0] = "exited with status 0",
    [EXITS_AT_ONCE] = "exited with status 7",
    [ENDS_ITS_THREAD] = "", /* it has died, however it puts it */
    [BECOMES_ANOTHER] = "exited with status 1",
};

static void die_by(int signal_number)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal_number);
	(void)signal(signal_number, SIG_DFL); /* sanitizers have handlers */
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(signal_number);
}

static void do_harm(int harm)
{
	static const int signals[HARMS] = {
	    [KILLED] = SIGKILL, [SEGFAULT] = SIGSEGV, [BUS] = SIGBUS,        [ILLEGAL] = SIGILL,
	    [DIVIDES] = SIGFPE, [TRAPPED] = SIGTRAP,  [NAMELESS] = SIGSTKFLT};
	char name[] = "false", *const argv[] = {name, NULL};
	switch (harm) {
	case ABORTS:
		(void)signal(SIGABRT, SIG_DFL);
		abort();
	case EXITS_3:
		exit(3);
	case EXITS_0:
		exit(0);
	case EXITS_AT_ONCE:
		_exit(7);
	case ENDS_ITS_THREAD:
		pthread_exit(NULL);
	case BECOMES_ANOTHER:
		(void)execvp(name, argv);
		break;
	default:
		die_by(signals[harm]);
	}
}

struct harmed {
	struct process_pool_gate *gate; /* NULL: at once */
	int *runs;
	int harm, survives; /* from that start on it does no harm */
};

static int be_harmed(const struct harmed *arg, int *result)
{
	process_pool_count(arg->runs);
	const int run = process_pool_counted(arg->runs);
	if (arg->gate) {
		process_pool_enter(arg->gate);
		FL_OK(fl_shm_event_wait_until(&arg->gate->open, FL_FOREVER, FL_SHIELDED));
	}
	if (arg->survives == 0 || run < arg->survives)
		do_harm(arg->harm);
	*result = run;
	return 0;
}

FL_TASK(process_pool_harmed, struct harmed, int)
{
	return be_harmed(arg, result);
}

FL_TASK(process_pool_tries_three_times, struct harmed, int, .max_attempts = 3)
{
	return be_harmed(arg, result);
}

/* How the message begins: with the worker that it was. */
static void tells_of(fl_future *f, int pid, const char *name, const char *how)
{
	char text[128];
	FL_TEXT(text, "worker %d (%s) %s", pid, name, how);
	process_pool_fails(f, -EOWNERDEAD, text);
}

/*
 * Two workers, both held: one kills itself, with tasks behind it; the other worker and its tasks
 * are not affected.
 */
static void harm_one_of_two(int harm)
{
	enum { TASKS = 40 };
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 2, .name = "painter");
	struct process_pool_gate *gates[2] = {process_pool_gate(), process_pool_gate()};
	int *runs = process_pool_counters(TASKS + 1), pid;
	fl_future *f[TASKS], *harmed = NULL, *held = NULL;
	FL_OK(process_pool_harmed_submit(e, (struct harmed){gates[0], &runs[TASKS], harm, 0}, &harmed));
	(void)process_pool_await(gates[0]);
	held = process_pool_hold(e, gates[1]);
	PROCESS_POOL_COUNT_ALL(e, runs, f);
	process_pool_open(gates[0]);
	tells_of(harmed, gates[0]->pid, "painter-0", told[harm]);
	FL_RC(fl_future_try_wait(held), -EAGAIN);
	FL_EACH (i, f) { /* by another worker in its place */
		FL_OK(process_pool_counts_get(f[i], &pid));
		assert_int_not_equal(pid, gates[0]->pid);
		assert_int_equal(process_pool_counted(&runs[i]), 1);
		fl_future_free(f[i]);
	}
	assert_int_equal(process_pool_counted(&runs[TASKS]), 1);
	FL_WAIT_FOR(process_pool_is_gone(gates[0]->pid));
	assert_int_not_equal(process_pool_pid(e), gates[0]->pid);
	process_pool_let_go(gates[1], held);
	FL_OK(fl_executor_join(e));
}

FL_TEST(process_pool_death_by_each_harm)
{
	PROCESS_POOL_LEAVES_NOTHING();
	for (int harm = 0; harm < HARMS; harm++) {
		print_message("%d: %s\n", harm, told[harm]);
		harm_one_of_two(harm);
	}
}

struct hidden {
	uintptr_t address; /* with all bits inverted */
	void *unused;
};

FL_TASK(process_pool_reads_address, struct hidden, void)
{
	return *(volatile char *)~arg->address != 0 ? -EIO : 0;
}

FL_TASK(process_pool_forks_a_reader, struct hidden, void)
{
	const pid_t pid = fork();
	if (pid == 0)
		_exit(*(volatile char *)~arg->address);
	FL_CHECK(WIFSIGNALED(fl_test_status(pid)));
	die_by(SIGSEGV);
	return 0;
}

static bool tells_of_a_pointer(fl_future *f)
{
	FL_OK(fl_future_wait(f));
	FL_RC(fl_future_error(f), -EOWNERDEAD);
	fl_test_contains(fl_future_message(f), "killed by SIGSEGV");
	const bool tells = strstr(fl_future_message(f), pointer_told) != NULL;
	fl_future_free(f);
	return tells;
}

/*
 * An emulator gives each process the same addresses, and so may a system that does not randomise
 * them.
 */
static bool worker_lacks(const void *address)
{
	fl_future *f;
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	FL_OK(process_pool_reads_address_submit(e, (struct hidden){~(uintptr_t)address, NULL}, &f));
	FL_OK(fl_future_wait(f));
	const int error = fl_future_error(f);
	fl_future_free(f);
	return error == -EOWNERDEAD;
}

/* Decided by the address of the fault, whatever the argument has. */
FL_TEST(process_pool_death_tells_of_a_pointer)
{
	fl_future *f;
	int here = 0;
	if (FL_TEST_SANITIZED)
		FL_SKIP("a sanitizer handles SIGSEGV");
	if (!worker_lacks(&here))
		FL_SKIP("a worker process has memory at the same address");
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	void *const addresses[] = {NULL, (void *)0x10, (void *)UINTPTR_MAX, &here};
	FL_EACH (i, addresses) {
		FL_OK(process_pool_reads_address_submit(e, (struct hidden){~(uintptr_t)addresses[i], &here}, &f));
		FL_RC(tells_of_a_pointer(f), i == 3);
	}
	FL_OK(process_pool_forks_a_reader_submit(e, (struct hidden){~(uintptr_t)&here, NULL}, &f));
	FL_RC(tells_of_a_pointer(f), false);
}

/* The only worker. */
PROCESS_POOL_TEST(process_pool_death_of_the_only_worker, 1)
{
	for (int i = 0; i < 30; i++) {
		fl_future *f = NULL, *behind = NULL;
		int result, *runs = process_pool_counters(1);
		FL_OK(process_pool_harmed_submit(e, (struct harmed){NULL, runs, i % HARMS, 0}, &f));
		FL_OK(process_pool_square_submit(e, i, &behind));
		FL_OK(process_pool_square_get(behind, &result));
		assert_int_equal(result, i * i);
		process_pool_fails(f, -EOWNERDEAD, told[i % HARMS]);
		assert_int_equal(process_pool_counted(runs), 1);
		fl_future_free(behind);
	}
}

/* A worker takes tasks on its main thread. */
static bool main_thread_has_ended(int pid)
{
	const char state = process_state(pid);
	return state == 0 || state == 'Z' || state == 'X';
}

/*
 * An idle worker dies: no task fails; another worker is started when it is needed. A killed worker
 * may take a task until its thread has ended.
 */
PROCESS_POOL_TEST(process_pool_death_of_an_idle_worker, 1)
{
	for (int i = 0; i < 20; i++) {
		const int pid = process_pool_pid(e);
		FL_OK(kill(pid, SIGKILL));
		FL_WAIT_FOR(main_thread_has_ended(pid)); /* the executor may know it, or not */
		if (i % 2)
			FL_WAIT_FOR(process_pool_size(e) == 0);
		assert_int_not_equal(process_pool_pid(e), pid);
	}
}

/* Retries. */

PROCESS_POOL_TEST(process_pool_death_is_tried_again_if_the_type_says_so, 2)
{
	for (int i = 0; i < 10; i++) {
		int *runs = process_pool_counters(2), result;
		fl_future *good = NULL, *bad = NULL;
		FL_OK(process_pool_tries_three_times_submit(e, (struct harmed){NULL, &runs[0], KILLED, 3}, &good));
		FL_OK(process_pool_tries_three_times_submit(e, (struct harmed){NULL, &runs[1], ABORTS, 0}, &bad));
		FL_OK(process_pool_tries_three_times_get(good, &result));
		assert_int_equal(result, 3);
		fl_future_free(good);
		process_pool_fails(bad, -EOWNERDEAD, "killed by SIGABRT");
		assert_int_equal(process_pool_counted(&runs[0]), 3);
		assert_int_equal(process_pool_counted(&runs[1]), 3); /* and no more */
	}
}

FL_TASK(process_pool_just_fails, int *, void, .max_attempts = 5)
{
	process_pool_count(*arg);
	return -EDOM;
}

PROCESS_POOL_TEST(process_pool_failure_is_no_death, 1)
{
	int *runs = process_pool_counters(1);
	fl_future *f = FL_SUBMITTED(process_pool_just_fails, e, runs);
	process_pool_fails(f, -EDOM, NULL);
	assert_int_equal(process_pool_counted(runs), 1);
}

/* A task that is cancelled between two tries is not tried again. */
PROCESS_POOL_TEST(process_pool_death_of_a_cancelled_task, 1)
{
	struct process_pool_gate *gate = process_pool_gate();
	int *runs = process_pool_counters(1);
	fl_future *f = FL_SUBMITTED(process_pool_tries_three_times, e, (struct harmed){gate, runs, KILLED, 0});
	(void)process_pool_await(gate);
	FL_RC(fl_future_cancel(f), -EINPROGRESS);
	process_pool_open(gate);
	process_pool_is_cancelled(f);
	assert_int_equal(process_pool_counted(runs), 1);
	process_pool_works(e);
}

/* From outside, at any time. */

struct storm {
	fl_executor *e;
	unsigned kills, most, ended; /* ended: tasks */
	fl_thread *thread;
};

static int kill_now_and_then(void *arg)
{
	struct storm *s = arg;
	unsigned n = 1;
	while (s->kills < s->most) {
		n = n * 1664525u + 1013904223u;
		/*
		 * Not so fast that no worker ever reaches its first task: that would break the
		 * executor.
		 */
		const unsigned enough = fl__load_relaxed(&s->ended) + 1 + (n >> 20) % 40;
		/* Relaxed: a number by itself. */
		FL_WAIT_FOR(fl__load_relaxed(&s->ended) >= enough);
		int pids[4];
		size_t there = fl_process_executor_pids(s->e, pids, 4);
		/* A number that was just given up may be another's by now; in a test it is not. */
		if (there > 0 && kill(pids[(n >> 16) % there], SIGKILL) == 0)
			fl__add_relaxed(&s->kills, 1); /* relaxed: a number by itself */
	}
	return 0;
}

FL_TASK(process_pool_takes_its_time, int *, int)
{
	process_pool_count(*arg);
	for (int i = 0; i < 20; i++)
		sched_yield();
	*result = 42;
	return 0;
}

/*
 * Started at most once; a successful task was started; a failed one has the reason; the rest is
 * run.
 */
static bool storm_one(fl_future *f, const int *runs)
{
	int result, rc = process_pool_takes_its_time_get(f, &result);
	const int started = process_pool_counted(runs);
	assert_true(rc == 0 ? started == 1 && result == 42 : started <= 1);
	if (rc != 0) {
		FL_RC(rc, FL_ETASK);
		FL_RC(fl_future_error(f), -EOWNERDEAD);
		fl_test_contains(fl_future_message(f), "killed by SIGKILL");
	}
	fl_future_free(f);
	return rc != 0;
}

FL_TEST(process_pool_death_at_any_time)
{
	enum { AT_ONCE = 64 };
	PROCESS_POOL_LEAVES_NOTHING();
	struct storm storm = {.e = process_pool_with(3), .most = fl_test_scaled(500)};
	int *runs = process_pool_counters(AT_ONCE);
	unsigned failed = 0, tasks = 0;
	fl_future *f[AT_ONCE] = {NULL};
	fl_test_go(&storm.thread, kill_now_and_then, &storm);
	/* Relaxed: a number by itself. */
	for (; fl__load_relaxed(&storm.kills) < storm.most; tasks++) {
		fl_future **here = &f[tasks % AT_ONCE];
		failed += *here && storm_one(*here, &runs[tasks % AT_ONCE]);
		fl__store_relaxed(&storm.ended, tasks); /* relaxed: a number by itself */
		runs[tasks % AT_ONCE] = 0;
		FL_OK(process_pool_takes_its_time_submit(storm.e, &runs[tasks % AT_ONCE], here));
	}
	FL_EACH (i, f)
		failed += f[i] && storm_one(f[i], &runs[i]);
	fl_test_end(storm.thread);
	print_message("%u workers killed, %u of %u tasks with them\n", storm.kills, failed, tasks);
	assert_true(failed > 0 && failed <= storm.kills);
	process_pool_works(storm.e);
	fl_executor_free(storm.e);
}

FL_TASK(process_pool_prints, int, void)
{
	return printf("printed") == 7 ? 0 : -EIO;
}

FL_TASK(process_pool_prints_and_locks, int, void)
{
	(void)printf("lost");
	process_locks_stdout();
	return 0;
}

/* What an ended task has printed is there when its future has ended, however the worker ends. */
FL_TEST(process_pool_keeps_what_ended_tasks_print)
{
	char text[32] = "";
	const int file = memfd_create("output", MFD_CLOEXEC), before = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	FL_CHECK(file >= 0 && before >= 0 && fflush(stdout) == 0 && dup2(file, STDOUT_FILENO) == STDOUT_FILENO);
	fl_executor *e = process_pool_with(1);
	fl_future *f = NULL;
	int rc = process_pool_prints_submit(e, 1, &f);
	if (rc == 0)
		rc = fl_future_wait(f);
	const ssize_t n = pread(file, text, sizeof text - 1, 0);
	fl_future_free(f);
	f = NULL;
	if (rc == 0)
		rc = process_pool_prints_and_locks_submit(e, 1, &f);
	if (rc == 0)
		rc = fl_future_wait(f);
	FL_CHECK(fflush(stdout) == 0 && dup2(before, STDOUT_FILENO) == STDOUT_FILENO && close(before) == 0);
	FL_OK(rc);
	FL_OK(fl_future_error(f));
	fl_future_free(f);
	assert_int_equal(n, 7);
	assert_string_equal(text, "printed");
	(void)fl_executor_terminate(e); /* the end of the process would wait for the lock */
	fl_executor_free(e);
	FL_OK(close(file));
}
