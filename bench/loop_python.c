/* SPDX-License-Identifier: BSD-2-Clause */
/* Python's asyncio, measured in Python by loop.py. */
#include "loop.h"
#include "remote.h"

enum { SPAWNS = 50000, TRIPS = 20000, RESTARTS = 100000 };

#define PYTHON(id, ...)                                                                                                \
	static void *id##_setup(int threads, uint64_t total)                                                           \
	{                                                                                                              \
		static const char *const command[] = {BENCH_PYTHON, BENCH_LOOP_PY, __VA_ARGS__, NULL};                 \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return bench_remote_open(command);                                                                     \
	}

#define PYTHON_ROW(id, fixed)                                                                                          \
	{                                                                                                              \
		"loop/" #id, "python_asyncio", id##_setup, bench_remote_run, bench_remote_teardown, fixed              \
	}

PYTHON(spawn_join, "spawn_join")
PYTHON(group_20000, "group_20000")
PYTHON(pingpong, "pingpong")
PYTHON(cancel, "cancel")
PYTHON(timer, "timer")

static const bench_row rows[] = {
    PYTHON_ROW(spawn_join, SPAWNS), PYTHON_ROW(group_20000, 5 * LOOP_GROUP),
    PYTHON_ROW(pingpong, TRIPS),    PYTHON_ROW(cancel, LOOP_TASKS),
    PYTHON_ROW(timer, RESTARTS),
};
BENCH_ROWS(rows)
