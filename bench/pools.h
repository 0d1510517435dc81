/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include "exec.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The workloads of pools of threads, for C and C++: tasks that one thread outside of the pool
 * submits. Each row runs in a process of its own. Tasks with a future return their argument; two
 * flags of it say what they do before.
 */
enum {
	POOL_BATCH = EXEC_BATCH, /* tasks of submit_get and of burst */
	POOL_WINDOW = 64,        /* tasks in flight */
	POOL_MANY = 1000000,     /* tasks: their memory is counted */
	POOL_PAUSE_US = 3000,    /* of an idle pool, before the next task */
	POOL_SETTLE_US = 300000  /* before the processor time of an idle pool is counted */
};
#define POOL_WORK (UINT64_C(1) << 62) /* a microsecond of arithmetic */
#define POOL_HOLD (UINT64_C(1) << 63) /* waits for pool_release() */

/* The task: all implementations call it. */
void pool_special(uint64_t arg);
static inline uint64_t pool_task(uint64_t arg)
{
	if (__builtin_expect((arg & (POOL_WORK | POOL_HOLD)) != 0, 0))
		pool_special(arg);
	return arg;
}

void pool_warm(void);                /* before the first task with POOL_WORK */
void pool_await_held(unsigned n);    /* waits until n tasks wait for the release */
void pool_release(void);             /* for good */
void pool_sleep(unsigned us);        /* so that an idle pool goes to sleep */
int64_t pool_resident(void);         /* bytes of the process */
void pool_idle_cpu(bench_thread *t); /* exec/idle_cpu */

/*
 * What stands in for a future where the peer has none: the caller's memory, which is used again, so
 * it costs no allocation.
 */
typedef struct pool_future {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool done, awaited;
	uint64_t arg, result;
} pool_future;

pool_future *pool_futures(size_t n); /* for free() */

static inline void pool_future_run(pool_future *f)
{
	uint64_t result = pool_task(f->arg);
	pthread_mutex_lock(&f->mutex);
	f->result = result;
	f->done = true;
	if (f->awaited)
		pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->mutex);
}

static inline uint64_t pool_future_get(pool_future *f)
{
	pthread_mutex_lock(&f->mutex);
	for (f->awaited = true; !f->done;)
		pthread_cond_wait(&f->cond, &f->mutex);
	f->done = f->awaited = false;
	uint64_t result = f->result;
	pthread_mutex_unlock(&f->mutex);
	return result;
}

/* A burst: tasks without futures; the last to end wakes the thread that waits for all of them. */
typedef struct pool_burst {
	BENCH_ALIGNED uint64_t left;
	BENCH_ALIGNED pthread_mutex_t mutex;
	pthread_cond_t cond;
} pool_burst;

typedef struct pool_job {
	void *of; /* the burst */
	uint64_t arg, result;
} pool_job;

void pool_burst_init(pool_burst *b);
void pool_burst_ended(pool_burst *b);
void pool_burst_wait(pool_burst *b);

static inline void pool_job_run(pool_job *job)
{
	pool_burst *b = (pool_burst *)job->of;
	job->result = pool_task(job->arg);
	if (__atomic_sub_fetch(&b->left, 1, __ATOMIC_ACQ_REL) == 0)
		pool_burst_ended(b);
}

#ifdef __cplusplus
}
#endif

/*
 * Rows of one implementation with futures. open(workers, most) makes a pool that takes so many
 * tasks at once; close(pool) frees it; make(n) and unmake(futures) are an array of futures;
 * submit(pool, future, argument) starts pool_task() of the argument; get(pool, future) waits for it
 * and returns its result.
 */
