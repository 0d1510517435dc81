/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the condition. A signal reaches only a context that was waiting when the signal was
 * given. A signal or a broadcast may move waiters to the wait queue of the mutex, where they may
 * also give up.
 */
#include "../cases.h"
#include <fairlead/cond.h>

struct meeting {
	fl_cond c;
	fl_mutex mutexes[2], *m;
	fl_cancel_token stop;
	int ready, tokens, through; /* guarded by the mutex */
	int rc;                     /* the result of the waiter that may give up */
};

/* How a scenario begins. */

static void begin(struct meeting *t)
{
	t->m = &t->mutexes[0];
}

static void with_any_mutex(struct meeting *t)
{
	t->m = &t->mutexes[fl_stress_choose(2)];
}

/* The waiters share a futex, as they do after an earlier broadcast. */
static void together(struct meeting *t)
{
	enum { TOGETHER = 2 }; /* its value in lib/core/sync/cond.c */
	begin(t);
	t->c.word_ = TOGETHER;
}

/* What the actors do. */

static int wait_until_ready(struct meeting *t, fl_time deadline)
{
	int rc = 0;
	FL_LOCKED(t->m);
	while (!t->ready && rc == 0)
		rc = fl_cond_wait_until(&t->c, t->m, deadline, NULL);
	t->through++;
	return rc;
}

static void patient(struct meeting *t)
{
	OK(wait_until_ready(t, FL_FOREVER));
}

static void timed(struct meeting *t)
{
	t->rc = wait_until_ready(t, soon());
}

static void enter(struct meeting *t)
{
	FL_LOCKED(t->m);
	t->through++;
}

static void enter_twice(struct meeting *t)
{
	enter(t);
	enter(t);
}

static void call(struct meeting *t)
{
	FL_LOCKED(t->m);
	t->ready++;
	fl_cond_broadcast(&t->c);
	t->through++;
}

static void call_and_enter(struct meeting *t)
{
	call(t);
	enter(t); /* the woken waiters may find it held */
}

static void call_held_or_not(struct meeting *t)
{
	bool held = fl_stress_choose(2);
	fl_mutex_lock(t->m);
	t->ready = 1;
	if (held)
		fl_cond_broadcast(&t->c);
	fl_mutex_unlock(t->m);
	if (!held)
		fl_cond_broadcast(&t->c);
}

static void lock_timed(struct meeting *t)
{
	t->rc = fl_mutex_lock_until(t->m, soon(), NULL);
	if (t->rc == 0)
		fl_mutex_unlock(t->m);
}

static void take_token(struct meeting *t)
{
	FL_LOCKED(t->m);
	while (t->tokens == 0)
		OK(fl_cond_wait(&t->c, t->m));
	t->tokens--;
}

static void give_two(struct meeting *t)
{
	for (int i = 0; i < 2; i++) {
		fl_mutex_lock(t->m);
		t->tokens++;
		fl_mutex_unlock(t->m);
		fl_cond_signal(&t->c);
	}
}

static void give_one(struct meeting *t)
{
	FL_LOCKED(t->m);
	t->tokens++;
	fl_cond_signal(&t->c);
}

static void pass_signal_on(struct meeting *t)
{
	fl_mutex_lock(t->m);
	t->rc = fl_cond_wait_until(&t->c, t->m, soon(), NULL);
	fl_mutex_unlock(t->m);
	if (t->rc == 0)
		fl_cond_signal(&t->c); /* the signal was for the other waiter */
}

static void wait_stoppable(struct meeting *t)
{
	FL_LOCKED(t->m);
	if (!t->ready)
		t->rc = fl_cond_wait_until(&t->c, t->m, FL_FOREVER, &t->stop);
	FL_STRESS_CHECK(t->ready || t->rc != 0);
	t->through++;
}

static void signal_held(struct meeting *t)
{
	FL_LOCKED(t->m);
	t->ready = 1;
	t->through++;
	fl_cond_signal(&t->c);
}

static void stop(struct meeting *t)
{
	fl_cancel_token_request(&t->stop);
}

static void signal_and_stop(struct meeting *t)
{
	FL_LOCKED(t->m);
	t->ready = 1;
	t->through++;
	fl_cond_signal(&t->c);
	stop(t);
}

static bool is_ready(void *arg)
{
	return ((struct meeting *)arg)->ready;
}

static void wait_for(struct meeting *t)
{
	FL_LOCKED(t->m);
	t->rc = fl_cond_wait_for_until(&t->c, t->m, is_ready, t, soon(), NULL);
	FL_STRESS_CHECK((t->rc == 0) == (t->ready == 1));
}

static void signal_free(struct meeting *t)
{
	fl_mutex_lock(t->m);
	t->ready = 1;
	fl_mutex_unlock(t->m);
	fl_cond_signal(&t->c);
}

static void call_and_await_next(struct meeting *t)
{
	FL_LOCKED(t->m);
	t->ready = 1;
	fl_cond_broadcast(&t->c);
	while (t->ready < 2)
		OK(fl_cond_wait(&t->c, t->m));
}

