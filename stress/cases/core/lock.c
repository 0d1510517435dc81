/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of the lock under the parking lot: exclusion, order, and waiters that sleep. */
#include "core/wait/lock.h"
#include "../cases.h"

static void add_one(uint32_t *lock, int *count)
{
	fl__lock(lock);
	(*count)++;
	fl__unlock(lock);
}

/*
 * There is contention. A sleeper is woken, even if a third thread comes between, and SLEEPERS is
 * not lost when the thread that has set it leaves.
 */
struct lock_contended {
	uint32_t lock;
	int count;
};

FL_STRESS_ACTOR(lock_contended, one)
{
	add_one(&s->lock, &s->count);
	add_one(&s->lock, &s->count);
}

FL_STRESS_ACTOR(lock_contended, adder)
{
	add_one(&s->lock, &s->count);
}

FL_STRESS(lock_contended, one, adder, adder)
{
	FL_ACCEPTABLE(s->lock == 0 && s->count == 4, "all counted");
}

/*
 * The owner of the lock does deferred work, even while others sleep. The work is done in the end,
 * and sees what came before.
 */
struct lock_deferred {
	uint32_t lock;
	int data, served;
};

static void serve(struct lock_deferred *s)
{
	FL_STRESS_CHECK(s->data == 1);
	s->served++;
}

static void unlock_serving(struct lock_deferred *s)
{
	while (fl__unlock(&s->lock) && fl__lock_or_defer(&s->lock))
		serve(s);
}

FL_STRESS_ACTOR(lock_deferred, hold)
{
	fl__lock(&s->lock);
	unlock_serving(s);
}

FL_STRESS_ACTOR(lock_deferred, handler)
{
	s->data = 1;
	if (fl__lock_or_defer(&s->lock)) {
		serve(s);
		unlock_serving(s);
	}
}

FL_STRESS(lock_deferred, handler, hold, hold)
{
	FL_ACCEPTABLE(s->lock == 0 && s->served == 1, "served");
}
