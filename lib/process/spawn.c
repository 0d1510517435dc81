/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exec'd children. A child shares the parent's memory until its exec: no page table is copied. The
 * manager thread, which makes the child, waits until then. The child reports an error over a pipe
 * that the exec closes. The pipe also works where an emulator or a tool copies the memory.
 *
 * Another thread's forked child may inherit the pipe, and hold it open for long. So the manager
 * thread does not wait for the end of the pipe where the memory is shared: when clone() returns,
 * the child has called exec or has ended. Where it is copied the manager thread waits with a
 * deadline.
 */
#include "../base/sys.h"
#include "launch.h"
#include "manager.h"
#include "os.h"
#include "raw.h"
#include "watch.h"
#include <errno.h>
#include <fairlead/time.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* Tries each path, as execvp() does: skips a file that is missing or may not be run. */
FL__RAW static int exec_first(const struct fl__spawn *spawn)
{
	int rc = -ENOENT;
	bool denied = false;
	for (const char *const *path = spawn->paths; *path; path++) {
		rc = fl__raw(SYS_execve, (long)*path, (long)spawn->argv, (long)spawn->env, 0);
		if (rc == -EACCES)
			denied = true;
		else if (rc != -ENOENT && rc != -ENOTDIR)
			return rc;
	}
	return denied ? -EACCES : rc;
}

FL__RAW static int child(void *arg)
{
	struct fl__spawn *spawn = arg;
	spawn->shared = true;
	int rc = fl__setup(&spawn->setup);
	if (rc == 0)
		rc = exec_first(spawn);
	(void)fl__raw(SYS_write, spawn->setup.keep, (long)&rc, sizeof rc, 0);
	for (;;)
		(void)fl__raw(SYS_exit_group, 127, 0, 0, 0);
	return 0;
}

/* Returns the child's error, 0 after an exec, or -ETIMEDOUT: neither is known of a copied child. */
static int verdict(const struct fl__spawn *spawn, int pipe)
{
	int rc = 0;
	ssize_t n;
	if (fl__fd_wait(pipe, POLLIN, spawn->shared ? 0 : fl_after(fl__os.patience), FL_SHIELDED) != 0)
		return spawn->shared ? 0 : -ETIMEDOUT;
	do
		n = read(pipe, &rc, sizeof rc);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof rc ? rc : 0;
}

/* Kills and reaps the child unless it has a pidfd and has called exec. */
static int own(struct fl__spawn *spawn, int pipe)
{
	fl_process_status status;
	spawn->pidfd = fl__above(spawn->pidfd);
	int rc = spawn->pidfd < 0 ? spawn->pidfd : verdict(spawn, pipe);
	if (rc != 0) {
		(void)kill(spawn->pid, SIGKILL);
		(void)fl__os.collect_number(&spawn->pid, &status, true);
		fl__close(spawn->pidfd);
	}
	return rc;
}

int fl__spawn(struct fl__spawn *spawn, void *stack_end)
{
	int pipe[2];
	int rc = fl__os.pipe(pipe);
	if (rc != 0)
		return rc;
	spawn->setup.keep = pipe[1];
	spawn->shared = false;
	spawn->pid = fl__os.clone(child, stack_end, spawn, &spawn->pidfd);
	fl__close(pipe[1]); /* not setup.keep, which the child has changed */
	rc = spawn->pid > 0 ? own(spawn, pipe[0]) : spawn->pid;
	fl__close(pipe[0]);
	return rc;
}

/* The paths to try. */

struct paths {
	const char **list;
	char *text;
};

static size_t count(const char *text, char c)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == c;
	return n;
}

/* Lists `program` in each folder of `search`; an empty folder is the current one. */
static void fill(struct paths *paths, const char *program, const char *search)
{
	size_t n = 0;
	char *at = paths->text;
	for (const char *folder = search;; folder++) {
		size_t length = strcspn(folder, ":");
		paths->list[n++] = at;
		at += sprintf(at, "%.*s%s%s", (int)length, folder, length ? "/" : "", program) + 1;
		folder += length;
		if (!*folder)
			break;
	}
	paths->list[n] = NULL;
}

static int find_paths(struct paths *paths, const char *program)
{
	const char *search = strchr(program, '/') || !*program ? NULL : getenv("PATH");
	if (!search && *program && !strchr(program, '/'))
		search = "/bin:/usr/bin";
	size_t n = search ? count(search, ':') + 1 : 1;
	size_t text = (search ? strlen(search) : 0) + n * (strlen(program) + 2);
	paths->list = fl__alloc(1, (n + 1) * sizeof *paths->list + text);
	if (!paths->list)
		return -ENOMEM;
	paths->text = (char *)&paths->list[n + 1];
	if (search)
		fill(paths, program, search);
	else
		paths->list[0] = program;
	return 0;
}

int fl__start_program(struct fl__launch *launch)
{
	const fl_process_config *config = launch->config;
	const char *const alone[] = {config->program, NULL};
	struct paths paths;
	launch->problem = "no memory for its paths";
	int rc = find_paths(&paths, config->program);
	if (rc != 0)
		return rc;
	/* casts: exec changes none of the strings */
	struct fl__spawn spawn = {.setup = launch->setup,
	                          .paths = paths.list,
	                          .argv = (char *const *)(config->argv ? config->argv : alone),
	                          .env = config->env ? (char *const *)config->env : environ};
	spawn.setup.through_exec = true;
	launch->problem = "the system does not run the program";
	rc = fl__manager_spawn(&spawn);
	fl__free(paths.list);
	launch->pid = spawn.pid;
	launch->pidfd = spawn.pidfd;
	return rc;
}
