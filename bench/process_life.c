/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a program and a process executor take to start, and an executor to get over the death of
 * a worker. Starts of executors are measured in a small program, which is what a user has: this one
 * links much, and a fork server is this program once more.
 */
#include "remote.h"

#include <errno.h>
#include <fairlead/process_executor.h>
#include <fairlead/task.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 200, P99_LEAST = 100, FIRST_STARTS = 10, LATER_STARTS = 50 };

#define START(impl, how)                                                                                               \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		static const char *const command[] = {BENCH_START, how, NULL};                                         \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return bench_remote_open(command);                                                                     \
	}

START(again, "result_again")
START(stop, "end_again")

static void *first_setup(int threads, uint64_t total)
{
	static const char *const command[] = {BENCH_START, "result", NULL};
	(void)threads;
	(void)total;
	return (void *)command;
}

/* The same program, with the library and without it, from its start to its end. */
static void *program_setup(int threads, uint64_t total)
{
	(void)threads;
	(void)total;
	return (void *)BENCH_PROGRAM;
}

static void *program_without_setup(int threads, uint64_t total)
{
	(void)threads;
	(void)total;
	return (void *)BENCH_PROGRAM_WITHOUT;
}

static void program_run(bench_thread *t)
{
	char *const argv[] = {t->state, NULL};
	for (uint64_t i = 0; i < t->total; i++) {
		pid_t pid;
		int status;
		if (posix_spawn(&pid, t->state, NULL, NULL, argv, argv + 1) != 0 || waitpid(pid, &status, 0) != pid ||
		    status != 0)
			bench_fail("%s", (const char *)t->state);
	}
}

static void program_teardown(void *state, uint64_t total)
{
	(void)state;
	(void)total;
}

/* A worker says its process id, and waits to be killed. */
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
 * Kills the only worker; a task waits behind the one that dies with it. Both in ns since the kill.
 */
static void kill_one(kill_state *s, int64_t *failed, int64_t *served)
{
	fl_future *dies, *waits;
	__atomic_store_n(&s->victim->pid, 0, __ATOMIC_RELAXED);
	if (be_killed_submit(s->pool, fl_shm_offset_of(s->region, s->victim), &dies) ||
	    be_served_submit(s->pool, 7, &waits))
		bench_fail("fl_submit");
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

static void *kill_setup(int threads, uint64_t total)
{
	kill_state *s = bench_alloc(sizeof *s);
	int64_t ignored;
	(void)threads;
	if (total > KILLS || fl_shm_create(&s->region, 4096))
		bench_fail("fl_shm_create");
	s->victim = fl_shm_alloc(s->region, sizeof *s->victim);
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
	for (uint64_t i = 0; i < t->total; i++) {
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
	(void)total;
	fl_executor_free(s->pool);
	fl_shm_free(s->region);
	free(s);
}

static const bench_row rows[] = {
    {"process/program", "fairlead", program_setup, program_run, program_teardown},
    {"process/program", "without", program_without_setup, program_run, program_teardown},
    {"process/start_first", "fairlead", first_setup, bench_remote_run_each, bench_remote_teardown_each, FIRST_STARTS},
    {"process/start_again", "fairlead", again_setup, bench_remote_run, bench_remote_teardown, LATER_STARTS},
    {"process/start_stop", "fairlead", stop_setup, bench_remote_run, bench_remote_teardown, LATER_STARTS},
    {"process/kill_to_failed", "fairlead", kill_setup, kill_failed, kill_teardown, KILLS},
    {"process/kill_to_served", "fairlead", kill_setup, kill_served, kill_teardown, KILLS},
};
BENCH_ROWS(rows)
