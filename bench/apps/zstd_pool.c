/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Implements zstd's pool of threads (its lib/common/pool.h) with a Fairlead executor.
 * bench/apps/run links this file instead of zstd's own pool.c.
 *
 *     zstd                              Fairlead
 *     POOL_create(threads, queue)       a thread executor with so many workers, and a semaphore
 *                                       with a permit for each worker and each job that may wait
 *     POOL_add                          fl_sem_acquire, then a submit; the job releases the permit
 *     POOL_tryAdd                       the same with fl_sem_try_acquire
 *     POOL_joinJobs                     fl_executor_wait_idle
 *     POOL_resize                       fl_executor_resize; releases or acquires permits
 */
#include "pool.h"

#include <fairlead/executor.h>
#include <fairlead/sem.h>
#include <fairlead/task.h>
#include <stdlib.h>

struct POOL_ctx_s {
	fl_executor *executor;
	size_t threads;
	fl_sem room;
};

typedef struct zstd_job {
	POOL_function function;
	void *arg;
	POOL_ctx *pool;
} zstd_job;

FL_TASK_STATIC(zstd_work, zstd_job, void)
{
	arg->function(arg->arg);
	fl_sem_release(&arg->pool->room);
	return 0;
}

POOL_ctx *POOL_create(size_t threads, size_t queue)
{
	if (threads == 0 || threads > FL_WORKERS_MAX)
		return NULL;
	POOL_ctx *pool = malloc(sizeof *pool);
	if (!pool)
		return NULL;
	pool->threads = threads;
	if (queue > FL_SEM_MAX - threads || fl_sem_init(&pool->room, (uint32_t)(threads + queue)) != 0 ||
	    fl_thread_executor_create(&pool->executor, &(fl_executor_config){.workers = (unsigned)threads}) != 0) {
		free(pool);
		return NULL;
	}
	return pool;
}

/*
 * zstd's own allocators are for its buffers. An executor takes its memory from the allocator of
 * fl_allocator_set().
 */
POOL_ctx *POOL_create_advanced(size_t threads, size_t queue, ZSTD_customMem unused)
{
	(void)unused;
	return POOL_create(threads, queue);
}

void POOL_joinJobs(POOL_ctx *pool)
{
	FL_IGNORE(fl_executor_wait_idle(pool->executor)); /* nothing cancels zstd's wait */
}

void POOL_free(POOL_ctx *pool)
{
	if (!pool)
		return;
	fl_executor_free(pool->executor);
	free(pool);
}

int POOL_resize(POOL_ctx *pool, size_t threads)
{
	if (!pool || threads == 0 || threads > FL_WORKERS_MAX)
		return 1;
	if (fl_executor_resize(pool->executor, (unsigned)threads) != 0)
		return 1;
	for (; pool->threads < threads; pool->threads++)
		fl_sem_release(&pool->room);
	for (; pool->threads > threads; pool->threads--)
		FL_IGNORE(fl_sem_acquire(&pool->room)); /* nothing cancels zstd's wait */
	return 0;
}

size_t POOL_sizeof(const POOL_ctx *pool)
{
	return pool ? sizeof *pool : 0;
}

/* The caller has acquired a permit. Returns whether the job was submitted. */
static int submit(POOL_ctx *pool, POOL_function function, void *arg)
{
	const int rc = zstd_work_submit(pool->executor, (zstd_job){function, arg, pool}, NULL);
	if (rc != 0)
		fl_sem_release(&pool->room);
	return rc == 0;
}

/*
 * zstd's POOL_add() cannot report an error, so if there is no memory for the task, the job runs at
 * once on the caller's thread.
 */
void POOL_add(POOL_ctx *pool, POOL_function function, void *arg)
{
	FL_IGNORE(fl_sem_acquire(&pool->room)); /* nothing cancels zstd's wait */
	if (!submit(pool, function, arg))
		function(arg);
}

int POOL_tryAdd(POOL_ctx *pool, POOL_function function, void *arg)
{
	return fl_sem_try_acquire(&pool->room) == 0 && submit(pool, function, arg);
}

/* These two functions are the part of the pool that is public in zstd. */
ZSTD_threadPool *ZSTD_createThreadPool(size_t threads)
{
	return POOL_create(threads, 0);
}

void ZSTD_freeThreadPool(ZSTD_threadPool *pool)
{
	POOL_free(pool);
}
