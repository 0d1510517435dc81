/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wait for one of several objects is one wait that has a node in the wait queue of each object.
 * The nodes are observers, which consume nothing. Therefore an object may no longer be ready when
 * the waiter runs, so the waiter checks all objects in a loop.
 *
 * Each kind of object has an fl_on_type. `ready` returns whether the object is ready now. `arm`
 * enqueues the node, or returns false if the object is ready; `disarm` removes the node.
 * `deadline`, which may be NULL, returns when the object becomes ready without a wake. `by_tasks`
 * says that another task may have to make the object ready (fairlead/blocking.h).
 */
#include "../base/sys.h"
#include "lot.h"
#include <fairlead/defs.h>
#include <fairlead/wait_any.h>
#include <limits.h>

_Static_assert(sizeof(struct fl__node) <= sizeof((fl_on *)0)->node_, "fl_on has room for a node");

static struct fl__node *wait_any_node_of(fl_on *on)
{
	return (struct fl__node *)(void *)on->node_;
}

static int wait_any_first_ready(fl_on *on, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (on[i].type->ready(on[i].object))
			return (int)i;
	return -EAGAIN;
}

/* Arms the objects in order, up to the first one that is ready. Returns how many it armed. */
static size_t wait_any_arm(fl_on *on, size_t n, struct fl__wait *wait)
{
	for (size_t i = 0; i < n; i++) {
		struct fl__node *node = wait_any_node_of(&on[i]);
		*node = FL__NODE(wait);
		node->observer = true;
		if (!on[i].type->arm(on[i].object, node))
			return i;
	}
	return n;
}

static void wait_any_disarm(fl_on *on, size_t n)
{
	for (size_t i = 0; i < n; i++)
		on[i].type->disarm(on[i].object, wait_any_node_of(&on[i]));
}

static fl_time wait_any_earliest(fl_on *on, size_t n)
{
	fl_time deadline = FL_FOREVER;
	for (size_t i = 0; i < n; i++)
		if (on[i].type->deadline)
			deadline = fl__earlier(deadline, on[i].type->deadline(on[i].object));
	return deadline;
}

/*
 * Returns whether an object may become ready because another task ends. If so, another worker must
 * replace this worker while it waits.
 */
static bool wait_any_by_tasks(const fl_on *on, size_t n)
{
	bool any = false;
	for (size_t i = 0; i < n; i++)
		any = any || on[i].type->by_tasks;
	return any;
}

int fl_wait_any_until(fl_on *on, size_t n, fl_time deadline, fl_cancel_token *cancel)
{
	if (n == 0 || n > INT_MAX)
		return -EINVAL;
	fl_time limit = fl__earlier(deadline, wait_any_earliest(on, n));
	for (;;) {
		int ready = wait_any_first_ready(on, n);
		if (ready >= 0)
			return ready;
		struct fl__wait wait;
		fl__wait_begin(&wait, FL__DEBUG_ANY, NULL);
		size_t armed = wait_any_arm(on, n, &wait);
		/* If an object is already ready, a deadline in the past ends the wait at once. */
		const bool blocks = armed == n && wait_any_by_tasks(on, n) && fl__ctx_block(wait.ctx, NULL, limit);
		int rc = fl__wait_sleep(&wait, armed == n ? limit : FL_NO_WAIT, cancel);
		fl__ctx_unblock(wait.ctx, NULL, blocks);
		wait_any_disarm(on, armed);
		if (rc == 0 || (rc == -ETIMEDOUT && !fl__is_expired(limit)))
			continue;
		if (rc == -ECANCELED && armed == n)
			return rc; /* no object had ended the wait before the request */
		/* The wait has consumed nothing, and an object may be ready by now. */
		ready = wait_any_first_ready(on, n);
		return ready >= 0 ? ready : rc;
	}
}
