/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures what an operation on a queue or a lock costs, for `./dev stress --traffic`. All threads
 * do their share once, so that all memory is in use. Then they meet, and do their share once more
 * while the traffic is counted. The name of a row ends in the number of threads: either of
 * producers and consumers (`2p1c`), or of all threads.
 */
#include "scaling.h"
#include <fairlead.h>

enum { OPERATIONS = 16000, READS = 160000, ROUNDS = 1000, MOST = 32 };

/* What the thread with this index does. */
typedef void share(unsigned index);

static share *work;
static unsigned threads, producers, pauses, read_of_100; /* pauses: how many follow each put */
static atomic_uint arrived;
static fl_mpmc *ring;
static fl_queue *queue;
static _Alignas(64) fl_mutex mutex = FL_MUTEX_INIT;
static _Alignas(64) fl_rwlock rwlock = FL_RWLOCK_INIT;
static _Alignas(64) fl_barrier barrier;

/* Waits for all threads. `n` is the number of the meeting, from 1 on. */
static void meet(unsigned n)
{
	COUNT(&arrived);
	while (LOOK(&arrived) < n * threads)
		fl_stress_relax();
}

static int take_part(void *index)
{
	const unsigned i = *(unsigned *)index;
	meet(1);
	work(i);
	meet(2);
	if (i == 0)
		fl_stress_traffic(0);
	meet(3);
	work(i);
	return 0;
}

static void measure(share *each, unsigned n, unsigned operations)
{
	fl_thread *others[MOST] = {NULL};
	unsigned index[MOST] = {0};
	work = each;
	threads = n;
	for (unsigned i = 1; i < n; i++) {
		index[i] = i;
		OK(fl_thread_start(&others[i], take_part, &index[i], NULL));
	}
	OK(take_part(&index[0]));
	for (unsigned i = 1; i < n; i++)
		OK(fl_thread_join(others[i], NULL));
	fl_stress_traffic(operations);
}

static void ring_share(unsigned i)
{
	uint64_t item = i;
	for (unsigned n = OPERATIONS / (threads / 2); n > 0; n--)
		while ((i < producers ? fl_mpmc_try_put(ring, &item) : fl_mpmc_try_get(ring, &item)) != 0)
			fl_stress_relax();
}

static void queue_share(unsigned i)
{
	uint64_t item = i;
	for (unsigned n = OPERATIONS / (i < producers ? producers : threads - producers); n > 0; n--) {
		OK(i < producers ? fl_queue_put(queue, &item) : fl_queue_get(queue, &item));
		for (unsigned turns = i < producers ? pauses : 0; turns > 0; turns--)
			fl_stress_relax();
	}
}

static void rwlock_share(unsigned unused)
{
	(void)unused;
	for (unsigned n = READS / threads; n > 0; n--) {
		if (n % 100 < read_of_100) {
			fl_rwlock_read_lock(&rwlock);
			fl_rwlock_read_unlock(&rwlock);
		} else {
			fl_rwlock_write_lock(&rwlock);
			fl_rwlock_write_unlock(&rwlock);
		}
	}
}

static void mutex_share(unsigned unused)
{
	(void)unused;
	for (unsigned n = OPERATIONS / threads; n > 0; n--) {
		fl_mutex_lock(&mutex);
		fl_mutex_unlock(&mutex);
	}
}

static void barrier_share(unsigned unused)
{
	(void)unused;
	for (unsigned n = ROUNDS; n > 0; n--)
		FL_STRESS_CHECK(fl_barrier_wait(&barrier) >= 0);
}

#define RING(n, all)                                                                                                   \
	TRAFFIC(ring_##n##p##n##c, producers = n; OK(fl_mpmc_create(&ring, sizeof(uint64_t), 1024));                   \
	        measure(ring_share, all, OPERATIONS); fl_mpmc_free(ring))

#define QUEUE(name, turns, put, get, ...)                                                                              \
	TRAFFIC(name##_##put##p##get##c, pauses = turns; producers = put;                                              \
	        OK(fl_queue_create(&queue, sizeof(uint64_t), &(fl_queue_config){__VA_ARGS__}));                        \
	        measure(queue_share, put + get, OPERATIONS); fl_queue_free(queue))

#define RWLOCK(percent, n) TRAFFIC(reads_##percent##_##n, read_of_100 = percent; measure(rwlock_share, n, READS))

#define MUTEX(n) TRAFFIC(mutex_##n, measure(mutex_share, n, OPERATIONS))

#define BARRIER(n) TRAFFIC(barrier_##n, OK(fl_barrier_init(&barrier, n)); measure(barrier_share, n, ROUNDS))

RING(1, 2)
RING(2, 4)
RING(4, 8)
RING(8, 16)
QUEUE(queue, 0, 1, 1, .capacity = 1024)
QUEUE(queue, 0, 2, 2, .capacity = 1024)
QUEUE(queue, 0, 4, 4, .capacity = 1024)
QUEUE(queue, 0, 8, 8, .capacity = 1024)
QUEUE(queue, 0, 8, 1, .capacity = 1024)
QUEUE(unbounded, 0, 1, 1, .capacity = FL_UNBOUNDED)
QUEUE(unbounded, 0, 4, 4, .capacity = FL_UNBOUNDED)
QUEUE(unbounded, 0, 2, 1, .capacity = FL_UNBOUNDED, .one_consumer = true)
QUEUE(unbounded, 0, 8, 1, .capacity = FL_UNBOUNDED, .one_consumer = true)
QUEUE(unbounded_slow, 2, 1, 1, .capacity = FL_UNBOUNDED)
QUEUE(unbounded_slow, 4, 2, 1, .capacity = FL_UNBOUNDED, .one_consumer = true)
QUEUE(unbounded_slow, 16, 8, 1, .capacity = FL_UNBOUNDED, .one_consumer = true)
RWLOCK(100, 1)
RWLOCK(100, 2)
RWLOCK(100, 4)
RWLOCK(100, 16)
RWLOCK(95, 1)
RWLOCK(95, 2)
RWLOCK(95, 4)
RWLOCK(95, 16)
MUTEX(1)
MUTEX(2)
MUTEX(4)
MUTEX(16)
BARRIER(4)
BARRIER(8)
BARRIER(16)
