/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_BARRIER_H
#define FAIRLEAD_SHM_BARRIER_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/part_process.h>
#include <fairlead/time.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * A barrier in shared memory: a fixed number of contexts, its parties, wait for each other again
 * and again.
 *
 *     int rc = fl_shm_barrier_init(&shared->barrier, 4); // once
 *     rc = fl_shm_barrier_wait(&shared->barrier);        // in four contexts: 0, 1, 2 and 3
 *
 * A barrier is 104 bytes. It breaks, and is reset, as an fl_barrier (fairlead/barrier.h).
 *
 * A process that is killed while it waits still counts as arrived. One that is killed earlier does
 * not, and the others wait for it. The barrier passes or breaks for all parties at once.
 *
 * While a process is stopped (SIGSTOP) inside a call, the calls of other processes block, even past
 * their deadlines, because a timeout must break the barrier for all. What fairlead/shm.h says about
 * processes, stops and damage holds here, too.
 *
 * Memory order: what all parties wrote before their waits happens before the return of each wait.
 */
typedef struct fl_shm_barrier {
	uint64_t lock_[5], waiters_[6];
	FL__WORD64 uint64_t word_;
	uint32_t parties_, spare_;
} fl_shm_barrier;
FL__ASSERT_SIZE(fl_shm_barrier, 104);

#define FL_SHM_BARRIER_MAX 0xfffffu

/*
 * Makes `b` a barrier for `parties` contexts: 1 to FL_SHM_BARRIER_MAX. No context may use `b`.
 * Returns 0, or -EINVAL if `parties` is 0 or too large.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_barrier_init(fl_shm_barrier *_b, uint32_t _parties)
{
	if (_parties == 0 || _parties > FL_SHM_BARRIER_MAX)
		return -EINVAL;
	__builtin_memset(_b, 0, sizeof *_b);
	_b->parties_ = _parties;
	return 0;
}

/*
 * Arrives at the barrier, and waits until all parties have arrived. Both functions block the
 * calling context. Returns 0 to parties - 1, -EPIPE, -ECANCELED or -ETIMEDOUT, as fl_barrier_wait()
 * does, or -EBADMSG if the memory is damaged, or not a barrier.
 */
FL_API FL_MUST_CHECK int fl_shm_barrier_wait_until(fl_shm_barrier *b, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_barrier_wait(fl_shm_barrier *_b)
{
	return fl_shm_barrier_wait_until(_b, FL_FOREVER, NULL);
}

/*
 * Breaks the barrier, or makes it unbroken and empty. In both cases its waiters get -EPIPE. The
 * calls block only while a stopped process is inside a call on this barrier. Returns 0, or -EBADMSG
 * if the memory is damaged, or not a barrier.
 */
FL_API FL_MUST_CHECK int fl_shm_barrier_abort(fl_shm_barrier *b);
FL_API FL_MUST_CHECK int fl_shm_barrier_reset(fl_shm_barrier *b);

/* Returns whether the barrier is broken. */
FL_API bool fl_shm_barrier_is_broken(const fl_shm_barrier *b);

/* Returns how many parties have arrived, including killed ones. */
FL_API uint32_t fl_shm_barrier_waiting(const fl_shm_barrier *b);

FL_END_DECLS

#endif
