/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CHILD_H
#define FL_CHILD_H

/*
 * Runs a function in a child, and checks what it prints on standard error and how its process ends:
 * for defaults that print or abort, and for the state after a fork. The function must use FL_CHECK,
 * never cmocka's assertions: they would continue with the suite in the child.
 */
#include "fl_test.h"

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>

/*
 * The longest time limit of a case (tests/check.sh). tests/run ends a child together with its case.
 */
enum { FL_TEST_CHILD_S = 300 };

/* Sets a soft limit of this process, and returns the previous limit. */
static inline rlim_t fl_test_limit(int resource, rlim_t soft)
{
	struct rlimit limit;
	FL_OK(getrlimit(resource, &limit));
	const rlim_t before = limit.rlim_cur;
	limit.rlim_cur = soft;
	FL_OK(setrlimit(resource, &limit));
	return before;
}

/* Returns how many entries a folder has, without . and .. */
static inline unsigned fl_test_entries(const char *path)
{
	unsigned n = 0;
	DIR *folder = opendir(path);
	FL_CHECK(folder != NULL);
	while (readdir(folder))
		n++;
	FL_OK(closedir(folder));
	return n - 2;
}

/* Returns how many descriptors this process has. */
static inline unsigned fl_test_fds(void)
{
	return fl_test_entries("/proc/self/fd") - 1; /* without the folder's own descriptor */
}

static inline void fl_test_fds_stayed(const unsigned *before)
{
	assert_int_equal(fl_test_fds(), *before);
}

/* Checks that as many descriptors are open at the end of the block as here. */
#define FL_TEST_FDS_STAY()                                                                                             \
	__attribute__((cleanup(fl_test_fds_stayed), unused)) const unsigned fl_test_fds_before = fl_test_fds()

/* Returns how many mappings of this process have that text in their line of /proc/self/maps. */
static inline unsigned fl_test_mappings_of(const char *text)
{
	char line[512];
	unsigned n = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	FL_CHECK(f != NULL);
	while (fgets(line, sizeof line, f))
		n += strstr(line, text) != NULL;
	FL_OK(fclose(f));
	return n;
}

/* Returns how many mappings of the library's memory files there are. */
static inline unsigned fl_test_mappings(void)
{
	return fl_test_mappings_of("memfd:fairlead");
}

static inline int fl_test_scratch(void)
{
	char path[] = "/tmp/fairlead-test-XXXXXX";
	int fd = mkstemp(path);
	FL_CHECK(fd >= 0);
	FL_OK(unlink(path));
	return fd;
}

/*
 * From now on the calling thread, and what it starts, has its own mounts. Returns 0, or the errno:
 * the process is not root, or the root directory is not a mount point, as in a chroot (EINVAL).
 */
static inline int fl_test_own_mounts(void)
{
	const bool own = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	return own ? 0 : errno;
}

#define FL_TEST_MOUNTS_REASON "no right to mount, or the root directory is no mount point, as in a chroot"

/* Reads the whole of a scratch file into `text`, and closes it. */
static inline void fl_test_take(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);
	FL_CHECK(n >= 0);
	text[n] = '\0';
	FL_OK(close(fd));
}

/* Runs `function(arg)` in this process. `text` gets what it printed on standard error. */
static inline void fl_test_stderr(void (*function)(void *arg), void *arg, char *text, size_t size)
{
	int scratch = fl_test_scratch();
	(void)fflush(stderr);
	int before = dup(STDERR_FILENO);
	FL_CHECK(before >= 0 && dup2(scratch, STDERR_FILENO) >= 0);
	function(arg);
	(void)fflush(stderr);
	FL_CHECK(dup2(before, STDERR_FILENO) >= 0 && close(before) == 0);
	fl_test_take(scratch, text, size);
}

/*
 * Starts a child on function(arg), which exits with the result. The child is killed after five
 * minutes, and when its parent ends.
 */
static inline pid_t fl_test_fork(int (*function)(void *arg), void *arg)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		(void)alarm(FL_TEST_CHILD_S);
		FL_OK(prctl(PR_SET_PDEATHSIG, SIGKILL)); /* alarms cannot end a stopped process */
		_exit(function(arg));
	}
	return pid;
}

