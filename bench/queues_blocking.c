/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures blocking queues of 1,024 items of 8 bytes: FIFO queues for many producers and consumers
 * and for one of each, LIFO queues, and priority queues. The queues of C++ libraries are in
 * queues_cxx.cc.
 */
#include "monitor.h"
#include "queues.h"

#include <ck_ring.h>
#include <fairlead/queue.h>
#include <sched.h>

_Static_assert(sizeof(void *) == 8, "the queues of pointers carry the 8-byte items themselves");

/*
 * The workload of LIFO and priority queues. It is that of queues.h, except that an item has 47
 * random bits. So the order is not checked; only the items that came out are compared with those
 * that went in. The arguments are those of QUEUE_BENCH.
 */
typedef struct order_data {
	void *q;
	/* of each thread: the items that it put, minus those that it got */
	uint64_t sums[QUEUE_THREADS_MAX];
} order_data;

static inline uint64_t order_next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random >> 17 | 1;
}

#define ORDER_BENCH(impl, type, open, close, put, get)                                                                 \
	static void *impl##_setup(const bench_setting *with)                                                           \
	{                                                                                                              \
		order_data *s = bench_alloc(sizeof *s);                                                                \
		s->q = open;                                                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_run(bench_thread *t)                                                                        \
	{                                                                                                              \
		order_data *s = t->state;                                                                              \
		type *q = s->q;                                                                                        \
		int producers = t->threads > 1 ? t->threads / 2 : 1;                                                   \
		uint64_t share = t->total / (uint64_t)producers, sum = 0;                                              \
		uint64_t random = 0x9e3779b97f4a7c15u * (uint64_t)(t->index + 1);                                      \
		bool puts = t->index < producers, gets = t->index >= producers || t->threads == 1;                     \
		for (uint64_t i = 0; i < share; i++) {                                                                 \
			if (puts) {                                                                                    \
				uint64_t item = order_next(&random);                                                   \
				sum += item;                                                                           \
				put(q, item);                                                                          \
			}                                                                                              \
			if (gets)                                                                                      \
				sum -= get(q);                                                                         \
		}                                                                                                      \
		s->sums[t->index] = sum;                                                                               \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		order_data *s = state;                                                                                 \
		uint64_t sum = 0;                                                                                      \
		for (int i = 0; i < QUEUE_THREADS_MAX; i++)                                                            \
			sum += s->sums[i];                                                                             \
		if (sum != 0)                                                                                          \
			bench_fail("a queue lost or doubled items");                                                   \
		close(s->q);                                                                                           \
		free(s);                                                                                               \
	}

FL_QUEUE_OF(uint64_t, u64_queue)

static int by_value(const void *a, const void *b, void *unused)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static u64_queue *fairlead_open(fl_queue_config config)
{
	u64_queue *q = NULL;
	config.capacity = QUEUE_CAPACITY;
	BENCH_OK(u64_queue_create(&q, &config));
	return q;
}

static inline void fairlead_put(u64_queue *q, uint64_t item)
{
	BENCH_OK(u64_queue_put(q, item));
}

static inline uint64_t fairlead_get(u64_queue *q)
{
	uint64_t item;
	BENCH_OK(u64_queue_get(q, &item));
	return item;
}

#define CONFIG(...) ((fl_queue_config){__VA_ARGS__})
#define FAIRLEAD(name, bench, ...)                                                                                     \
	bench(name, u64_queue, fairlead_open(CONFIG(__VA_ARGS__)), u64_queue_free, fairlead_put, fairlead_get)
FAIRLEAD(fairlead, QUEUE_BENCH, 0)
FAIRLEAD(fairlead, TRIP_BENCH, 0)
FAIRLEAD(fairlead_pair, QUEUE_BENCH, .one_producer = true, .one_consumer = true)
FAIRLEAD(fairlead_lifo, ORDER_BENCH, .order = FL_LIFO)
FAIRLEAD(fairlead_priority, ORDER_BENCH, .order = FL_PRIORITY, .compare = by_value)

/*
 * --- what the monitors below guard ---
 *
 * A ring, an array, and a binary heap. In the heap, a number keeps equal keys in their order.
 */
typedef struct fifo {
	unsigned first, length;
	uint64_t ring[QUEUE_CAPACITY];
} fifo;

static inline void fifo_add(fifo *f, uint64_t item)
{
	f->ring[(f->first + f->length++) % QUEUE_CAPACITY] = item;
}

static inline uint64_t fifo_take(fifo *f)
{
	f->length--;
	return f->ring[f->first++ % QUEUE_CAPACITY];
}

typedef struct stack {
	unsigned length;
	uint64_t items[QUEUE_CAPACITY];
} stack;

static inline void stack_add(stack *s, uint64_t item)
{
	s->items[s->length++] = item;
}

static inline uint64_t stack_take(stack *s)
{
	return s->items[--s->length];
}

typedef struct heap_item {
	uint64_t key, number;
} heap_item;

typedef struct heap {
	unsigned length;
	uint64_t number;
	heap_item items[QUEUE_CAPACITY + 1]; /* the heap does not use the first element */
} heap;

static inline bool heap_before(heap_item a, heap_item b)
{
	return a.key < b.key || (a.key == b.key && a.number < b.number);
}

static inline void heap_add(heap *h, uint64_t key)
{
	heap_item item = {key, h->number++};
	unsigned at = ++h->length;
	for (; at > 1 && heap_before(item, h->items[at / 2]); at /= 2)
		h->items[at] = h->items[at / 2];
	h->items[at] = item;
}

static inline uint64_t heap_take(heap *h)
{
	uint64_t key = h->items[1].key;
	heap_item item = h->items[h->length--];
	unsigned at = 1;
	for (unsigned child; (child = 2 * at) <= h->length; at = child) {
		child += child < h->length && heap_before(h->items[child + 1], h->items[child]);
		if (!heap_before(h->items[child], item))
			break;
		h->items[at] = h->items[child];
	}
	h->items[at] = item;
	return key;
}

/*
 * The textbook queue has a mutex that guards its items, and one condition for each side. A thread
 * signals a condition only when another thread waits there. The signaller decrements the count of
 * waiters, so that a waiter that has not run yet is not signalled twice. Before a thread waits, it
 * releases the lock and yields, `yields` times.
 */
#define MONITOR_AWAIT(mon, q, blocked, waiters, cond, yields)                                                          \
	for (unsigned left = (yields); blocked;) {                                                                     \
		if (left > 0) {                                                                                        \
			left--;                                                                                        \
			mon_##mon##_unlock(&(q)->mutex);                                                               \
			sched_yield();                                                                                 \
			mon_##mon##_lock(&(q)->mutex);                                                                 \
			continue;                                                                                      \
		}                                                                                                      \
		(q)->waiters++;                                                                                        \
		mon_##mon##_wait(&(q)->cond, &(q)->mutex);                                                             \
	}
#define MONITOR_QUEUE(impl, mon, kind, yields)                                                                         \
	typedef struct impl##_##kind {                                                                                 \
		mon_##mon##_mutex mutex;                                                                               \
		mon_##mon##_cond items, space;                                                                         \
		unsigned getters, putters;                                                                             \
		kind held;                                                                                             \
	} impl##_##kind;                                                                                               \
	static impl##_##kind *impl##_##kind##_open(void)                                                               \
	{                                                                                                              \
		impl##_##kind *q = bench_alloc(sizeof *q);                                                             \
		mon_##mon##_mutex_init(&q->mutex);                                                                     \
		mon_##mon##_cond_init(&q->items);                                                                      \
		mon_##mon##_cond_init(&q->space);                                                                      \
		return q;                                                                                              \
	}                                                                                                              \
	static inline void impl##_##kind##_put(impl##_##kind *q, uint64_t item)                                        \
	{                                                                                                              \
		mon_##mon##_lock(&q->mutex);                                                                           \
		MONITOR_AWAIT(mon, q, q->held.length == QUEUE_CAPACITY, putters, space, yields)                        \
		kind##_add(&q->held, item);                                                                            \
		bool wake = q->getters > 0;                                                                            \
		q->getters -= wake;                                                                                    \
		mon_##mon##_unlock(&q->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&q->items);                                                                 \
	}                                                                                                              \
	static inline uint64_t impl##_##kind##_get(impl##_##kind *q)                                                   \
	{                                                                                                              \
		mon_##mon##_lock(&q->mutex);                                                                           \
		MONITOR_AWAIT(mon, q, q->held.length == 0, getters, items, yields)                                     \
		uint64_t item = kind##_take(&q->held);                                                                 \
		bool wake = q->putters > 0;                                                                            \
		q->putters -= wake;                                                                                    \
		mon_##mon##_unlock(&q->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&q->space);                                                                 \
		return item;                                                                                           \
	}

