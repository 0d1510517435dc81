/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The callbacks of a future: the list, and the calls after the end. future.c explains the states.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../wait/context.h"
#include "../wait/lock.h"
#include "future.h"

/* The callback does not inherit the scope of the completing thread. */
static void future_call(fl_future *f, fl_future_callback *callback, void *arg)
{
	FL_CANCEL_SCOPE(NULL);
	callback(f, arg);
}

/* The callback of fl_future_on_end(), which has its own memory. */
struct future_own_callback {
	struct fl__callback node;
	fl_future_callback *call;
	void *arg;
};

static void future_call_own(fl_future *f, void *memory)
{
	const struct future_own_callback own = *(struct future_own_callback *)memory;
	fl__free(memory);
	own.call(f, own.arg);
}

static void future_run_next(struct fl__ending *now)
{
	struct fl__callback *next = now->left;
	now->left = next->next;
	/* fl__future_end_after() in the callback may free `now` */
	future_call(now->future, next->call, next->arg);
}

void fl__future_run_callbacks(fl_future *f, struct fl__callback *list)
{
	if (!list)
		return;
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__ending own = {f, list, NULL};
	struct fl__calling calling = {&own, ctx->front.inside.calling};
	ctx->front.inside.calling = &calling;
	for (struct fl__ending *now; (now = calling.innermost)->left || now != &own;) {
		if (now->left) {
			future_run_next(now);
		} else {
			calling.innermost = now->outer;
			fl_future_free(now->future); /* the producer's reference */
		}
	}
	ctx->front.inside.calling = calling.outer;
}

/* If the future has ended, returns false, and the caller sees what the end published. */
static bool future_register_callback(fl_future *f, struct fl__callback *node)
{
	if (!fl__future_guard(f))
		return false;
	FL__LOCKED(&f->lock);
	if (fl__future_has_ended(f))
		return false;
	FL__LIST_ADD(&f->callbacks, node);
	return true;
}

bool fl__future_report_end(fl_future *f, struct fl__callback *node, void *arg)
{
	*node = (struct fl__callback){.call = fl__future_report, .arg = arg};
	return future_register_callback(f, node);
}

bool fl__future_detach(fl_future *f, struct fl__callback *node)
{
	FL__LOCKED(&f->lock);
	const bool ended = fl__future_has_ended(f);
	if (!ended)
		FL__LIST_REMOVE(node);
	return !ended;
}

void fl__future_register(fl_future *f, struct fl__callback *node, fl_future_callback *callback, void *arg)
{
	*node = (struct fl__callback){.call = callback, .arg = arg};
	FL__LIST_ADD(&f->callbacks, node);
	/* relaxed, both: no other context knows the future, and the caller publishes it */
	fl__store_relaxed(&f->state, fl__load_relaxed(&f->state) | FL__FUTURE_REGISTERED);
}

void fl__future_attach(fl_future *f, struct fl__callback *node, fl_future_callback *callback, void *arg)
{
	*node = (struct fl__callback){.call = callback, .arg = arg};
	if (!future_register_callback(f, node))
		future_call(f, callback, arg);
}

int fl_future_on_end(fl_future *f, fl_future_callback *callback, void *arg)
{
	if (fl__future_has_ended(f)) {
		future_call(f, callback, arg);
		return 0;
	}
	struct future_own_callback *own = fl__alloc(1, sizeof *own);
	if (!own)
		return -ENOMEM;
	own->call = callback;
	own->arg = arg;
	fl__future_attach(f, &own->node, future_call_own, own);
	return 0;
}
