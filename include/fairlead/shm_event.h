/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_EVENT_H
#define FAIRLEAD_SHM_EVENT_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * Event in memory that processes share: a flag that contexts wait for. Stays set until it is reset. 96 bytes, valid (not set)
 * when all-zero.
 *
 *     rc = fl_shm_event_set(&shared->ready);          // in one process; check
 *     rc = fl_shm_event_wait(&shared->ready);         // in any number of others; check
 *
 * fl_shm_event_set() wakes all that wait at that moment, even when the event is reset at once. A set in which its process is
 * killed has set the event, and all who wait find it set; or it has not. Set and wait of an event that is set touch one word.
 *
 * Processes: any may be killed at any time; all that share it are in one PID namespace. One that is stopped (SIGSTOP) in the
 * few instructions of a set or of a wait keeps others who set it for waiters, or wait, until it goes on; a wait with a
 * deadline ends at most a few milliseconds behind it. Fork: a child may use it. Signals: no function from a handler. Where the
 * system has no robust futexes (emulators), a death at such a moment may leave others waiting.
 *
 * -EBADMSG: the memory has been overwritten; nothing happened.
 *
 * Memory order: who sees the event set sees what was written before fl_shm_event_set().
 */
typedef struct fl_shm_event {
	uint64_t lock_[5], waiters_[6];
	uint32_t word_, spare_;
} fl_shm_event;
FL__ASSERT_SIZE(fl_shm_event, 96);

#define FL_SHM_EVENT_SET_ 1u

/* Makes `e` an event that is not set; the same as zeroed memory. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_shm_event_init(fl_shm_event *e);

/*
 * Sets `e` and wakes all its waiters. Releases also when it was set already. Waits for a stopped process alone (above).
 * Returns 0, -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_event_set(fl_shm_event *e);

/*
 * Makes `e` not set. Who is being woken stays woken. Never waits. Acquires what came before each set that it undoes, so that
 * "reset, look for work, wait if there is none" misses no work.
 */
FL_API void fl_shm_event_reset(fl_shm_event *e);

/* Whether `e` is set now. Never waits. Acquires when true. */
FL_INLINE bool fl_shm_event_is_set(const fl_shm_event *e);

/* Waits until `e` is set. Blocks the calling context. Observes its cancel scope. Returns 0, -ECANCELED, -EBADMSG. */
FL_INLINE FL_MUST_CHECK int fl_shm_event_wait(fl_shm_event *e);

/* Returns 0 when `e` is set, else -EAGAIN. Never waits. */
FL_INLINE FL_MUST_CHECK int fl_shm_event_try_wait(fl_shm_event *e);

/* Waits until `e` is set. Blocks the calling context. Returns 0, -ETIMEDOUT, -ECANCELED, -EBADMSG. */
FL_API FL_MUST_CHECK int fl_shm_event_wait_until(fl_shm_event *e, int64_t deadline, fl_cancel_token *cancel);

/* For fl_wait_any: ready while it is set; unlike a wait, it may miss a set that is reset at once. */
#define FL_ON_SHM_EVENT(e) FL__ON(fl__on_shm_event, (e))
FL_API extern const fl_on_type fl__on_shm_event;

/* The inline functions. */

FL_INLINE void fl_shm_event_init(fl_shm_event *_e)
{
	memset(_e, 0, sizeof *_e);
}

FL_INLINE int fl_shm_event_wait(fl_shm_event *_e)
{
	return fl_shm_event_wait_until(_e, FL_FOREVER, NULL);
}

FL_INLINE int fl_shm_event_try_wait(fl_shm_event *_e)
{
	return fl_shm_event_is_set(_e) ? 0 : -EAGAIN;
}

FL_INLINE bool fl_shm_event_is_set(const fl_shm_event *_e)
{
	return fl__load_acquire(&_e->word_) & FL_SHM_EVENT_SET_; /* pairs with the releases of fl_shm_event_set() */
}

FL_END_DECLS

#endif
