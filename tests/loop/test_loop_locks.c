/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library's waits in the fibers of a loop: each suspends the fiber and not the thread, for any
 * partner. test_loop_locks_work.c has executors and waits for several objects,
 * test_loop_locks_shared.c the shared kinds, test_loop_locks_order.c the order.
 */
#include "fl_in_loop.h"
#include "fl_kinds.h"

static void make_kind(void *kind)
{
	((const fl_kind *)kind)->make();
}

static int wait_for_kind(void *kind)
{
	const fl_kind *k = kind;
	return k->wait(NULL, FL_FOREVER, NULL) == k->done ? 0 : -EPIPE;
}

/* A waiter on a thread may not be enqueued yet, and a condition would lose the signal. */
static void finish_kind(void *kind)
{
	FL_WAIT_FOR(fl_kind_is_queued(kind));
	((const fl_kind *)kind)->finish();
}

static void clear_kind(void *kind)
{
	((const fl_kind *)kind)->clear();
}

/* The waker makes the object: it owns the lock for which the other context waits. */
FL_TEST(loop_locks_each_kind)
{
	FL_EACH (i, fl_kinds) {
		print_message("%s\n", fl_kinds[i].name);
		FL_MEET(.object = (void *)&fl_kinds[i], .hold = make_kind, .wait = wait_for_kind, .wake = finish_kind,
		        .end = clear_kind);
	}
}

/* Queues, from both sides. */
typedef struct store {
	fl_queue *queue;
	int rounds;
} store;

static void make_queue(void *arg)
{
	((store *)arg)->queue = FL_TEST_QUEUE(int, .capacity = 2);
}

static void free_queue(void *arg)
{
	const store *s = arg;
	FL_CHECK(fl_queue_length(s->queue) == 0);
	fl_queue_free(s->queue);
}

static int get_items(void *arg)
{
	const store *s = arg;
	for (int i = 1, item; i <= s->rounds; i++)
		FL_CHECK(fl_queue_get(s->queue, &item) == 0 && item == i);
	return 0;
}

static int put_items(void *arg)
{
	const store *s = arg;
	for (int i = 1; i <= s->rounds; i++)
		FL_OK(fl_queue_put(s->queue, &i));
	return 0;
}

static void then_put(void *arg)
{
	(void)put_items(arg);
}

static void then_get(void *arg)
{
	(void)get_items(arg);
}

FL_TEST(loop_locks_queue_get)
{
	store s = {NULL, 100};
	FL_MEET(.object = &s, .begin = make_queue, .end = free_queue, .wait = get_items, .wake = then_put);
}

FL_TEST(loop_locks_queue_put)
{
	store s = {NULL, 100};
	FL_MEET(.object = &s, .begin = make_queue, .end = free_queue, .wait = put_items, .wake = then_get);
}

static void make_queue_with_work(void *arg)
{
	store *s = arg;
	make_queue(s);
	(void)put_items(s);
}

static int wait_for_work(void *arg)
{
	return fl_queue_join(((const store *)arg)->queue);
}

static void do_work(void *arg)
{
	const store *s = arg;
	(void)get_items(arg);
	for (int i = 0; i < s->rounds; i++)
		fl_queue_task_done(s->queue);
}

FL_TEST(loop_locks_queue_join)
{
	store s = {NULL, 2};
	FL_MEET(.object = &s, .begin = make_queue_with_work, .end = free_queue, .wait = wait_for_work, .wake = do_work);
}

static int get_from_closed(void *arg)
{
	int item;
	return fl_queue_get(((const store *)arg)->queue, &item) == -EPIPE ? 0 : -EINVAL;
}

static void close_queue(void *arg)
{
	fl_queue_close(((const store *)arg)->queue);
}

FL_TEST(loop_locks_queue_close)
{
	store s = {NULL, 0};
	FL_MEET(.object = &s, .begin = make_queue, .end = free_queue, .wait = get_from_closed, .wake = close_queue);
}
