/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The condition: a line in the lot, and a word that says whether anybody may stand in it.
 *
 *   value      meaning                     set by                            cleared by
 *   WAITERS    somebody may be in line     add(), under the lot              signal and broadcast, under the lot, when
 *                                                                            they leave the line empty
 *
 * A waiter stands in line before it unlocks the mutex, so whoever changes the predicate under the mutex afterwards finds
 * it: no sequence number is needed, nobody can steal a signal (it goes to a node that stood in line when it was given), and
 * a timed-out waiter has consumed none (lot.c, invariant 2). A signaller that does not hold the mutex sees WAITERS of every
 * waiter that its change of the predicate must reach, since it held the mutex after that waiter let go of it.
 *
 * A signal moves the waiter from the line of the condition to that of the mutex, asleep as it is, where it is roused when it
 * is its turn. So a broadcast wakes one at a time, each when it can go on, whether the caller holds the mutex or not. Who was
 * moved has been signalled, also when its time is up before it has the mutex.
 *
 * Linearization: wait, fl__lot_add(); signal and broadcast, the moves. The last access of both to the condition is the store
 * of the word under the lot, so that the condition may be destroyed once its waiters are woken. The mutex is there as long as
 * somebody waits to lock it: it is touched only while one of those is in line.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "mutex.h"
#include <errno.h>
#include <fairlead/cond.h>
#include <fairlead/time.h>

enum { WAITERS = 1 };

/* With the mutex held, so that no change of the predicate goes unnoticed. */
static void add(fl_cond *c, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, c);
	fl__lot_add(&lot, node);
	fl__store_relaxed(&c->word_, WAITERS); /* relaxed: the mutex, then the lot's lock, order it */
	fl__lot_close(&lot);
}

/* Opens the line of the mutex of the first in line, which is the result; NULL: there is nobody. */
static fl_mutex *open_home(struct fl__lot *line, struct fl__lot *to)
{
	struct fl__node *first;
	while ((first = fl__lot_first(line)) != NULL) {
		fl_mutex *m = fl__mutex_node_of(first)->mutex;
		if (fl__lot_open_also(line, to, m))
			return m;
		first = fl__lot_first(line);
		if (first && fl__mutex_node_of(first)->mutex == m)
			return m;
		fl__lot_shut_also(line, to);
	}
	return NULL;
}

/* Under the lot: moves up to `max` of those in line who have one mutex; 0: there is nobody, or they had all given up. */
static size_t wake_some(struct fl__lot *line, size_t max)
{
	struct fl__lot to;
	fl_mutex *m = open_home(line, &to);
	if (!m)
		return 0;
	const size_t moved = fl__mutex_adopt(m, line, &to, max);
	fl__lot_shut_also(line, &to);
	return moved;
}

static void wake(fl_cond *c, size_t max)
{
	if (fl__load_relaxed(&c->word_) == 0) /* relaxed: the mutex orders it */
		return;
	struct fl__lot line;
	fl__lot_open(&line, c);
	while (max > 0 && fl__lot_more(&line))
		max -= wake_some(&line, max);
	if (!fl__lot_more(&line))
		fl__store_relaxed(&c->word_, 0); /* relaxed: as above; the last access */
	fl__lot_close(&line);
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

/* After a timeout or cancel: leaves the line in which it stands; whether that was the condition's still. */
static bool leave(const fl_cond *c, struct fl__mutex_node *place)
{
	struct fl__lot lot;
	const bool unsignalled = fl__lot_open_of(&lot, &place->node) == c;
	if (unsignalled)
		fl__lot_remove(&lot, &place->node);
	else
		fl__mutex_give_up(place->mutex, &lot, place);
	fl__lot_close(&lot);
	return unsignalled;
}

int fl_cond_wait_until(fl_cond *c, fl_mutex *m, int64_t deadline, fl_cancel *cancel)
{
	if (!fl_mutex_is_locked(m))
		fl__panic("fl_cond_wait", m, "the mutex is not locked");
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__mutex_node place = FL__MUTEX_NODE(m, &wait);
	add(c, &place.node);
	fl_mutex_unlock(m);
	struct fl__debug_op op;
	fl__debug_locking(&op, m, FL__DEBUG_MUTEX, FL__DEBUG_LATER); /* whatever ends the wait, it takes the mutex */
	fl__debug_waiting(&op);
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc == 0) {
		fl__mutex_lock_roused(&place, &op);
		return 0;
	}
	if (!leave(c, &place))
		rc = 0;
	fl__mutex_lock_announced(m, &op);
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
