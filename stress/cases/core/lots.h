/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LOTS_H
#define STRESS_LOTS_H

#include "../cases.h"

/* A waiter of the parking lot, for scenarios that use the lot as a primitive does. */
struct place {
	struct fl__wait wait;
	struct fl__node node;
};

static inline void place_init(struct place *p)
{
	fl__wait_begin(&p->wait, FL__DEBUG_NOTHING, NULL);
	p->node = FL__NODE(&p->wait);
}

/*
 * Enqueues the waiter. Returns false if `*ready` says that no waiter waits any more. `*ready` is
 * plain, and guarded by the bucket of `key`.
 */
static inline bool stand(struct place *p, const void *key, const unsigned *ready)
{
	struct fl__lot lot;
	place_init(p);
	fl__lot_open(&lot, key);
	const bool waits = !*ready;
	if (waits)
		fl__lot_add(&lot, &p->node);
	fl__lot_close(&lot);
	return waits;
}

/* Sleeps, and leaves the queue at a timeout. */
static inline int sleep_there(struct place *p, fl_time deadline)
{
	const int rc = fl__wait_sleep(&p->wait, deadline, FL_SHIELDED);
	if (rc != 0)
		fl__lot_leave(&p->node);
	return rc;
}

/* Wakes up to `max` waiters, and returns how many it has woken. */
static inline size_t wake(const void *key, unsigned *ready, size_t max, uint32_t value)
{
	struct fl__lot lot;
	fl__lot_open(&lot, key);
	*ready = 1;
	const size_t n = fl__lot_take(&lot, max, value);
	fl__lot_close(&lot);
	return n;
}

#endif
