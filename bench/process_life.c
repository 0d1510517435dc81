/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures how long a program and a process executor take to start, how long children that are
 * programs take, and how long an executor takes to get over the death of a worker. A small program
 * (start_probe.c) measures the starts of executors, because that is the usual case of a user:
 * fairlead-bench links many libraries, and a fork server is the same program once more.
 */
#include "remote.h"

#include <errno.h>
#include <fairlead/loop.h>
#include <fairlead/process_executor.h>
#include <fairlead/process_io.h>
#include <fairlead/shm.h>
#include <fairlead/task.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAMS = 500, TRANSFERS = 5, KILLS = 200, PYTHON_KILLS = 20, P99_LEAST = 100, STARTS = 10, LATER_STARTS = 50 };

/* Runs a program from its start to its end: the same program, with the library and without it. */
static void program_run(bench_thread *t)
{
	char *const argv[] = {t->state, NULL};
	BENCH_EACH (i, t) {
		pid_t pid;
		int status;
		if (posix_spawn(&pid, t->state, NULL, NULL, argv, argv + 1) != 0 || waitpid(pid, &status, 0) != pid ||
		    status != 0)
			bench_fail("%s", (const char *)t->state);
	}
}

/*
 * --- programs as children of a loop ---
 *
 * The rows measure how long it takes to start and to reap a child, and to send 100 MB through a
 * child and back.
 */

static const size_t program_size = (size_t)100 << 20;

static void *transfer_setup(const bench_setting *with)
{
	char *bytes = bench_alloc(program_size);
	for (size_t i = 0; i < program_size; i++)
		bytes[i] = (char)(i * 2654435761u >> 24);
	return bytes;
}

static void program_must_equal(const char *sent, const void *received, size_t size)
{
	if (size != program_size || memcmp(sent, received, size) != 0)
		bench_fail("cat returned something else");
}

/* --- Fairlead --- */

static int program_start_all(void *arg)
{
	const bench_thread *t = arg;
	BENCH_EACH (i, t) {
		fl_process *p;
		fl_process_status status;
		if (fl_process_start(&p, &(fl_process_config){.program = "/bin/true"}) != 0 ||
		    fl_process_join(p, &status) != 0 || status.code != 0)
			bench_fail("/bin/true");
		fl_process_free(p);
	}
	return 0;
}

static int program_transfer_all(void *arg)
{
	const bench_thread *t = arg;
	BENCH_EACH (i, t) {
		FL_SCOPED(fl_process_io)
		io = {.input = t->state, .input_size = program_size, .out_max = program_size};
		fl_process_status status;
		BENCH_OK(fl_process_run(&(fl_process_config){.program = "cat"}, &io, &status));
		program_must_equal(t->state, io.out, io.out_size);
	}
	return 0;
}

static void fairlead_start(bench_thread *t)
{
	BENCH_OK(fl_loop_run(program_start_all, t));
}

static void fairlead_100mb(bench_thread *t)
{
	BENCH_OK(fl_loop_run(program_transfer_all, t));
}

/* Where a worker stores its process id before it waits to be killed. */
struct victim {
	uint32_t pid;
};

FL_TASK_STATIC(be_killed, fl_shm_offset, void)
{
	struct victim *victim = FL_SHM_AT(fl_task_region(ctx, 0), struct victim, *arg);
	if (!victim)
		return -EINVAL;
	__atomic_store_n(&victim->pid, (uint32_t)getpid(), __ATOMIC_RELEASE);
	for (;;)
		(void)pause();
}

FL_TASK_STATIC(be_served, uint64_t, uint64_t)
{
	*result = *arg;
	return 0;
}

typedef struct kill_state {
	fl_shm *region;
	struct victim *victim;
	fl_executor *pool;
	int64_t samples[KILLS];
} kill_state;

/*
 * Kills the only worker, which runs a task while another task waits. Measures, in ns from the kill,
 * when the future of the first task reports it, and when the second task has run.
 */
