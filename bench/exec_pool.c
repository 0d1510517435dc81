/* SPDX-License-Identifier: BSD-2-Clause */
/* Executors: Fairlead's, GLib's pool, and a pool by hand from pthreads. Boost's is in peers_boost.cc. */
#include "exec.h"
#include "monitor.h"

#include <fairlead/executor.h>
#include <fairlead/task.h>
#include <stdbool.h>
#include <string.h>

FL_TASK(bench_echo, uint64_t, uint64_t)
{
	*result = *arg;
	return 0;
}

static fl_executor *fairlead_open(void)
{
	fl_executor *e = NULL;
	if (fl_thread_executor_create(&e, &(fl_executor_config){.workers = EXEC_WORKERS}))
		bench_fail("fl_thread_executor_create");
	return e;
}

static inline void fairlead_submit(fl_executor *e, fl_future **f, uint64_t arg)
{
	if (bench_echo_submit(e, arg, f))
		bench_fail("fl_submit");
}

static inline uint64_t fairlead_get(fl_executor *e, fl_future **f)
{
	uint64_t result = 0;
	(void)e;
	if (bench_echo_get(*f, &result))
		bench_fail("fl_future_get");
	fl_future_free(*f);
	return result;
}

EXEC_BENCH(fairlead, fl_executor, fl_future *, s->pool = fairlead_open();
           s->futures = bench_alloc(EXEC_BATCH * sizeof *s->futures), fl_executor_free(s->pool);
           free(s->futures), fairlead_submit, fairlead_get)

/*
 * What stands in for a future where the peer has none: the caller's memory, initialised once and used again for each batch,
 * so that it costs no allocation.
 */
#define COMPLETION(mon)                                                                                                \
	typedef struct mon##_future {                                                                                  \
		mon_##mon##_mutex mutex;                                                                               \
		mon_##mon##_cond cond;                                                                                 \
		bool done, awaited;                                                                                    \
		uint64_t arg, result;                                                                                  \
	} mon##_future;                                                                                                \
	static mon##_future *mon##_futures(void)                                                                       \
	{                                                                                                              \
		mon##_future *futures = bench_alloc(EXEC_BATCH * sizeof *futures);                                     \
		for (int i = 0; i < EXEC_BATCH; i++) {                                                                 \
			mon_##mon##_mutex_init(&futures[i].mutex);                                                     \
			mon_##mon##_cond_init(&futures[i].cond);                                                       \
		}                                                                                                      \
		return futures;                                                                                        \
	}                                                                                                              \
	static inline void mon##_echo(mon##_future *f)                                                                 \
	{                                                                                                              \
		mon_##mon##_lock(&f->mutex);                                                                           \
		f->result = f->arg;                                                                                    \
		f->done = true;                                                                                        \
		if (f->awaited)                                                                                        \
			mon_##mon##_signal(&f->cond);                                                                  \
		mon_##mon##_unlock(&f->mutex);                                                                         \
	}                                                                                                              \
	static inline uint64_t mon##_await(mon##_future *f)                                                            \
	{                                                                                                              \
		mon_##mon##_lock(&f->mutex);                                                                           \
		for (f->awaited = true; !f->done;)                                                                     \
			mon_##mon##_wait(&f->cond, &f->mutex);                                                         \
		f->done = f->awaited = false;                                                                          \
		uint64_t result = f->result;                                                                           \
		mon_##mon##_unlock(&f->mutex);                                                                         \
		return result;                                                                                         \
	}

COMPLETION(glib)
COMPLETION(pthread)

static void glib_run(gpointer future, gpointer unused)
{
	(void)unused;
	glib_echo(future);
}

static inline void glib_submit(GThreadPool *pool, glib_future *f, uint64_t arg)
{
	f->arg = arg;
	if (!g_thread_pool_push(pool, f, NULL))
		bench_fail("g_thread_pool_push");
}

static inline uint64_t glib_get(GThreadPool *pool, glib_future *f)
{
	(void)pool;
	return glib_await(f);
}

/* Exclusive: its threads start with it and are its own. */
EXEC_BENCH(glib, GThreadPool, glib_future, s->futures = glib_futures();
           s->pool = g_thread_pool_new(glib_run, NULL, EXEC_WORKERS, TRUE, NULL),
           g_thread_pool_free(s->pool, FALSE, TRUE);
           free(s->futures), glib_submit, glib_get)

/* The pool that a C programmer writes: a ring of pointers, large enough for a batch, under one mutex and one condition. */
typedef struct pthread_pool {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	unsigned first, length, idle;
	bool over;
	pthread_t threads[EXEC_WORKERS];
	pthread_future *ring[EXEC_BATCH];
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
		pthread_future *f = pool->ring[pool->first++ % EXEC_BATCH];
		pool->length--;
		pthread_mutex_unlock(&pool->mutex);
		pthread_echo(f);
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

static pthread_pool *pthread_open(void)
{
	pthread_pool *pool = bench_alloc(sizeof *pool);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->work, NULL);
	for (int i = 0; i < EXEC_WORKERS; i++)
		if (pthread_create(&pool->threads[i], NULL, pthread_worker, pool))
			bench_fail("pthread_create");
	return pool;
}

static void pthread_close(pthread_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	pool->over = true;
	pthread_mutex_unlock(&pool->mutex);
	pthread_cond_broadcast(&pool->work);
	for (int i = 0; i < EXEC_WORKERS; i++)
		pthread_join(pool->threads[i], NULL);
	free(pool);
}

static inline void pthread_submit(pthread_pool *pool, pthread_future *f, uint64_t arg)
{
	f->arg = arg;
	pthread_mutex_lock(&pool->mutex);
	pool->ring[(pool->first + pool->length++) % EXEC_BATCH] = f;
	bool wake = pool->idle > 0;
	pool->idle -= wake;
	pthread_mutex_unlock(&pool->mutex);
	if (wake)
		pthread_cond_signal(&pool->work);
}

static inline uint64_t pthread_get(pthread_pool *pool, pthread_future *f)
{
	(void)pool;
	return pthread_await(f);
}

EXEC_BENCH(pthread, pthread_pool, pthread_future, s->pool = pthread_open();
           s->futures = pthread_futures(), pthread_close(s->pool); free(s->futures), pthread_submit, pthread_get)

static const bench_row rows[] = {EXEC_ROWS(fairlead, "fairlead"), EXEC_ROWS(glib, "glib"),
                                 EXEC_ROWS(pthread, "pthread")};
BENCH_ROWS(rows)
