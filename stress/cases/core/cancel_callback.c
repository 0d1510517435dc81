/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the callbacks of tokens. Each function runs once or never, as the removal reports,
 * and no freed memory is touched.
 */
#include "../cases.h"

static void count_up(void *arg)
{
	++*(int *)arg;
}

/*
 * A registration races a request. The function runs once, and sees what was written before the
 * request and before the registration.
 */
struct cancel_callback_once {
	fl_cancel_token stop;
	fl_cancel_callback cb;
	int before_request, before_registration, runs;
	bool registered;
};

static void look_around(void *arg)
{
	struct cancel_callback_once *s = arg;
	FL_STRESS_CHECK(s->before_request == 1 && s->before_registration == 1);
	s->runs++;
}

FL_STRESS_ACTOR(cancel_callback_once, canceller)
{
	s->before_request = 1;
	fl_cancel_token_request(&s->stop);
}

FL_STRESS_ACTOR(cancel_callback_once, user)
{
	s->before_registration = 1;
	s->registered = fl_cancel_token_on_request(&s->stop, &s->cb, look_around, s);
}

FL_STRESS(cancel_callback_once, canceller, user)
{
	bool idle = fl_cancel_callback_remove(&s->cb);
	fl_cancel_token_destroy(&s->stop);
	FL_FORBIDDEN(idle || s->runs != 1, "not once");
	FL_ACCEPTABLE(s->registered, "by the request");
	FL_ACCEPTABLE(!s->registered, "by the registration");
}

/*
 * A removal races a request. Then the callback, the token and the data of the function are freed,
 * and the request touches none of them. If the removal returns false, what the function wrote is
 * visible.
 */
struct cancel_callback_remove {
	struct connection {
		fl_cancel_token stop;
		fl_cancel_callback cb;
		int runs;
	} * c;
	int runs;
	bool idle;
};

FL_STRESS_SETUP(cancel_callback_remove)
{
	s->c = make(sizeof *s->c);
	(void)fl_cancel_token_on_request(&s->c->stop, &s->c->cb, count_up, &s->c->runs);
}

FL_STRESS_ACTOR(cancel_callback_remove, canceller)
{
	fl_cancel_token_request(&s->c->stop);
}

FL_STRESS_ACTOR(cancel_callback_remove, user)
{
	s->idle = fl_cancel_callback_remove(&s->c->cb);
	s->runs = s->c->runs;
	/* The request does not touch the token any more when it runs the function. */
	if (!s->idle) {
		fl_cancel_token_destroy(&s->c->stop);
		free(s->c);
		s->c = NULL;
	}
}

FL_STRESS(cancel_callback_remove, canceller, user)
{
	if (s->c) {
		fl_cancel_token_destroy(&s->c->stop);
		free(s->c);
	}
	FL_ACCEPTABLE(s->idle && s->runs == 0, "removed");
	FL_ACCEPTABLE(!s->idle && s->runs == 1, "run");
}

/*
 * A function removes its own callback, destroys the token, and frees both. Another context removes
 * another callback of the tree, and waits for its function if that runs.
 */
struct cancel_callback_self {
	fl_cancel_token root;
	struct own {
		fl_cancel_token stop;
		fl_cancel_callback cb;
	} * own;
	fl_cancel_callback other;
	int freed, runs;
};

static void free_own(void *arg)
{
	struct cancel_callback_self *s = arg;
	FL_STRESS_CHECK(!fl_cancel_callback_remove(&s->own->cb));
	fl_cancel_token_destroy(&s->own->stop);
	free(s->own);
	s->freed++;
}

FL_STRESS_SETUP(cancel_callback_self)
{
	s->own = make(sizeof *s->own);
	fl_cancel_token_init(&s->own->stop, &s->root, FL_FOREVER);
	(void)fl_cancel_token_on_request(&s->own->stop, &s->own->cb, free_own, s);
	(void)fl_cancel_token_on_request(&s->root, &s->other, count_up, &s->runs);
}

