/* SPDX-License-Identifier: BSD-2-Clause */
/* The mutex. `data` and `count` are plain: only the mutex orders them. */
#include "../cases.h"
#include <fairlead/mutex.h>

/* At most one context holds it, and each holder sees what the previous one wrote. */
struct mutex_excl {
	fl_mutex m;
	int count;
};

FL_STRESS_ACTOR(mutex_excl, counter)
{
	FL_LOCKED(&s->m);
	s->count++;
}

FL_STRESS(mutex_excl, counter, counter)
{
	FL_FORBIDDEN(s->m.word_ & 1, "left locked");
	FL_ACCEPTABLE(s->count == 2, "both counted");
}

/*
 * No context sleeps for ever: one overtakes the waiter that is awake, which sleeps again, while a
 * third is enqueued behind it. Fails if WAITERS is lost, or if an unlock that finds it wakes no
 * waiter.
 */
struct mutex_handoff {
	fl_mutex m;
	int count;
};

FL_STRESS_ACTOR(mutex_handoff, twice)
{
	for (int i = 0; i < 2; i++) {
		FL_LOCKED(&s->m);
		s->count++;
	}
}

FL_STRESS_ACTOR(mutex_handoff, later)
{
	FL_LOCKED(&s->m);
	s->count++;
}

FL_STRESS(mutex_handoff, twice, later, later)
{
	FL_FORBIDDEN(fl_mutex_destroy(&s->m) != 0, "left locked, or awaited");
	FL_ACCEPTABLE(s->count == 4, "all counted");
}

/* A try fails or holds the mutex: then it sees all that was done before. */
struct trylock_vs_unlock {
	fl_mutex m;
	int data, seen, rc;
};

FL_STRESS_ACTOR(trylock_vs_unlock, holder)
{
	FL_LOCKED(&s->m);
	s->data = 1;
	s->data = 2;
}

FL_STRESS_ACTOR(trylock_vs_unlock, tryer)
{
	s->rc = fl_mutex_try_lock(&s->m);
	if (s->rc != 0)
		return;
	s->seen = s->data;
	fl_mutex_unlock(&s->m);
}

FL_STRESS(trylock_vs_unlock, holder, tryer)
{
	FL_FORBIDDEN(s->seen == 1, "saw half of it");
	FL_ACCEPTABLE(s->rc == -EBUSY, "busy");
	FL_ACCEPTABLE(s->rc == 0 && s->seen == 2, "after");
	FL_ACCEPTABLE(s->rc == 0 && s->seen == 0, "before");
}

/* A timed lock has exactly one result: it holds the mutex, or it does not. */
struct timedlock_vs_unlock {
	fl_mutex m;
	int count, rc;
};

FL_STRESS_ACTOR(timedlock_vs_unlock, holder)
{
	FL_LOCKED(&s->m);
	s->count++;
}

FL_STRESS_ACTOR(timedlock_vs_unlock, timed)
{
	s->rc = fl_mutex_lock_until(&s->m, soon(), NULL);
	if (s->rc != 0)
		return;
	s->count++;
	fl_mutex_unlock(&s->m);
}

FL_STRESS(timedlock_vs_unlock, holder, timed)
{
	FL_FORBIDDEN(fl_mutex_destroy(&s->m) != 0, "left locked, or awaited");
	FL_ACCEPTABLE(s->rc == 0 && s->count == 2, "locked");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->count == 1, "timed out");
}

/* A wake that meets a waiter that gives up reaches the next waiter. */
struct timeout_vs_wake {
	fl_mutex m;
	int count, rc;
};

FL_STRESS_ACTOR(timeout_vs_wake, patient)
{
	FL_LOCKED(&s->m);
	s->count++;
}

FL_STRESS_ACTOR(timeout_vs_wake, brief)
{
	s->rc = fl_mutex_lock_until(&s->m, soon(), NULL);
	if (s->rc == 0)
		fl_mutex_unlock(&s->m);
}

FL_STRESS(timeout_vs_wake, patient, brief, patient)
{
	FL_FORBIDDEN(s->count != 2, "a count was lost");
	FL_ACCEPTABLE(s->rc == 0, "the brief one had it");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "the brief one gave up");
}

/* A cancelled lock is not held; the holder is not disturbed. */
struct mutex_cancel_vs_unlock {
	fl_mutex m;
	fl_cancel_token stop;
	int count, rc, data;
};

FL_STRESS_ACTOR(mutex_cancel_vs_unlock, holder)
{
	FL_LOCKED(&s->m);
	s->count++;
	s->data = 1;
	fl_cancel_token_request(&s->stop);
}

FL_STRESS_ACTOR(mutex_cancel_vs_unlock, waiter)
{
	s->rc = fl_mutex_lock_until(&s->m, FL_FOREVER, &s->stop);
	if (s->rc != 0) {
		FL_STRESS_CHECK(s->data == 1); /* what came before the request */
		return;
	}
	s->count++;
	fl_mutex_unlock(&s->m);
}

FL_STRESS(mutex_cancel_vs_unlock, holder, waiter)
{
	FL_FORBIDDEN(fl_mutex_destroy(&s->m) != 0, "left locked, or awaited");
	FL_ACCEPTABLE(s->rc == 0 && s->count == 2, "locked");
	FL_ACCEPTABLE(s->rc == -ECANCELED && s->count == 1, "cancelled");
}

/*
 * destroy_after_unlock (glibc 13690): the last owner frees the mutex while the previous owner is
 * still leaving.
 */
struct unlock_destroy {
	struct object {
		fl_mutex m;
		int refs;
	} * object;
};

FL_STRESS_SETUP(unlock_destroy)
{
	s->object = make(sizeof *s->object);
	s->object->refs = 2;
}

static void let_go(struct object *object)
{
	fl_mutex_lock(&object->m);
	bool last = --object->refs == 0;
	fl_mutex_unlock(&object->m);
	if (!last)
		return;
	OK(fl_mutex_destroy(&object->m));
	free(object);
}

FL_STRESS_ACTOR(unlock_destroy, owner)
{
	let_go(s->object);
}

FL_STRESS(unlock_destroy, owner, owner)
{
	FL_ACCEPTABLE(1, "freed once");
}

/*
 * destroy_while_waiting: -EBUSY as long as a context holds it or waits for it, also while a woken
 * waiter has yet to lock it.
 */
struct destroy_while_waiting {
	fl_mutex m;
	atomic_int ended;
	int rc, count;
};

FL_STRESS_SETUP(destroy_while_waiting)
{
	fl_mutex_lock(&s->m);
}

FL_STRESS_ACTOR(destroy_while_waiting, holder)
{
	s->count++;
	FL_STRESS_CHECK(fl_mutex_destroy(&s->m) == -EBUSY);
	fl_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(destroy_while_waiting, waiter)
{
	fl_mutex_lock(&s->m);
	FL_STRESS_CHECK(fl_mutex_destroy(&s->m) == -EBUSY);
	s->count++;
	SET(&s->ended, 1);
	fl_mutex_unlock(&s->m);
}

FL_STRESS(destroy_while_waiting, holder, waiter)
{
	FL_FORBIDDEN(fl_mutex_destroy(&s->m) != 0, "still busy");
	FL_ACCEPTABLE(s->count == 2, "both held it");
}
