/* SPDX-License-Identifier: BSD-2-Clause */
/* The lock under the lot: exclusion, order, sleeping waiters, and the end of its memory. */
#include "core/wait/lock.h"
#include "../cases.h"

/* Mutual exclusion, and each owner sees what the previous one wrote. */
struct lock_excl {
	uint32_t lock;
	int count;
};

static void add_one(uint32_t *lock, int *count)
{
	fl__lock(lock);
	(*count)++;
	fl__unlock(lock);
}

FL_STRESS_ACTOR(lock_excl, one)
{
	add_one(&s->lock, &s->count);
}

FL_STRESS_ACTOR(lock_excl, two)
{
	add_one(&s->lock, &s->count);
}

FL_STRESS(lock_excl, one, two)
{
	FL_FORBIDDEN(s->lock != 0, "left locked");
	FL_ACCEPTABLE(s->count == 2, "both counted");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * Contention: a sleeper is woken, also if a third thread comes between; SLEEPERS is not lost when
 * its setter leaves.
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

FL_STRESS_ACTOR(lock_contended, two)
{
	add_one(&s->lock, &s->count);
}

FL_STRESS_ACTOR(lock_contended, three)
{
	add_one(&s->lock, &s->count);
}

FL_STRESS(lock_contended, one, two, three)
{
	FL_ACCEPTABLE(s->lock == 0 && s->count == 4, "all counted");
	FL_FORBIDDEN(1, "a count was lost, or it was left locked");
}

/*
 * The owner of the lock does deferred work, also while others sleep: in the end, and with what came
 * before.
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

static void hold(struct lock_deferred *s)
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

FL_STRESS_ACTOR(lock_deferred, one)
{
	hold(s);
}

FL_STRESS_ACTOR(lock_deferred, two)
{
	hold(s);
}

FL_STRESS(lock_deferred, handler, one, two)
{
	FL_ACCEPTABLE(s->lock == 0 && s->served == 1, "served");
	FL_FORBIDDEN(1, "not served, or it was left locked");
}

/* The swap of an unlock is its last access: the next owner may free the lock. */
struct lock_free_after_unlock {
	struct locked {
		uint32_t lock;
		int refs;
	} * object;
};

static void drop(struct locked *object)
{
	fl__lock(&object->lock);
	bool last = --object->refs == 0;
	fl__unlock(&object->lock);
	if (last)
		free(object);
}

FL_STRESS_SETUP(lock_free_after_unlock)
{
	s->object = make(sizeof *s->object);
	s->object->refs = 2;
}

FL_STRESS_ACTOR(lock_free_after_unlock, one)
{
	drop(s->object);
}

FL_STRESS_ACTOR(lock_free_after_unlock, two)
{
	drop(s->object);
}

FL_STRESS(lock_free_after_unlock, one, two)
{
	FL_ACCEPTABLE(1, "freed once");
}
