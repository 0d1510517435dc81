/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_test.h"

#include "fiber/timer_heap.h"

enum { TIMERS = 300 };

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Adds and removes at random; the first one is always a least one of those that are in. */
static void check_against_list(uint32_t seed, uint32_t range)
{
	struct fl__timers timers = {NULL, 0};
	static struct fl__timer all[TIMERS];
	bool in[TIMERS] = {false};
	memset(all, 0, sizeof all);
	for (int step = 0; step < 5000; step++) {
		uint32_t i = random_next(&seed) % TIMERS;
		if (in[i]) {
			fl__timers_remove(&timers, &all[i]);
			assert_null(all[i].back);
			fl__timers_remove(&timers, &all[i]); /* once more does nothing */
		} else {
			fl__timers_add(&timers, &all[i], (int64_t)(random_next(&seed) % range));
		}
		in[i] = !in[i];
		int64_t least = INT64_MAX;
		for (int j = 0; j < TIMERS; j++)
			if (in[j] && all[j].deadline < least)
				least = all[j].deadline;
		assert_int_equal(timers.first ? timers.first->deadline : INT64_MAX, least);
	}
	int64_t last = INT64_MIN;
	while (timers.first) {
		struct fl__timer *first = timers.first;
		assert_true(first->deadline >= last);
		last = first->deadline;
		in[first - all] = false;
		fl__timers_remove(&timers, first);
	}
	for (int j = 0; j < TIMERS; j++)
		assert_false(in[j]);
}

FL_TEST(timers_keep_the_least_first)
{
	for (uint32_t seed = 1; seed < 10; seed++) {
		check_against_list(seed, 5);
		check_against_list(seed * 77, 1000000);
	}
}

FL_TEST(timers_in_order)
{
	struct fl__timers timers = {NULL, 0};
	struct fl__timer up[100] = {{0}}, down[100] = {{0}};
	for (int i = 0; i < 100; i++) {
		fl__timers_add(&timers, &up[i], 2 * i);
		fl__timers_add(&timers, &down[i], 2 * (99 - i) + 1);
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(timers.first->deadline, i);
		fl__timers_remove(&timers, timers.first);
	}
	assert_null(timers.first);
}

/*
 * Entries with the same deadline leave in the order in which they were last added, whatever leaves
 * between.
 */
FL_TEST(timers_with_equal_deadlines_in_order)
{
	enum { DEADLINES = 5 };
	struct fl__timers timers = {NULL, 0};
	static struct fl__timer all[TIMERS];
	uint32_t seed = 12345, added[TIMERS], additions = 0;
	memset(all, 0, sizeof all);
	for (uint32_t i = 0; i < TIMERS; i++, added[i - 1] = additions++)
		fl__timers_add(&timers, &all[i], i % DEADLINES);
	for (int step = 0; step < 1000; step++) {
		const uint32_t i = random_next(&seed) % TIMERS;
		fl__timers_remove(&timers, &all[i]);
		fl__timers_add(&timers, &all[i], i % DEADLINES);
		added[i] = additions++;
	}
	int64_t last_deadline = -1;
	uint32_t last_added = 0;
	for (int n = 0; n < TIMERS; n++) {
		struct fl__timer *first = timers.first;
		assert_non_null(first);
		assert_true(first->deadline > last_deadline ||
		            (first->deadline == last_deadline && added[first - all] > last_added));
		last_deadline = first->deadline;
		last_added = added[first - all];
		fl__timers_remove(&timers, first);
	}
	assert_null(timers.first);
}
