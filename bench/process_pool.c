/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks on two processes, one by one and in chunks: Fairlead's process executor, and Python's pools
 * (pool.py). Large arguments are in process_large.c, starts and deaths in process_life.c.
 */
#include "exec.h"
#include "remote.h"

#include <fairlead/process_executor.h>
#include <fairlead/task.h>
#include <string.h>

FL_TASK_STATIC(pool_echo, uint64_t, uint64_t)
{
	*result = *arg;
	return 0;
}

static fl_executor *fairlead_open(unsigned workers)
{
	fl_executor *e = NULL;
	if (fl_process_executor_create(&e, &(fl_executor_config){.workers = workers}))
		bench_fail("fl_process_executor_create");
	return e;
}

static inline void fairlead_submit(fl_executor *e, fl_future **f, uint64_t arg)
{
	if (pool_echo_submit(e, arg, f))
		bench_fail("fl_submit");
}

static inline uint64_t fairlead_get(fl_executor *e, fl_future **f)
{
	uint64_t result = 0;
	if (pool_echo_get(*f, &result))
		bench_fail("fl_future_get: %s", fl_future_message(*f));
	fl_future_free(*f);
	return result;
}

typedef struct fairlead_state {
	fl_executor *pool;
	fl_future *futures[EXEC_BATCH];
} fairlead_state;
EXEC_BATCHES(fairlead, fairlead_submit, fairlead_get)

static void *fairlead_setup(const bench_setting *with)
{
	fairlead_state *s = bench_alloc(sizeof *s);
	s->pool = fairlead_open((unsigned)with->threads);
	fairlead_batches(s, EXEC_BATCH, EXEC_BATCH / 10); /* the workers run, and memory is there */
	return s;
}

static void fairlead_teardown(void *state, uint64_t total)
{
	fairlead_state *s = state;
	fl_executor_free(s->pool);
	free(s);
}

typedef struct map_state {
	fl_executor *pool;
	uint64_t args[EXEC_BATCH], results[EXEC_BATCH];
} map_state;

static void map_batches(map_state *s, uint64_t total, size_t chunk)
{
	fl_map_config config = {.chunk = chunk};
	for (uint64_t first = 0; first < total; first += EXEC_BATCH) {
		size_t n = total - first < EXEC_BATCH ? (size_t)(total - first) : EXEC_BATCH;
		for (size_t i = 0; i < n; i++)
			s->args[i] = first + i + 1;
		if (pool_echo_map(s->pool, s->args, n, s->results, &config))
			bench_fail("fl_map");
		if (memcmp(s->args, s->results, n * sizeof *s->args) != 0)
			bench_fail("fl_map returned a wrong result");
	}
}

static void *map_setup(const bench_setting *with)
{
	map_state *s = bench_alloc(sizeof *s);
	s->pool = fairlead_open((unsigned)with->threads);
	map_batches(s, EXEC_BATCH, 1); /* the workers run, and memory is there */
	return s;
}

static void map_chunk1(bench_thread *t)
{
	map_batches(t->state, t->total, 1);
}

static void map_chunk64(bench_thread *t)
{
	map_batches(t->state, t->total, 64);
}

static void map_teardown(void *state, uint64_t total)
{
	map_state *s = state;
	fl_executor_free(s->pool);
	free(s);
}

#define PYTHON_ROW(name, implementation, fixed, ...)                                                                   \
	BENCH_REMOTE_ROW("process/" name, implementation, fixed, BENCH_PYTHON, BENCH_POOL_PY, __VA_ARGS__)

static const bench_row rows[] = {
    {"process/tasks_chunk1", "fairlead", fairlead_setup, fairlead_submit_get, fairlead_teardown},
    {"process/map_chunk1", "fairlead", map_setup, map_chunk1, map_teardown},
    {"process/map_chunk64", "fairlead", map_setup, map_chunk64, map_teardown},
    {"process/task_roundtrip", "fairlead", fairlead_setup, fairlead_roundtrip, fairlead_teardown},
    PYTHON_ROW("tasks_chunk1", "python_ppe", 10000, "tasks"),
    PYTHON_ROW("task_roundtrip", "python_ppe", 2000, "roundtrip"),
    PYTHON_ROW("map_chunk1", "python_pool", 20000, "map_pool", "1"),
    PYTHON_ROW("map_chunk64", "python_pool", 100000, "map_pool", "64"),
};
BENCH_ROWS(rows)
