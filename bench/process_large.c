/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks with 64 MiB: in a region that the worker has too, with every page written before, by its
 * offset; and by value, there and back, in memory of its own each time. One worker, one task at a
 * time.
 */
#include "remote.h"

#include <fairlead/process_executor.h>
#include <fairlead/shm.h>
#include <fairlead/task.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 64 << 20, WARM = 1000, WARM_LARGE = 2 };

struct large {
	unsigned char bytes[LARGE];
};

struct ends {
	unsigned char first, last;
};

/* Looks at both ends: nothing is copied. */
FL_TASK_STATIC(look_at, fl_shm_offset, struct ends)
{
	const struct large *block = FL_SHM_AT(fl_task_region(ctx, 0), struct large, *arg);
	if (!block)
		return -1;
	*result = (struct ends){block->bytes[0], block->bytes[LARGE - 1]};
	return 0;
}

FL_TASK_STATIC(copy_large, struct large, struct large)
{
	memcpy(result, arg, sizeof *result);
	return 0;
}

typedef struct large_state {
	fl_shm *region;
	struct large *block; /* in the region, or this process's own */
	fl_executor *pool;
} large_state;

static large_state *open_pool(void)
{
	large_state *s = bench_alloc(sizeof *s);
	if (fl_shm_create(&s->region, LARGE))
		bench_fail("no region of 64 MiB");
	s->block = fl_shm_alloc(s->region, sizeof *s->block);
	fl_executor_config config = {.workers = 1, .regions = &s->region, .n_regions = 1};
	if (!s->block || fl_process_executor_create(&s->pool, &config))
		bench_fail("fl_process_executor_create");
	memset(s->block, 1, sizeof *s->block);
	return s;
}

static void close_pool(void *state, uint64_t total)
{
	large_state *s = state;
	fl_executor_free(s->pool);
	fl_shm_free(s->region);
	free(s);
}

static void look_often(large_state *s, uint64_t n)
{
	fl_shm_offset offset = fl_shm_offset_of(s->region, s->block);
	for (uint64_t i = 0; i < n; i++) {
		struct ends ends;
		fl_future *f;
		s->block->bytes[0] = s->block->bytes[LARGE - 1] = (unsigned char)i;
		if (look_at_submit(s->pool, offset, &f) || look_at_get(f, &ends))
			bench_fail("fl_future_get");
		fl_future_free(f);
		if (ends.first != (unsigned char)i || ends.last != (unsigned char)i)
			bench_fail("a task saw something else");
	}
}

static void *look_setup(const bench_setting *with)
{
	large_state *s = open_pool();
	look_often(s, WARM);
	return s;
}

static void look_run(bench_thread *t)
{
	look_often(t->state, t->total);
}

static void copy_often(large_state *s, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		fl_future *f;
		s->block->bytes[0] = s->block->bytes[LARGE - 1] = (unsigned char)i;
		if (fl_submit(s->pool, &copy_large, s->block, &f) || fl_future_wait(f))
			bench_fail("fl_future_wait");
		const struct large *result = fl_future_result(f);
		if (!result)
			bench_fail("a large task failed: %s", fl_future_message(f));
		if (result->bytes[0] != (unsigned char)i || result->bytes[LARGE - 1] != (unsigned char)i)
			bench_fail("a task returned something else");
		fl_future_free(f);
	}
}

static void *copy_setup(const bench_setting *with)
{
	large_state *s = open_pool();
	copy_often(s, WARM_LARGE);
	return s;
}

static void copy_run(bench_thread *t)
{
	copy_often(t->state, t->total);
}

static const bench_row rows[] = {
    {"process/task_64mib", "fairlead", look_setup, look_run, close_pool},
    {"process/result_64mib", "fairlead", copy_setup, copy_run, close_pool},
    BENCH_REMOTE_ROW("process/task_64mib", "python_shm", 2000, BENCH_PYTHON, BENCH_POOL_PY, "look_shared"),
    BENCH_REMOTE_ROW("process/result_64mib", "python_pickled", 4, BENCH_PYTHON, BENCH_POOL_PY, "copy_pickled"),
};
BENCH_ROWS(rows)
