/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the condition in shared memory. No wake is lost by a kill if the broadcast comes
 * before the change.
 */
#include "../cases.h"
#include <fairlead/shm_cond.h>

/*
 * Checks that the mutex is held, and the data consistent. A change is a single store, so there is
 * nothing to repair after a death.
 */
static void in_order(fl_shm_mutex *m, int rc)
{
	if (rc == -EOWNERDEAD)
		fl_shm_mutex_recover(m);
	else
		FL_STRESS_CHECK(rc == 0);
}

/*
 * Two contexts make the change, so that one of them may be killed. The waiter always makes
 * progress.
 */
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
 * There are two waiters, and a signaller that signals without the mutex, after the change. Both
 * waiters are woken. (No context is killed.)
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

/* A waiter that is killed, at any step, takes nothing from the other one. */
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

/* Two actors signal, so that the patient waiter is served when one of them is killed. */
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
