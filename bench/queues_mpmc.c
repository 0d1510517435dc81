/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounded blocking queues, 1,024 items of 8 bytes; GLib's is unbounded, hence "weaker". Those in
 * C++ are in peers_boost.cc, queues_tbb.cc, queues_moodycamel.cc.
 */
#include "queues.h"
#include "queues_monitor.h"

#include <ck_ring.h>
#include <errno.h>
#include <fairlead/queue.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>

_Static_assert(sizeof(void *) == 8, "the queues of pointers carry the 8-byte items themselves");

FL_QUEUE_OF(uint64_t, u64_queue)

static u64_queue *fairlead_open(void)
{
	u64_queue *q = NULL;
	if (u64_queue_create(&q, &(fl_queue_config){.capacity = QUEUE_CAPACITY}))
		bench_fail("u64_queue_create");
	return q;
}

static inline void fairlead_put(u64_queue *q, uint64_t item)
{
	if (u64_queue_put(q, item))
		bench_fail("u64_queue_put");
}

static inline uint64_t fairlead_get(u64_queue *q)
{
	uint64_t item;
	if (u64_queue_get(q, &item))
		bench_fail("u64_queue_get");
	return item;
}

QUEUE_BENCH(fairlead, u64_queue, fairlead_open(), u64_queue_free, fairlead_put, fairlead_get)
TRIP_BENCH(fairlead, u64_queue, fairlead_open(), u64_queue_free, fairlead_put, fairlead_get)

MONITOR_QUEUE(pthread)
MONITOR_QUEUE(nsync)
TRIP_BENCH(pthread, pthread_queue, pthread_open(), free, pthread_put, pthread_get)
TRIP_BENCH(nsync, nsync_queue, nsync_open(), free, nsync_put, nsync_get)

/* The same as most write it: a signal each time, under the mutex, whether a thread waits or not. */
typedef struct plain_queue {
	pthread_mutex_t mutex;
	pthread_cond_t items, space;
	unsigned first, length;
	uint64_t ring[QUEUE_CAPACITY];
} plain_queue;

static plain_queue *plain_open(void)
{
	plain_queue *q = bench_alloc(sizeof *q);
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->items, NULL);
	pthread_cond_init(&q->space, NULL);
	return q;
}

static inline void plain_put(plain_queue *q, uint64_t item)
{
	pthread_mutex_lock(&q->mutex);
	while (q->length == QUEUE_CAPACITY)
		pthread_cond_wait(&q->space, &q->mutex);
	q->ring[(q->first + q->length++) % QUEUE_CAPACITY] = item;
	pthread_cond_signal(&q->items);
	pthread_mutex_unlock(&q->mutex);
}

static inline uint64_t plain_get(plain_queue *q)
{
	pthread_mutex_lock(&q->mutex);
	while (q->length == 0)
		pthread_cond_wait(&q->items, &q->mutex);
	uint64_t item = q->ring[q->first++ % QUEUE_CAPACITY];
	q->length--;
	pthread_cond_signal(&q->space);
	pthread_mutex_unlock(&q->mutex);
	return item;
}

QUEUE_BENCH(plain, plain_queue, plain_open(), free, plain_put, plain_get)

/*
 * Concurrency Kit's ring does not block: one POSIX semaphore counts the space, one the items. It
 * holds size - 1 pointers.
 */
typedef struct ck_ring_sem {
	ck_ring_t ring;
	BENCH_ALIGNED sem_t space;
	BENCH_ALIGNED sem_t items;
	ck_ring_buffer_t buffer[2 * QUEUE_CAPACITY];
} ck_ring_sem;

static ck_ring_sem *ck_ring_sem_open(void)
{
	ck_ring_sem *q = bench_alloc(sizeof *q);
	ck_ring_init(&q->ring, 2 * QUEUE_CAPACITY);
	if (sem_init(&q->space, 0, QUEUE_CAPACITY) || sem_init(&q->items, 0, 0))
		bench_fail("sem_init");
	return q;
}

static inline void ck_ring_sem_wait(sem_t *sem)
{
	while (sem_wait(sem))
		if (errno != EINTR)
			bench_fail("sem_wait");
}

static inline void ck_ring_sem_put(ck_ring_sem *q, uint64_t item)
{
	ck_ring_sem_wait(&q->space);
	while (!ck_ring_enqueue_mpmc(&q->ring, q->buffer, (void *)(uintptr_t)item))
		sched_yield();
	sem_post(&q->items);
}

static inline uint64_t ck_ring_sem_get(ck_ring_sem *q)
{
	void *item;
	ck_ring_sem_wait(&q->items);
	while (!ck_ring_dequeue_mpmc(&q->ring, q->buffer, &item))
		sched_yield();
	sem_post(&q->space);
	return (uintptr_t)item;
}

QUEUE_BENCH(ck_ring_sem, ck_ring_sem, ck_ring_sem_open(), free, ck_ring_sem_put, ck_ring_sem_get)
TRIP_BENCH(ck_ring_sem, ck_ring_sem, ck_ring_sem_open(), free, ck_ring_sem_put, ck_ring_sem_get)

static inline void glib_put(GAsyncQueue *q, uint64_t item)
{
	g_async_queue_push(q, (gpointer)(uintptr_t)item);
}

static inline uint64_t glib_get(GAsyncQueue *q)
{
	return (uintptr_t)g_async_queue_pop(q);
}

QUEUE_BENCH(glib, GAsyncQueue, g_async_queue_new(), g_async_queue_unref, glib_put, glib_get)
TRIP_BENCH(glib, GAsyncQueue, g_async_queue_new(), g_async_queue_unref, glib_put, glib_get)

/*
 * ck_ring's producers wait for each other without yielding. With more of them than CPUs that can
 * take a whole time slice an item, 700 us instead of 0.3: one run in twenty here. So its operations
 * are counted out, lest the suite takes minutes.
 */
enum { CK_RING_FIXED = 2500 };

static const bench_row rows[] = {
    QUEUE_ROWS(fairlead, 0), QUEUE_ROWS(pthread, 0), QUEUE_ROWS(nsync, 0), QUEUE_ROWS(ck_ring_sem, CK_RING_FIXED),
    QUEUE_ROWS(glib, 0),     QUEUE_ROWS(plain, 0),   TRIP_ROWS(fairlead),  TRIP_ROWS(pthread),
    TRIP_ROWS(nsync),        TRIP_ROWS(ck_ring_sem), TRIP_ROWS(glib),
};
BENCH_ROWS(rows)
