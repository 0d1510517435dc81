/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of the mutex. `data` and `count` are plain, so that only the mutex orders them. */
#include "../cases.h"
#include <fairlead/mutex.h>
#include <fairlead/rmutex.h>

/*
 * At most one context holds the mutex, and each holder sees what the previous one wrote. No context
 * sleeps forever, even if one overtakes the waiter that is awake, so that this waiter sleeps again,
 * while a third context is enqueued behind it. The scenario fails if WAITERS is lost, or if an
 * unlock that finds WAITERS wakes no waiter.
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
	FL_FORBIDDEN(fl__mutex_is_busy(&s->m), "left locked, or awaited");
	FL_ACCEPTABLE(s->count == 4, "all counted");
}

/*
 * A try, a timed lock, and a lock that is cancelled each have exactly one result: either the
 * context holds the mutex, and sees all that was done before, or it does not hold the mutex.
 */
enum { BY_TRY, BY_TIME, BY_CANCEL, LOCKS_OR_NOT };

struct lock_or_not_vs_unlock {
	fl_mutex m;
	fl_cancel_token stop;
	unsigned by;
	int count, rc, data;
};

FL_STRESS_SETUP(lock_or_not_vs_unlock)
{
	s->by = fl_stress_choose(LOCKS_OR_NOT);
}

FL_STRESS_ACTOR(lock_or_not_vs_unlock, holder)
{
	FL_LOCKED(&s->m);
	s->count++;
	s->data = 1;
	if (s->by == BY_CANCEL)
		fl_cancel_token_request(&s->stop);
}

static int lock_or_not(struct lock_or_not_vs_unlock *s)
{
	if (s->by == BY_TRY)
		return fl_mutex_try_lock(&s->m);
	return s->by == BY_TIME ? fl_mutex_lock_until(&s->m, soon(), NULL)
	                        : fl_mutex_lock_until(&s->m, FL_FOREVER, &s->stop);
}

FL_STRESS_ACTOR(lock_or_not_vs_unlock, other)
{
	s->rc = lock_or_not(s);
	if (s->rc != 0) {
		/* It also sees what came before the request. */
		FL_STRESS_CHECK(s->rc != -ECANCELED || s->data == 1);
		return;
	}
	s->count++;
	fl_mutex_unlock(&s->m);
}

FL_STRESS(lock_or_not_vs_unlock, holder, other)
{
	static const int refusals[] = {[BY_TRY] = -EAGAIN, [BY_TIME] = -ETIMEDOUT, [BY_CANCEL] = -ECANCELED};
	FL_FORBIDDEN(fl__mutex_is_busy(&s->m), "left locked, or awaited");
	FL_ACCEPTABLE(s->rc == 0 && s->count == 2, "locked");
	FL_ACCEPTABLE(s->rc == refusals[s->by] && s->count == 1, "busy, timed out or cancelled");
}

/* If a wake meets a waiter that gives up, the wake reaches the next waiter. */
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

/*
 * destroy_after_unlock (glibc 13690): the last owner frees the mutex, or the recursive mutex, while
 * the previous owner is still leaving.
 */
struct unlock_destroy {
	struct object {
		fl_mutex m;
		fl_rmutex r;
		int refs;
	} * object;
	bool recursive;
};

FL_STRESS_SETUP(unlock_destroy)
{
	s->object = make(sizeof *s->object);
	s->object->refs = 2;
	s->recursive = fl_stress_choose(2);
}

static bool let_go(struct object *object)
{
	FL_LOCKED(&object->m);
	return --object->refs == 0;
}

static bool let_go_recursive(struct object *object)
{
	FL_RMUTEX_LOCKED(&object->r);
	return --object->refs == 0;
}

FL_STRESS_ACTOR(unlock_destroy, owner)
{
	struct object *object = s->object;
	const bool recursive = s->recursive;
	if (!(recursive ? let_go_recursive(object) : let_go(object)))
		return;
	FL_STRESS_CHECK(!(recursive ? fl__mutex_is_busy(&object->r.mutex_) : fl__mutex_is_busy(&object->m)));
	free(object);
}

FL_STRESS(unlock_destroy, owner, owner)
{
	FL_ACCEPTABLE(1, "freed once");
}

/*
 * destroy_while_waiting: a destroy checks whether the mutex is busy while debugging is on. The
 * mutex is busy as long as a context holds it or waits for it, even while a woken waiter has not
 * locked it yet.
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
	FL_STRESS_CHECK(fl__mutex_is_busy(&s->m));
	fl_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(destroy_while_waiting, waiter)
{
	fl_mutex_lock(&s->m);
	FL_STRESS_CHECK(fl__mutex_is_busy(&s->m));
	s->count++;
	SET(&s->ended, 1);
	fl_mutex_unlock(&s->m);
}

FL_STRESS(destroy_while_waiting, holder, waiter)
{
	FL_FORBIDDEN(fl__mutex_is_busy(&s->m), "still busy");
	FL_ACCEPTABLE(s->count == 2, "both held it");
}
