/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent dies, the fork server dies, the fork server is stopped: whatever the processes are
 * doing at the time.
 */
#include "fl_process.h"
#include <linux/futex.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

/* What a daemon is doing when its parent is killed. */
enum doing {
	IN_FUTEX,
	IN_READ,
	SPINNING,
	STOPPED,
	ENDING,    /* in exit(), which does not come to its end */
	DEAF,      /* blocks and ignores what can be */
	A_PARENT,  /* has daemons of its own, by a fork server of its own */
	A_PROGRAM, /* has called exec by itself */
	KINDS
};

/*
 * Descriptors that are passed down: 0, where each process reports its pid; 1, the lifeline: its
 * write end every process holds: its read end returns the end when all are gone, also unknown ones.
 */
enum { REPORT, LIFELINE };

static void report(void)
{
	const int pid = getpid();
	FL_CHECK(write(fl_process_fd(REPORT), &pid, sizeof pid) == (ssize_t)sizeof pid);
}

static void never_end(void)
{
	fl_test_rest();
}

static void start_family(void);

FL_TASK(process_does, int, void)
{
	uint32_t word = 0;
	char c;
	int nowhere[2];
	const char *const argv[] = {"sleep", "1000", NULL};
	if (*arg == DEAF) {
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		for (int s = 1; s < 32; s++)
			(void)signal(s, SIG_IGN);
	}
	if (*arg == A_PARENT)
		start_family();
	report();
	switch (*arg) {
	case IN_FUTEX:
		(void)syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
		break;
	case IN_READ:
		FL_OK(pipe(nowhere));
		FL_IGNORE(read(nowhere[0], &c, 1));
		break;
	case SPINNING:
		for (;;)
			;
	case STOPPED:
		(void)raise(SIGSTOP);
		break;
	case ENDING:
		(void)atexit(never_end);
		exit(0);
	case A_PROGRAM:
		(void)fcntl(fl_process_fd(LIFELINE), F_SETFD, 0);
		(void)execv("/bin/sleep", (char *const *)argv);
		break;
	default:
		break;
	}
	never_end();
	return 0;
}

static fl_process_config member(const int *doing, fl_process_method method)
{
	static int fds[2];
	fds[REPORT] = fl_process_fd(REPORT);
	fds[LIFELINE] = fl_process_fd(LIFELINE);
	return (fl_process_config){
	    .task = &process_does, .arg = doing, .method = method, .daemon = true, .fds = fds, .n_fds = 2};
}

/* Two daemons of a daemon, and a program. */
static void start_family(void)
{
	const int doing = IN_FUTEX;
	fl_process_config config = member(&doing, FL_PROCESS_FORK_SERVER);
	(void)process_started(&config);
	config.method = FL_PROCESS_EXEC;
	(void)process_started(&config);
}

struct plan {
	bool stop_fork_server;
	bool storm; /* goes on starting, so that some have just begun when it is killed */
	fl_process_method method;
};

/* The parent: starts one of each kind, by each method, says that it has, and is killed. */
FL_TASK(process_is_a_parent, struct plan, void)
{
	if (arg->method == FL_PROCESS_FORK)
		FL_OK(fl_process_preload());
	for (int doing = 0; doing < KINDS; doing++) {
		const fl_process_config config = member(&doing, arg->method);
		(void)process_started(&config);
	}
	const int fds[] = {fl_process_fd(LIFELINE)};
	(void)PROCESS_STARTED(PROCESS_COMMAND("sleep", "1000"), .daemon = true, .fds = fds, .n_fds = 1);
	if (arg->stop_fork_server && fl__fork_server_pid() != 0) {
		process_stop(fl__fork_server_pid());
	}
	report();
	const int doing = IN_READ;
	while (arg->storm) {
		fl_process_config config =
		    member(&doing, arg->method == FL_PROCESS_FORK ? FL_PROCESS_FORK_SERVER : arg->method);
		fl_process_free(process_started(&config));
	}
	never_end();
	return 0;
}

/* A process, with those that it starts. */
struct family {
	int reports[2], lifeline[2];
	fl_process *p;
};

