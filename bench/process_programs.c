/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs as children: the start and the reap of one, and 100 MB through one and back. Fairlead's
 * and asyncio's calls are made in a loop.
 */
#include "remote.h"

#include <errno.h>
#include <fairlead/loop.h>
#include <fairlead/process_io.h>
#include <gio/gio.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

enum { STARTS = 500, TRANSFERS = 5 };
static const size_t program_size = (size_t)100 << 20;

static void *program_setup(int threads, uint64_t total)
{
	char *bytes = bench_alloc(program_size);
	(void)threads;
	(void)total;
	for (size_t i = 0; i < program_size; i++)
		bytes[i] = (char)(i * 2654435761u >> 24);
	return bytes;
}

static void *program_setup_nothing(int threads, uint64_t total)
{
	(void)threads;
	(void)total;
	return NULL;
}

static void program_teardown(void *state, uint64_t total)
{
	(void)total;
	free(state);
}

static void program_must_equal(const char *sent, const void *received, size_t size)
{
	if (size != program_size || memcmp(sent, received, size) != 0)
		bench_fail("cat returned something else");
}

/* Fairlead. */

static int program_start_all(void *arg)
{
	const bench_thread *t = arg;
	for (uint64_t i = 0; i < t->total; i++) {
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
	for (uint64_t i = 0; i < t->total; i++) {
		FL_SCOPED(fl_process_io)
		io = {.input = t->state, .input_size = program_size, .out_max = program_size};
		fl_process_status status;
		if (fl_process_run(&(fl_process_config){.program = "cat"}, &io, &status) != 0)
			bench_fail("fl_process_run");
		program_must_equal(t->state, io.out, io.out_size);
	}
	return 0;
}

static void fairlead_start(bench_thread *t)
{
	if (fl_loop_run(program_start_all, t) != 0)
		bench_fail("fl_loop_run");
}

static void fairlead_100mb(bench_thread *t)
{
	if (fl_loop_run(program_transfer_all, t) != 0)
		bench_fail("fl_loop_run");
}

/* posix_spawn and waitpid. */

static void posix_start(bench_thread *t)
{
	static char program[] = "/bin/true";
	char *const argv[] = {program, NULL};
	for (uint64_t i = 0; i < t->total; i++) {
		pid_t pid;
		int status;
		if (posix_spawn(&pid, program, NULL, NULL, argv, environ) != 0)
			bench_fail("posix_spawn");
		while (waitpid(pid, &status, 0) < 0)
			if (errno != EINTR)
				bench_fail("waitpid");
		if (status != 0)
			bench_fail("/bin/true");
	}
}

/* GLib. */

static void glib_start(bench_thread *t)
{
	for (uint64_t i = 0; i < t->total; i++) {
		GSubprocess *p = g_subprocess_new(G_SUBPROCESS_FLAGS_NONE, NULL, "/bin/true", NULL);
		if (!p || !g_subprocess_wait_check(p, NULL, NULL))
			bench_fail("/bin/true");
		g_object_unref(p);
	}
}

static void glib_100mb(bench_thread *t)
{
	for (uint64_t i = 0; i < t->total; i++) {
		GSubprocess *p = g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
		                                      G_SUBPROCESS_FLAGS_STDERR_PIPE,
		                                  NULL, "cat", NULL);
		GBytes *in = g_bytes_new_static(t->state, program_size), *out = NULL, *err = NULL;
		if (!p || !g_subprocess_communicate(p, in, NULL, &out, &err, NULL))
			bench_fail("g_subprocess_communicate");
		size_t size;
		const void *received = g_bytes_get_data(out, &size);
		program_must_equal(t->state, received, size);
		g_bytes_unref(in);
		g_bytes_unref(out);
		g_bytes_unref(err);
		g_object_unref(p);
	}
}

/* asyncio, in loop.py. */

#define PYTHON(id)                                                                                                     \
	static void *id##_setup(int threads, uint64_t total)                                                           \
	{                                                                                                              \
		static const char *const command[] = {BENCH_PYTHON, BENCH_LOOP_PY, #id, NULL};                         \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return bench_remote_open(command);                                                                     \
	}

PYTHON(program_start)
PYTHON(program_100mb)

static const bench_row rows[] = {
    {"process/program_start", "fairlead", program_setup_nothing, fairlead_start, program_teardown, STARTS},
    {"process/program_start", "posix_spawn", program_setup_nothing, posix_start, program_teardown, STARTS},
    {"process/program_start", "glib", program_setup_nothing, glib_start, program_teardown, STARTS},
    {"process/program_start", "python_asyncio", program_start_setup, bench_remote_run, bench_remote_teardown, STARTS},
    {"process/program_100mb", "fairlead", program_setup, fairlead_100mb, program_teardown, TRANSFERS},
    {"process/program_100mb", "glib", program_setup, glib_100mb, program_teardown, TRANSFERS},
    {"process/program_100mb", "python_asyncio", program_100mb_setup, bench_remote_run, bench_remote_teardown,
     TRANSFERS},
};
BENCH_ROWS(rows)
