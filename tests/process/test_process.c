/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes: what each way to start them has in common, and how they end. */
#include "fl_process.h"

#include <inttypes.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

struct ending {
	int code;   /* returned */
	int exits;  /* exit() with that; 0: it returns */
	int signal; /* to itself; 0: none */
};

FL_TASK(process_ends, struct ending, void)
{
	if (arg->signal)
		(void)raise(arg->signal);
	if (arg->exits)
		exit(arg->exits);
	return arg->code;
}

FL_TASK(process_waits_for_a_signal, void, void)
{
	fl_test_rest();
}

static fl_process *start_waiting(fl_process_method method, bool daemon)
{
	return PROCESS_STARTED(.task = &process_waits_for_a_signal, .method = method, .daemon = daemon);
}

static void ends_with(const fl_process_config *config, int code, int signal)
{
	const fl_process_status got = process_run(config);
	if (got.code != code || got.signal != signal)
		fail_msg("code %d, signal %d; expected %d, %d", got.code, got.signal, code, signal);
}

/* The handle of a daemon that has ended kept the pipe by which the daemon dies with this process. */
FL_TEST(process_daemon_that_has_ended_keeps_no_more_descriptors_than_another)
{
	unsigned fds[3] = {fl_test_fds()};
	fl_process *p[2];
	for (int daemon = 0; daemon < 2; daemon++) {
		p[daemon] = PROCESS_STARTED(PROCESS_COMMAND("sleep", "0"), .daemon = daemon);
		FL_OK(fl_process_join(p[daemon], NULL));
		fds[daemon + 1] = fl_test_fds();
	}
	assert_int_equal(fds[2] - fds[1], fds[1] - fds[0]);
	fl_process_free(p[0]);
	fl_process_free(p[1]);
	assert_int_equal(fl_test_fds(), fds[0]);
}

FL_TEST(process_exit_codes)
{
	PROCESS_EACH_METHOD (m) {
		static const struct {
			struct ending ending;
			int code, signal;
		} rows[] = {{{0, 0, 0}, 0, 0},
		            {{5, 0, 0}, 1, 0},
		            {{-EIO, 0, 0}, 1, 0},
		            {{0, 3, 0}, 3, 0},
		            {{0, 0x1ff, 0}, 255, 0},
		            {{0, 0, SIGKILL}, -1, SIGKILL},
		            {{0, 0, SIGTERM}, -1, SIGTERM},
		            {{0, 0, SIGPIPE}, -1, SIGPIPE}};
		FL_EACH (i, rows)
			ends_with(
			    &(fl_process_config){
				.task = &process_ends, .arg = &rows[i].ending, .method = m, .err = FL_PROCESS_NULL},
			    rows[i].code, rows[i].signal);
	}
}

FL_TEST(process_program_exit_codes)
{
	ends_with(&(fl_process_config){PROCESS_COMMAND("sh", "-c", "exit 7")}, 7, 0);
	ends_with(&(fl_process_config){PROCESS_COMMAND("/bin/sh", "-c", "kill -9 $$"), .daemon = true}, -1, SIGKILL);
	ends_with(&(fl_process_config){.program = "true"}, 0, 0);
	ends_with(&(fl_process_config){.program = "false"}, 1, 0);
}

FL_TEST(process_terminate_kill_signal)
{
	PROCESS_EACH_METHOD (m) {
		FL_SCOPED(fl_process) *p = start_waiting(m, true), *q = start_waiting(m, false);
		fl_process_status status;
		FL_RC(fl_process_signal(p, 0), -EINVAL);
		FL_RC(fl_process_signal(p, -1), -EINVAL);
		FL_RC(fl_process_signal(p, 1000), -EINVAL);
		FL_OK(fl_process_signal(p, SIGSTOP));
		FL_WAIT_FOR(process_state(fl_process_pid(p)) == 'T');
		FL_OK(fl_process_signal(p, SIGCONT));
		FL_OK(fl_process_terminate(p));
		FL_OK(fl_process_join(p, &status));
		assert_int_equal(status.signal, SIGTERM);
		FL_OK(fl_process_kill(q));
		FL_OK(fl_process_join(q, &status));
		assert_int_equal(status.signal, SIGKILL);
		FL_RC(fl_process_terminate(p), -ESRCH);
		FL_RC(fl_process_kill(p), -ESRCH);
		FL_RC(fl_process_signal(q, SIGUSR1), -ESRCH);
	}
}

