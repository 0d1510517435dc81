/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_COND_H
#define FL_SYNC_COND_H

#include "../base/atomic.h"
#include "../wait/lot.h"
#include <fairlead/cond.h>

/*
 * Adds `node`, of a wait that has begun, to those that the next signal or broadcast wakes. Called with the mutex held that
 * guards the predicate, so that no change of it goes unnoticed. fl__lot_leave() takes it back.
 */
void fl__cond_add(fl_cond *c, struct fl__node *node);

/* Whether anybody may wait, for who holds that mutex: saves the call of a signal that nobody needs. */
static inline bool fl__cond_is_awaited(const fl_cond *c)
{
	return fl__load_relaxed(&c->word_) != 0; /* relaxed: the mutex orders it, see cond.c */
}

#endif
