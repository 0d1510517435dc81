/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event, a word:
 *
 *   field     meaning                                set by                                       cleared by
 *   SET       it is set                              fl_shm_event_set(): CAS; set_waking()        fl_shm_event_reset()
 *   WAITERS   somebody may wait                      look_for(), CAS, under the monitor,          set_waking(), under the monitor
 *                                                    while not SET
 *   the rest  counts the sets that found WAITERS     set_waking(), under the monitor              -
 *
 * The count is for a set that is reset at once: who waited sees that there was one. It goes round after 2^30 of them, in
 * which time a waiter has looked.
 *
 * Invariants
 *   1. WAITERS => not SET; with WAITERS the word changes under the monitor alone (a reset changes nothing then).
 *   2. Somebody sleeps => WAITERS, or a wake of all has been given since they lay down: as in sem.c.
 *   3. Linearization: set, its CAS, or its store; a wait, the look that finds SET or another count.
 *
 * Set and reset are read-modify-writes also where they change nothing: lib/sync/event.c says why.
 *
 * Killed in look_for(), after WAITERS: a set goes the slow way once. In set_waking(), before the store: the event is not set,
 * and those who were woken set WAITERS again; after it: they find it set.
 */
#include "../base/atomic.h"
#include "line.h"
#include <errno.h>
#include <fairlead/shm_event.h>
#include <fairlead/time.h>

_Static_assert(sizeof(struct fl__shm_lock) == sizeof((fl_shm_event *)0)->lock_ &&
                   sizeof(struct fl__shm_line) == sizeof((fl_shm_event *)0)->line_,
               "fl_shm_event has room for a lock and a line");

enum { SET = 1, WAITERS = 2, COUNT = 4 };

struct waiter {
	fl_shm_event *e;
	uint32_t count; /* of the sets, at its first look */
	bool looked;
};

static struct fl__shm_lock *lock_of(fl_shm_event *e)
{
	return (struct fl__shm_lock *)(void *)e->lock_;
}

static struct fl__shm_line *line_of(fl_shm_event *e)
{
	return (struct fl__shm_line *)(void *)e->line_;
}

static uint32_t count_of(uint32_t word)
{
	return word / COUNT;
}

static bool is_over(const struct waiter *w, uint32_t word)
{
	return (word & SET) || (w->looked && count_of(word) != w->count);
}

/* Under the monitor: 0; -EAGAIN, and the word says that somebody waits. */
static int look_for(void *arg)
{
	struct waiter *w = arg;
	uint32_t seen = fl__load_acquire(&w->e->word_); /* pairs with the releases of set */
	for (;;) {
		if (is_over(w, seen))
			return 0;
		/* relaxed: publishes nothing */
		if ((seen & WAITERS) || fl__cas_weak_relaxed(&w->e->word_, &seen, seen | WAITERS))
			break;
		seen = fl__load_acquire(&w->e->word_); /* as above */
	}
	w->count = count_of(seen);
	w->looked = true;
	return -EAGAIN;
}

static bool may_be_over(const void *arg)
{
	const struct waiter *w = arg;
	return is_over(w, fl__load_relaxed(&w->e->word_)); /* relaxed: a guess */
}

static struct fl__shm_op op_of(struct waiter *w)
{
	return (struct fl__shm_op){lock_of(w->e), line_of(w->e), look_for, may_be_over, w, true};
}

void fl_shm_event_init(fl_shm_event *e)
{
	*e = (fl_shm_event){{0}, {0}, 0, 0};
}

/* Wakes who waits, and sets it; -EAGAIN when WAITERS was gone before it came to it. */
static int set_waking(fl_shm_event *e)
{
	struct fl__shm_held held;
	if (fl__shm_enter(lock_of(e), &held, FL_FOREVER) != 0)
		return -EBADMSG;
	int rc = -EAGAIN;
	uint32_t seen = fl__load_relaxed(&e->word_); /* relaxed: it changes under the monitor alone (invariant 1) */
	if (seen & WAITERS) {
		fl__shm_announce(line_of(e));
		fl__store_release(&e->word_, (count_of(seen) + 1) * COUNT | SET); /* pairs with every acquire here */
		fl__shm_announced(line_of(e), 0);
		rc = 0;
	}
	fl__shm_leave(lock_of(e), &held);
	return rc;
}

int fl_shm_event_set(fl_shm_event *e)
{
	int rc = -EAGAIN;
	while (rc == -EAGAIN) {
		uint32_t seen = fl__load_relaxed(&e->word_); /* relaxed: the CAS decides */
		if (seen & WAITERS)
			rc = set_waking(e);
		else if (fl__cas_weak_release(&e->word_, &seen, seen | SET)) /* pairs with every acquire here */
			rc = 0;
	}
	return rc;
}

void fl_shm_event_reset(fl_shm_event *e)
{
	(void)fl__and_acquire(&e->word_, ~(uint32_t)SET); /* pairs with the releases of set */
}

bool fl_shm_event_is_set(const fl_shm_event *e)
{
	return fl__load_acquire(&e->word_) & SET; /* pairs with the releases of set */
}

int fl_shm_event_wait_until(fl_shm_event *e, int64_t deadline, fl_cancel *cancel)
{
	if (fl_shm_event_is_set(e))
		return 0;
	struct waiter w = {e, 0, false};
	struct fl__shm_op op = op_of(&w);
	return fl__shm_await(&op, deadline, cancel);
}

int fl_shm_event_wait(fl_shm_event *e)
{
	return fl_shm_event_wait_until(e, FL_FOREVER, NULL);
}

int fl_shm_event_try_wait(fl_shm_event *e)
{
	return fl_shm_event_is_set(e) ? 0 : -EAGAIN;
}

static bool on_ready(void *object)
{
	return fl_shm_event_is_set(object);
}

static bool on_arm(void *object, struct fl__node *node)
{
	struct waiter w = {object, 0, false};
	struct fl__shm_op op = op_of(&w);
	return fl__shm_line_arm(&op, node);
}

static void on_disarm(void *object, struct fl__node *node)
{
	(void)object;
	fl__shm_line_disarm(node);
}

const fl_on_type fl__on_shm_event = {on_ready, on_arm, on_disarm, NULL};
