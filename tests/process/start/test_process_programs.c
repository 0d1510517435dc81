/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways to restart a program, and the errors of a program without one: tests/process/program.c.
 */
#include "fl_denials.h"
#include "fl_process.h"

#include "process/start/reexec.h"
#include <elf.h>
#include <link.h>
#include <sys/statvfs.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

static char said[4096], complained[4096];

static const char *path_of(const char *program)
{
	return process_path_beside("process", program);
}

/* Runs a program, which ends well. */
static void run_program(const char *path, const char *const *argv)
{
	int out = fl_test_scratch(), err = fl_test_scratch();
	const fl_process_status status =
	    PROCESS_RUN(.program = path, .argv = argv, .out = FL_PROCESS_FD(out), .err = FL_PROCESS_FD(err));
	fl_test_take(out, said, sizeof said);
	fl_test_take(err, complained, sizeof complained);
	if (status.code != 0 || !strstr(said, "end\n"))
		print_error("%s ended with %d, %d\n%s%s\n", path, status.code, status.signal, said, complained);
	assert_int_equal(status.code, 0);
}

/* The same with one of program.c. */
static void run(const char *program, const char *what, const char *more)
{
	run_program(path_of(program), (const char *const[]){program, what, more, NULL});
}

static void expect(const char *text)
{
	if (!strstr(said, text))
		print_error("expected '%s' in:\n%s%s\n", text, said, complained);
	fl_test_contains(said, text);
}

static void expect_complaint(const char *text)
{
	if (!strstr(complained, text))
		print_error("expected '%s' in:\n%s\n", text, complained);
	fl_test_contains(complained, text);
}