FL_TEST(process_sentinel_is_readable_exactly_from_the_end_on)
{
	PROCESS_EACH_METHOD (m) {
		FL_SCOPED(fl_process) *p = start_waiting(m, false);
		int fd = fl_process_sentinel(p);
		assert_true(fd > 2);
		assert_false(process_readable(fd, 0));
		FL_OK(fl_process_terminate(p));
		assert_true(process_readable(fd, 60000));
		FL_OK(fl_process_try_join(p, NULL)); /* so its status is known */
		assert_true(process_readable(fd, 0));
		FL_OK(fl_process_join(p, NULL));
		assert_true(process_readable(fd, 0));
	}
	FL_SCOPED(fl_process) *p = PROCESS_STARTED(.program = "cat", .in = FL_PROCESS_NULL, .out = FL_PROCESS_NULL);
	assert_true(process_readable(fl_process_sentinel(p), 60000));
	FL_OK(fl_process_try_join(p, NULL));
}

FL_TEST(process_names_and_pids)
{
	PROCESS_EACH_METHOD (m) {
		const struct ending ending = {0, 0, 0};
		char longer[100];
		memset(longer, 'x', sizeof longer);
		longer[99] = '\0';
		fl_process_config config = {.task = &process_ends, .arg = &ending, .method = m, .name = "a name"};
		FL_SCOPED(fl_process) *p = process_started(&config);
		config.name = NULL;
		FL_SCOPED(fl_process) *q = process_started(&config);
		config.name = longer;
		FL_SCOPED(fl_process) *r = process_started(&config);
		assert_string_equal(fl_process_name(p), "a name");
		assert_memory_equal(fl_process_name(q), "process-", 8);
		assert_int_equal(strlen(fl_process_name(r)), FL_PROCESS_NAME_MAX);
		assert_true(fl_process_pid(p) > 0 && fl_process_pid(p) != fl_process_pid(q));
		FL_OK(fl_process_join(p, NULL));
		FL_OK(fl_process_join(q, NULL));
		FL_OK(fl_process_join(r, NULL));
	}
}

struct seen {
	const fl_process *processes[8];
	size_t n;
};

static void note(fl_process *p, void *arg)
{
	struct seen *seen = arg;
	FL_CHECK(fl_process_is_alive(p) && fl_process_pid(p) > 0);
	if (seen->n < 8)
		seen->processes[seen->n++] = p;
}

FL_TEST(process_active_children_are_those_that_run)
{
	struct seen seen = {{NULL}, 0};
	assert_int_equal(fl_process_active_children(NULL, NULL), 0);
	FL_SCOPED(fl_process) *p = start_waiting(FL_PROCESS_FORK_SERVER, false),
			      *q = start_waiting(FL_PROCESS_EXEC, true);
	assert_int_equal(fl_process_active_children(note, &seen), 2);
	assert_ptr_equal(seen.processes[0], p);
	assert_ptr_equal(seen.processes[1], q);
	FL_OK(fl_process_kill(p));
	FL_OK(fl_process_join(p, NULL));
	seen.n = 0;
	assert_int_equal(fl_process_active_children(note, &seen), 1);
	assert_ptr_equal(seen.processes[0], q);
}

/* What a task finds. */

struct finds {
	int parent;
	bool fork_server;
	char cwd[64];
};