static void kill_one(kill_state *s, int64_t *failed, int64_t *served)
{
	fl_future *dies, *waits;
	__atomic_store_n(&s->victim->pid, 0, __ATOMIC_RELAXED);
	BENCH_OK(be_killed_submit(s->pool, fl_shm_offset_of(s->region, s->victim), &dies));
	BENCH_OK(be_served_submit(s->pool, 7, &waits));
	uint32_t pid;
	while ((pid = __atomic_load_n(&s->victim->pid, __ATOMIC_ACQUIRE)) == 0)
		sched_yield();
	int64_t start = bench_now();
	if (kill((pid_t)pid, SIGKILL) != 0)
		bench_fail("no worker to kill");
	int rc = fl_future_wait(dies);
	*failed = bench_now() - start;
	uint64_t seven = 0;
	if (rc || fl_future_error(dies) != -EOWNERDEAD)
		bench_fail("a killed task did not fail as it should: %s", fl_future_message(dies));
	if (be_served_get(waits, &seven) || seven != 7)
		bench_fail("a task behind a killed one failed: %s", fl_future_message(waits));
	*served = bench_now() - start;
	fl_future_free(dies);
	fl_future_free(waits);
}

static void *kill_setup(const bench_setting *with)
{
	kill_state *s = bench_alloc(sizeof *s);
	int64_t ignored;
	if (with->total > KILLS || fl_shm_create(&s->region, 4096))
		bench_fail("fl_shm_create");
	s->victim = fl_shm_block_alloc(s->region, sizeof *s->victim);
	fl_executor_config config = {.workers = 1, .regions = &s->region, .n_regions = 1};
	if (!s->victim || fl_process_executor_create(&s->pool, &config))
		bench_fail("fl_process_executor_create");
	kill_one(s, &ignored, &ignored);
	return s;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void kill_all(bench_thread *t, bool until_served)
{
	kill_state *s = t->state;
	BENCH_EACH (i, t) {
		int64_t failed, served;
		kill_one(s, &failed, &served);
		s->samples[i] = until_served ? served : failed;
		t->took += s->samples[i];
	}
	qsort(s->samples, t->total, sizeof *s->samples, by_size);
	t->p99 = t->total >= P99_LEAST ? s->samples[t->total * 99 / 100] : 0;
}

static void kill_failed(bench_thread *t)
{
	kill_all(t, false);
}

static void kill_served(bench_thread *t)
{
	kill_all(t, true);
}

static void kill_teardown(void *state, uint64_t total)
{
	kill_state *s = state;
	fl_executor_free(s->pool);
	fl_shm_free(s->region);
	free(s);
}

#define PYTHON BENCH_PYTHON, BENCH_POOL_PY

static const bench_row rows[] = {
    {"process/program", "fairlead", bench_setup_arg, program_run, bench_no_teardown, .arg = BENCH_PROGRAM},
    {"process/program", "without", bench_setup_arg, program_run, bench_no_teardown, 0, BENCH_FLOOR,
     BENCH_PROGRAM_WITHOUT},
    BENCH_REMOTE_ROW_EACH("process/start_first", "fairlead", STARTS, BENCH_START, "result"),
    BENCH_REMOTE_ROW("process/start_again", "fairlead", LATER_STARTS, BENCH_START, "result_again"),
    BENCH_REMOTE_ROW("process/start_stop", "fairlead", LATER_STARTS, BENCH_START, "end_again"),
    BENCH_REMOTE_ROW_EACH("process/start_first", "python_ppe", STARTS, PYTHON, "start", "result"),
    BENCH_REMOTE_ROW("process/start_again", "python_ppe", STARTS, PYTHON, "start", "result_again"),
    BENCH_REMOTE_ROW("process/start_stop", "python_ppe", STARTS, PYTHON, "start", "end_again"),
    {"process/kill_to_failed", "fairlead", kill_setup, kill_failed, kill_teardown, KILLS},
    {"process/kill_to_served", "fairlead", kill_setup, kill_served, kill_teardown, KILLS},
    BENCH_REMOTE_ROW("process/kill_to_failed", "python_ppe", PYTHON_KILLS, PYTHON, "kills", "failed"),
    BENCH_REMOTE_ROW("process/kill_to_served", "python_ppe", PYTHON_KILLS, PYTHON, "kills", "served"),
    {"process/program_start", "fairlead", bench_setup_arg, fairlead_start, bench_no_teardown, PROGRAMS},
    {"process/program_start", "posix_spawn", bench_setup_arg, program_run, bench_no_teardown, PROGRAMS,
     .arg = "/bin/true"},
    BENCH_REMOTE_ROW("process/program_start", "python_asyncio", PROGRAMS, BENCH_PYTHON, BENCH_LOOP_PY, "program_start"),
    {"process/program_100mb", "fairlead", transfer_setup, fairlead_100mb, bench_free, TRANSFERS},
    BENCH_REMOTE_ROW("process/program_100mb", "python_asyncio", TRANSFERS, BENCH_PYTHON, BENCH_LOOP_PY,
                     "program_100mb"),
};
BENCH_ROWS(rows)
