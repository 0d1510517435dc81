/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of cancel tokens. A request reaches every wait under the token, at its level and below,
 * together with what was written before the request.
 */
#include "core/wait/cancel.h"
#include "queues.h"
#include <fairlead/select.h>
#include <fairlead/sem.h>
#include <fairlead/shm_event.h>

/* A build of the core alone does not have these functions. */
#pragma weak fl_shm_event_set
#pragma weak fl_shm_event_wait_until

/*
 * A request races with the end of an acquire, a get or a select. A spinning call may see either of
 * them first. The wait has one result, and sees what came before the cause of this result.
 */
struct cancel_vs_permit {
	fl_cancel_token stop;
	fl_sem permits;
	fl_queue *q;
	fl_shm_event shared;
	unsigned kind;
	int item, data[2], rc;
};

FL_STRESS_SETUP(cancel_vs_permit)
{
	s->kind = fl_stress_choose(fl_shm_event_set ? 4 : 3);
	s->q = queue_of(1);
}

static int wait_for_kind(struct cancel_vs_permit *s)
{
	fl_select_case get = FL_GET(s->q, &s->item);
	switch (s->kind) {
	case 0:
		return fl_sem_acquire_until(&s->permits, FL_FOREVER, &s->stop);
	case 1:
		return fl_queue_get_until(s->q, &s->item, FL_FOREVER, &s->stop);
	case 2:
		/* the first case has the index 0 */
		return fl_select_until(&get, 1, FL_FOREVER, &s->stop);
	default:
		return fl_shm_event_wait_until(&s->shared, FL_FOREVER, &s->stop);
	}
}

FL_STRESS_ACTOR(cancel_vs_permit, waiter)
{
	s->rc = wait_for_kind(s);
	FL_STRESS_CHECK(s->data[s->rc == 0 ? 0 : 1] == 1);
}

FL_STRESS_ACTOR(cancel_vs_permit, giver)
{
	s->data[0] = 1;
	if (s->kind == 0)
		fl_sem_release(&s->permits);
	else if (s->kind < 3)
		OK(fl_queue_try_put(s->q, &(int){1}));
	else
		OK(fl_shm_event_set(&s->shared));
}

