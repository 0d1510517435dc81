/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounded blocking queues of other orders than FIFO. Those in C++ are in queues_order_cxx.cc. */
#include "queues_order.h"
#include "monitor.h"

#include <fairlead/queue.h>

FL_QUEUE_OF(uint64_t, u64_queue)

static int by_value(const void *a, const void *b, void *unused)
{
	const uint64_t *x = a, *y = b;
	(void)unused;
	return (*x > *y) - (*x < *y);
}

static u64_queue *fairlead_open(fl_queue_config config)
{
	u64_queue *q = NULL;
	config.capacity = QUEUE_CAPACITY;
	if (u64_queue_create(&q, &config))
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

#define NEWEST ((fl_queue_config){.order = FL_LIFO})
#define LEAST ((fl_queue_config){.order = FL_PRIORITY, .compare = by_value})
ORDER_BENCH(fairlead_lifo, u64_queue, fairlead_open(NEWEST), u64_queue_free, fairlead_put, fairlead_get)
ORDER_BENCH(fairlead_priority, u64_queue, fairlead_open(LEAST), u64_queue_free, fairlead_put, fairlead_get)

/*
 * What the monitors below guard: an array, and a binary heap in which equal keys keep their order
 * by a number.
 */
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
	heap_item items[QUEUE_CAPACITY + 1]; /* the first is unused */
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

/* As the queue of queues_mpmc.c. */
#define MONITOR_ORDER(mon, kind)                                                                                       \
	typedef struct mon##_##kind {                                                                                  \
		mon_##mon##_mutex mutex;                                                                               \
		mon_##mon##_cond items, space;                                                                         \
		unsigned getters, putters;                                                                             \
		kind held;                                                                                             \
	} mon##_##kind;                                                                                                \
	static mon##_##kind *mon##_##kind##_open(void)                                                                 \
	{                                                                                                              \
		mon##_##kind *q = bench_alloc(sizeof *q);                                                              \
		mon_##mon##_mutex_init(&q->mutex);                                                                     \
		mon_##mon##_cond_init(&q->items);                                                                      \
		mon_##mon##_cond_init(&q->space);                                                                      \
		return q;                                                                                              \
	}                                                                                                              \
	static inline void mon##_##kind##_put(mon##_##kind *q, uint64_t item)                                          \
	{                                                                                                              \
		mon_##mon##_lock(&q->mutex);                                                                           \
		while (q->held.length == QUEUE_CAPACITY) {                                                             \
			q->putters++;                                                                                  \
			mon_##mon##_wait(&q->space, &q->mutex);                                                        \
		}                                                                                                      \
		kind##_add(&q->held, item);                                                                            \
		bool wake = q->getters > 0;                                                                            \
		q->getters -= wake;                                                                                    \
		mon_##mon##_unlock(&q->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&q->items);                                                                 \
	}                                                                                                              \
	static inline uint64_t mon##_##kind##_get(mon##_##kind *q)                                                     \
	{                                                                                                              \
		mon_##mon##_lock(&q->mutex);                                                                           \
		while (q->held.length == 0) {                                                                          \
			q->getters++;                                                                                  \
			mon_##mon##_wait(&q->items, &q->mutex);                                                        \
		}                                                                                                      \
		uint64_t item = kind##_take(&q->held);                                                                 \
		bool wake = q->putters > 0;                                                                            \
		q->putters -= wake;                                                                                    \
		mon_##mon##_unlock(&q->mutex);                                                                         \
		if (wake)                                                                                              \
			mon_##mon##_signal(&q->space);                                                                 \
		return item;                                                                                           \
	}                                                                                                              \
	ORDER_BENCH(mon##_##kind, mon##_##kind, mon##_##kind##_open(), free, mon##_##kind##_put, mon##_##kind##_get)

MONITOR_ORDER(pthread, stack)
MONITOR_ORDER(pthread, heap)
MONITOR_ORDER(nsync, stack)
MONITOR_ORDER(nsync, heap)

static const bench_row rows[] = {
    ORDER_ROW("lifo", "fairlead", fairlead_lifo),   ORDER_ROW("lifo", "pthread", pthread_stack),
    ORDER_ROW("lifo", "nsync", nsync_stack),        ORDER_ROW("priority", "fairlead", fairlead_priority),
    ORDER_ROW("priority", "pthread", pthread_heap), ORDER_ROW("priority", "nsync", nsync_heap),
};
BENCH_ROWS(rows)
