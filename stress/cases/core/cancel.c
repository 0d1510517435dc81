/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cancel tokens: a request reaches every wait under the token, at its level and below, with what
 * was written before it.
 */
#include "../cases.h"
#include <fairlead/event.h>
#include <fairlead/queue.h>
#include <fairlead/select.h>
#include <fairlead/sem.h>
#include <fairlead/shm_event.h>

/*
 * A request always ends a wait under the token, and the waiter sees what came before, in whichever
 * way it learns of the request.
 */
struct cancel_vs_wait {
	fl_cancel_token stop;
	fl_event never;
	int data, seen, rc;
};

FL_STRESS_ACTOR(cancel_vs_wait, waiter)
{
	s->rc = fl_event_wait_until(&s->never, FL_FOREVER, &s->stop);
	s->seen = s->data;
}

FL_STRESS_ACTOR(cancel_vs_wait, canceller)
{
	s->data = 1;
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(cancel_vs_wait, waiter, canceller)
{
	fl_cancel_token_destroy(&s->stop);
	FL_FORBIDDEN(fl_event_destroy(&s->never) != 0, "left in the queue");
	FL_ACCEPTABLE(s->rc == -ECANCELED && s->seen, "cancelled");
	FL_FORBIDDEN(1, "not cancelled, or before its time");
}

/* The same by a check of the token. */
struct cancel_look {
	fl_cancel_token stop;
	int data;
	bool requested;
};

FL_STRESS_ACTOR(cancel_look, looker)
{
	s->requested = fl_cancel_token_is_requested(&s->stop);
	if (s->requested)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(cancel_look, canceller)
{
	s->data = 1;
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(cancel_look, looker, canceller)
{
	FL_ACCEPTABLE(s->requested, "requested");
	FL_ACCEPTABLE(!s->requested, "too early");
}

/* A request against the end of the wait: the wait has one reason, and sees what came before it. */
struct cancel_vs_set {
	fl_cancel_token stop;
	fl_event e;
	int data[2], rc;
};

FL_STRESS_ACTOR(cancel_vs_set, waiter)
{
	s->rc = fl_event_wait_until(&s->e, FL_FOREVER, &s->stop);
	FL_STRESS_CHECK(s->data[s->rc == 0 ? 0 : 1] == 1);
}

FL_STRESS_ACTOR(cancel_vs_set, setter)
{
	s->data[0] = 1;
	fl_event_set(&s->e);
}

FL_STRESS_ACTOR(cancel_vs_set, canceller)
{
	s->data[1] = 1;
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(cancel_vs_set, waiter, setter, canceller)
{
	FL_FORBIDDEN(fl_event_destroy(&s->e) != 0, "left in the queue");
	FL_ACCEPTABLE(s->rc == 0, "set");
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
	FL_FORBIDDEN(1, "another error");
}

/* The same for permits, items and choices, of which a spinning call may see the end first. */
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
	s->kind = fl_stress_choose(4);
	OK(fl_queue_create(&s->q, sizeof s->item, &(fl_queue_config){.capacity = 1}));
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
		return fl_select_until(&get, 1, FL_FOREVER, &s->stop); /* 0: the first case */
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
	FL_FORBIDDEN(1, "another error");
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
	FL_FORBIDDEN(1, "not cancelled");
}

/*
 * A child that begins during a request is reached, or sees its parent requested; also while a
 * sibling leaves.
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
	FL_FORBIDDEN(1, "not cancelled");
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
 * Children come and go while their parent is requested: the lists stay intact, and no ended child
 * is touched.
 */
struct cancel_siblings {
	fl_cancel_token root;
	bool left;
};

static void come_and_go(fl_cancel_token *root)
{
	fl_cancel_token *child = make(sizeof *child);
	fl_cancel_token_init(child, root, FL_FOREVER);
	fl_cancel_token_destroy(child);
	free(child);
}

FL_STRESS_ACTOR(cancel_siblings, one)
{
	come_and_go(&s->root);
}

FL_STRESS_ACTOR(cancel_siblings, two)
{
	come_and_go(&s->root);
}

FL_STRESS_ACTOR(cancel_siblings, canceller)
{
	fl_cancel_token_request(&s->root);
}

FL_STRESS(cancel_siblings, one, two, canceller)
{
	s->left = s->root.child_ != NULL;
	FL_FORBIDDEN(s->left, "a child is left");
	FL_FORBIDDEN(!fl_cancel_token_is_requested(&s->root), "not requested");
	FL_ACCEPTABLE(1, "all gone");
}

/*
 * A token ends with a wait that its request has ended: the request does not touch it after its tree
 * is unlocked.
 */
struct cancel_woken_destroys {
	fl_cancel_token *stop;
	fl_event never;
	int rc;
};

FL_STRESS_SETUP(cancel_woken_destroys)
{
	s->stop = make(sizeof *s->stop);
}

FL_STRESS_ACTOR(cancel_woken_destroys, waiter)
{
	s->rc = fl_event_wait_until(&s->never, FL_FOREVER, s->stop);
	fl_cancel_token_destroy(s->stop);
	free(s->stop);
}

FL_STRESS_ACTOR(cancel_woken_destroys, canceller)
{
	fl_cancel_token_request(s->stop);
}

FL_STRESS(cancel_woken_destroys, waiter, canceller)
{
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
	FL_FORBIDDEN(1, "not cancelled");
}

/* Concurrent requests of parent and child: both are requested, and the waiter is woken once. */
struct cancel_twice {
	fl_cancel_token root, child;
	fl_event never;
	int rc;
};

FL_STRESS_SETUP(cancel_twice)
{
	fl_cancel_token_init(&s->child, &s->root, FL_FOREVER);
}

FL_STRESS_ACTOR(cancel_twice, waiter)
{
	s->rc = fl_event_wait_until(&s->never, FL_FOREVER, &s->child);
}

FL_STRESS_ACTOR(cancel_twice, of_child)
{
	fl_cancel_token_request(&s->child);
}

FL_STRESS_ACTOR(cancel_twice, of_root)
{
	fl_cancel_token_request(&s->root);
}

FL_STRESS(cancel_twice, waiter, of_child, of_root)
{
	bool both = fl_cancel_token_is_requested(&s->child) && fl_cancel_token_is_requested(&s->root);
	fl_cancel_token_destroy(&s->child);
	FL_ACCEPTABLE(s->rc == -ECANCELED && both, "cancelled");
	FL_FORBIDDEN(1, "not cancelled");
}

/*
 * The deadline of a token ends a wait as its request would, not earlier; the event may come first.
 */
struct cancel_deadline_vs_set {
	fl_cancel_token stop;
	fl_event e;
	int rc;
};

FL_STRESS_ACTOR(cancel_deadline_vs_set, waiter)
{
	int64_t deadline = soon();
	fl_cancel_token_init(&s->stop, FL_SHIELDED, deadline);
	s->rc = fl_event_wait_until(&s->e, FL_FOREVER, &s->stop);
	if (s->rc == -ECANCELED)
		FL_STRESS_CHECK(fl_now() >= deadline);
	fl_cancel_token_destroy(&s->stop);
}

FL_STRESS_ACTOR(cancel_deadline_vs_set, setter)
{
	fl_event_set(&s->e);
}

FL_STRESS(cancel_deadline_vs_set, waiter, setter)
{
	FL_FORBIDDEN(fl_event_destroy(&s->e) != 0, "left in the queue");
	FL_ACCEPTABLE(s->rc == 0, "set");
	FL_ACCEPTABLE(s->rc == -ECANCELED, "its time was up");
	FL_FORBIDDEN(1, "another error");
}

/* The scope of a context: plain waits observe it, shielded ones do not; it ends a sleep. */
struct cancel_scope {
	fl_cancel_token stop;
	fl_event e;
	int slept, waited;
};

FL_STRESS_ACTOR(cancel_scope, waiter)
{
	FL_CANCEL_SCOPE(&s->stop);
	s->slept = fl_sleep_until(FL_FOREVER, NULL);
	s->waited = fl_event_wait_until(&s->e, FL_FOREVER, FL_SHIELDED);
}

FL_STRESS_ACTOR(cancel_scope, canceller)
{
	fl_cancel_token_request(&s->stop);
	fl_event_set(&s->e);
}

FL_STRESS(cancel_scope, waiter, canceller)
{
	FL_ACCEPTABLE(s->slept == -ECANCELED && s->waited == 0, "cancelled, then shielded");
	FL_FORBIDDEN(1, "wrong result");
}
