/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What processes inherit: those of tasks and programs have the attributes of the calling thread at
 * the time of the call, whatever those of the fork server, of other threads and of earlier calls. A
 * start fails if the fork server has other rights and something needs it.
 *
 * Each case runs in a child process. Its main thread starts processes, and keeps the handle of one,
 * which needs the fork server. Then a thread changes one attribute of its own, and starts
 * processes, before and after the free of that handle. Then the main thread starts again.
 */
#include "fl_process.h"

#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <sys/personality.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

enum { USER = 61238, IO_PRIORITY = 2 << 13 | 7, TEXT = 8192 };

/* The description of a process. */

__attribute__((format(printf, 2, 3))) static void add(char *text, const char *format, ...)
{
	const size_t length = strlen(text);
	va_list args;
	va_start(args, format);
	FL_CHECK(vsnprintf(text + length, TEXT - length, format, args) < (int)(TEXT - length));
	va_end(args);
}

/* The lines of a file that begin with one of the words. */
static void add_lines(char *text, FILE *file, const char *const *words)
{
	char line[1024];
	FL_CHECK(file != NULL);
	while (fgets(line, sizeof line, file))
		for (const char *const *w = words; *w; w++)
			if (strncmp(line, *w, strlen(*w)) == 0)
				add(text, "%s", line);
	FL_OK(fclose(file));
}

static const char *const status_words[] = {
    "Umask:",  "Uid:",        "Gid:",    "Groups:",     "CapInh:",       "CapBnd:",
    "CapAmb:", "NoNewPrivs:", "Seccomp", "Speculation", "Cpus_allowed:", NULL};
static const char *const capability_words[] = {"CapPrm:", "CapEff:", NULL};
static const char *const namespaces[] = {"cgroup", "ipc", "mnt", "net", "pid_for_children", "time", "user", "uts"};

static void add_schedule(char *text)
{
	uint64_t schedule[6] = {0};
	FL_OK(syscall(SYS_sched_getattr, 0, schedule, sizeof schedule, 0));
	for (int i = 0; i < 3; i++) /* size, policy, flags, nice, priority */
		add(text, "schedule %llx\n", (unsigned long long)schedule[i]);
	add(text, "nice %d, I/O %lx, slack %d, personality %x\n", getpriority(PRIO_PROCESS, 0),
	    syscall(SYS_ioprio_get, 1, 0) & 0xffff, prctl(PR_GET_TIMERSLACK), (unsigned)personality(0xffffffff));
}

static void add_ids(char *text)
{
	for (int i = 0; i < 16; i++) {
		struct rlimit limit;
		FL_OK(getrlimit((__typeof__(RLIMIT_CORE))i, &limit));
		add(text, "limit %d: %llx, %llx\n", i, (unsigned long long)limit.rlim_cur,
		    (unsigned long long)limit.rlim_max);
	}
	add(text, "session %d, group %d, securebits %x\n", getsid(0), getpgrp(), prctl(PR_GET_SECUREBITS));
}

static void add_places(char *text)
{
	static const char *const whole[] = {"", NULL};
	add_lines(text, fopen("/proc/thread-self/cgroup", "re"), whole);
	add_lines(text, fopen("/proc/thread-self/oom_score_adj", "re"), whole);
	int policy = 0;
	(void)syscall(SYS_get_mempolicy, &policy, NULL, 0L, NULL, 0L);
	add(text, "keyring %lx, policy %d\n", syscall(SYS_keyctl, 0, -3, 0), policy);
	static const char *const mount_words[] = {"mnt_id:", NULL};
	char path[300];
	const int root = open("/", O_PATH | O_CLOEXEC);
	FL_CHECK(root >= 0 && getcwd(path, sizeof path) != NULL);
	add(text, "directory %s\n", path);
	FL_TEXT(path, "/proc/thread-self/fdinfo/%d", root);
	add_lines(text, fopen(path, "re"), mount_words);
	FL_OK(close(root));
	FL_EACH (i, namespaces) {
		char link[64] = "";
		FL_TEXT(path, "/proc/thread-self/ns/%s", namespaces[i]);
		FL_IGNORE(readlink(path, link, sizeof link - 1)); /* of the time, an older kernel has none */
		add(text, "%s\n", link);
	}
}

