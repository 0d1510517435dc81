/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The eventcount: the check sees a condition that becomes true, or the wait ends, whatever the
 * memory orders of the condition.
 */
#include "cases.h"
#include <fairlead/event.h>
#include <fairlead/eventcount.h>

/*
 * waiter_flag_dekker (oneTBB #2136, libc++ #109290): the waiter sets its flag and checks the
 * condition, the notifier sets the condition and checks the flag. If both miss, the waiter sleeps
 * for ever: one of the two fences is missing.
 */
struct eventcount_dekker {
	fl_eventcount ec;
	atomic_int condition;
	bool waited;
};

FL_STRESS_ACTOR(eventcount_dekker, notifier)
{
	SET(&s->condition, 1);
	fl_eventcount_notify(&s->ec);
}

FL_STRESS_ACTOR(eventcount_dekker, waiter)
{
	fl_eventcount_key key = fl_eventcount_prepare(&s->ec);
	if (LOOK(&s->condition))
		return;
	OK(fl_eventcount_wait(&s->ec, key));
	FL_STRESS_CHECK(LOOK(&s->condition) == 1);
	s->waited = true;
}

FL_STRESS(eventcount_dekker, notifier, waiter)
{
	FL_FORBIDDEN(fl_eventcount_destroy(&s->ec) != 0, "left in the queue");
	FL_ACCEPTABLE(s->waited, "notified");
	FL_ACCEPTABLE(!s->waited, "found by the look");
}

/* A notified waiter sees what was written before, also if it only reads the epoch. */
struct eventcount_data {
	fl_eventcount ec;
	int data;
	int rc;
};

FL_STRESS_ACTOR(eventcount_data, notifier)
{
	s->data = 1;
	fl_eventcount_notify_all(&s->ec);
}