static struct family family_start(fl_process_config config)
{
	struct family f;
	FL_OK(pipe2(f.reports, O_CLOEXEC));
	FL_OK(pipe2(f.lifeline, O_CLOEXEC));
	config.fds = (const int[]){[REPORT] = f.reports[1], [LIFELINE] = f.lifeline[1]};
	config.n_fds = 2;
	if (config.program) /* reports by its output */
		config.out = FL_PROCESS_FD(f.reports[1]);
	f.p = process_started(&config);
	FL_OK(close(f.lifeline[1]));
	return f;
}

/* All of them end. */
static void family_ends(const struct family *f)
{
	char c;
	assert_true(process_readable(f->lifeline[0], 60000));
	assert_int_equal(read(f->lifeline[0], &c, 1), 0); /* the end: no process holds the other end */
	FL_OK(close(f->lifeline[0]) + close(f->reports[0]) + close(f->reports[1]));
}

static double kill_parent(const struct plan *plan)
{
	enum { REPORTS = KINDS + 2 + 1 };
	int pid;
	struct family f =
	    family_start((fl_process_config){.task = &process_is_a_parent, .arg = plan, .method = FL_PROCESS_EXEC});
	for (int i = 0; i < REPORTS; i++)
		assert_int_equal(read(f.reports[0], &pid, sizeof pid), sizeof pid);
	const fl_time before = fl_now();
	FL_OK(fl_process_kill(f.p));
	family_ends(&f);
	const double ms = (double)fl_time_diff(fl_now(), before) / 1e6;
	(void)process_end(f.p);
	return ms;
}

static void kill_parents(const struct plan *plan, unsigned rounds)
{
	double most = 0;
	for (unsigned i = 0; i < rounds; i++) {
		const double ms = kill_parent(plan);
		most = ms > most ? ms : most;
	}
	print_message("%u times, all gone after at most %.1f ms\n", rounds, most);
}

FL_TEST(process_parent_killed_with_daemons_in_every_state)
{
	kill_parents(&(struct plan){.method = FL_PROCESS_FORK_SERVER}, fl_test_scaled(20));
}

FL_TEST(process_parent_killed_while_it_starts_daemons)
{
	kill_parents(&(struct plan){.storm = true}, fl_test_scaled(20));
	kill_parents(&(struct plan){.storm = true, .method = FL_PROCESS_EXEC}, fl_test_scaled(10));
}

FL_TEST(process_parent_killed_with_a_fork_server_that_is_stopped)
{
	kill_parents(&(struct plan){.stop_fork_server = true}, fl_test_scaled(10));
}

FL_TEST(process_parent_killed_with_daemons_by_exec)
{
	kill_parents(&(struct plan){.method = FL_PROCESS_EXEC}, fl_test_scaled(10));
}

FL_TASK_DECLARE(process_echoes, void, void)

FL_TASK(process_has_one_that_goes_on, void, void)
{
	const int fds[] = {fl_process_fd(0), fl_process_fd(1)};
	(void)PROCESS_STARTED(.task = &process_echoes, .fds = fds, .n_fds = 2);
	never_end();
	return 0;
}

FL_TASK_DEFINE(process_echoes, void, void)
{
	char c;
	while (read(fl_process_fd(0), &c, 1) == 1)
		FL_CHECK(write(fl_process_fd(1), &c, 1) == 1);
	return 0;
}

/* Groups. */

FL_TASK(process_has_a_child, void, void)
{
	const int child = fork();
	FL_CHECK(child >= 0);
	if (child != 0)
		report();
	never_end();
	return 0;
}

FL_TASK(process_leaves_a_group_to_its_fork_server, void, void)
{
	fl_process_config config = member(NULL, FL_PROCESS_FORK_SERVER);
	config.task = &process_has_a_child;
	config.group = true;
	FL_OK(fl_process_preload());
	(void)process_started(&config);
	never_end();
	return 0;
}

/* A preloaded fork server outlives its parent for a moment, and kills the groups of its daemons. */
FL_TEST(process_group_of_a_daemon_ends_with_the_fork_server)
{
	int pid;
	process_needs_fork();
	struct family f = family_start(
	    (fl_process_config){.task = &process_leaves_a_group_to_its_fork_server, .method = FL_PROCESS_EXEC});
	assert_int_equal(read(f.reports[0], &pid, sizeof pid), sizeof pid);
	FL_OK(fl_process_kill(f.p));
	family_ends(&f); /* neither the daemon nor its child is left */
	(void)process_end(f.p);
}

