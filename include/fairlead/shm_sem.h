/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_SEM_H
#define FAIRLEAD_SHM_SEM_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * Counting semaphore in memory that processes share: a number of permits. 96 bytes; all-zero is a semaphore without permits.
 *
 *     rc = fl_shm_sem_acquire(&shared->slots);        // check
 *     use_one();
 *     rc = fl_shm_sem_release(&shared->slots);        // check
 *
 * A process that is killed keeps the permits that it had taken: they are gone, as with any semaphore, since nobody can know
 * what they stood for. A permit that was free, or whose release returned, is not lost, whoever is killed, and no waiter hangs
 * beside a free permit; but one that is stopped (SIGSTOP) while it waits may have been woken for a permit, and then others are
 * woken with the next one. A release in which a process is killed has given all of its permits, or none. Who waits is not
 * served in order: a running context may take a permit before one that is being woken. Limit: FL_SHM_SEM_MAX permits.
 *
 * Processes: any may be killed at any time; all that share it are in one PID namespace. One that is stopped (SIGSTOP) in
 * the few instructions of a release or of a wait keeps others who release to waiters, or wait, until it goes on; a wait with a
 * deadline ends at most a few milliseconds behind it. Fork: a child may use it, and owns no permit. Signals: no function from
 * a handler. Where the system has no robust futexes (emulators), a death at such a moment may leave others waiting.
 *
 * -EBADMSG: the memory has been overwritten; nothing happened.
 *
 * Memory order: an acquire sees what was written before the release of its permit. A release that finds nobody waiting touches
 * the semaphore for the last time in the instruction that makes the permit available.
 */
typedef struct fl_shm_sem {
	uint64_t lock_[5], waiters_[6];
	uint32_t word_, spare_;
} fl_shm_sem;
FL__ASSERT_SIZE(fl_shm_sem, 96);

#define FL_SHM_SEM_MAX 0x7fffffffu

/* Makes `s` a semaphore of `permits`. Requires that nobody uses it. Returns 0, -EINVAL above FL_SHM_SEM_MAX. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_shm_sem_init(fl_shm_sem *s, uint32_t permits);

/* Takes a permit. Blocks the calling context. Observes its cancel scope. Returns 0, -ECANCELED, -EBADMSG. */
FL_INLINE FL_MUST_CHECK int fl_shm_sem_acquire(fl_shm_sem *s);

/* Takes a permit that is free now: 0, else -EAGAIN. Never waits, not for a stopped process either. */
FL_API FL_MUST_CHECK int fl_shm_sem_try_acquire(fl_shm_sem *s);

/* Takes a permit. Blocks the calling context. Returns 0, -ETIMEDOUT, -ECANCELED, -EBADMSG. */
FL_API FL_MUST_CHECK int fl_shm_sem_acquire_until(fl_shm_sem *s, int64_t deadline, fl_cancel_token *cancel);

/*
 * Gives a permit. Waits for a stopped process alone (above). Returns 0; -EOVERFLOW when there would be more than
 * FL_SHM_SEM_MAX, -EBADMSG: nothing was given.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_sem_release(fl_shm_sem *s);

/* Gives `n` permits at once; 0 does nothing. Returns 0; -EOVERFLOW, -EBADMSG: none was given. Waits as fl_shm_sem_release. */
FL_API FL_MUST_CHECK int fl_shm_sem_release_n(fl_shm_sem *s, uint32_t n);

/* The permits that are free now: for reports and assertions. Never waits. No memory order. */
FL_API uint32_t fl_shm_sem_value(const fl_shm_sem *s);

/* For fl_wait_any: ready while a permit is free. */
#define FL_ON_SHM_SEM(s) FL__ON(fl__on_shm_sem, (s))
FL_API extern const fl_on_type fl__on_shm_sem;

/* The inline functions. */

FL_INLINE int fl_shm_sem_init(fl_shm_sem *_s, uint32_t _permits)
{
	if (_permits > FL_SHM_SEM_MAX)
		return -EINVAL;
	memset(_s, 0, sizeof *_s);
	_s->word_ = _permits;
	return 0;
}

FL_INLINE int fl_shm_sem_acquire(fl_shm_sem *_s)
{
	return fl_shm_sem_acquire_until(_s, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_sem_release(fl_shm_sem *_s)
{
	return fl_shm_sem_release_n(_s, 1);
}

FL_END_DECLS

#endif
