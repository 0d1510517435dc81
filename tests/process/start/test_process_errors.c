/* SPDX-License-Identifier: BSD-2-Clause */
/* Refusals of a start and of the system; each leaves nothing behind. */
#include "core/sync/helper.h"
#include "fl_fds.h"
#include "fl_process.h"
#include "fl_seam.h"
#include "process/base/packet.h"

FL_ALL_NEED(FL_TEST_PROCESSES)

struct large {
	unsigned char bytes[1 << 20];
};

struct medium {
	_Alignas(64) unsigned char bytes[16384];
};

static unsigned sum_of(const unsigned char *bytes, size_t n)
{
	unsigned sum = 0;
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + bytes[i];
	return sum;
}

static struct large large;
static struct medium medium;

FL_TASK(process_takes_large, struct large, long)
{
	*result = 1;
	dprintf(fl_process_fd(0), "%u", sum_of(arg->bytes, sizeof arg->bytes));
	return 0;
}

FL_TASK(process_takes_medium, struct medium, struct medium)
{
	FL_CHECK((uintptr_t)arg % 64 == 0 && (uintptr_t)result % 64 == 0 && result->bytes[16383] == 0);
	dprintf(fl_process_fd(0), "%u", sum_of(arg->bytes, sizeof arg->bytes));
	return 0;
}

FL_TASK(process_adds, int, void)
{
	return *arg;
}

FL_TASK(process_sleeps, void, void)
{
	fl_test_rest();
}

static int start(const fl_process_config *config) /* and frees */
{
	FL_SCOPED(fl_process) *p = NULL;
	int rc = fl_process_start(&p, config);
	FL_CHECK((p == NULL) == (rc != 0));
	return rc;
}

/* A start of that task ends well. */
static void adds_nothing(fl_process_method method)
{
	FL_OK(PROCESS_RUN(.task = &process_adds, .arg = &(int){0}, .method = method).code);
}

/* The processes that this case has started have been collected. */
static void expect_no_child(void)
{
	FL_WAIT_FOR(process_children_of(getpid()) == 0);
}

FL_TEST(process_arguments_of_any_size)
{
	for (size_t i = 0; i < sizeof large.bytes; i++)
		large.bytes[i] = (unsigned char)(i * 7 + i / 251);
	memcpy(medium.bytes, large.bytes, sizeof medium.bytes);
	PROCESS_EACH_METHOD (m) {
		for (int i = 0; i < 2; i++) {
			int out = fl_test_scratch();
			char text[32], expected[32];
			const fl_process_config config = {.task = i ? &process_takes_large : &process_takes_medium,
			                                  .arg = i ? (const void *)&large : &medium,
			                                  .method = m,
			                                  .fds = &out,
			                                  .n_fds = 1};
			assert_int_equal(process_run(&config).code, 0);
			FL_TEXT(expected, "%u",
			        i ? sum_of(large.bytes, sizeof large.bytes)
			          : sum_of(medium.bytes, sizeof medium.bytes));
			fl_test_take(out, text, sizeof text);
			assert_string_equal(text, expected);
		}
	}
}

/* A config, what its start returns, and what the log says. */
struct refused {
	fl_process_config config;
	int rc;
	const char *reason;
};

static void expect_refusals(const struct refused *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		PROCESS_LOG();
		FL_RC(start(&rows[i].config), rows[i].rc);
		process_log_has(rows[i].reason);
	}
}

