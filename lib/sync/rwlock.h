/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_RWLOCK_H
#define FL_SYNC_RWLOCK_H

/* What the scenarios of the model need of the readers-writer lock. rwlock.c says how it works. */
#include "../wait/lot.h"
#include <fairlead/rwlock.h>

struct fl__rwlock_mode {
	uint32_t unit; /* a lock adds this to the word */
	uint32_t bars; /* the bits that bar the lock */
	uint32_t kind; /* the value of a queued node */
};

extern const struct fl__rwlock_mode fl__rwlock_writing;

/*
 * Takes the lock if no bit of `bars` is set: false. Else enqueues `node`: true. `awake`: the
 * caller is the awake waiter. CLOSED, set on its behalf, does not bar the lock to the awake waiter;
 * for all other callers, `bars` contains CLOSED.
 */
bool fl__rwlock_enqueue(fl_rwlock *l, const struct fl__rwlock_mode *mode, struct fl__node *node, uint32_t bars,
                        bool awake);

#endif
