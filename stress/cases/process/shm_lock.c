/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of the robust lock, between processes of which one may be killed at any step. */
#include "process/shm/shm_lock.h"
#include "../cases.h"

/* The lock guards two numbers that are equal, except in the middle of a change. */
struct guarded {
	struct fl__shm_lock lock;
	int a, b;
	atomic_int told; /* how many deaths of owners were reported */
};

static void change(struct guarded *g)
{
	g->a++;
	g->b++;
}

static void repair(struct guarded *g)
{
	COUNT(&g->told);
	g->b = g->a;
}

static void release(struct fl__shm_lock *l)
{
	fl__shm_release(l, fl__shm_hold(l, 0), false);
}

static void taken(struct guarded *g, int rc)
{
	if (rc == -EOWNERDEAD)
		repair(g);
	else
		FL_STRESS_CHECK(rc == 0 && g->a == g->b);
	change(g);
	release(&g->lock);
}

static bool is_free(struct fl__shm_lock *l)
{
	return (*fl__shm_word(l) & FL__SHM_TID) == 0;
}

/*
 * There is exclusion and order, each death is reported once, and survivors get the lock. With three
 * processes, the third one may acquire the lock while the woken process, or the waking one, is
 * killed. Then the other sleepers need the bit.
 */
#define TAKERS(test, n, ...)                                                                                           \
	struct test {                                                                                                  \
		struct guarded g;                                                                                      \
	};                                                                                                             \
	FL_STRESS_ACTOR(test, taker)                                                                                   \
	{                                                                                                              \
		taken(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));                                              \
	}                                                                                                              \
	FL_STRESS_PROCESSES(test, __VA_ARGS__)                                                                         \
	{                                                                                                              \
		bool killed = fl_stress_killed("taker");                                                               \
		FL_FORBIDDEN(!is_free(&s->g.lock), "left locked");                                                     \
		FL_FORBIDDEN(LOOK(&s->g.told) > killed, "told of a death that was not");                               \
		FL_ACCEPTABLE(killed, "one was killed");                                                               \
		FL_ACCEPTABLE(s->g.a == (n) && s->g.b == (n), "all counted");                                          \
	}

TAKERS(shm_lock_excl, 2, taker, taker)
TAKERS(shm_lock_three, 3, taker, taker, taker)

/*
 * Two processes already sleep, and a third one steals the lock. This is the case in the head of
 * lock.c, without the steps that lead to it.
 */
struct shm_lock_steal {
	struct guarded g;
	atomic_int ready;
};

FL_STRESS_ACTOR(shm_lock_steal, owner)
{
	int rc = fl__shm_acquire(&s->g.lock, 0, FL_FOREVER);
	SET(&s->ready, 1);
	taken(&s->g, rc);
}

FL_STRESS_ACTOR(shm_lock_steal, sleep_then_take)
{
	if (LOOK(&s->ready) == 1)
		taken(&s->g, fl__shm_acquire(&s->g.lock, 0, FL_FOREVER));
}

FL_STRESS_ACTOR(shm_lock_steal, thief)
{
	const struct fl__robust_list *list = fl__shm_self()->list;
	int rc = fl__shm_try_acquire(&s->g.lock, 0);
	FL_STRESS_CHECK(!list || !list->pending);
	if (rc != -EAGAIN)
		taken(&s->g, rc);
}

FL_STRESS_PROCESSES(shm_lock_steal, owner, sleep_then_take, sleep_then_take, thief)
{
	FL_ACCEPTABLE(is_free(&s->g.lock), "free at the end");
}

/*
 * Two nested locks are released in either order. Whenever a process is killed, the list contains
 * exactly the locks that it holds.
 */
struct shm_lock_two {
	struct guarded outer, inner;
};

static void take_both(struct shm_lock_two *s, bool outer_first)
{
	int rc = fl__shm_acquire(&s->outer.lock, 0, FL_FOREVER);
	if (rc == -EOWNERDEAD)
		repair(&s->outer);
	change(&s->outer);
	rc = fl__shm_acquire(&s->inner.lock, 0, FL_FOREVER);
	if (rc == -EOWNERDEAD)
		repair(&s->inner);
	change(&s->inner);
	release(outer_first ? &s->outer.lock : &s->inner.lock);
	release(outer_first ? &s->inner.lock : &s->outer.lock);
}