FL_TEST(process_start_refuses_bad_configs)
{
	const int n = 0, fds[] = {0, 9999};
	const char *const argv[] = {"x", NULL};
	const fl_task_type huge = {.size = sizeof huge, .name = "huge", .arg_size = (size_t)FL_TASK_SIZE_MAX + 1};
	const fl_task_type bytes = {
	    .size = sizeof bytes, .name = "bytes", .arg_size = sizeof(fl_bytes), .drop_arg = FL_BYTES_DROP};
	char name[300] = "";
	memset(name, 'x', sizeof name - 1);
	const struct refused rows[] = {
	    {{0}, -EINVAL, "for nothing: neither a task nor a program: "},
	    {{.task = &process_sleeps, .program = "true"}, -EINVAL, "both a task and a program"},
	    {{.task = &process_sleeps, .argv = argv}, -EINVAL, "`argv` and `env` are for a program"},
	    {{.task = &process_sleeps, .env = argv}, -EINVAL, "`argv` and `env` are for a program"},
	    {{.task = &process_sleeps, .arg = &n}, -EINVAL, "an argument, but the task takes none"},
	    {{.task = &process_sleeps, .method = (fl_process_method)9}, -EINVAL, "an unknown method"},
	    {{.task = &process_adds}, -EINVAL, "for process_adds: no argument, but the task takes 4 bytes: "},
	    {{.task = &huge}, -EINVAL, "the task's argument, result or name is too large"},
	    {{.task = &bytes}, -EINVAL, "a task with fl_bytes, and not FL_PROCESS_FORK"},
	    {{.program = "true", .arg = &n}, -EINVAL, "a program takes `argv`, not `arg`"},
	    {{.program = "true", .method = FL_PROCESS_FORK}, -EINVAL, "a `method` is for a task"},
	    {{.program = "true", .method = FL_PROCESS_EXEC}, -EINVAL, "a `method` is for a task"},
	    {{.program = "true", .n_fds = 1}, -EINVAL, "`n_fds` without `fds`"},
	    {{.program = "true", .fds = &n, .n_fds = FL_PROCESS_FDS_MAX + 1}, -EINVAL, "more descriptors than"},
	    {{.program = "true", .fds = (const int[]){-1}, .n_fds = 1},
	     -EBADF,
	     "descriptor -1, which is fds[0], is not open"},
	    {{.program = "true", .fds = fds, .n_fds = 2}, -EBADF, "descriptor 9999, which is fds[1], is not open"},
	    {{.program = "true", .in = FL_PROCESS_FD(9998)}, -EBADF, "for true: descriptor 9998 of `in` is not open: "},
	    {{.task = &process_sleeps, .out = FL_PROCESS_FD(-1)}, -EBADF, "descriptor -1 of `out` is not open"},
	    {{.program = "true", .err = FL_PROCESS_FD(-1)}, -EBADF, "descriptor -1 of `err` is not open"},
	    {{.program = "true", .err = FL_PROCESS_NULL | 1}, -EBADF, "not a bare number"},
	    {{.program = "true", .err = FL_PROCESS_NULL - 1}, -EBADF, "not a bare number"},
	    {{.program = "true", .out = 1},
	     -EBADF,
	     "`out` takes FL_PROCESS_FD(fd), FL_PROCESS_NULL or FL_PROCESS_PIPE, not a bare number: 1"},
	    {{.program = "true", .in = FL_PROCESS_AS_OUT}, -EBADF, "FL_PROCESS_AS_OUT is for `err`, not for `in`"},
	    {{.program = "true", .cwd = "/nonexistent/x"},
	     -ENOENT,
	     "its directory /nonexistent/x cannot be opened: No such file, directory, name or task"},
	    {{.program = "true", .cwd = "/etc/passwd"}, -ENOTDIR, "its directory /etc/passwd cannot be opened: Not a"},
	    {{.program = "fairlead-no-such-program"}, -ENOENT, "the program cannot be executed: No such"},
	    {{.program = ""}, -ENOENT, "cannot start process"},
	    {{.program = "/nonexistent/x", .argv = argv}, -ENOENT, "cannot start process"},
	    {{.program = name}, -ENAMETOOLONG, "cannot start process"},
	    {{.program = "/etc"}, -EACCES, "cannot start process"},
	    {{.program = "/etc/passwd/x"}, -ENOTDIR, "cannot start process"},
	};
	expect_refusals(rows, sizeof rows / sizeof *rows); /* fl_process_start() */
	FL_RC(start(NULL), -EINVAL);
	/* Not a descriptor: see FL_PROCESS_FD; above all 1 is not /dev/null. */
	for (int bare = 1; bare < 4; bare++) {
		const struct refused each[] = {
		    {{.task = &process_sleeps, .in = bare}, -EBADF, "not a bare number"},
		    {{.task = &process_sleeps, .out = bare}, -EBADF, "not a bare number"},
		    {{.program = "true", .err = bare}, -EBADF, "not a bare number"},
		};
		expect_refusals(each, 3);
	}
	for (fl_process_method m = FL_PROCESS_FORK_SERVER; m <= FL_PROCESS_EXEC; m++)
		expect_refusals(&(struct refused){{.task = &process_sleeps, .method = m, .cwd = "/nonexistent"},
		                                  -ENOENT,
		                                  "its directory /nonexistent cannot be opened: No such"},
		                1);
	expect_no_child();
}

