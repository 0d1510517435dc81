/* SPDX-License-Identifier: BSD-2-Clause */
/* Unbounded queues that do not block. Those in C++ are in queues_unbounded_cxx.cc. */
#include "queues_unbounded.h"

#include <ck_fifo.h>
#include <fairlead/mpmc.h>
#include <glib.h>
#include <urcu/wfcqueue.h>

#define FAIRLEAD(impl, one, item)                                                                                      \
	static fl_mpmc_unbounded *impl##_##item##_open(uint64_t total)                                                 \
	{                                                                                                              \
		fl_mpmc_unbounded *q = NULL;                                                                           \
		(void)total;                                                                                           \
		if (fl_mpmc_unbounded_create(&q, sizeof(item), &(fl_mpmc_unbounded_config){.one_consumer = (one)}))    \
			bench_fail("fl_mpmc_unbounded_create");                                                        \
		return q;                                                                                              \
	}                                                                                                              \
	static inline void impl##_##item##_put(fl_mpmc_unbounded *q, const item *items, size_t n)                      \
	{                                                                                                              \
		if (n == 1 ? fl_mpmc_unbounded_try_put(q, items) != 0                                                  \
		           : fl_mpmc_unbounded_try_put_many(q, items, n) != n)                                         \
			bench_fail("fl_mpmc_unbounded_try_put");                                                       \
	}                                                                                                              \
	static inline size_t impl##_##item##_get(fl_mpmc_unbounded *q, item *items, size_t n)                          \
	{                                                                                                              \
		return n == 1 ? fl_mpmc_unbounded_try_get(q, items) == 0                                               \
		              : fl_mpmc_unbounded_try_get_many(q, items, n);                                           \
	}                                                                                                              \
	UNBOUNDED_BENCH(impl, item, fl_mpmc_unbounded, impl##_##item##_open, fl_mpmc_unbounded_free,                   \
	                impl##_##item##_put, impl##_##item##_get)

FAIRLEAD(fairlead, false, item_8)
FAIRLEAD(fairlead, false, item_64)
FAIRLEAD(fairlead_mpsc, true, item_8)

/* GLib's has pointers: an item of 8 bytes is one, one of 64 comes from the allocator. */
static GAsyncQueue *glib_open(uint64_t total)
{
	(void)total;
	return g_async_queue_new();
}

static inline void glib_item_8_put(GAsyncQueue *q, const item_8 *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		g_async_queue_push(q, (gpointer)(uintptr_t)items[i].words[0]);
}

static inline size_t glib_item_8_get(GAsyncQueue *q, item_8 *items, size_t n)
{
	size_t got = 0;
	while (got < n && (items[got].words[0] = (uintptr_t)g_async_queue_try_pop(q)) != 0)
		got++;
	return got;
}

static inline void glib_item_64_put(GAsyncQueue *q, const item_64 *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		item_64 *item = malloc(sizeof *item);
		*item = items[i];
		g_async_queue_push(q, item);
	}
}

static inline size_t glib_item_64_get(GAsyncQueue *q, item_64 *items, size_t n)
{
	size_t got = 0;
	for (item_64 *item; got < n && (item = g_async_queue_try_pop(q)) != NULL; got++) {
		items[got] = *item;
		free(item);
	}
	return got;
}

UNBOUNDED_BENCH(glib, item_8, GAsyncQueue, glib_open, g_async_queue_unref, glib_item_8_put, glib_item_8_get)
UNBOUNDED_BENCH(glib, item_64, GAsyncQueue, glib_open, g_async_queue_unref, glib_item_64_put, glib_item_64_get)

/*
 * liburcu's wait-free enqueue: intrusive, so an item comes from the allocator. A consumer waits for
 * a put that is under way, and holds a mutex; it finds more than one at a time only by taking all.
 */
typedef struct urcu_queue {
	struct cds_wfcq_head head;
	BENCH_ALIGNED struct cds_wfcq_tail tail;
} urcu_queue;

static urcu_queue *urcu_open(uint64_t total)
{
	urcu_queue *q = bench_alloc(sizeof *q);
	(void)total;
	cds_wfcq_init(&q->head, &q->tail);
	return q;
}

static void urcu_close(urcu_queue *q)
{
	cds_wfcq_destroy(&q->head, &q->tail);
	free(q);
}

#define URCU(item)                                                                                                     \
	struct urcu_##item##_node {                                                                                    \
		struct cds_wfcq_node node;                                                                             \
		item value;                                                                                            \
	};                                                                                                             \
	static inline void urcu_##item##_put(urcu_queue *q, const item *items, size_t n)                               \
	{                                                                                                              \
		for (size_t i = 0; i < n; i++) {                                                                       \
			struct urcu_##item##_node *node = malloc(sizeof *node);                                        \
			cds_wfcq_node_init(&node->node);                                                               \
			node->value = items[i];                                                                        \
			cds_wfcq_enqueue(&q->head, &q->tail, &node->node);                                             \
		}                                                                                                      \
	}                                                                                                              \
	static inline size_t urcu_##item##_get_from(urcu_queue *q, item *items, size_t n, bool locked)                 \
	{                                                                                                              \
		size_t got = 0;                                                                                        \
		while (got < n) {                                                                                      \
			struct cds_wfcq_node *node = locked ? cds_wfcq_dequeue_blocking(&q->head, &q->tail)            \
			                                    : __cds_wfcq_dequeue_blocking(&q->head, &q->tail);         \
			if (!node)                                                                                     \
				break;                                                                                 \
			struct urcu_##item##_node *full = caa_container_of(node, struct urcu_##item##_node, node);     \
			items[got++] = full->value;                                                                    \
			free(full);                                                                                    \
		}                                                                                                      \
		return got;                                                                                            \
	}                                                                                                              \
	static inline size_t urcu_##item##_get(urcu_queue *q, item *items, size_t n)                                   \
	{                                                                                                              \
		return urcu_##item##_get_from(q, items, n, true);                                                      \
	}                                                                                                              \
	UNBOUNDED_BENCH(urcu, item, urcu_queue, urcu_open, urcu_close, urcu_##item##_put, urcu_##item##_get)

URCU(item_8)
URCU(item_64)

static inline size_t urcu_mpsc_item_8_get(urcu_queue *q, item_8 *items, size_t n)
{
	return urcu_item_8_get_from(q, items, n, false);
}
UNBOUNDED_BENCH(urcu_mpsc, item_8, urcu_queue, urcu_open, urcu_close, urcu_item_8_put, urcu_mpsc_item_8_get)

/*
 * Concurrency Kit's FIFO: its nodes may be read after they were taken out, so they are all made
 * before, and used once: what a program would have to spend on them is not in the figure. In 0.7.1
 * it says empty when it is not, which the loop forgives.
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
    UNBOUNDED_ROWS(fairlead),
    UNBOUNDED_ROWS(glib),
    UNBOUNDED_ROWS(urcu),
    UNBOUNDED_ROWS(ck_fifo),
    {"queues/mpsc", "fairlead", fairlead_mpsc_item_8_setup, fairlead_mpsc_item_8_mpsc, fairlead_mpsc_item_8_teardown,
     UNBOUNDED_FIXED},
    {"queues/mpsc", "urcu", urcu_mpsc_item_8_setup, urcu_mpsc_item_8_mpsc, urcu_mpsc_item_8_teardown, UNBOUNDED_FIXED},
    UNBOUNDED_ROW("mpsc", glib, item_8, mpsc),
    UNBOUNDED_ROW("mpsc", ck_fifo, item_8, mpsc),
};
BENCH_ROWS(rows)
