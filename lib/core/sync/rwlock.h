/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Internals of the readers-writer lock, for rwlock.c and the scenarios of the laboratory. */
#include "../wait/lot.h"
#include <fairlead/rwlock.h>

/*
 * Returns whether a context holds the lock or waits for it. A destroy calls this while debugging is
 * on.
 */
bool fl__rwlock_is_busy(fl_rwlock *l);

/*
 * Return whether `l` is locked for reading, and whether it is locked for writing. The answer may be
 * stale at once. fl__rwlock_is_read_locked() also returns true while a context tries to lock for
 * reading, or ends the bias. Neither call orders memory accesses.
 */
bool fl__rwlock_is_read_locked(const fl_rwlock *l);
bool fl__rwlock_is_write_locked(const fl_rwlock *l);

struct fl__rwlock_mode {
	uint32_t unit; /* what a lock adds to the word */
	uint32_t bars; /* the bits of the word that bar the lock in this mode */
	uint32_t kind; /* the `value` of a waiter's node in this mode */
};

extern const struct fl__rwlock_mode fl__rwlock_writing;

/*
 * If a bit of `bars` is set in the word, enqueues `node` and returns true. Otherwise takes the lock
 * and returns false. With `awake`, the caller is the awake waiter, which CLOSED does not bar, and
 * its node goes to the front. Other callers add CLOSED to `bars`, and their nodes go to the end.
 */
bool fl__rwlock_enqueue(fl_rwlock *l, const struct fl__rwlock_mode *mode, struct fl__node *node, uint32_t bars,
                        bool awake);
