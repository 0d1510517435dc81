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
 * A barrier in shared memory: a fixed number of contexts, its parties, wait for each other, any
 * number of times.
 *
 *     int rc = fl_shm_barrier_init(&shared->barrier, 4); // once
 *     rc = fl_shm_barrier_wait(&shared->barrier);        // in four contexts: 0, 1, 2 and 3
 *
 * A barrier has 104 bytes.
 *
 * A broken barrier
 *
 * A barrier breaks when a waiter times out or is cancelled, and when fl_shm_barrier_abort() is
 * called. Its waiters and all later callers then get -EPIPE, until fl_shm_barrier_reset().
 *
 * Deaths and stopped processes
 *
 * A party that is killed while it waits has arrived. A party that is killed before its wait never
 * arrives. The barrier passes or breaks for all parties at once, even if the process that completes
 * or breaks it is killed in the call.
 *
 * While a process is stopped (SIGSTOP) in the few instructions of a call, the calls of other
 * processes block. They block even past their deadlines, because a timeout must break the barrier
 * for all.
 *
 * What fairlead/shm_mutex.h says about processes and emulators applies to a barrier, too. If
 * another process overwrites the memory, functions return -EBADMSG or a wrong result, or block as
 * they do for a stopped process. They access no memory outside the barrier.
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
 * Makes `b` a barrier for `parties` contexts: 1 to FL_SHM_BARRIER_MAX.
 *
 * The call requires that no context uses `b`.
 *
 * Returns:
 *   0        `b` is a barrier
 *   -EINVAL  `parties` is 0 or too large
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
 * Arrives at the barrier, and waits until all parties have arrived.
 *
 * The call blocks the calling context.
 *
 * Returns:
 *   0 to parties - 1  all parties have arrived. The number is the caller's place in the order of
 *                     arrival
 *   -EPIPE            the barrier is broken, or was broken or reset during the wait
 *   -ETIMEDOUT        the deadline passed, and the barrier is now broken
 *   -ECANCELED        the wait was cancelled, and the barrier is now broken
 *   -EBADMSG          the memory is no barrier, or has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_barrier_wait_until(fl_shm_barrier *b, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_barrier_wait(fl_shm_barrier *_b)
{
	return fl_shm_barrier_wait_until(_b, FL_FOREVER, NULL);
}

/*
 * Breaks the barrier, so that its waiters and all later callers get -EPIPE.
 *
 * The call waits only while a process is stopped in a call.
 *
 * Returns:
 *   0         the barrier is broken
 *   -EBADMSG  the memory is no barrier, or has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_barrier_abort(fl_shm_barrier *b);

/*
 * Makes the barrier unbroken and empty. Parties that wait get -EPIPE.
 *
 * The call waits only while a process is stopped in a call.
 *
 * Returns:
 *   0         the barrier is unbroken
 *   -EBADMSG  the memory is no barrier, or has been overwritten
 */
FL_API FL_MUST_CHECK int fl_shm_barrier_reset(fl_shm_barrier *b);

/* Returns whether the barrier is broken. */
FL_API bool fl_shm_barrier_is_broken(const fl_shm_barrier *b);

/* Returns how many parties have arrived, including killed ones. */
FL_API uint32_t fl_shm_barrier_waiting(const fl_shm_barrier *b);

FL_END_DECLS

#endif
