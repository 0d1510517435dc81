/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The condition: a line in the lot, and a word that says whether anybody may stand in it, and who waits without it.
 *
 *   bits       meaning                        set by                              cleared by
 *   WAITERS    somebody may be in line        add(), line_up(), under the lot     signal and broadcast, under the lot, when
 *                                                                                 they leave the line empty
 *   the rest   a thread that came when        look_first(), CAS, with the         signal and broadcast, under the lot: they
 *              nobody waited: it looks for    mutex held                          have woken it; line_up(), under the lot
 *              a signal for a while, and
 *              only then stands in line:
 *              its wait, and in FORKS the
 *              process that it belongs to
 *
 * A waiter stands in line, or in the word, before it unlocks the mutex, so whoever changes the predicate under the mutex
 * afterwards finds it: no sequence number is needed, nobody can steal a signal (it goes to a node that waited when it was
 * given), and a timed-out waiter has consumed none (lot.c, invariant 2). A signaller that does not hold the mutex sees a word
 * that is not 0 of every waiter that its change of the predicate must reach, since it held the mutex after that waiter let go
 * of it.
 *
 * The one in the word looks at its wait, and a signal to it is one store there. So two threads that take turns meet in nothing but
 * the mutex, the word, and that wait. It has come before all who stand in line. Signals and its own going in line are under the
 * lot: so it knows whether it has been signalled before it touches the condition, which may be gone if it has. A forked child
 * inherits the word, but not the thread: FORKS tells (in the 31st generation, which it cannot count, nobody waits in the word).
 *
 * A signal moves a waiter from the line of the condition to that of the mutex, asleep as it is, where it is roused when it
 * is its turn. So a broadcast wakes one at a time, each when it can go on, whether the caller holds the mutex or not. Who was
 * moved has been signalled, also when its time is up before it has the mutex.
 *
 * Linearization: wait, fl__lot_add() or the CAS in look_first(); signal and broadcast, the moves, or the CAS that takes the one in the
 * word out. The last access of both to the condition is under the lot, so that the condition may be destroyed once its waiters
 * are woken. The mutex is there as long as somebody waits to lock it: it is touched only while one of those is in line.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "mutex.h"
#include <errno.h>
#include <fairlead/cond.h>
#include <fairlead/time.h>

enum { WAITERS = 1, FORK = 2, FORKS = 31 * FORK, SIGNALLED = 1 };
static const uintptr_t WAIT = ~(uintptr_t)(WAITERS | FORKS);

/* What FORKS says of a wait of this process; FORKS itself: there may be none. */
static uintptr_t forks(void)
{
	return fl__fork_count < FORKS / FORK ? fl__fork_count * FORK : FORKS;
}

/* Who waits in a word that was seen; NULL: nobody, or a thread of a process before the last fork. */
static struct fl__wait *waits_in(uintptr_t seen)
{
	const bool ours = (seen & FORKS) == forks() && forks() != FORKS;
	return ours ? (struct fl__wait *)(seen & WAIT) : NULL; // NOLINT(performance-no-int-to-ptr)
}

/* With the mutex held, so that no change of the predicate goes unnoticed. */
static void add(fl_cond *c, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, c);
	fl__lot_add(&lot, node);
	fl__or_relaxed(&c->word_, (uintptr_t)WAITERS); /* relaxed: the mutex, then the lot's lock, order it */
	fl__lot_close(&lot);
}

/* Goes into the word, with the mutex held, if nobody waits: for threads, which may spin. */
static bool look_first(fl_cond *c, struct fl__wait *wait)
{
	uintptr_t seen = fl__load_relaxed(&c->word_); /* relaxed: the CAS decides */
	if (wait->ctx->ops != &fl__thread_parker || (seen & WAITERS) || waits_in(seen) || forks() == FORKS)
		return false;
	/* release: the beginning of the wait; pairs with the acquire in wake_looker() */
	return fl__cas_release(&c->word_, &seen, (uintptr_t)wait | forks());
}

static bool is_signalled(const void *wait)
{
	/* acquire: pairs with the release in wake_looker() */
	return fl__load_acquire(&((const struct fl__wait *)wait)->park_word) == SIGNALLED;
}

/* The one in the word goes to the head of the line; unless it has been signalled: false. */
static bool line_up(fl_cond *c, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, c);
	const bool waits = !is_signalled(node->wait);
	if (waits) {
		fl__lot_insert(&lot, node, fl__lot_first(&lot));
		fl__store_relaxed(&c->word_, (uintptr_t)WAITERS); /* relaxed: whoever sees it opens the lot */
	}
	fl__lot_close(&lot);
	return waits;
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

/* Under the lot: wakes the one in the word; 0: there is none. */
static size_t wake_looker(fl_cond *c)
{
	uintptr_t seen = fl__load_relaxed(&c->word_); /* relaxed: the CAS decides */
	do
		if (!(seen & ~(uintptr_t)WAITERS))
			return 0;
	while (!fl__cas_weak_acquire(&c->word_, &seen, seen & WAITERS)); /* pairs with the release in look_first() */
	struct fl__wait *looker = waits_in(seen);
	if (!looker)
		return 0;
	/* release: what the signaller wrote; pairs with the acquire in is_signalled(). A store: it has not parked. */
	fl__store_release(&looker->park_word, (uint32_t)SIGNALLED);
	return 1;
}

/* Under the lot, which wake_some() may open anew: wakes up to `max`. */
static void wake_line(fl_cond *c, struct fl__lot *line, size_t max)
{
	while (max > 0 && fl__lot_more(line))
		max -= wake_some(line, max);
	if (!fl__lot_more(line))
		fl__and_relaxed(&c->word_, ~(uintptr_t)WAITERS); /* relaxed: as in wake(); the last access */
}

static void wake(fl_cond *c, size_t max)
{
	if (fl__load_relaxed(&c->word_) == 0) /* relaxed: the mutex orders it */
		return;
	struct fl__lot line;
	fl__lot_open(&line, c);
	max -= wake_looker(c);
	if (max > 0)
		wake_line(c, &line, max);
	fl__lot_close(&line);
}

void fl_cond_init(fl_cond *c)
{
	c->word_ = 0;
}

int fl_cond_destroy(fl_cond *c)
{
	/* relaxed: whoever may wait there, the caller says that nobody comes any more */
	return fl__lot_waited(c) || waits_in(fl__load_relaxed(&c->word_)) ? -EBUSY : 0;
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
	_Alignas(WAITERS + FORKS + 1) struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__mutex_node place = FL__MUTEX_NODE(m, &wait);
	const bool looks = look_first(c, &wait);
	if (!looks)
		add(c, &place.node);
	fl_mutex_unlock(m);
	struct fl__debug_op op;
	fl__debug_waiting_cond(&op, m, c, &place.node.key);
	if (looks && (fl__wait_look(&wait, is_signalled, &wait, deadline, cancel) || !line_up(c, &place.node))) {
		fl__mutex_lock_announced(m, &op);
		return 0;
	}
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
