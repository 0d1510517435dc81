/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that waits for any of its children, or has a handler for SIGCHLD, does not notice the
 * fork server.
 */
#include "core/sync/helper.h"
#include "fl_denied_flags.h"
#include "fl_process.h"
#include "process/start/spawn.h"

FL_ALL_NEED(FL_TEST_PROCESSES)

FL_TASK(process_answers, void, void)
{
	return 0;
}

static void start_and_join(void)
{
	FL_OK(PROCESS_RUN(.task = &process_answers).code);
}

/* Runs `body` in a child of this process, with a fork server that is executed, then preloaded. */
static void run(void (*body)(void *preload))
{
	bool preload = true;
	FL_IN_CHILD(body, NULL);
	if (process_can(FL_PROCESS_FORK))
		FL_IN_CHILD(body, &preload);
}

static void begin(const void *preload)
{
	if (preload)
		FL_OK(fl_process_preload());
	start_and_join();
}

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
	signals = signals + 1;
}

static void count_signals(void)
{
	const struct sigaction counting = {.sa_handler = count_signal, .sa_flags = fl_denied_sa_flags()};
	FL_OK(sigaction(SIGCHLD, &counting, NULL));
}

/* Emulators and ThreadSanitizer have no child without a signal. */
static void expect_no_signal(void)
{
	FL_CHECK(signals == 0 || !process_can(FL_PROCESS_FORK));
}

static bool has_no_child(void)
{
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

static void kill_fork_server(void)
{
	const int pid = fl__fork_server_pid(), pidfd = fl__process_sys.pidfd(pid);
	FL_CHECK(pidfd >= 0 && kill(pid, SIGKILL) == 0);
	FL_CHECK(process_readable(pidfd, 60000) && close(pidfd) == 0);
}

static int fork_and_exit(void)
{
	const int pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	return pid;
}

static void run_wait(void *preload)
{
	int n = 0;
	count_signals();
	begin(preload);
	FL_CHECK(has_no_child());
	expect_no_signal();
	for (int i = 0; i < 3; i++)
		(void)fork_and_exit();
	for (int pid; (pid = wait(NULL)) > 0 || errno != ECHILD;)
		n += pid > 0;
	FL_CHECK(n == 3);
	start_and_join();
}

FL_TEST(process_wait_passes_over_the_fork_server)
{
	run(run_wait);
}

/* The end of a fork server sends no signal, and leaves no child. */
static void let_fork_servers_die(const void *preload)
{
	for (int i = 0; i < 3; i++) {
		begin(preload);
		FL_CHECK(process_parent_of(fl__fork_server_pid()) != getpid());
		kill_fork_server();
		FL_CHECK(has_no_child());
	}
}

static void run_death(void *preload)
{
	count_signals();
	let_fork_servers_die(preload);
	expect_no_signal();
}

FL_TEST(process_end_of_a_fork_server_sends_no_signal)
{
	run(run_death);
}

static int start_in_a_forked_child(void *unused)
{
	FL_CHECK(has_no_child());
	start_and_join();
	FL_CHECK(has_no_child());
	return 0;
}

/* A fork server that takes the place of another one, and the one of a forked child. */
static void run_replaced(void *preload)
{
	begin(preload);
	const int first = fl__fork_server_pid();
	FL_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	start_and_join();
	FL_CHECK(fl__fork_server_pid() != first);
	process_dies(first);
	FL_CHECK(has_no_child());
	const int pid = fl_test_fork(start_in_a_forked_child, NULL);
	int status = -1;
	FL_CHECK(wait(&status) == pid && status == 0);
	FL_CHECK(has_no_child());
}

FL_TEST(process_wait_passes_over_a_replaced_fork_server)
{
	fl_test_needs_threads_in_children();
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
		FL_SKIP("the tests were started with no_new_privs, so no test can give up rights so");
	run(run_replaced);
}

/* The end of the library, at an unload or an exit, waits for the end of the fork server. */
static void run_end(void *preload)
{
	for (int i = 0; i < 20; i++) {
		begin(preload);
		const int pid = fl__fork_server_pid();
		fl__helpers_end();
		const char state = process_state(pid);
		FL_CHECK(state == 0 || state == 'Z' || state == 'X');
	}
}

FL_TEST(process_end_of_the_library_waits_for_the_fork_server)
{
	run(run_end);
}

/* SIGCHLD ignored, or a handler that reaps all. */

static void reap_all(int signal)
{
	const int before = errno;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = before;
}

static void run_ignoring(void *preload)
{
	FL_CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	let_fork_servers_die(preload);
}

static void run_reaping(void *preload)
{
	const struct sigaction reap = {.sa_handler = reap_all, .sa_flags = SA_RESTART};
	for (int i = 0; i < 2; i++) {
		FL_OK(sigaction(SIGCHLD, &reap, NULL));
		begin(preload);
		kill_fork_server();
	}
}

FL_TEST(process_beside_a_program_that_reaps_all)
{
	run(run_ignoring);
	run(run_reaping);
}

/* A preload keeps the signal of a child that has ended, reaped or not; the handler runs later. */
static void run_pending(void *unused)
{
	int state = -1;
	sigset_t child, before, after;
	siginfo_t info = {.si_pid = 0};
	FL_OK(sigemptyset(&child));
	FL_OK(sigaddset(&child, SIGCHLD));
	FL_OK(sigprocmask(SIG_BLOCK, &child, &before));
	const int reaped = fork_and_exit();
	FL_CHECK(waitpid(reaped, NULL, 0) == reaped);
	FL_OK(fl_process_preload());
	FL_CHECK(sigtimedwait(&child, &info, &(struct timespec){0}) == SIGCHLD && info.si_pid == reaped);
	kill_fork_server();
	const int pid = fork_and_exit();
	FL_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	FL_OK(fl_process_preload());
	FL_CHECK(sigtimedwait(&child, &info, &(struct timespec){0}) == SIGCHLD && info.si_pid == pid);
	FL_CHECK(wait(NULL) == pid && has_no_child());
	kill_fork_server();
	FL_OK(fl_process_preload());
	FL_CHECK(sigtimedwait(&child, &info, &(struct timespec){0}) == -1 && errno == EAGAIN);
	FL_CHECK(sigprocmask(SIG_SETMASK, &before, &after) == 0 && sigismember(&after, SIGTERM) == 0);
	FL_CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state) == 0 && state == PTHREAD_CANCEL_ENABLE);
}

