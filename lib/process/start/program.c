/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts a program by an exec in a child, which shares this process's memory until then. */
#include "../base/process_sys.h"
#include "core/base/sys.h"
#include "spawn.h"
#include "start.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/*
 * Returns the paths to try and their text in one allocation, or NULL. An empty folder in PATH means
 * the current directory of the new process.
 */
static const char **program_find_paths(const char *program)
{
	const bool by_path = *program && !strchr(program, '/');
	const char *search = by_path ? getenv("PATH") : "";
	search = search ? search : "/bin:/usr/bin";
	size_t n = 1;
	for (const char *c = search; *c; c++)
		n += *c == ':';
	const char **list = fl__alloc(1, (n + 1) * sizeof *list + strlen(search) + n * (strlen(program) + 2));
	if (!list)
		return NULL;
	char *at = (char *)&list[n + 1];
	for (size_t i = 0; i < n; i++) {
		const size_t length = strcspn(search, ":");
		list[i] = at;
		at += sprintf(at, "%.*s%s%s", (int)length, search, length ? "/" : "", program) + 1;
		search += length + 1;
	}
	return list;
}

/*
 * Sets the text about the failed start. If the error is -ENOENT although one of the files exists,
 * the text says that perhaps the interpreter of this file is missing, because exec also returns
 * -ENOENT for that.
 */
static void program_explain(struct fl__start *start, const char *const *paths, int rc)
{
	const int directory = start->setup.cwd >= 0 ? start->setup.cwd : AT_FDCWD;
	start->problem = rc == -ENOTSUP ? "a daemon cannot be the first process of a PID namespace"
	                                : "the program cannot be executed";
	for (; rc == -ENOENT && *paths; paths++)
		if (**paths && fl__file_exists(directory, *paths)) {
			fl__start_say(start, "%s exists, but perhaps not its interpreter (the line #!, or the loader)",
			              *paths);
			return;
		}
}

static int program_start(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	const char *const alone[] = {config->program, NULL};
	const char **paths = program_find_paths(config->program);
	start->problem = "no memory for the paths to try";
	if (!paths)
		return -ENOMEM;
	/* the casts are allowed: exec changes none of the strings */
	struct fl__spawn spawn = {.setup = start->setup,
	                          .paths = paths,
	                          .argv = (char *const *)(config->argv ? config->argv : alone),
	                          .env = config->env ? (char *const *)config->env : environ};
	spawn.setup.through_exec = true;
	spawn.setup.keep_ignored = true;
	int rc = fl__spawn(&spawn);
	if (rc != 0)
		program_explain(start, paths, rc);
	fl__free(paths);
	start->child->pid = spawn.pid;
	start->child->pidfd = spawn.pidfd;
	return rc;
}

const struct fl__start_method fl__start_program = {
    .start = program_start,
    .look = fl__start_look_at_child,
    .forget = fl__start_forget_child,
};