FL_STRESS_ACTOR(eventcount_data, waiter)
{
	fl_eventcount_key key = fl_eventcount_prepare(&s->ec);
	s->rc = fl_eventcount_try_wait(&s->ec, key);
	if (s->rc == 0)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(eventcount_data, notifier, waiter)
{
	FL_ACCEPTABLE(s->rc == 0, "notified");
	FL_ACCEPTABLE(s->rc == -EAGAIN, "too early, or too late");
	FL_FORBIDDEN(1, "another result");
}

/*
 * The loop of the header. Two items, two consumers, one item each: no notification is lost between
 * them.
 */
struct eventcount_two_waiters {
	fl_eventcount ec;
	atomic_int items, got;
};

static bool take_item(atomic_int *items)
{
	int seen = LOOK(items);
	while (seen > 0)
		if (atomic_compare_exchange_weak_explicit(items, &seen, seen - 1, memory_order_relaxed,
		                                          memory_order_relaxed))
			return true;
	return false;
}

static void get_item(fl_eventcount *ec, atomic_int *items)
{
	while (!take_item(items)) {
		fl_eventcount_key key = fl_eventcount_prepare(ec);
		if (take_item(items))
			return;
		OK(fl_eventcount_wait(ec, key));
	}
}

FL_STRESS_ACTOR(eventcount_two_waiters, one)
{
	get_item(&s->ec, &s->items);
	COUNT(&s->got);
}

FL_STRESS_ACTOR(eventcount_two_waiters, two)
{
	get_item(&s->ec, &s->items);
	COUNT(&s->got);
}

FL_STRESS_ACTOR(eventcount_two_waiters, producer)
{
	for (int i = 0; i < 2; i++) {
		COUNT(&s->items);
		fl_eventcount_notify(&s->ec);
	}
}

FL_STRESS(eventcount_two_waiters, one, two, producer)
{
	FL_FORBIDDEN(fl_eventcount_destroy(&s->ec) != 0, "left in the queue");
	FL_ACCEPTABLE(LOOK(&s->got) == 2 && LOOK(&s->items) == 0, "one each");
	FL_FORBIDDEN(1, "an item is left");
}

/* Two producers at once: the second may find that the first has cleared WAITERS. */
struct eventcount_two_notifiers {
	fl_eventcount ec;
	atomic_int items;
};

FL_STRESS_ACTOR(eventcount_two_notifiers, one)
{
	COUNT(&s->items);
	fl_eventcount_notify(&s->ec);
}

FL_STRESS_ACTOR(eventcount_two_notifiers, two)
{
	COUNT(&s->items);
	fl_eventcount_notify(&s->ec);
}

FL_STRESS_ACTOR(eventcount_two_notifiers, consumer)
{
	get_item(&s->ec, &s->items);
	get_item(&s->ec, &s->items);
}

FL_STRESS(eventcount_two_notifiers, one, two, consumer)
{
	FL_FORBIDDEN(fl_eventcount_destroy(&s->ec) != 0, "left in the queue");
	FL_ACCEPTABLE(LOOK(&s->items) == 0, "both taken");
	FL_FORBIDDEN(1, "an item is left");
}

/* One notification of all ends both waits. */
struct eventcount_all {
	fl_eventcount ec;
	atomic_int condition;
};

static void await_condition(struct eventcount_all *s)
{
	while (!LOOK(&s->condition)) {
		fl_eventcount_key key = fl_eventcount_prepare(&s->ec);
		if (LOOK(&s->condition))
			return;
		OK(fl_eventcount_wait(&s->ec, key));
	}
}

FL_STRESS_ACTOR(eventcount_all, one)
{
	await_condition(s);
}

FL_STRESS_ACTOR(eventcount_all, two)
{
	await_condition(s);
}

FL_STRESS_ACTOR(eventcount_all, notifier)
{
	SET(&s->condition, 1);
	fl_eventcount_notify_all(&s->ec);
}

FL_STRESS(eventcount_all, one, two, notifier)
{
	FL_ACCEPTABLE(fl_eventcount_destroy(&s->ec) == 0, "both came through");
	FL_FORBIDDEN(1, "left in the queue");
}

/* A waiter that gives up takes no notification: it goes to the other waiter. */
struct eventcount_timeout_vs_notify {
	fl_eventcount ec;
	atomic_int items;
	int rc;
};

FL_STRESS_ACTOR(eventcount_timeout_vs_notify, hasty)
{
	fl_eventcount_key key = fl_eventcount_prepare(&s->ec);
	s->rc = fl_eventcount_wait_until(&s->ec, key, soon(), NULL);
	if (s->rc == 0)
		fl_eventcount_notify(&s->ec); /* not for this context: pass it on */
}

FL_STRESS_ACTOR(eventcount_timeout_vs_notify, consumer)
{
	get_item(&s->ec, &s->items);
}

FL_STRESS_ACTOR(eventcount_timeout_vs_notify, producer)
{
	COUNT(&s->items);
	fl_eventcount_notify(&s->ec);
}

FL_STRESS(eventcount_timeout_vs_notify, hasty, consumer, producer)
{
	FL_FORBIDDEN(fl_eventcount_destroy(&s->ec) != 0, "left in the queue");
	FL_ACCEPTABLE(s->rc == 0, "notified");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
	FL_FORBIDDEN(1, "another error");
}

/* An fl_wait_any on it takes nothing from the waiter, and misses nothing itself. */
struct eventcount_watch {
	fl_eventcount ec;
	fl_event never;
	atomic_int condition;
	int data, rc;
};

FL_STRESS_ACTOR(eventcount_watch, watcher)
{
	fl_eventcount_watch w = {&s->ec, fl_eventcount_prepare(&s->ec)};
	if (LOOK(&s->condition))
		return;
	s->rc = FL_WAIT_ANY(FL_ON_EVENT(&s->never), FL_ON_EVENTCOUNT(&w));
	FL_STRESS_CHECK(s->rc == 1 && s->data == 1);
}

FL_STRESS_ACTOR(eventcount_watch, waiter)
{
	fl_eventcount_key key = fl_eventcount_prepare(&s->ec);
	if (!LOOK(&s->condition))
		OK(fl_eventcount_wait(&s->ec, key));
}

FL_STRESS_ACTOR(eventcount_watch, notifier)
{
	s->data = 1;
	SET(&s->condition, 1);
	fl_eventcount_notify(&s->ec);
	fl_eventcount_notify(&s->ec); /* the watcher may be behind the waiter */
}

FL_STRESS(eventcount_watch, watcher, waiter, notifier)
{
	FL_FORBIDDEN(fl_eventcount_destroy(&s->ec) != 0 || fl_event_destroy(&s->never) != 0, "left in the queue");
	FL_ACCEPTABLE(1, "both came through");
}