FL_TEST(process_preload_keeps_pending_signals)
{
	process_needs_fork();
	FL_IN_CHILD(run_pending, NULL);
}

/* A stopped child of a preload, or none that answers, costs the preload its limit, and no more. */

static int fork_and_stop(void)
{
	const int pid = fork();
	if (pid == 0)
		FL_OK(raise(SIGSTOP));
	return pid;
}

/* The second one ends at once. */
static int fork_an_end(void)
{
	static int calls;
	const int pid = fork();
	if (calls++ > 0 && pid == 0)
		_exit(0);
	return pid;
}

static void run_stopped(void *unused)
{
	PROCESS_FAULTS();
	const size_t fds = fl_test_fds();
	fl__process_sys.fork = fork_and_stop;
	fl__process_sys.answer_timeout = FL_MS(20);
	FL_RC(fl_process_preload(), -ETIMEDOUT);
	process_heal(&process_real);
	fl__process_sys.fork = fork_an_end;
	FL_RC(fl_process_preload(), -EPROTO);
	FL_CHECK(has_no_child() && fl_test_fds() == fds);
	process_heal(&process_real);
	begin(&process_real);
}

FL_TEST(process_preload_gives_up)
{
	char text[1024];
	process_needs_fork();
	FL_OK(fl_test_child(run_stopped, NULL, text, sizeof text));
	fl_test_contains(text, "cannot preload the fork server: fork() failed");
}

/* A stopped child that is to run a task: the same. */

static void run_stopped_task(void *unused)
{
	PROCESS_FAULTS();
	fl_process *p = NULL;
	const size_t fds = fl_test_fds();
	const fl_process_config config = {.task = &process_answers, .method = FL_PROCESS_FORK};
	fl__process_sys.fork = fork_and_stop;
	fl__process_sys.answer_timeout = FL_MS(20);
	FL_RC(fl_process_start(&p, &config), -ETIMEDOUT);
	FL_CHECK(p == NULL && has_no_child() && fl_test_fds() == fds);
	process_heal(&process_real);
	FL_OK(process_run(&config).code);
}

FL_TEST(process_fork_gives_up)
{
	process_needs_fork();
	FL_IN_CHILD(run_stopped_task, NULL);
}

/* The parent of an orphan is killed while the orphan uses this process's memory. */

static struct fl__spawn *spawned;
static int held; /* by the orphan */
static char *lost_stack;
static int (*real_poll)(struct pollfd *fds, unsigned n, int64_t timeout);

FL_TEST_CLONE(clone_and_die)
{
	FL_CHECK(pidfd == NULL);
	spawned = arg;
	spawned->shared = true;
	held = dup(spawned->setup.keep);
	FL_CHECK(held >= 0);
	lost_stack = spawned->stack;
	return 1;
}

static int poll_and_leave(struct pollfd *fds, unsigned n, int64_t timeout)
{
	if (spawned && timeout > 0) {
		spawned->stack[0] = 1; /* still mapped */
		FL_OK(close(held));
		spawned = NULL;
	}
	return real_poll(fds, n, timeout);
}