FL_TASK(process_looks_around, struct finds, int)
{
	char cwd[64];
	sigset_t blocked;
	struct sigaction action;
	FL_CHECK(strcmp(fl_process_current_name(), "around") == 0);
	FL_CHECK(fl_process_fd_count() == 2 && fl_process_fd(2) == -EBADF);
	FL_CHECK(fl_task_token(ctx) == fl_cancel_scope_current() && !fl_task_is_cancelled(ctx));
	FL_CHECK(*result == 0);
	FL_CHECK(getcwd(cwd, sizeof cwd) && strcmp(cwd, arg->cwd) == 0);
	FL_OK(pthread_sigmask(SIG_SETMASK, NULL, &blocked));
	for (int s = 1; s < 32; s++)
		FL_CHECK((sigismember(&blocked, s) == 1) == (s == SIGUSR2));
	FL_CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	FL_CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	FL_CHECK((getppid() == arg->parent) == !arg->fork_server);
	FL_CHECK(getenv("FAIRLEAD_PROCESS") == NULL);
	FL_CHECK(fl_test_fds() == 5); /* three streams, two handed over */
	char text[8] = {0};
	FL_CHECK(read(fl_process_fd(0), text, sizeof text) == 5 && memcmp(text, "hello", 5) == 0);
	FL_CHECK(write(fl_process_fd(1), "there", 5) == 5);
	FL_CHECK(fcntl(fl_process_fd(1), F_GETFD) == FD_CLOEXEC);
	return 0;
}

static void nothing(int signal)
{
}

/* This thread blocks SIGUSR2, has a handler of SIGUSR1, and ignores another signal. */
struct signals_before {
	int ignored;
	sigset_t blocked;
	struct sigaction of_ignored, of_usr1;
};

static void signals_begin(struct signals_before *s, int ignored)
{
	sigset_t set;
	s->ignored = ignored;
	FL_OK(sigaction(ignored, &(struct sigaction){.sa_handler = SIG_IGN}, &s->of_ignored));
	FL_OK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = nothing}, &s->of_usr1));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	FL_OK(pthread_sigmask(SIG_SETMASK, &set, &s->blocked));
}

static void signals_end(const struct signals_before *s)
{
	FL_OK(pthread_sigmask(SIG_SETMASK, &s->blocked, NULL));
	FL_OK(sigaction(s->ignored, &s->of_ignored, NULL));
	FL_OK(sigaction(SIGUSR1, &s->of_usr1, NULL));
}

/* What /proc says of the signals of a program that this process starts. */
static void program_signals(uint64_t *blocked, uint64_t *ignored)
{
	int out = fl_test_scratch();
	char said[300];
	const fl_process_status got =
	    PROCESS_RUN(PROCESS_COMMAND("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"), .out = FL_PROCESS_FD(out));
	assert_int_equal(got.code, 0);
	fl_test_take(out, said, sizeof said);
	assert_int_equal(sscanf(said, "SigBlk: %" SCNx64 " SigIgn: %" SCNx64, blocked, ignored), 2);
}

static uint64_t bit_of(int signal)
{
	return UINT64_C(1) << (signal - 1);
}

/* As after posix_spawn(). */
FL_TEST(process_program_has_the_callers_signals)
{
	struct signals_before before;
	uint64_t blocked, ignored;
	signals_begin(&before, SIGALRM);
	program_signals(&blocked, &ignored);
	signals_end(&before);
	assert_int_equal(blocked, bit_of(SIGUSR2));
	assert_int_equal(ignored & (bit_of(SIGALRM) | bit_of(SIGUSR1)), bit_of(SIGALRM));
	program_signals(&blocked, &ignored);
	assert_int_equal(blocked, 0);
	assert_int_equal(ignored & bit_of(SIGALRM), 0);
}

/* fl_signals_create() blocks SIGTERM for itself. */
FL_TEST(process_program_of_a_program_with_fl_signals)
{
	static const int term[] = {SIGTERM};
	FL_SCOPED(fl_signals) *s = NULL;
	FL_OK(fl_signals_create(&s, term, 1));
	fl_process *p = PROCESS_STARTED(PROCESS_COMMAND("sleep", "60"));
	FL_OK(fl_process_terminate(p));
	assert_int_equal(process_end(p).signal, SIGTERM);
}

