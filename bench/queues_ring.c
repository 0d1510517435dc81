/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings for many producers and consumers that do not block, 1,024 items of 8 bytes and of 64. Those
 * in C++ are in queues_boost.cc, queues_tbb.cc, queues_moodycamel.cc.
 */
#include "queues_items.h"

#include <ck_ring.h>
#include <fairlead/mpmc.h>

FL_MPMC_OF(uint64_t, u64_mpmc)

static u64_mpmc *fairlead_open(void)
{
	u64_mpmc *q = NULL;
	if (u64_mpmc_create(&q, QUEUE_CAPACITY))
		bench_fail("u64_mpmc_create");
	return q;
}

#define FAIRLEAD_PUT(q, item) (u64_mpmc_try_put((q), (item)) == 0)
#define FAIRLEAD_GET(q, item) (u64_mpmc_try_get((q), (item)) == 0)
RING_BENCH(fairlead, u64_mpmc, fairlead_open(), u64_mpmc_free, FAIRLEAD_PUT, FAIRLEAD_GET)

typedef struct ck_mpmc {
	ck_ring_t ring;
	BENCH_ALIGNED ck_ring_buffer_t buffer[2 * QUEUE_CAPACITY]; /* one of QUEUE_CAPACITY would hold one item less */
} ck_mpmc;

static ck_mpmc *ck_mpmc_open(void)
{
	ck_mpmc *q = bench_alloc(sizeof *q);
	ck_ring_init(&q->ring, 2 * QUEUE_CAPACITY);
	return q;
}

static inline bool ck_mpmc_put(ck_mpmc *q, uint64_t item)
{
	return ck_ring_enqueue_mpmc(&q->ring, q->buffer, (void *)(uintptr_t)item);
}

static inline bool ck_mpmc_get(ck_mpmc *q, uint64_t *item)
{
	void *got;
	if (!ck_ring_dequeue_mpmc(&q->ring, q->buffer, &got))
		return false;
	*item = (uintptr_t)got;
	return true;
}

RING_BENCH(ck_ring, ck_mpmc, ck_mpmc_open(), free, ck_mpmc_put, ck_mpmc_get)

#define FAIRLEAD_ITEMS(item)                                                                                           \
	FL_MPMC_OF(item, item##_mpmc)                                                                                  \
	static item##_mpmc *fairlead_##item##_open(void)                                                               \
	{                                                                                                              \
		item##_mpmc *q = NULL;                                                                                 \
		if (item##_mpmc_create(&q, QUEUE_CAPACITY))                                                            \
			bench_fail("fl_mpmc_create");                                                                  \
		return q;                                                                                              \
	}                                                                                                              \
	static inline size_t fairlead_##item##_put(item##_mpmc *q, const item *items, size_t n)                        \
	{                                                                                                              \
		return n == 1 ? item##_mpmc_try_put(q, items[0]) == 0 : item##_mpmc_try_put_many(q, items, n);         \
	}                                                                                                              \
	static inline size_t fairlead_##item##_get(item##_mpmc *q, item *items, size_t n)                              \
	{                                                                                                              \
		return n == 1 ? item##_mpmc_try_get(q, items) == 0 : item##_mpmc_try_get_many(q, items, n);            \
	}                                                                                                              \
	RING_ITEMS_BENCH(fairlead, item, item##_mpmc, fairlead_##item##_open(), item##_mpmc_free,                      \
	                 fairlead_##item##_put, fairlead_##item##_get)

FAIRLEAD_ITEMS(item_8)
FAIRLEAD_ITEMS(item_64)

/* By value, and one by one: it has no call for several. */
CK_RING_PROTOTYPE(items_8, item_8)
CK_RING_PROTOTYPE(items_64, item_64)

#define CK_ITEMS(item, name)                                                                                           \
	typedef struct ck_##item##_mpmc {                                                                              \
		ck_ring_t ring;                                                                                        \
		BENCH_ALIGNED item buffer[2 * QUEUE_CAPACITY];                                                         \
	} ck_##item##_mpmc;                                                                                            \
	static ck_##item##_mpmc *ck_##item##_open(void)                                                                \
	{                                                                                                              \
		ck_##item##_mpmc *q = bench_alloc(sizeof *q);                                                          \
		ck_ring_init(&q->ring, 2 * QUEUE_CAPACITY);                                                            \
		return q;                                                                                              \
	}                                                                                                              \
	static inline bool ck_##item##_put_one(ck_##item##_mpmc *q, const item *from)                                  \
	{                                                                                                              \
		item copy = *from;                                                                                     \
		return ck_ring_enqueue_mpmc_##name(&q->ring, q->buffer, &copy);                                        \
	}                                                                                                              \
	static inline bool ck_##item##_get_one(ck_##item##_mpmc *q, item *to)                                          \
	{                                                                                                              \
		return ck_ring_dequeue_mpmc_##name(&q->ring, q->buffer, to);                                           \
	}                                                                                                              \
	ITEMS_ONE_BY_ONE(ck, item, ck_##item##_mpmc, ck_##item##_put_one, ck_##item##_get_one)                         \
	RING_ITEMS_BENCH(ck, item, ck_##item##_mpmc, ck_##item##_open(), free, ck_##item##_try_put, ck_##item##_try_get)

CK_ITEMS(item_8, items_8)
CK_ITEMS(item_64, items_64)

/*
 * As in queues_mpmc.c: its producers wait for each other without yielding, so its operations are
 * counted out.
 */
enum { CK_RING_FIXED = 2500 };

static const bench_row rows[] = {
    RING_ROWS(fairlead, "fairlead", 0),
    RING_ROWS(ck_ring, "ck_ring", CK_RING_FIXED),
    ITEMS_ROWS("ring", "fairlead", fairlead, 0),
    ITEMS_ROWS("ring", "ck_ring", ck, CK_RING_FIXED),
    /* What a queue that blocks could cost at best: beside those. */
    RING_ROW("uncontended", fairlead, "fl_mpmc", uncontended, 0),
    RING_ROW("mpmc_1p1c", fairlead, "fl_mpmc", mpmc, 0),
    RING_ROW("mpmc_2p2c", fairlead, "fl_mpmc", mpmc, 0),
    RING_ROW("mpmc_4p4c", fairlead, "fl_mpmc", mpmc, 0),
    RING_ROW("mpmc_8p8c", fairlead, "fl_mpmc", mpmc, 0),
};
BENCH_ROWS(rows)