static void run_killed(void *unused)
{
	PROCESS_FAULTS();
	fl_process *p = NULL;
	real_poll = fl__fd_sys.poll;
	fl__process_sys.clone = clone_and_die;
	fl__fd_sys.poll = poll_and_leave;
	FL_RC(fl_process_start(&p, &(fl_process_config){.task = &process_answers}), -EPROTO);
	FL_CHECK(spawned == NULL && p == NULL);
	fl__fd_sys.poll = real_poll;
	process_heal(&process_real);
	start_and_join();
}

static void run_killed_and_silent(void *unused)
{
	PROCESS_FAULTS();
	fl_process *p = NULL;
	fl__process_sys.clone = clone_and_die;
	fl__process_sys.answer_timeout = FL_MS(20);
	FL_RC(fl_process_start(&p, &(fl_process_config){.task = &process_answers}), -ETIMEDOUT);
	lost_stack[0] = 1; /* still mapped */
	FL_OK(close(held));
	process_heal(&process_real);
	start_and_join();
}

FL_TEST(process_start_waits_for_an_orphan_without_a_parent)
{
	FL_IN_CHILD(run_killed, NULL);
	FL_IN_CHILD(run_killed_and_silent, NULL);
}

/* A failed exec leaves nothing at a process that gets orphans. */
static void run_failed(void *unused)
{
	PROCESS_FAULTS();
	fl_process *p = NULL;
	FL_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	count_signals();
	fl__process_sys.program = "/"; /* exists, and cannot be executed */
	FL_RC(fl_process_start(&p, &(fl_process_config){.task = &process_answers}), -EACCES);
	FL_CHECK(has_no_child() && signals == 0);
}

FL_TEST(process_failed_exec_leaves_no_zombie_at_a_subreaper)
{
	process_needs_fork();
	FL_IN_CHILD(run_failed, NULL);
}

/* PID namespaces. */

static void run_in_pid_namespace(void *unused)
{
	if (unshare(CLONE_NEWPID) != 0)
		_exit(77);
	PROCESS_LOG();
	FL_RC(fl_process_preload(), -ENOTSUP);
	process_log_has("another PID namespace");
	FL_CHECK(has_no_child());
}

static int be_the_first_process(void *preload)
{
	FL_CHECK(getpid() == 1);
	for (int i = 0; i < 2; i++) {
		begin(preload);
		fl_process *kept = PROCESS_STARTED(.task = &process_answers);
		const int fork_server = fl__fork_server_pid();
		kill_fork_server();
		begin(preload);
		FL_WAIT_FOR(kill(fork_server, 0) != 0); /* it was reaped */
		fl_process_free(kept);
	}
	return 0;
}

/* The first process gets all orphans, also the fork server. */
static void run_as_first_process(void *preload)
{
	if (unshare(CLONE_NEWPID) != 0)
		_exit(77);
	fl_test_reap(fl_test_fork(be_the_first_process, preload));
}

