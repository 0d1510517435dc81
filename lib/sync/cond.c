/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The condition: a line in the lot, and a word that says whether anybody may stand in it.
 *
 *   value      meaning                     set by                            cleared by
 *   WAITERS    somebody may be in line     fl__cond_add(), under the lot     signal and broadcast, under the lot, when
 *                                                                            they leave the line empty
 *
 * A waiter stands in line before it unlocks the mutex, so whoever changes the predicate under the mutex afterwards finds
 * it: no sequence number is needed, nobody can steal a signal (it goes to a node that stood in line when it was given), and
 * a timed-out waiter has consumed none (lot.c, invariant 2). A signaller that does not hold the mutex sees WAITERS of every
 * waiter that its change of the predicate must reach, since it held the mutex after that waiter let go of it.
 *
 * Linearization: wait, fl__lot_add(); signal and broadcast, the takes. The last access of both is the store of the word
 * under the lot, so that the condition may be destroyed once its waiters are woken.
 */
#include "cond.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include <errno.h>
#include <fairlead/time.h>

enum { WAITERS = 1 };

void fl__cond_add(fl_cond *c, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, c);
	fl__lot_add(&lot, node);
	fl__store_relaxed(&c->word_, WAITERS); /* relaxed: the mutex, then the lot's lock, order it */
	fl__lot_close(&lot);
}

static void wake(fl_cond *c, size_t max)
{
	if (!fl__cond_is_awaited(c))
		return;
	struct fl__lot lot;
	fl__lot_open(&lot, c);
	fl__lot_take(&lot, max, 0);
	if (!fl__lot_more(&lot))
		fl__store_relaxed(&c->word_, 0); /* relaxed: as above; the last access */
	fl__lot_close(&lot);
}

void fl_cond_init(fl_cond *c)
{
	c->word_ = 0;
}

int fl_cond_destroy(fl_cond *c)
{
	return fl__lot_waited(c) ? -EBUSY : 0;
}

void fl_cond_signal(fl_cond *c)
{
	wake(c, 1);
}

void fl_cond_broadcast(fl_cond *c)
{
	wake(c, FL__ALL);
}

int fl_cond_wait_until(fl_cond *c, fl_mutex *m, int64_t deadline, fl_cancel *cancel)
{
	if (!fl_mutex_is_locked(m))
		fl__panic("fl_cond_wait", m, "the mutex is not locked");
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	fl__cond_add(c, &node);
	fl_mutex_unlock(m);
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	fl_mutex_lock(m);
	return rc;
}

int fl_cond_wait(fl_cond *c, fl_mutex *m)
{
	return fl_cond_wait_until(c, m, FL_FOREVER, NULL);
}

int fl_cond_wait_for_until(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg, int64_t deadline,
                           fl_cancel *cancel)
{
	int rc = 0;
	while (!predicate(arg)) {
		if (rc != 0)
			return rc;
		rc = fl_cond_wait_until(c, m, deadline, cancel);
	}
	return 0;
}

int fl_cond_wait_for(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg)
{
	return fl_cond_wait_for_until(c, m, predicate, arg, FL_FOREVER, NULL);
}