/* The kernel says -ENOENT of a script that exists, if its interpreter does not. */
FL_TEST(process_start_of_a_script_without_its_interpreter)
{
	static const char text[] = "#!/nonexistent/interpreter\n";
	char path[] = "/tmp/fairlead-test-XXXXXX", reason[100];
	const int file = mkstemp(path);
	FL_CHECK(file >= 0 && write(file, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
	FL_OK(fchmod(file, 0700));
	FL_OK(close(file));
	FL_TEXT(reason, "for %s: %s exists, but perhaps not its interpreter", path, path);
	expect_refusals(&(struct refused){{.program = path}, -ENOENT, reason}, 1); /* fl_process_start() */
	/* relative to the new process's directory, not to this one */
	FL_TEXT(reason, "./%s exists, but perhaps not its interpreter", path + 5);
	char relative[sizeof path];
	FL_TEXT(relative, "./%s", path + 5);
	expect_refusals(&(struct refused){{.program = relative, .cwd = "/tmp"}, -ENOENT, reason}, 1);
	FL_OK(unlink(path));
	expect_refusals(&(struct refused){{.program = path}, -ENOENT, "the program cannot be executed: No such"}, 1);
}

FL_TEST(process_start_of_a_task_that_is_not_registered)
{
	const fl_task_type loose = {.size = sizeof loose, .name = "loose", .run = process_sleeps.run};
	const fl_task_type twin = {.size = sizeof twin, .name = "process_sleeps", .run = process_adds.run};
	fl_task_entry entry = {&twin, NULL};
	PROCESS_LOG();
	/* fl_process_start() */
	FL_RC(start(&(fl_process_config){.task = &loose}), -ENOENT);
	FL_RC(start(&(fl_process_config){.task = &twin}), -ENOENT);
	fl_task_register(&entry);
	PROCESS_EACH_METHOD (m) {
		/* fl_process_start() */
		FL_RC(start(&(fl_process_config){.task = &process_sleeps, .method = m, .daemon = true}),
		      m == FL_PROCESS_FORK ? 0 : -EEXIST);
		adds_nothing(m);
	}
	fl_task_unregister(&entry);
	process_log_has("another task is registered under the task's name");
}

/* The name stands for two tasks in the preloaded fork server, and here at first, then no more. */
static void preload_with_two_of_a_name(void *arg)
{
	const fl_process_config ambiguous = {.task = &process_sleeps};
	fl_task_register(arg);
	FL_OK(fl_process_preload());
	FL_RC(start(&ambiguous), -EEXIST);
	fl_task_unregister(arg);
	FL_RC(start(&ambiguous), -EEXIST);
	adds_nothing(FL_PROCESS_FORK_SERVER);
}

FL_TEST(process_preload_with_two_tasks_of_one_name)
{
	const fl_task_type twin = {.size = sizeof twin, .name = "process_sleeps", .run = process_adds.run};
	fl_task_entry entry = {&twin, NULL};
	process_needs_fork();
	FL_IN_CHILD(preload_with_two_of_a_name, &entry);
}

/* Faults. */

FL_TEST_CLONE(fail_clone)
{
	return -EAGAIN;
}

static int fail_again(void)
{
	return -EAGAIN;
}

static int fail_number(int pid)
{
	return -EMFILE;
}

static int fail_pipe(int ends[2])
{
	return -ENFILE;
}

static int fail_open(const char *path, int flags)
{
	return -EMFILE;
}

static void restore_fd_sys(const struct fl__fd_sys *real)
{
	fl_test_put_back(&fl__fd_sys, real, sizeof fl__fd_sys);
}

#define FD_FAULTS() __attribute__((cleanup(restore_fd_sys), unused)) const struct fl__fd_sys real = fl__fd_sys

FL_TEST(process_start_says_what_the_system_said)
{
	expect_no_child();
	PROCESS_FAULTS();
	FD_FAULTS();
	const fl_process_config fork_server = {.task = &process_sleeps}, program = {.program = "true"};
	const fl_process_config exec = {.task = &process_sleeps, .method = FL_PROCESS_EXEC, .daemon = true};
	const fl_process_config big = {.task = &process_takes_large, .arg = &large, .method = FL_PROCESS_EXEC};
	size_t fds = 0;
	for (int round = 0; round < 8; round++) {
		PROCESS_LOG();
		fl__process_sys.clone = fail_clone;
		FL_RC(start(&program), -EAGAIN);
		FL_RC(start(&exec), -EAGAIN);
		process_heal(&process_real);
		fl__process_sys.pipe = fail_pipe;
		FL_RC(start(&program), -ENFILE);
		FL_RC(start(&exec), -ENFILE);
		process_heal(&process_real);
		fl__process_sys.open = fail_open;
		FL_RC(start(&fork_server), -EMFILE);
		process_heal(&process_real);
		fl__fd_sys.pair = fail_pipe;
		FL_RC(start(&fork_server), -ENFILE);
		FL_RC(start(&exec), -ENFILE);
		restore_fd_sys(&real);
		fl__fd_sys.memfd = fl_test_no_memory_fd;
		FL_RC(start(&big), -ENOMEM);
		restore_fd_sys(&real);
		process_log_has("cannot start process");
		if (round == 0)
			fds = fl_test_fds(); /* also those of the fork server and of the thread `watcher` */
	}
	/* The reaper closes the pidfds of what it has reaped. */
	FL_WAIT_FOR(fl_test_fds() <= fds);
	expect_no_child();
}

/*
 * An exit unregisters the tasks while other threads, such as those of a pool, may start processes.
 */
static bool starts_at_exit;

__attribute__((destructor(FL__TASK_PRIORITY - 1))) static void start_at_exit(void)
{
	if (starts_at_exit && start(&(fl_process_config){.task = &process_adds, .arg = &(int){1}}) != -ENOENT)
		_exit(1);
}

static void exit_with_a_start(void *unused)
{
	starts_at_exit = true;
	exit(0);
}

FL_TEST(process_start_at_exit_logs_nothing)
{
	char said[100];
	FL_OK(fl_test_child(exit_with_a_start, NULL, said, sizeof said));
	assert_null(strstr(said, "cannot start")); /* a sanitizer may say something */
}

/* The argument is a memfd, and the kernel would raise SIGXFSZ. */
FL_TEST(process_start_above_the_limit_for_files)
{
	const fl_process_config big = {.task = &process_takes_large, .arg = &large, .method = FL_PROCESS_EXEC};
	fl_process *p = NULL;
	PROCESS_LOG();
	const rlim_t before = fl_test_limit(RLIMIT_FSIZE, 4096);
	const int rc = fl_process_start(&p, &big);
	(void)fl_test_limit(RLIMIT_FSIZE, before);
	process_log_has("cannot start process");
	FL_RC(rc, -EFBIG);
	expect_no_child();
}

/* As if no descriptor were free at the receive. */
static ssize_t receive_no_fds(int socket, struct msghdr *message, int flags)
{
	const ssize_t n = fl_test_real_net_sys.recvmsg(socket, message, flags);
	struct cmsghdr *part = n >= 0 ? CMSG_FIRSTHDR(message) : NULL;
	if (part) {
		int fd;
		memcpy(&fd, CMSG_DATA(part), sizeof fd);
		FL_CHECK(part->cmsg_type == SCM_RIGHTS && close(fd) == 0);
		message->msg_controllen = 0;
		message->msg_flags |= MSG_CTRUNC;
	}
	return n;
}

FL_TEST(process_start_that_gets_no_pidfd_ends_the_process)
{
	const fl_process_config task = {.task = &process_sleeps};
	adds_nothing(FL_PROCESS_FORK_SERVER);
	const size_t fds = fl_test_fds();
	FL_FD_FAULTS();
	fl__net_sys.recvmsg = receive_no_fds;
	PROCESS_LOG();
	FL_RC(start(&task), -EMFILE);
	process_log_has("cannot start process");
	FL_WAIT_FOR(process_children_of(fl__fork_server_pid()) == 0);
	assert_true(fl_test_fds() <= fds); /* the reaper may have closed those of earlier cases */
}

static int receives_in_vain;

static ssize_t receive_without_memory(int socket, struct msghdr *message, int flags)
{
	receives_in_vain++;
	return -ENOMEM;
}

/* The join spun while the report of the end, which was there, could not be received. */
FL_TEST(process_end_that_cannot_be_received)
{
	adds_nothing(FL_PROCESS_FORK_SERVER);
	fl_process *p = PROCESS_STARTED(.task = &process_sleeps);
	FL_FD_FAULTS();
	fl__net_sys.recvmsg = receive_without_memory;
	receives_in_vain = 0;
	assert_true(fl_process_is_alive(p));
	FL_OK(fl_process_kill(p));
	FL_RC(fl_process_join(p, NULL), -ENOMEM);
	assert_true(receives_in_vain < 10);
	assert_false(fl_process_is_alive(p));
	FL_RC(fl_process_stop(p, FL_S(1), NULL), -ENOMEM);
	fl_process_free(p);
}

static int joined_looks;
static int (*count_really)(void);

/* A thread that was joined still counts, for some looks. */
static int count_joined_thread(void)
{
	const int threads = count_really();
	return joined_looks > 0 ? joined_looks--, threads + 1 : threads;
}

FL_TEST(process_fork_says_what_the_system_said)
{
	process_needs_fork();
	PROCESS_FAULTS();
	const fl_process_config fork = {.task = &process_sleeps, .method = FL_PROCESS_FORK, .daemon = true};
	expect_no_child();
	fl__helpers_end(); /* closes what is left of earlier cases */
	process_await_last_thread();
	const size_t fds = fl_test_fds();
	PROCESS_LOG();
	fl__process_sys.fork = fail_again;
	FL_RC(start(&fork), -EAGAIN);
	process_heal(&process_real);
	fl__process_sys.pidfd = fail_number; /* after the fork: the child is ended */
	FL_RC(start(&fork), -EMFILE);
	process_heal(&process_real);
	fl__process_sys.pipe = fail_pipe;
	FL_RC(start(&fork), -ENFILE);
	process_heal(&process_real);
	fl__process_sys.count_threads = fail_again;
	FL_RC(start(&fork), -EAGAIN);
	process_heal(&process_real);
	process_log_has("fork() failed");
	fl__helpers_end();
	process_await_last_thread();
	assert_int_equal(fl_test_fds(), fds);
	assert_int_equal(process_children_of(getpid()), 0);
	joined_looks = 3;
	count_really = process_real.count_threads;
	fl__process_sys.count_threads = count_joined_thread;
	FL_OK(start(&fork));
	assert_int_equal(joined_looks, 0);
	expect_no_child();
}

static void preload_with_faults(void *arg)
{
	PROCESS_FAULTS();
	FD_FAULTS();
	const size_t fds = fl_test_fds();
	fl__process_sys.fork = fail_again;
	FL_RC(fl_process_preload(), -EAGAIN);
	process_heal(&process_real);
	fl__process_sys.pidfd = fail_number;
	FL_RC(fl_process_preload(), -EMFILE);
	process_heal(&process_real);
	fl__fd_sys.pair = fail_pipe;
	FL_RC(fl_process_preload(), -ENFILE);
	restore_fd_sys(&real);
	seam_fail_allocs(0, 1);
	FL_RC(fl_process_preload(), -ENOMEM);
	FL_CHECK(seam_heal() == 0 && fl_test_fds() == fds && process_children_of(getpid()) == 0);
	FL_OK(fl_process_preload());
	FL_OK(fl_process_preload());
	FL_CHECK(process_children_of(getpid()) == 0 && fl_test_fds() == fds + 2);
	adds_nothing(FL_PROCESS_FORK_SERVER);
}

FL_TEST(process_preload_says_what_the_system_said)
{
	char text[2048];
	process_needs_fork();
	FL_OK(fl_test_child(preload_with_faults, NULL, text, sizeof text));
	fl_test_contains(text, "cannot preload the fork server: fork() failed");
}

FL_TEST(process_start_without_memory)
{
	adds_nothing(FL_PROCESS_FORK_SERVER);
	fl__helpers_end(); /* the watcher begins with the first child that is killed, and keeps two descriptors */
	const size_t fds = fl_test_fds();
	const long live = seam_live_allocs();
	for (fl_process_method m = FL_PROCESS_FORK_SERVER; m <= FL_PROCESS_EXEC + 1; m++) {
		if (!process_is_ready(m))
			continue;
		const fl_process_config task = {.task = &process_adds, .arg = &(int){0}, .method = m};
		const fl_process_config program = {.program = "true"};
		fl_process *p = NULL;
		PROCESS_LOG();
		for (unsigned skip_n = 0;; skip_n++) {
			seam_fail_allocs(skip_n, 1);
			int rc = fl_process_start(&p, m > FL_PROCESS_EXEC ? &program : &task);
			bool struck = seam_heal() == 0;
			if (rc == 0) {
				(void)process_end(p);
			}
			if (!struck)
				break;
			FL_RC(rc, -ENOMEM);
		}
	}
	expect_no_child();
	fl__helpers_end();
	assert_int_equal(fl_test_fds(), fds);
	assert_int_equal(seam_live_allocs(), live);
}

FL_TEST(process_fork_with_threads_is_refused)
{
	fl_event stop = FL_EVENT_INIT;
	fl_thread *thread;
	fl_test_go(&thread, (fl_thread_function *)(void *)fl_event_wait, &stop);
	PROCESS_LOG();
	FL_RC(start(&(fl_process_config){.task = &process_sleeps, .method = FL_PROCESS_FORK}), -EDEADLK);
	process_log_has("other threads (");
	fl_event_set(&stop);
	fl_test_end(thread);
}

/* Another thread collects our children. */
FL_TEST(process_with_a_stolen_status)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	fl_process_status status = {77, 77};
	fl_process *p = PROCESS_STARTED(.program = "true");
	FL_WAIT_FOR(process_state(fl_process_pid(p)) == 'Z');
	assert_int_equal(waitpid(fl_process_pid(p), NULL, 0), fl_process_pid(p));
	FL_RC(fl_process_join_until(p, &status, FL_NO_WAIT, NULL), -ECHILD);
	assert_int_equal(status.code, 77);
	assert_false(fl_process_is_alive(p));
	FL_RC(fl_process_kill(p), -ESRCH);
	fl_process_free(p);
	sigaction(SIGCHLD, &ignore, &before);
	p = PROCESS_STARTED(.program = "true");
	FL_RC(fl_process_join(p, &status), -ECHILD);
	fl_process_free(p);
	adds_nothing(FL_PROCESS_FORK_SERVER); /* it does not ignore it */
	sigaction(SIGCHLD, &before, NULL);
}

static int (*real_pidfd)(int pid);

static int pidfd_in_no_hurry(int pid)
{
	/*
	 * The child sleeps until it has its pidfd; one that does not wait for it runs, and ends
	 * soon.
	 */
	FL_WAIT_FOR(process_state(pid) != 'R' && process_state(pid) != 'D');
	return real_pidfd(pid);
}

/* Its child is gone without a trace as soon as it has ended, also when that is at once. */
FL_TEST(process_fork_with_ignored_children)
{
	process_needs_fork();
	PROCESS_FAULTS();
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction before;
	fl_process *p = NULL;
	fl_process_status status;
	real_pidfd = process_real.pidfd;
	fl__process_sys.pidfd = pidfd_in_no_hurry;
	process_await_last_thread();
	sigaction(SIGCHLD, &ignore, &before);
	int started = fl_process_start(
	    &p, &(fl_process_config){.task = &process_adds, .arg = &(int){0}, .method = FL_PROCESS_FORK});
	int joined = started == 0 ? fl_process_join(p, &status) : 0;
	sigaction(SIGCHLD, &before, NULL);
	FL_OK(started);
	FL_RC(joined, -ECHILD);
	fl_process_free(p);
}

/* A child that another thread forks at the same time. It holds all current descriptors open. */
static pid_t holder;

static int rest(void *unused)
{
	fl_test_rest();
}

static void end_holder(void)
{
	fl_test_kill(holder);
}

static int fork_beside_another(void)
{
	holder = fl_test_fork(rest, NULL);
	return fork();
}

FL_TEST(process_fork_beside_another_fork)
{
	PROCESS_FAULTS();
	fl_process_status status;
	int pidfd = -1;
	fl__process_sys.fork = fork_beside_another;
	int pid = fl__fork_with_pidfd(&pidfd);
	if (pid == 0)
		_exit(0);
	assert_true(pid > 0 && pidfd >= 0);
	FL_WAIT_FOR(process_state(pid) == 'Z');
	assert_int_equal(fl__process_reap(pidfd, &status, true), 1);
	end_holder();
	FL_OK(close(pidfd));
}

/*
 * Whether CLONE_VM shares the memory. Emulators fork instead; so does the library under
 * ThreadSanitizer.
 */
#ifdef FL__TSAN
static bool clone_shares_memory(void)
{
	return false;
}
#else
static int set_flag(void *flag)
{
	*(bool *)flag = true;
	return 0;
}

static bool clone_shares_memory(void)
{
	static _Alignas(16) char stack[64 << 10];
	bool shared = false;
	int pid = clone(set_flag, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &shared);
	FL_CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	return shared;
}
#endif

static int (*real_clone)(int (*child)(void *arg), void *stack_end, void *arg, int *pidfd);

FL_TEST_CLONE(clone_beside_another)
{
	holder = fl_test_fork(rest, NULL);
	return real_clone(child, stack_end, arg, pidfd);
}

FL_TEST(process_program_beside_a_fork)
{
	if (!clone_shares_memory())
		FL_SKIP("a clone does not share the memory here");
	PROCESS_FAULTS();
	real_clone = process_real.clone;
	fl__process_sys.clone = clone_beside_another;
	assert_int_equal(PROCESS_RUN(.program = "true").code, 0);
	end_holder();
	expect_refusals(&(struct refused){{.program = "/nonexistent"}, -ENOENT, "cannot start process"}, 1);
	end_holder();
}

/*
 * A thread closes a program that it has written, and starts it, while the child of another start
 * still holds all descriptors.
 */

static uint32_t clones, second_has_ended;
static int gate[2];

/* The first child waits before its exec until the second start sleeps, or has ended. */
FL_TEST_CLONE(clone_slowly)
{
	char go;
	if (fl__add_relaxed(&clones, 1) > 0)
		return real_clone(child, stack_end, arg, pidfd);
	const int pid = fl__fork_with_pidfd(pidfd);
	if (pid == 0) {
		(void)!read(gate[0], &go, 1);
		_exit(child(arg));
	}
	fl__store_release(&clones, 2); /* pairs with the test's look at `clones` */
	FL_WAIT_FOR(seam_sleepers() > 0 || fl__load_acquire(&second_has_ended));
	FL_CHECK(write(gate[1], "", 1) == 1);
	return pid;
}

static int run_true(void *unused)
{
	return PROCESS_RUN(.program = "true").code;
}

FL_TEST(process_program_that_was_just_written)
{
	PROCESS_FAULTS();
	static const char text[] = "#!/bin/true\n";
	char path[] = "/tmp/fairlead-written-XXXXXX";
	const int file = mkostemp(path, O_CLOEXEC);
	fl_process *p = NULL;
	fl_thread *another;
	FL_CHECK(file >= 0 && fchmod(file, 0700) == 0 && write(file, text, sizeof text - 1) == sizeof text - 1);
	FL_OK(pipe2(gate, O_CLOEXEC));
	expect_refusals(
	    &(struct refused){{.program = path}, -ETXTBSY, "the program cannot be executed: Text file busy"}, 1);
	fl__store_relaxed(&clones, 0);
	fl__store_relaxed(&second_has_ended, 0);
	real_clone = process_real.clone;
	fl__process_sys.clone = clone_slowly;
	fl_test_go(&another, run_true, NULL);
	FL_WAIT_FOR(fl__load_acquire(&clones) == 2);
	FL_OK(close(file));
	const int rc = fl_process_start(&p, &(fl_process_config){.program = path});
	fl__store_release(&second_has_ended, 1);
	fl_test_end(another);
	FL_OK(rc);
	assert_int_equal(process_end(p).code, 0);
	FL_OK(unlink(path));
	fl__fds_close(gate, 2);
}

/* A forked child has no process of its parent, and starts its own. */

static const char *const sleep_long[] = {"sleep", "1000", NULL};

static void starts_its_own(void *unused)
{
	FL_CHECK(fl_process_active_children(NULL, NULL) == 0 && fl__fork_server_pid() == 0);
	adds_nothing(FL_PROCESS_FORK_SERVER); /* a fork server of its own */
}

FL_TEST(process_of_the_parent_in_a_forked_child)
{
	fl_process *p[2] = {NULL};
	process_needs_fork(); /* ThreadSanitizer: no new threads after a fork beside threads */
	p[0] = PROCESS_STARTED(.task = &process_sleeps, .daemon = true);
	p[1] = PROCESS_STARTED(.program = "sleep", .argv = sleep_long);
	FL_IN_CHILD(starts_its_own, NULL);
	assert_true(fl_process_is_alive(p[0]) && fl_process_is_alive(p[1]));
	FL_OK(fl_process_kill(p[1]));
	FL_OK(fl_process_join(p[1], NULL));
	fl_process_free(p[0]);
	fl_process_free(p[1]);
	fl_process_free(NULL);
	expect_no_child();
}

/* A process of root, and a parent that has another user by now. */
static void signal_as_another(void *arg)
{
	fl_process *p = PROCESS_STARTED(.task = &process_sleeps, .daemon = true);
	FL_OK(setresuid(61234, 61234, 61234));
	FL_RC(fl_process_signal(p, SIGUSR1), -EPERM);
	FL_RC(fl_process_terminate(p), -EPERM);
	FL_RC(fl_process_kill(p), -EPERM);
	FL_CHECK(fl_process_is_alive(p));
	fl_process_free(p);
}

FL_TEST(process_signal_without_the_right_to)
{
	process_needs_root();
	/* fl_process_signal, terminate, kill: -EPERM. */
	FL_IN_CHILD(signal_as_another, NULL);
}

/*
 * Limits: in a separate process, of a user without another process; this suite has none, either, if
 * it runs twice at a time.
 */

static uid_t somebody(void)
{
	enum { FIRST = 61236, USERS = 4096 }; /* unassigned numbers, which a namespace has */
	return FIRST + (uid_t)getpid() % USERS;
}

/*
 * Again after -ETOOMANYREFS: the system returns it over the limit while other programs of the same
 * user have descriptors in flight. If the descriptors were ours, this would not end.
 */
static int start_in_the_end(fl_process **p, const fl_process_config *config)
{
	int rc;
	while ((rc = fl_process_start(p, config)) == -ETOOMANYREFS)
		(void)poll(NULL, 0, 50); /* each logs it, and the beginning of the log is read */
	return rc;
}

static unsigned start_until_refused(const fl_process_config *config, fl_process **all, unsigned room, int expected)
{
	unsigned n = 0;
	int rc = 0;
	while (n < room && (rc = start_in_the_end(&all[n], config)) == 0)
		n++;
	fprintf(stderr, "%u started, then %s\n", n, fl_error_name(rc));
	FL_CHECK(rc == expected);
	return n;
}

static void end_all(fl_process **all, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		FL_OK(fl_process_kill(all[i]));
		(void)process_end(all[i]);
	}
}

