/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zstd's pool of threads (its lib/common/pool.h), on a Fairlead executor: this file is linked in
 * place of zstd's pool.c.
 *
 *     zstd                              Fairlead
 *     POOL_create(threads, queue)       a thread executor with so many workers, and room for `queue`
 *                                       tasks to wait; 0: a task is accepted when a worker is free
 *     POOL_add                          a submit, which waits for room
 *     POOL_tryAdd                       the same, and no wait for room
 *     POOL_joinJobs                     fl_executor_wait_idle
 *     POOL_resize                       fl_executor_resize
 */
#include "pool.h"

#include <fairlead/executor.h>
#include <fairlead/task.h>
#include <stdlib.h>

typedef struct zstd_job {
	POOL_function function;
	void *arg;
} zstd_job;

FL_TASK_STATIC(zstd_work, zstd_job, void)
{
	arg->function(arg->arg);
	return 0;
}

struct POOL_ctx_s {
	fl_executor *executor;
};

POOL_ctx *POOL_create(size_t threads, size_t queue)
{
	if (threads == 0 || threads > FL_WORKERS_MAX)
		return NULL;
	POOL_ctx *pool = malloc(sizeof *pool);
	if (!pool)
		return NULL;
	const fl_executor_config config = {
	    .workers = (unsigned)threads,
	    .backlog = queue > 0 ? (uint32_t)queue : FL_BACKLOG_NONE,
	};
	if (fl_thread_executor_create(&pool->executor, &config) != 0) {
		free(pool);
		return NULL;
	}
	return pool;
}

/* zstd's own allocators are for its buffers; an executor has that of fl_set_allocator(). */
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
	return fl_executor_resize(pool->executor, (unsigned)threads) != 0;
}

size_t POOL_sizeof(const POOL_ctx *pool)
{
	return pool ? sizeof *pool : 0;
}

static int submit(POOL_ctx *pool, POOL_function function, void *arg, int64_t backlog_deadline)
{
	const zstd_job job = {function, arg};
	return zstd_work_submit_with(pool->executor, job, NULL,
	                             &(fl_submit_config){.backlog_deadline = backlog_deadline});
}

/* zstd's pool has no error here: out of memory the job runs at once. */
void POOL_add(POOL_ctx *pool, POOL_function function, void *arg)
{
	if (submit(pool, function, arg, 0) != 0)
		function(arg);
}

int POOL_tryAdd(POOL_ctx *pool, POOL_function function, void *arg)
{
	return submit(pool, function, arg, FL_NO_WAIT) == 0;
}

/* The two that zstd offers to its users. */
ZSTD_threadPool *ZSTD_createThreadPool(size_t threads)
{
	return POOL_create(threads, 0);
}

void ZSTD_freeThreadPool(ZSTD_threadPool *pool)
{
	POOL_free(pool);
}
