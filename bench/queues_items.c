/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures bounded blocking queues of 1,024 items: items of 64 bytes one at a time, and items of 8
 * and of 64 bytes several at a time.
 */
#include "queues_items.h"
#include "monitor.h"

#include <ck_ring.h>
#include <fairlead/queue.h>

#define FAIRLEAD(item)                                                                                                 \
	FL_QUEUE_OF(item, item##_queue)                                                                                \
	static item##_queue *fairlead_##item##_open(size_t capacity)                                                   \
	{                                                                                                              \
		item##_queue *q = NULL;                                                                                \
		BENCH_OK(item##_queue_create(&q, &(fl_queue_config){.capacity = capacity}));                           \
		return q;                                                                                              \
	}                                                                                                              \
	static inline void fairlead_##item##_put(item##_queue *q, const item *items, size_t n)                         \
	{                                                                                                              \
		size_t count;                                                                                          \
		BENCH_OK(n == 1 ? item##_queue_put(q, items[0]) : item##_queue_put_many(q, items, n, &count));         \
	}                                                                                                              \
	static inline size_t fairlead_##item##_get(item##_queue *q, item *items, size_t n)                             \
	{                                                                                                              \
		size_t count = 1;                                                                                      \
		const int rc = n == 1 ? item##_queue_get(q, items) : item##_queue_get_many(q, items, n, &count);       \
		return rc == 0 ? count : 0;                                                                            \
	}                                                                                                              \
	ITEMS_BENCH(fairlead, item, item##_queue, fairlead_##item##_open(QUEUE_CAPACITY), item##_queue_free,           \
	            fairlead_##item##_put, fairlead_##item##_get)

FAIRLEAD(item_8)
FAIRLEAD(item_64)

ITEMS_BENCH(fairlead_unbounded, item_8, item_8_queue, fairlead_item_8_open(FL_UNBOUNDED), item_8_queue_free,
            fairlead_item_8_put, fairlead_item_8_get)

/*
 * The textbook queue of queues_blocking.c, with calls for several items. A call moves as many items
 * as it can under one lock, and then wakes one thread, however many items it moved. If a thread
 * that was woken leaves items or space behind, it wakes the next thread. This took less time than a
 * wake for each item.
 */
#define MONITOR_ITEMS(mon, item)                                                                                       \
	typedef struct mon##_##item##_queue {                                                                          \
		mon_##mon##_mutex mutex;                                                                               \
		mon_##mon##_cond items, space;                                                                         \
		unsigned first, length, getters, putters;                                                              \
		item ring[QUEUE_CAPACITY];                                                                             \
	} mon##_##item##_queue;                                                                                        \
	static mon##_##item##_queue *mon##_##item##_open(void)                                                         \
	{                                                                                                              \
		mon##_##item##_queue *q = bench_alloc(sizeof *q);                                                      \
		mon_##mon##_mutex_init(&q->mutex);                                                                     \
		mon_##mon##_cond_init(&q->items);                                                                      \
		mon_##mon##_cond_init(&q->space);                                                                      \
		return q;                                                                                              \
	}                                                                                                              \
	static inline void mon##_##item##_unlock(mon##_##item##_queue *q)                                              \
	{                                                                                                              \
		bool getter = q->getters > 0 && q->length > 0, putter = q->putters > 0 && q->length < QUEUE_CAPACITY;  \
		q->getters -= getter;                                                                                  \
		q->putters -= putter;                                                                                  \
		mon_##mon##_unlock(&q->mutex);                                                                         \
		if (getter)                                                                                            \
			mon_##mon##_signal(&q->items);                                                                 \
		if (putter)                                                                                            \
			mon_##mon##_signal(&q->space);                                                                 \
	}                                                                                                              \
	static inline void mon##_##item##_put(mon##_##item##_queue *q, const item *items, size_t n)                    \
	{                                                                                                              \
		while (n > 0) {                                                                                        \
			mon_##mon##_lock(&q->mutex);                                                                   \
			while (q->length == QUEUE_CAPACITY) {                                                          \
				q->putters++;                                                                          \
				mon_##mon##_wait(&q->space, &q->mutex);                                                \
			}                                                                                              \
			for (; n > 0 && q->length < QUEUE_CAPACITY; n--)                                               \
				q->ring[(q->first + q->length++) % QUEUE_CAPACITY] = *items++;                         \
			mon##_##item##_unlock(q);                                                                      \
		}                                                                                                      \
	}                                                                                                              \
	static inline size_t mon##_##item##_get(mon##_##item##_queue *q, item *items, size_t n)                        \
	{                                                                                                              \
		size_t got = 0;                                                                                        \
		mon_##mon##_lock(&q->mutex);                                                                           \
		while (q->length == 0) {                                                                               \
			q->getters++;                                                                                  \
			mon_##mon##_wait(&q->items, &q->mutex);                                                        \
		}                                                                                                      \
		for (; got < n && q->length > 0; q->length--)                                                          \
			items[got++] = q->ring[q->first++ % QUEUE_CAPACITY];                                           \
		mon##_##item##_unlock(q);                                                                              \
		return got;                                                                                            \
	}                                                                                                              \
	ITEMS_BENCH(mon, item, mon##_##item##_queue, mon##_##item##_open(), free, mon##_##item##_put,                  \
	            mon##_##item##_get)

MONITOR_ITEMS(pthread, item_8)
MONITOR_ITEMS(pthread, item_64)
MONITOR_ITEMS(nsync, item_8)
MONITOR_ITEMS(nsync, item_64)

/*
 * Concurrency Kit's ring does not block. So one POSIX semaphore counts the free slots, and another
 * one the items. Items are copied by value, one by one.
 */
CK_RING_PROTOTYPE(items_8, item_8)
CK_RING_PROTOTYPE(items_64, item_64)

#define CK(item, name)                                                                                                 \
	typedef struct ck_##item##_queue {                                                                             \
		ck_ring_t ring;                                                                                        \
		BENCH_ALIGNED sem_t space;                                                                             \
		BENCH_ALIGNED sem_t items;                                                                             \
		BENCH_ALIGNED item buffer[2 * QUEUE_CAPACITY]; /* a ring of n holds n - 1 items */                     \
	} ck_##item##_queue;                                                                                           \
	static ck_##item##_queue *ck_##item##_open(void)                                                               \
	{                                                                                                              \
		ck_##item##_queue *q = bench_alloc(sizeof *q);                                                         \
		ck_ring_init(&q->ring, 2 * QUEUE_CAPACITY);                                                            \
		posix_sem_init(&q->space, 0, QUEUE_CAPACITY);                                                          \
		posix_sem_init(&q->items, 0, 0);                                                                       \
		return q;                                                                                              \
	}                                                                                                              \
	static inline void ck_##item##_put(ck_##item##_queue *q, const item *items, size_t n)                          \
	{                                                                                                              \
		for (size_t i = 0; i < n; i++) {                                                                       \
			item copy = items[i];                                                                          \
			posix_sem_acquire(&q->space);                                                                  \
			while (!ck_ring_enqueue_mpmc_##name(&q->ring, q->buffer, &copy))                               \
				sched_yield();                                                                         \
			sem_post(&q->items);                                                                           \
		}                                                                                                      \
	}                                                                                                              \
	static inline size_t ck_##item##_get(ck_##item##_queue *q, item *items, size_t n)                              \
	{                                                                                                              \
		posix_sem_acquire(&q->items);                                                                          \
		while (!ck_ring_dequeue_mpmc_##name(&q->ring, q->buffer, items))                                       \
			sched_yield();                                                                                 \
		sem_post(&q->space);                                                                                   \
		return 1;                                                                                              \
	}                                                                                                              \
	ITEMS_BENCH(ck, item, ck_##item##_queue, ck_##item##_open(), free, ck_##item##_put, ck_##item##_get)

CK(item_8, items_8)
CK(item_64, items_64)

static const bench_row rows[] = {
    ITEMS_ROWS("mpmc", "fairlead", fairlead, 0),
    ITEMS_ROWS("mpmc", "pthread", pthread, 0),
    ITEMS_ROWS("mpmc", "nsync", nsync, 0),
    ITEMS_ROWS("mpmc", "ck_ring_sem", ck, CK_RING_FIXED),
    ITEMS_UNBOUNDED_ROW("fairlead", fairlead_unbounded),
};
BENCH_ROWS(rows)