static void await_and_call_next(struct meeting *t)
{
	patient(t);
	call(t);
}

/* Ends a scenario. `refusal` is the result of the waiter that gave up. */
static void end(struct meeting *t, int through, int refusal)
{
	FL_FORBIDDEN(fl__cond_is_busy(&t->c) || fl__mutex_is_busy(t->m) || t->m->word_ != 0,
	             "a waiter or a mark is left");
	FL_FORBIDDEN(t->through != through || t->tokens != 0, "two were in at once, or a token was made");
	FL_ACCEPTABLE(t->rc == 0, "all were woken");
	FL_ACCEPTABLE(t->rc == refusal, "one gave up");
}

#define COND(test, begin, through, refusal, ...)                                                                       \
	SCENARIO(test, struct meeting, begin(&s->t), end(&s->t, through, refusal), __VA_ARGS__)

/*
 * cond_signal_steal, cv_signal_stealing (glibc 25847): there are two tokens, two signals and two
 * waiters, and each waiter gets a token.
 */
COND(cond_signal_steal, begin, 0, 0, take_token, take_token, give_two)

/*
 * A broadcast, with the mutex held or not, wakes all waiters: one that spins, and one that is
 * enqueued. It also locks the bucket of the mutex, in the order of the buckets, which differs from
 * mutex to mutex.
 */
COND(cond_broadcast, with_any_mutex, 2, 0, patient, patient, call_held_or_not)

/*
 * A waiter that times out has consumed no signal: one token and one signal always reach the patient
 * waiter.
 */
COND(cond_timeout_vs_signal, begin, 0, -ETIMEDOUT, pass_signal_on, take_token, give_one)

/* A cancelled wait returns with the mutex locked, and the signal goes to another waiter. */
COND(cond_cancel_vs_signal, begin, 2, -ECANCELED, wait_stoppable, signal_held, stop)

/* cond_wait_for: the predicate is checked once more at a timeout. */
COND(cond_wait_for, begin, 0, -ETIMEDOUT, wait_for, signal_free)

/*
 * The broadcast comes with the mutex held, so that all waiters are moved asleep. One of them may
 * have a deadline, and a fourth context locks the mutex, too.
 */
COND(cond_broadcast_requeue, begin, 4, -ETIMEDOUT, patient, timed, call, enter)

/*
 * The waiters share a futex. All of them are woken, even one that leaves at its deadline, and even
 * while another context holds the mutex.
 */
COND(cond_together, together, 4, -ETIMEDOUT, patient, timed, call_and_enter)

/*
 * A waiter that shares a futex comes to the mutex behind a waiter that has a deadline. If the
 * latter gives up, two late unlocks find the sharing waiter first. It is not dequeued while it
 * counts as awake.
 */
COND(cond_together_behind, together, 4, -ETIMEDOUT, patient, lock_timed, call, enter_twice)

/*
 * Two waiters share a futex. A signal reaches one of them, and the next signal reaches the other.
 */
COND(cond_together_signal, together, 0, 0, take_token, take_token, give_two)

/*
 * cv_requeue_wake_eaten (musl 27b2fc9d): a waiter that comes between a broadcast and the woken
 * waiters does not take their wake.
 */
COND(cv_requeue_wake_eaten, begin, 3, 0, patient, call_and_await_next, await_and_call_next)

/*
 * A cancel is requested when the waiter was signalled and waits for the mutex. The waiter counts as
 * signalled, so it may not return the result of a cancel.
 */
COND(cond_moved_cancel, begin, 2, 0, wait_stoppable, signal_and_stop)

/*
 * Two waiters have different mutexes, which is misuse. One broadcast moves each of them to its own
 * mutex. (In correct use a broadcast meets this if a waiter with another mutex has given up and is
 * leaving.)
 */
struct cond_two_mutexes {
	struct meeting_of_one {
		fl_mutex m;
		int ready, through;
	} of[2];
	fl_cond c;
};

static void await_own(struct cond_two_mutexes *s, int i)
{
	struct meeting_of_one *t = &s->of[i];
	FL_LOCKED(&t->m);
	while (!t->ready)
		OK(fl_cond_wait(&s->c, &t->m));
	t->through++;
}

TWO_ACTORS(cond_two_mutexes, await_own)

FL_STRESS_ACTOR(cond_two_mutexes, caller)
{
	for (int i = 0; i < 2; i++) {
		FL_LOCKED(&s->of[i].m);
		s->of[i].ready = 1;
		s->of[i].through++;
	}
	fl_cond_broadcast(&s->c);
}

FL_STRESS(cond_two_mutexes, one, two, caller)
{
	FL_FORBIDDEN(s->of[0].m.word_ != 0 || s->of[1].m.word_ != 0, "a mark is left");
	FL_ACCEPTABLE(s->of[0].through == 2 && s->of[1].through == 2, "both through");
}
