/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks on two processes, one by one and in chunks: Fairlead's process executor, and a fork for
 * each task. Rings by hand are in process_rings.c, Python's pools in process_python.c, large
 * arguments in process_large.c, starts and deaths in process_life.c.
 */
#include "exec.h"
#include "process.h"

#include <errno.h>
#include <fairlead/process_executor.h>
#include <fairlead/task.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
	(void)e;
	if (pool_echo_get(*f, &result))
		bench_fail("fl_future_get: %s", fl_future_message(*f));
	fl_future_free(*f);
	return result;
}

EXEC_BENCH(fairlead, fl_executor, fl_future *, s->pool = fairlead_open(EXEC_WORKERS);
           s->futures = bench_alloc(EXEC_BATCH * sizeof *s->futures), fl_executor_free(s->pool);
           free(s->futures), fairlead_submit, fairlead_get)

/* The round trip has one worker, as its floors have. */
static void *single_setup(int threads, uint64_t total)
{
	struct fairlead_state *s = fairlead_setup(threads, total);
	fl_executor_free(s->pool);
	s->pool = fairlead_open(1);
	fairlead_batches(s, EXEC_BATCH, 1);
	return s;
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

static void *map_setup(int threads, uint64_t total)
{
	map_state *s = bench_alloc(sizeof *s);
	(void)threads;
	(void)total;
	s->pool = fairlead_open(EXEC_WORKERS);
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
	(void)total;
	fl_executor_free(s->pool);
	free(s);
}

/* A fork for each task, two at once; what it returns comes through one pipe. */
typedef struct fork_message {
	pid_t pid;
	uint64_t arg, result;
} fork_message;

static void *fork_setup(int threads, uint64_t total)
{
	int *ends = bench_alloc(2 * sizeof *ends);
	(void)threads;
	(void)total;
	if (pipe(ends) != 0)
		bench_fail("pipe: %s", strerror(errno));
	return ends;
}

static void fork_task(int out, uint64_t arg)
{
	pid_t pid = fork();
	if (pid < 0)
		bench_fail("fork: %s", strerror(errno));
	if (pid > 0)
		return;
	fork_message message = {.pid = getpid(), .arg = arg, .result = arg};
	_exit(write(out, &message, sizeof message) == (ssize_t)sizeof message ? 0 : 1);
}

static uint64_t fork_await(int in)
{
	fork_message message;
	int status;
	if (read(in, &message, sizeof message) != (ssize_t)sizeof message || message.arg != message.result)
		bench_fail("a fork's answer is wrong");
	if (waitpid(message.pid, &status, 0) != message.pid || status != 0)
		bench_fail("a fork failed");
	return message.result;
}

static void fork_run(bench_thread *t)
{
	const int *ends = t->state;
	uint64_t sum = 0;
	for (uint64_t sent = 0, got = 0; got < t->total; got++) {
		for (; sent < t->total && sent - got < EXEC_WORKERS; sent++)
			fork_task(ends[1], sent);
		sum += fork_await(ends[0]);
	}
	if (sum != t->total * (t->total - 1) / 2)
		bench_fail("a fork's answer is missing");
}

static void fork_teardown(void *state, uint64_t total)
{
	int *ends = state;
	(void)total;
	(void)close(ends[0]);
	(void)close(ends[1]);
	free(ends);
}

static const bench_row rows[] = {
    {"process/tasks_chunk1", "fairlead", fairlead_setup, fairlead_submit_get, fairlead_teardown, 0},
    {"process/tasks_chunk1", "fork", fork_setup, fork_run, fork_teardown, 0},
    {"process/map_chunk1", "fairlead", map_setup, map_chunk1, map_teardown, 0},
    {"process/map_chunk64", "fairlead", map_setup, map_chunk64, map_teardown, 0},
    {"process/task_roundtrip", "fairlead", single_setup, fairlead_roundtrip, fairlead_teardown, 0},
};
BENCH_ROWS(rows)