/* `capabilities`: those, too, that an exec changes. */
static void describe(char *text, bool capabilities)
{
	text[0] = '\0';
	add_lines(text, fopen("/proc/thread-self/status", "re"), status_words);
	if (capabilities)
		add_lines(text, fopen("/proc/thread-self/status", "re"), capability_words);
	add_schedule(text);
	add_ids(text);
	add_places(text);
}

FL_TASK(process_describes, bool, void)
{
	static char text[TEXT];
	describe(text, *arg);
	FL_CHECK(write(STDOUT_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
	return 0;
}

/* Processes of the calling thread. */

static void expect_equal(const char *what, const char *got, const char *expected)
{
	if (strcmp(got, expected) == 0)
		return;
	while (*got && *got == *expected) { /* to the first line that differs */
		const size_t n = strcspn(got, "\n") + 1;
		if (strncmp(got, expected, n) != 0)
			break;
		got += n;
		expected += n;
	}
	(void)fprintf(stderr, "%s has:\n%s\nits caller has:\n%s\n", what, got, expected);
	_exit(1);
}

static void expect_of_task(fl_process_method method, bool capabilities)
{
	static const char *const names[] = {"a process of the fork server", "a fork", "a process by exec"};
	static _Thread_local char text[TEXT], expected[TEXT];
	describe(expected, capabilities);
	fl_process *p =
	    PROCESS_STARTED(.task = &process_describes, .arg = &capabilities, .method = method, .out = FL_PROCESS_PIPE);
	process_read_all(fl_process_pipe(p, 1), text, sizeof text);
	FL_CHECK(process_end(p).code == 0);
	expect_equal(names[method], text, expected);
}

static const char *const program[] = {"cat", "/proc/self/status", "/proc/self/limits", NULL};

/* What the program prints, when posix_spawn() starts it and when the library does. */
static void expect_of_program(void)
{
	static const char *const words[] = {"Umask:", "Uid:",    "Gid:",   "Groups:", "Cap",
	                                    "NoNew",  "Seccomp", "Cpus_a", "Max",     NULL};
	static _Thread_local char texts[2][TEXT];
	FL_EACH (i, texts) {
		FILE *file = tmpfile();
		FL_CHECK(file != NULL);
		if (i == 0) {
			posix_spawn_file_actions_t actions;
			pid_t pid;
			FL_OK(posix_spawn_file_actions_init(&actions));
			FL_OK(posix_spawn_file_actions_adddup2(&actions, fileno(file), 1));
			FL_OK(posix_spawnp(&pid, "cat", &actions, NULL, (char *const *)program, environ));
			FL_CHECK(posix_spawn_file_actions_destroy(&actions) == 0 && waitpid(pid, NULL, 0) == pid);
		} else {
			(void)PROCESS_RUN(.program = "cat", .argv = program, .daemon = true,
			                  .out = FL_PROCESS_FD(fileno(file)));
		}
		texts[i][0] = '\0';
		rewind(file);
		add_lines(texts[i], file, words);
	}
	expect_equal("a program", texts[1], texts[0]);
}

static void needs_root_and_threads(void)
{
	process_needs_root();
	fl_test_needs_threads_in_children();
}

/* Changes: 0; or a negative errno, when the system does not allow the change. */

static int result(long rc)
{
	return rc < 0 ? -errno : 0;
}

/* The system calls themselves: those of the C library change all threads. */
static int change_groups(void)
{
	const gid_t groups[] = {USER + 1, USER + 2};
	return result(syscall(SYS_setgroups, 2, groups));
}

static int change_user(void)
{
	FL_OK(change_groups());
	FL_OK(syscall(SYS_setresgid, USER, USER, USER));
	return result(syscall(SYS_setresuid, USER, USER, USER));
}

static int change_capabilities(void)
{
	enum { NET_RAW = 13 };
	uint32_t header[2] = {0x20080522, 0}, sets[6];
	FL_OK(prctl(PR_CAPBSET_DROP, NET_RAW));
	FL_OK(syscall(SYS_capget, header, sets));
	sets[0] &= ~(1U << NET_RAW);
	sets[1] &= ~(1U << NET_RAW);
	return result(syscall(SYS_capset, header, sets));
}

static int change_ambient(void)
{
	enum { NET_RAW = 13, RAISE = 2 };
	uint32_t header[2] = {0x20080522, 0}, sets[6];
	FL_OK(syscall(SYS_capget, header, sets));
	sets[2] |= 1U << NET_RAW;
	FL_OK(syscall(SYS_capset, header, sets));
	return result(prctl(PR_CAP_AMBIENT, RAISE, NET_RAW, 0, 0));
}

static int change_securebits(void)
{
	return result(prctl(PR_SET_SECUREBITS, 4)); /* SECBIT_NO_SETUID_FIXUP */
}

/* Under a filter of system calls it is set already: no change. */
static int change_no_new_privs(void)
{
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return -EALREADY;
	return result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static int change_seccomp(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog filter = {1, &allow};
	return result(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
}

static int change_root(void)
{
	static const char path[] = "/mnt";
	if (fl_test_own_mounts() != 0 || mount("/", path, NULL, MS_BIND | MS_REC, NULL) != 0)
		return -errno;
	FL_OK(chroot(path));
	return result(chdir("/"));
}

static int change_affinity(void)
{
	cpu_set_t set;
	int cpu = 0;
	FL_OK(sched_getaffinity(0, sizeof set, &set));
	if (CPU_COUNT(&set) < 2)
		return -EINVAL;
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_CLR(cpu, &set);
	return result(sched_setaffinity(0, sizeof set, &set));
}

static int change_nice(void)
{
	return result(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1));
}

/* musl's sched_setscheduler() returns ENOSYS. */
static int set_policy(int policy, int priority)
{
	return result(syscall(SYS_sched_setscheduler, 0, policy, &priority));
}

static int change_to_real_time(void)
{
	return set_policy(SCHED_RR, 3);
}

static int change_io_priority(void)
{
	return result(syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY));
}

static int change_timer_slack(void)
{
	return result(prctl(PR_SET_TIMERSLACK, 123456));
}

static int change_personality(void)
{
	return result(personality(ADDR_NO_RANDOMIZE));
}

static int change_umask(void)
{
	if (unshare(CLONE_FS) != 0)
		return -errno;
	(void)umask(027);
	return 0;
}

static int change_directory(void)
{
	return unshare(CLONE_FS) == 0 ? result(chdir("/usr")) : -errno;
}

/* Attributes of the whole process. */

static int change_limits(void)
{
	struct rlimit limit;
	FL_OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max = 200;
	FL_OK(setrlimit(RLIMIT_NOFILE, &limit));
	return result(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 4096}));
}

