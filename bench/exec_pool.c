/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures pools of threads: Fairlead's executor, and a pool by hand from pthreads. It also
 * measures pools of processes, one task at a time and in chunks: Fairlead's, and Python's, which
 * pool.py runs.
 */
#include "forks.h"
#include "pools.h"
#include "remote.h"

#include <fairlead.h>
#include <string.h>

/* --- Fairlead --- */

FL_TASK(bench_echo, uint64_t, uint64_t)
{
	*result = pool_task(*arg);
	return 0;
}

#define OPEN(name, kind)                                                                                               \
	static fl_executor *name##_open(unsigned workers, size_t most)                                                 \
	{                                                                                                              \
		fl_executor *e = NULL;                                                                                 \
		if (fl_##kind##_executor_create(&e, &(fl_executor_config){.workers = workers}))                        \
			bench_fail("no executor");                                                                     \
		return e;                                                                                              \
	}
OPEN(fairlead, thread)

static fl_future **fairlead_make(size_t n)
{
	return bench_alloc(n * sizeof(fl_future *));
}

static inline void fairlead_submit(fl_executor *e, fl_future **f, uint64_t arg)
{
	BENCH_OK(bench_echo_submit(e, arg, f));
}

static inline uint64_t fairlead_await(fl_executor *e, fl_future **f)
{
	uint64_t result = 0;
	if (bench_echo_get(*f, &result))
		bench_fail("fl_future_get: %s", fl_future_message(*f));
	fl_future_free(*f);
	return result;
}

POOL_BENCH(fairlead, fl_executor, fl_future *, fairlead_open, fl_executor_free, fairlead_make, free, fairlead_submit,
           fairlead_await)

/* A serial executor over the pool. A program measures only one pool at a time. */
static fl_executor *serial_target;

static fl_executor *serial_open(unsigned workers, size_t most)
{
	fl_executor *e = NULL;
	serial_target = fairlead_open(workers, most);
	if (fl_serial_executor_create(&e, serial_target, NULL))
		bench_fail("no serial executor");
	return e;
}

static void serial_close(fl_executor *e)
{
	fl_executor_free(e);
	fl_executor_free(serial_target);
}

POOL_TASKS(serial, fl_executor, fl_future *, serial_open, serial_close, fairlead_make, free, fairlead_submit,
           fairlead_await)

/* Takes snapshots of the executor while all workers are held. */
static void fairlead_snapshot(bench_thread *t)
{
	fairlead_state *s = t->state;
	fl_stats_executor stats;
	BENCH_EACH (i, t)
		BENCH_OK(fl_executor_stats(s->pool, &stats));
	pool_release();
	for (unsigned i = 0; i < s->workers; i++)
		fairlead_check(s, i, POOL_HOLD | i);
}

#if FL__HAS_PROCESS
OPEN(process, process)
POOL_TASKS(process, fl_executor, fl_future *, process_open, fl_executor_free, fairlead_make, free, fairlead_submit,
           fairlead_await)

static void process_map(bench_thread *t, size_t chunk)
{
	static uint64_t args[POOL_BATCH], results[POOL_BATCH];
	const process_state *s = t->state;
	for (uint64_t first = 0; first < t->total; first += POOL_BATCH) {
		size_t n = t->total - first < POOL_BATCH ? (size_t)(t->total - first) : POOL_BATCH;
		for (size_t i = 0; i < n; i++)
			args[i] = first + i + 1;
		BENCH_OK(bench_echo_map(s->pool, args, n, results, &(fl_map_config){.chunk = chunk}));
		if (memcmp(args, results, n * sizeof *args) != 0)
			bench_fail("fl_executor_map returned a wrong result");
	}
}

static void process_map_chunk1(bench_thread *t)
{
	process_map(t, 1);
}

static void process_map_chunk64(bench_thread *t)
{
	process_map(t, 64);
}

#define PROCESS_ROW(name, run)                                                                                         \
	{                                                                                                              \
		"process/" name, "fairlead", process_setup, process_##run, process_teardown                            \
	}
#define PYTHON_ROW(name, implementation, fixed, ...)                                                                   \
	BENCH_REMOTE_ROW("process/" name, implementation, fixed, BENCH_PYTHON, BENCH_POOL_PY, __VA_ARGS__)
#endif

/*
 * The pool that a C programmer would write: a ring of pointers, large enough for all tasks, under
 * one mutex and one condition.
 */
typedef struct pthread_pool {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	size_t first, length, most;
	unsigned idle, workers, yields; /* `yields`: how often a worker yields before it sleeps */
	bool over;
	void (*run)(void *task);
	pthread_t *threads;
	void **ring;
} pthread_pool;

static void *pthread_worker(void *arg)
{
	pthread_pool *pool = arg;
	for (;;) {
		pthread_mutex_lock(&pool->mutex);
		for (unsigned tries = 0; pool->length == 0 && !pool->over; tries++) {
			if (tries < pool->yields) {
				pthread_mutex_unlock(&pool->mutex);
				sched_yield();
				pthread_mutex_lock(&pool->mutex);
				continue;
			}
			pool->idle++;
			pthread_cond_wait(&pool->work, &pool->mutex);
		}
		if (pool->length == 0)
			break;
		void *task = pool->ring[pool->first];
		pool->first = pool->first + 1 < pool->most ? pool->first + 1 : 0;
		pool->length--;
		pthread_mutex_unlock(&pool->mutex);
		pool->run(task);
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

static pthread_pool *pthread_make(unsigned workers, size_t most, void (*run)(void *task), unsigned yields)
{
	pthread_pool *pool = bench_alloc(sizeof *pool);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->run = run;
	pool->most = most;
	pool->workers = workers;
	pool->yields = yields;
	/* not touched here, so that memory_task counts the pages that tasks use */
	pool->ring = calloc(most, sizeof *pool->ring);
	pool->threads = calloc(workers, sizeof *pool->threads);
	if (!pool->ring || !pool->threads)
		bench_fail("out of memory");
	for (unsigned i = 0; i < workers; i++)
		BENCH_OK(pthread_create(&pool->threads[i], NULL, pthread_worker, pool));
	return pool;
}

static void pthread_run_future(void *future)
{
	pool_future_run(future);
}

static pthread_pool *pthread_open(unsigned workers, size_t most)
{
	return pthread_make(workers, most, pthread_run_future, 0);
}

static pthread_pool *pthread_yield_open(unsigned workers, size_t most)
{
	return pthread_make(workers, most, pthread_run_future, BENCH_YIELDS);
}

static void pthread_close(pthread_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	pool->over = true;
	pthread_mutex_unlock(&pool->mutex);
	pthread_cond_broadcast(&pool->work);
	for (unsigned i = 0; i < pool->workers; i++)
		pthread_join(pool->threads[i], NULL);
	free(pool->threads);
	free(pool->ring);
	free(pool);
}

static inline void pthread_spawn(pthread_pool *pool, void *task)
{
	pthread_mutex_lock(&pool->mutex);
	size_t last = pool->first + pool->length++;
	pool->ring[last < pool->most ? last : last - pool->most] = task;
	bool wake = pool->idle > 0;
	pool->idle -= wake;
	pthread_mutex_unlock(&pool->mutex);
	if (wake)
		pthread_cond_signal(&pool->work);
}

static inline void pthread_submit(pthread_pool *pool, pool_future *f, uint64_t arg)
{
	f->arg = arg;
	pthread_spawn(pool, f);
}

static inline uint64_t pthread_await(pthread_pool *pool, pool_future *f)
{
	return pool_future_get(f, pool->yields);
}

POOL_BENCH(pthread, pthread_pool, pool_future, pthread_open, pthread_close, pool_futures, free, pthread_submit,
           pthread_await)
POOL_BENCH(pthread_yield, pthread_pool, pool_future, pthread_yield_open, pthread_close, pool_futures, free,
           pthread_submit, pthread_await)

/* The floor row of the pools: the calling thread makes the same calls itself, without a pool. */
static void *calls_open(unsigned workers, size_t most)
{
	return NULL;
}

static void calls_close(void *pool)
{
}

static uint64_t *calls_make(size_t n)
{
	return bench_alloc(n * sizeof(uint64_t));
}

static inline void calls_submit(void *pool, uint64_t *result, uint64_t arg)
{
	*result = pool_task(arg);
}

static inline uint64_t calls_await(void *pool, const uint64_t *result)
{
	return *result;
}

POOL_TASKS(calls, void, uint64_t, calls_open, calls_close, calls_make, free, calls_submit, calls_await)

/* In a burst, the last task that ends wakes the thread that waits for all of them. */
static struct {
	BENCH_ALIGNED uint64_t left;
	BENCH_ALIGNED pthread_mutex_t mutex;
	pthread_cond_t cond;
} burst = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

typedef struct pthread_job {
	uint64_t arg, *result;
} pthread_job;

static void pthread_run_job(void *task)
{
	const pthread_job *job = task;
	*job->result = pool_task(job->arg);
	if (__atomic_sub_fetch(&burst.left, 1, __ATOMIC_ACQ_REL) == 0) {
		pthread_mutex_lock(&burst.mutex);
		pthread_cond_signal(&burst.cond);
		pthread_mutex_unlock(&burst.mutex);
	}
}

static void *pthread_open_burst(unsigned workers)
{
	return pthread_make(workers, POOL_BATCH, pthread_run_job, 0);
}

static void *pthread_yield_open_burst(unsigned workers)
{
	return pthread_make(workers, POOL_BATCH, pthread_run_job, BENCH_YIELDS);
}

static void pthread_close_burst(void *pool)
{
	pthread_close(pool);
}

static void pthread_burst(void *pool, uint64_t *results, uint64_t first, uint64_t n)
{
	static pthread_job jobs[POOL_BATCH];
	burst.left = n;
	for (uint64_t i = 0; i < n; i++) {
		jobs[i] = (pthread_job){first + i, &results[i]};
		pthread_spawn(pool, &jobs[i]);
	}
	for (unsigned tries = 0;
	     tries < ((pthread_pool *)pool)->yields && __atomic_load_n(&burst.left, __ATOMIC_ACQUIRE) > 0; tries++)
		sched_yield();
	pthread_mutex_lock(&burst.mutex);
	while (__atomic_load_n(&burst.left, __ATOMIC_ACQUIRE) > 0)
		pthread_cond_wait(&burst.cond, &burst.mutex);
	pthread_mutex_unlock(&burst.mutex);
}

static const fork_runtime pthread_bursts = {
    .open = pthread_open_burst, .close = pthread_close_burst, .burst = pthread_burst};
static const fork_runtime pthread_yield_bursts = {
    .open = pthread_yield_open_burst, .close = pthread_close_burst, .burst = pthread_burst};

static const bench_row rows[] = {
    POOL_ROWS(fairlead),
    {"exec/stats_snapshot_16", "fairlead", fairlead_memory_setup, fairlead_snapshot, fairlead_teardown},
    {"exec/serial_submit_get", "fairlead", serial_setup, serial_submit_get, serial_teardown},
    {"exec/serial_submit_get", "not serial", fairlead_setup, fairlead_submit_get, fairlead_teardown, 0, BENCH_FLOOR},
    {"exec/serial_roundtrip", "fairlead", serial_setup, serial_roundtrip, serial_teardown},
    {"exec/serial_roundtrip", "not serial", fairlead_setup, fairlead_roundtrip, fairlead_teardown, 0, BENCH_FLOOR},
    {"exec/submit_get", "calls", calls_setup, calls_submit_get, calls_teardown, 0, BENCH_FLOOR},
    {"exec/roundtrip", "calls", calls_setup, calls_roundtrip, calls_teardown, 0, BENCH_FLOOR},
    POOL_ROWS(pthread),
    POOL_ROWS(pthread_yield),
    FORK_ROW("burst", "pthread", _burst, BENCH_PEER, &pthread_bursts),
    FORK_ROW("burst", "pthread_yield", _burst, BENCH_PEER, &pthread_yield_bursts),
#if FL__HAS_PROCESS
    PROCESS_ROW("tasks_chunk1", submit_get),
    PROCESS_ROW("task_roundtrip", roundtrip),
    PROCESS_ROW("map_chunk1", map_chunk1),
    PROCESS_ROW("map_chunk64", map_chunk64),
    PYTHON_ROW("tasks_chunk1", "python_ppe", 10000, "tasks"),
    PYTHON_ROW("task_roundtrip", "python_ppe", 2000, "roundtrip"),
    PYTHON_ROW("map_chunk1", "python_pool", 20000, "map_pool", "1"),
    PYTHON_ROW("map_chunk64", "python_pool", 100000, "map_pool", "64"),
#endif
};
BENCH_ROWS(rows)