static inline int fl_test_status(pid_t pid)
{
	int status = -1;
	while (waitpid(pid, &status, 0) < 0)
		FL_CHECK(errno == EINTR);
	return status;
}

/* Waits until the child has ended by itself; it must exit with 0. */
static inline void fl_test_reap(pid_t pid)
{
	int status = fl_test_status(pid);
	FL_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline void fl_test_kill(pid_t pid)
{
	FL_OK(kill(pid, SIGKILL));
	int status = fl_test_status(pid);
	FL_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Waits until this process is killed. */
__attribute__((noreturn)) static inline void fl_test_rest(void)
{
	for (;;)
		(void)pause();
}

/*
 * Runs `function(arg)` in a forked child that then exits with 0. Returns the wait status; `text`
 * (may be NULL) gets what the child printed on standard error. A child that hangs is killed after
 * five minutes.
 */
static inline int fl_test_child(void (*function)(void *arg), void *arg, char *text, size_t size)
{
	int scratch = text ? fl_test_scratch() : -1;
	(void)fflush(NULL);
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		if (text)
			FL_CHECK(dup2(scratch, STDERR_FILENO) >= 0);
		(void)alarm(FL_TEST_CHILD_S);
		function(arg);
		(void)fflush(stderr);
		_exit(0);
	}
	int status = fl_test_status(pid);
	if (text) {
		fl_test_take(scratch, text, size);
		/* The emulator's message, which follows the child's. */
		char *more = strstr(text, "qemu: uncaught target signal");
		if (more)
			*more = '\0';
	}
	return status;
}

/* Runs the function with that argument in such a child, which must exit with 0. */
#define FL_IN_CHILD(function, ...) FL_OK(fl_test_child(function, __VA_ARGS__, NULL, 0))

/*
 * Checks that `function(arg)` ends its child by that signal, and prints `text` on standard error.
 * NULL: it may print anything.
 */
static inline void fl_test_child_dies(void (*function)(void *arg), void *arg, int signal, const char *text)
{
	char said[4096];
	const int status = fl_test_child(function, arg, text ? said : NULL, sizeof said);
	if (text && !strstr(said, text))
		print_error("expected '%s' in: %s\n", text, said);
	FL_CHECK(!text || strstr(said, text));
	FL_RC(WIFSIGNALED(status) ? WTERMSIG(status) : 0, signal);
}

/*
 * Forks, for a function that an executor calls. In the child, returns 0; the child must return, and
 * must not print on standard error. In the parent, returns the signal that ended the child, or -1.
 */
static inline int fl_test_fork_in_call(void)
{
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		FL_CHECK(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO) >= 0);
		(void)alarm(FL_TEST_CHILD_S);
		return 0;
	}
	int status = fl_test_status(pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

/*
 * Returns the number of threads of this process with that name, as the system reports it. A joined
 * thread may still count for a moment.
 */

static inline unsigned fl_test_threads_named(const char *name)
{
	char path[300], found[32];
	unsigned n = 0;
	DIR *tasks = opendir("/proc/self/task");
	FL_CHECK(tasks != NULL);
	for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
		FL_TEXT(path, "/proc/self/task/%.16s/comm", task->d_name);
		FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%31[^\n]", found) == 1)
			n += strcmp(found, name) == 0;
		(void)fclose(file);
	}
	FL_OK(closedir(tasks));
	return n;
}

/*
 * Features that a processor emulator (qemu-user) and some sanitizers lack. Each feature is tried at
 * run time, so an emulator that gains the feature runs the cases that need it. Otherwise these
 * cases FL_SKIP, and are counted.
 */

#define FL_TEST_ALONE_REASON "the emulator or sanitizer has a thread of its own in each process"
#define FL_TEST_CHILDREN_REASON "the emulator or sanitizer has no threads in the child of a process that has some"
#define FL_TEST_READS_REASON "the emulator has no preadv2()"
#define FL_TEST_MEMORY_REASON "the emulator ignores limits of memory"
#define FL_TEST_KEEP_REASON "the emulator gives children all memory"
#define FL_TEST_USERS_REASON "not root, or in a namespace that has no other user"

static inline void fl_test_attempt(void *attempt)
{
	(*(void (**)(void))attempt)();
}