FL_TASK(process_with_few_processes, void, void)
{
	enum { ROOM = 64 };
	fl_process *all[ROOM];
	const fl_process_config task = {.task = &process_sleeps, .daemon = true};
	const fl_process_config exec = {.task = &process_sleeps, .daemon = true, .method = FL_PROCESS_EXEC};
	const fl_process_config program = {.program = "sleep", .argv = sleep_long, .daemon = true};
	FL_OK(setrlimit(RLIMIT_NPROC, &(struct rlimit){16, 16}));
	const uid_t user = somebody();
	FL_OK(setresuid(user, user, user));
	for (int round = 0; round < 3; round++) {
		unsigned n = start_until_refused(&task, all, ROOM, -EAGAIN);
		FL_CHECK(n > 0);
		FL_RC(fl_process_start(&all[n], &exec), -EAGAIN);
		FL_RC(fl_process_start(&all[n], &program), -EAGAIN);
		end_all(all, n);
	}
	FL_CHECK(fl_process_active_children(NULL, NULL) == 0);
	return 0;
}

FL_TASK(process_with_few_descriptors, void, void)
{
	enum { ROOM = 400, FEW = 40, MORE = 256 };
	static fl_process *all[ROOM];
	const fl_process_config task = {.task = &process_sleeps, .daemon = true};
	const fl_process_config program = {.program = "sleep", .argv = sleep_long, .daemon = true};
	FL_OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){FEW, MORE}));
	size_t fds = 0;
	for (int round = 0; round < 3; round++) {
		/*
		 * Here, where each needs two. The fork server, where each needs one, makes room for
		 * another with the new limit.
		 */
		const unsigned n = start_until_refused(&task, all, ROOM, -EMFILE);
		FL_CHECK(round == 0 ? n < FEW : n > FEW);
		end_all(all, n);
		end_all(all, start_until_refused(&program, all, ROOM, -EMFILE));
		FL_WAIT_FOR(round < 2 || fl_test_fds() <= fds);
		fds = fl_test_fds();
		if (round == 0)
			FL_OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){MORE, MORE}));
	}
	return 0;
}

