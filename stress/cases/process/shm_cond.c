/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared condition: no wake is lost by a kill; and the required order of signal and change. */
#include "../cases.h"
#include <fairlead/shm_cond.h>

/*
 * 0 with the mutex held, and the data consistent: one store is all of a change, so there is nothing
 * to repair.
 */
static void in_order(fl_shm_mutex *m, int rc)
{
	if (rc == -EOWNERDEAD)
		fl_shm_mutex_recover(m);
	else
		FL_STRESS_CHECK(rc == 0);
}

/* Two contexts make the change, so that one may be killed: the waiter always gets on. */
struct shm_cond_pattern {
	fl_shm_mutex m;
	fl_shm_cond c;
	int ready;
};

FL_STRESS_ACTOR(shm_cond_pattern, announce_and_change)
{
	in_order(&s->m, fl_shm_mutex_lock(&s->m));
	fl_shm_cond_broadcast(&s->c);
	s->ready = 1;
	fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(shm_cond_pattern, waiter)
{
	in_order(&s->m, fl_shm_mutex_lock(&s->m));
	while (!s->ready)
		in_order(&s->m, fl_shm_cond_wait(&s->c, &s->m));
	fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_PROCESSES(shm_cond_pattern, waiter, announce_and_change, announce_and_change)
{
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_ACCEPTABLE(s->ready, "ready");
}

/*
 * Two waiters, and a signaller without the mutex, after the change: both are woken. (Without
 * kills.)
 */
struct shm_cond_all {
	fl_shm_mutex m;
	fl_shm_cond c;
	int ready;
};

FL_STRESS_ACTOR(shm_cond_all, wait_for_all)
{
	OK(fl_shm_mutex_lock(&s->m));
	while (!s->ready)
		OK(fl_shm_cond_wait(&s->c, &s->m));
	fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(shm_cond_all, signaller)
{
	OK(fl_shm_mutex_lock(&s->m));
	s->ready = 1;
	fl_shm_mutex_unlock(&s->m);
	fl_shm_cond_broadcast(&s->c);
}

FL_STRESS(shm_cond_all, wait_for_all, wait_for_all, signaller)
{
	FL_FORBIDDEN(s->c.waits_ != s->c.served_ || fl_shm_mutex_is_locked(&s->m), "left locked, or awaited");
	FL_ACCEPTABLE(1, "all came back");
}

/* A waiter that is killed, at any step, takes nothing from the other. */
struct shm_cond_waiter_killed {
	fl_shm_mutex m;
	fl_shm_cond c;
	int ready;
};

static void wait_ready(struct shm_cond_waiter_killed *s, fl_time deadline)
{
	int rc = 0;
	in_order(&s->m, fl_shm_mutex_lock(&s->m));
	while (!s->ready && rc != -ETIMEDOUT) {
		rc = fl_shm_cond_wait_until(&s->c, &s->m, deadline, FL_SHIELDED);
		if (rc != -ETIMEDOUT)
			in_order(&s->m, rc);
	}
	fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(shm_cond_waiter_killed, brief)
{
	wait_ready(s, soon());
}

FL_STRESS_ACTOR(shm_cond_waiter_killed, patient)
{
	wait_ready(s, FL_FOREVER);
}

/* Signals twice, so that the patient waiter is served when the first is killed. */
FL_STRESS_ACTOR(shm_cond_waiter_killed, signaller)
{
	in_order(&s->m, fl_shm_mutex_lock(&s->m));
	fl_shm_cond_broadcast(&s->c);
	s->ready = 1;
	fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_PROCESSES(shm_cond_waiter_killed, brief, patient, signaller, signaller)
{
	fl_shm_cond_broadcast(&s->c);
	FL_FORBIDDEN(s->c.waits_ != s->c.served_, "a dead waiter counts after a signal");
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_ACCEPTABLE(s->ready, "all came back");
}
