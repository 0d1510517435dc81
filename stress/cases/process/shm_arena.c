/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of the arena. Runs never overlap. A run that was returned can be taken again, and
 * carries what was written to it. A kill anywhere leaves a map that covers all units.
 *
 * The contents of the units, `owned`, are plain, so the model sees two owners at once, and a reuse
 * without order, as a race. `owned` is set after a take, and cleared before a give. So units that
 * are owned are in use. The units of a killed owner stay in use.
 */
#include "process/shm/shm_arena.h"
#include "../cases.h"

enum { UNITS = 6 };

struct heap {
	struct fl__shm_arena_head head;
	uint32_t map[UNITS];
	int owned[UNITS];
};

static struct fl__shm_arena open_heap(struct heap *h)
{
	struct fl__shm_arena a = {&h->head, h->map, UNITS};
	return a;
}

static void make_heap(struct heap *h)
{
	struct fl__shm_arena a = open_heap(h);
	fl__shm_arena_init(&a);
}

/* Takes a run and marks it as owned. Returns UINT32_MAX if there was none. */
static uint32_t take(struct heap *h, uint32_t n)
{
	struct fl__shm_arena a = open_heap(h);
	uint32_t first = UINT32_MAX;
	int rc = fl__shm_arena_alloc(&a, n, FL_FOREVER, &first);
	FL_STRESS_CHECK(rc == 0 || rc == -ENOMEM);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		FL_STRESS_CHECK(first + i < UNITS && !h->owned[first + i]);
		h->owned[first + i] = 1;
	}
	return first;
}

static void give(struct heap *h, uint32_t first, uint32_t n)
{
	struct fl__shm_arena a = open_heap(h);
	if (first == UINT32_MAX)
		return;
	for (uint32_t i = 0; i < n; i++)
		h->owned[first + i] = 0;
	OK(fl__shm_arena_free(&a, first));
}

/*
 * Returns the number of units in use, or -1 if the map is damaged or shows an owned unit as free.
 */
static int used(struct heap *h)
{
	int n = 0;
	for (uint32_t i = 0, run; i < UNITS; i += run) {
		run = h->map[i] & ~FL__SHM_ARENA_USED;
		if (run == 0 || run > UNITS - i)
			return -1;
		for (uint32_t u = i; u < i + run; u++)
			if (h->owned[u] && !(h->map[i] & FL__SHM_ARENA_USED))
				return -1;
		n += h->map[i] & FL__SHM_ARENA_USED ? (int)run : 0;
	}
	return n;
}

static int owned(const struct heap *h)
{
	int n = 0;
	for (int i = 0; i < UNITS; i++)
		n += h->owned[i];
	return n;
}

/*
 * Returns whether a take, after all others, gets the largest run of free units in one piece, and so
 * the lock. used() has accepted the map before.
 */
static bool is_whole(struct heap *h)
{
	struct fl__shm_arena a = open_heap(h);
	uint32_t first, longest = 0, before = 0; /* numbers of free units */
	for (uint32_t i = 0; i < UNITS; i += h->map[i] & ~FL__SHM_ARENA_USED) {
		before = h->map[i] & FL__SHM_ARENA_USED ? 0 : before + h->map[i];
		longest = FL__MAX(longest, before);
	}
	return longest == 0 || fl__shm_arena_alloc(&a, longest, FL_FOREVER, &first) == 0;
}

/*
 * Two contexts take and give runs, and a third one takes a run. Two of the runs fit at a time, or
 * all three.
 */
struct shm_arena_churn {
	struct heap heap;
};

FL_STRESS_SETUP(shm_arena_churn)
{
	make_heap(&s->heap);
}

FL_STRESS_ACTOR(shm_arena_churn, one)
{
	give(&s->heap, take(&s->heap, 3), 3);
}

FL_STRESS_ACTOR(shm_arena_churn, two)
{
	give(&s->heap, take(&s->heap, 2), 2);
	give(&s->heap, take(&s->heap, 4), 4);
}

FL_STRESS_ACTOR(shm_arena_churn, three)
{
	(void)take(&s->heap, 1);
}

FL_STRESS_PROCESSES(shm_arena_churn, one, two, three)
{
	int u = used(&s->heap), o = owned(&s->heap);
	bool one = fl_stress_killed("one"), two = fl_stress_killed("two"), three = fl_stress_killed("three");
	FL_FORBIDDEN(u < 0 || u < o || !is_whole(&s->heap), "the map is damaged");
	FL_ACCEPTABLE(!one && !two && !three && u == 1 && o == 1, "all given back");
	FL_ACCEPTABLE(one && (u == 1 || u == 1 + 3), "one died, with or without its run");
	FL_ACCEPTABLE(two && (u == 1 || u == 1 + 2 || u == 1 + 4), "two died, with or without its run");
	FL_ACCEPTABLE(three && (u == 0 || u == 1), "three died, with or without its run");
}
