/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_EVENT_H
#define FAIRLEAD_SHM_EVENT_H

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
 * Event in shared memory: a flag that contexts wait for. An event stays set until it is reset. 96
 * bytes, valid (not set) when all-zero.
 *
 *     rc = fl_shm_event_set(&shared->ready);          // in one process; check
 *     rc = fl_shm_event_wait(&shared->ready);         // in any number of others; check
 *
 * fl_shm_event_set() wakes all present waiters, even if the event is reset at once. If a process is
 * killed in a set, either the event is set and all waiters find it set, or nothing has happened.
 *
 * While a process is stopped (SIGSTOP) in the few instructions of a set or a wait, waits block, and
 * so do sets that have waiters. A wait with a deadline ends at most a few milliseconds late.
 * Processes, fork, emulators: as in fairlead/shm_mutex.h.
 *
 * -EBADMSG: the memory has been overwritten. The call did nothing.
 *
 * Memory order: a context that sees the event set sees what was written before fl_shm_event_set().
 */
typedef struct fl_shm_event {
	uint64_t lock_[5], waiters_[6];
	uint32_t word_, spare_;
} fl_shm_event;
FL__ASSERT_SIZE(fl_shm_event, 96);

#define FL_SHM_EVENT_SET_ 1u

/* Makes `e` an event that is not set, as zeroed memory is. */
FL_INLINE void fl_shm_event_init(fl_shm_event *_e)
{
	__builtin_memset(_e, 0, sizeof *_e);
}

/*
 * Sets `e` and wakes all its waiters. Releases, even if `e` was set before. Waits only while a
 * process is stopped in a call (above). Returns 0, -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_event_set(fl_shm_event *e);

/*
 * Makes `e` not set. Woken waiters stay woken. Acquires what each undone set released, so "reset,
 * look for work, wait if there is none" misses no work.
 */
FL_API void fl_shm_event_reset(fl_shm_event *e);

/* True if `e` is set now. Acquires when true. */
FL_INLINE bool fl_shm_event_is_set(const fl_shm_event *_e)
{
	/* pairs with fl_shm_event_set() */
	return fl__load_acquire(&_e->word_) & FL_SHM_EVENT_SET_;
}

/* Waits until `e` is set. Blocks the calling context. Returns 0, -ECANCELED, -EBADMSG. */
FL_API FL_MUST_CHECK int fl_shm_event_wait_until(fl_shm_event *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_event_wait(fl_shm_event *_e)
{
	return fl_shm_event_wait_until(_e, FL_FOREVER, NULL);
}

/* For FL_WAIT_ANY(): ready while `e` is set. It may miss a set that is reset at once. */
#define FL_ON_SHM_EVENT(e) FL__ON(fl__on_shm_event, (e))
FL_API extern const fl_on_type fl__on_shm_event;

FL_END_DECLS

#endif