/* The task ends well in a process of its own; what it has said. */
static const char *succeeds_apart(const fl_task_type *task)
{
	int err = fl_test_scratch();
	static char text[1 << 16];
	const fl_process_status status =
	    PROCESS_RUN(.task = task, .method = FL_PROCESS_EXEC, .err = FL_PROCESS_FD(err));
	fl_test_take(err, text, sizeof text);
	if (status.code != 0)
		print_error("%d %d\n%s\n", status.code, status.signal, text);
	assert_int_equal(status.code, 0);
	return text;
}

/* fl_process_start: -EAGAIN, -EMFILE. */
static void run_into(const fl_task_type *limit, bool says_where)
{
	const char *text = succeeds_apart(limit);
	fl_test_contains(text, "cannot start process");
	assert_int_equal(strstr(text, ", in this process\n") != NULL, says_where);
	assert_null(strstr(text, ", in the fork server\n"));
}

FL_TASK(process_answers, void, int)
{
	*result = 42;
	return 0;
}

/* The error of a task; its worker has ended when this returns. */
static int error_of_a_task(fl_executor *e)
{
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(process_answers, e);
	FL_OK(fl_future_wait(f));
	FL_WAIT_FOR(fl_process_executor_pids(e, NULL, 0) == 0);
	return fl_future_error(f);
}

