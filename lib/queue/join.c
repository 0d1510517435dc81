/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining a queue: when as many items are dealt with as were put.
 *
 *   bits of done    meaning                             changed by
 *   JOINED (1)      somebody may sleep until all is     set by a join, under the lot, while it is not; cleared under the lot
 *                   dealt with                          by task_done and who drops items, when it is, and by the last
 *                                                       join that gives up
 *   the rest        items that are dealt with           task_done, and who drops items, by CAS
 *
 * What was put is counted by what holds the items (type.h: puts), so a put pays nothing for it. `done` never exceeds it, so when a load
 * of `done` and a later one of the puts are equal, both were at the moment of the later: that is the linearization
 * point of a join. No lost wake: JOINED is in the word that the CAS changes, and whoever finds it there opens the lot, unless
 * there were more puts than that before the CAS: then another makes it over. Where puts may become fewer that is not known, so
 * there everybody does; and so does who made them fewer, after that.
 *
 * Who says that an item is dealt with has seen all that were said to be, and with them their puts: else `done`, which grows, could
 * look as large as puts of a while ago.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../debug/debug.h"
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

__attribute__((noinline, cold)) void fl__queue_look_again(fl_queue *q)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_line(q, FL__JOINERS));
	if (fl__lot_more(&lot) && is_over_now(q)) {
		fl__and_relaxed(&q->done, ~(uint64_t)JOINED); /* relaxed: the lot orders it */
		(void)fl__lot_take(&lot, FL__ALL, 0);
	}
	fl__lot_close(&lot);
}

bool fl__queue_done(fl_queue *q)
{
	const bool shrink = q->type->puts_shrink; /* now: the queue may be gone after the CAS */
	uint64_t done, puts;
	do {
		done = fl__load_acquire(&q->done); /* the puts of those that are done; pairs with the CAS */
		puts = q->type->puts(q->state);
		if (done / ONE == puts)
			return false;
		/* release: what was done about the item, and, with the load, the others. Pairs with that, is_over_now(), and mark() */
	} while (!fl__cas_weak_release(&q->done, &done, done + ONE));
	if (__builtin_expect((done & JOINED) != 0, 0) && (done / ONE + 1 == puts || shrink))
		fl__queue_look_again(q); /* the queue may be gone, unless somebody sleeps */
	return true;
}

int fl_queue_try_task_done(fl_queue *q)
{
	return fl__queue_done(q) ? 0 : -EINVAL;
}

void fl_queue_task_done(fl_queue *q)
{
	if (!fl__queue_done(q))
		fl__panic("fl_queue_task_done", q, "called more often than items were put");
}

/* Takes the place of a join that gives up; the mark, too, if nobody else sleeps. */
static void leave_line(fl_queue *q, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_line(q, FL__JOINERS));
	fl__lot_remove(&lot, node);
	if (!fl__lot_more(&lot))
		fl__and_relaxed(&q->done, ~(uint64_t)JOINED); /* relaxed: as above */
	fl__lot_close(&lot);
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
	struct fl__debug_op op;
	fl__debug_wait_begin(&op, q, FL__DEBUG_QUEUE_JOIN);
	const bool blocks = fl__ctx_block(wait.ctx, NULL, deadline);
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	fl__ctx_unblock(wait.ctx, blocks);
	fl__debug_wait_end(&op);
	if (rc == 0)
		return 0; /* it was over when this was woken, whatever is by now */
	leave_line(q, &node);
	return rc != -ECANCELED && is_over_now(q) ? 0 : rc;
}

int fl_queue_join(fl_queue *q)
{
	return fl_queue_join_until(q, FL_FOREVER, NULL);
}

int fl_queue_try_join(fl_queue *q)
{
	return is_over_now(q) ? 0 : -EBUSY;
}

size_t fl_queue_unfinished(const fl_queue *q)
{
	/* In this order, so that it is never below 0: see the top. Acquire: pairs with the CAS in fl__queue_done() */
	const uint64_t done = fl__load_acquire(&q->done) / ONE;
	return (size_t)(q->type->puts(((fl_queue *)q)->state) - done);
}
