/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include "shim.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The workloads of pools of threads, for C and C++, and of pools of processes. One thread outside
 * of the pool submits tasks. A task with a future returns its argument. Two flags in the argument
 * say what the task does before. Each row of threads runs in a process of its own.
 */
enum {
	POOL_BATCH = 10000,     /* tasks of submit_get and of burst */
	POOL_WINDOW = 64,       /* tasks in flight */
	POOL_MANY = 1000000,    /* for how many tasks the memory is counted */
	POOL_PAUSE_US = 3000,   /* how long the pool idles before the next task */
	POOL_SETTLE_US = 300000 /* how long a pool idles before its processor time is counted */
};
#define POOL_WORK (UINT64_C(1) << 62) /* the task computes for a microsecond */
#define POOL_HOLD (UINT64_C(1) << 63) /* the task waits for pool_release() */

/* The task, which all implementations call. */
void pool_special(uint64_t arg);
static inline uint64_t pool_task(uint64_t arg)
{
	if (__builtin_expect((arg & (POOL_WORK | POOL_HOLD)) != 0, 0))
		pool_special(arg);
	return arg;
}

void pool_warm(void);                /* before the first task with POOL_WORK */
void pool_await_held(unsigned n);    /* waits until n tasks wait for the release */
void pool_release(void);             /* cannot be undone: later tasks with POOL_HOLD do not wait */
void pool_idle_cpu(bench_thread *t); /* the `run` of exec/idle_cpu */

/*
 * What replaces a future if the peer has none. It is memory of the caller, which is used again, so
 * it costs no allocation.
 */
typedef struct pool_future {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool done, awaited;
	uint64_t arg, result;
} pool_future;

pool_future *pool_futures(size_t n); /* the caller frees them by free() */

static inline void pool_future_run(pool_future *f)
{
	uint64_t result = pool_task(f->arg);
	pthread_mutex_lock(&f->mutex);
	f->result = result;
	/* pool_future_get() also looks without the mutex */
	__atomic_store_n(&f->done, true, __ATOMIC_RELAXED);
	if (f->awaited)
		pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->mutex);
}

static inline uint64_t pool_future_get(pool_future *f, unsigned yields)
{
	for (; yields > 0 && !__atomic_load_n(&f->done, __ATOMIC_RELAXED); yields--)
		sched_yield();
	pthread_mutex_lock(&f->mutex);
	for (f->awaited = true; !f->done;)
		pthread_cond_wait(&f->cond, &f->mutex);
	f->done = f->awaited = false;
	uint64_t result = f->result;
	pthread_mutex_unlock(&f->mutex);
	return result;
}

#ifdef __cplusplus
}
#endif

/*
 * Defines the functions of one implementation with futures. open(workers, most) makes a pool that
 * takes up to `most` tasks at once; close(pool) frees it. make(n) makes an array of futures, and
 * unmake(futures) frees it. submit(pool, future, argument) starts pool_task() of the argument.
 * get(pool, future) waits for the task and returns its result. In `submit_get`, a batch of tasks is
 * submitted, and then each future is awaited. In `roundtrip`, there is one task at a time.
 */
