/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_QUEUES_MONITOR_H
#define BENCH_QUEUES_MONITOR_H

#include "monitor.h"
#include "queues.h"

/*
 * The textbook queue: a ring under a mutex, one condition a side, a signal only when a thread waits
 * there. The signaller counts the waiter off (as Boost's queue does), so that a waiter that has yet
 * to run is not signalled twice.
 */
#define MONITOR_QUEUE(mon)                                                                                             \
	typedef struct mon##_queue {                                                                                   \
		mon_##mon##_mutex mutex;                                                                               \
		mon_##mon##_cond items, space;                                                                         \
		unsigned first, length, getters, putters;                                                              \
		uint64_t ring[QUEUE_CAPACITY];                                                                         \
	} mon##_queue;                                                                                                 \
	static mon##_queue *mon##_open(void)                                                                           \
	{                                                                                                              \
		mon##_queue *q = bench_alloc(sizeof *q);                                                               \
		mon_##mon##_mutex_init(&q->mutex);                                                                     \
		mon_##mon##_cond_init(&q->items);                                                                      \
		mon_##mon##_cond_init(&q->space);                                                                      \
		return q;                                                                                              \
	}                                                                                                              \
	static inline void mon##_put(mon##_queue *q, uint64_t item)                                                    \
	{                                                                                                              \
		mon_##mon##_lock(&q->mutex);                                                                           \
		while (q->length == QUEUE_CAPACITY) {                                                                  \
			q->putters++;                                                                                  \
			mon_##mon##_wait(&q->space, &q->mutex);                                                        \
		}                                                                                                      \
		q->ring[(q->first + q->length++) % QUEUE_CAPACITY] = item;                                             \
		bool wake = q->getters > 0;                                                                            \
		q->getters -= wake;                                                                                    \
		mon_##mon##_unlock(&q->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&q->items);                                                                 \
	}                                                                                                              \
	static inline uint64_t mon##_get(mon##_queue *q)                                                               \
	{                                                                                                              \
		mon_##mon##_lock(&q->mutex);                                                                           \
		while (q->length == 0) {                                                                               \
			q->getters++;                                                                                  \
			mon_##mon##_wait(&q->items, &q->mutex);                                                        \
		}                                                                                                      \
		uint64_t item = q->ring[q->first++ % QUEUE_CAPACITY];                                                  \
		q->length--;                                                                                           \
		bool wake = q->putters > 0;                                                                            \
		q->putters -= wake;                                                                                    \
		mon_##mon##_unlock(&q->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&q->space);                                                                 \
		return item;                                                                                           \
	}                                                                                                              \
	QUEUE_BENCH(mon, mon##_queue, mon##_open(), free, mon##_put, mon##_get)

#endif
