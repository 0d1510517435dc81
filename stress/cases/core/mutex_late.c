/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unlock that has freed the mutex and has yet to check for waiters: by then the mutex may be
 * gone, and its memory be another object, with a wait queue of its own.
 */
#include "../cases.h"
#include "core/sync/mutex.h"
#include <fairlead/cond.h>
#include <fairlead/sem.h>

/*
 * Waits a moment for the foreign mutex: returns whether it was unlocked, so that it may be
 * destroyed.
 */
static bool outlast(fl_mutex *m)
{
	if (fl_mutex_lock_until(m, soon(), NULL) == 0)
		fl_mutex_unlock(m);
	return fl_mutex_destroy(m) == 0;
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
		OK(fl_mutex_destroy(s->m));
		free(s->m);
	}
	FL_ACCEPTABLE(s->freed, "freed by the waiter");
	FL_ACCEPTABLE(!s->freed, "too early");
}

/*
 * The waiter's deadline has passed when the unlock checks, and skips it: from then on destroy()
 * sees no waiter, and the mutex is freed while that waiter is still leaving.
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
	const bool is_awaited = fl__lot_has_waiters_at(s->m); /* otherwise the waiter may yet come */
	fl_mutex_unlock(s->m);
	s->freed = is_awaited && fl_mutex_destroy(s->m) == 0;
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
 * stray_look_reused_memory, a relative of stray_wake_reused_memory (glibc futex-internal.h): the
 * memory is another primitive with a waiter when the check comes. A waiter for a signal or a permit
 * is not woken by it; a waiter for another mutex may be, and is unharmed.
 */
enum { NOT_YET, A_COND, A_SEM, A_MUTEX, USES };
struct stray_look_reused_memory {
	union {
		fl_mutex m;
		fl_cond c;
		fl_sem sem;
	} memory;
	fl_mutex other;
	unsigned use; /* like all below, guarded by `other` */
	bool given, was_used;
	int count;
};

FL_STRESS_SETUP(stray_look_reused_memory)
{
	fl_mutex_lock(&s->memory.m);
}

FL_STRESS_ACTOR(stray_look_reused_memory, holder)
{
	fl_mutex_unlock(&s->memory.m);
}

static bool begin_use(struct stray_look_reused_memory *s, unsigned use)
{
	FL_LOCKED(&s->other);
	if (s->given)
		return false;
	s->use = use;
	s->was_used = true;
	if (use == A_SEM)
		OK(fl_sem_init(&s->memory.sem, 0));
	else if (use == A_MUTEX)
		fl_mutex_lock(&s->memory.m);
	return true;
}

static void wait_for_signal(struct stray_look_reused_memory *s)
{
	FL_LOCKED(&s->other);
	if (s->given)
		return;
	s->use = A_COND;
	s->was_used = true;
	fl_cond_init(&s->memory.c);
	OK(fl_cond_wait(&s->memory.c, &s->other));
	FL_STRESS_CHECK(s->given);
}

static void wait_for_permit(struct stray_look_reused_memory *s)
{
	if (!begin_use(s, A_SEM))
		return;
	OK(fl_sem_acquire(&s->memory.sem));
	FL_LOCKED(&s->other);
	FL_STRESS_CHECK(s->given);
}

/* The new mutex is held while the other context is in its queue. */
static void hold_anew(struct stray_look_reused_memory *s)
{
	if (!begin_use(s, A_MUTEX))
		return;
	s->count++;
	fl_mutex_unlock(&s->memory.m);
}

FL_STRESS_ACTOR(stray_look_reused_memory, waiter)
{
	static void (*const uses[])(struct stray_look_reused_memory *) = {wait_for_signal, wait_for_permit, hold_anew};
	if (outlast(&s->memory.m))
		uses[fl_stress_choose(USES - 1)](s);
}

FL_STRESS_ACTOR(stray_look_reused_memory, giver)
{
	unsigned use;
	{
		FL_LOCKED(&s->other);
		s->given = true;
		use = s->use;
		if (use == A_COND)
			fl_cond_signal(&s->memory.c);
	}
	if (use == A_SEM) {
		fl_sem_release(&s->memory.sem);
	} else if (use == A_MUTEX) {
		FL_LOCKED(&s->memory.m);
		s->count++;
	}
}

FL_STRESS(stray_look_reused_memory, holder, waiter, giver)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->memory) || fl_mutex_destroy(&s->other) != 0, "a waiter is left");
	FL_FORBIDDEN(s->use == A_MUTEX && (s->count != 2 || s->memory.m.word_ != 0),
	             "the new mutex is not as it should be");
	FL_ACCEPTABLE(s->was_used, "used anew");
	FL_ACCEPTABLE(!s->was_used, "too early");
}

/*
 * The same, seen from the queue: the check leaves alone a waiter that is enqueued after the mutex
 * was freed, whatever it waits for: another mutex, as a condition's waiter does, or an object of
 * another kind with such memory.
 */
struct stray_look_at_others {
	fl_mutex m, other;
	bool was_used;
};

enum { WAITERS = 2 };

/* Marked as in a forked child of a parent with waiters. */
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
	(void)wait;
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
	s->was_used = fl_mutex_destroy(&s->m) == 0;
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
