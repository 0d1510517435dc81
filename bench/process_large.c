/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks with 64 MiB: in a region that the worker has too, with every page written before, by its
 * offset; and by value, there and back, in memory of its own each time. One worker, one task at a
 * time.
 */
#include "shim.h"

#include <errno.h>
#include <fairlead/process_executor.h>
#include <fairlead/task.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

FL_TASK_STATIC(look_nowhere, uint64_t, struct ends)
{
	*result = (struct ends){(unsigned char)*arg, (unsigned char)*arg};
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
	(void)total;
	fl_executor_free(s->pool);
	fl_shm_free(s->region);
	free(s);
}

static void look_often(large_state *s, uint64_t n, const fl_task_type *type)
{
	fl_shm_offset offset = fl_shm_offset_of(s->region, s->block);
	for (uint64_t i = 0; i < n; i++) {
		struct ends ends;
		fl_future *f;
		s->block->bytes[0] = s->block->bytes[LARGE - 1] = (unsigned char)i;
		if (fl_submit(s->pool, type, type == &look_at ? &offset : &i, &f) ||
		    fl_future_get(f, &ends, sizeof ends))
			bench_fail("fl_future_get");
		fl_future_free(f);
		if (ends.first != (unsigned char)i || ends.last != (unsigned char)i)
			bench_fail("a task saw something else");
	}
}

static void *look_setup(int threads, uint64_t total)
{
	large_state *s = open_pool();
	(void)threads;
	(void)total;
	look_often(s, WARM, &look_at);
	look_often(s, WARM, &look_nowhere);
	return s;
}

static void look_run(bench_thread *t)
{
	look_often(t->state, t->total, &look_at);
}

static void nowhere_run(bench_thread *t)
{
	look_often(t->state, t->total, &look_nowhere);
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

static void *copy_setup(int threads, uint64_t total)
{
	large_state *s = open_pool();
	(void)threads;
	(void)total;
	copy_often(s, WARM_LARGE);
	return s;
}

static void copy_run(bench_thread *t)
{
	copy_often(t->state, t->total);
}

/*
 * The floor: the argument and the result each written once, in the way that is fastest, into memory
 * that was not there before.
 */
static void *fresh_setup(int threads, uint64_t total)
{
	struct large *block = bench_alloc(sizeof *block);
	(void)threads;
	(void)total;
	return block;
}

static struct large *fresh_copy(const struct large *of)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);
	if (fd < 0)
		bench_fail("memfd_create: %s", strerror(errno));
	for (size_t done = 0; done < sizeof *of;) {
		ssize_t n = write(fd, of->bytes + done, sizeof *of - done);
		if (n <= 0)
			bench_fail("no 64 MiB of memory: %s", strerror(errno));
		done += (size_t)n;
	}
	struct large *copy = mmap(NULL, sizeof *copy, PROT_READ, MAP_SHARED, fd, 0);
	if (copy == MAP_FAILED)
		bench_fail("mmap: %s", strerror(errno));
	(void)close(fd);
	return copy;
}

static void fresh_run(bench_thread *t)
{
	struct large *block = t->state;
	for (uint64_t i = 0; i < t->total; i++) {
		block->bytes[0] = block->bytes[LARGE - 1] = (unsigned char)i;
		struct large *there = fresh_copy(block), *back = fresh_copy(there);
		if (back->bytes[0] != (unsigned char)i || back->bytes[LARGE - 1] != (unsigned char)i)
			bench_fail("memory holds something else");
		(void)munmap(there, sizeof *there);
		(void)munmap(back, sizeof *back);
	}
}

static void fresh_teardown(void *state, uint64_t total)
{
	(void)total;
	free(state);
}

static const bench_row rows[] = {
    {"process/task_64mib", "fairlead", look_setup, look_run, close_pool, 0},
    {"process/task_64mib", "noop", look_setup, nowhere_run, close_pool, 0},
    {"process/result_64mib", "fairlead", copy_setup, copy_run, close_pool, 0},
    {"process/result_64mib", "copy", fresh_setup, fresh_run, fresh_teardown, 0},
};
BENCH_ROWS(rows)