static int change_oom_score(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "we");
	FL_CHECK(file != NULL && fputs("321", file) >= 0);
	return fclose(file) == 0 ? 0 : -errno;
}

static int change_keyring(void)
{
	enum { JOIN = 1 };
	return result(syscall(SYS_keyctl, JOIN, NULL));
}

static int change_memory_policy(void)
{
	enum { INTERLEAVE = 3 };
	return result(syscall(SYS_set_mempolicy, INTERLEAVE, &(unsigned long){1}, 64L));
}

static int change_group(void)
{
	return result(setpgid(0, 0));
}

static int change_session(void)
{
	return result(setsid());
}

/* Cases. */

struct change {
	const char *name;
	int (*change)(void); /* NULL: new namespaces, */
	int namespaces;      /* of these kinds */
	bool right;          /* the fork server cannot take it on, as it does with a setting */
	bool process;        /* of the whole process, or not possible beside threads: by the main thread */
	bool exec_changes;   /* the capabilities of an exec are not those of the caller */
};

static const struct change changes[] = {
    {"the user", change_user, .right = true},
    {"groups", change_groups, .right = true},
    {"capabilities", change_capabilities, .right = true},
    {"ambient capabilities", change_ambient, .right = true},
    {"securebits", change_securebits, .right = true},
    {"no_new_privs", change_no_new_privs, .right = true},
    {"seccomp", change_seccomp, .right = true},
    {"the mount namespace", .namespaces = CLONE_NEWNS, .right = true},
    {"the network namespace", .namespaces = CLONE_NEWNET, .right = true},
    {"the UTS namespace", .namespaces = CLONE_NEWUTS, .right = true},
    {"the IPC namespace", .namespaces = CLONE_NEWIPC, .right = true},
    {"the cgroup namespace", .namespaces = CLONE_NEWCGROUP, .right = true},
    {"the root", change_root, .right = true},
    {"affinity", change_affinity},
    {"nice", change_nice},
    {"real time", change_to_real_time},
    {"the I/O priority", change_io_priority},
    {"timer slack", change_timer_slack},
    {"the personality", change_personality},
    {"the umask", change_umask},
    {"the directory", change_directory},
    {"limits", change_limits, .process = true},
    {"the process group", change_group, .right = true, .process = true},
    {"oom_score_adj", change_oom_score, .right = true, .process = true},
    {"the session keyring", change_keyring, .right = true},
    {"the memory policy", change_memory_policy, .right = true},
    {"the session", change_session, .right = true, .process = true},
    {"the user namespace", .namespaces = CLONE_NEWUSER, .right = true, .process = true, .exec_changes = true},
};

