/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures unbounded queues that do not block. The queues of C++ libraries are in queues_cxx.cc. */
#include "queues_unbounded.h"

#include <ck_fifo.h>
#include <fairlead/queue.h>

#define FAIRLEAD(impl, one, item)                                                                                      \
	static fl_queue *impl##_##item##_open(uint64_t total)                                                          \
	{                                                                                                              \
		fl_queue *q = NULL;                                                                                    \
		BENCH_OK(fl_queue_create(&q, sizeof(item),                                                             \
		                         &(fl_queue_config){.capacity = FL_UNBOUNDED, .one_consumer = (one)}));        \
		return q;                                                                                              \
	}                                                                                                              \
	static inline void impl##_##item##_put(fl_queue *q, const item *items, size_t n)                               \
	{                                                                                                              \
		size_t count;                                                                                          \
		if (n == 1 ? fl_queue_try_put(q, items) != 0 : fl_queue_try_put_many(q, items, n, &count) != 0)        \
			bench_fail("fl_queue_try_put");                                                                \
	}                                                                                                              \
	static inline size_t impl##_##item##_get(fl_queue *q, item *items, size_t n)                                   \
	{                                                                                                              \
		size_t count = 1;                                                                                      \
		const int rc = n == 1 ? fl_queue_try_get(q, items) : fl_queue_try_get_many(q, items, n, &count);       \
		return rc == 0 ? count : 0;                                                                            \
	}                                                                                                              \
	UNBOUNDED_BENCH(impl, item, fl_queue, impl##_##item##_open, fl_queue_free, impl##_##item##_put,                \
	                impl##_##item##_get)

FAIRLEAD(fairlead, false, item_8)
FAIRLEAD(fairlead, false, item_64)
FAIRLEAD(fairlead_mpsc, true, item_8)

/*
 * Concurrency Kit's FIFO. Its nodes may be read after they were taken out. Therefore all nodes are
 * made before the run and used once, and the figure does not include what a program would have to
 * spend on nodes. In version 0.7.1, the FIFO sometimes says that it is empty although it is not;
 * the loop then tries again.
 */
typedef struct ck_fifo_nodes {
	ck_fifo_mpmc_t fifo;
	BENCH_ALIGNED uint64_t next;
	BENCH_ALIGNED ck_fifo_mpmc_entry_t *entries;
	item_64 *items;
} ck_fifo_nodes;

static ck_fifo_nodes *ck_fifo_open(uint64_t total)
{
	ck_fifo_nodes *q = bench_alloc(sizeof *q);
	q->entries = bench_alloc((total + 1) * sizeof *q->entries);
	q->items = bench_alloc((total + 1) * sizeof *q->items);
	memset(q->entries, 1, (total + 1) * sizeof *q->entries);
	memset(q->items, 1, (total + 1) * sizeof *q->items);
	ck_fifo_mpmc_init(&q->fifo, &q->entries[0]);
	q->next = 1;
	return q;
}

static void ck_fifo_close(ck_fifo_nodes *q)
{
	free(q->items);
	free(q->entries);
	free(q);
}

#define CK_FIFO(item)                                                                                                  \
	static inline void ck_fifo_##item##_put(ck_fifo_nodes *q, const item *items, size_t n)                         \
	{                                                                                                              \
		uint64_t first = __atomic_fetch_add(&q->next, n, __ATOMIC_RELAXED);                                    \
		for (size_t i = 0; i < n; i++) {                                                                       \
			memcpy(&q->items[first + i], &items[i], sizeof items[i]);                                      \
			ck_fifo_mpmc_enqueue(&q->fifo, &q->entries[first + i], &q->items[first + i]);                  \
		}                                                                                                      \
	}                                                                                                              \
	static inline size_t ck_fifo_##item##_get(ck_fifo_nodes *q, item *items, size_t n)                             \
	{                                                                                                              \
		size_t got = 0;                                                                                        \
		item_64 *found;                                                                                        \
		ck_fifo_mpmc_entry_t *garbage;                                                                         \
		for (; got < n && ck_fifo_mpmc_dequeue(&q->fifo, &found, &garbage); got++)                             \
			memcpy(&items[got], found, sizeof items[got]);                                                 \
		return got;                                                                                            \
	}                                                                                                              \
	UNBOUNDED_BENCH(ck_fifo, item, ck_fifo_nodes, ck_fifo_open, ck_fifo_close, ck_fifo_##item##_put,               \
	                ck_fifo_##item##_get)

CK_FIFO(item_8)
CK_FIFO(item_64)

static const bench_row rows[] = {
    UNBOUNDED_ROWS(fairlead, BENCH_PEER),
    UNBOUNDED_ROWS(ck_fifo, BENCH_WEAKER),
    UNBOUNDED_ROW("mpsc", "fairlead", fairlead_mpsc, item_8, mpsc, BENCH_PEER),
    UNBOUNDED_ROW("mpsc", "ck_fifo", ck_fifo, item_8, mpsc, BENCH_WEAKER),
};
BENCH_ROWS(rows)
