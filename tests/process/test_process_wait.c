/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that waits for any of its children, or has a handler for SIGCHLD, does not notice the
 * fork server.
 */
#include "../support/fl_denied.h"
#include "fl_process.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

FL_TASK(process_answers, void, void)
{
	return 0;
}

static const fl_process_config answer = {.task = &process_answers};

static void start_and_join(void)
{
	fl_process *p = NULL;
	fl_process_status status = {77, 77};
	FL_CHECK(fl_process_start(&p, &answer) == 0);
	FL_CHECK(fl_process_join(p, &status) == 0 && status.code == 0);
	fl_process_free(p);
}

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
	(void)signal;
	signals = signals + 1;
}

static bool has_no_child(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

static bool can_hide;

static int set_flag(void *flag)
{
	*(bool *)flag = true;
	return 0;
}

static void probe(void)
{
#ifndef FL__TSAN
	static _Alignas(16) char stack[64 << 10];
	bool shared = false;
	const int pid = clone(set_flag, stack + sizeof stack, CLONE_VM | CLONE_VFORK, &shared);
	can_hide = pid > 0 && waitpid(pid, NULL, __WALL) == pid && shared;
#endif
}

#define NEEDS_HIDING()                                                                                                 \
	do {                                                                                                           \
		probe();                                                                                               \
		if (!can_hide)                                                                                         \
			FL_SKIP("the emulator or sanitizer has no children without a signal");                         \
	} while (0)

static void run_wait(void *unused)
{
	(void)unused;
	int n = 0;
	FL_CHECK(sigaction(SIGCHLD, &(struct sigaction){.sa_handler = count_signal}, NULL) == 0);
	start_and_join();
	FL_CHECK(has_no_child());
	FL_CHECK(signals == 0);
	for (int i = 0; i < 3; i++) {
		const int pid = fork();
		FL_CHECK(pid >= 0);
		if (pid == 0)
			_exit(0);
	}
	for (;;) {
		const int pid = wait(NULL);
		if (pid < 0 && errno == ECHILD)
			break;
		n += pid > 0;
	}
	FL_CHECK(n == 3);
	start_and_join();
}

FL_TEST(process_wait_passes_over_the_fork_server)
{
	NEEDS_HIDING();
	FL_OK(fl_test_child(run_wait, NULL, NULL, 0));
}

/* The end of a fork server sends no signal, and leaves no zombie. */
static void run_death(void *unused)
{
	(void)unused;
	FL_CHECK(sigaction(SIGCHLD, &(struct sigaction){.sa_handler = count_signal}, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		start_and_join();
		const int fork_server = fl__fork_server_pid(), parent = process_parent_of(fork_server);
		FL_CHECK(parent != getpid() && process_parent_of(parent) == getpid());
		FL_CHECK(kill(fork_server, SIGKILL) == 0);
		FL_WAIT_FOR(process_state(fork_server) == 0 && process_state(parent) == 0);
		FL_CHECK(process_children_of(getpid()) == 0);
	}
	FL_CHECK(signals == 0);
	FL_CHECK(has_no_child());
}

FL_TEST(process_end_of_a_fork_server_sends_no_signal)
{
	NEEDS_HIDING();
	FL_OK(fl_test_child(run_death, NULL, NULL, 0));
}

/* A fork server beside the one that it replaces, and the one of a forked child. */
static void run_replaced(void *unused)
{
	(void)unused;
	fl_process *p = NULL;
	FL_CHECK(fl_process_start(&p, &answer) == 0);
	const int first = fl__fork_server_pid();
	FL_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	start_and_join();
	FL_CHECK(fl__fork_server_pid() != first);
	FL_CHECK(has_no_child());
	const int pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		FL_CHECK(has_no_child());
		start_and_join();
		FL_CHECK(has_no_child());
		_exit(0);
	}
	int status = -1;
	FL_CHECK(wait(&status) == pid && status == 0);
	FL_CHECK(has_no_child());
	fl_process_free(p);
	FL_WAIT_FOR(process_state(first) == 0);
	FL_CHECK(has_no_child());
}

FL_TEST(process_wait_passes_over_a_replaced_fork_server)
{
	NEEDS_HIDING();
	if (!fl_test_children_have_threads())
		FL_SKIP(FL_TEST_CHILDREN_REASON);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
		FL_SKIP("the tests were started with no_new_privs, so no test can give up rights so");
	FL_OK(fl_test_child(run_replaced, NULL, NULL, 0));
}

/* A preloaded one, which begins in the middle of a function of this process. */

enum { DEEP = 2 << 20 };

FL_TASK(process_needs_its_stack, void, void)
{
	volatile char deep[DEEP];
	int state = -1;
	for (size_t i = 0; i < sizeof deep; i += 4096)
		deep[i] = 1;
	FL_CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state) == 0 && state == PTHREAD_CANCEL_ENABLE);
	return deep[0] == 1 ? 0 : -EINVAL;
}