static int make_change(const struct change *c)
{
	return c->change ? c->change() : result(unshare(c->namespaces));
}

static void expect_refusal(int error, const char *text)
{
	const bool capabilities = false;
	fl_process *p = NULL;
	PROCESS_LOG();
	const int rc = fl_process_start(&p, &(fl_process_config){.task = &process_describes, .arg = &capabilities});
	process_log_has(text);
	FL_RC(rc, error);
}

FL_TASK(process_reads_to_the_end, void, void)
{
	char c;
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	exit(9);
}

static const fl_process_config needing_config = {
    .task = &process_reads_to_the_end, .in = FL_PROCESS_PIPE, .daemon = true};

/* The fork server is needed until release(). */
static fl_process *needing(void)
{
	return process_started(&needing_config);
}

static void release(fl_process *p)
{
	(void)close(fl_process_take_pipe(p, 0));
	FL_CHECK(process_end(p).code == 9);
}

static fl_process *needs_the_fork_server;

/* Returns NULL, or a pointer if the system does not allow the change. */
static void *change_and_start(void *arg)
{
	const struct change *c = arg;
	const int pid = fl__fork_server_pid();
	if (make_change(c) != 0)
		return arg;
	if (c->right)
		expect_refusal(-EPERM, "is replaced when no worker");
	else
		expect_of_task(FL_PROCESS_FORK_SERVER, true);
	FL_CHECK(fl__fork_server_pid() == pid);
	expect_of_task(FL_PROCESS_EXEC, !c->exec_changes);
	expect_of_program();
	release(needs_the_fork_server);
	FL_BOTH (again)
		expect_of_task(FL_PROCESS_FORK_SERVER, !c->exec_changes);
	FL_CHECK((fl__fork_server_pid() != pid) == (c->right));
	return NULL;
}

enum { REFUSED = 77 };

