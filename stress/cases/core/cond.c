/* SPDX-License-Identifier: BSD-2-Clause */
/* The condition: a signal reaches a context that waited when it was given, and no other. */
#include "../cases.h"
#include <fairlead/cond.h>

/*
 * cond_signal_steal, cv_signal_stealing (glibc 25847): two tokens, two signals, two waiters: each
 * gets one.
 */
struct cond_signal_steal {
	fl_mutex m;
	fl_cond c;
	int tokens;
};

FL_STRESS_ACTOR(cond_signal_steal, take_token)
{
	FL_LOCKED(&s->m);
	while (s->tokens == 0)
		OK(fl_cond_wait(&s->c, &s->m));
	s->tokens--;
}

FL_STRESS_ACTOR(cond_signal_steal, giver)
{
	for (int i = 0; i < 2; i++) {
		fl_mutex_lock(&s->m);
		s->tokens++;
		fl_mutex_unlock(&s->m);
		fl_cond_signal(&s->c);
	}
}

FL_STRESS(cond_signal_steal, take_token, take_token, giver)
{
	FL_ACCEPTABLE(s->tokens == 0, "each got one");
}

/*
 * A broadcast, with the mutex held or not, wakes all: a spinning waiter and an enqueued one. It
 * also locks the mutex's bucket, in the order of the buckets, which differs from mutex to mutex.
 */
struct cond_broadcast {
	fl_cond c;
	fl_mutex mutexes[2], *m;
	int ready, awake;
};

FL_STRESS_SETUP(cond_broadcast)
{
	s->m = &s->mutexes[fl_stress_choose(2)];
}

FL_STRESS_ACTOR(cond_broadcast, await_ready)
{
	FL_LOCKED(s->m);
	while (!s->ready)
		OK(fl_cond_wait(&s->c, s->m));
	s->awake++;
}

FL_STRESS_ACTOR(cond_broadcast, caller)
{
	bool held = fl_stress_choose(2);
	fl_mutex_lock(s->m);
	s->ready = 1;
	if (held)
		fl_cond_broadcast(&s->c);
	fl_mutex_unlock(s->m);
	if (!held)
		fl_cond_broadcast(&s->c);
}

FL_STRESS(cond_broadcast, await_ready, await_ready, caller)
{
	FL_ACCEPTABLE(s->awake == 2 && !fl__cond_is_busy(&s->c) && !fl__mutex_is_busy(s->m), "both awake");
}

/*
 * A waiter that times out has consumed no signal: one token and one signal always reach the patient
 * waiter.
 */
struct cond_timeout_vs_signal {
	fl_mutex m;
	fl_cond c;
	int tokens, rc;
};

FL_STRESS_ACTOR(cond_timeout_vs_signal, brief)
{
	fl_mutex_lock(&s->m);
	s->rc = fl_cond_wait_until(&s->c, &s->m, soon(), NULL);
	fl_mutex_unlock(&s->m);
	if (s->rc == 0)
		fl_cond_signal(&s->c); /* the signal was for the other waiter */
}

FL_STRESS_ACTOR(cond_timeout_vs_signal, patient)
{
	FL_LOCKED(&s->m);
	while (s->tokens == 0)
		OK(fl_cond_wait(&s->c, &s->m));
	s->tokens--;
}

FL_STRESS_ACTOR(cond_timeout_vs_signal, giver)
{
	FL_LOCKED(&s->m);
	s->tokens++;
	fl_cond_signal(&s->c);
}

FL_STRESS(cond_timeout_vs_signal, brief, patient, giver)
{
	FL_FORBIDDEN(s->tokens != 0, "a token was made");
	FL_ACCEPTABLE(s->rc == 0, "the brief one was woken");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "the brief one timed out");
}

/* A cancelled wait returns with the mutex locked, and the signal goes to another waiter. */
struct cond_cancel_vs_signal {
	fl_mutex m;
	fl_cond c;
	fl_cancel_token stop;
	int ready, rc, count;
};

FL_STRESS_ACTOR(cond_cancel_vs_signal, waiter)
{
	FL_LOCKED(&s->m);
	if (!s->ready)
		s->rc = fl_cond_wait_until(&s->c, &s->m, FL_FOREVER, &s->stop);
	FL_STRESS_CHECK(s->ready || s->rc != 0);
	s->count++;
}

FL_STRESS_ACTOR(cond_cancel_vs_signal, signaller)
{
	FL_LOCKED(&s->m);
	s->ready = 1;
	s->count++;
	fl_cond_signal(&s->c);
}

FL_STRESS_ACTOR(cond_cancel_vs_signal, canceller)
{
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(cond_cancel_vs_signal, waiter, signaller, canceller)
{
	FL_FORBIDDEN(s->count != 2, "the mutex was not held");
	FL_ACCEPTABLE(s->rc == 0, "signalled");
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
}

/* wait_for: the predicate is checked once more at a timeout. */
struct cond_wait_for {
	fl_mutex m;
	fl_cond c;
	int ready, rc;
};

static bool is_ready(void *arg)
{
	return ((struct cond_wait_for *)arg)->ready;
}

FL_STRESS_ACTOR(cond_wait_for, waiter)
{
	FL_LOCKED(&s->m);
	s->rc = fl_cond_wait_for_until(&s->c, &s->m, is_ready, s, soon(), NULL);
	FL_STRESS_CHECK((s->rc == 0) == (s->ready == 1));
}

FL_STRESS_ACTOR(cond_wait_for, signaller)
{
	fl_mutex_lock(&s->m);
	s->ready = 1;
	fl_mutex_unlock(&s->m);
	fl_cond_signal(&s->c);
}

FL_STRESS(cond_wait_for, waiter, signaller)
{
	FL_ACCEPTABLE(s->rc == 0, "it holds");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
}
