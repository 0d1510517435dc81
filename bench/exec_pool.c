/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools of threads: Fairlead's executor, GLib's pool, and a pool by hand from pthreads. */
#include "pools.h"

#include <fairlead/executor.h>
#include <fairlead/group.h>
#include <fairlead/latch.h>
#include <fairlead/task.h>
#include <glib.h>
#include <string.h>

/* Fairlead. */

FL_TASK(bench_echo, uint64_t, uint64_t)
{
	*result = pool_task(*arg);
	return 0;
}

static fl_executor *fairlead_open(unsigned workers, size_t most)
{
	fl_executor *e = NULL;
	(void)most;
	if (fl_thread_executor_create(&e, &(fl_executor_config){.workers = workers}))
		bench_fail("fl_thread_executor_create");
	return e;
}

static fl_future **fairlead_make(size_t n)
{
	return bench_alloc(n * sizeof(fl_future *));
}

static inline void fairlead_submit(fl_executor *e, fl_future **f, uint64_t arg)
{
	if (bench_echo_submit(e, arg, f))
		bench_fail("fl_submit");
}

static inline uint64_t fairlead_await(fl_executor *e, fl_future **f)
{
	uint64_t result = 0;
	(void)e;
	if (bench_echo_get(*f, &result))
		bench_fail("fl_future_get");
	fl_future_free(*f);
	return result;
}

POOL_BENCH(fairlead, fl_executor, fl_future *, fairlead_open, fl_executor_free, fairlead_make, free, fairlead_submit,
           fairlead_await)

/* A burst: tasks without futures, and a latch. */
typedef struct fairlead_job {
	pool_job job;
	fl_latch *latch;
} fairlead_job;

FL_TASK(bench_count_down, fairlead_job *, void)
{
	(*arg)->job.result = pool_task((*arg)->job.arg);
	fl_latch_count_down((*arg)->latch, 1);
	return 0;
}

typedef struct fairlead_bursts {
	fl_executor *pool;
	BENCH_ALIGNED fl_latch latch; /* as the peers' count */
	BENCH_ALIGNED fairlead_job jobs[POOL_BATCH];
} fairlead_bursts;

static void fairlead_bursts_run(bench_thread *t)
{
	fairlead_bursts *s = t->state;
	for (uint64_t first = 0, n = POOL_BATCH; first < t->total; first += n) {
		if (n > t->total - first)
			n = t->total - first;
		if (fl_latch_init(&s->latch, (uint32_t)n))
			bench_fail("fl_latch_init");
		for (uint64_t i = 0; i < n; i++) {
			s->jobs[i] = (fairlead_job){.job.arg = first + i, .latch = &s->latch};
			if (bench_count_down_submit(s->pool, &s->jobs[i], NULL))
				bench_fail("fl_submit");
		}
		if (fl_latch_wait(&s->latch))
			bench_fail("fl_latch_wait");
		for (uint64_t i = 0; i < n; i++)
			if (s->jobs[i].job.result != first + i)
				bench_fail("a task of a burst was not run");
	}
}

static void *fairlead_bursts_setup(int threads, uint64_t total)
{
	fairlead_bursts *s = bench_alloc(sizeof *s);
	(void)total;
	s->pool = fairlead_open((unsigned)threads, POOL_BATCH);
	fairlead_bursts_run(&(bench_thread){.state = s, .total = POOL_BATCH});
	return s;
}

static void fairlead_bursts_teardown(void *state, uint64_t total)
{
	fairlead_bursts *s = state;
	(void)total;
	fl_executor_free(s->pool);
	free(s);
}

/* The same with a group. */
typedef struct fairlead_groups {
	fl_executor *pool;
	uint64_t *results;
} fairlead_groups;

static void fairlead_groups_run(bench_thread *t)
{
	const fairlead_groups *s = t->state;
	for (uint64_t first = 0, n = POOL_BATCH; first < t->total; first += n) {
		if (n > t->total - first)
			n = t->total - first;
		fl_group group = FL_GROUP_INIT(s->pool);
		for (uint64_t i = 0; i < n; i++)
			if (fl_group_submit(&group, &bench_echo, &(uint64_t){first + i}, &s->results[i]))
				bench_fail("fl_group_submit");
		if (fl_group_join(&group))
			bench_fail("fl_group_join");
		fl_group_destroy(&group);
		for (uint64_t i = 0; i < n; i++)
			if (s->results[i] != first + i)
				bench_fail("a task of a group was not run");
	}
}

