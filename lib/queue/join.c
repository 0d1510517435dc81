/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining a queue: when as many items are dealt with as were put.
 *
 *   bits of done    meaning                             changed by
 *   JOINED (1)      somebody may sleep until all is     join, under the lot, while it is not; task_done and who drops
 *                   dealt with                          items, under the lot, when it is
 *   the rest        items that are dealt with           task_done, and who drops items, by CAS
 *
 * What was put is counted by what holds the items (type.h: puts), so a put pays nothing for it. `done` never exceeds it, so when a load
 * of `done` and a later one of the puts are equal, both were at the moment of the later: that is the linearization
 * point of a join. No lost wake: JOINED is in the word that the CAS changes, and whoever finds it there opens the lot.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../wait/lot.h"
#include "queue.h"
#include <errno.h>

enum { JOINED = 1, ONE = 2 };

/* `done`: the word; acquire: what was done about the items, pairs with the CAS in fl__queue_done(). */
static bool is_over(fl_queue *q, uint64_t done)
{
	return done / ONE == q->type->puts(q->state);
}

static bool is_over_now(fl_queue *q)
{
	return is_over(q, fl__load_acquire(&q->done)); /* pairs with the CAS in fl__queue_done() */
}

/* Under the lot: says that somebody sleeps; false: it is over. */
static bool mark(fl_queue *q)
{
	for (;;) {
		uint64_t done = fl__load_acquire(&q->done); /* pairs with the CAS in fl__queue_done() */
		if (is_over(q, done))
			return false;
		if (fl__cas_weak_relaxed(&q->done, &done, done | JOINED)) /* relaxed: a mark, no message */
			return true;
	}
}

__attribute__((noinline, cold)) static void wake_joiners(fl_queue *q)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_line(q, FL__JOINERS));
	if (fl__lot_more(&lot) && is_over_now(q)) {
		fl__and_relaxed(&q->done, ~(uint64_t)JOINED); /* relaxed: the lot orders it */
		(void)fl__lot_take(&lot, FL__ALL, 0);
	}
	fl__lot_close(&lot);
}

/* After one more than in `before`; the queue may be gone, unless somebody sleeps. */
static void settle(fl_queue *q, uint64_t before)
{
	if (__builtin_expect(before & JOINED, 0))
		wake_joiners(q);
}

bool fl__queue_done(fl_queue *q)
{
	uint64_t done = fl__load_relaxed(&q->done); /* relaxed: the CAS decides */
	do
		if (is_over(q, done))
			return false;
	/* release: what was done about the item; acquire: and the others, for who is woken. Pairs with is_over_now(), and mark() */
	while (!fl__cas_weak_acq_rel(&q->done, &done, done + ONE));
	settle(q, done);
	return true;
}

void fl_queue_task_done(fl_queue *q)
{
	if (!fl__queue_done(q))
		fl__panic("fl_queue_task_done", q, "called more often than items were put");
}

int fl_queue_join_until(fl_queue *q, int64_t deadline, fl_cancel *cancel)
{
	if (is_over_now(q))
		return 0;
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_line(q, FL__JOINERS));
	const bool waits = mark(q);
	if (waits)
		fl__lot_add(&lot, &node);
	fl__lot_close(&lot);
	if (!waits)
		return 0;
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc == 0)
		return 0; /* it was over when this was woken, whatever is by now */
	fl__lot_leave(&node);
	return is_over_now(q) ? 0 : rc;
}

int fl_queue_join(fl_queue *q)
{
	return fl_queue_join_until(q, FL_FOREVER, NULL);
}

int fl_queue_try_join(fl_queue *q)
{
	return is_over_now(q) ? 0 : -EBUSY;
}
