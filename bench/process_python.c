/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Python's pools, measured in Python by pool.py: the machine's own Python, without the time that
 * the interpreter needs to start.
 */
#include "remote.h"

enum {
	TASKS = 10000,
	ROUNDTRIPS = 2000,
	MAPPED = 20000,
	MAPPED64 = 100000,
	LOOKS = 2000,
	LARGE = 4,
	STARTS = 10,
	KILLS = 20
};

#define PYTHON(id, ...)                                                                                                \
	static const char *const id##_command[] = {BENCH_PYTHON, BENCH_POOL_PY, __VA_ARGS__, NULL};                    \
	static void *id##_setup(int threads, uint64_t total)                                                           \
	{                                                                                                              \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return bench_remote_open(id##_command);                                                                \
	}

/* A case: each operation needs a Python of its own. */
#define PYTHON_EACH(id, ...)                                                                                           \
	static void *id##_setup(int threads, uint64_t total)                                                           \
	{                                                                                                              \
		static const char *const command[] = {BENCH_PYTHON, BENCH_POOL_PY, __VA_ARGS__, NULL};                 \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return (void *)command;                                                                                \
	}

#define PYTHON_ROW(name, implementation, id, fixed)                                                                    \
	{                                                                                                              \
		name, implementation, id##_setup, bench_remote_run, bench_remote_teardown, fixed                       \
	}

#define PYTHON_EACH_ROW(name, implementation, id, fixed)                                                               \
	{                                                                                                              \
		name, implementation, id##_setup, bench_remote_run_each, bench_remote_teardown_each, fixed             \
	}

PYTHON(tasks, "tasks")
PYTHON(roundtrip, "roundtrip")
PYTHON(map_pool, "map_pool", "1")
PYTHON(map_pool64, "map_pool", "64")
PYTHON(map_ppe, "map_ppe", "1")
PYTHON(map_ppe64, "map_ppe", "64")
PYTHON(look_shared, "look_shared")
PYTHON(look_pickled, "look_pickled")
PYTHON(copy_kept, "copy_kept")
PYTHON(copy_pickled, "copy_pickled")

#define PYTHON_STARTS(id, kind, method)                                                                                \
	PYTHON_EACH(id##_first, "start", kind, method, "result")                                                       \
	PYTHON(id##_again, "start", kind, method, "result_again")                                                      \
	PYTHON(id##_stop, "start", kind, method, "end_again")

PYTHON_STARTS(fork, "processes", "fork")
PYTHON_STARTS(ppe, "ppe", "fork")
PYTHON_STARTS(pool, "pool", "fork")
PYTHON_STARTS(forkserver, "processes", "forkserver")

#define PYTHON_STARTS_ROWS(implementation, id)                                                                         \
	PYTHON_EACH_ROW("process/start_first", implementation, id##_first, STARTS),                                    \
	    PYTHON_ROW("process/start_again", implementation, id##_again, STARTS),                                     \
	    PYTHON_ROW("process/start_stop", implementation, id##_stop, STARTS)

PYTHON(failed_ppe, "kills_ppe", "failed")
PYTHON(served_ppe, "kills_ppe", "served")
PYTHON(served_pool, "kills_pool")

static const bench_row rows[] = {
    PYTHON_ROW("process/tasks_chunk1", "python_ppe", tasks, TASKS),
    PYTHON_ROW("process/task_roundtrip", "python_ppe", roundtrip, ROUNDTRIPS),
    PYTHON_ROW("process/map_chunk1", "python_pool", map_pool, MAPPED),
    PYTHON_ROW("process/map_chunk1", "python_ppe", map_ppe, TASKS),
    PYTHON_ROW("process/map_chunk64", "python_pool", map_pool64, MAPPED64),
    PYTHON_ROW("process/map_chunk64", "python_ppe", map_ppe64, MAPPED64),
    PYTHON_ROW("process/task_64mib", "python_shm", look_shared, LOOKS),
    PYTHON_ROW("process/task_64mib", "python_pickled", look_pickled, LARGE),
    PYTHON_ROW("process/result_64mib", "python_shm", copy_kept, LARGE),
    PYTHON_ROW("process/result_64mib", "python_pickled", copy_pickled, LARGE),
    PYTHON_STARTS_ROWS("python_fork", fork),
    PYTHON_STARTS_ROWS("python_ppe", ppe),
    PYTHON_STARTS_ROWS("python_pool", pool),
    PYTHON_STARTS_ROWS("python_forkserver", forkserver),
    PYTHON_ROW("process/kill_to_failed", "python_ppe", failed_ppe, KILLS),
    PYTHON_ROW("process/kill_to_served", "python_ppe", served_ppe, KILLS),
    PYTHON_ROW("process/kill_to_served", "python_pool", served_pool, KILLS),
};
BENCH_ROWS(rows)