#define MONITOR_BENCH(impl, name, kind, bench)                                                                         \
	bench(name, impl##_##kind, impl##_##kind##_open(), free, impl##_##kind##_put, impl##_##kind##_get)
#define MONITOR_BENCHES(impl, mon, yields)                                                                             \
	MONITOR_QUEUE(impl, mon, fifo, yields)                                                                         \
	MONITOR_QUEUE(impl, mon, stack, yields)                                                                        \
	MONITOR_QUEUE(impl, mon, heap, yields)                                                                         \
	MONITOR_BENCH(impl, impl, fifo, QUEUE_BENCH)                                                                   \
	MONITOR_BENCH(impl, impl, fifo, TRIP_BENCH)                                                                    \
	MONITOR_BENCH(impl, impl##_lifo, stack, ORDER_BENCH)                                                           \
	MONITOR_BENCH(impl, impl##_priority, heap, ORDER_BENCH)
MONITOR_BENCHES(pthread, pthread, 0)
MONITOR_BENCHES(pthread_yield, pthread, BENCH_YIELDS)
MONITOR_BENCHES(nsync, nsync, 0)
MONITOR_BENCHES(nsync_yield, nsync, BENCH_YIELDS)

/*
 * Concurrency Kit's ring does not block. So one POSIX semaphore counts the free slots, and another
 * one the items. The ring holds size - 1 pointers.
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
	posix_sem_init(&q->space, 0, QUEUE_CAPACITY);
	posix_sem_init(&q->items, 0, 0);
	return q;
}

static inline void ck_ring_sem_put(ck_ring_sem *q, uint64_t item)
{
	posix_sem_acquire(&q->space);
	while (!ck_ring_enqueue_mpmc(&q->ring, q->buffer, (void *)(uintptr_t)item))
		sched_yield();
	sem_post(&q->items);
}

static inline uint64_t ck_ring_sem_get(ck_ring_sem *q)
{
	void *item;
	posix_sem_acquire(&q->items);
	while (!ck_ring_dequeue_mpmc(&q->ring, q->buffer, &item))
		sched_yield();
	sem_post(&q->space);
	return (uintptr_t)item;
}

QUEUE_BENCH(ck_ring_sem, ck_ring_sem, ck_ring_sem_open(), free, ck_ring_sem_put, ck_ring_sem_get)
TRIP_BENCH(ck_ring_sem, ck_ring_sem, ck_ring_sem_open(), free, ck_ring_sem_put, ck_ring_sem_get)

#define ORDER_ROW(case, impl)                                                                                          \
	{                                                                                                              \
		"queues/" #case, #impl, impl##_##case##_setup, impl##_##case##_run, impl##_##case##_teardown           \
	}
#define FIFO_ROWS(impl, fixed) QUEUE_ROWS("uncontended", "mpmc", #impl, impl, fixed, BENCH_PEER), TRIP_ROWS(impl)
#define MONITOR_ROWS(mon)                                                                                              \
	FIFO_ROWS(mon, 0), QUEUE_PAIR_ROWS("pair", #mon, mon), ORDER_ROW(lifo, mon), ORDER_ROW(priority, mon)

static const bench_row rows[] = {
    FIFO_ROWS(fairlead, 0),
    QUEUE_PAIR_ROWS("pair", "fairlead", fairlead_pair),
    ORDER_ROW(lifo, fairlead),
    ORDER_ROW(priority, fairlead),
    MONITOR_ROWS(pthread),
    MONITOR_ROWS(pthread_yield),
    MONITOR_ROWS(nsync),
    MONITOR_ROWS(nsync_yield),
    FIFO_ROWS(ck_ring_sem, CK_RING_FIXED),
};
BENCH_ROWS(rows)