static int forked_for = -1; /* a process that was forked by fork() */

static void note_fork(void)
{
	forked_for = getpid();
}

FL_TASK(process_tells_of_handlers, void, void)
{
	return forked_for == getpid() ? 0 : -EINVAL;
}

static void run_preloaded(void *unused)
{
	(void)unused;
	static const fl_process_config configs[] = {
	    {.task = &process_answers}, {.task = &process_needs_its_stack}, {.task = &process_tells_of_handlers}};
	sigset_t after;
	FL_CHECK(pthread_atfork(NULL, NULL, note_fork) == 0);
	FL_CHECK(sigaction(SIGCHLD, &(struct sigaction){.sa_handler = count_signal}, NULL) == 0);
	FL_CHECK(fl_process_preload() == 0);
	FL_CHECK(sigprocmask(SIG_SETMASK, NULL, &after) == 0 && sigismember(&after, SIGTERM) == 0);
	const int fork_server = fl__fork_server_pid(), parent = process_parent_of(fork_server);
	FL_CHECK(parent != getpid() && process_parent_of(parent) == getpid());
	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
		fl_process *p = NULL;
		fl_process_status status = {77, 77};
		FL_CHECK(fl_process_start(&p, &configs[i]) == 0);
		FL_CHECK(fl_process_join(p, &status) == 0 && status.code == 0);
		fl_process_free(p);
	}
	FL_CHECK(fl__fork_server_pid() == fork_server && has_no_child());
	FL_CHECK(kill(fork_server, SIGKILL) == 0);
	FL_WAIT_FOR(process_state(fork_server) == 0);
	FL_CHECK(signals == 0 && has_no_child());
	FL_CHECK(fl_process_preload() == 0 && fl__fork_server_pid() != fork_server && has_no_child());
}

FL_TEST(process_wait_passes_over_a_preloaded_fork_server)
{
	NEEDS_HIDING();
	if (!process_can(FL_PROCESS_FORK))
		FL_SKIP(FL_TEST_ALONE_REASON);
	FL_OK(fl_test_child(run_preloaded, NULL, NULL, 0));
}

/* SIGCHLD ignored, or a handler that reaps all. */

static void reap_all(int signal)
{
	const int before = errno;
	(void)signal;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = before;
}

static void run_with(void *handler)
{
	FL_CHECK(sigaction(SIGCHLD, handler, NULL) == 0);
	for (int i = 0; i < 2; i++) {
		start_and_join();
		const int fork_server = fl__fork_server_pid(), parent = process_parent_of(fork_server);
		FL_CHECK(has_no_child());
		FL_CHECK(kill(fork_server, SIGKILL) == 0);
		FL_WAIT_FOR(process_state(fork_server) == 0 && process_state(parent) == 0);
	}
}

FL_TEST(process_beside_a_program_that_reaps_all)
{
	NEEDS_HIDING();
	FL_OK(fl_test_child(run_with, &(struct sigaction){.sa_handler = SIG_IGN}, NULL, 0));
	FL_OK(fl_test_child(run_with, &(struct sigaction){.sa_handler = reap_all, .sa_flags = SA_RESTART}, NULL, 0));
}

/* The first process of a PID namespace gets the orphans of all others. */
static void run_as_first_process(void *unused)
{
	(void)unused;
	int status = -1;
	if (unshare(CLONE_NEWPID) != 0)
		_exit(77);
	const int pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		FL_CHECK(getpid() == 1);
		for (int i = 0; i < 2; i++) {
			start_and_join();
			FL_CHECK(has_no_child());
			const int fork_server = fl__fork_server_pid();
			FL_CHECK(kill(fork_server, SIGKILL) == 0);
			FL_WAIT_FOR(kill(fork_server, 0) != 0);
		}
		_exit(0);
	}
	FL_CHECK(waitpid(pid, &status, 0) == pid);
	_exit(status == 0 ? 0 : 1);
}

