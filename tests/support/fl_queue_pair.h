/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_QUEUE_PAIR_H
#define FL_TEST_QUEUE_PAIR_H

/*
 * The queue's tests once more, with queues that are promised one producer and one consumer. A
 * source file includes this, and then the tests: everything here is static. Tests with several
 * producers or consumers are left out where ONE_EACH is defined.
 */
#include "fl_seam.h"

#define ONE_EACH

static int create_pair(fl_queue **q, size_t item_size, const fl_queue_config *config)
{
	fl_queue_config promised = config ? *config : (fl_queue_config){.capacity = 0};
	promised.one_producer = promised.one_consumer = true;
	return fl_queue_create(q, item_size, &promised);
}

#define fl_queue_create create_pair

#endif
