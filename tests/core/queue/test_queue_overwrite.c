/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue that overwrites: it keeps the last items, and drops the others, each once. */
#include "fl_blocked.h"

enum { MOST = 3 };

static int dropped[64], drops;

static void note(void *item, void *arg)
{
	dropped[drops++] = *(int *)item;
}

static fl_queue *last_of(fl_queue_order order, void (*drop)(void *, void *))
{
	drops = 0;
	return FL_TEST_QUEUE(int, .capacity = MOST, .order = order, .when_full = FL_OVERWRITE, .drop = drop);
}

static int never_called(const void *a, const void *b, void *compare_arg)
{
	return 0;
}

FL_TEST(overwrite_is_fifo_or_lifo)
{
	fl_queue *q = NULL;
	fl_queue_config config = {.order = FL_PRIORITY, .when_full = FL_OVERWRITE, .compare = never_called};
	FL_RC(fl_queue_create(&q, 4, &config), -EINVAL);
	config = (fl_queue_config){.when_full = (fl_queue_when_full)9};
	FL_RC(fl_queue_create(&q, 4, &config), -EINVAL);
	config = (fl_queue_config){.capacity = PTRDIFF_MAX / 8 + 1, .when_full = FL_OVERWRITE};
	FL_RC(fl_queue_create(&q, 8, &config), -EOVERFLOW);
	config = (fl_queue_config){.capacity = SIZE_MAX / 8, .when_full = FL_OVERWRITE};
	FL_RC(fl_queue_create(&q, 16, &config), -EOVERFLOW);
	assert_null(q);
}

FL_TEST(overwrite_keeps_the_last)
{
	FL_BOTH (drop) {
		FL_SCOPED(fl_queue) *q = last_of(FL_FIFO, drop ? note : NULL);
		assert_int_equal(fl_queue_capacity(q), MOST);
		for (int i = 1; i <= 8; i++) {
			if (i % 2)
				FL_OK(fl_queue_put(q, &i));
			else
				FL_OK(fl_queue_try_put(q, &i));
			assert_int_equal(fl_queue_length(q), i < MOST ? i : MOST);
		}
		GETS(q, 6);
		PUTS(q, 9);
		for (int i = 7; i <= 9; i++)
			GETS(q, i);
		FL_RC(fl_queue_try_get(q, &(int){0}), -EAGAIN);
		assert_int_equal(drops, drop ? 5 : 0);
		for (int i = 0; i < drops; i++)
			assert_int_equal(dropped[i], i + 1);
	}
}

FL_TEST(overwrite_lifo_drops_the_oldest_too)
{
	FL_SCOPED(fl_queue) *q = last_of(FL_LIFO, note);
	for (int i = 1; i <= 5; i++)
		FL_OK(fl_queue_put(q, &i));
	GETS(q, 5);
	GETS(q, 4);
	PUTS(q, 6);
	GETS(q, 6);
	GETS(q, 3);
	FL_RC(fl_queue_try_get(q, &(int){0}), -EAGAIN);
	assert_int_equal(drops, 2);
	assert_int_equal(dropped[0] * 10 + dropped[1], 12);
}

FL_TEST(overwrite_many_at_once)
{
	FL_SCOPED(fl_queue) *q = last_of(FL_FIFO, note);
	int items[] = {1, 2, 3, 4, 5, 6, 7}, got[8];
	FL_MANY(0, 7, fl_queue_try_put_many, q, items, 7); /* more than the capacity */
	FL_MANY(0, 2, fl_queue_put_many, q, items, 2);
	assert_int_equal(drops, 6);
	FL_MANY(0, MOST, fl_queue_try_get_many, q, got, 8);
	assert_int_equal(got[0] * 100 + got[1] * 10 + got[2], 712);
}