static void run_as_root(void (*body)(void *preload), void *preload)
{
	process_needs_root();
	const int status = fl_test_child(body, preload, NULL, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		FL_SKIP(FL_TEST_USERS_REASON);
	assert_int_equal(status, 0);
}

FL_TEST(process_preload_in_a_left_pid_namespace_is_refused)
{
	run_as_root(run_in_pid_namespace, NULL);
}

FL_TEST(process_fork_server_of_the_first_process_of_a_namespace)
{
	int preload = 1;
	run_as_root(run_as_first_process, NULL);
	run_as_root(run_as_first_process, &preload);
}

/* Where this process gets the orphans, the fork server ends with the last use of it. */

FL_TASK(process_rests, void, void)
{
	fl_test_rest();
	return 0;
}

FL_TASK(process_doubles, int, int)
{
	*result = 2 * *arg;
	return 0;
}

static void use_pool(fl_executor *e)
{
	fl_future *f = FL_SUBMITTED(process_doubles, e, 21);
	FL_CHECK(fl_test_result(f) == 42);
	fl_future_free(f);
}

static int start_some(void *unused)
{
	for (int i = 0; i < 10; i++)
		start_and_join();
	return 0;
}

static int use_and_expect_no_child(void *unused)
{
	enum { THREADS = 4, CHILDREN = 3 };
	fl_executor *e = NULL, *another = NULL;
	fl_thread *threads[THREADS];
	start_and_join();
	FL_CHECK(has_no_child());
	/* a daemon that runs */
	fl_process_free(PROCESS_STARTED(.task = &process_rests, .daemon = true));
	FL_CHECK(has_no_child());
	/* the last of several pools; processes in between make no other fork server */
	e = fl_test_executor(fl_process_executor_create, NULL);
	FL_CHECK(has_no_child());
	use_pool(e);
	const int fork_server = fl__fork_server_pid();
	another = fl_test_executor(fl_process_executor_create, NULL);
	start_and_join();
	use_pool(another);
	fl_executor_free(e);
	start_and_join();
	FL_CHECK(fork_server > 0 && fl__fork_server_pid() == fork_server && !has_no_child());
	fl_executor_free(another);
	FL_CHECK(has_no_child() && fl__fork_server_pid() == 0);
	/* several threads at once */
	FL_EACH (i, threads)
		fl_test_go(&threads[i], start_some, NULL);
	FL_END_ALL(threads);
	FL_CHECK(has_no_child());
	/* a program that waits for all its children */
	e = fl_test_executor(fl_process_executor_create, NULL);
	use_pool(e);
	fl_executor_free(e);
	int n = 0;
	for (int i = 0; i < CHILDREN; i++) {
		const pid_t pid = fork();
		if (pid == 0)
			_exit(0);
	}
	while (wait(NULL) > 0)
		n++;
	FL_CHECK(n == CHILDREN);
	return 0;
}

static void run_as_subreaper(void *unused)
{
	FL_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	FL_OK(use_and_expect_no_child(NULL));
	/* a preloaded fork server stays */
	process_await_last_thread();
	FL_OK(fl_process_preload());
	start_and_join();
	FL_CHECK(fl__fork_server_pid() > 0 && !has_no_child());
}

static void run_all_as_first_process(void *unused)
{
	if (unshare(CLONE_NEWPID) != 0)
		_exit(77);
	fl_test_reap(fl_test_fork(use_and_expect_no_child, NULL));
}

static int late[2]; /* a pipe: its end releases the orphan */
static pid_t late_parent;

/* The orphan's parent lives on until the end of that pipe. Copies this process's memory. */
FL_TEST_CLONE(clone_late)
{
	FL_CHECK(pidfd == NULL);
	FL_OK(pipe2(late, O_CLOEXEC));
	late_parent = fork();
	FL_CHECK(late_parent >= 0);
	if (late_parent > 0)
		return late_parent;
	FL_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	const pid_t pid = fork();
	if (pid == 0)
		_exit(child(arg));
	for (int fd = 0; fd < 1024; fd++)
		if (fd != late[0])
			(void)close(fd);
	char byte;
	_exit(waitpid(pid, NULL, 0) == pid && read(late[0], &byte, 1) == 0 ? 0 : 1);
}

/* When it begins, the fork server is not yet a child of this process. */
static void run_as_subreaper_of_a_late_orphan(void *unused)
{
	PROCESS_FAULTS();
	FL_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	fl__process_sys.clone = clone_late;
	start_and_join();
	FL_CHECK(fl__fork_server_pid() > 0);
	fl_test_close_two(late);
	fl_test_reap(late_parent);
	FL_CHECK(!has_no_child());
	start_and_join();
	FL_CHECK(has_no_child() && fl__fork_server_pid() == 0);
}

FL_TEST(process_fork_server_that_becomes_a_child_late_ends_with_its_last_use)
{
	process_needs_fork();
	FL_IN_CHILD(run_as_subreaper_of_a_late_orphan, NULL);
}

/* The last use waits for the end of the fork server, which a stopped one could not reach. */
static void run_as_subreaper_of_a_stopped_one(void *unused)
{
	PROCESS_FAULTS();
	FL_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	fl_process *p = PROCESS_STARTED(.task = &process_answers);
	FL_OK(fl_process_join(p, NULL));
	fl__process_sys.answer_timeout = FL_S(1000000);
	FL_OK(kill(fl__fork_server_pid(), SIGSTOP));
	fl_process_free(p);
	FL_CHECK(has_no_child() && fl__fork_server_pid() == 0);
}

FL_TEST(process_fork_server_that_is_stopped_ends_with_its_last_use_at_a_subreaper)
{
	process_needs_fork();
	FL_IN_CHILD(run_as_subreaper_of_a_stopped_one, NULL);
}

FL_TEST(process_fork_server_ends_with_its_last_use_at_a_subreaper)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	process_needs_fork();
	FL_IN_CHILD(run_as_subreaper, NULL);
}

FL_TEST(process_fork_server_ends_with_its_last_use_at_the_first_process)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	run_as_root(run_all_as_first_process, NULL);
}

/* A program that this one executes has no child, and gets no signal. */
static void run_exec(void *preload)
{
	begin(preload);
	(void)execl("/bin/sh", "sh", "-c", "read x <\"/proc/$$/task/$$/children\"; test -z \"$x\"", (char *)NULL);
	_exit(1);
}

FL_TEST(process_exec_leaves_no_child)
{
	run(run_exec);
}
