/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows that another program measures, and rows that this program measures in a separate process
 * (remote.h).
 */
#include "remote.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void read_line(bench_remote *r, char *line, int size)
{
	if (!fgets(line, size, r->from))
		bench_fail("the program that measures this row ended without an answer");
}

bench_remote *bench_remote_open(const char *const *command)
{
	bench_remote *r = bench_alloc(sizeof *r);
	int to[2], from[2];
	BENCH_OK(pipe2(to, O_CLOEXEC));
	BENCH_OK(pipe2(from, O_CLOEXEC));
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
	int error = posix_spawn(&r->pid, command[0], &actions, NULL, (char *const *)command, environ);
	if (error)
		bench_fail("%s: %s", command[0], strerror(error));
	posix_spawn_file_actions_destroy(&actions);
	(void)close(to[0]);
	(void)close(from[1]);
	r->to = fdopen(to[1], "w");
	r->from = fdopen(from[0], "r");
	if (!r->to || !r->from)
		bench_fail("out of memory");
	char line[64];
	read_line(r, line, sizeof line);
	if (strcmp(line, "ready\n") != 0)
		bench_fail("%s %s: not ready: %s", command[0], command[1], line);
	return r;
}

int64_t bench_remote_ask(bench_remote *r, bench_thread *t, int64_t span)
{
	char line[160];
	int64_t cpu = 0;
	if (fprintf(r->to, "%" PRIu64 " %" PRId64 " %d\n", t->total, span, t->laps != NULL) < 0 || fflush(r->to) != 0)
		bench_fail("the program that measures this row has ended");
	read_line(r, line, sizeof line);
	if (sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNd64, &t->took, &t->p99, &t->p50,
	           &t->done, &cpu) < 2 ||
	    t->took <= 0)
		bench_fail("the program that measures this row answered %s", line);
	return cpu;
}

void bench_remote_close(bench_remote *r)
{
	int status;
	(void)fclose(r->to);
	while (waitpid(r->pid, &status, 0) < 0)
		bench_must(errno == EINTR, "waitpid");
	if (status != 0)
		bench_fail("the program that measures this row failed: wait status %d", status);
	(void)fclose(r->from);
	free(r);
}

void *bench_remote_setup(const bench_setting *with)
{
	return bench_remote_open(with->arg);
}

void bench_remote_run(bench_thread *t)
{
	(void)bench_remote_ask(t->state, t, 0);
}

void bench_remote_teardown(void *state, uint64_t total)
{
	bench_remote_close(state);
}

void bench_remote_run_each(bench_thread *t)
{
	BENCH_EACH (i, t) {
		bench_remote *r = bench_remote_open(t->state);
		bench_thread one = {.total = 1};
		(void)bench_remote_ask(r, &one, 0);
		t->took += one.took;
		bench_remote_close(r);
	}
}

static int64_t cpu_time(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

bench_remote *bench_alone_open(const bench_row *row, int threads)
{
	char number[16];
	(void)snprintf(number, sizeof number, "%d", threads);
	const char *const command[] = {"/proc/self/exe", "--serve", row->name, row->implementation, number, NULL};
	return bench_remote_open(command);
}

int bench_alone_serve(const bench_row *row, int threads)
{
	char line[64];
	void *state = row->setup(&(bench_setting){.threads = threads, .arg = row->arg});
	(void)puts("ready");
	while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
		bench_laps laps = {0};
		bench_thread t = {.state = state, .threads = 1};
		int64_t span;
		int told;
		if (sscanf(line, "%" SCNu64 " %" SCNd64 " %d", &t.total, &span, &told) != 3)
			bench_fail("bad question: %s", line);
		t.laps = told ? &laps : NULL;
		int64_t cpu = cpu_time(), start = bench_now();
		t.until = start + span;
		bench_run(row, &t);
		int64_t took = bench_now() - start;
		cpu = cpu_time() - cpu;
		(void)printf("%" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRId64 "\n",
		             t.took > 0 ? t.took : took, t.p99, t.p50, t.done, cpu);
	}
	row->teardown(state, 0);
	return 0;
}