FL_STRESS_ACTOR(shm_lock_two, one)
{
	take_both(s, true);
}

FL_STRESS_ACTOR(shm_lock_two, two)
{
	take_both(s, false);
}

FL_STRESS_PROCESSES(shm_lock_two, one, two)
{
	bool killed = fl_stress_killed("one") || fl_stress_killed("two");
	FL_FORBIDDEN(!is_free(&s->outer.lock) || !is_free(&s->inner.lock), "left locked");
	FL_FORBIDDEN(LOOK(&s->outer.told) > killed || LOOK(&s->inner.told) > killed, "told of a death that was not");
	FL_ACCEPTABLE(killed, "one was killed");
	FL_ACCEPTABLE(s->outer.a == 2 && s->inner.a == 2, "both counted");
}

/*
 * Four nested locks are released in any order. Whenever a process is killed, the list contains all
 * locks that it holds.
 */
struct shm_lock_any_order {
	struct fl__shm_lock locks[4];
};

FL_STRESS_ACTOR(shm_lock_any_order, one)
{
	enum { LOCKS = 4 };
	unsigned left[LOCKS];
	for (unsigned i = 0; i < LOCKS; i++) {
		OK(fl__shm_acquire(&s->locks[i], 0, FL_FOREVER));
		left[i] = i;
	}
	for (unsigned n = LOCKS; n > 0; n--) {
		const unsigned chosen = fl_stress_choose(n);
		release(&s->locks[left[chosen]]);
		for (unsigned i = chosen; i + 1 < n; i++)
			left[i] = left[i + 1];
	}
}

FL_STRESS_PROCESSES(shm_lock_any_order, one)
{
	for (unsigned i = 0; i < 4; i++)
		FL_FORBIDDEN(!is_free(&s->locks[i]), "left locked");
	FL_ACCEPTABLE(1, "free at the end");
}

/*
 * Two threads of one process each hold more locks than a record has space for. Each thread has its
 * own record, and gets more space.
 */
struct shm_lock_blocks {
	struct fl__shm_lock locks[2][FL__SHM_HOLDS + 1];
};

static void hold_many(struct shm_lock_blocks *s, int i)
{
	for (unsigned n = 0; n <= FL__SHM_HOLDS; n++)
		OK(fl__shm_acquire(&s->locks[i][n], 0, FL_FOREVER));
	for (unsigned n = 0; n <= FL__SHM_HOLDS; n++)
		release(&s->locks[i][n]);
}

TWO_ACTORS(shm_lock_blocks, hold_many)

FL_STRESS(shm_lock_blocks, one, two)
{
	for (unsigned n = 0; n <= FL__SHM_HOLDS; n++)
		FL_FORBIDDEN(!is_free(&s->locks[0][n]) || !is_free(&s->locks[1][n]), "left locked");
	FL_ACCEPTABLE(1, "free at the end");
}

/* Monitors are nested. Each of them is left, by the kernel if need be. */
struct shm_lock_monitors {
	struct fl__shm_lock outer, inner;
	int commits; /* guarded by both; a change is a single store */
};

FL_STRESS_ACTOR(shm_lock_monitors, enter_both)
{
	struct fl__shm_held outer, inner;
	FL_STRESS_CHECK(fl__shm_enter(&s->outer, &outer, FL_FOREVER) == 0);
	FL_STRESS_CHECK(fl__shm_enter(&s->inner, &inner, FL_FOREVER) == 0);
	s->commits++;
	fl__shm_leave(&s->inner, &inner);
	fl__shm_leave(&s->outer, &outer);
}

FL_STRESS_PROCESSES(shm_lock_monitors, enter_both, enter_both)
{
	FL_FORBIDDEN(!is_free(&s->outer) || !is_free(&s->inner), "left locked");
	FL_ACCEPTABLE(fl_stress_killed("enter_both"), "one was killed");
	FL_ACCEPTABLE(s->commits == 2, "both were inside");
}