#define POOL_TASKS(impl, pool_type, future_type, open, close, make, unmake, submit, get)                               \
	typedef struct impl##_state {                                                                                  \
		pool_type *pool;                                                                                       \
		future_type *futures;                                                                                  \
		unsigned workers;                                                                                      \
	} impl##_state;                                                                                                \
	static inline void impl##_check(impl##_state *s, uint64_t i, uint64_t arg)                                     \
	{                                                                                                              \
		if (get(s->pool, &s->futures[i]) != arg)                                                               \
			bench_fail("a task returned a wrong result");                                                  \
	}                                                                                                              \
	static inline void impl##_batch(impl##_state *s, uint64_t first, uint64_t n)                                   \
	{                                                                                                              \
		for (uint64_t i = 0; i < n; i++)                                                                       \
			submit(s->pool, &s->futures[i], first + i);                                                    \
		for (uint64_t i = 0; i < n; i++)                                                                       \
			impl##_check(s, i, first + i);                                                                 \
	}                                                                                                              \
	static inline void impl##_batches(impl##_state *s, uint64_t total, uint64_t batch)                             \
	{                                                                                                              \
		for (uint64_t first = 0; first < total; first += batch)                                                \
			impl##_batch(s, first, total - first < batch ? total - first : batch);                         \
	}                                                                                                              \
	static void *impl##_setup(const bench_setting *with)                                                           \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)bench_alloc(sizeof *s);                                              \
		pool_warm();                                                                                           \
		s->workers = (unsigned)with->threads;                                                                  \
		s->pool = open(s->workers, POOL_BATCH);                                                                \
		s->futures = make(POOL_BATCH);                                                                         \
		impl##_batches(s, POOL_BATCH, POOL_BATCH / 10); /* starts workers, takes memory */                     \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_submit_get(bench_thread *t)                                                                 \
	{                                                                                                              \
		impl##_batches((impl##_state *)t->state, t->total, POOL_BATCH);                                        \
	}                                                                                                              \
	static void impl##_roundtrip(bench_thread *t)                                                                  \
	{                                                                                                              \
		BENCH_EACH (i, t) {                                                                                    \
			impl##_batch((impl##_state *)t->state, i, 1);                                                  \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)state;                                                               \
		close(s->pool);                                                                                        \
		unmake(s->futures);                                                                                    \
		free(s);                                                                                               \
	}

/* Defines all workloads of pools of threads for one implementation. */
#define POOL_BENCH(impl, pool_type, future_type, open, close, make, unmake, submit, get)                               \
	POOL_TASKS(impl, pool_type, future_type, open, close, make, unmake, submit, get)                               \
	static inline void impl##_pauses(bench_thread *t, unsigned pause_us)                                           \
	{                                                                                                              \
		for (; bench_now() < t->until; t->done++) {                                                            \
			bench_sleep(pause_us);                                                                         \
			int64_t start = bench_now();                                                                   \
			if (t->laps)                                                                                   \
				bench_lap_begin(t->laps);                                                              \
			impl##_batch((impl##_state *)t->state, t->done, 1);                                            \
			bench_lap(t);                                                                                  \
			t->took += bench_now() - start;                                                                \
		}                                                                                                      \
	}                                                                                                              \
	POOL_PAUSED(impl, idle, POOL_PAUSE_US)                                                                         \
	POOL_PAUSED(impl, 10us, 10)                                                                                    \
	POOL_PAUSED(impl, 100us, 100)                                                                                  \
	POOL_PAUSED(impl, 1000us, 1000)                                                                                \
	static void impl##_in_flight(bench_thread *t)                                                                  \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)t->state;                                                            \
		for (uint64_t i = 0; i < t->total + POOL_WINDOW; i++) {                                                \
			if (i >= POOL_WINDOW && i - POOL_WINDOW < t->total)                                            \
				impl##_check(s, i % POOL_WINDOW, (i - POOL_WINDOW) | POOL_WORK);                       \
			if (i < t->total)                                                                              \
				submit(s->pool, &s->futures[i % POOL_WINDOW], i | POOL_WORK);                          \
		}                                                                                                      \
	}                                                                                                              \
	/* The workers are held, so that all tasks exist at the same time. */                                          \
	static void *impl##_memory_setup(const bench_setting *with)                                                    \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)bench_alloc(sizeof *s);                                              \
		s->workers = (unsigned)with->threads;                                                                  \
		s->pool = open(s->workers, POOL_MANY + s->workers);                                                    \
		s->futures = make(s->workers);                                                                         \
		for (unsigned i = 0; i < s->workers; i++)                                                              \
			submit(s->pool, &s->futures[i], POOL_HOLD | i);                                                \
		pool_await_held(s->workers);                                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_memory(bench_thread *t)                                                                     \
	{                                                                                                              \
		impl##_state *s = (impl##_state *)t->state;                                                            \
		future_type *held = s->futures;                                                                        \
		int64_t before = bench_resident(getpid());                                                             \
		s->futures = make(t->total);                                                                           \
		BENCH_EACH (i, t)                                                                                      \
			submit(s->pool, &s->futures[i], i);                                                            \
		t->took = bench_resident(getpid()) - before;                                                           \
		pool_release();                                                                                        \
		BENCH_EACH (i, t)                                                                                      \
			impl##_check(s, i, i);                                                                         \
		unmake(s->futures);                                                                                    \
		s->futures = held;                                                                                     \
		for (unsigned i = 0; i < s->workers; i++)                                                              \
			impl##_check(s, i, POOL_HOLD | i);                                                             \
	}

#define POOL_PAUSED(impl, name, us)                                                                                    \
	static void impl##_roundtrip_##name(bench_thread *t)                                                           \
	{                                                                                                              \
		impl##_pauses(t, us);                                                                                  \
	}

#define POOL_ROW(of, impl, run)                                                                                        \
	{                                                                                                              \
		"exec/" of, #impl, impl##_setup, run, impl##_teardown                                                  \
	}
#define POOL_ROWS(impl)                                                                                                \
	POOL_ROW("submit_get", impl, impl##_submit_get), POOL_ROW("roundtrip", impl, impl##_roundtrip),                \
	    POOL_ROW("roundtrip_idle", impl, impl##_roundtrip_idle),                                                   \
	    POOL_ROW("roundtrip_10us", impl, impl##_roundtrip_10us),                                                   \
	    POOL_ROW("roundtrip_100us", impl, impl##_roundtrip_100us),                                                 \
	    POOL_ROW("roundtrip_1000us", impl, impl##_roundtrip_1000us),                                               \
	    POOL_ROW("in_flight", impl, impl##_in_flight), POOL_ROW("idle_cpu", impl, pool_idle_cpu),                  \
	{                                                                                                              \
		"exec/memory_task", #impl, impl##_memory_setup, impl##_memory, impl##_teardown, POOL_MANY              \
	}

#endif