FL_TASK(process_ends_its_thread, int, void)
{
	if (*arg == 0)
		pthread_exit(NULL);
	FL_OK(pthread_cancel(pthread_self()));
	pthread_testcancel();
	return 0;
}

/* A process without threads would exit with 0, and with threads it would live on. */
FL_TEST(process_task_that_ends_its_thread_fails)
{
	PROCESS_EACH_METHOD (m) {
		FL_BOTH (is_cancelled) {
			int err = fl_test_scratch();
			char said[300];
			ends_with(&(fl_process_config){.task = &process_ends_its_thread,
			                               .arg = &is_cancelled,
			                               .method = m,
			                               .err = FL_PROCESS_FD(err)},
			          1, 0);
			fl_test_take(err, said, sizeof said);
			fl_test_contains(said, "ends its thread, by pthread_exit() or pthread_cancel()");
		}
	}
}

FL_TASK(process_leaves_a_request, int, void)
{
	FL_OK(pthread_cancel(pthread_self()));
	return *arg;
}

/* The request would end the thread, and the process with 0, where the output is flushed. */
FL_TEST(process_task_that_leaves_a_cancel_pending)
{
	PROCESS_EACH_METHOD (m) {
		FL_BOTH (error)
			ends_with(
			    &(fl_process_config){
				.task = &process_leaves_a_request, .arg = &error, .method = m, .err = FL_PROCESS_NULL},
			    error, 0);
	}
}

FL_TASK(process_ends_its_thread_beside_a_locked_stream, void, void)
{
	process_locks_stdout();
	pthread_exit(NULL);
}

FL_TEST(process_task_that_ends_its_thread_beside_a_locked_stream_fails)
{
	if (FL_TEST_SANITIZED)
		FL_SKIP("a sanitizer's exit waits for the stream");
	ends_with(&(fl_process_config){.task = &process_ends_its_thread_beside_a_locked_stream, .err = FL_PROCESS_NULL},
	          1, 0);
}

static void fork_beside_a_locked_stream(void *unused)
{
	const fl_process_config config = {
	    .task = &process_ends, .arg = &(struct ending){0, 0, 0}, .method = FL_PROCESS_FORK};
	process_locks_stdout();
	process_await_last_thread();
	_exit(process_run(&config).code);
}

FL_TEST(process_fork_beside_a_locked_stream)
{
	if (!process_can(FL_PROCESS_FORK))
		FL_SKIP("a process with another thread cannot be forked");
	FL_IN_CHILD(fork_beside_a_locked_stream, NULL);
}

enum { STARTS = 3 };

static void *start_when_cancelled(void *started)
{
	const struct ending ending = {0, 0, 0};
	const fl_process_config configs[STARTS] = {{.task = &process_ends, .arg = &ending},
	                                           {.task = &process_ends, .arg = &ending, .method = FL_PROCESS_EXEC},
	                                           {.program = "true", .out = FL_PROCESS_NULL}};
	fl_process **p = started;
	FL_OK(pthread_cancel(pthread_self()));
	FL_EACH (i, configs)
		p[i] = process_started(&configs[i]);
	return NULL;
}

FL_TEST(process_start_is_no_cancellation_point)
{
	fl_process *started[STARTS] = {NULL};
	assert_null(fl_test_foreign(start_when_cancelled, started)); /* not PTHREAD_CANCELED */
	FL_EACH (i, started) {
		assert_int_equal(process_end(started[i]).code, 0);
	}
}