/* `./dev test --slowed` changes threads of the policies SCHED_OTHER and SCHED_IDLE alone. */
static void take_a_lasting_policy(void)
{
	FL_OK(set_policy(SCHED_BATCH, 0));
	(void)setpriority(PRIO_PROCESS, 0, 0); /* a container's root may not: then it stays as it is */
}

static void run_change(void *arg)
{
	const struct change *c = arg;
	void *refused;
	take_a_lasting_policy();
	expect_of_task(FL_PROCESS_FORK_SERVER, !c->exec_changes);
	needs_the_fork_server = needing();
	if (c->process)
		refused = change_and_start(arg);
	else
		refused = fl_test_foreign(change_and_start, arg);
	if (refused)
		_exit(REFUSED);
	expect_of_task(FL_PROCESS_FORK_SERVER, !c->exec_changes);
	expect_of_program();
}

FL_TEST(process_has_the_attributes_of_its_caller)
{
	unsigned refused = 0;
	needs_root_and_threads();
	FL_EACH (i, changes) {
		static char text[3 * TEXT];
		const int status = fl_test_child(run_change, (void *)(uintptr_t)&changes[i], text, sizeof text);
		if (status != 0)
			print_message("%s: status %x %s\n", changes[i].name, (unsigned)status, text);
		if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED)
			refused++;
		else
			assert_int_equal(status, 0);
	}
	if (refused >= sizeof changes / sizeof *changes / 2)
		FL_SKIP("this system permits few changes, as in a container");
}

/* Without another execution of this program, a fork server stays that nothing needs. */

static int change_to_empty_root(void)
{
	return unshare(CLONE_FS) == 0 ? result(chroot("/proc/self/fd")) : -errno;
}

static const struct change refused_changes[] = {{"the fork server has another user", change_user},
                                                {"the fork server has other namespaces", .namespaces = CLONE_NEWNET},
                                                {"the fork server has another root directory", change_to_empty_root}};

static void *change_and_be_refused(void *arg)
{
	const struct change *c = arg;
	if (make_change(c) == 0)
		expect_refusal(-EPERM, c->name); /* fl_process_start() */
	return NULL;
}

static void run_refused_changes(void *unused)
{
	take_a_lasting_policy();
	expect_of_task(FL_PROCESS_FORK_SERVER, true);
	PROCESS_FAULTS();
	fl__process_sys.program = "/nonexistent";
	FL_EACH (i, refused_changes) {
		(void)fl_test_foreign(change_and_be_refused, (void *)(uintptr_t)&refused_changes[i]);
		expect_of_task(FL_PROCESS_FORK_SERVER, true); /* it serves on those with its rights */
	}
}

FL_TEST(process_rights_without_another_fork_server)
{
	needs_root_and_threads();
	FL_IN_CHILD(run_refused_changes, NULL);
}

static struct fl__net_sys real_net;

/*
 * As a program that was taken over after it had dropped its privileges: the comparison is evaded.
 */
static ssize_t send_as_another_user(int socket, const struct msghdr *message)
{
	FL_OK(syscall(SYS_setresuid, USER, -1, -1));
	const ssize_t n = real_net.sendmsg(socket, message);
	FL_OK(syscall(SYS_setresuid, 0, -1, -1));
	return n;
}

static void run_as_another_user(void *unused)
{
	take_a_lasting_policy();
	expect_of_task(FL_PROCESS_FORK_SERVER, true);
	real_net = fl__net_sys;
	fl__net_sys.sendmsg = send_as_another_user;
	expect_refusal(-EPERM, "the process cannot be created");
}

FL_TEST(process_request_of_another_user_is_refused)
{
	process_needs_root();
	FL_IN_CHILD(run_as_another_user, NULL);
}

/* The first process starts with a higher nice value: without privileges there is no way back. */
static void *start_nicely(void *another)
{
	FL_OK(change_nice());
	expect_of_task(FL_PROCESS_FORK_SERVER, true);
	if (*(bool *)another)
		needs_the_fork_server = needing();
	return NULL;
}