static unsigned count(const char *text)
{
	unsigned n = 0;
	for (const char *at = said; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

FL_TEST(process_without_any_way_is_refused_and_told_how)
{
	run("process-plain", "start", "0");
	expect("start ENOTSUP\nend\n"); /* -ENOTSUP, of fl_process_start() */
	expect_complaint("fl_process_main()");
	expect_complaint("FL_PROCESS_HOOK");
	expect_complaint("fl_process_preload()");
	run("process-plain", "start", "2");
	expect("start ENOTSUP\nend\n");
	expect_complaint("FL_PROCESS_EXEC needs fl_process_main()");
	expect_complaint("fl_process_preload() does not serve this method");
	assert_int_equal(count("task"), 0);
}

static int find_loader(struct dl_phdr_info *module, size_t size, void *path)
{
	for (unsigned i = 0; i < module->dlpi_phnum; i++)
		if (module->dlpi_phdr[i].p_type == PT_INTERP)
			*(const char **)path = (const char *)(module->dlpi_addr + module->dlpi_phdr[i].p_vaddr);
	return 1; /* this program is the first module */
}

/* `ld.so PROGRAM` */
FL_TEST(process_program_started_through_the_loader_is_told)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	static const char *const actions[] = {"executor", "start", "preloaded"};
	const char *loader = NULL;
	char program[600];
	(void)dl_iterate_phdr(find_loader, (void *)&loader);
	if (!loader || !process_can(FL_PROCESS_FORK))
		FL_SKIP("a static program, or an emulator or sanitizer");
	FL_TEXT(program, "%s", path_of("process-main"));
	FL_EACH (i, actions) {
		run_program(loader, (const char *const[]){loader, program, actions[i], "2", NULL});
		if (i == 2) {
			expect("preload 0\nexecutor 0\n49\nend\n");
			continue;
		}
		expect(i == 0 ? "executor ENOTSUP\nend\n" : "start ENOTSUP\nend\n");
		expect_complaint("the loader (ld.so PROGRAM)");
	}
}

/* /proc/self/exe is then Valgrind's own program. */
FL_TEST(process_program_under_valgrind_is_told)
{
	static const char *const actions[] = {"executor", "start"};
	char program[600], command[700];
	FL_TEXT(program, "%s", path_of("process-main"));
	FL_TEXT(command, "valgrind -q %s arguments >/dev/null 2>&1", program);
	if (FL_TEST_SANITIZED || system(command) != 0)
		FL_SKIP("no Valgrind, or none for this program, as under a sanitizer");
	FL_EACH (i, actions) {
		run_program("valgrind", (const char *const[]){"valgrind", "-q", program, actions[i], "2", NULL});
		expect(i == 0 ? "executor ENOTSUP\nend\n" : "start ENOTSUP\nend\n");
		expect_complaint("a run without Valgrind");
	}
}

FL_TASK(process_does_nothing, void, void)
{
	return 0;
}

FL_TASK(process_squares, int, int)
{
	*result = *arg * *arg;
	return 0;
}

static void square_in_an_executor(void)
{
	int nine = 0;
	fl_future *f = NULL;
	FL_SCOPED(fl_executor) *e = fl_test_executor(fl_process_executor_create, NULL);
	FL_CHECK(process_squares_submit(e, 3, &f) == 0 && process_squares_get(f, &nine) == 0 && nine == 9);
	fl_future_free(f);
}

/* As in a chroot, or a container that has none. */
static void work_without_proc(void *unused)
{
	fl_executor *e = NULL;
	fl_process *p = NULL;
	if (fl_test_own_mounts() != 0 || umount2("/proc", MNT_DETACH) != 0)
		_exit(77);
	PROCESS_LOG();
	FL_RC(fl_process_executor_create(&e, NULL), -ENOTSUP);
	for (fl_process_method m = FL_PROCESS_FORK_SERVER; m <= FL_PROCESS_EXEC; m += 2)
		FL_RC(fl_process_start(&p, &(fl_process_config){.task = &process_does_nothing, .method = m}), -ENOTSUP);
	process_log_has("needs /proc/self/exe: is /proc mounted?");
	FL_OK(fl_process_preload());
	for (fl_process_method m = FL_PROCESS_FORK_SERVER; m <= FL_PROCESS_FORK; m++)
		FL_OK(PROCESS_RUN(.task = &process_does_nothing, .method = m).code);
	FL_OK(PROCESS_RUN(.program = "true", .daemon = true).code);
	square_in_an_executor();
}

FL_TEST(process_without_proc)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	process_needs_fork();
	const int status = fl_test_child(work_without_proc, NULL, NULL, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		FL_SKIP(FL_TEST_MOUNTS_REASON);
	assert_int_equal(status, 0);
}

/* Where the main thread has ended, a part of /proc/self is empty. */
static void *work_without_main_thread(void *main_thread)
{
	int ends[2], port = -1;
	char path[64];
	struct stat socket;
	fl_endpoint *o = NULL;
	FL_OK(pthread_join(*(pthread_t *)main_thread, NULL));
	FL_WAIT_FOR(access("/proc/self/exe", F_OK) != 0); /* the kernel ends the thread a little later */
	PROCESS_EACH_METHOD (m)
		FL_OK(PROCESS_RUN(.task = &process_does_nothing, .method = m).code);
	FL_OK(PROCESS_RUN(.program = "true", .daemon = true).code);
	square_in_an_executor();
	FL_TEXT(path, "/tmp/fairlead-test-%d.sock", (int)getpid());
	FL_OK(fl_endpoint_create(&o, path, NULL));
	FL_OK(stat(path, &socket));
	FL_CHECK((socket.st_mode & 0777) == 0600);
	fl_endpoint_free(o);
	FL_CHECK(pipe(ends) == 0 && (port = fl__net_sys.adopt_other(ends[0])) >= 0 && port != ends[0]);
	FL_CHECK(!(fcntl(ends[0], F_GETFL) & O_NONBLOCK));
	_exit(0);
}

static void end_main_thread(void *unused)
{
	static pthread_t main_thread, other;
	main_thread = pthread_self();
	FL_OK(pthread_create(&other, NULL, work_without_main_thread, &main_thread));
	pthread_exit(NULL);
}

FL_TEST(process_after_the_end_of_the_main_thread)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
#ifndef __GLIBC__
	/*
	 * The kernel forgets at a fork where it notes the end of the thread, and musl 1.2.3 does
	 * not tell it again.
	 */
	FL_SKIP("musl hangs in a forked child whose main thread has ended");
#endif
	process_needs_fork();
	FL_IN_CHILD(end_main_thread, NULL);
}

struct way {
	const char *program, *what, *more, *said;
	bool forks; /* this process with its threads */
};

static void try_ways(const struct way *ways, size_t n)
{
	for (const struct way *w = ways; w < ways + n; w++) {
		if (w->forks && !process_can(FL_PROCESS_FORK))
			continue;
		print_message("%s %s\n", w->program, w->what);
		run(w->program, w->what, w->more);
		expect(w->said);
	}
}

FL_TEST(process_by_each_way)
{
	static const struct way ways[] = {{"process-plain", "start", "1", "task 7\nstart 0\nend\n", true},
	                                  {"process-main", "start", "0", "task 7\nstart 0\nend\n", false},
	                                  {"process-main", "start", "2", "task 7\nstart 0\nend\n", false},
	                                  {"process-hook", "start", "0", "task 7\nstart 0\nend\n", false},
	                                  {"process-hook", "start", "2", "task 7\nstart 0\nend\n", false}};
	try_ways(ways, sizeof ways / sizeof *ways);
}