FL_TEST(process_task_finds_only_what_it_is_given)
{
	struct signals_before before;
	sigset_t fault;
	signals_begin(&before, SIGPIPE);
	sigemptyset(&fault);
	sigaddset(&fault, SIGBUS);
	FL_OK(pthread_sigmask(SIG_BLOCK, &fault, NULL)); /* not inherited */
	int leak = open("/dev/null", O_RDONLY);          /* not close-on-exec */
	PROCESS_EACH_METHOD (m) {
		int in[2], out[2];
		FL_OK(pipe(in));
		FL_OK(pipe(out));
		struct finds finds = {getpid(), m == FL_PROCESS_FORK_SERVER, ""};
		FL_TEXT(finds.cwd, m == FL_PROCESS_EXEC ? "/usr/bin" : "/usr");
		assert_int_equal(write(in[1], "hello", 5), 5);
		char here[256];
		assert_non_null(getcwd(here, sizeof here));
		FL_OK(chdir("/usr"));
		const int fds[] = {in[0], out[1]};
		const fl_process_status got =
		    PROCESS_RUN(.task = &process_looks_around, .arg = &finds, .method = m, .name = "around",
		                .cwd = m == FL_PROCESS_EXEC ? "bin" : NULL, .fds = fds, .n_fds = 2);
		FL_OK(chdir(here));
		assert_int_equal(got.code, 0);
		char text[8] = {0};
		assert_int_equal(read(out[0], text, sizeof text), 5);
		assert_string_equal(text, "there");
		FL_EACH (i, in)
			FL_OK(close(in[i]) + close(out[i]));
	}
	FL_OK(close(leak));
	signals_end(&before);
	assert_string_equal(fl_process_current_name(), "main");
	assert_int_equal(fl_process_fd_count(), 0);
	FL_RC(fl_process_fd(0), -EBADF);
}

FL_TASK(process_copies_in_to_out_and_err, void, void)
{
	char text[64];
	ssize_t n = read(STDIN_FILENO, text, sizeof text);
	printf("out: %.*s", (int)n, text); /* buffered: flushed at the end */
	fprintf(stderr, "err: %.*s", (int)n, text);
	return 0;
}

static void has_streams(fl_process_config config)
{
	int in[2], out[2];
	char text[64];
	FL_OK(pipe2(in, O_CLOEXEC));
	FL_OK(pipe2(out, O_CLOEXEC));
	assert_int_equal(write(in[1], "hello", 5), 5);
	FL_OK(close(in[1]));
	config.in = FL_PROCESS_FD(in[0]);
	config.out = config.err = FL_PROCESS_FD(out[1]);
	ends_with(&config, 0, 0);
	FL_OK(close(out[1]));
	process_read_all(out[0], text, sizeof text);
	fl_test_contains(text, "out: hello");
	fl_test_contains(text, "err: hello");
	FL_OK(close(in[0]) + close(out[0]));
}

FL_TEST(process_streams)
{
	PROCESS_EACH_METHOD (m)
		has_streams((fl_process_config){.task = &process_copies_in_to_out_and_err, .method = m});
	has_streams(
	    (fl_process_config){PROCESS_COMMAND("sh", "-c", "x=$(cat); printf 'out: %s' $x; printf 'err: %s' $x >&2")});
}

FL_TASK(process_has_no_streams, void, void)
{
	FL_CHECK(fcntl(STDIN_FILENO, F_GETFD) < 0 && errno == EBADF);
	FL_CHECK(fcntl(STDOUT_FILENO, F_GETFD) < 0 && errno == EBADF);
	FL_CHECK(fcntl(STDERR_FILENO, F_GETFD) >= 0);
	return 0;
}

/* Descriptors that the library opens must not be taken for a standard stream. */
static void close_streams_and_start(void *arg)
{
	const fl_process_config config = {.task = &process_has_no_streams, .method = *(fl_process_method *)arg};
	FL_OK(close(STDIN_FILENO));
	FL_OK(close(STDOUT_FILENO));
	for (int i = 0; i < 3; i++) {
		fl_process *p = process_started(&config);
		FL_CHECK(fcntl(STDIN_FILENO, F_GETFD) < 0 && fcntl(STDOUT_FILENO, F_GETFD) < 0);
		FL_CHECK(process_end(p).code == 0);
	}
}

FL_TEST(process_of_a_caller_with_closed_streams)
{
	process_needs_fork(); /* ThreadSanitizer: no new threads after a fork beside threads */
	PROCESS_EACH_METHOD (m) {
		char text[256];
		int status = fl_test_child(close_streams_and_start, &m, text, sizeof text);
		if (status != 0)
			print_error("%s\n", text);
		assert_int_equal(status, 0);
	}
}

