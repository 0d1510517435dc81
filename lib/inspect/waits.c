/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wait graph. A context that waits for a lock waits for each of the lock's holders, and a
 * context that joins waits for the joined context. A cycle is a deadlock.
 *
 * A search is needed only when a context begins to wait. A holder records its lock before it waits
 * for another, and removes the record before it unlocks. So the last context of a cycle finds all
 * records of the cycle, and none of them is stale.
 *
 * A reader waits for another reader, or for itself, only if a writer waits between the two. If that
 * writer is the context whose wait begins now, the reader waits for this context itself, and the
 * cycle is closed. A wait that may give up does not count.
 */
#include "core/base/list.h"
#include "core/base/sys.h"
#include "report.h"
#include "trace.h"
#include <string.h>

static uint64_t waits_searches;
/* The contexts that wait for exclusive use of a readers-writer lock and will not give up. */
static struct fl__holder *waits_writers[FL__DEBUG_BUCKETS];

/*
 * Returns a context that waits for exclusive use of `lock` and will not give up. Returns `me` only
 * if there is no other such context.
 */
static const struct fl__holder *waits_writer(const void *lock, const struct fl__holder *me)
{
	const struct fl__holder *writer = NULL, *h = waits_writers[fl__debug_bucket((uintptr_t)lock)];
	for (; h && (!writer || writer == me); h = h->next_writer) {
		fl__table_steps++;
		if (h->lock == lock)
			writer = h;
	}
	return writer;
}

static void waits_reach(struct fl__holder *h, struct fl__holder *from, struct fl__held *by, struct fl__holder **last)
{
	if (!h || h->walk == waits_searches)
		return;
	h->walk = waits_searches;
	h->from = from;
	h->by = by;
	h->then = NULL;
	(*last)->then = h;
	*last = h;
}

/*
 * Returns true if this search has already reached the holders of h->lock from a context that waits
 * for the lock in the same way as `h`. Otherwise notes that it reaches them now.
 */
static bool waits_is_followed(const struct fl__holder *h)
{
	struct fl__held *newest = fl__held_next(h->lock, NULL);
	uint64_t *const walk = newest ? &newest->walk[h->how & FL__DEBUG_READ] : NULL;
	if (!walk || *walk == waits_searches)
		return true; /* if there is no holder, nothing follows */
	*walk = waits_searches;
	return false;
}

/*
 * Returns true if `h` waits for `me`. Then *held is the record of the lock that `me` holds, or NULL
 * if `h` joins `me` or waits for the writer `me`.
 */
static bool waits_follow(struct fl__holder *h, struct fl__holder *me, struct fl__holder **last, struct fl__held **held)
{
	if (h->joins != 0 && !(h->how & FL__DEBUG_TRY)) {
		*held = NULL;
		if (h->joins == me->id)
			return true;
		waits_reach(fl__holder_find(h->joins), h, NULL, last);
	}
	if (!h->lock || (h->how & FL__DEBUG_TRY))
		return false;
	if (h != me && waits_is_followed(h))
		return false;
	*held = NULL;
	while ((*held = fl__held_next(h->lock, *held)) != NULL) {
		const struct fl__holder *writer = NULL; /* the writer between two readers */
		if ((h->how & (*held)->how & FL__DEBUG_READ) && !(writer = waits_writer(h->lock, me)))
			continue;
		if (writer == me) {
			*held = NULL;
			return true;
		}
		if ((*held)->holder == me && (h != me || writer))
			return true;
		waits_reach((*held)->holder, h, *held, last);
	}
	return false;
}

/*
 * Returns the context of the cycle that waits for `me`, and stores the awaited record in `*held`.
 * Returns NULL if there is none.
 */
static struct fl__holder *waits_search(struct fl__holder *me, struct fl__held **held)
{
	struct fl__holder *last = me;
	waits_searches++;
	me->walk = waits_searches;
	me->then = NULL;
	for (struct fl__holder *h = me; h; h = h->then)
		if (waits_follow(h, me, &last, held))
			return h;
	return NULL;
}

static struct fl__report_step waits_step(const struct fl__holder *h, const struct fl__held *held)
{
	struct fl__report_step step = fl__report_step(h, held);
	step.wanted = fl__report_wanted(h);
	return step;
}

/*
 * Returns the length of the cycle through `me`, or 0 if there is none. Stores its steps unless
 * there are more than `max`.
 */
static size_t waits_cycle_of(struct fl__holder *me, struct fl__report_step *steps, size_t max)
{
	struct fl__held *held;
	struct fl__holder *const last = waits_search(me, &held);
	if (!last)
		return 0;
	size_t n = 1;
	for (const struct fl__holder *h = last; h != me; h = h->from)
		n++;
	if (n > max)
		return n;
	size_t i = n;
	for (const struct fl__holder *h = last; h != me; h = h->from)
		steps[--i] = waits_step(h, h->by);
	steps[0] = waits_step(me, held);
	return n;
}

static size_t waits_find(const void *id, struct fl__report_step *steps, size_t max)
{
	struct fl__holder *me = fl__holder_find(*(const uint64_t *)id);
	return me ? waits_cycle_of(me, steps, max) : 0;
}

/*
 * Called when the wait of `me` is recorded. Leaves the table, and reports a deadlock if there is
 * one.
 */