/* A daemon that leads a group is freed: the whole group ends. */
FL_TEST(process_free_ends_the_group_of_a_daemon)
{
	const fl_process_config configs[] = {
	    {PROCESS_COMMAND("sh", "-c", "sleep 1000 & echo; wait"), .daemon = true, .group = true},
	    {.task = &process_has_a_child, .daemon = true, .group = true}};
	FL_EACH (i, configs) {
		char bytes[sizeof(int)];
		struct family f = family_start(configs[i]);
		assert_true(read(f.reports[0], bytes, sizeof bytes) > 0); /* the child runs */
		fl_process_free(f.p);
		family_ends(&f);
	}
}

FL_TEST(process_that_is_no_daemon_outlives_its_parent)
{
	int in[2], out[2];
	char c;
	FL_OK(pipe2(in, O_CLOEXEC));
	FL_OK(pipe2(out, O_CLOEXEC));
	const int fds[] = {in[0], out[1]};
	fl_process *p =
	    PROCESS_STARTED(.task = &process_has_one_that_goes_on, .method = FL_PROCESS_EXEC, .fds = fds, .n_fds = 2);
	FL_OK(close(in[0]) + close(out[1]));
	assert_int_equal(write(in[1], "a", 1), 1);
	assert_int_equal(read(out[0], &c, 1), 1);
	FL_OK(fl_process_kill(p));
	(void)process_end(p);
	assert_int_equal(write(in[1], "b", 1), 1);
	assert_int_equal(read(out[0], &c, 1), 1);
	assert_int_equal(c, 'b');
	FL_OK(close(in[1]));
	assert_int_equal(read(out[0], &c, 1), 0); /* it has ended with its input */
	FL_OK(close(out[0]));
}

/* The fork_server. */

FL_TASK(process_waits, void, void)
{
	never_end();
	return 0;
}

static fl_process *start_waiting(bool daemon)
{
	return PROCESS_STARTED(.task = &process_waits, .daemon = daemon);
}

static void kill_fork_server(void)
{
	int pid = fl__fork_server_pid();
	assert_true(pid > 0);
	FL_OK(kill(pid, SIGKILL));
	process_dies(pid);
}