FL_TEST(process_program_gets_arguments_environment_directory_and_fds)
{
	int out[2], extra = fl_test_scratch();
	FL_OK(pipe2(out, O_CLOEXEC));
	const char *const env[] = {"MINE=yes", "PATH=/usr/bin:/bin", NULL};
	const fl_process_config config = {
	    PROCESS_COMMAND("sh", "-c", "echo $0 $1 $MINE; pwd; echo extra >&3; ls /proc/self/fd | wc -w", "zero",
	                    "one"),
	    .env = env,
	    .cwd = "/usr",
	    .out = FL_PROCESS_FD(out[1]),
	    .fds = &extra,
	    .n_fds = 1};
	assert_int_equal(process_run(&config).code, 0);
	FL_OK(close(out[1]));
	char text[128];
	process_read_all(out[0], text, sizeof text);
	assert_string_equal(text, "zero one yes\n/usr\n5\n"); /* 0 to 3, and what ls reads */
	fl_test_take(extra, text, sizeof text);
	assert_string_equal(text, "extra\n");
	FL_OK(close(out[0]));
}

FL_TEST(process_failure_is_told_in_one_line)
{
	PROCESS_EACH_METHOD (m) {
		int out[2];
		FL_OK(pipe2(out, O_CLOEXEC));
		const struct ending ending = {-EIO, 0, 0};
		const fl_process_config config = {
		    .task = &process_ends, .arg = &ending, .method = m, .name = "loser", .err = FL_PROCESS_FD(out[1])};
		assert_int_equal(process_run(&config).code, 1);
		FL_OK(close(out[1]));
		char text[256];
		process_read_all(out[0], text, sizeof text);
		fl_test_contains(text, "loser: task process_ends: ");
		fl_test_contains(text, "EIO");
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		FL_OK(close(out[0]));
	}
}

/* Last: a wait with a token starts a thread, and then a fork is refused. */
FL_TEST(process_join_deadline_cancel_and_again)
{
	fl_process *all[FL_PROCESS_EXEC + 1] = {NULL};
	for (fl_process_method m = FL_PROCESS_FORK_SERVER; m <= FL_PROCESS_EXEC; m++)
		all[m] = process_can(m) ? start_waiting(m, false) : NULL;
	for (fl_process_method m = FL_PROCESS_FORK_SERVER; m <= FL_PROCESS_EXEC; m++) {
		FL_SCOPED(fl_process) *p = all[m];
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		fl_process_status status = {77, 77};
		if (!p)
			continue;
		FL_RC(fl_process_try_join(p, &status), -EAGAIN);
		FL_RC(fl_process_join_until(p, &status, fl_now(), NULL), -ETIMEDOUT);
		FL_RC(fl_process_join_until(p, &status, fl_after(FL_MS(2)), FL_SHIELDED), -ETIMEDOUT);
		FL_RC(fl_process_join_until(p, &status, fl_after(FL_MS(2)), &stop), -ETIMEDOUT);
		assert_true(fl_process_is_alive(p));
		fl_cancel_token_request(&stop);
		FL_RC(fl_process_join_until(p, &status, FL_FOREVER, &stop), -ECANCELED);
		FL_CANCEL_SCOPE(&stop);
		FL_RC(fl_process_join(p, &status), -ECANCELED);
		assert_int_equal(status.code, 77);
		FL_OK(fl_process_kill(p));
		FL_OK(fl_process_join_until(p, &status, FL_FOREVER, FL_SHIELDED));
		assert_int_equal(status.signal, SIGKILL);
		assert_int_equal(status.code, -1);
		status.signal = 0;
		FL_OK(fl_process_try_join(p, &status)); /* as often as you like */
		FL_OK(fl_process_join_until(p, NULL, FL_NO_WAIT, &stop));
		FL_OK(fl_process_join(p, NULL));
		assert_int_equal(status.signal, SIGKILL);
		assert_false(fl_process_is_alive(p));
	}
}
