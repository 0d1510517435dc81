/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures mutexes and spin locks of C. */
#include "shim.h"

#include <ck_spinlock.h>
#include <fairlead/mutex.h>
#include <nsync.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * The workload of mutexes: lock, count, work for some time (in some cases), unlock. The threads
 * share one budget of operations, which is kept under the lock. So they contend until the end, and
 * the number of operations that each thread got shows how fair the lock is. If a case has a span of
 * time instead of a budget, each thread also notes its longest wait.
 */

/*
 * The data that the lock guards. They are plain variables, so that a lock that does not exclude
 * gives a wrong count.
 */
typedef struct lock_data {
	/* `done`: in a case with a span, how many operations the threads report */
	uint64_t count, total, done;
	uint64_t work;
} lock_data;

static inline void lock_teardown(void *state, uint64_t total)
{
	lock_data *data = state;
	bench_counted("a lock", data->count, data->done > 0 ? data->done : total);
	free(state);
}

/*
 * Defines the functions of one implementation. `lock` and `unlock` are statements on `m`, a pointer
 * to the mutex.
 */
#define LOCK_BENCH(impl, type, init, lock, unlock)                                                                     \
	typedef struct impl##_state {                                                                                  \
		lock_data data;                                                                                        \
		BENCH_ALIGNED type mutex;                                                                              \
	} impl##_state;                                                                                                \
	static void *impl##_setup(const bench_setting *with)                                                           \
	{                                                                                                              \
		impl##_state *s = bench_alloc(sizeof *s);                                                              \
		type *m = &s->mutex;                                                                                   \
		bench_rounds(); /* measures once, which takes its time */                                              \
		init;                                                                                                  \
		s->data.total = with->total;                                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	static inline __attribute__((always_inline)) void impl##_loop(bench_thread *t, unsigned rounds)                \
	{                                                                                                              \
		impl##_state *s = t->state;                                                                            \
		type *m = &s->mutex;                                                                                   \
		uint64_t done = 0;                                                                                     \
		for (bool over = false; !over;) {                                                                      \
			lock;                                                                                          \
			over = s->data.count == s->data.total;                                                         \
			if (!over) {                                                                                   \
				s->data.count++;                                                                       \
				if (rounds > 0)                                                                        \
					s->data.work = bench_work(s->data.work, rounds);                               \
				done++;                                                                                \
			}                                                                                              \
			unlock;                                                                                        \
		}                                                                                                      \
		t->done = done;                                                                                        \
	}                                                                                                              \
	LOCK_RUN(impl, empty, loop, 0)                                                                                 \
	LOCK_RUN(impl, 100ns, loop, bench_rounds())                                                                    \
	LOCK_RUN(impl, 1us, loop, 10 * bench_rounds())

#define LOCK_RUN(impl, name, how, rounds)                                                                              \
	__attribute__((unused)) static void impl##_##name(bench_thread *t)                                             \
	{                                                                                                              \
		impl##_##how(t, rounds);                                                                               \
	}

/*
 * Runs until the span is over. Reads the clock once before each lock, and once while it holds the
 * lock.
 */
#define SPAN_BENCH(impl, type, lock, unlock)                                                                           \
	static inline __attribute__((always_inline)) void impl##_span(bench_thread *t, unsigned rounds)                \
	{                                                                                                              \
		impl##_state *s = t->state;                                                                            \
		type *m = &s->mutex;                                                                                   \
		uint64_t done = 0;                                                                                     \
		int64_t longest = 0;                                                                                   \
		for (bool over = false; !over;) {                                                                      \
			int64_t asked = bench_now();                                                                   \
			lock;                                                                                          \
			int64_t got = bench_now();                                                                     \
			over = got >= t->until;                                                                        \
			longest = got - asked > longest ? got - asked : longest;                                       \
			s->data.count++;                                                                               \
			if (rounds > 0)                                                                                \
				s->data.work = bench_work(s->data.work, rounds);                                       \
			done++;                                                                                        \
			if (over)                                                                                      \
				s->data.done += done;                                                                  \
			unlock;                                                                                        \
		}                                                                                                      \
		t->done = done;                                                                                        \
		t->longest = longest;                                                                                  \
	}                                                                                                              \
	LOCK_RUN(impl, fair_empty, span, 0)                                                                            \
	LOCK_RUN(impl, fair_100ns, span, bench_rounds())                                                               \
	LOCK_RUN(impl, fair_1us, span, 10 * bench_rounds())

/*
 * The hand-over: one operation is from one thread to the other and back. There are three locks in a
 * ring, and each thread always holds one. It locks the next lock, which the other thread holds or
 * has just released, and then unlocks the lock behind. So every lock waits for an unlock by the
 * other thread. Each lock has a count beside it.
 */
enum { HANDOFF_LOCKS = 3 };

#define HANDOFF_BENCH(impl, type, init, lock, unlock)                                                                  \
	typedef struct impl##_link {                                                                                   \
		BENCH_ALIGNED type mutex;                                                                              \
		uint64_t count;                                                                                        \
	} impl##_link;                                                                                                 \
	typedef struct impl##_ring {                                                                                   \
		impl##_link links[HANDOFF_LOCKS];                                                                      \
		pthread_barrier_t begin;                                                                               \
	} impl##_ring;                                                                                                 \
	static void *impl##_ring_setup(const bench_setting *with)                                                      \
	{                                                                                                              \
		impl##_ring *s = bench_alloc(sizeof *s);                                                               \
		for (int i = 0; i < HANDOFF_LOCKS; i++) {                                                              \
			type *m = &s->links[i].mutex;                                                                  \
			init;                                                                                          \
		}                                                                                                      \
		pthread_barrier_init(&s->begin, NULL, (unsigned)with->threads);                                        \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_ring_run(bench_thread *t)                                                                   \
	{                                                                                                              \
		impl##_ring *s = t->state;                                                                             \
		int held = t->index;                                                                                   \
		type *m = &s->links[held].mutex;                                                                       \
		lock;                                                                                                  \
		pthread_barrier_wait(&s->begin);                                                                       \
		BENCH_EACH (i, t) {                                                                                    \
			int next = (held + 1) % HANDOFF_LOCKS;                                                         \
			m = &s->links[next].mutex;                                                                     \
			lock;                                                                                          \
			s->links[next].count++;                                                                        \
			m = &s->links[held].mutex;                                                                     \
			unlock;                                                                                        \
			held = next;                                                                                   \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
		m = &s->links[held].mutex;                                                                             \
		unlock;                                                                                                \
	}                                                                                                              \
	static void impl##_ring_teardown(void *state, uint64_t total)                                                  \
	{                                                                                                              \
		impl##_ring *s = state;                                                                                \
		uint64_t count = 0;                                                                                    \
		for (int i = 0; i < HANDOFF_LOCKS; i++)                                                                \
			count += s->links[i].count;                                                                    \
		bench_counted("handed over", count, 2 * total);                                                        \
		pthread_barrier_destroy(&s->begin);                                                                    \
		free(s);                                                                                               \
	}

/* Defines all workloads for a lock whose waiters sleep. */
#define SLEEPING_LOCK(impl, type, init, lock, unlock)                                                                  \
	LOCK_BENCH(impl, type, init, lock, unlock)                                                                     \
	SPAN_BENCH(impl, type, lock, unlock)                                                                           \
	HANDOFF_BENCH(impl, type, init, lock, unlock)

SLEEPING_LOCK(fairlead, fl_mutex, fl_mutex_init(m), fl_mutex_lock(m), fl_mutex_unlock(m))
SLEEPING_LOCK(pthread, pthread_mutex_t, pthread_mutex_init(m, NULL), pthread_mutex_lock(m), pthread_mutex_unlock(m))
SLEEPING_LOCK(nsync, nsync_mu, nsync_mu_init(m), nsync_mu_lock(m), nsync_mu_unlock(m))
LOCK_BENCH(ck_fas, ck_spinlock_fas_t, ck_spinlock_fas_init(m), ck_spinlock_fas_lock(m), ck_spinlock_fas_unlock(m))
LOCK_BENCH(ck_ticket, ck_spinlock_ticket_t, ck_spinlock_ticket_init(m), ck_spinlock_ticket_lock(m),
           ck_spinlock_ticket_unlock(m))

/*
 * A ticket lock hands over in order. If the next waiter does not run, all others wait for whole
 * time slices: in some runs 30 us an operation instead of 0.1. So each run has a fixed number of
 * operations; otherwise the suite would take minutes.
 */
enum { LOCK_FIXED = 10000 };

#define LOCK_ROW(impl, of, run, fixed, role)                                                                           \
	{                                                                                                              \
		"locks/mutex_" of, #impl, impl##_setup, impl##_##run, lock_teardown, fixed, role                       \
	}
#define LOCK_ROWS(impl, fixed, role)                                                                                   \
	LOCK_ROW(impl, "uncontended", empty, 0, role), LOCK_ROW(impl, "empty", empty, fixed, role),                    \
	    LOCK_ROW(impl, "100ns", 100ns, fixed, role), LOCK_ROW(impl, "1us", 1us, fixed, role)
#define HANDOFF_ROW(impl, where)                                                                                       \
	{                                                                                                              \
		"locks/mutex_handoff_" where, #impl, impl##_ring_setup, impl##_ring_run, impl##_ring_teardown          \
	}
#define SLEEPING_ROWS(impl)                                                                                            \
	LOCK_ROWS(impl, 0, BENCH_PEER), LOCK_ROW(impl, "fair_empty", fair_empty, 0, BENCH_PEER),                       \
	    LOCK_ROW(impl, "fair_100ns", fair_100ns, 0, BENCH_PEER),                                                   \
	    LOCK_ROW(impl, "fair_1us", fair_1us, 0, BENCH_PEER), HANDOFF_ROW(impl, "anywhere"),                        \
	    HANDOFF_ROW(impl, "apart"), HANDOFF_ROW(impl, "together")

static const bench_row rows[] = {
    SLEEPING_ROWS(fairlead),
    SLEEPING_ROWS(pthread),
    SLEEPING_ROWS(nsync),
    LOCK_ROWS(ck_fas, 0, BENCH_SPINNING),
    LOCK_ROWS(ck_ticket, LOCK_FIXED, BENCH_SPINNING),
};
BENCH_ROWS(rows)
