/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes: lock, count, (100 ns of work), unlock; nothing outside the lock. The threads share one budget of operations,
 * kept under the lock: so they contend until the end, and how many each of them got shows how fair the lock is.
 */
#include "shim.h"

#include <ck_spinlock.h>
#include <fairlead/mutex.h>
#include <glib.h>
#include <nsync.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* The data that the lock guards: plain, so that a lock that does not exclude gives a wrong count. */
typedef struct lock_data {
	uint64_t count, total;
	uint64_t work;
} lock_data;

/* How many rounds of lock_work() take 100 ns; measured once, the same for all. */
static unsigned lock_rounds;
static pthread_once_t lock_calibrated = PTHREAD_ONCE_INIT;

static inline uint64_t lock_work(uint64_t x, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		x = x * 6364136223846793005u + 1442695040888963407u;
	return x;
}

static void lock_calibrate(void)
{
	enum { ROUNDS = 10000, TRIES = 50 };
	volatile uint64_t sink = 1;
	int64_t best = INT64_MAX;
	for (int i = 0; i < TRIES; i++) {
		int64_t start = bench_now();
		sink = lock_work(sink, ROUNDS);
		int64_t took = bench_now() - start;
		if (took < best)
			best = took;
	}
	lock_rounds = best > 0 ? (unsigned)(100 * (int64_t)ROUNDS / best) : ROUNDS;
}

static void *lock_setup(lock_data *data, uint64_t total)
{
	pthread_once(&lock_calibrated, lock_calibrate);
	data->total = total;
	return data;
}

static void lock_teardown(void *state, uint64_t total)
{
	lock_data *data = state;
	if (data->count != total)
		bench_fail("a mutex counted %llu of %llu", (unsigned long long)data->count, (unsigned long long)total);
	free(state);
}

/* The rows of one implementation. `lock` and `unlock` are statements on `m`; `node` is what a queued lock needs a thread. */
#define LOCK_BENCH(impl, type, node_type, init, lock, unlock)                                                          \
	struct impl##_state {                                                                                          \
		lock_data data;                                                                                        \
		BENCH_ALIGNED type mutex;                                                                              \
	};                                                                                                             \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		struct impl##_state *s = bench_alloc(sizeof *s);                                                       \
		type *m = &s->mutex;                                                                                   \
		(void)threads;                                                                                         \
		init;                                                                                                  \
		return lock_setup(&s->data, total);                                                                    \
	}                                                                                                              \
	static inline __attribute__((always_inline)) void impl##_loop(bench_thread *t, unsigned rounds)                \
	{                                                                                                              \
		struct impl##_state *s = t->state;                                                                     \
		type *m = &s->mutex;                                                                                   \
		node_type node;                                                                                        \
		(void)node;                                                                                            \
		uint64_t done = 0;                                                                                     \
		for (bool over = false; !over;) {                                                                      \
			lock;                                                                                          \
			over = s->data.count == s->data.total;                                                         \
			if (!over) {                                                                                   \
				s->data.count++;                                                                       \
				if (rounds > 0)                                                                        \
					s->data.work = lock_work(s->data.work, rounds);                                \
				done++;                                                                                \
			}                                                                                              \
			unlock;                                                                                        \
		}                                                                                                      \
		t->done = done;                                                                                        \
	}                                                                                                              \
	static void impl##_empty(bench_thread *t)                                                                      \
	{                                                                                                              \
		impl##_loop(t, 0);                                                                                     \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_100ns(bench_thread *t)                                              \
	{                                                                                                              \
		impl##_loop(t, lock_rounds);                                                                           \
	}

LOCK_BENCH(fairlead, fl_mutex, char, fl_mutex_init(m), fl_mutex_lock(m), fl_mutex_unlock(m))
LOCK_BENCH(pthread, pthread_mutex_t, char, pthread_mutex_init(m, NULL), pthread_mutex_lock(m), pthread_mutex_unlock(m))
LOCK_BENCH(nsync, nsync_mu, char, nsync_mu_init(m), nsync_mu_lock(m), nsync_mu_unlock(m))
LOCK_BENCH(glib, GMutex, char, g_mutex_init(m), g_mutex_lock(m), g_mutex_unlock(m))
LOCK_BENCH(ck_fas, ck_spinlock_fas_t, char, ck_spinlock_fas_init(m), ck_spinlock_fas_lock(m), ck_spinlock_fas_unlock(m))
LOCK_BENCH(ck_ticket, ck_spinlock_ticket_t, char, ck_spinlock_ticket_init(m), ck_spinlock_ticket_lock(m),
           ck_spinlock_ticket_unlock(m))
LOCK_BENCH(ck_mcs, ck_spinlock_mcs_t, ck_spinlock_mcs_context_t, ck_spinlock_mcs_init(m),
           ck_spinlock_mcs_lock(m, &node), ck_spinlock_mcs_unlock(m, &node))

/* The least that can be paid for a lock that nobody else wants: one compare-and-swap, one plain store. */
static inline void cas_lock(atomic_uint *m)
{
	unsigned free_word = 0;
	while (!atomic_compare_exchange_weak_explicit(m, &free_word, 1, memory_order_acquire, memory_order_relaxed))
		free_word = 0;
}

LOCK_BENCH(cas, atomic_uint, char, atomic_init(m, 0), cas_lock(m), atomic_store_explicit(m, 0, memory_order_release))

#define LOCK_UNCONTENDED(impl)                                                                                         \
	{                                                                                                              \
		"locks/mutex_uncontended", #impl, impl##_setup, impl##_empty, lock_teardown, 0                         \
	}
#define LOCK_ROWS(impl, fixed)                                                                                         \
	LOCK_UNCONTENDED(impl), {"locks/mutex_empty", #impl, impl##_setup, impl##_empty, lock_teardown, fixed},        \
	{                                                                                                              \
		"locks/mutex_100ns", #impl, impl##_setup, impl##_100ns, lock_teardown, fixed                           \
	}

/*
 * A spin lock that hands over in order waits for whole time slices when the next in line does not run: 30 us an operation
 * instead of 0.1, some runs. So its operations are counted out, lest the suite takes minutes.
 */
enum { LOCK_FIXED = 10000 };

static const bench_row rows[] = {
    LOCK_ROWS(fairlead, 0),        LOCK_ROWS(pthread, 0),
    LOCK_ROWS(nsync, 0),           LOCK_ROWS(glib, 0),
    LOCK_ROWS(ck_fas, 0),          LOCK_ROWS(ck_ticket, LOCK_FIXED),
    LOCK_ROWS(ck_mcs, LOCK_FIXED), LOCK_UNCONTENDED(cas),
};
BENCH_ROWS(rows)