FL_TEST(process_wait_in_the_first_process_of_a_namespace)
{
	NEEDS_HIDING();
	if (!fl_test_has_users())
		FL_SKIP(FL_TEST_USERS_REASON);
	const int status = fl_test_child(run_as_first_process, NULL, NULL, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		FL_SKIP(FL_TEST_USERS_REASON);
	assert_int_equal(status, 0);
}

/* The process in between keeps no file of the program open, and no directory. */
static void run_between(void *unused)
{
	(void)unused;
	char path[64];
	FL_CHECK(chdir("/tmp") == 0);
	start_and_join();
	const int parent = process_parent_of(fl__fork_server_pid());
	(void)snprintf(path, sizeof path, "/proc/%d/fd", parent);
	DIR *fds = opendir(path);
	unsigned n = 0;
	FL_CHECK(fds != NULL);
	while (readdir(fds))
		n++;
	(void)closedir(fds);
	FL_CHECK(n == 2); /* . and .. */
	char cwd[64];
	(void)snprintf(path, sizeof path, "/proc/%d/cwd", parent);
	FL_CHECK(readlink(path, cwd, sizeof cwd) == 1 && cwd[0] == '/');
}

FL_TEST(process_parent_of_the_fork_server_holds_nothing)
{
	NEEDS_HIDING();
	FL_OK(fl_test_child(run_between, NULL, NULL, 0));
}

/*
 * The process in between keeps the rights of a program that drops its own, and shares the
 * program's memory: so the kernel lets it wait, and no more.
 */

static int status_number(int pid, const char *format)
{
	char path[64], line[256];
	int number = -1;
	(void)snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "r");
	FL_CHECK(file != NULL);
	while (number < 0 && fgets(line, sizeof line, file))
		(void)sscanf(line, format, &number);
	(void)fclose(file);
	return number;
}

static void check_confined(void)
{
	const int fork_server = fl__fork_server_pid(), parent = process_parent_of(fork_server);
	FL_CHECK(parent != getpid());
	FL_CHECK(status_number(parent, "Seccomp: %d") == 2 && status_number(parent, "NoNewPrivs: %d") == 1);
	FL_CHECK(status_number(fork_server, "Seccomp: %d") == status_number(getpid(), "Seccomp: %d"));
	FL_CHECK(status_number(fork_server, "NoNewPrivs: %d") == status_number(getpid(), "NoNewPrivs: %d"));
	/* a stop, after which the kernel restarts the wait */
	FL_CHECK(kill(parent, SIGSTOP) == 0);
	FL_WAIT_FOR(process_state(parent) == 'T');
	FL_CHECK(kill(parent, SIGCONT) == 0);
	FL_WAIT_FOR(process_state(parent) == 'S');
	start_and_join();
	FL_CHECK(fl__fork_server_pid() == fork_server && process_parent_of(fork_server) == parent);
}

static void run_confined(void *preload)
{
	if (preload)
		FL_CHECK(fl_process_preload() == 0);
	start_and_join();
	check_confined();
}

FL_TEST(process_parent_of_the_fork_server_is_confined)
{
	NEEDS_HIDING();
	FL_OK(fl_test_child(run_confined, NULL, NULL, 0));
	if (process_can(FL_PROCESS_FORK))
		FL_OK(fl_test_child(run_confined, &can_hide, NULL, 0));
}

/* Where no process can be confined, there is none that shares the memory. */
static void run_without_filters(void *preload)
{
	if (fl_denied_filter(SYS_prctl, EPERM, 0, 0) != 0)
		_exit(77);
	if (preload)
		FL_CHECK(fl_process_preload() == 0);
	start_and_join();
	FL_CHECK(process_parent_of(fl__fork_server_pid()) == getpid());
	FL_CHECK(process_children_of(getpid()) == 1);
}

FL_TEST(process_fork_server_where_no_filter_can_be_installed)
{
	for (int preload = 0; preload < 2; preload++) {
		if (preload && !process_can(FL_PROCESS_FORK))
			continue;
		const int status = fl_test_child(run_without_filters, preload ? &can_hide : NULL, NULL, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			FL_SKIP("the system has no filters of system calls");
		assert_int_equal(status, 0);
	}
}
