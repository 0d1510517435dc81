/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The number of futex wakes of a put or a get, over all threads: none without sleepers, and at most
 * one with any number of sleepers; a batch at most one for each of its items. Counted at the table
 * of system calls. A lock of the library whose holder has lost its CPU causes further wakes: so
 * only those of the words on which the sleepers sleep count.
 */
#include "fl_blocked.h"
#include "fl_queued.h"

#include "core/queue/queue.h"

enum { SLEEPERS = 6, KINDS = 6 };

/* A queue of each kind; the last two have no putters that wait. */
static fl_queue *queue_of_kind(unsigned kind)
{
	const fl_queue_config kinds[KINDS] = {
	    {.order = FL_FIFO, .capacity = SLEEPERS},
	    {.order = FL_LIFO, .capacity = SLEEPERS},
	    {.order = FL_PRIORITY, .capacity = SLEEPERS, .compare = fl_test_by_value},
	    {.order = FL_FIFO, .capacity = FL_RENDEZVOUS},
	    {.order = FL_FIFO, .capacity = SLEEPERS, .when_full = FL_OVERWRITE},
	    {.order = FL_FIFO, .capacity = FL_UNBOUNDED},
	};
	return FL_TEST_QUEUE_OF(sizeof(int), &kinds[kind]);
}

enum { FIFO, LIFO, PRIORITY, RENDEZVOUS, OVERWRITE, UNBOUNDED };

static uint32_t returned,
    /* Returned sleepers; whether they may end, since a thread's end may sleep, too. Atomic. */
    may_go;

static int say(int rc)
{
	__atomic_fetch_add(&returned, 1, __ATOMIC_RELEASE); /* pairs with the acquire in await() */
	FL_WAIT_FOR(__atomic_load_n(&may_go, __ATOMIC_RELAXED));
	return rc;
}

static int get_and_say(struct blocked *b)
{
	return say(fl_queue_get(b->q, b->items));
}

static int put_and_say(struct blocked *b)
{
	return say(fl_queue_put(b->q, b->items));
}

/* Of the sleepers; all NULL: there are none, and every wake counts. Atomic. */
static const uint32_t *words[SLEEPERS];
static unsigned wakes; /* atomic */

static int count_wake(const uint32_t *word, int n)
{
	bool counts = !LOOK(&words[0]);
	FL_EACH (i, words)
		counts = counts || word == LOOK(&words[i]);
	if (counts)
		COUNT(&wakes);
	return seam_futex_wake(word, n);
}

__attribute__((constructor)) static void count_wakes(void)
{
	fl__sys.futex_wake = count_wake;
}

static void count_from_now(void)
{
	SET(&wakes, 0);
}

/* All threads sleep, or have returned. */
static void assert_wakes(unsigned n)
{
	assert_int_equal(LOOK(&wakes), n);
}

static void begin(struct blocked *b, int (*op)(struct blocked *b), fl_queue *q)
{
	__atomic_store_n(&returned, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&may_go, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < SLEEPERS; i++) {
		b[i] = (struct blocked){.op = op, .q = q, .items = {i + 1}};
		blocked_begin(&b[i]);
	}
	pthread_mutex_lock(&seam_lock);
	const struct seam_sleeper *s = seam_first;
	for (int i = 0; i < SLEEPERS; i++, s = s->next)
		SET(&words[i], s->word);
	pthread_mutex_unlock(&seam_lock);
	count_from_now();
}

/* Until so many have come back; the rest sleeps. */
static void await(unsigned n)
{
	FL_WAIT_FOR(__atomic_load_n(&returned, __ATOMIC_ACQUIRE) == n);
	assert_int_equal(seam_sleepers(), SLEEPERS - n);
}

static void end(struct blocked *b)
{
	__atomic_store_n(&may_go, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < SLEEPERS; i++)
		FL_OK(blocked_end(&b[i]));
	FL_EACH (i, words)
		SET(&words[i], NULL);
}