static void run_after_nice(void *another)
{
	take_a_lasting_policy();
	FL_OK(setrlimit(RLIMIT_NICE, &(struct rlimit){0, 0}));
	FL_OK(setresgid(USER, USER, USER));
	FL_OK(setresuid(USER, USER, USER));
	(void)fl_test_foreign(start_nicely, another);
	PROCESS_FAULTS();
	if (!*(bool *)another) {
		fl__process_sys.program = "/nonexistent";
		expect_refusal(-EACCES, "may not take on the scheduling, priorities or limits");
		process_heal(&process_real);
	} else {
		expect_refusal(-EACCES, "is replaced when no worker");
		release(needs_the_fork_server);
	}
	expect_of_task(FL_PROCESS_FORK_SERVER, true);
	expect_of_task(FL_PROCESS_FORK_SERVER, true);
}

FL_TEST(process_settings_that_the_fork_server_may_not_take_on)
{
	needs_root_and_threads();
	FL_BOTH (another)
		FL_IN_CHILD(run_after_nice, &(bool){another});
}

/*
 * A start in progress needs the fork server for a while alone: a caller with other rights waits for
 * the end of that start. If it has failed, the fork server is replaced.
 */

static unsigned sent; /* requests */
static int waits;     /* the number of the thread that waits */

static ssize_t count_sent(int socket, const struct msghdr *message)
{
	const ssize_t n = real_net.sendmsg(socket, message);
	fl__add_release(&sent, 1); /* pairs with the acquire in run_beside_a_start() */
	return n;
}

static int start_first(void *p)
{
	return fl_process_start(p, &needing_config);
}

static int start_with_other_groups(void *p)
{
	FL_OK(change_groups());
	fl__store_release(&waits, (int)syscall(SYS_gettid)); /* pairs with the acquire in run_beside_a_start() */
	return fl_process_start(p, &needing_config);
}

static void run_beside_a_start(void *killed)
{
	fl_thread *threads[2];
	fl_process *p[2] = {NULL, NULL};
	int rc[2];
	take_a_lasting_policy();
	expect_of_task(FL_PROCESS_FORK_SERVER, true);
	const int pid = fl__fork_server_pid();
	process_stop(pid);
	real_net = fl__net_sys;
	fl__net_sys.sendmsg = count_sent;
	fl_test_go(&threads[0], start_first, &p[0]);
	FL_WAIT_FOR(fl__load_acquire(&sent) == 1);
	fl_test_go(&threads[1], start_with_other_groups, &p[1]);
	FL_WAIT_FOR(fl__load_acquire(&waits) != 0 && process_state(waits) == 'S');
	FL_OK(kill(pid, killed ? SIGKILL : SIGCONT));
	FL_EACH (i, threads)
		FL_OK(fl_thread_join(threads[i], &rc[i]));
	FL_RC(rc[0], killed ? -EOWNERDEAD : 0);
	FL_RC(rc[1], killed ? 0 : -EPERM);
	release(p[killed != NULL]);
}

FL_TEST(process_start_waits_for_a_start_with_other_rights)
{
	needs_root_and_threads();
	FL_IN_CHILD(run_beside_a_start, NULL);
	FL_IN_CHILD(run_beside_a_start, &(int){1});
}

/*
 * A service that begins as root, has a process executor or a preloaded fork server, and drops its
 * privileges.
 */

FL_TASK(process_tells_its_user, void, int)
{
	*result = (int)getuid();
	return 0;
}

static void drop_privileges(void)
{
	FL_OK(setgroups(0, NULL));
	FL_OK(setresgid(USER, USER, USER));
	FL_OK(setresuid(USER, USER, USER));
}

