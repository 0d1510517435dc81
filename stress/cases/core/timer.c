/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of timers. Each start leads to one call or one cancel, no deadline is missed, and no
 * freed timer is touched. The functions write plainly, because the test is about their order.
 */
#include "../cases.h"
#include <fairlead/timer.h>

/* Cancels the timer, and waits until its function does not run. */
static int end(fl_timer *t, fl_time deadline)
{
	const int rc = fl_timer_cancel(t);
	FL_STRESS_CHECK(rc == 0 || rc == -EINPROGRESS || rc == -EALREADY);
	return fl_timer_join_until(t, deadline, FL_SHIELDED);
}

static void count_up(void *arg)
{
	++*(int *)arg;
}

/*
 * A cancel races the call. After a join, what the call wrote is visible. Then the memory is freed.
 */
struct timer_cancel_vs_call {
	struct counted {
		fl_timer t;
		int calls;
	} * one;
	int cancelled, calls;
};

FL_STRESS_SETUP(timer_cancel_vs_call)
{
	s->one = make(sizeof *s->one);
}

FL_STRESS_ACTOR(timer_cancel_vs_call, user)
{
	OK(fl_timer_start(&s->one->t, soon(), count_up, &s->one->calls));
	s->cancelled = fl_timer_cancel(&s->one->t);
	if (s->cancelled == -EALREADY)
		FL_STRESS_CHECK(s->one->calls == 1);
	OK(fl_timer_join(&s->one->t));
	s->calls = s->one->calls;
	free(s->one);
}

FL_STRESS(timer_cancel_vs_call, user)
{
	FL_ACCEPTABLE(s->cancelled == 0 && s->calls == 0, "cancelled");
	FL_ACCEPTABLE(s->cancelled == -EINPROGRESS && s->calls == 1, "runs");
	FL_ACCEPTABLE(s->cancelled == -EALREADY && s->calls == 1, "called");
}

/*
 * An earlier deadline comes while the thread goes to sleep for one that never comes. The thread is
 * woken. The earlier call comes first, even if both deadlines have passed.
 */
struct timer_earlier {
	fl_timer never, late, now;
	int calls, order;
};

static void come_second(void *arg)
{
	struct timer_earlier *s = arg;
	s->order = s->order * 10 + 2;
}

static void come_first(void *arg)
{
	struct timer_earlier *s = arg;
	s->order = s->order * 10 + 1;
}

FL_STRESS_ACTOR(timer_earlier, first)
{
	OK(fl_timer_start(&s->never, FL_FOREVER, count_up, &s->calls));
	OK(fl_timer_start(&s->now, fl_now(), come_first, s));
	OK(fl_timer_start(&s->late, FL_NO_WAIT, come_second, s));
	OK(fl_timer_join(&s->late));
	OK(fl_timer_cancel(&s->never));
}

FL_STRESS(timer_earlier, first)
{
	FL_ACCEPTABLE(s->order == 12 && s->calls == 0, "in order");
}

/* The idle thread ends while a timer is started. The timer is still called. */
struct timer_end_of_thread {
	fl_timer t;
	int calls;
};

FL_STRESS_ACTOR(timer_end_of_thread, user)
{
	for (int i = 1; i <= 2; i++) {
		OK(fl_timer_start(&s->t, FL_NO_WAIT, count_up, &s->calls));
		OK(fl_timer_join(&s->t));
		FL_STRESS_CHECK(s->calls == i);
	}
}

FL_STRESS(timer_end_of_thread, user)
{
	FL_ACCEPTABLE(s->calls == 2, "called");
}

/*
 * A function starts its timer again while the timer is cancelled. The running call is the last one.
 */
struct timer_restart {
	struct restarting {
		fl_timer t;
		struct timer_restart *s;
		fl_event cancelled; /* it came during a call */
		int ended;          /* plain: the join orders it */
	} * own;
	int calls, refused, once_more;
};

static void start_again(void *arg)
{
	struct restarting *own = arg;
	struct timer_restart *s = own->s;
	if (++s->calls > 2)
		return;
	const bool cancelled = fl_event_is_set(&own->cancelled);
	int rc = fl_timer_start(&own->t, FL_NO_WAIT, start_again, own);
	FL_STRESS_CHECK(rc == -ECANCELED || (rc == 0 && !cancelled));
	s->refused += rc != 0;
	own->ended++;
}

/* No context cancels the timer any more. */
static void start_once_more(void *arg)
{
	struct restarting *own = arg;
	OK(fl_timer_start(&own->t, FL_NO_WAIT, count_up, &own->s->once_more));
}

FL_STRESS_SETUP(timer_restart)
{
	s->own = make(sizeof *s->own);
	s->own->s = s;
}

FL_STRESS_ACTOR(timer_restart, user)
{
	OK(fl_timer_start(&s->own->t, FL_NO_WAIT, start_again, s->own));
	int rc = fl_timer_cancel(&s->own->t);
	FL_STRESS_CHECK(rc == 0 || rc == -EINPROGRESS || rc == -EALREADY);
	if (rc == -EINPROGRESS)
		fl_event_set(&s->own->cancelled);
	OK(fl_timer_join(&s->own->t));
	FL_STRESS_CHECK(s->own->ended <= s->calls);
	OK(fl_timer_try_join(&s->own->t));
	OK(fl_timer_start(&s->own->t, FL_NO_WAIT, start_once_more, s->own));
	OK(fl_timer_join(&s->own->t));
	FL_STRESS_CHECK(s->once_more == 1);
	free(s->own);
}