FL_TEST(process_pool_by_each_way)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	static const struct way ways[] = {{"process-plain", "preloaded", NULL, "executor 0\n49\nend\n", true},
	                                  {"process-main", "executor", NULL, "executor 0\n49\nend\n", false},
	                                  {"process-hook", "executor", NULL, "executor 0\n49\nend\n", false}};
	try_ways(ways, sizeof ways / sizeof *ways);
	run("process-plain", "executor", NULL);
	expect("executor ENOTSUP\nend\n"); /* -ENOTSUP, of fl_process_executor_create() */
	expect_complaint("fl_process_main()");
}

FL_TEST(process_preload_before_fifty_threads)
{
	process_needs_fork();
	run("process-plain", "preload", NULL);
	expect("preload 0\nagain 0\n");
	expect("failures 0\nend\n");
	assert_int_equal(count("task 7"), 50);
	run("process-main", "preload", NULL);
	expect("failures 0\nend\n");
	assert_int_equal(count("task 7"), 50);
}

FL_TEST(process_preload_with_threads_is_refused)
{
	run("process-plain", "threads", NULL);
	expect("preload EDEADLK\nend\n"); /* -EDEADLK of fl_process_preload() */
	expect_complaint("other threads (");
}

FL_TEST(process_task_unknown_to_the_fork_server)
{
	run("process-main", "late", NULL);
	expect("late ENOENT\n"); /* -ENOENT of fl_process_start() */
	expect_complaint("task late is registered here");
	expect("late by exec ENOENT\nend\n");
	if (process_can(FL_PROCESS_FORK))
		expect("late by fork 0\n");
}

FL_TEST(process_task_that_is_another_in_the_fork_server)
{
	run("process-main", "other", NULL);
	expect("other EPROTO\n"); /* -EPROTO of fl_process_start() */
	expect_complaint("task changes: build-id ");
	expect_complaint(" in the program executed again; version 0 here, 3 there");
	expect("task 7\nsays 0\nend\n"); /* one task that differs does not harm the others */
}

FL_TEST(process_main_with_odd_arguments)
{
	run("process-main", NULL, NULL);
	expect("arguments 1\n");
	run_program(path_of("process-main"), (const char *const[]){NULL});
	expect("end\n");
}

/* Each copy of the library serves its own tasks, in whichever order their fl_process_main() is called. */
FL_TEST(process_of_each_copy_of_the_library)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	run("process-copies", NULL, NULL);
	expect("copy 1: number 1; 0, 0, 0\n");
	expect("copy 2: number 2; 0, 0, 0\n");
	expect("copy 3: number 3; 0, 0, 0\n");
	run("process-copies-elsewhere", NULL, NULL);
	expect("copy 1: number 1; 0, 0, 0\n");
	expect("copy 2: number 2; 0, 0, 0\n");
}

/* The marker. */

static void make_marker(char *text, size_t size, char role)
{
	(void)snprintf(text, size, FL__REEXEC_VARIABLE "=%c:%d", role, (int)getpid());
}

/*
 * Starts a program with a marker in its environment, and `fd` as its descriptor 3; `said` gets its
 * output.
 */
static fl_process *start_marked(const char *path, const char *marker, int fd, int out)
{
	const char *const env[] = {marker, NULL};
	return PROCESS_STARTED(.program = path, .env = env, .out = FL_PROCESS_FD(out), .fds = &fd,
	                       .n_fds = fd < 0 ? 0 : 1);
}

FL_TEST(process_marker_without_its_socket_is_not_believed)
{
	char marker[64];
	make_marker(marker, sizeof marker, 'f');
	const char *const markers[] = {marker, FL__REEXEC_VARIABLE "=", FL__REEXEC_VARIABLE "=f",
	                               FL__REEXEC_VARIABLE "=f:-3", FL__REEXEC_VARIABLE "=f:1x"};
	FL_EACH (i, markers) {
		int out = fl_test_scratch(), null = open("/dev/null", O_RDWR | O_CLOEXEC);
		fl_process *p = start_marked(path_of("process-main"), markers[i], i % 2 ? -1 : null, out);
		assert_int_equal(process_end(p).code, 0);
		fl_test_take(out, said, sizeof said);
		expect("arguments 1\nend\n");
		FL_OK(close(null));
	}
}

