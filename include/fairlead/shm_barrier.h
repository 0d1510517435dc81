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
 * Barrier in memory that processes share: a fixed number of contexts wait for each other, again and again. 104 bytes.
 *
 *     rc = fl_shm_barrier_init(&shared->turn, 4);     // once; check
 *     rc = fl_shm_barrier_wait(&shared->turn);        // 0, 1, 2 or 3: a different number in each of the four
 *
 * A barrier breaks when a waiter gives up (timeout, cancel) or fl_shm_barrier_abort() is called: all its waiters and all
 * later ones get -EPIPE, until fl_shm_barrier_reset(). A wait that is complete stays complete: who was let through returns
 * its number.
 *
 * Who is killed while it waits has arrived, and the others pass. Who is killed before has not, and never will: it is for
 * the deadline of another, or for whoever sees the death, to break the barrier. It passes or breaks for all, or not yet, also
 * when the process that does it is killed in the midst.
 *
 * Processes: any may be killed at any time; all that share it are in one PID namespace. One that is stopped (SIGSTOP) in the
 * few instructions of a call keeps the others in theirs until it goes on, those with a deadline too, since they break it.
 * Fork: a child may use it. Signals: no function from a handler. Where the system has no robust futexes (emulators), a death
 * at such a moment may leave others waiting.
 *
 * -EBADMSG: the memory is not that of a barrier, or has been overwritten.
 *
 * Memory order: what each wrote before its wait is visible to all after it.
 */
typedef struct fl_shm_barrier {
	uint64_t lock_[5], waiters_[6];
	uint64_t word_;
	uint32_t parties_, spare_;
} fl_shm_barrier;
FL__ASSERT_SIZE(fl_shm_barrier, 104);

#define FL_SHM_BARRIER_MAX 0xfffffu

/*
 * Makes `b` a barrier for `parties` (1 to FL_SHM_BARRIER_MAX). Requires that nobody uses it. Returns 0, -EINVAL. Never
 * waits.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_barrier_init(fl_shm_barrier *b, uint32_t parties);

/*
 * Waits until all parties are here. Blocks the calling context. Observes its cancel scope. Returns the order of arrival,
 * 0 to parties - 1; -EPIPE when the barrier is or gets broken, or is reset meanwhile; -ECANCELED (which breaks it); -EBADMSG.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_barrier_wait(fl_shm_barrier *b);

/*
 * Passes if this is the last party, and returns its number; else -EAGAIN, without arriving; or -EPIPE, -EBADMSG. -EBUSY when a
 * stopped process is in its way for a millisecond (above).
 */
FL_API FL_MUST_CHECK int fl_shm_barrier_try_wait(fl_shm_barrier *b);

/* As fl_shm_barrier_wait; also returns -ETIMEDOUT, which breaks the barrier. */
FL_API FL_MUST_CHECK int fl_shm_barrier_wait_until(fl_shm_barrier *b, int64_t deadline, fl_cancel_token *cancel);

/* Breaks `b`: its waiters get -EPIPE. Waits for a stopped process alone (above). Returns 0, -EBADMSG. */
FL_API FL_MUST_CHECK int fl_shm_barrier_abort(fl_shm_barrier *b);

/* Makes `b` whole and empty; who waits gets -EPIPE. Waits for a stopped process alone. Returns 0, -EBADMSG. */
FL_API FL_MUST_CHECK int fl_shm_barrier_reset(fl_shm_barrier *b);

/* Whether `b` is broken. Never waits. */
FL_API bool fl_shm_barrier_is_broken(const fl_shm_barrier *b);

/* How many wait at `b` now, with those who were killed there. Never waits. */
FL_API uint32_t fl_shm_barrier_waiting(const fl_shm_barrier *b);

/* The inline functions. */

FL_INLINE int fl_shm_barrier_init(fl_shm_barrier *_b, uint32_t _parties)
{
	if (_parties == 0 || _parties > FL_SHM_BARRIER_MAX)
		return -EINVAL;
	memset(_b, 0, sizeof *_b);
	_b->parties_ = _parties;
	return 0;
}

FL_INLINE int fl_shm_barrier_wait(fl_shm_barrier *_b)
{
	return fl_shm_barrier_wait_until(_b, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
