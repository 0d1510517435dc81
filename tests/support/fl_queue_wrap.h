/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_QUEUE_WRAP_H
#define FL_TEST_QUEUE_WRAP_H

#include "fl_test.h"

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
	FL_RC(fl_queue_try_join(q), -EAGAIN);
	assert_int_equal(fl_queue_close_now(q), 7);
	FL_OK(fl_queue_try_join(q));
	return put;
}

#endif
