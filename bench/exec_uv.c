/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libuv's pool of threads. It is one for the whole process, as many as the environment says when it
 * is first used; only the thread of the loop submits, and that a task has ended is a callback on
 * this thread: a waiting thread runs the loop.
 */
#include "pools.h"

#include <stdio.h>
#include <uv.h>

typedef struct uv_future {
	uv_work_t work;
	bool done;
	uint64_t arg, result;
} uv_future;

static uv_loop_t *uv_open(unsigned workers, size_t most)
{
	char number[16];
	(void)most;
	(void)snprintf(number, sizeof number, "%u", workers);
	uv_loop_t *loop = bench_alloc(sizeof *loop);
	if (uv_os_setenv("UV_THREADPOOL_SIZE", number) || uv_loop_init(loop))
		bench_fail("uv_loop_init");
	return loop;
}

static void uv_close_pool(uv_loop_t *loop)
{
	if (uv_run(loop, UV_RUN_DEFAULT) || uv_loop_close(loop))
		bench_fail("uv_loop_close");
	free(loop);
}

static uv_future *uv_futures(size_t n)
{
	return bench_alloc(n * sizeof(uv_future));
}

static void uv_run_task(uv_work_t *work)
{
	uv_future *f = (uv_future *)work;
	f->result = pool_task(f->arg);
}

static void uv_task_ended(uv_work_t *work, int status)
{
	(void)status;
	((uv_future *)work)->done = true;
}

static inline void uv_submit(uv_loop_t *loop, uv_future *f, uint64_t arg)
{
	f->arg = arg;
	f->done = false;
	if (uv_queue_work(loop, &f->work, uv_run_task, uv_task_ended))
		bench_fail("uv_queue_work");
}

static inline uint64_t uv_await(uv_loop_t *loop, uv_future *f)
{
	while (!f->done)
		(void)uv_run(loop, UV_RUN_ONCE);
	return f->result;
}

POOL_BENCH(uv, uv_loop_t, uv_future, uv_open, uv_close_pool, uv_futures, free, uv_submit, uv_await)

/* A burst: the loop itself runs until nothing is left. */
typedef struct uv_job {
	pool_job job;
	uv_work_t work;
} uv_job;

static void uv_run_job(uv_work_t *work)
{
	pool_job *job = work->data;
	job->result = pool_task(job->arg);
}

static void uv_job_ended(uv_work_t *work, int status)
{
	(void)work;
	(void)status;
}

static inline void uv_spawn_job(uv_loop_t *loop, uv_job *job)
{
	job->work.data = job;
	if (uv_queue_work(loop, &job->work, uv_run_job, uv_job_ended))
		bench_fail("uv_queue_work");
}

static inline void uv_wait(uv_loop_t *loop, pool_burst *b)
{
	(void)b;
	(void)uv_run(loop, UV_RUN_DEFAULT);
}

POOL_BURST(uv, uv_loop_t, uv_job, uv_open, uv_close_pool, uv_spawn_job, uv_wait)

static const bench_row rows[] = {POOL_ROWS(uv, "libuv"), POOL_BURST_ROW(uv, "libuv")};
BENCH_ROWS(rows)
