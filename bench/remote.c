/* SPDX-License-Identifier: BSD-2-Clause */
#include "remote.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		bench_fail("pipe: %s", strerror(errno));
}

static void read_line(bench_remote *r, char *line, int size)
{
	if (!fgets(line, size, r->from))
		bench_fail("the program that measures this row ended without an answer");
}

bench_remote *bench_remote_open(const char *const *command)
{
	bench_remote *r = bench_alloc(sizeof *r);
	int to[2], from[2];
	make_pipe(to);
	make_pipe(from);
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

int64_t bench_remote_ask(bench_remote *r, uint64_t n, int64_t *p99)
{
	char line[64];
	int64_t took;
	if (fprintf(r->to, "%" PRIu64 "\n", n) < 0 || fflush(r->to) != 0)
		bench_fail("the program that measures this row has ended");
	read_line(r, line, sizeof line);
	if (sscanf(line, "%" SCNd64 " %" SCNd64, &took, p99) != 2 || took <= 0)
		bench_fail("the program that measures this row answered %s", line);
	return took;
}

void bench_remote_close(bench_remote *r)
{
	int status;
	(void)fclose(r->to);
	while (waitpid(r->pid, &status, 0) < 0)
		if (errno != EINTR)
			bench_fail("waitpid: %s", strerror(errno));
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
	t->took = bench_remote_ask(t->state, t->total, &t->p99);
}

void bench_remote_teardown(void *state, uint64_t total)
{
	bench_remote_close(state);
}

void bench_remote_run_each(bench_thread *t)
{
	for (uint64_t i = 0; i < t->total; i++) {
		bench_remote *r = bench_remote_open(t->state);
		t->took += bench_remote_ask(r, 1, &t->p99);
		bench_remote_close(r);
	}
}
