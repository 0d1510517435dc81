/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_BLOCKED_H
#define FL_TEST_BLOCKED_H

/*
 * A blocking queue operation on a separate thread:
 *
 *     struct blocked get;
 *     blocked_on(q, op_get, &get);                    // it sleeps now
 *     fl_queue_close(q);
 *     FL_RC(blocked_end(&get), -EPIPE);
 *
 * Only one source file of a program may include this header, because everything here is static. The
 * program starts no other threads that sleep in the library.
 */
#include "fl_seam.h"

struct blocked {
	int (*op)(struct blocked *b);
	fl_queue *q;
	fl_cancel_token *scope;  /* of the thread; NULL: none */
	fl_cancel_token *cancel; /* for the _until forms */
	fl_time deadline;        /* for them */
	int items[8];            /* to be put, or got */
	size_t n, count;         /* for the _many forms */
	fl_thread *thread;
};

/*
 * BLOCKED_OP(put, b->q, b->items) defines op_put(), which calls fl_queue_put() with these
 * arguments.
 */
#define BLOCKED_OP(call, ...)                                                                                          \
	SEAM_FN int op_##call(struct blocked *b)                                                                       \
	{                                                                                                              \
		return fl_queue_##call(__VA_ARGS__);                                                                   \
	}

BLOCKED_OP(put, b->q, b->items)
BLOCKED_OP(put_until, b->q, b->items, b->deadline, b->cancel)
BLOCKED_OP(put_many, b->q, b->items, b->n, &b->count)
BLOCKED_OP(put_many_until, b->q, b->items, b->n, &b->count, b->deadline, b->cancel)
BLOCKED_OP(get, b->q, b->items)
BLOCKED_OP(get_until, b->q, b->items, b->deadline, b->cancel)
BLOCKED_OP(get_many, b->q, b->items, b->n, &b->count)
BLOCKED_OP(get_many_until, b->q, b->items, b->n, &b->count, b->deadline, b->cancel)
BLOCKED_OP(join, b->q)
BLOCKED_OP(join_until, b->q, b->deadline, b->cancel)

/* Waits until the queue is ready (an item or space), and does nothing with it. */
SEAM_FN int op_observe(struct blocked *b)
{
	return FL_WAIT_ANY_UNTIL(b->deadline, b->cancel, FL_ON_QUEUE(b->q));
}

SEAM_FN int op_observe_space(struct blocked *b)
{
	return FL_WAIT_ANY_UNTIL(b->deadline, b->cancel, FL_ON_QUEUE_SPACE(b->q));
}

static int blocked_run(void *arg)
{
	struct blocked *b = arg;
	FL_CANCEL_SCOPE(b->scope);
	return b->op(b);
}

/* Errors are expected results here, so they are not logged. */
static void ignore_error(const fl_thread_info *info, int error)
{
}

SEAM_FN void blocked_start(struct blocked *b)
{
	fl_thread_set_error_handler(ignore_error);
	fl_test_go(&b->thread, blocked_run, b);
}

/*
 * Starts the operation and waits until it sleeps. All operations that were started before must
 * still sleep.
 */
SEAM_FN void blocked_begin(struct blocked *b)
{
	unsigned before = seam_sleepers();
	blocked_start(b);
	FL_WAIT_FOR(seam_sleepers() == before + 1);
}

/* Does the same for an operation that needs only its queue. */
SEAM_FN void blocked_on(fl_queue *q, int (*op)(struct blocked *b), struct blocked *b)
{
	*b = (struct blocked){.op = op, .q = q};
	blocked_begin(b);
}

/* Waits until the operation has returned, and returns its result. */
SEAM_FN int blocked_end(struct blocked *b)
{
	int rc = 77;
	FL_OK(fl_thread_join_until(b->thread, &rc, FL_FOREVER, FL_SHIELDED));
	return rc;
}

/* Makes a queue of ints with that capacity, which holds the `in` items 1, 2, ... */
SEAM_FN fl_queue *queue_with(size_t capacity, int in)
{
	fl_queue *q = FL_TEST_QUEUE(int, .capacity = capacity);
	for (int i = 1; i <= in; i++)
		FL_OK(fl_queue_try_put(q, &i));
	return q;
}

/* Puts this item, for which there is space. */
#define PUTS(q, item) FL_OK(fl_queue_put(q, &(int){item}))

/* Checks that the next item is this one. */
#define GETS(q, expected)                                                                                              \
	do {                                                                                                           \
		int got_ = 0;                                                                                          \
		FL_OK(fl_queue_try_get(q, &got_));                                                                     \
		assert_int_equal(got_, expected);                                                                      \
	} while (0)

/*
 * Fills an empty queue of ints and gets all but seven, ten times; then drops those seven. Returns
 * the number of puts.
 */
static inline int fl_fill_ten_times(fl_queue *q, int capacity)
{
	int put = 0, got = 0;
	for (int round = 0; round < 10; round++) {
		while (fl_queue_try_put(q, &put) == 0)
			put++;
		assert_int_equal(fl_queue_length(q), capacity);
		for (int item, left = 7; left < capacity; left++, got++) {
			FL_OK(fl_queue_try_get(q, &item));
			assert_int_equal(item, got);
			fl_queue_task_done(q);
		}
		assert_int_equal(fl_queue_length(q), 7);
	}
	FL_RC(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(fl_queue_close_now(q), 7);
	FL_OK(fl_queue_join_until(q, FL_NO_WAIT, FL_SHIELDED));
	return put;
}

#endif
