/* SPDX-License-Identifier: BSD-2-Clause */
/* The signals of faults, in all threads and processes of the library. */
#include "fl_process_pool.h"

enum { FAULTS = 6 };
static const int faults[FAULTS] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

/* Whether the thread with this file blocks the signal of a fault. False: also if it has ended. */
static bool blocks_faults(const char *path)
{
	char line[200];
	uint64_t blocked = 0;
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		(void)sscanf(line, "SigBlk: %" SCNx64, &blocked);
	if (file)
		(void)fclose(file);
	FL_EACH (i, faults)
		if (blocked >> (faults[i] - 1) & 1)
			return true;
	return false;
}

static void check_threads(int pid)
{
	char path[100];
	FL_TEXT(path, "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	FL_CHECK(tasks != NULL);
	for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
		FL_TEXT(path, "/proc/%d/task/%.16s/status", pid, task->d_name);
		/* the C library blocks all signals for a moment, while it starts a thread */
		FL_WAIT_FOR(task->d_name[0] == '.' || !blocks_faults(path));
	}
	(void)closedir(tasks);
}

static void ring(void *unused)
{
}

/* Although the thread that starts them blocks all signals. */
FL_TEST(thread_signals_of_faults_are_never_blocked)
{
	if (!fl_test_forks_alone())
		FL_SKIP(FL_TEST_ALONE_REASON); /* it blocks all signals */
	sigset_t all, before;
	FL_SCOPED(fl_executor) *threads = NULL, *loop = NULL, *processes = NULL;
	static fl_timer t = FL_TIMER_INIT;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	int empty[2];
	FL_OK(pipe(empty));
	sigfillset(&all);
	FL_OK(pthread_sigmask(SIG_SETMASK, &all, &before));
	threads = fl_test_executor(fl_thread_executor_create, NULL);
	loop = fl_test_executor(fl_loop_executor_create, NULL);
	processes = FL_TEST_EXECUTOR(process, .workers = 1);
	(void)process_pool_pid(threads);
	(void)process_pool_pid(loop);
	const int worker = process_pool_pid(processes);
	FL_OK(fl_timer_start(&t, fl_after(FL_S(3600)), ring, NULL));
	FL_SCOPED(fl_process) *program = PROCESS_STARTED(PROCESS_COMMAND("sleep", "60"), .daemon = true);
	FL_RC(fl_fd_wait_until(empty[0], FL_FD_IN, fl_test_soon(), &token), -ETIMEDOUT);
	FL_OK(pthread_sigmask(SIG_SETMASK, &before, NULL));
	check_threads(getpid());
	check_threads(worker);
	check_threads(fl__fork_server_pid());
	FL_OK(close(empty[0]) + close(empty[1]));
	FL_OK(fl_timer_cancel(&t));
	FL_OK(fl_process_kill(program));
}

static void preload(void *unused)
{
	FL_OK(fl_process_preload());
	check_threads(fl__fork_server_pid());
}

FL_TEST(thread_signals_of_faults_in_a_preloaded_fork_server)
{
	process_needs_fork();
	FL_IN_CHILD(preload, NULL);
}

static void leave(int signal)
{
	_exit(42);
}

FL_TASK(thread_signals_faults, int, void)
{
	return raise(*arg);
}

static void fault(void *signal_number)
{
	const int number = *(int *)signal_number;
	FL_CHECK(signal(number, leave) != SIG_ERR);
	fl_executor *e = fl_test_executor(fl_thread_executor_create, NULL);
	fl_future *f = FL_SUBMITTED(thread_signals_faults, e, number);
	FL_IGNORE(fl_future_wait(f));
}

FL_TEST(thread_signals_of_a_fault_reach_the_handler)
{
	fl_test_needs_threads_in_children();
	FL_EACH (i, faults) {
		int number = faults[i];
		const int status = fl_test_child(fault, &number, NULL, 0);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 42);
	}
}