FL_STRESS_ACTOR(cancel_vs_permit, canceller)
{
	s->data[1] = 1;
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(cancel_vs_permit, waiter, giver, canceller)
{
	fl_queue_free(s->q);
	FL_ACCEPTABLE(s->rc == 0, "given");
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
}

/* A request of the root ends a wait under the grandchild, and is visible at each level. */
struct cancel_tree {
	fl_cancel_token root, middle, leaf;
	fl_event never;
	int data, rc;
};

FL_STRESS_SETUP(cancel_tree)
{
	fl_cancel_token_init(&s->middle, &s->root, FL_FOREVER);
	fl_cancel_token_init(&s->leaf, &s->middle, FL_FOREVER);
}

FL_STRESS_ACTOR(cancel_tree, waiter)
{
	s->rc = fl_event_wait_until(&s->never, FL_FOREVER, &s->leaf);
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(cancel_tree, canceller)
{
	s->data = 1;
	fl_cancel_token_request(&s->root);
}

FL_STRESS(cancel_tree, waiter, canceller)
{
	bool middle = fl_cancel_token_is_requested(&s->middle);
	fl_cancel_token_destroy(&s->leaf);
	fl_cancel_token_destroy(&s->middle);
	FL_FORBIDDEN(!middle, "the middle was skipped");
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
}

/*
 * A child token begins during a request of its parent. The request reaches it, or the child sees
 * that its parent is requested.
 */
struct cancel_init_vs_request {
	fl_cancel_token root, *child;
	fl_event never;
	int data, rc;
};

FL_STRESS_SETUP(cancel_init_vs_request)
{
	s->child = make(sizeof *s->child);
}

FL_STRESS_ACTOR(cancel_init_vs_request, parent)
{
	fl_cancel_token_init(s->child, &s->root, FL_FOREVER);
	s->rc = fl_event_wait_until(&s->never, FL_FOREVER, s->child);
	FL_STRESS_CHECK(s->data == 1);
	fl_cancel_token_destroy(s->child);
	free(s->child);
}

FL_STRESS_ACTOR(cancel_init_vs_request, canceller)
{
	s->data = 1;
	fl_cancel_token_request(&s->root);
}

FL_STRESS(cancel_init_vs_request, parent, canceller)
{
	fl_cancel_token_destroy(&s->root);
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
}

/*
 * A token under a requested parent counts as requested, and acquires what was written before the
 * request.
 */
struct cancel_born_requested {
	fl_cancel_token root, child;
	int data;
	bool requested;
};

FL_STRESS_ACTOR(cancel_born_requested, parent)
{
	fl_cancel_token_init(&s->child, &s->root, FL_FOREVER);
	s->requested = fl_cancel_token_is_requested(&s->child);
	if (s->requested)
		FL_STRESS_CHECK(s->data == 1);
	fl_cancel_token_destroy(&s->child);
}

FL_STRESS_ACTOR(cancel_born_requested, canceller)
{
	s->data = 1;
	fl_cancel_token_request(&s->root);
}

FL_STRESS(cancel_born_requested, parent, canceller)
{
	FL_ACCEPTABLE(s->requested, "requested");
	FL_ACCEPTABLE(!s->requested, "too early");
}

/*
 * The deadline of a token ends a wait as a request would, and not before its time. The event may
 * come first.
 */
struct cancel_deadline_vs_set {
	fl_cancel_token stop;
	fl_event e;
	int rc;
};

FL_STRESS_ACTOR(cancel_deadline_vs_set, waiter)
{
	fl_time deadline = soon();
	fl_cancel_token_init(&s->stop, FL_SHIELDED, deadline);
	s->rc = fl_event_wait_until(&s->e, FL_FOREVER, &s->stop);
	if (s->rc == -ECANCELED)
		FL_STRESS_CHECK(fl_time_is_past(deadline));
	fl_cancel_token_destroy(&s->stop);
}

FL_STRESS_ACTOR(cancel_deadline_vs_set, setter)
{
	fl_event_set(&s->e);
}

FL_STRESS(cancel_deadline_vs_set, waiter, setter)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->e), "left in the queue");
	FL_ACCEPTABLE(s->rc == 0, "set");
	FL_ACCEPTABLE(s->rc == -ECANCELED, "its time was up");
}

/*
 * A request of the parent reaches a token that is in no list. The token enters the list before a
 * wait under it, or under its child. A context that only asks the token sees the request, too.
 */
struct cancel_apart {
	fl_cancel_token root, apart, child;
	fl_event never;
	int data, rc;
};

FL_STRESS_SETUP(cancel_apart)
{
	fl__cancel_init_apart(&s->apart, &s->root, FL_FOREVER);
}

FL_STRESS_ACTOR(cancel_apart, waiter)
{
	const unsigned kind = fl_stress_choose(3);
	if (kind == 0)
		fl_cancel_token_init(&s->child, &s->apart, FL_FOREVER);
	while (kind == 1 && !fl_cancel_token_is_requested(&s->apart))
		fl_stress_relax();
	s->rc = fl_event_wait_until(&s->never, FL_FOREVER, kind == 0 ? &s->child : &s->apart);
	FL_STRESS_CHECK(s->data == 1);
	fl_cancel_token_destroy(&s->child);
	fl_cancel_token_destroy(&s->apart);
}

FL_STRESS_ACTOR(cancel_apart, canceller)
{
	s->data = 1;
	fl_cancel_token_request(&s->root);
}

FL_STRESS(cancel_apart, waiter, canceller)
{
	fl_cancel_token_destroy(&s->root);
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
}