/* The fork server cannot fork, or the worker has no second thread. */
FL_TASK(process_pool_with_few_processes, void, void)
{
	const uid_t user = somebody();
	FL_OK(setresuid(user, user, user));
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .max_tasks = 1);
	for (int round = 0; round < 2; round++) {
		FL_OK(error_of_a_task(e));
		const rlim_t before = fl_test_limit(RLIMIT_NPROC, 0);
		FL_CHECK(error_of_a_task(e) != 0);
		(void)fl_test_limit(RLIMIT_NPROC, before);
	}
	FL_OK(error_of_a_task(e));
	return 0;
}

FL_TEST(process_pool_outlives_a_shortage_of_processes)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	fl_test_need_users(); /* root has no limit */
	(void)succeeds_apart(&process_pool_with_few_processes);
}

FL_TEST(process_limit_of_processes)
{
	fl_test_need_users(); /* root has no limit */
	run_into(&process_with_few_processes, false);
}

FL_TEST(process_limit_of_descriptors)
{
	run_into(&process_with_few_descriptors, true);
}

/*
 * As this process has descriptors in flight, a new fork server with a lower limit cannot send its
 * own pidfd; and one whose limit is lowered later, not that of a new process.
 */
static void start_beside_descriptors_in_flight(void *arg)
{
	enum { IN_FLIGHT = 200, LIMIT = 128 };
	const uid_t user = somebody();
	const fl_process_config config = {.task = &process_sleeps, .daemon = true};
	int sockets[2];
	fl_process *refused = NULL;
	FL_OK(setresuid(user, user, user));
	FL_OK(fl__fd_sys.pair(sockets));
	for (int i = 0; i < IN_FLIGHT; i++)
		FL_OK(fl__packet_send(sockets[0], "x", 1, &sockets[0], 1, FL_FOREVER));
	const rlim_t before = fl_test_limit(RLIMIT_NOFILE, LIMIT);
	FL_RC(fl_process_start(&refused, &config), -ETOOMANYREFS);
	FL_RC(fl_process_preload(), -ETOOMANYREFS);
	(void)fl_test_limit(RLIMIT_NOFILE, before);
	fl_process *p = process_started(&config);
	struct rlimit limit; /* the soft one alone: its processes have the caller's */
	FL_OK(prlimit(fl__fork_server_pid(), RLIMIT_NOFILE, NULL, &limit));
	limit.rlim_cur = LIMIT;
	FL_OK(prlimit(fl__fork_server_pid(), RLIMIT_NOFILE, &limit, NULL));
	FL_CHECK(fl_process_start(&refused, &config) == -ETOOMANYREFS && !refused);
	close(sockets[0]);
	close(sockets[1]);
	end_all(&p, 1);
	FL_OK(start_in_the_end(&p, &config)); /* the kernel may drop the descriptors later */
	end_all(&p, 1);
	FL_WAIT_FOR(process_children_of(fl__fork_server_pid()) == 0);
}

