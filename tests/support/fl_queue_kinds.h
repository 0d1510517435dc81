/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_QUEUE_KINDS_H
#define FL_TEST_QUEUE_KINDS_H

/*
 * Cases for each kind of bounded FIFO queue: the ring; a priority queue of equal items; the ring
 * for one producer and one consumer. Include it before all other headers, because here
 * fl_queue_create() makes a queue of the case's kind. Everything here is static.
 *
 *     // the cases queue_ends, queue_ends_of_equals and queue_ends_of_a_pair
 *     QUEUE_TEST(queue_ends) { ... }
 *     // a case with several threads on one side, which a pair cannot have
 *     QUEUE_TEST_MANY(queue_crowds) { ... }
 */
#include "fl_seam.h"

enum { A_RING, EQUALS, A_PAIR };

static int queue_kind;

static int all_equal(const void *a, const void *b, void *compare_arg)
{
	return 0;
}

static int create_of_kind(fl_queue **q, size_t item_size, const fl_queue_config *config)
{
	fl_queue_config of_kind = config ? *config : (fl_queue_config){.capacity = 0};
	if (queue_kind == EQUALS) {
		of_kind.order = FL_PRIORITY;
		of_kind.compare = all_equal;
	}
	if (queue_kind == A_PAIR)
		of_kind.one_producer = of_kind.one_consumer = true;
	return fl_queue_create(q, item_size, &of_kind);
}

#define fl_queue_create create_of_kind

#define QUEUE_CASE(name, suffix, kind)                                                                                 \
	FL_TEST(name##suffix)                                                                                          \
	{                                                                                                              \
		queue_kind = kind;                                                                                     \
		name##_body();                                                                                         \
	}

#define QUEUE_TEST_MANY(name)                                                                                          \
	static void name##_body(void);                                                                                 \
	QUEUE_CASE(name, , A_RING)                                                                                     \
	QUEUE_CASE(name, _of_equals, EQUALS)                                                                           \
	static void name##_body(void)

/* For cases in which equal items of a priority queue behave differently. */
#define QUEUE_TEST_RINGS(name)                                                                                         \
	static void name##_body(void);                                                                                 \
	QUEUE_CASE(name, , A_RING)                                                                                     \
	QUEUE_CASE(name, _of_a_pair, A_PAIR)                                                                           \
	static void name##_body(void)

#define QUEUE_TEST(name)                                                                                               \
	static void name##_body(void);                                                                                 \
	QUEUE_CASE(name, _of_a_pair, A_PAIR)                                                                           \
	QUEUE_TEST_MANY(name)

/* Defines a case with a queue `q` of ints, made by queue_with() of fl_blocked.h. */
#define QUEUE_TEST_WITH(test, name, capacity, in)                                                                      \
	static void name##_on(fl_queue *q);                                                                            \
	test(name)                                                                                                     \
	{                                                                                                              \
		FL_SCOPED(fl_queue) *q = queue_with((capacity), (in));                                                 \
		name##_on(q);                                                                                          \
	}                                                                                                              \
	static void name##_on(fl_queue *q)

#define QUEUE_TEST_ON(name, capacity, in) QUEUE_TEST_WITH(QUEUE_TEST, name, capacity, in)
#define QUEUE_TEST_RINGS_ON(name, capacity, in) QUEUE_TEST_WITH(QUEUE_TEST_RINGS, name, capacity, in)

#endif
