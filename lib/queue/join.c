/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining a queue: waiting until as many items are dealt with as were put.
 *
 *   bits of done  meaning            changed by
 *   JOINED (1)    a joiner may wait  set by a join while items are left; cleared by the call that
 *                                    deals with the last item, and by the last join that gives up;
 *                                    all inside a transaction of the wait table
 *   the rest      items dealt with   fl_queue_task_done(), or a call that drops items; by CAS
 *
 * The backend counts the puts (type.h: puts), so a put pays nothing for joins. `done` never exceeds
 * the puts. So if a load of `done` and a later load of the puts are equal, both had this value at
 * the later load, the linearization point of a join.
 *
 * No lost wake: JOINED is in the word that the CAS changes. A call that finds JOINED opens a
 * transaction, unless there were more puts before the CAS: then a later call deals with the last
 * item. Where puts may become fewer (puts_shrink), the call cannot know that, so each call opens a
 * transaction. The consumer that makes them fewer opens one afterwards, too.
 *
 * A call that counts an item as dealt with has acquired all earlier counts, and with them the puts
 * of those items. Otherwise `done`, which grows, could equal an old value of the puts.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../debug/debug.h"
#include "../wait/lot.h"
#include "queue.h"
#include <errno.h>

enum { JOINED = 1, ONE = 2 };

/*
 * Returns whether all items are dealt with. `done` was loaded with acquire: what was done about the
 * items.
 */
static bool queue_is_joined_at(fl_queue *q, uint64_t done)
{
	return done / ONE == q->backend->puts(q->state);
}

static bool queue_is_joined(fl_queue *q)
{
	/* acquire: pairs with the CAS in fl__queue_done() */
	return queue_is_joined_at(q, fl__load_acquire(&q->done));
}

/* Inside a transaction: marks that a joiner waits. Returns false if all items are dealt with. */
static bool queue_mark_joiner(fl_queue *q)
{
	for (;;) {
		/* acquire: pairs with the CAS in fl__queue_done() */
		uint64_t done = fl__load_acquire(&q->done);
		if (queue_is_joined_at(q, done))
			return false;
		/* relaxed: a mark, no message */
		if (fl__cas_weak_relaxed(&q->done, &done, done | JOINED))
			return true;
	}
}

__attribute__((noinline, cold)) void fl__queue_recheck_join(fl_queue *q)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(q, FL__JOINERS));
	if (fl__lot_more(&lot) && queue_is_joined(q)) {
		/* relaxed: the wait table orders it */
		fl__and_relaxed(&q->done, ~(uint64_t)JOINED);
		(void)fl__lot_take(&lot, FL__ALL, 0);
	}
	fl__lot_close(&lot);
}

bool fl__queue_done(fl_queue *q)
{
	/* read now: the queue may be freed after the CAS */
	const bool shrink = q->backend->puts_decrease;
	uint64_t done, puts;
	do {
		/* acquire: the puts of the items that are done; pairs with the CAS */
		done = fl__load_acquire(&q->done);
		puts = q->backend->puts(q->state);
		if (done / ONE == puts)
			return false;
		/*
		 * release: what was done about the item, and, with the load, about earlier items;
		 * pairs with the acquire loads of `done`
		 */
	} while (!fl__cas_weak_release(&q->done, &done, done + ONE));
	if (__builtin_expect((done & JOINED) != 0, 0) && (done / ONE + 1 == puts || shrink))
		fl__queue_recheck_join(q); /* the queue may be freed, unless a joiner waits */
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

/* Removes a join that gives up from the wait queue. Clears the mark if no other joiner waits. */
static void queue_cancel_join(fl_queue *q, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(q, FL__JOINERS));
	fl__lot_remove(&lot, node);
	if (!fl__lot_more(&lot))
		fl__and_relaxed(&q->done, ~(uint64_t)JOINED); /* relaxed: as above */
	fl__lot_close(&lot);
}

int fl_queue_join_until(fl_queue *q, int64_t deadline, fl_cancel_token *cancel)
{
	if (queue_is_joined(q))
		return 0;
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	struct fl__lot lot;
	fl__lot_open(&lot, fl__queue_wait_key(q, FL__JOINERS));
	const bool waits = queue_mark_joiner(q);
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
		return 0; /* all were dealt with when the joiner was woken, whatever came since */
	queue_cancel_join(q, &node);
	return rc != -ECANCELED && queue_is_joined(q) ? 0 : rc;
}

size_t fl_queue_unfinished(const fl_queue *q)
{
	/*
	 * In this order, so that the result is never below 0: see the top of the file. acquire:
	 * pairs with the CAS in fl__queue_done()
	 */
	const uint64_t done = fl__load_acquire(&q->done) / ONE;
	return (size_t)(q->backend->puts(((fl_queue *)q)->state) - done);
}