FL_TEST(process_pidfd_that_cannot_be_sent)
{
	fl_test_need_users(); /* root has no limit */
	process_needs_fork(); /* ThreadSanitizer: no new threads after a fork beside threads */
	FL_IN_CHILD(start_beside_descriptors_in_flight, NULL);
}

/* The next process without a handle brings a reaper for both. */
FL_TEST(process_without_a_reaper_is_reaped_later)
{
	fl_process *p[2];
	int pid[2];
	fl__helpers_end();
	FL_EACH (i, p) {
		p[i] = PROCESS_STARTED(.program = "sleep", .argv = sleep_long);
		pid[i] = fl_process_pid(p[i]);
	}
	seam_fail_threads(0, 1);
	fl_process_free(p[0]);
	FL_OK(seam_heal());
	FL_OK(kill(pid[0], SIGKILL));
	FL_WAIT_FOR(process_state(pid[0]) == 'Z');
	fl_process_free(p[1]);
	FL_WAIT_FOR(process_state(pid[0]) == 0);
	FL_OK(kill(pid[1], SIGKILL));
	FL_WAIT_FOR(process_state(pid[1]) == 0);
}

/* A process whose fork server has died: only its pidfd shows its end. */
FL_TEST(process_runs_on_while_no_descriptor_can_be_polled)
{
	fl_process *p = PROCESS_STARTED(.task = &process_sleeps);
	const int fork_server = fl__fork_server_pid();
	FL_OK(kill(fork_server, SIGKILL));
	process_dies(fork_server);
	const rlim_t before = fl_test_limit(RLIMIT_NOFILE, 0);
	const bool alive = fl_process_is_alive(p);
	(void)fl_test_limit(RLIMIT_NOFILE, before);
	assert_true(alive);
	FL_OK(fl_process_kill(p));
	FL_RC(fl_process_join(p, NULL), -EOWNERDEAD);
	fl_process_free(p);
}