/*
 * Then the program perhaps is a new process whose socket a constructor has closed. If it started
 * the next one, that would start the next one, without end.
 */
FL_TEST(process_marker_without_its_socket_starts_no_process)
{
	static const char *const actions[][4] = {{"process-main", "start", "0", NULL},
	                                         {"process-hook", "start", "2", NULL},
	                                         {"process-main", "executor", NULL}};
	char marker[64];
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	make_marker(marker, sizeof marker, 'f');
	const char *const env[] = {marker, NULL};
	FL_EACH (i, actions) {
		int out = fl_test_scratch();
		const fl_process_config config = {.program = path_of(actions[i][0]),
		                                  .argv = actions[i],
		                                  .env = env,
		                                  .out = FL_PROCESS_FD(out),
		                                  .err = FL_PROCESS_FD(out)};
		assert_int_equal(process_run(&config).code, 0);
		fl_test_take(out, said, sizeof said);
		expect("ENOTSUP\nend\n");
		expect("it is set, and descriptor 3 is no socket in fl_process_main()");
	}
}

static void start_without_getsockopt(void *error)
{
	fl_test_deny(SYS_getsockopt, error);
	static const char *const methods[] = {"0", "2"};
	FL_EACH (i, methods) {
		run("process-main", "start", methods[i]);
		expect("start ENOTSUP\nend\n");
		expect_complaint("getsockopt() is forbidden");
	}
	run("process-main", "executor", NULL);
	expect("end\n");
	expect_complaint("getsockopt() is forbidden");
}

/*
 * The new process asks for its socket by getsockopt(). If that is forbidden, it must not run
 * main().
 */
FL_TEST(process_start_without_getsockopt_is_told)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_WITHOUT(start_without_getsockopt, ENOSYS, EPERM);
}

/* With a true marker, and the socket, it serves: it identifies itself, and ends with the socket. */
FL_TEST(process_marker_with_its_socket_is_believed)
{
	int sockets[2], out = fl_test_scratch();
	char marker[64], hello[256];
	make_marker(marker, sizeof marker, 'f');
	FL_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets));
	FL_SCOPED(fl_process) *p = start_marked(path_of("process-main"), marker, sockets[1], out);
	FL_OK(close(sockets[1]));
	assert_true(recv(sockets[0], hello, sizeof hello, 0) > 0);
	FL_OK(close(sockets[0]));
	FL_OK(fl_process_join(p, NULL));
	fl_test_take(out, said, sizeof said);
	assert_string_equal(said, "");
}

/* A set-uid copy of a program, which the caller unlinks. */
static const char *copy_set_uid(char *copy, int user)
{
	char command[800];
	const int fd = mkstemp(copy);
	FL_CHECK(fd >= 0 && close(fd) == 0);
	FL_TEXT(command, "cp '%s' %s && chown %d %s && chmod 4755 %s", path_of("process-main"), copy, user, copy, copy);
	FL_OK(system(command));
	return copy;
}

/* Why no set-uid program can be tried here; NULL: one can. */
static const char *no_set_uid(void)
{
#ifdef FL__ASAN
	return "LeakSanitizer cannot do its work in a set-uid program";
#endif
	if (!fl_test_has_users())
		return FL_TEST_USERS_REASON;
	struct statvfs tmp;
	FL_OK(statvfs("/tmp", &tmp));
	if (tmp.f_flag & ST_NOSUID)
		return "/tmp is mounted with nosuid";
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
	           ? "no_new_privs: a program gets no other user by being set-uid"
	           : NULL;
}

enum { NOBODY = 65534 };

/*
 * A set-uid program does not accept the same, since its user may be any user; nor does its main()
 * run.
 */
FL_TEST(process_marker_is_refused_in_a_set_uid_program)
{
	char copy[] = "/tmp/fairlead-suid-XXXXXX", marker[64], hello[256];
	if (no_set_uid())
		FL_SKIP(no_set_uid());
	int out = fl_test_scratch(), sockets[2];
	make_marker(marker, sizeof marker, 'f');
	FL_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets));
	const fl_process_status status = process_end(start_marked(copy_set_uid(copy, NOBODY), marker, sockets[1], out));
	FL_OK(unlink(copy));
	assert_true(recv(sockets[0], hello, sizeof hello, 0) > 0);
	FL_OK(close(sockets[0]) + close(sockets[1]));
	fl_test_take(out, said, sizeof said);
	assert_int_equal(status.code, 127);
	assert_string_equal(said, "");
}