FL_STRESS_ACTOR(cancel_callback_self, canceller)
{
	fl_cancel_token_request(&s->root);
}

FL_STRESS_ACTOR(cancel_callback_self, user)
{
	bool idle = fl_cancel_callback_remove(&s->other);
	FL_STRESS_CHECK(s->runs == !idle);
}

FL_STRESS(cancel_callback_self, canceller, user)
{
	fl_cancel_token_destroy(&s->root);
	FL_ACCEPTABLE(s->freed == 1, "freed");
}

/*
 * A function removes its own callback, and goes on. A later removal by the owner waits for the end
 * of the function. Then the callback and the function's data are freed.
 */
struct cancel_callback_self_then_owner {
	fl_cancel_token stop;
	struct used {
		fl_cancel_callback cb;
		fl_event removed;
		int runs;
	} * used;
};

static void remove_own(void *arg)
{
	struct used *u = arg;
	FL_STRESS_CHECK(!fl_cancel_callback_remove(&u->cb));
	fl_event_set(&u->removed);
	u->runs++;
}

FL_STRESS_SETUP(cancel_callback_self_then_owner)
{
	s->used = make(sizeof *s->used);
	(void)fl_cancel_token_on_request(&s->stop, &s->used->cb, remove_own, s->used);
}

FL_STRESS_ACTOR(cancel_callback_self_then_owner, canceller)
{
	fl_cancel_token_request(&s->stop);
}

FL_STRESS_ACTOR(cancel_callback_self_then_owner, owner)
{
	OK(fl_event_wait_until(&s->used->removed, FL_FOREVER, FL_SHIELDED));
	FL_STRESS_CHECK(!fl_cancel_callback_remove(&s->used->cb));
	FL_STRESS_CHECK(s->used->runs == 1);
	free(s->used);
}

FL_STRESS(cancel_callback_self_then_owner, canceller, owner)
{
	fl_cancel_token_destroy(&s->stop);
	FL_ACCEPTABLE(true, "waited for");
}

/*
 * A callback is registered while another context waits under the token, and the token is requested.
 * The callback runs, and the wait ends.
 */
struct cancel_callback_vs_wait {
	fl_cancel_token stop;
	fl_event never;
	fl_cancel_callback cb;
	int rc, runs;
};

FL_STRESS_ACTOR(cancel_callback_vs_wait, waiter)
{
	s->rc = fl_event_wait_until(&s->never, FL_FOREVER, &s->stop);
}

FL_STRESS_ACTOR(cancel_callback_vs_wait, canceller)
{
	fl_cancel_token_request(&s->stop);
}

FL_STRESS_ACTOR(cancel_callback_vs_wait, user)
{
	(void)fl_cancel_token_on_request(&s->stop, &s->cb, count_up, &s->runs);
}

FL_STRESS(cancel_callback_vs_wait, waiter, canceller, user)
{
	bool idle = fl_cancel_callback_remove(&s->cb);
	fl_cancel_token_destroy(&s->stop);
	FL_FORBIDDEN(s->rc != -ECANCELED || fl__lot_has_waiters_at(&s->never), "the wait was not ended");
	FL_ACCEPTABLE(!idle && s->runs == 1, "run");
}

/* A later check sees what was written before a request that wakes a waiter. */
struct cancel_late_check {
	fl_cancel_token stop;
	fl_event never;
	int data;
	bool requested;
};

FL_STRESS_ACTOR(cancel_late_check, waiter)
{
	FL_STRESS_CHECK(fl_event_wait_until(&s->never, FL_FOREVER, &s->stop) == -ECANCELED);
}

FL_STRESS_ACTOR(cancel_late_check, canceller)
{
	s->data = 1;
	fl_cancel_token_request(&s->stop);
}

FL_STRESS_ACTOR(cancel_late_check, looker)
{
	s->requested = fl_cancel_token_is_requested(&s->stop);
	if (s->requested)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(cancel_late_check, waiter, canceller, looker)
{
	FL_ACCEPTABLE(s->requested, "requested");
	FL_ACCEPTABLE(!s->requested, "too early");
}