static void expect_user(fl_executor *e, int error, int user)
{
	int got = -1;
	fl_future *f = FL_SUBMITTED(process_tells_its_user, e);
	FL_OK(fl_future_wait(f));
	FL_RC(fl_future_error(f), error);
	FL_CHECK(error != 0 || (process_tells_its_user_get(f, &got) == 0 && got == user));
	fl_future_free(f);
}

static fl_executor *pool_with_one_worker(size_t max_tasks)
{
	return FL_TEST_EXECUTOR(process, .workers = 1, .max_tasks = max_tasks);
}

static void run_service_with_a_pool(void *unused)
{
	take_a_lasting_policy();
	fl_executor *before = pool_with_one_worker(0);
	expect_user(before, 0, 0);
	drop_privileges();
	fl_executor *after = pool_with_one_worker(0);
	{
		PROCESS_LOG();
		expect_user(after, -EPERM, 0);
		process_log_has("the fork server has another user");
		process_log_has("is replaced when no worker");
	}
	{
		PROCESS_LOG();
		FL_RC(fl_process_preload(), -EPERM);
		process_log_has("is replaced when no worker");
		process_log_has("cannot preload the fork server: the fork server has another user");
	}
	FL_CHECK(!fl_executor_is_broken(after));
	expect_user(before, 0, 0); /* its worker was started before */
	fl_executor_free(before);
	expect_user(after, 0, USER);
	fl_executor_free(after);
}

/* An executor without workers does not need the fork server. */
static void run_service_without_workers(void *unused)
{
	take_a_lasting_policy();
	fl_executor *e = pool_with_one_worker(1);
	expect_user(e, 0, 0);
	FL_WAIT_FOR(fl_process_executor_pids(e, NULL, 0) == 0);
	drop_privileges();
	expect_user(e, 0, USER);
	fl_executor_free(e);
}

static void run_service_with_a_preload(void *again)
{
	take_a_lasting_policy();
	FL_OK(fl_process_preload());
	const int first = fl__fork_server_pid();
	expect_of_task(FL_PROCESS_FORK_SERVER, true);
	drop_privileges();
	if (again)
		FL_OK(fl_process_preload());
	fl_executor *e = pool_with_one_worker(0);
	expect_user(e, 0, USER);
	FL_CHECK(fl__fork_server_pid() != first);
	process_dies(first);
	fl_executor_free(e);
}

FL_TEST(process_executor_after_a_drop_of_privileges)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	needs_root_and_threads();
	FL_IN_CHILD(run_service_with_a_pool, NULL);
	FL_IN_CHILD(run_service_without_workers, NULL);
	FL_IN_CHILD(run_service_with_a_preload, NULL);
	FL_IN_CHILD(run_service_with_a_preload, &(int){1});
}

/* The kernel does not kill the first process of a namespace by a descriptor. */
static void run_in_pid_namespace(void *unused)
{
	fl_process *p = NULL;
	if (unshare(CLONE_NEWPID) != 0)
		_exit(REFUSED);
	expect_refusal(-ENOTSUP, "has not left the PID namespace");
	PROCESS_LOG();
	FL_RC(fl_process_start(&p, &(fl_process_config){.program = "true", .daemon = true}), -ENOTSUP);
	process_log_has("a daemon cannot be the first process of a PID namespace");
}

static void run_program_in_pid_namespace(void *unused)
{
	if (unshare(CLONE_NEWPID) != 0)
		_exit(REFUSED);
	FL_RC(PROCESS_RUN(PROCESS_COMMAND("sh", "-c", "exit $$")).code, 1);
}

FL_TEST(process_daemon_in_a_new_pid_namespace_is_refused)
{
	process_needs_root();
	const int status = fl_test_child(run_in_pid_namespace, NULL, NULL, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED)
		FL_SKIP(FL_TEST_USERS_REASON);
	assert_int_equal(status, 0);
	FL_IN_CHILD(run_program_in_pid_namespace, NULL);
}
