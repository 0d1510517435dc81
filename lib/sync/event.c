/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event:
 *
 *   bit       meaning                     set by                                           cleared by
 *   SET       it is set                   fl_event_set(): CAS, or under the lot            fl_event_reset()
 *   WAITERS   somebody may be in line     fl__word_arm(), under the lot, while not SET     fl_event_set(), under the lot
 *
 * Linearization: set, its CAS, or its store under the lot in the same transaction as the takes, which is its last access
 * to the event. So who waited is woken even if the event is reset at once, and who comes after the reset is not.
 *
 * Set and reset are read-modify-writes always, also where they change nothing: of a set and a reset at the same time one
 * sees the other. So "reset, look for work, wait" misses nothing: either the reset acquires what the setter wrote before,
 * and the look finds it, or the set comes after the reset and the wait returns.
 */
#include "../base/atomic.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/event.h>
#include <fairlead/time.h>

enum { SET = 1, WAITERS = 2 };

static const struct fl__word is_set = {SET, SET, WAITERS};

void fl_event_init(fl_event *e)
{
	e->word_ = 0;
}

int fl_event_destroy(fl_event *e)
{
	return fl__lot_waited(e) ? -EBUSY : 0;
}

static void set_waking(fl_event *e)
{
	struct fl__lot lot;
	fl__lot_open(&lot, e);
	fl__lot_take(&lot, FL__ALL, 0);
	fl__store_release(&e->word_, SET); /* as in fl_event_set(); the last access */
	fl__lot_close(&lot);
}

void fl_event_set(fl_event *e)
{
	uint32_t seen = fl__load_relaxed(&e->word_); /* relaxed: the CAS decides */
	do {
		if (seen & WAITERS) {
			set_waking(e);
			return;
		}
		/* release, also where it is set already: pairs with fl__word_wait(), fl_event_is_set(), fl_event_reset() */
	} while (!fl__cas_weak_release(&e->word_, &seen, SET));
}

void fl_event_reset(fl_event *e)
{
	(void)fl__and_acquire(&e->word_, ~(uint32_t)SET); /* pairs with the release in fl_event_set() */
}

bool fl_event_is_set(const fl_event *e)
{
	return fl__load_acquire(&e->word_) & SET; /* pairs with the release in fl_event_set() */
}

int fl_event_wait_until(fl_event *e, int64_t deadline, fl_cancel *cancel)
{
	return fl__word_wait(&e->word_, &is_set, deadline, cancel);
}

int fl_event_wait(fl_event *e)
{
	return fl_event_wait_until(e, FL_FOREVER, NULL);
}

int fl_event_try_wait(fl_event *e)
{
	return fl_event_is_set(e) ? 0 : -EAGAIN;
}

static bool on_ready(void *object)
{
	return fl_event_is_set(object);
}

static bool on_arm(void *object, struct fl__node *node)
{
	fl_event *e = object;
	return fl__word_arm(&e->word_, &is_set, node);
}

const fl_on_type fl__on_event = {on_ready, on_arm, fl__node_disarm, NULL};
