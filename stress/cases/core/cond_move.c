/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiters of a condition that a signal moves to the mutex's wait queue, and what may happen to them
 * there.
 */
#include "../cases.h"

/* Guarded by the mutex: a waiter waits, so a signaller knows which waiter its signal must reach. */
struct meeting {
	fl_mutex m;
	fl_cond c;
	int here, ready, through;
};

static int wait_until_ready(struct meeting *t, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = 0;
	FL_LOCKED(&t->m);
	t->here++;
	while (!t->ready && rc == 0)
		rc = fl_cond_wait_until(&t->c, &t->m, deadline, cancel);
	t->here--;
	t->through++;
	return rc;
}

static bool is_over(struct meeting *t)
{
	return !fl__cond_is_busy(&t->c) && !fl__mutex_is_busy(&t->m) && t->m.word_ == 0;
}

/* Two waiters of a meeting: one for ever, and one that may give up, with the result s->rc. */
#define PATIENT(test)                                                                                                  \
	FL_STRESS_ACTOR(test, patient)                                                                                 \
	{                                                                                                              \
		OK(wait_until_ready(&s->t, FL_FOREVER, NULL));                                                         \
	}
#define PATIENT_AND_TIMED(test)                                                                                        \
	PATIENT(test)                                                                                                  \
	FL_STRESS_ACTOR(test, timed)                                                                                   \
	{                                                                                                              \
		s->rc = wait_until_ready(&s->t, soon(), NULL);                                                         \
	}

/* How a meeting ends, and the names of its two ends: s->rc is 0, or -ETIMEDOUT. */
#define MEETING_ENDS(in_time, late)                                                                                    \
	FL_FORBIDDEN(!is_over(&s->t), "a waiter or a mark is left");                                                   \
	FL_FORBIDDEN(s->t.through != 4, "two were in at once");                                                        \
	FL_ACCEPTABLE(s->rc == 0, in_time);                                                                            \
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, late)

/*
 * cond_broadcast_requeue: with the mutex held, so that all are moved asleep; one of them may have a
 * deadline; a fourth locks the mutex, too.
 */
struct cond_broadcast_requeue {
	struct meeting t;
	int rc;
};

PATIENT_AND_TIMED(cond_broadcast_requeue)

FL_STRESS_ACTOR(cond_broadcast_requeue, caller)
{
	FL_LOCKED(&s->t.m);
	s->t.ready = 1;
	fl_cond_broadcast(&s->t.c);
	s->t.through++;
}

FL_STRESS_ACTOR(cond_broadcast_requeue, other)
{
	FL_LOCKED(&s->t.m);
	s->t.through++;
}

FL_STRESS(cond_broadcast_requeue, patient, timed, caller, other)
{
	MEETING_ENDS("all were woken", "one had timed out");
}

/*
 * Waiters that share a futex, as after an earlier broadcast: all are woken, also one that leaves at
 * its deadline, and while another context holds the mutex.
 */
struct cond_together {
	struct meeting t;
	int rc;
};

static void share_a_futex(fl_cond *c)
{
	enum { TOGETHER = 2 }; /* lib/core/sync/cond.c */
	c->word_ = TOGETHER;
}

FL_STRESS_SETUP(cond_together)
{
	share_a_futex(&s->t.c);
}

PATIENT_AND_TIMED(cond_together)

FL_STRESS_ACTOR(cond_together, caller)
{
	fl_mutex_lock(&s->t.m);
	s->t.ready = 1;
	fl_cond_broadcast(&s->t.c);
	s->t.through++;
	fl_mutex_unlock(&s->t.m);
	FL_LOCKED(&s->t.m); /* the woken waiters may find it held */
	s->t.through++;
}

FL_STRESS(cond_together, patient, timed, caller)
{
	MEETING_ENDS("all were woken", "one had timed out");
}

/*
 * A waiter that shares a futex comes to the mutex behind one that has a deadline. If that waiter
 * gives up, two late unlocks find the other first: it is not dequeued while it counts as awake.
 */
struct cond_together_behind {
	struct meeting t;
	int rc;
};

FL_STRESS_SETUP(cond_together_behind)
{
	share_a_futex(&s->t.c);
}

PATIENT(cond_together_behind)

FL_STRESS_ACTOR(cond_together_behind, timed)
{
	s->rc = fl_mutex_lock_until(&s->t.m, soon(), NULL);
	if (s->rc == 0)
		fl_mutex_unlock(&s->t.m);
}