static void waits_check_and_leave(struct fl__holder *me)
{
	const bool is_deadlock = !(me->how & FL__DEBUG_TRY) && waits_cycle_of(me, NULL, 0) > 0;
	const uint64_t id = me->id;
	fl__debug_unlock();
	if (is_deadlock)
		fl__report_cycle(FL_LOG_ERROR, "deadlock: each of these waits for the next, and the last for the first",
		                 waits_find, &id);
	fl__debug_done();
}

/*
 * If waits are recorded, locks the table like fl__debug_enter(). The mode may have been switched
 * off before the table was locked, so it is tested again (debug.c, rule 1).
 */
static bool waits_enter(size_t slots)
{
	/* acquire: pairs with the release in debug_set_modes() */
	if (!(fl__load_acquire(&fl__hooks) & FL_DEBUG_WAITS) || !fl__debug_enter(slots))
		return false;
	if (fl__hook_word(&fl__hooks) & FL_DEBUG_WAITS)
		return true;
	fl__debug_leave();
	return false;
}

/*
 * Locks the table at the end of a wait, and returns the record of the current context. If it has
 * none or waits are not recorded, returns NULL, with the table unlocked.
 */
static struct fl__holder *waits_enter_end(void)
{
	if (!waits_enter(0))
		return NULL;
	struct fl__holder *me = fl__holder_find(fl__ctx_get()->id);
	if (!me)
		fl__debug_leave();
	return me;
}

static void waits_settle_and_leave(struct fl__holder *me)
{
	fl__holder_settle(me);
	fl__debug_leave();
}

void fl__waits_begin(const struct fl__hook_op *op)
{
	if (!waits_enter(1))
		return;
	struct fl__holder *me = fl__holder_mine();
	fl__waits_end(me); /* the wait for a condition continues as a wait for its mutex */
	me->lock = op->lock;
	me->cond = op->key ? op->cond : NULL;
	me->key = op->key;
	me->kind = op->kind;
	me->how = op->how;
	me->stack = op->stack;
	me->since = fl__sys.now();
	if (op->kind == FL__DEBUG_RWLOCK && !(op->how & (FL__DEBUG_READ | FL__DEBUG_TRY)))
		FL__LIST_ADD_BY(next_writer, link_writer, &waits_writers[fl__debug_bucket((uintptr_t)op->lock)], me);
	waits_check_and_leave(me);
}

void fl__waits_end(struct fl__holder *h)
{
	if (h->link_writer)
		FL__LIST_REMOVE_BY(next_writer, link_writer, h);
	h->link_writer = NULL;
	h->lock = NULL;
	h->cond = NULL;
	h->key = NULL;
}

void fl__waits_forget(void)
{
	for (size_t i = 0; i < FL__DEBUG_BUCKETS; i++) {
		FL__EACH_SAFE (struct fl__holder, h, fl__holder_nth(i, 0)) {
			fl__waits_end(h);
			h->joins = 0;
			h->asleep = false;
			fl__holder_settle(h);
		}
		fl__debug_runs[i].since = 0;
	}
	memset(waits_writers, 0, sizeof waits_writers);
}

static void waits_end_join(void)
{
	struct fl__holder *me = waits_enter_end();
	if (!me)
		return;
	me->joins = 0;
	waits_settle_and_leave(me);
}

/* `context` is the context to join, or NULL when the join has ended. */
void fl__hook_join_on(const struct fl__ctx *context, bool timed)
{
	if (!context) {
		waits_end_join();
		return;
	}
	if (!waits_enter(1))
		return;
	struct fl__holder *me = fl__holder_mine();
	me->joins = context->id;
	(void)strncpy(me->joined, context->name, sizeof me->joined - 1);
	me->how = timed ? FL__DEBUG_TRY : 0;
	me->since = fl__sys.now();
	fl__backtrace_take(&me->stack, 1);
	waits_check_and_leave(me);
}

/* The record is only for the dump, because it is not known which context ends this wait. */
void fl__hook_sleep_on(struct fl__wait *wait, fl_time deadline)
{
	if (fl__hooks_on(FL__HOOKS_TRACE))
		wait->since = wait->ctx->debugging
		                  ? 0
		                  : fl__hook_event_on(FL__TRACE_WAIT, (uintptr_t)wait->object, 0, NULL, wait->kind);
	if (!waits_enter(1))
		return;
	struct fl__holder *me = fl__holder_mine();
	me->asleep = true;
	me->awaited = fl__wait_awaited(wait);
	me->deadline = deadline;
	if (!me->lock && !me->joins) {
		me->since = fl__sys.now();
		fl__backtrace_take(&me->stack, 2);
	}
	fl__debug_leave();
}

void fl__hook_woken_on(struct fl__wait *wait)
{
	if (wait->since != 0)
		fl__trace_woken(wait);
	struct fl__holder *me = waits_enter_end();
	if (!me)
		return;
	me->asleep = false;
	waits_settle_and_leave(me);
}

/*
 * This hook calls no allocator, because an allocator may wait, and the caller is about to switch to
 * the fiber. (The first event of a thread maps its ring.)
 */
void fl__hook_run_on(const void *loop, uint64_t fiber, const char *name)
{
	struct fl__debug_run *run = &fl__debug_runs[fl__debug_bucket((uintptr_t)loop)];
	if (fl__hooks_on(FL__HOOKS_TRACE))
		fl__trace_run(fiber, name);
	if (!waits_enter(0))
		return;
	*run = (struct fl__debug_run){.since = fiber ? fl__sys.now() : 0};
	(void)strncpy(run->fiber, name, sizeof run->fiber - 1);
	fl__debug_leave();
}