/* Whether a forked child exits with 0. */
static inline bool fl_test_try(void (*attempt)(void))
{
	char said[256]; /* an emulator that fails prints much */
	return fl_test_child(fl_test_attempt, &attempt, said, sizeof said) == 0;
}

static inline void fl_test_try_alone(void)
{
	if (fl_test_entries("/proc/self/task") != 1)
		_exit(1);
}

/* Whether a forked child has one thread, as the system reports it. */
static inline bool fl_test_forks_alone(void)
{
	static int known;
	if (!known)
		known = fl_test_try(fl_test_try_alone) ? 1 : -1;
	return known > 0;
}

static inline void *fl_test_lock_once(void *mutex)
{
	(void)pthread_mutex_lock(mutex);
	(void)pthread_mutex_unlock(mutex);
	return NULL;
}

static inline pthread_mutex_t *fl_test_held(void)
{
	static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
	return &held;
}

/*
 * There are many, because qemu-user fails at the first thread that would get the number of a thread
 * of the parent.
 */
static inline void fl_test_try_threads(void)
{
	pthread_t thread;
	for (unsigned i = 0; i < 64; i++)
		if (pthread_create(&thread, NULL, fl_test_lock_once, fl_test_held()) != 0)
			_exit(1);
}

/* Whether the child of a process with threads may start threads. */
static inline bool fl_test_children_have_threads(void)
{
#ifdef FL__TSAN
	return false;
#endif
	static int known;
	if (!known) {
		pthread_t another;
		FL_OK(pthread_mutex_lock(fl_test_held()));
		FL_OK(pthread_create(&another, NULL, fl_test_lock_once, fl_test_held()));
		known = fl_test_try(fl_test_try_threads) ? 1 : -1;
		FL_OK(pthread_mutex_unlock(fl_test_held()));
		FL_OK(pthread_join(another, NULL));
	}
	return known > 0;
}

/* For cases that start threads in a child. */
static inline void fl_test_needs_threads_in_children(void)
{
	if (!fl_test_children_have_threads())
		FL_SKIP(FL_TEST_CHILDREN_REASON);
}

static inline void fl_test_try_user(void)
{
	if (setuid(65534) != 0)
		_exit(1);
}

static inline void fl_test_try_kept(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || madvise(page, 4096, MADV_DONTFORK) != 0)
		_exit(1);
	const pid_t child = fork();
	if (child == 0) {
		*(volatile char *)page = 1;
		_exit(0);
	}
	int status = 0;
	if (waitpid(child, &status, 0) != child || status == 0)
		_exit(1);
}

/* Whether a child lacks memory that was advised MADV_DONTFORK. */
static inline bool fl_test_keeps_from_children(void)
{
	return fl_test_try(fl_test_try_kept);
}

/* Whether a process may become another user's. */
static inline bool fl_test_has_users(void)
{
	return fl_test_try(fl_test_try_user);
}

/* For cases that need such a child. */
static inline void fl_test_need_users(void)
{
	if (!fl_test_has_users())
		FL_SKIP(FL_TEST_USERS_REASON);
}

/* Whether there is a read that never waits, whatever the flags of its descriptor are. */
static inline bool fl_test_reads_without_waiting(void)
{
	uint64_t n;
	struct iovec part = {&n, sizeof n};
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	FL_CHECK(event >= 0);
	enum { NO_WAIT = 8 }; /* RWF_NOWAIT: musl has no preadv2() */
	const bool known = syscall(SYS_preadv2, event, &part, 1L, -1L, -1L, NO_WAIT) < 0 && errno == EAGAIN;
	FL_OK(close(event));
	return known;
}

/* Whether the system enforces a limit on a process's memory. */
static inline bool fl_test_memory_is_limited(void)
{
	struct rlimit before, limit, after;
	FL_OK(getrlimit(RLIMIT_AS, &before));
	limit = before;
	limit.rlim_cur = before.rlim_max == RLIM_INFINITY ? (rlim_t)1 << 40 : before.rlim_max;
	FL_OK(setrlimit(RLIMIT_AS, &limit));
	FL_OK(getrlimit(RLIMIT_AS, &after));
	FL_OK(setrlimit(RLIMIT_AS, &before));
	return after.rlim_cur == limit.rlim_cur;
}

#endif