FL_STRESS(timer_restart, user)
{
	FL_FORBIDDEN(s->calls > 3 || s->refused > 1, "too often");
	FL_ACCEPTABLE(s->calls == 0, "never called");
	FL_ACCEPTABLE(s->refused == 1, "refused");
	FL_ACCEPTABLE(s->calls > 0, "called");
}

/* A function frees its timer, while another timer is pending with the same deadline. */
struct timer_frees_itself {
	struct freeing {
		fl_timer t;
		struct timer_frees_itself *s;
	} * own;
	fl_timer other;
	fl_event freed;
	int calls;
};

static void free_own(void *arg)
{
	struct freeing *own = arg;
	struct timer_frees_itself *s = own->s;
	FL_STRESS_CHECK(end(&own->t, FL_FOREVER) == -EDEADLK);
	FL_STRESS_CHECK(fl_timer_cancel(&own->t) == -EALREADY);
	free(own);
	fl_event_set(&s->freed);
}

FL_STRESS_SETUP(timer_frees_itself)
{
	s->own = make(sizeof *s->own);
	s->own->s = s;
}

FL_STRESS_ACTOR(timer_frees_itself, user)
{
	const bool periodic = fl_stress_choose(2);
	OK(fl_timer_start(&s->other, FL_NO_WAIT, count_up, &s->calls));
	OK(periodic ? fl_timer_start_every(&s->own->t, FL_NO_WAIT, FL_S(1), free_own, s->own)
	            : fl_timer_start(&s->own->t, FL_NO_WAIT, free_own, s->own));
	OK(fl_event_wait(&s->freed));
	OK(end(&s->other, FL_FOREVER));
}

FL_STRESS(timer_frees_itself, user)
{
	FL_ACCEPTABLE(s->calls == 1, "both");
}

/*
 * A function gives up its timer's memory, and another timer is there while the function runs. The
 * end of that call does not end a join of the other timer.
 */
struct timer_in_its_place {
	fl_timer t;
	fl_event gone;
	int calls;
};

static void give_its_place(void *arg)
{
	fl_event_set(arg);
}

FL_STRESS_ACTOR(timer_in_its_place, user)
{
	OK(fl_timer_start(&s->t, FL_NO_WAIT, give_its_place, &s->gone));
	OK(fl_event_wait(&s->gone));
	fl_timer_init(&s->t);
	OK(fl_timer_start(&s->t, FL_NO_WAIT, count_up, &s->calls));
	OK(fl_timer_join(&s->t));
	FL_STRESS_CHECK(s->calls == 1);
}

FL_STRESS(timer_in_its_place, user)
{
	FL_ACCEPTABLE(s->calls == 1, "called");
}

/* Two contexts join timers that end one after the other, in either order. */
struct timer_two_joins {
	fl_timer t[2];
	int calls;
};

FL_STRESS_SETUP(timer_two_joins)
{
	for (int i = 0; i < 2; i++)
		OK(fl_timer_start(&s->t[i], FL_FOREVER, count_up, &s->calls));
}

static void join_one(struct timer_two_joins *s, int i)
{
	OK(fl_timer_join(&s->t[i]));
}

TWO_ACTORS(timer_two_joins, join_one)

FL_STRESS_ACTOR(timer_two_joins, canceller)
{
	const unsigned first = fl_stress_choose(2);
	OK(fl_timer_cancel(&s->t[first]));
	OK(fl_timer_join(&s->t[first]));
	OK(fl_timer_cancel(&s->t[!first]));
}

FL_STRESS(timer_two_joins, one, two, canceller)
{
	FL_ACCEPTABLE(s->calls == 0, "joined");
}

/* A periodic timer calls as often as the time allows, and then never again. */
struct timer_every {
	fl_timer t;
	int calls, at_stop;
	uint64_t missed;
};

FL_STRESS_ACTOR(timer_every, user)
{
	OK(fl_timer_start_every(&s->t, FL_NO_WAIT, FL_S(1), count_up, &s->calls));
	OK(fl_sleep(FL_US(1)));
	OK(end(&s->t, FL_FOREVER));
	s->at_stop = s->calls;
	s->missed = fl_timer_missed(&s->t);
	OK(fl_timer_join(&s->t));
}

FL_STRESS(timer_every, user)
{
	FL_FORBIDDEN(s->calls != s->at_stop, "called after the stop");
	FL_ACCEPTABLE(s->calls == 0, "not called");
	FL_ACCEPTABLE(s->calls == 1, "called");
	FL_INTERESTING(s->calls > 1, "again");
}

/* A cancel ends the wait of a join. */
struct timer_cancel_vs_join {
	fl_timer t;
	fl_event started;
	int calls;
};

FL_STRESS_ACTOR(timer_cancel_vs_join, joiner)
{
	OK(fl_timer_start(&s->t, FL_FOREVER, count_up, &s->calls));
	fl_event_set(&s->started);
	OK(fl_timer_join(&s->t));
}

FL_STRESS_ACTOR(timer_cancel_vs_join, canceller)
{
	OK(fl_event_wait(&s->started));
	OK(fl_timer_cancel(&s->t));
}

FL_STRESS(timer_cancel_vs_join, joiner, canceller)
{
	FL_ACCEPTABLE(s->calls == 0, "joined");
}
