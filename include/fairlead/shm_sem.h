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
 * Counting semaphore in shared memory. 96 bytes; all-zero is a semaphore without permits.
 *
 *     rc = fl_shm_sem_acquire(&shared->slots);        // check
 *     use_one();
 *     rc = fl_shm_sem_release(&shared->slots);        // check
 *
 * The permits that a killed process had acquired are lost, and no others. A release in which the
 * process is killed has released all its permits, or none. No waiter sleeps while a permit is free,
 * except if a stopped waiter (SIGSTOP) was woken for it: then other waiters are woken for the next
 * permit. Waiters are not served in FIFO order. Limit: FL_SHM_SEM_MAX permits.
 *
 * While a process is stopped in the few instructions of a release or a wait, waits block, and so do
 * releases that have waiters. A wait with a deadline ends at most a few milliseconds late.
 * Processes, fork, emulators: as in fairlead/shm_mutex.h.
 *
 * -EBADMSG: the memory has been overwritten. The call did nothing.
 *
 * Memory order: an acquire sees what was written before the release of its permit. A release that
 * finds no waiter touches the semaphore for the last time in the instruction that adds the permit.
 */
typedef struct fl_shm_sem {
	uint64_t lock_[5], waiters_[6];
	uint32_t word_, spare_;
} fl_shm_sem;
FL__ASSERT_SIZE(fl_shm_sem, 96);

#define FL_SHM_SEM_MAX 0x7fffffffu

/* Makes `s` a semaphore of `permits`. Returns 0, or -EINVAL: above FL_SHM_SEM_MAX. */
FL_INLINE FL_MUST_CHECK int fl_shm_sem_init(fl_shm_sem *_s, uint32_t _permits)
{
	if (_permits > FL_SHM_SEM_MAX)
		return -EINVAL;
	__builtin_memset(_s, 0, sizeof *_s);
	_s->word_ = _permits;
	return 0;
}

/* Acquires a permit. Blocks the calling context for a free one. Returns 0, -ECANCELED, -EBADMSG. */
FL_API FL_MUST_CHECK int fl_shm_sem_acquire_until(fl_shm_sem *s, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_sem_acquire(fl_shm_sem *_s)
{
	return fl_shm_sem_acquire_until(_s, FL_FOREVER, NULL);
}

/* Acquires a permit if one is free: 0, else -EAGAIN. */
FL_API FL_MUST_CHECK int fl_shm_sem_try_acquire(fl_shm_sem *s);

/*
 * Releases `n` permits, 0 or more, at once; the second form: one. Waits only while a process is
 * stopped in a call (above). Returns 0, -EBADMSG, or:
 *   -EOVERFLOW  not released: the semaphore would have more than FL_SHM_SEM_MAX permits
 */
FL_API FL_MUST_CHECK int fl_shm_sem_release_n(fl_shm_sem *s, uint32_t n);
FL_INLINE FL_MUST_CHECK int fl_shm_sem_release(fl_shm_sem *_s)
{
	return fl_shm_sem_release_n(_s, 1);
}

/* How many permits are free now: for reports and assertions. No memory order. */
FL_API uint32_t fl_shm_sem_value(const fl_shm_sem *s);

/* For FL_WAIT_ANY(): ready while a permit is free. */
#define FL_ON_SHM_SEM(s) FL__ON(fl__on_shm_sem, (s))
FL_API extern const fl_on_type fl__on_shm_sem;

FL_END_DECLS

#endif
