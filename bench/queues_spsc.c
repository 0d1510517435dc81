/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings for one producer and one consumer that do not block, 1,024 items of 8 bytes. Boost's is in
 * queues_boost.cc.
 */
#include "rings.h"

#include <ck_ring.h>
#include <fairlead/spsc.h>

FL_SPSC_OF(uint64_t, u64_spsc)

static u64_spsc *fairlead_open(void)
{
	u64_spsc *q = NULL;
	if (u64_spsc_create(&q, QUEUE_CAPACITY))
		bench_fail("u64_spsc_create");
	return q;
}

#define FAIRLEAD_PUT(q, item) (u64_spsc_try_put((q), (item)) == 0)
#define FAIRLEAD_GET(q, item) (u64_spsc_try_get((q), (item)) == 0)
RING_BENCH(fairlead, u64_spsc, fairlead_open(), u64_spsc_free, FAIRLEAD_PUT, FAIRLEAD_GET)

typedef struct ck_spsc {
	ck_ring_t ring;
	BENCH_ALIGNED ck_ring_buffer_t buffer[2 * QUEUE_CAPACITY]; /* one of QUEUE_CAPACITY would hold one item less */
} ck_spsc;

static ck_spsc *ck_spsc_open(void)
{
	ck_spsc *q = bench_alloc(sizeof *q);
	ck_ring_init(&q->ring, 2 * QUEUE_CAPACITY);
	return q;
}

static inline bool ck_spsc_put(ck_spsc *q, uint64_t item)
{
	return ck_ring_enqueue_spsc(&q->ring, q->buffer, (void *)(uintptr_t)item);
}

static inline bool ck_spsc_get(ck_spsc *q, uint64_t *item)
{
	void *got;
	if (!ck_ring_dequeue_spsc(&q->ring, q->buffer, &got))
		return false;
	*item = (uintptr_t)got;
	return true;
}

RING_BENCH(ck_ring, ck_spsc, ck_spsc_open(), free, ck_spsc_put, ck_spsc_get)

static const bench_row rows[] = {SPSC_ROWS(fairlead, "fairlead"), SPSC_ROWS(ck_ring, "ck_ring")};
BENCH_ROWS(rows)
