/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_CHILD_H
#define FL_SHM_CHILD_H

/*
 * Children that share memory with the test, and are killed. In a child use FL_CHECK, never cmocka's
 * assertions.
 *
 *     struct board *b = fl_test_share(sizeof *b);
 *     pid_t pid = fl_test_fork(hold, b);
 *     FL_WAIT_FOR(fl__load_acquire(&b->held));
 *     fl_test_kill(pid);                              // reaped: the kernel has released its locks
 *     fl_test_unshare(b, sizeof *b);
 */
#include "fl_test.h"

#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "process/shm/shm_lock.h"

/* Zeroed memory that forked children share. */
static inline void *fl_test_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FL_CHECK(memory != MAP_FAILED);
	return memory;
}

static inline void fl_test_unshare(void *memory, size_t size)
{
	FL_OK(munmap(memory, size));
}

/* Starts a child on function(arg), which exits with the result; killed after two minutes. */
static inline pid_t fl_test_fork(int (*function)(void *arg), void *arg)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		(void)alarm(120);
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

/* It has ended, or ends now, by itself: with 0. */
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

/* Until it is killed. */
__attribute__((noreturn)) static inline void fl_test_rest(void)
{
	for (;;)
		(void)pause();
}

/* The three calls that lock: 0 to 2. */
static inline int fl_test_lock_by(fl_shm_mutex *m, int form)
{
	if (form == 0)
		return fl_shm_mutex_lock(m);
	return form == 1 ? fl_shm_mutex_try_lock(m) : fl_shm_mutex_lock_until(m, 0, NULL);
}

/* An owner has died: locks, recovers, and unlocks. */
static inline void fl_test_recover(fl_shm_mutex *m)
{
	FL_RC(fl_shm_mutex_lock(m), -EOWNERDEAD);
	fl_shm_mutex_recover(m);
	fl_shm_mutex_unlock(m);
}

/* Whether a context sleeps, or is about to, on the lock; in any process. */
static inline bool fl_test_is_slept_on(const uint64_t *lock)
{
	struct fl__shm_lock *l = (struct fl__shm_lock *)(void *)(uintptr_t)lock;
	return (fl__load_acquire(fl__shm_word(l)) & FL__SHM_WAITERS) != 0;
}

/* Whether the system reports a death: emulators do not. Cases that need it skip() otherwise. */
static inline bool fl_test_has_deaths(void)
{
	return fl__shm_self()->list != NULL;
}

#define FL_TEST_NEEDS_DEATHS()                                                                                         \
	do {                                                                                                           \
		if (!fl_test_has_deaths())                                                                             \
			FL_SKIP("the system tells of no death");                                                       \
	} while (0)

#endif
