/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures rings that do not block: for one producer and one consumer, for many producers and one
 * consumer, and for many of each, with 1,024 items of 8 or 64 bytes. Fairlead's queue for many
 * producers and one consumer is unbounded. The queues of C++ libraries are in queues_cxx.cc.
 */
#include "queues_items.h"

#include <ck_ring.h>
#include <fairlead/mpmc.h>
#include <fairlead/queue.h>
#include <fairlead/spsc.h>

FL_SPSC_OF(uint64_t, u64_spsc)

static u64_spsc *spsc_open(void)
{
	u64_spsc *q = NULL;
	BENCH_OK(u64_spsc_create(&q, QUEUE_CAPACITY));
	return q;
}

#define SPSC_PUT(q, item) (u64_spsc_try_put((q), (item)) == 0)
#define SPSC_GET(q, item) (u64_spsc_try_get((q), (item)) == 0)
RING_BENCH(spsc, u64_spsc, spsc_open(), u64_spsc_free, SPSC_PUT, SPSC_GET)

FL_MPMC_OF(uint64_t, u64_mpmc)

static u64_mpmc *fairlead_open(void)
{
	u64_mpmc *q = NULL;
	BENCH_OK(u64_mpmc_create(&q, QUEUE_CAPACITY));
	return q;
}

#define FAIRLEAD_PUT(q, item) (u64_mpmc_try_put((q), (item)) == 0)
#define FAIRLEAD_GET(q, item) (u64_mpmc_try_get((q), (item)) == 0)
RING_BENCH(fairlead, u64_mpmc, fairlead_open(), u64_mpmc_free, FAIRLEAD_PUT, FAIRLEAD_GET)

/* Fairlead's rings by functions, which get the size of the items when the ring is made. */
#define UNTYPED_PUT(q, item) (fl_mpmc_try_put((q), &(item)) == 0)
#define UNTYPED_GET(q, item) (fl_mpmc_try_get((q), (item)) == 0)
RING_BENCH(untyped, fl_mpmc, u64_mpmc_untyped(fairlead_open()), fl_mpmc_free, UNTYPED_PUT, UNTYPED_GET)

static fl_queue *mpsc_open(void)
{
	fl_queue *q = NULL;
	BENCH_OK(
	    fl_queue_create(&q, sizeof(uint64_t), &(fl_queue_config){.capacity = FL_UNBOUNDED, .one_consumer = true}));
	return q;
}

#define MPSC_PUT(q, item) (fl_queue_try_put((q), &(item)) == 0)
#define MPSC_GET(q, item) (fl_queue_try_get((q), (item)) == 0)
RING_BENCH(mpsc, fl_queue, mpsc_open(), fl_queue_free, MPSC_PUT, MPSC_GET)

/* Concurrency Kit's rings of pointers, for one producer and one consumer, and for many of each. */
typedef struct ck_pointers {
	ck_ring_t ring;
	/* a ring of QUEUE_CAPACITY would hold one item less */
	BENCH_ALIGNED ck_ring_buffer_t buffer[2 * QUEUE_CAPACITY];
} ck_pointers;

static ck_pointers *ck_open(void)
{
	ck_pointers *q = bench_alloc(sizeof *q);
	ck_ring_init(&q->ring, 2 * QUEUE_CAPACITY);
	return q;
}

#define CK_POINTERS(kind)                                                                                              \
	static inline bool ck_##kind##_put(ck_pointers *q, uint64_t item)                                              \
	{                                                                                                              \
		return ck_ring_enqueue_##kind(&q->ring, q->buffer, (void *)(uintptr_t)item);                           \
	}                                                                                                              \
	static inline bool ck_##kind##_get(ck_pointers *q, uint64_t *item)                                             \
	{                                                                                                              \
		void *got;                                                                                             \
		if (!ck_ring_dequeue_##kind(&q->ring, q->buffer, &got))                                                \
			return false;                                                                                  \
		*item = (uintptr_t)got;                                                                                \
		return true;                                                                                           \
	}                                                                                                              \
	RING_BENCH(ck_##kind, ck_pointers, ck_open(), free, ck_##kind##_put, ck_##kind##_get)
CK_POINTERS(spsc)
CK_POINTERS(mpsc)
CK_POINTERS(mpmc)

#define FAIRLEAD_ITEMS(item)                                                                                           \
	FL_MPMC_OF(item, item##_mpmc)                                                                                  \
	static item##_mpmc *fairlead_##item##_open(void)                                                               \
	{                                                                                                              \
		item##_mpmc *q = NULL;                                                                                 \
		BENCH_OK(item##_mpmc_create(&q, QUEUE_CAPACITY));                                                      \
		return q;                                                                                              \
	}                                                                                                              \
	static inline size_t fairlead_##item##_put(item##_mpmc *q, const item *items, size_t n)                        \
	{                                                                                                              \
		size_t count;                                                                                          \
		if (n == 1)                                                                                            \
			return item##_mpmc_try_put(q, items[0]) == 0;                                                  \
		FL_IGNORE(item##_mpmc_try_put_many(q, items, n, &count)); /* tried again later */                      \
		return count;                                                                                          \
	}                                                                                                              \
	static inline size_t fairlead_##item##_get(item##_mpmc *q, item *items, size_t n)                              \
	{                                                                                                              \
		size_t count = 1;                                                                                      \
		const int rc = n == 1 ? item##_mpmc_try_get(q, items) : item##_mpmc_try_get_many(q, items, n, &count); \
		return rc == 0 ? count : 0;                                                                            \
	}                                                                                                              \
	RING_ITEMS_BENCH(fairlead, item, item##_mpmc, fairlead_##item##_open(), item##_mpmc_free,                      \
	                 fairlead_##item##_put, fairlead_##item##_get)

FAIRLEAD_ITEMS(item_8)
FAIRLEAD_ITEMS(item_64)

/*
 * Concurrency Kit's ring by value, with one item at a time, because it has no call for several
 * items.
 */
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

static const bench_row rows[] = {
    QUEUE_PAIR_ROWS("spsc", "fairlead", spsc),
    QUEUE_PAIR_ROWS("spsc", "ck_ring", ck_spsc),
    QUEUE_ROWS("ring_uncontended", "ring", "fairlead", fairlead, 0, BENCH_PEER),
    QUEUE_ROWS("ring_uncontended", "ring", "ck_ring", ck_mpmc, CK_RING_FIXED, BENCH_PEER),
    UNTYPED_ROWS("fairlead", untyped, 0),
    UNTYPED_ROWS("ck_ring", ck_mpmc, CK_RING_FIXED),
    MPSC_ROWS("fairlead", mpsc),
    MPSC_ROWS("ck_ring", ck_mpsc),
    ITEMS_ROWS("ring", "fairlead", fairlead, 0),
    ITEMS_ROWS("ring", "ck_ring", ck, CK_RING_FIXED),
};
BENCH_ROWS(rows)
