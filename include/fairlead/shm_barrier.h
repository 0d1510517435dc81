/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_BARRIER_H
#define FAIRLEAD_SHM_BARRIER_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * Barrier in shared memory: a fixed number of contexts wait for each other, repeatedly. 104 bytes.
 *
 *     rc = fl_shm_barrier_init(&shared->turn, 4);     // once; check
 *     rc = fl_shm_barrier_wait(&shared->turn);        // 0, 1, 2 or 3: different in all four
 *
 * A barrier breaks when a waiter times out or is cancelled, or fl_shm_barrier_abort() is called.
 * Then its waiters and all later callers get -EPIPE, until fl_shm_barrier_reset().
 *
 * A party that is killed while it waits has arrived. A party that is killed before its wait never
 * arrives. A barrier passes or breaks for all parties at once, even if the process that completes
 * or breaks it is killed in the call.
 *
 * While a process is stopped (SIGSTOP) in the few instructions of a call, other calls block, even
 * past their deadlines, because a timeout must break the barrier. Processes, fork, emulators: as in
 * fairlead/shm_mutex.h.
 *
 * -EBADMSG: the memory is no barrier, or has been overwritten.
 *
 * Memory order: each party sees what all parties wrote before their waits.
 */
typedef struct fl_shm_barrier {
	uint64_t lock_[5], waiters_[6];
	uint64_t word_;
	uint32_t parties_, spare_;
} fl_shm_barrier;
FL__ASSERT_SIZE(fl_shm_barrier, 104);

#define FL_SHM_BARRIER_MAX 0xfffffu

/* Makes `b` a barrier for `parties` (1 to FL_SHM_BARRIER_MAX). Returns 0, or -EINVAL. */
FL_INLINE FL_MUST_CHECK int fl_shm_barrier_init(fl_shm_barrier *_b, uint32_t _parties)
{
	if (_parties == 0 || _parties > FL_SHM_BARRIER_MAX)
		return -EINVAL;
	__builtin_memset(_b, 0, sizeof *_b);
	_b->parties_ = _parties;
	return 0;
}

/*
 * Waits until all parties have arrived. Blocks the calling context. Returns -EBADMSG, or:
 *   0 to parties - 1  passed: the order of arrival
 *   -EPIPE            the barrier is broken, or was broken or reset during the wait
 *   -ECANCELED        cancelled; the barrier is now broken, as after -ETIMEDOUT
 */
FL_API FL_MUST_CHECK int fl_shm_barrier_wait_until(fl_shm_barrier *b, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_barrier_wait(fl_shm_barrier *_b)
{
	return fl_shm_barrier_wait_until(_b, FL_FOREVER, NULL);
}

/*
 * Arrives and passes if the caller is the last party. Otherwise does not arrive. Returns -EBADMSG,
 * or:
 *   parties - 1  passed
 *   -EAGAIN      parties are missing
 *   -EPIPE       the barrier is broken
 *   -ETIMEDOUT   a process that is stopped in a call (above) blocked this call for a millisecond
 */
FL_API FL_MUST_CHECK int fl_shm_barrier_try_wait(fl_shm_barrier *b);

/* Breaks `b`: its waiters get -EPIPE. Waits for a stopped process (above). Returns 0, -EBADMSG. */
FL_API FL_MUST_CHECK int fl_shm_barrier_abort(fl_shm_barrier *b);

/* As fl_shm_barrier_abort(), but makes `b` unbroken and empty. Returns 0, -EBADMSG. */
FL_API FL_MUST_CHECK int fl_shm_barrier_reset(fl_shm_barrier *b);

/* True if `b` is broken. */
FL_API bool fl_shm_barrier_is_broken(const fl_shm_barrier *b);

/* How many parties have arrived at `b`, including killed ones. */
FL_API uint32_t fl_shm_barrier_waiting(const fl_shm_barrier *b);

FL_END_DECLS

#endif
