/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* For the scenarios of the model. */
#include "../wait/lot.h"
#include <fairlead/rwlock.h>

/* Whether a context holds the lock or waits for it: what a destroy asks while debugging is on. */
bool fl__rwlock_is_busy(fl_rwlock *l);

struct fl__rwlock_mode {
	uint32_t unit; /* a lock adds this to the word */
	uint32_t bars; /* the bits that bar the lock */
	uint32_t kind; /* `value` of its queued node */
};

extern const struct fl__rwlock_mode fl__rwlock_writing;

/*
 * Takes the lock, or, if a bit of `bars` is set, enqueues `node`: true. `awake`: the caller is the
 * awake waiter. CLOSED does not bar it, and its node goes to the front. Other callers add CLOSED to
 * `bars`, and their nodes go to the end.
 */
bool fl__rwlock_enqueue(fl_rwlock *l, const struct fl__rwlock_mode *mode, struct fl__node *node, uint32_t bars,
                        bool awake);