FL_TEST(queue_makes_no_wake_without_sleepers)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		FL_SCOPED(fl_queue) *q = queue_of_kind(kind);
		int item = 1, items[SLEEPERS] = {0};
		size_t count;
		/* One has slept, and gone: a mark that it left behind costs no wake either. */
		FL_RC(fl_queue_get_until(q, &item, fl_after(FL_US(100)), NULL), -ETIMEDOUT);
		count_from_now();
		for (int i = 0; i < 3 && kind != RENDEZVOUS; i++) {
			FL_OK(fl_queue_put(q, &item));
			FL_OK(fl_queue_get(q, &item));
			FL_MANY(0, SLEEPERS, fl_queue_put_many, q, items, SLEEPERS);
			FL_MANY(0, SLEEPERS, fl_queue_get_many, q, items, SLEEPERS);
			FL_OK(fl_queue_put_many_until(q, items, SLEEPERS, &count, FL_FOREVER, NULL));
			if (kind < OVERWRITE)
				FL_RC(fl_queue_put_until(q, &item, fl_after(FL_US(100)), NULL), -ETIMEDOUT);
			FL_OK(fl_queue_get_many_until(q, items, SLEEPERS, &count, FL_FOREVER, NULL));
		}
		FL_RC(fl_queue_try_get(q, &item), -EAGAIN);
		fl_queue_close(q);
		assert_wakes(0);
	}
}

/*
 * wakeup_stranded is the opposite: a sleeper that the put does not wake is woken by the woken one.
 */
FL_TEST(queue_put_makes_one_wake)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		FL_SCOPED(fl_queue) *q = queue_of_kind(kind);
		struct blocked get[SLEEPERS];
		begin(get, get_and_say, q);
		for (unsigned i = 1; i <= SLEEPERS; i++) {
			count_from_now();
			FL_OK(i % 2 ? fl_queue_put(q, &(int){1}) : fl_queue_try_put(q, &(int){1}));
			await(i);
			assert_wakes(1);
		}
		end(get);
		count_from_now();
		if (kind != RENDEZVOUS)
			PUTS(q, 1);
		assert_wakes(0);
	}
}

FL_TEST(queue_get_makes_one_wake)
{
	for (unsigned kind = FIFO; kind <= RENDEZVOUS; kind++) {
		FL_SCOPED(fl_queue) *q = queue_of_kind(kind);
		struct blocked put[SLEEPERS];
		int item;
		for (int i = 0; i < SLEEPERS && kind != RENDEZVOUS; i++)
			FL_OK(fl_queue_put(q, &i));
		begin(put, put_and_say, q);
		for (unsigned i = 1; i <= SLEEPERS; i++) {
			count_from_now();
			FL_OK(i % 2 ? fl_queue_get(q, &item) : fl_queue_try_get(q, &item));
			await(i);
			assert_wakes(1);
		}
		end(put);
	}
}

/* Faster than the woken come: as many wakes as puts, at most; all are served. */
FL_TEST(queue_puts_make_a_wake_each_at_most)
{
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (unsigned i = 0, rounds = fl_test_scaled(10); i < rounds; i++) {
			FL_SCOPED(fl_queue) *q = queue_of_kind(kind);
			struct blocked get[SLEEPERS];
			begin(get, get_and_say, q);
			for (unsigned n = 0; n < SLEEPERS; n++)
				PUTS(q, 1);
			await(SLEEPERS);
			assert_wakes(SLEEPERS);
			end(get);
		}
}

/* The call makes one wake, and each woken thread the next one: as many as there are items. */
FL_TEST(queue_batch_makes_a_wake_for_each_item_at_most)
{
	const int items[SLEEPERS] = {1, 2, 3, 4, 5, 6};
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (unsigned n = 1; n <= SLEEPERS; n++) {
			FL_SCOPED(fl_queue) *q = queue_of_kind(kind);
			struct blocked get[SLEEPERS];
			begin(get, get_and_say, q);
			FL_MANY(0, n, fl_queue_put_many, q, items, n);
			await(n);
			assert_wakes(n);
			FL_MANY(0, SLEEPERS - n, fl_queue_put_many, q, items, SLEEPERS - n);
			end(get);
		}
}

/*
 * Any object at the queue's place, at any word of it: the queue's late wakes leave its waiters
 * alone.
 */
FL_TEST(queue_stray_wake_reused_memory)
{
	static _Alignas(max_align_t) unsigned char memory[sizeof(fl_queue)];
	fl_queue *gone = (fl_queue *)(void *)memory;
	for (size_t at = 0; at < sizeof memory; at += sizeof(uint32_t)) {
		struct fl__wait wait;
		struct fl__lot lot;
		fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
		struct fl__node node = FL__NODE(&wait);
		fl__lot_open(&lot, memory + at);
		fl__lot_add(&lot, &node);
		fl__lot_close(&lot);
		fl__queue_wake(gone, FL__CONSUMERS);
		fl__queue_wake(gone, FL__PRODUCERS);
		assert_true(node.queued);
		fl__lot_leave(&node);
	}
}
