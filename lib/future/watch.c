/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches many futures at once.
 *
 * A waiter for one future enqueues itself in the future's wait queue. A watching context instead
 * enqueues one wait for each of many futures. These waits belong to a dummy context (`ctx`) whose
 * unpark function, tell(), appends the watch to the list of ended ones. The context that ends the
 * future runs tell() with no lock held, as it runs the unpark of any waiter. The real waiter sleeps
 * on a condition.
 *
 * Invariants
 *   1. Each watch leaves the future's wait queue once: by a waking thread, which then calls tell();
 *      or by fl__unwatch(), which decides the wait itself (lot.c, invariant 2), so that tell() is
 *      not called.
 *   2. `left` counts the watches that are enqueued or whose tell() is still to come. When `left` is
 *      0, no thread accesses the memory but the last tell(), in its unlock; the mutex may be
 *      destroyed then.
 *   3. Order: tell() runs after the end of the future is public and before the ending context goes
 *      on. So if one future ends before another begins to end, the list has them in that order.
 */
#include "watch.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <errno.h>

static struct fl__watch *watch_of(struct fl__wait *wait)
{
	return (struct fl__watch *)(void *)wait; /* its first member */
}

bool fl__future_has_failed(const fl_future *f)
{
	return fl_future_get_state(f) == FL_DONE && fl_future_error(f) != 0;
}

/* Under the lock. */
static void add_ended(struct fl__watches *ws, struct fl__watch *w)
{
	w->next = NULL;
	*(ws->last ? &ws->last->next : &ws->first) = w;
	ws->last = w;
	ws->left--;
	ws->errors += fl__future_has_failed(w->future);
	if (ws->enough && ws->enough(ws))
		fl_cond_signal(&ws->news);
}

/* The unpark function: the future of this watch has ended. */
static void tell(struct fl__wait *wait)
{
	struct fl__watch *w = watch_of(wait);
	struct fl__watches *ws = w->of;
	FL_LOCKED(&ws->lock);
	add_ended(ws, w);
} /* the unlock is the last access */

static const struct fl__ctx_ops teller = {.unpark = tell};

void fl__watches_init(struct fl__watches *ws, const char *name)
{
	*ws = (struct fl__watches){.ctx = {.ops = &teller, .name = name}};
	ws->ctx.id = fl__ctx_get()->id; /* for reports: the waiter's id at first */
}

void fl__watch(struct fl__watches *ws, struct fl__watch *w, fl_future *f)
{
	w->of = ws;
	w->future = f;
	w->wait = (struct fl__wait){.ctx = &ws->ctx, .decision = FL__PENDING};
	w->node = FL__NODE(&w->wait);
	w->node.observer = true;
	{
		FL_LOCKED(&ws->lock);
		ws->left++;
	}
	if (fl__on_future.arm(f, &w->node))
		return;
	fl__store_relaxed(&w->wait.decision, FL__GAVE_UP); /* relaxed: the wait is in no queue */
	FL_LOCKED(&ws->lock);
	add_ended(ws, w);
}

void fl__unwatch(struct fl__watch *w)
{
	uintptr_t pending = FL__PENDING;
	/* relaxed: as in give_up(). If the CAS fails, the lock orders what tell() writes. */
	if (!fl__cas_relaxed(&w->wait.decision, &pending, FL__GAVE_UP))
		return; /* tell() has run or will */
	fl__on_future.disarm(w->future, &w->node);
	FL_LOCKED(&w->of->lock);
	w->of->left--;
}

static int sleep_until(struct fl__watches *ws, bool (*enough)(const struct fl__watches *ws), int64_t deadline,
                       fl_cancel_token *cancel)
{
	FL_LOCKED(&ws->lock);
	int rc = 0;
	ws->enough = enough;
	while (!enough(ws) && rc == 0)
		rc = fl_cond_wait_until(&ws->news, &ws->lock, deadline, cancel);
	ws->enough = NULL;
	return rc != -ECANCELED && enough(ws) ? 0 : rc;
}

int fl__watches_sleep(struct fl__watches *ws, bool (*enough)(const struct fl__watches *ws), int64_t deadline,
                      fl_cancel_token *cancel)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const bool blocks = fl__ctx_block(ctx, NULL, deadline);
	const int rc = sleep_until(ws, enough, deadline, cancel);
	fl__ctx_unblock(ctx, blocks);
	return rc;
}

struct fl__watch *fl__watches_take(struct fl__watches *ws)
{
	struct fl__watch *w = ws->first;
	if (!w)
		return NULL;
	ws->first = w->next;
	if (!ws->first)
		ws->last = NULL;
	return w;
}

static bool all_told(const struct fl__watches *ws)
{
	return ws->left == 0;
}

void fl__watches_fini(struct fl__watches *ws)
{
	int rc = sleep_until(ws, all_told, FL_FOREVER, FL_SHIELDED);
	(void)rc; /* 0: no deadline, no cancel */
}