static void start_as_nobody(void *program)
{
	FL_OK(setresgid(NOBODY, NOBODY, NOBODY));
	FL_OK(setresuid(NOBODY, NOBODY, NOBODY));
	for (int method = 0; method <= 2; method += 2) {
		char text[8];
		FL_TEXT(text, "%d", method);
		const fl_process_config config = {PROCESS_COMMAND(program, "start", text),
		                                  .out = FL_PROCESS_FD(STDERR_FILENO)};
		FL_OK(process_run(&config).code);
	}
}

/*
 * A set-uid program that starts a process: the fork server would have its rights again, and run
 * main().
 */
FL_TEST(process_start_by_a_set_uid_program_is_told)
{
	char copy[] = "/tmp/fairlead-suid-XXXXXX";
	if (no_set_uid() || !process_can(FL_PROCESS_FORK))
		FL_SKIP(no_set_uid() ? no_set_uid() : FL_TEST_ALONE_REASON);
	(void)copy_set_uid(copy, 0);
	FL_OK(fl_test_child(start_as_nobody, copy, said, sizeof said));
	FL_OK(unlink(copy));
	expect("start ENOTSUP\nend\n");
	expect("this program gets more rights when it is executed");
	assert_int_equal(count("start ENOTSUP\nend\n"), 2);
	assert_int_equal(count("task"), 0);
}

/* Another build. */

/* A copy of this program with one byte of its build-id changed: as if it had been linked anew. */
static void copy_with_other_build_id(char *path)
{
	char buffer[1 << 16];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = mkostemp(path, O_CLOEXEC);
	FL_CHECK(from >= 0 && to >= 0);
	ssize_t n;
	while ((n = read(from, buffer, sizeof buffer)) > 0)
		FL_CHECK(write(to, buffer, (size_t)n) == n);
	FL_CHECK(pread(to, buffer, sizeof buffer, 0) > 0); /* the note is near the start */
	const unsigned char note[] = {4, 0, 0, 0, 20, 0, 0, 0, NT_GNU_BUILD_ID, 0, 0, 0, 'G', 'N', 'U', 0};
	char *found = memmem(buffer, sizeof buffer, note, sizeof note);
	FL_CHECK(found != NULL);
	found[sizeof note] ^= 1;
	FL_CHECK(pwrite(to, &found[sizeof note], 1, found + sizeof note - buffer) == 1);
	FL_OK(fchmod(to, 0755));
	FL_OK(close(to));
	FL_OK(close(from));
}

FL_TEST(process_start_finds_that_the_program_was_replaced)
{
	PROCESS_FAULTS();
	char copy[] = "/tmp/fairlead-other-XXXXXX";
	copy_with_other_build_id(copy);
	fl__process_sys.program = copy;
	fl_process *p = NULL;
	fl_process_config config = {.task = &process_does_nothing, .method = FL_PROCESS_EXEC};
	PROCESS_LOG();
	FL_RC(fl_process_start(&p, &config), -EPROTO);
	config.method = FL_PROCESS_FORK_SERVER;
	FL_RC(fl_process_start(&p, &config), -EPROTO);
	FL_OK(unlink(copy));
	process_log_has("this program has build-id ");
	FL_WAIT_FOR(process_children_of(getpid()) == 0);
}

/* Programs that never come to an fl_process_main(). */
FL_TEST(process_start_of_a_program_that_does_not_answer)
{
	PROCESS_FAULTS();
	fl_process *p = NULL;
	for (fl_process_method m = FL_PROCESS_FORK_SERVER; m <= FL_PROCESS_EXEC; m += 2) {
		const fl_process_config config = {.task = &process_does_nothing, .method = m};
		PROCESS_LOG();
		fl__process_sys.program = "/bin/true";
		FL_RC(fl_process_start(&p, &config), -EPROTO);
		fl__process_sys.program = "/usr/bin/yes";
		fl__process_sys.answer_timeout = FL_MS(20);
		FL_RC(fl_process_start(&p, &config), -ETIMEDOUT);
		fl__process_sys.answer_timeout = process_real.answer_timeout; /* the others may take their time */
		fl__process_sys.program = "/nonexistent";
		FL_RC(fl_process_start(&p, &config), -ENOTSUP);
		process_log_has("needs /proc/self/exe: is /proc mounted?");
	}
	FL_WAIT_FOR(process_children_of(getpid()) == 0);
	process_heal(&process_real);
	assert_int_equal(PROCESS_RUN(.task = &process_does_nothing).code, 0);
}
