/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The number of a new worker: the file under test is part of this program, and the steps of its
 * walks through the workers are counted.
 */
#include "core/base/list.h"

static unsigned long steps;

#undef FL__EACH
/* NOLINTNEXTLINE(bugprone-macro-parentheses): the name of a variable */
#define FL__EACH(type, member, first) for (type *member = (first); member; steps++, member = member->next)
#include "process/pool/workers.c" /* NOLINT(bugprone-suspicious-include) */

#include "fl_test.h"

enum { WORKERS = 100 };
static struct fl__process_pool pool;
static struct fl__process_pool_worker workers[WORKERS];

/* It walked again from the first worker for each number in use. */
FL_TEST(process_pool_finds_a_free_number_in_one_walk)
{
	assert_int_equal(process_pool_free_number(&pool), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i].number = i;
		FL__QUEUE_ADD(pool.workers, pool.newest, &workers[i]);
	}
	steps = 0;
	assert_int_equal(process_pool_free_number(&pool), WORKERS);
	assert_int_equal(steps, WORKERS);
	FL__QUEUE_REMOVE(pool.workers, pool.newest, &workers[70]);
	FL__QUEUE_REMOVE(pool.workers, pool.newest, &workers[7]);
	assert_int_equal(process_pool_free_number(&pool), 7);
	workers[WORKERS - 1].number = 7;
	assert_int_equal(process_pool_free_number(&pool), 70);
}

/* Workers that end may be so many that the others have numbers above those of a full pool. */
FL_TEST(process_pool_numbers_beyond_a_full_pool)
{
	static struct fl__process_pool_worker more[FL_WORKERS_MAX + 2];
	pool.workers = pool.newest = NULL;
	for (unsigned i = 0; i < FL_WORKERS_MAX + 2; i++) {
		more[i].number = process_pool_free_number(&pool);
		assert_int_equal(more[i].number, FL__MIN(i, FL_WORKERS_MAX));
		FL__QUEUE_ADD_FIRST(pool.workers, pool.newest, &more[i]);
	}
	FL__QUEUE_REMOVE(pool.workers, pool.newest, &more[64]);
	assert_int_equal(process_pool_free_number(&pool), 64);
}
