/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings for many producers and consumers that do not block, 1,024 items of 8 bytes. Boost's is in queues_boost.cc. */
#include "rings.h"

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

/* As in queues_mpmc.c: its producers wait for each other without yielding, so its operations are counted out. */
enum { CK_RING_FIXED = 2500 };

static const bench_row rows[] = {RING_ROWS(fairlead, "fairlead", 0), RING_ROWS(ck_ring, "ck_ring", CK_RING_FIXED)};
BENCH_ROWS(rows)
