/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_EVENT_H
#define FAIRLEAD_SHM_EVENT_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <fairlead/private/part_process.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * An event in shared memory: a flag that contexts wait for. It stays set until it is reset.
 *
 *     int rc = fl_shm_event_set(&shared->ready); // in one process
 *     rc = fl_shm_event_wait(&shared->ready);    // in any number of others
 *
 * An event is 96 bytes, and all-zero memory is an event that is not set. fl_shm_event_set() wakes
 * all contexts that wait at the time of the call, even if the event is reset at once.
 *
 * What fairlead/shm.h says about processes, stops and damage holds here, too.
 *
 * Memory order: what was written before fl_shm_event_set() happens before a call that sees the
 * event set.
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
 * Sets the event and wakes all its waiters. Blocks only while a stopped process is inside a call on
 * this event. Returns 0 or -EBADMSG.
 *
 * Memory order: release, even if the event was set before.
 */
FL_API FL_MUST_CHECK int fl_shm_event_set(fl_shm_event *e);

/*
 * Makes the event not set, as fl_event_reset() does (fairlead/event.h), with the same memory order.
 */
FL_API void fl_shm_event_reset(fl_shm_event *e);

/* Returns whether the event is set now. Memory order: acquire if it is. */
FL_INLINE bool fl_shm_event_is_set(const fl_shm_event *_e)
{
	/* acquire: pairs with the release in fl_shm_event_set() */
	return fl__load_acquire(&_e->word_) & FL_SHM_EVENT_SET_;
}

/*
 * Waits until the event is set. Both functions block the calling context. Returns 0, -ETIMEDOUT,
 * -ECANCELED or -EBADMSG.
 */
FL_API FL_MUST_CHECK int fl_shm_event_wait_until(fl_shm_event *e, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_event_wait(fl_shm_event *_e)
{
	return fl_shm_event_wait_until(_e, FL_FOREVER, NULL);
}

/*
 * FL_ON_SHM_EVENT(e) is an object for FL_WAIT_ANY(), ready while the event is set. The wait may
 * miss a set that is reset at once.
 */
#define FL_ON_SHM_EVENT(e) FL__ON(fl__on_shm_event, (e))
FL_API extern const fl_on_type fl__on_shm_event;

FL_END_DECLS

#endif