/* Without /dev/null. */

static int open_without_null(const char *path, int flags)
{
	return strcmp(path, "/dev/null") == 0 ? -ENOENT : FL__SYS_RESULT(open(path, flags | O_CLOEXEC));
}

FL_TEST(process_without_dev_null)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	PROCESS_FAULTS();
	PROCESS_LOG();
	PROCESS_EACH_METHOD (m)
		adds_nothing(m);
	const struct process_census before = process_census();
	fl__process_sys.open = open_without_null;
	/* What reads nothing reads an end. */
	FL_OK(PROCESS_RUN(.program = "cat", .in = FL_PROCESS_NULL).code);
	FL_OK(fl_process_run(&(fl_process_config){.program = "cat"}, NULL, NULL));
	PROCESS_EACH_METHOD (m)
		adds_nothing(m);
	/* There is nowhere to write to. */
	expect_refusals(&(struct refused){{.program = "true", .in = FL_PROCESS_NULL, .out = FL_PROCESS_NULL},
	                                  -ENODEV,
	                                  "/dev/null cannot be opened: "},
	                1);
	fl_process *p = NULL;
	FL_RC(fl_process_start(&p, &(fl_process_config){.program = "true", .out = FL_PROCESS_NULL}), -ENODEV);
	fl__process_sys.pipe = fail_pipe;
	FL_RC(start(&(fl_process_config){.program = "cat", .in = FL_PROCESS_NULL}), -ENFILE);
	process_same(&before);
}

/* A directory that the user may not enter. */

struct stays {
	char path[64];
};

FL_TASK(process_stays, struct stays, void)
{
	char path[64];
	ssize_t n = readlink("/proc/self/cwd", path, sizeof path - 1);
	FL_CHECK(n > 0);
	path[n] = '\0';
	return strcmp(path, arg->path) == 0 ? 0 : -ENOENT;
}

static void start_in_forbidden_directory(void *directory)
{
	struct stays stays;
	FL_TEXT(stays.path, "%s", (const char *)directory);
	FL_OK(chdir(directory));
	FL_OK(chmod(directory, 0));
	if (geteuid() == 0) {
		FL_OK(setresgid(65534, 65534, 65534));
		FL_OK(setresuid(65534, 65534, 65534));
	}
	FL_CHECK(open(".", O_PATH) < 0 && errno == EACCES);
	FL_OK(PROCESS_RUN(.program = "true").code);
	const fl_process_config exec = {.task = &process_stays, .arg = &stays, .method = FL_PROCESS_EXEC};
	FL_OK(process_run(&exec).code);
	const fl_process_config named = {.task = &process_stays, .arg = &stays, .cwd = stays.path};
	PROCESS_LOG();
	FL_RC(start(&named), -EACCES);
	FL_TEXT(stays.path, "/");
	const fl_process_config server = {.task = &process_stays, .arg = &stays};
	FL_OK(process_run(&server).code);
}

FL_TEST(process_in_a_directory_that_the_user_may_not_enter)
{
	char directory[] = "/tmp/fairlead-forbidden-XXXXXX";
	if (geteuid() == 0)
		process_needs_root();
	FL_CHECK(mkdtemp(directory) == directory);
	const int status = fl_test_child(start_in_forbidden_directory, directory, NULL, 0);
	FL_OK(rmdir(directory));
	assert_int_equal(status, 0);
}

static int refused_directory; /* what open(".") returns */
static int (*real_open)(const char *path, int flags);

static int open_but_directory(const char *path, int flags)
{
	return strcmp(path, ".") == 0 ? refused_directory : real_open(path, flags);
}

/* The file system is gone; or this process lacks what a new descriptor needs, which is an error. */
FL_TEST(process_in_a_directory_that_cannot_be_entered)
{
	static const int gone[] = {-EACCES, -ENOTCONN, -ESTALE, -ENOENT, -EIO}, full[] = {-EMFILE, -ENFILE, -ENOMEM};
	PROCESS_FAULTS();
	PROCESS_LOG();
	const struct stays root = {"/"};
	const fl_process_config server = {.task = &process_stays, .arg = &root};
	real_open = fl__process_sys.open;
	fl__process_sys.open = open_but_directory;
	FL_EACH (i, gone) {
		refused_directory = gone[i];
		FL_OK(process_run(&server).code);
		const fl_process_config named = {.task = &process_stays, .arg = &root, .cwd = "."};
		FL_RC(start(&named), gone[i]);
	}
	FL_EACH (i, full) {
		refused_directory = full[i];
		FL_RC(start(&server), full[i]);
	}
}
