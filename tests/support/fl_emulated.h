/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EMULATED_H
#define FL_EMULATED_H

/*
 * Features that a processor emulator (qemu-user) and some sanitizers lack. Each is tried at run
 * time, so an emulator that gains it runs the cases that need it; otherwise they FL_SKIP, and are
 * counted.
 */
#include "fl_test.h"

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define FL_TEST_ALONE_REASON "the emulator or sanitizer has a thread of its own in each process"
#define FL_TEST_CHILDREN_REASON "the emulator or sanitizer has no threads in the child of a process that has some"
#define FL_TEST_READS_REASON "the emulator has no preadv2()"
#define FL_TEST_MEMORY_REASON "the emulator ignores limits of memory"
#define FL_TEST_KEEP_REASON "the emulator gives children all memory"
#define FL_TEST_USERS_REASON "not root, or in a namespace that has no other user"

/* Whether a forked child exits with 0. */
static inline bool fl_test_try(void (*attempt)(void))
{
	int status = -1;
	(void)fflush(NULL);
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		int nowhere = open("/dev/null", O_WRONLY);
		(void)dup2(nowhere, STDOUT_FILENO); /* an emulator that fails says much */
		(void)dup2(nowhere, STDERR_FILENO);
		(void)alarm(60);
		attempt();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		FL_CHECK(errno == EINTR);
	return status == 0;
}

static inline void fl_test_try_alone(void)
{
	unsigned n = 0;
	DIR *tasks = opendir("/proc/self/task");
	if (!tasks)
		_exit(1);
	for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;)
		n += entry->d_name[0] != '.';
	(void)closedir(tasks);
	if (n != 1)
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

/* Many: qemu-user fails at the first that would get the number of a thread of the parent. */
static inline void fl_test_try_threads(void)
{
	pthread_t thread;
	for (unsigned i = 0; i < 64; i++)
		if (pthread_create(&thread, NULL, fl_test_lock_once, fl_test_held()) != 0)
			_exit(1);
}

/* Whether the child of a process with threads may start some. */
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

/* Whether a child lacks the memory that is advised so. */
static inline bool fl_test_keeps_from_children(void)
{
	static int known;
	if (!known)
		known = fl_test_try(fl_test_try_kept) ? 1 : -1;
	return known > 0;
}

/* Whether a process may become another user's. */
static inline bool fl_test_has_users(void)
{
	static int known;
	if (!known)
		known = fl_test_try(fl_test_try_user) ? 1 : -1;
	return known > 0;
}

/* Whether there is a read that does not wait whatever the flags of its descriptor. */
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

/* Whether the system takes a limit of a process's memory. */
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