/* A dropped item counts as done; the others do not. */
FL_TEST(overwrite_drops_are_done)
{
	FL_SCOPED(fl_queue) *q = last_of(FL_FIFO, note);
	for (int i = 1; i <= 5; i++)
		FL_OK(fl_queue_put(q, &i));
	for (int i = 3; i <= 5; i++) {
		GETS(q, i);
		FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
		fl_queue_task_done(q);
	}
	FL_OK(fl_queue_join(q));
	FL_PANICS(fl_queue_task_done(q));
	for (int i = 1; i <= 5; i++)
		FL_OK(fl_queue_put(q, &i));
	assert_int_equal(fl_queue_close_now(q), MOST);
	assert_int_equal(drops, 2 + 2 + MOST);
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	FL_RC(fl_queue_put(q, &(int){1}), -EPIPE);
	assert_int_equal(drops, 2 + 2 + MOST);
}

static fl_queue *around;

static void put_again(void *item, void *arg)
{
	note(item, arg);
	if (*(int *)item < 10)
		FL_OK(fl_queue_put(around, &(int){*(int *)item + 10}));
}

FL_TEST(overwrite_drop_may_use_the_queue)
{
	around = last_of(FL_FIFO, put_again);
	for (int i = 1; i <= 4; i++)
		FL_OK(fl_queue_put(around, &i)); /* a dropped item is put again, plus 10 */
	for (int i = 12; i <= 14; i++)
		GETS(around, i);
	assert_int_equal(drops, 5);
	fl_queue_free(around);
}

FL_TEST(overwrite_of_large_items_needs_memory)
{
	struct {
		int first;
		char rest[300];
	} item = {.first = 1}, got;
	drops = 0;
	FL_SCOPED(fl_queue) *q =
	    FL_TEST_QUEUE_OF(sizeof item, &(fl_queue_config){.capacity = 1, .when_full = FL_OVERWRITE, .drop = note});
	FL_OK(fl_queue_put(q, &item));
	item.first = 2;
	const long before = seam_live_allocs();
	seam_fail_allocs(0, 1);
	FL_RC(fl_queue_put(q, &item), -ENOMEM);
	(void)seam_heal();
	assert_int_equal(drops, 0);
	FL_OK(fl_queue_put(q, &item));
	assert_int_equal(seam_live_allocs(), before);
	assert_int_equal(drops, 1);
	assert_int_equal(dropped[0], 1);
	FL_OK(fl_queue_get(q, &got));
	assert_int_equal(got.first, 2);
}

static void close_around(void *item, void *arg)
{
	fl_queue_close(around);
}

/* A queue that is never full returned -EAGAIN, as if it lacked space for the rest. */
FL_TEST(overwrite_many_says_why_the_rest_is_missing)
{
	const struct {
		char bytes[300];
	} items[3] = {{{1}}, {{2}}, {{3}}};
	around = last_of(FL_FIFO, close_around);
	FL_MANY(-EPIPE, MOST + 1, fl_queue_try_put_many, around, (int[MOST + 2]){0}, MOST + 2);
	fl_queue_free(around);
	around = FL_TEST_QUEUE_OF(sizeof items[0], &(fl_queue_config){.capacity = 2, .when_full = FL_OVERWRITE});
	seam_fail_allocs(0, 1);
	FL_MANY(-ENOMEM, 2, fl_queue_try_put_many, around, items, 3);
	(void)seam_heal();
	fl_queue_free(around);
}

FL_TEST(overwrite_wakes_a_waiter_for_an_item)
{
	FL_SCOPED(fl_queue) *q = last_of(FL_FIFO, note);
	struct blocked get;
	blocked_on(q, op_get, &get);
	FL_OK(fl_queue_try_put(q, &(int){5}));
	FL_OK(blocked_end(&get));
	assert_int_equal(get.items[0], 5);
	blocked_begin(&get);
	FL_OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(q)));
	fl_queue_close(q);
	FL_RC(blocked_end(&get), -EPIPE);
	FL_OK(FL_WAIT_ANY(FL_ON_QUEUE_SPACE(q)));
}

FL_TEST(overwrite_free_drops_what_is_left)
{
	fl_queue *q = last_of(FL_LIFO, note);
	for (int i = 1; i <= 5; i++)
		FL_OK(fl_queue_put(q, &i));
	fl_queue_free(q);
	assert_int_equal(drops, 5);
	assert_int_equal(dropped[2] * 100 + dropped[3] * 10 + dropped[4], 543);
}