FL_STRESS_ACTOR(cond_together_behind, caller)
{
	FL_LOCKED(&s->t.m);
	s->t.ready = 1;
	fl_cond_broadcast(&s->t.c);
	s->t.through++;
}

FL_STRESS_ACTOR(cond_together_behind, other)
{
	for (int i = 0; i < 2; i++) {
		FL_LOCKED(&s->t.m);
		s->t.through++;
	}
}

FL_STRESS(cond_together_behind, patient, timed, caller, other)
{
	MEETING_ENDS("all came through", "one gave up");
}

/* Of two waiters that share a futex, a signal reaches one, and the next signal the other. */
struct cond_together_signal {
	struct meeting t;
	int tokens;
};

FL_STRESS_SETUP(cond_together_signal)
{
	share_a_futex(&s->t.c);
}

FL_STRESS_ACTOR(cond_together_signal, take_token)
{
	FL_LOCKED(&s->t.m);
	while (s->tokens == 0)
		OK(fl_cond_wait(&s->t.c, &s->t.m));
	s->tokens--;
}

FL_STRESS_ACTOR(cond_together_signal, giver)
{
	for (int i = 0; i < 2; i++) {
		fl_mutex_lock(&s->t.m);
		s->tokens++;
		fl_mutex_unlock(&s->t.m);
		fl_cond_signal(&s->t.c);
	}
}

FL_STRESS(cond_together_signal, take_token, take_token, giver)
{
	FL_FORBIDDEN(!is_over(&s->t), "a waiter or a mark is left");
	FL_ACCEPTABLE(s->tokens == 0, "each got one");
}

/*
 * cv_requeue_wake_eaten (musl 27b2fc9d): a waiter that comes between a broadcast and the woken ones
 * does not take their wake.
 */
struct cv_requeue_wake_eaten {
	fl_mutex m;
	fl_cond c;
	int turn;
};

static void await_turn(struct cv_requeue_wake_eaten *s, int turn)
{
	while (s->turn < turn)
		OK(fl_cond_wait(&s->c, &s->m));
}

FL_STRESS_ACTOR(cv_requeue_wake_eaten, waiter)
{
	FL_LOCKED(&s->m);
	await_turn(s, 1);
}

FL_STRESS_ACTOR(cv_requeue_wake_eaten, caller)
{
	FL_LOCKED(&s->m);
	s->turn = 1;
	fl_cond_broadcast(&s->c);
	await_turn(s, 2);
}

FL_STRESS_ACTOR(cv_requeue_wake_eaten, ender)
{
	FL_LOCKED(&s->m);
	await_turn(s, 1);
	s->turn = 2;
	fl_cond_broadcast(&s->c);
}

FL_STRESS(cv_requeue_wake_eaten, waiter, caller, ender)
{
	FL_ACCEPTABLE(s->turn == 2 && !fl__cond_is_busy(&s->c), "all through");
}

/*
 * A deadline passes, or a cancel is requested, after the waiter was signalled and while it waits
 * for the mutex: it counts as signalled. The waiter without a signal does not: one signal, two
 * waiters.
 */
struct cond_moved_cancel {
	struct meeting t;
	fl_cancel_token stop;
	int told, rc;
};

FL_STRESS_ACTOR(cond_moved_cancel, waiter)
{
	FL_LOCKED(&s->t.m);
	if (s->t.ready)
		return;
	s->t.here = 1;
	s->rc = fl_cond_wait_until(&s->t.c, &s->t.m, FL_FOREVER, &s->stop);
	FL_STRESS_CHECK(s->rc == 0 && s->t.ready);
}

FL_STRESS_ACTOR(cond_moved_cancel, signaller)
{
	FL_LOCKED(&s->t.m);
	s->t.ready = 1;
	fl_cond_signal(&s->t.c);
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(cond_moved_cancel, waiter, signaller)
{
	FL_FORBIDDEN(!is_over(&s->t), "a waiter or a mark is left");
	FL_ACCEPTABLE(s->t.here, "signalled");
	FL_ACCEPTABLE(!s->t.here, "too late to wait");
}

/*
 * Waiters with different mutexes, which is misuse: one broadcast moves each to its own mutex. (In
 * correct use a broadcast meets this when a waiter with another mutex has given up and is leaving.)
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