#define POOL_BENCH(impl, pool_type, future_type, open, close, make, unmake, submit, get)                               \
	struct impl##_state {                                                                                          \
		pool_type *pool;                                                                                       \
		future_type *futures;                                                                                  \
		unsigned workers;                                                                                      \
	};                                                                                                             \
	EXEC_BATCHES(impl, submit, get)                                                                                \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)bench_alloc(sizeof *s);                                \
		(void)total;                                                                                           \
		pool_warm();                                                                                           \
		s->workers = (unsigned)threads;                                                                        \
		s->pool = open(s->workers, POOL_BATCH);                                                                \
		s->futures = make(POOL_BATCH);                                                                         \
		impl##_batches(s, POOL_BATCH, POOL_BATCH / 10); /* the workers run, and memory is there */             \
		return s;                                                                                              \
	}                                                                                                              \
	static inline void impl##_pauses(bench_thread *t, unsigned pause_us)                                           \
	{                                                                                                              \
		for (; bench_now() < t->until; t->done++) {                                                            \
			pool_sleep(pause_us);                                                                          \
			int64_t start = bench_now();                                                                   \
			if (t->laps)                                                                                   \
				bench_lap_begin(t->laps);                                                              \
			impl##_batch((struct impl##_state *)t->state, t->done, 1);                                     \
			bench_lap(t);                                                                                  \
			t->took += bench_now() - start;                                                                \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_roundtrip_idle(bench_thread *t)                                                             \
	{                                                                                                              \
		impl##_pauses(t, POOL_PAUSE_US);                                                                       \
	}                                                                                                              \
	static void impl##_roundtrip_100us(bench_thread *t)                                                            \
	{                                                                                                              \
		impl##_pauses(t, 100);                                                                                 \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_in_flight(bench_thread *t)                                          \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)t->state;                                              \
		for (uint64_t i = 0; i < t->total + POOL_WINDOW; i++) {                                                \
			if (i >= POOL_WINDOW && i - POOL_WINDOW < t->total)                                            \
				impl##_check(s, i % POOL_WINDOW, (i - POOL_WINDOW) | POOL_WORK);                       \
			if (i < t->total)                                                                              \
				submit(s->pool, &s->futures[i % POOL_WINDOW], i | POOL_WORK);                          \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)state;                                                 \
		(void)total;                                                                                           \
		close(s->pool);                                                                                        \
		unmake(s->futures);                                                                                    \
		free(s);                                                                                               \
	}                                                                                                              \
	/* The workers are held, so that all of the tasks are there at once. */                                        \
	__attribute__((unused)) static void *impl##_memory_setup(int threads, uint64_t total)                          \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)bench_alloc(sizeof *s);                                \
		(void)total;                                                                                           \
		s->workers = (unsigned)threads;                                                                        \
		s->pool = open(s->workers, POOL_MANY + s->workers);                                                    \
		s->futures = make(s->workers);                                                                         \
		for (unsigned i = 0; i < s->workers; i++)                                                              \
			submit(s->pool, &s->futures[i], POOL_HOLD | i);                                                \
		pool_await_held(s->workers);                                                                           \
		return s;                                                                                              \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_memory(bench_thread *t)                                             \
	{                                                                                                              \
		struct impl##_state *s = (struct impl##_state *)t->state;                                              \
		future_type *held = s->futures;                                                                        \
		int64_t before = pool_resident();                                                                      \
		s->futures = make(t->total);                                                                           \
		for (uint64_t i = 0; i < t->total; i++)                                                                \
			submit(s->pool, &s->futures[i], i);                                                            \
		t->took = pool_resident() - before;                                                                    \
		pool_release();                                                                                        \
		for (uint64_t i = 0; i < t->total; i++)                                                                \
			impl##_check(s, i, i);                                                                         \
		unmake(s->futures);                                                                                    \
		s->futures = held;                                                                                     \
		for (unsigned i = 0; i < s->workers; i++)                                                              \
			impl##_check(s, i, POOL_HOLD | i);                                                             \
	}

#define POOL_ROW(of, impl, name, run)                                                                                  \
	{                                                                                                              \
		"exec/" of, name, impl##_setup, run, impl##_teardown, 0                                                \
	}
#define POOL_ROWS(impl, name)                                                                                          \
	POOL_ROW("submit_get", impl, name, impl##_submit_get), POOL_ROW("roundtrip", impl, name, impl##_roundtrip),    \
	    POOL_ROW("roundtrip_idle", impl, name, impl##_roundtrip_idle),                                             \
	    POOL_ROW("roundtrip_100us", impl, name, impl##_roundtrip_100us),                                           \
	    POOL_ROW("in_flight", impl, name, impl##_in_flight), POOL_ROW("idle_cpu", impl, name, pool_idle_cpu),      \
	{                                                                                                              \
		"exec/memory_task", name, impl##_memory_setup, impl##_memory, impl##_teardown, POOL_MANY               \
	}

/*
 * The row of a burst. open(workers, most) and close(pool) as above; job_type begins with a
 * pool_job; spawn(pool, job) starts pool_job_run() of it, and wait(pool, burst) waits until the
 * last has ended.
 */
#define POOL_BURST(impl, pool_type, job_type, open, close, spawn, wait)                                                \
	struct impl##_bursts {                                                                                         \
		pool_burst burst;                                                                                      \
		pool_type *pool;                                                                                       \
		job_type *jobs;                                                                                        \
	};                                                                                                             \
	static void impl##_burst_all(struct impl##_bursts *s, uint64_t total)                                          \
	{                                                                                                              \
		for (uint64_t first = 0, n = POOL_BATCH; first < total; first += n) {                                  \
			if (n > total - first)                                                                         \
				n = total - first;                                                                     \
			s->burst.left = n;                                                                             \
			for (uint64_t i = 0; i < n; i++) {                                                             \
				pool_job *job = (pool_job *)&s->jobs[i];                                               \
				job->arg = first + i;                                                                  \
				job->of = &s->burst;                                                                   \
				spawn(s->pool, &s->jobs[i]);                                                           \
			}                                                                                              \
			wait(s->pool, &s->burst);                                                                      \
			for (uint64_t i = 0; i < n; i++)                                                               \
				if (((pool_job *)&s->jobs[i])->result != first + i)                                    \
					bench_fail("a task of a burst was not run");                                   \
		}                                                                                                      \
	}                                                                                                              \
	__attribute__((unused)) static void impl##_burst_run(bench_thread *t)                                          \
	{                                                                                                              \
		impl##_burst_all((struct impl##_bursts *)t->state, t->total);                                          \
	}                                                                                                              \
	static void *impl##_burst_setup(int threads, uint64_t total)                                                   \
	{                                                                                                              \
		struct impl##_bursts *s = (struct impl##_bursts *)bench_alloc(sizeof *s);                              \
		(void)total;                                                                                           \
		pool_burst_init(&s->burst);                                                                            \
		s->pool = open((unsigned)threads, POOL_BATCH);                                                         \
		s->jobs = (job_type *)bench_alloc(POOL_BATCH * sizeof *s->jobs);                                       \
		impl##_burst_all(s, POOL_BATCH);                                                                       \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_burst_teardown(void *state, uint64_t total)                                                 \
	{                                                                                                              \
		struct impl##_bursts *s = (struct impl##_bursts *)state;                                               \
		(void)total;                                                                                           \
		close(s->pool);                                                                                        \
		free(s->jobs);                                                                                         \
		free(s);                                                                                               \
	}

#define POOL_BURST_ROW(impl, name)                                                                                     \
	{                                                                                                              \
		"exec/burst", name, impl##_burst_setup, impl##_burst_run, impl##_burst_teardown, 0                     \
	}

#endif
