/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a queue: close, close at once, free, and what the drop callback sees. */
#include "fl_queue_kinds.h"

#include "fl_blocked.h"

enum { DROPS_MOST = 64 };

/* What a drop callback was given. */
struct drops {
	fl_queue *q;
	int items[DROPS_MOST], n;
	uint64_t thread;
	bool closed, locked;
};

static void note_drop(void *item, void *arg)
{
	struct drops *d = arg;
	assert_true(d->n < DROPS_MOST);
	d->items[d->n++] = *(int *)item;
	d->thread = fl_thread_current_id();
	if (!d->q)
		return;
	/* No lock is held: these return. */
	d->closed = fl_queue_is_closed(d->q);
	FL_RC(fl_queue_try_put(d->q, &(int){0}), -EPIPE);
	FL_RC(fl_queue_try_get(d->q, &(int){0}), -EPIPE);
	d->locked = fl_queue_length(d->q) != 0;
}

/* `n` items, which count up from `first`. */
static void has_dropped(const struct drops *d, int n, int first)
{
	assert_int_equal(d->n, n);
	for (int i = 0; i < n; i++)
		assert_int_equal(d->items[i], first + i);
}

static fl_queue *queue_that_notes(struct drops *d, size_t capacity, int in)
{
	const fl_queue_config config = {.capacity = capacity, .drop = note_drop, .drop_arg = d};
	fl_queue *q = FL_TEST_QUEUE_OF(sizeof(int), &config);
	for (int i = 1; i <= in; i++)
		FL_OK(fl_queue_try_put(q, &i));
	return q;
}

QUEUE_TEST_ON(queue_close_of_a_full_one_says_closed_and_not_full, 1, 1)
{
	fl_queue_close(q);
	FL_RC(fl_queue_try_put(q, &(int){9}), -EPIPE);
	FL_RC(fl_queue_put_until(q, &(int){9}, FL_NO_WAIT, NULL), -EPIPE);
	GETS(q, 1);
}

QUEUE_TEST(queue_close_calls_no_drop_callback)
{
	struct drops d = {0};
	fl_queue *q = queue_that_notes(&d, 4, 2);
	fl_queue_close(q);
	assert_int_equal(d.n, 0);
	GETS(q, 1);
	GETS(q, 2);
	fl_queue_free(q);
	assert_int_equal(d.n, 0); /* the getter of an item owns it */
}

QUEUE_TEST(queue_close_now_drops_what_is_in)
{
	struct drops d = {0};
	fl_queue *q = queue_that_notes(&d, 3, 3);
	d.q = q;
	GETS(q, 1);
	PUTS(q, 4); /* the ring has wrapped */
	assert_int_equal(fl_queue_close_now(q), 3);
	assert_true(fl_queue_is_closed(q));
	assert_int_equal(fl_queue_length(q), 0);
	has_dropped(&d, 3, 2);
	assert_true(d.thread == fl_thread_current_id());
	assert_true(d.closed);
	assert_false(d.locked);
	FL_RC(fl_queue_get(q, &(int){0}), -EPIPE);
	FL_RC(fl_queue_put(q, &(int){0}), -EPIPE);
	FL_OK(fl_queue_close_now(q)); /* again: nothing */
	fl_queue_free(q);
	assert_int_equal(d.n, 3);
}

QUEUE_TEST(queue_close_now_after_close_drops_the_rest)
{
	struct drops d = {0};
	fl_queue *q = queue_that_notes(&d, 8, 5);
	fl_queue_close(q);
	GETS(q, 1);
	assert_int_equal(fl_queue_close_now(q), 4);
	has_dropped(&d, 4, 2);
	fl_queue_free(q);
	assert_int_equal(d.n, 4);
}

QUEUE_TEST_ON(queue_close_now_counts_dropped_items_as_done, 5, 5)
{
	GETS(q, 1);
	GETS(q, 2);
	struct blocked join;
	blocked_on(q, op_join, &join);
	assert_int_equal(fl_queue_close_now(q), 3);
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT); /* two were got and are not dealt with */
	fl_queue_task_done(q);
	FL_WAIT_FOR(seam_sleepers() == 1);
	fl_queue_task_done(q);
	FL_OK(blocked_end(&join));
	FL_PANICS(fl_queue_task_done(q));
}

QUEUE_TEST(queue_free_drops_what_is_left)
{
	long before = seam_live_allocs();
	struct drops d = {0};
	fl_queue *q = queue_that_notes(&d, 3, 3);
	GETS(q, 1);
	PUTS(q, 4);
	fl_queue_free(q);
	has_dropped(&d, 3, 2);
	assert_true(d.thread == fl_thread_current_id());

	d.n = 0;
	q = queue_that_notes(&d, 10, 4);
	fl_queue_close(q);
	fl_queue_free(q); /* a closed one too */
	assert_int_equal(d.n, 4);
	assert_int_equal(seam_live_allocs(), before);
}

QUEUE_TEST(queue_refused_items_are_not_dropped)
{
	struct drops d = {0};
	fl_queue *q = queue_that_notes(&d, 2, 2);
	FL_RC(fl_queue_try_put(q, &(int){7}), -EAGAIN);
	FL_RC(fl_queue_put_until(q, &(int){8}, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_MANY(-EAGAIN, 0, fl_queue_try_put_many, q, (int[]){9, 10}, 2);
	struct blocked put = {.op = op_put, .q = q, .items = {11}};
	blocked_begin(&put);
	assert_int_equal(fl_queue_close_now(q), 2);
	FL_RC(blocked_end(&put), -EPIPE);
	fl_queue_free(q);
	has_dropped(&d, 2, 1);
}
