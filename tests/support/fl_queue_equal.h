/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_QUEUE_EQUAL_H
#define FL_TEST_QUEUE_EQUAL_H

/*
 * The queue's tests once more, with priority queues of equal items: these are FIFO, too, so they
 * must pass all tests. A source file includes this, and then the tests: everything here is static.
 */
#include "fl_seam.h"

static int all_equal(const void *a, const void *b, void *compare_arg)
{
	(void)a;
	(void)b;
	(void)compare_arg;
	return 0;
}

static int create_of_equals(fl_queue **q, size_t item_size, const fl_queue_config *config)
{
	fl_queue_config by_priority = config ? *config : (fl_queue_config){.capacity = 0};
	by_priority.order = FL_PRIORITY;
	by_priority.compare = all_equal;
	return fl_queue_create(q, item_size, &by_priority);
}

#define fl_queue_create create_of_equals

#endif