static void *fairlead_groups_setup(int threads, uint64_t total)
{
	fairlead_groups *s = bench_alloc(sizeof *s);
	(void)total;
	s->pool = fairlead_open((unsigned)threads, POOL_BATCH);
	s->results = bench_alloc(POOL_BATCH * sizeof *s->results);
	fairlead_groups_run(&(bench_thread){.state = s, .total = POOL_BATCH});
	return s;
}

static void fairlead_groups_teardown(void *state, uint64_t total)
{
	fairlead_groups *s = state;
	(void)total;
	fl_executor_free(s->pool);
	free(s->results);
	free(s);
}

/* GLib, exclusive: its threads start with it and are its own. */

static void glib_run_future(gpointer future, gpointer unused)
{
	(void)unused;
	pool_future_run(future);
}

static void glib_run_job(gpointer job, gpointer unused)
{
	(void)unused;
	pool_job_run(job);
}

static GThreadPool *glib_open(unsigned workers, size_t most)
{
	(void)most;
	return g_thread_pool_new(glib_run_future, NULL, (gint)workers, TRUE, NULL);
}

static GThreadPool *glib_open_burst(unsigned workers, size_t most)
{
	(void)most;
	return g_thread_pool_new(glib_run_job, NULL, (gint)workers, TRUE, NULL);
}

static void glib_close(GThreadPool *pool)
{
	g_thread_pool_free(pool, FALSE, TRUE);
}

static inline void glib_spawn(GThreadPool *pool, void *task)
{
	if (!g_thread_pool_push(pool, task, NULL))
		bench_fail("g_thread_pool_push");
}

static inline void glib_submit(GThreadPool *pool, pool_future *f, uint64_t arg)
{
	f->arg = arg;
	glib_spawn(pool, f);
}

static inline uint64_t glib_await(GThreadPool *pool, pool_future *f)
{
	(void)pool;
	return pool_future_get(f);
}

static inline void glib_wait(GThreadPool *pool, pool_burst *b)
{
	(void)pool;
	pool_burst_wait(b);
}

POOL_BENCH(glib, GThreadPool, pool_future, glib_open, glib_close, pool_futures, free, glib_submit, glib_await)
POOL_BURST(glib, GThreadPool, pool_job, glib_open_burst, glib_close, glib_spawn, glib_wait)

/*
 * The pool that a C programmer writes: a ring of pointers, large enough for all, under one mutex
 * and one condition.
 */
typedef struct pthread_pool {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	size_t first, length, most;
	unsigned idle, workers;
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
		while (pool->length == 0 && !pool->over) {
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

static pthread_pool *pthread_make(unsigned workers, size_t most, void (*run)(void *task))
{
	pthread_pool *pool = bench_alloc(sizeof *pool);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->run = run;
	pool->most = most;
	pool->workers = workers;
	pool->ring = calloc(most, sizeof *pool->ring); /* untouched, so that memory_task sees it */
	pool->threads = calloc(workers, sizeof *pool->threads);
	if (!pool->ring || !pool->threads)
		bench_fail("out of memory");
	for (unsigned i = 0; i < workers; i++)
		if (pthread_create(&pool->threads[i], NULL, pthread_worker, pool))
			bench_fail("pthread_create");
	return pool;
}

static void pthread_run_future(void *future)
{
	pool_future_run(future);
}

static void pthread_run_job(void *job)
{
	pool_job_run(job);
}

static pthread_pool *pthread_open(unsigned workers, size_t most)
{
	return pthread_make(workers, most, pthread_run_future);
}

static pthread_pool *pthread_open_burst(unsigned workers, size_t most)
{
	return pthread_make(workers, most, pthread_run_job);
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
	(void)pool;
	return pool_future_get(f);
}

static inline void pthread_wait(pthread_pool *pool, pool_burst *b)
{
	(void)pool;
	pool_burst_wait(b);
}

POOL_BENCH(pthread, pthread_pool, pool_future, pthread_open, pthread_close, pool_futures, free, pthread_submit,
           pthread_await)
POOL_BURST(pthread, pthread_pool, pool_job, pthread_open_burst, pthread_close, pthread_spawn, pthread_wait)

static const bench_row rows[] = {
    POOL_ROWS(fairlead, "fairlead"),
    {"exec/burst", "fairlead", fairlead_bursts_setup, fairlead_bursts_run, fairlead_bursts_teardown, 0},
    {"exec/group", "fairlead", fairlead_groups_setup, fairlead_groups_run, fairlead_groups_teardown, 0},
    POOL_ROWS(glib, "glib"),
    POOL_BURST_ROW(glib, "glib"),
    POOL_ROWS(pthread, "pthread"),
    POOL_BURST_ROW(pthread, "pthread"),
};
BENCH_ROWS(rows)
