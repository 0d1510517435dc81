/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks with 64 MiB in a region that the worker has too, with every page written before, by its
 * offset. One worker, one task at a time. Results of 64 MiB: bytes.c.
 */
#include "remote.h"

#include <fairlead/process_executor.h>
#include <fairlead/shm.h>
#include <fairlead/task.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 64 << 20, WARM = 1000 };

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

typedef struct large_state {
	fl_shm *region;
	struct large *block;
	fl_executor *pool;
} large_state;

static void large_run(bench_thread *t)
{
	large_state *s = t->state;
	fl_shm_offset offset = fl_shm_offset_of(s->region, s->block);
	for (uint64_t i = 0; i < t->total; i++) {
		const unsigned char with = (unsigned char)i;
		struct ends ends;
		fl_future *f;
		s->block->bytes[0] = s->block->bytes[LARGE - 1] = with;
		if (look_at_submit(s->pool, offset, &f) || look_at_get(f, &ends))
			bench_fail("fl_future_get");
		fl_future_free(f);
		if (ends.first != with || ends.last != with)
			bench_fail("a task saw something else");
	}
}

static void *large_setup(const bench_setting *with)
{
	large_state *s = bench_alloc(sizeof *s);
	if (fl_shm_create(&s->region, LARGE))
		bench_fail("no region of 64 MiB");
	s->block = fl_shm_alloc(s->region, sizeof *s->block);
	fl_executor_config config = {.workers = 1, .regions = &s->region, .n_regions = 1};
	if (!s->block || fl_process_executor_create(&s->pool, &config))
		bench_fail("fl_process_executor_create");
	memset(s->block, 1, sizeof *s->block);
	large_run(&(bench_thread){.state = s, .total = WARM});
	return s;
}

static void large_teardown(void *state, uint64_t total)
{
	large_state *s = state;
	fl_executor_free(s->pool);
	fl_shm_free(s->region);
	free(s);
}

static const bench_row rows[] = {
    {"process/task_64mib", "fairlead", large_setup, large_run, large_teardown},
    BENCH_REMOTE_ROW("process/task_64mib", "python_shm", 2000, BENCH_PYTHON, BENCH_POOL_PY, "look_shared"),
};
BENCH_ROWS(rows)
