/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a request reaches a fiber: by its own token (lib/core/wait/cancel.h): in the token's wait
 * queue no wait of the fiber is.
 */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

#include "loop/loop.h"

/*
 * Lets another thread request the token, and waits for that without yielding: its message is still
 * on its way.
 */
static void *request_it(void *token)
{
	fl_cancel_token_request(token);
	return NULL;
}

static void request_elsewhere(fl_cancel_token *token)
{
	(void)fl_test_foreign(request_it, token);
}

static void request_here(fl_cancel_token *token)
{
	fl_cancel_token_request(token);
}

static void (*request)(fl_cancel_token *token); /* request_here or request_elsewhere */

/* Runs it as a fiber of a loop, once with requests by the loop's thread, and once by another. */
static void in_both_places(void (*body)(void))
{
	for (int i = 0; i < 2; i++) {
		request = i == 0 ? request_here : request_elsewhere;
		fl_test_body_in_loop(body);
	}
}

FL_TEST_WITH(fiber_cancel_before_a_wait, in_both_places, void)
{
	fl_event never = FL_EVENT_INIT;
	request(fl_cancel_scope_current());
	FL_CHECK(fl_cancel_token_is_requested(NULL));
	FL_RC(fl_event_wait(&never), -ECANCELED);
	/* The kick comes while it waits under no token, and ends nothing. */
	FL_RC(fl_event_wait_until(&never, fl_test_soon(), FL_SHIELDED), -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		FL_RC(fl_event_wait(&never), -ECANCELED);
	FL_RC(fl_sleep(FL_S(3600)), -ECANCELED);
	FL_RC(fl_sleep(0), -ECANCELED);
}

typedef struct waiter {
	fl_event event;
	fl_sem sem;
	fl_cancel_token *own;
	int rc, ended;
	bool asleep;
} waiter;

static int wait_once(void *arg)
{
	waiter *w = arg;
	w->own = fl_cancel_scope_current();
	w->rc = fl_event_wait(&w->event);
	w->ended++;
	return w->rc;
}

FL_TEST_WITH(fiber_cancel_during_a_wait, in_both_places, void)
{
	waiter w = {.event = FL_EVENT_INIT};
	fl_fiber *f = fl_test_start(wait_once, &w);
	fl_fiber_yield();
	FL_CHECK(fl_test_queued(&w.event) == 1);
	FL_CHECK(fl_test_queued(w.own) == 0); /* that is what an own token is for */
	request(w.own);
	FL_CHECK(w.ended == 0);
	FL_CHECK(fl_test_join(f) == -ECANCELED && w.ended == 1);
	FL_CHECK(fl_test_queued(&w.event) == 0);
}

FL_TEST_WITH(fiber_cancel_after_its_end, in_both_places, void)
{
	waiter w = {.event = FL_EVENT_INIT};
	fl_event_set(&w.event);
	fl_fiber *f = fl_test_start(wait_once, &w);
	fl_fiber_yield();
	FL_CHECK(!fl_fiber_is_alive(f));
	request(w.own);
	fl_fiber_cancel(f);
	fl_test_settle();
	FL_OK(fl_test_join(f));
}

/* The loop sleeps while it comes. */
static int cancel_in_line(void *arg)
{
	waiter *w = arg;
	FL_WAIT_FOR(fl_test_queued(&w->event) == 1 && fl__load_acquire(&w->asleep));
	fl_cancel_token_request(w->own);
	return 0;
}

static int sleep_until_cancelled(void *arg)
{
	waiter *w = arg;
	fl_thread *t;
	fl_test_go(&t, cancel_in_line, w);
	w->own = fl_cancel_scope_current();
	fl__store_release(&w->asleep, true);
	FL_RC(fl_event_wait(&w->event), -ECANCELED);
	fl_test_end(t);
	return 0;
}

FL_TEST(fiber_cancel_wakes_the_loop)
{
	waiter w = {.event = FL_EVENT_INIT};
	fl_test_in_loop(sleep_until_cancelled, &w);
}

/*
 * A fiber that returns while a kick is on its way; joined, detached before, and detached while it
 * waits for the kick.
 */
static unsigned left_early;

static int request_and_return(void *unused)
{
	request_elsewhere(fl_cancel_scope_current());
	left_early++;
	return 5;
}

static int leave_early(void *unused)
{
	left_early = 0;
	fl_fiber *f = fl_test_start(request_and_return, NULL);
	FL_CHECK(fl_test_join(f) == 5);
	fl_fiber_detach(fl_test_start(request_and_return, NULL));
	f = fl_test_start(request_and_return, NULL);
	fl_fiber_yield();
	FL_CHECK(left_early == 3);
	FL_CHECK(fl_fiber_is_alive(f)); /* the kick comes in the next turn */
	fl_fiber_detach(f);
	f = fl_test_start(request_and_return, NULL);
	fl_fiber_free(f);
	return 0;
}

static void ignore_error(const char *name, int error)
{
}

FL_TEST(fiber_cancel_on_its_way_when_the_fiber_ends)
{
	fl_fiber_error_handler *before = fl_fiber_set_error_handler(ignore_error);
	fl_test_in_loop(leave_early, NULL);
	assert_int_equal(left_early, 4);
	(void)fl_fiber_set_error_handler(before);
}

/*
 * A wait under another token sees a request of the fiber's own token only if that token is its
 * ancestor.
 */
typedef struct nest {
	fl_event event;
	fl_cancel_token child, apart, *own;
	int under_child, under_apart, shielded, under_own, over;
} nest;

static int wait_nested(void *arg)
{
	nest *n = arg;
	n->own = fl_cancel_scope_current();
	fl_cancel_token_init(&n->child, NULL, FL_FOREVER);
	fl_cancel_token_init(&n->apart, FL_SHIELDED, FL_FOREVER);
	{
		FL_CANCEL_SCOPE(&n->child);
		n->under_child = fl_event_wait(&n->event);
	}
	{
		FL_CANCEL_SCOPE(&n->apart);
		n->under_apart = fl_event_wait_until(&n->event, fl_test_soon(), NULL);
	}
	{
		FL_CANCEL_SCOPE(FL_SHIELDED);
		n->shielded = fl_event_wait_until(&n->event, fl_test_soon(), NULL);
	}
	n->under_own = fl_event_wait(&n->event);
	fl_cancel_token_destroy(&n->child);
	fl_cancel_token_destroy(&n->apart);
	n->over = 1;
	return 0;
}

FL_TEST_WITH(fiber_cancel_of_nested_scopes, in_both_places, void)
{
	nest n = {.event = FL_EVENT_INIT};
	fl_fiber *f = fl_test_start(wait_nested, &n);
	fl_fiber_yield();
	FL_CHECK(fl_test_queued(&n.child) == 1);
	request(n.own);
	FL_CHECK(fl_test_join(f) == 0 && n.over == 1);
	FL_CHECK(n.under_child == -ECANCELED && n.under_own == -ECANCELED);
	FL_CHECK(n.under_apart == -ETIMEDOUT && n.shielded == -ETIMEDOUT);
}

/* Requests of the child alone do not reach the fiber. */
FL_TEST_WITH(fiber_cancel_of_a_child_alone, in_both_places, void)
{
	nest n = {.event = FL_EVENT_INIT};
	fl_fiber *f = fl_test_start(wait_nested, &n);
	fl_fiber_yield();
	request(&n.child);
	while (n.under_child == 0)
		fl_fiber_yield();
	FL_CHECK(n.under_child == -ECANCELED && !fl_cancel_token_is_requested(n.own));
	while (fl_test_queued(&n.event) == 0 || n.shielded == 0)
		fl_fiber_yield();
	fl_event_set(&n.event);
	FL_CHECK(fl_test_join(f) == 0 && n.under_own == 0);
}

/* Other contexts may wait under a fiber's own token: they are in its wait queue. */
typedef struct guest {
	waiter *host;
	int rc;
} guest;

static int wait_under_hosts(void *arg)
{
	guest *g = arg;
	fl_event never = FL_EVENT_INIT;
	g->rc = fl_event_wait_until(&never, FL_FOREVER, g->host->own);
	return 0;
}

FL_TEST_WITH(fiber_cancel_wakes_the_waiters_of_its_token, in_both_places, void)
{
	waiter w = {.event = FL_EVENT_INIT};
	guest fiber = {&w, 0}, thread = {&w, 0};
	fl_thread *t;
	fl_fiber *host = fl_test_start(wait_once, &w);
	fl_fiber_yield();
	fl_fiber *g = fl_test_start(wait_under_hosts, &fiber);
	fl_test_go(&t, wait_under_hosts, &thread);
	while (fl_test_queued(w.own) != 2)
		fl_fiber_yield();
	request(w.own);
	FL_CHECK(fl_test_join(g) == 0 && fiber.rc == -ECANCELED);
	fl_test_end(t);
	FL_CHECK(thread.rc == -ECANCELED);
	FL_RC(fl_test_join(host), -ECANCELED);
}

/* A token with a deadline: a fiber under a parent that has one. */
static int wait_for_times(void *unused)
{
	fl_event never = FL_EVENT_INIT;
	fl_time limit = fl_cancel_token_deadline(NULL);
	FL_CHECK(!fl__is_forever(limit));
	const int rc = fl_event_wait_until(&never, fl_after(FL_US(100)), NULL);
	FL_CHECK(rc == -ETIMEDOUT || (rc == -ECANCELED && fl_time_is_past(limit)));
	FL_CHECK(fl_event_wait(&never) == -ECANCELED && fl_time_is_past(limit));
	FL_RC(fl_event_wait_until(&never, fl_after(FL_S(10)), NULL), -ECANCELED);
	FL_CHECK(fl_cancel_token_is_requested(NULL));
	FL_RC(fl_event_wait_until(&never, fl_after(FL_US(100)), FL_SHIELDED), -ETIMEDOUT);
	return 0;
}

FL_LOOP_TEST(fiber_cancel_by_the_deadline_of_its_token)
{
	fl_fiber *f;
	fl_cancel_token parent;
	fl_cancel_token_init(&parent, NULL, fl_after(FL_MS(20)));
	FL_OK(fl__fiber_start(fl_loop_current(), &f, wait_for_times, NULL, NULL, &parent));
	FL_OK(fl_test_join(f));
	fl_cancel_token_destroy(&parent);
}

/* Born under a parent that is requested: its first wait answers. */
FL_TEST_WITH(fiber_cancel_of_a_parent_comes_first, in_both_places, void)
{
	fl_fiber *f;
	fl_cancel_token parent;
	waiter w = {.event = FL_EVENT_INIT};
	fl_cancel_token_init(&parent, FL_SHIELDED, FL_FOREVER);
	request(&parent);
	FL_OK(fl__fiber_start(fl_loop_current(), &f, wait_once, &w, NULL, &parent));
	FL_RC(fl_test_join(f), -ECANCELED);
	/* A separate tree. */
	FL_OK(fl__fiber_start(fl_loop_current(), &f, wait_once, &w, NULL, FL_SHIELDED));
	fl_fiber_yield();
	request(w.own);
	FL_RC(fl_test_join(f), -ECANCELED);
	fl_cancel_token_destroy(&parent);
}

/*
 * Its own token, then its parent's and the loop's, while the first kick is on its way: only one is
 * sent.
 */
FL_TEST_WITH(fiber_cancel_on_several_levels, in_both_places, void)
{
	fl_fiber *f, *other;
	fl_cancel_token parent;
	waiter w = {.event = FL_EVENT_INIT}, more = w;
	fl_cancel_token_init(&parent, NULL, FL_FOREVER);
	FL_OK(fl__fiber_start(fl_loop_current(), &f, wait_once, &w, NULL, &parent));
	FL_OK(fl__fiber_start(fl_loop_current(), &other, wait_once, &more, NULL, &parent));
	fl_fiber_yield();
	request(w.own);
	request(more.own);
	request(&parent);
	request(fl_cancel_scope_current());
	FL_RC(fl_test_join(f), -ECANCELED);
	FL_RC(fl_test_join(other), -ECANCELED);
	FL_CHECK(w.ended == 1 && more.ended == 1);
	fl_cancel_token_destroy(&parent);
}

/* The time is up, and the request comes before the fiber has run. */
static int take_permit_soon(void *arg)
{
	waiter *w = arg;
	w->own = fl_cancel_scope_current();
	w->rc = fl_sem_acquire_until(&w->sem, fl_after(FL_S(3600)), NULL);
	w->ended++;
	return w->rc;
}

FL_TEST_WITH(fiber_cancel_when_the_time_is_up, in_both_places, void)
{
	waiter w = {.sem = FL_SEM_INIT(0)};
	FL_FAULTS();
	fl_test_clock_ours();
	fl_fiber *f = fl_test_start(take_permit_soon, &w);
	fl_fiber_yield();
	fl__store_relaxed(&fl_test_ahead, FL_S(7200));
	fl_fiber_yield(); /* the fiber is behind us in the queue now */
	if (w.ended == 0)
		request(w.own);
	int rc = fl_test_join(f);
	FL_CHECK(rc == -ETIMEDOUT || rc == -ECANCELED);
	fl_sem_release(&w.sem);
	FL_OK(fl_sem_try_acquire(&w.sem));
}
