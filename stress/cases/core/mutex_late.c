/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of an unlock that has released the mutex, but has not checked for waiters yet. By then
 * the mutex may be gone, and its memory may be another object, with a wait queue of its own.
 */
#include "../cases.h"

/*
 * Waits a moment for a mutex that another context holds. Returns whether it was unlocked, so that
 * it may be destroyed.
 */
static bool outlast(fl_mutex *m)
{
	if (fl_mutex_lock_until(m, soon(), NULL) == 0)
		fl_mutex_unlock(m);
	return !fl__mutex_is_busy(m);
}

/* The mutex is freed. */
struct mutex_free_under_look {
	fl_mutex *m;
	bool freed;
};

FL_STRESS_SETUP(mutex_free_under_look)
{
	s->m = make(sizeof *s->m);
	fl_mutex_lock(s->m);
}

FL_STRESS_ACTOR(mutex_free_under_look, holder)
{
	fl_mutex_unlock(s->m);
}

FL_STRESS_ACTOR(mutex_free_under_look, waiter)
{
	s->freed = outlast(s->m);
	if (s->freed)
		free(s->m);
}

FL_STRESS(mutex_free_under_look, holder, waiter)
{
	if (!s->freed) {
		FL_STRESS_CHECK(!fl__mutex_is_busy(s->m));
		free(s->m);
	}
	FL_ACCEPTABLE(s->freed, "freed by the waiter");
	FL_ACCEPTABLE(!s->freed, "too early");
}

/*
 * The deadline of the waiter has passed when the unlock checks, and so the unlock skips this
 * waiter. From then on destroy() sees no waiter, and the mutex is freed while that waiter is still
 * leaving.
 */
struct mutex_free_over_timeout {
	fl_mutex *m;
	int rc;
	bool freed;
};

FL_STRESS_SETUP(mutex_free_over_timeout)
{
	s->m = make(sizeof *s->m);
	fl_mutex_lock(s->m);
}

FL_STRESS_ACTOR(mutex_free_over_timeout, holder)
{
	/* Otherwise the waiter may yet come. */
	const bool is_awaited = fl__lot_has_waiters_at(s->m);
	fl_mutex_unlock(s->m);
	s->freed = is_awaited && !fl__mutex_is_busy(s->m);
	if (s->freed)
		free(s->m);
}

FL_STRESS_ACTOR(mutex_free_over_timeout, waiter)
{
	s->rc = fl_mutex_lock_until(s->m, soon(), NULL);
	if (s->rc == 0)
		fl_mutex_unlock(s->m);
}

FL_STRESS(mutex_free_over_timeout, holder, waiter)
{
	const bool marked = !s->freed && s->m->word_ != 0;
	if (!s->freed)
		free(s->m);
	FL_FORBIDDEN(marked, "a mark is left");
	FL_ACCEPTABLE(s->freed, "freed by the holder");
	FL_ACCEPTABLE(!s->freed, "too early");
}

/*
 * A waiter is enqueued after the mutex was freed. A late check leaves it alone, whatever it waits
 * for: another mutex, as a waiter of a condition does, or an object of another kind in this memory.
 */
struct stray_look_at_others {
	fl_mutex m, other;
	bool was_used;
};

enum { WAITERS = 2 };

/* The mutex has a stale mark of waiters. */
FL_STRESS_SETUP(stray_look_at_others)
{
	fl_mutex_lock(&s->m);
	s->m.word_ |= WAITERS;
}

FL_STRESS_ACTOR(stray_look_at_others, holder)
{
	fl_mutex_unlock(&s->m);
}

static void never_unparked(struct fl__wait *wait)
{
}

FL_STRESS_ACTOR(stray_look_at_others, user)
{
	const struct fl__ctx_ops ops = {.unpark = never_unparked};
	struct fl__ctx ctx = {.ops = &ops};
	struct fl__wait wait = {.ctx = &ctx};
	struct fl__mutex_node place = FL__MUTEX_NODE(&s->other, &wait);
	struct fl__lot lot;
	if (fl_stress_choose(2)) {
		place.node.wants_mutex = false;
		place.mutex = &s->m;
	}
	s->was_used = !fl__mutex_is_busy(&s->m);
	if (!s->was_used)
		return;
	fl__lot_open(&lot, &s->m);
	fl__lot_add(&lot, &place.node);
	fl__lot_close(&lot);
	fl__lot_open(&lot, &s->m);
	FL_STRESS_CHECK(place.node.queued && wait.decision == FL__PENDING);
	fl__lot_remove(&lot, &place.node);
	fl__lot_close(&lot);
}

FL_STRESS(stray_look_at_others, holder, user)
{
	FL_ACCEPTABLE(s->was_used, "used anew");
	FL_ACCEPTABLE(!s->was_used, "too early");
}