FL_TEST(process_fork_server_killed)
{
	fl_process *daemon = start_waiting(true), *other = start_waiting(false), *ended = start_waiting(false);
	fl_process_status status = {77, 77};
	FL_OK(fl_process_terminate(ended));
	assert_true(process_readable(fl_process_sentinel(ended), 60000));
	kill_fork_server();
	FL_OK(fl_process_join(ended, &status)); /* what was said before counts */
	assert_int_equal(status.signal, SIGTERM);
	FL_RC(fl_process_join(daemon, &status), -EOWNERDEAD); /* waits until this process hears of it */
	FL_RC(fl_process_join_until(daemon, &status, FL_NO_WAIT, NULL), -EOWNERDEAD);
	FL_RC(fl_process_stop(daemon, 0, &status), -EOWNERDEAD);
	FL_RC(fl_process_communicate(daemon, &(fl_process_io){.input = NULL}, &status), -EOWNERDEAD);
	FL_RC(fl_process_kill(daemon), -ESRCH);
	assert_true(process_readable(fl_process_sentinel(other), 60000));
	FL_RC(fl_process_try_join(other, &status), -EAGAIN);
	assert_true(fl_process_is_alive(other));
	FL_RC(FL_WAIT_ANY_UNTIL(fl_after(FL_MS(5)), NULL, FL_ON_PROCESS(other)), -ETIMEDOUT);
	FL_RC(fl_process_join_until(other, &status, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_OK(fl_process_terminate(other));
	FL_OK(FL_WAIT_ANY(FL_ON_PROCESS(other)));
	FL_RC(fl_process_join(other, &status), -EOWNERDEAD);
	assert_false(fl_process_is_alive(other));
	fl_process *again = start_waiting(true);
	assert_true(fl_process_is_alive(again));
	FL_OK(fl_process_kill(again));
	FL_OK(fl_process_join(again, &status));
	assert_int_equal(status.signal, SIGKILL);
	fl_process *const all[] = {daemon, other, ended, again};
	FL_EACH (n, all)
		fl_process_free(all[n]);
	FL_WAIT_FOR(process_children_of(getpid()) == 0);
}

FL_TASK(process_says_that_it_ran, void, void)
{
	FL_CHECK(write(fl_process_fd(0), "x", 1) == 1);
	return 0;
}

/* A start gives up; and when the fork server continues, the abandoned requests are not executed. */
FL_TEST(process_fork_server_stopped)
{
	PROCESS_FAULTS();
	int out[2];
	char c;
	FL_OK(pipe2(out, O_CLOEXEC));
	fl_process *p = start_waiting(true), *q = NULL;
	const int fork_server = fl__fork_server_pid();
	const fl_process_config config = {.task = &process_says_that_it_ran, .fds = &out[1], .n_fds = 1};
	process_stop(fork_server);
	fl__process_sys.answer_timeout = FL_MS(20);
	PROCESS_LOG();
	FL_RC(fl_process_start(&q, &config), -ETIMEDOUT);
	FL_RC(fl_process_start(&q, &config), -ETIMEDOUT);
	process_log_has("is it stopped?");
	process_heal(&process_real);
	FL_OK(fl_process_kill(p));
	/* Not collected: the fork server is stopped. */
	FL_WAIT_FOR(process_state(fl_process_pid(p)) == 'Z');
	FL_RC(fl_process_try_join(p, NULL), -EAGAIN);
	FL_OK(kill(fork_server, SIGCONT));
	(void)process_end(p);
	p = start_waiting(true); /* behind the two in the fork server's queue */
	assert_int_equal(fl__fork_server_pid(), fork_server);
	FL_WAIT_FOR(process_children_of(fork_server) == 1);
	FL_OK(close(out[1]));
	assert_int_equal(read(out[0], &c, 1), 0);
	FL_OK(close(out[0]));
	fl_process_free(p);
}

static int start_one(void *arg)
{
	fl_process *p = NULL;
	int rc = fl_process_start(&p, &(fl_process_config){.task = &process_waits, .daemon = true});
	fl_process_free(p);
	return rc;
}

static ssize_t (*real_send)(int socket, const struct msghdr *message);
static unsigned sent;

static ssize_t count_sent(int socket, const struct msghdr *message)
{
	const ssize_t n = real_send(socket, message);
	if (n > 0)
		fl__add_release(&sent, 1); /* pairs with the acquire in the test */
	return n;
}

/* It dies with requests in its queue. */
FL_TEST(process_fork_server_killed_during_a_start)
{
	fl_process *p = start_waiting(true);
	const int fork_server = fl__fork_server_pid();
	fl_thread *threads[4];
	process_stop(fork_server);
	real_send = fl__net_sys.sendmsg;
	sent = 0;
	fl__net_sys.sendmsg = count_sent;
	FL_EACH (i, threads)
		fl_test_go(&threads[i], start_one, NULL);
	/* A later start would make another fork server. */
	FL_WAIT_FOR(fl__load_acquire(&sent) == 4);
	PROCESS_LOG();
	FL_OK(kill(fork_server, SIGKILL));
	FL_EACH (i, threads) {
		int rc = 77;
		FL_OK(fl_thread_join(threads[i], &rc));
		FL_RC(rc, -EOWNERDEAD); /* of fl_process_start() */
	}
	fl__net_sys.sendmsg = real_send;
	process_log_has("no reply");
	FL_RC(fl_process_join(p, NULL), -EOWNERDEAD);
	fl_process_free(p);
	FL_OK(start_one(NULL));
}

FL_TEST(process_freed_while_it_runs)
{
	int out[2];
	char c;
	for (int i = 0; i < 4; i++) {
		int in[2];
		FL_OK(pipe2(out, O_CLOEXEC));
		FL_OK(pipe2(in, O_CLOEXEC));
		const int fds[] = {in[0], out[1]};
		const bool daemon = i % 2;
		const fl_process_config task = {.task = &process_echoes, .fds = fds, .n_fds = 2, .daemon = daemon};
		const fl_process_config program = {PROCESS_COMMAND("sh", "-c", "read x"), .in = FL_PROCESS_FD(in[0]),
		                                   .fds = fds, .n_fds = 2, .daemon = daemon};
		fl_process *p = process_started(i < 2 ? &task : &program);
		const int pid = fl_process_pid(p);
		FL_OK(close(in[0]) + close(out[1]));
		fl_process_free(p);
		if (!daemon)
			assert_true(process_state(pid) != 0 && process_state(pid) != 'Z');
		if (!daemon)
			FL_OK(close(in[1]));
		assert_int_equal(read(out[0], &c, 1), 0); /* it has ended */
		FL_WAIT_FOR(process_state(pid) == 0);     /* and is no zombie */
		if (daemon)
			FL_OK(close(in[1]));
		FL_OK(close(out[0]));
	}
}

/* A daemon and the thread that started it. */

struct thread_start {
	const fl_process_config *config;
	fl_process *p;
	int thread;
};

static void *start_in_a_thread(void *arg)
{
	struct thread_start *s = arg;
	s->thread = (int)syscall(SYS_gettid);
	s->p = process_started(s->config);
	return NULL;
}

/* Starts a process from a thread, and returns after the kernel has forgotten the thread. */
static fl_process *start_from_a_thread(const fl_process_config *config)
{
	struct thread_start s = {.config = config};
	char path[64];
	(void)fl_test_foreign(start_in_a_thread, &s);
	FL_TEXT(path, "/proc/self/task/%d", s.thread);
	FL_WAIT_FOR(access(path, F_OK) != 0);
	return s.p;
}

FL_TASK(process_echoes_a_byte, void, void)
{
	char c;
	FL_CHECK(read(STDIN_FILENO, &c, 1) == 1 && write(STDOUT_FILENO, &c, 1) == 1);
	return 0;
}

FL_TEST(process_daemon_outlives_the_thread_that_started_it)
{
	fl_process_config configs[] = {{.program = "cat"},
	                               {.task = &process_echoes_a_byte, .method = FL_PROCESS_EXEC},
	                               {.task = &process_echoes_a_byte, .method = FL_PROCESS_FORK_SERVER}};
	FL_EACH (i, configs) {
		char c = 'x';
		configs[i].daemon = true;
		configs[i].in = configs[i].out = FL_PROCESS_PIPE;
		fl_process *p = start_from_a_thread(&configs[i]);
		assert_int_equal(write(fl_process_pipe(p, 0), &c, 1), 1);
		(void)close(fl_process_take_pipe(p, 0));
		assert_true(process_readable(fl_process_pipe(p, 1), -1));
		assert_int_equal(read(fl_process_pipe(p, 1), &c, 1), 1);
		assert_int_equal(process_end(p).code, 0);
	}
}

/* Pipes: the end of the daemon, the end of a forked child. */
struct fork_beside {
	int daemon_ends[2], child_goes[2];
};

/* Starts a daemon, forks a child that goes on, and is killed. */
static void start_daemon_and_die(void *arg)
{
	const struct fork_beside *f = arg;
	fl_process_config config = {PROCESS_COMMAND("sleep", "1000"), .daemon = true, .fds = &f->daemon_ends[1],
	                            .n_fds = 1};
	(void)start_from_a_thread(&config);
	FL_OK(close(f->child_goes[1]));
	const pid_t child = fork();
	FL_CHECK(child >= 0);
	if (child == 0) {
		char c;
		FL_OK(close(f->daemon_ends[1]));
		(void)alarm(60);
		FL_IGNORE(read(f->child_goes[0], &c, 1));
		_exit(0);
	}
	(void)raise(SIGKILL);
}

FL_TEST(process_daemon_of_an_ended_thread_ends_with_the_process_beside_a_forked_child)
{
	struct fork_beside f;
	char c;
	process_needs_fork();
	FL_OK(pipe2(f.daemon_ends, O_CLOEXEC));
	FL_OK(pipe2(f.child_goes, O_CLOEXEC));
	fl_test_child_dies(start_daemon_and_die, &f, SIGKILL, NULL);
	FL_OK(close(f.daemon_ends[1]));
	assert_int_equal(read(f.daemon_ends[0], &c, 1), 0);
	FL_OK(close(f.child_goes[0]));
	FL_OK(close(f.child_goes[1]));
	FL_OK(close(f.daemon_ends[0]));
}
