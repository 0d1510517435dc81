/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all starts have in common: the checks of the config, the descriptors, and the directory. The
 * methods in `start_methods` make the process.
 *
 *   method                  file           the new process
 *   a program               program.c      a child; calls exec in this process's memory
 *   FL_PROCESS_FORK         fork.c         a fork of this process
 *   FL_PROCESS_EXEC         reexec.c       a child that executes this program again; gets a request
 *   FL_PROCESS_FORK_SERVER  fork_server.c  a child of the fork server, which gets the request
 *
 * Each method is a table of functions in a separate file. It says how to start the process, whether
 * the process has ended, and what to do when its handle is freed. The handle asks the method, so it
 * does not know whether its process is a child of this process or of the fork server. README.md of
 * lib/process says what all methods promise.
 */
#include "start.h"
#include "../base/process_sys.h"
#include "../base/reaper.h"
#include "core/base/sys.h"
#include "core/exec/registry.h"
#include "core/future/bytes.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void fl__start_say(struct fl__start *start, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	/* The analyzer of clang-tidy 14 does not see the va_start(). */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	(void)vsnprintf(start->text, sizeof start->text, format, args);
	va_end(args);
	start->problem = start->text;
}

static const struct fl__start_method *const start_methods[] = {
    [FL_PROCESS_FORK_SERVER] = &fl__start_fork_server,
    [FL_PROCESS_FORK] = &fl__start_fork,
    [FL_PROCESS_EXEC] = &fl__start_exec,
};

static const char *start_program_mistake(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	start->child->method = &fl__start_program;
	return config->arg                                ? "a program takes `argv`, not `arg`"
	       : config->method != FL_PROCESS_FORK_SERVER ? "a `method` is for a task, not for a program"
	                                                  : NULL;
}

static const char *start_task_mistake(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	const fl_task_type *type = config->task;
	if (config->argv || config->env)
		return "`argv` and `env` are for a program, not for a task";
	if (config->method >= FL__COUNT(start_methods))
		return "an unknown method";
	start->child->method = start_methods[config->method];
	if (type->arg_size > FL_TASK_SIZE_MAX || type->result_size > FL_TASK_SIZE_MAX || strlen(type->name) >= 4096)
		return "the task's argument, result or name is too large";
	if (start->child->method->by_request && fl__bytes_are_in(type))
		return "a task with fl_bytes, and not FL_PROCESS_FORK";
	if (type->arg_size == 0 && config->arg)
		return "an argument, but the task takes none";
	if (type->arg_size == 0 || config->arg)
		return NULL;
	fl__start_say(start, "no argument, but the task takes %zu bytes", (size_t)type->arg_size);
	return start->text;
}

/* Returns a text about a mistake in the config, or NULL if there is none. */
static const char *start_mistake(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	if (!config)
		return "no configuration";
	if (!config->task && !config->program)
		return "neither a task nor a program";
	if (config->task && config->program)
		return "both a task and a program";
	if (config->n_fds > FL_PROCESS_FDS_MAX)
		return "more descriptors than FL_PROCESS_FDS_MAX";
	if (config->n_fds && !config->fds)
		return "`n_fds` without `fds`";
	return config->program ? start_program_mistake(start) : start_task_mistake(start);
}

static bool start_fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int start_open_pipe(struct fl__start *start, unsigned i)
{
	int ends[2];
	int rc = fl__process_sys.pipe(ends);
	start->problem = "a pipe cannot be made";
	if (rc != 0)
		return rc;
	const unsigned far = i == STDIN_FILENO ? 0 : 1;
	start->setup.fds[i] = start->opened[i] = ends[far];
	start->child->pipes[i] = ends[1 - far];
	return 0;
}

static int start_open_stream(struct fl__start *start, unsigned i, int how)
{
	int *fd = &start->setup.fds[i];
	if (how == 0) {
		*fd = start_fd_is_open((int)i) ? (int)i : -1;
		return 0;
	}
	if (how == FL_PROCESS_NULL) {
		start->problem = "/dev/null cannot be opened";
		*fd = i == STDIN_FILENO ? fl__null_open() : fl__process_sys.open("/dev/null", O_WRONLY);
		start->opened[i] = *fd;
		return *fd == -ENOENT ? -ENODEV : FL__MIN(*fd, 0);
	}
	if (how == FL_PROCESS_PIPE)
		return start_open_pipe(start, i);
	if (how == FL_PROCESS_AS_OUT && i == STDERR_FILENO) {
		*fd = start->setup.fds[STDOUT_FILENO];
		return 0;
	}
	const char *name = i == STDIN_FILENO ? "in" : i == STDOUT_FILENO ? "out" : "err";
	if (how == FL_PROCESS_AS_OUT) {
		fl__start_say(start, "FL_PROCESS_AS_OUT is for `err`, not for `%s`", name);
		return -EBADF;
	}
	if (how > 0 && how < FL_PROCESS_FD(0)) {
		fl__start_say(start,
		              "`%s` takes FL_PROCESS_FD(fd), FL_PROCESS_NULL or FL_PROCESS_PIPE, not a bare number: %d",
		              name, how);
		return -EBADF;
	}
	/* negative after FL_PROCESS_FD() of a negative number */
	*fd = how > 0 ? how & ~FL_PROCESS_FD(0) : how;
	fl__start_say(start, "descriptor %d of `%s` is not open", *fd, name);
	return start_fd_is_open(*fd) ? 0 : -EBADF;
}

static int start_open_fds(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	const int how[FL__STREAMS] = {config->in, config->out, config->err};
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < FL__STREAMS; i++)
		rc = start_open_stream(start, i, how[i]);
	for (unsigned i = 0; rc == 0 && i < config->n_fds; i++) {
		start->setup.fds[FL__STREAMS + i] = config->fds[i];
		rc = start_fd_is_open(config->fds[i]) ? 0 : -EBADF;
		if (rc != 0)
			fl__start_say(start, "descriptor %d, which is fds[%u], is not open", config->fds[i], i);
	}
	return rc;
}

/*
 * Opens the directory for the new process. A program or a fork inherits the directory. Any other
 * new process may be elsewhere, and enters it. If nobody has asked for the directory, the start
 * does not fail when it cannot be entered, because the user may not enter it (EACCES) or its file
 * system is gone (ENOTCONN of FUSE, ESTALE of NFS, EIO). Then the new process stays where it is.
 */
static int start_open_directory(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	if (!config->cwd && !start->child->method->by_request)
		return 0;
	const char *path = config->cwd ? config->cwd : ".";
	fl__start_say(start, "its directory %s cannot be opened", path);
	const int fd = start->setup.cwd = fl__process_sys.open(path, O_PATH | O_DIRECTORY);
	const bool needed = config->cwd || fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM;
	return needed ? FL__MIN(fd, 0) : 0;
}

/* Checks that the new process can find its task by name. */
static int start_check_task(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	const fl_task_type *found;
	int rc = fl__registry_find(config->task->name, &found);
	start->problem =
	    rc == -EEXIST ? "another task is registered under the task's name" : "the task is not registered";
	return rc == 0 && found->run != config->task->run ? -ENOENT : rc;
}

/*
 * Prepares a child of this process, which inherits the set of ignored signals. A daemon also needs
 * a pipe, to die with this process.
 */
static int start_prepare_child(struct fl__start *start)
{
	struct fl__death_pipe *pipe = &start->child->death_pipe;
	if (start->config->task)
		start->setup.signals.ignored = fl__signals_ignored();
	if (!start->config->daemon)
		return 0;
	start->problem = "a pipe cannot be made";
	start->setup.death_pipe = pipe;
	return fl__death_pipe_open(pipe);
}

int fl__start_process(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	start->problem = start_mistake(start);
	if (start->problem)
		return -EINVAL;
	const struct fl__start_method *method = start->child->method;
	start->setup.n_fds = FL__STREAMS + config->n_fds;
	start->setup.group = config->group;
	if (config->task)
		fl__clock_read(&start->setup.clock);
	int rc = start_open_fds(start);
	if (rc == 0)
		rc = start_open_directory(start);
	if (rc == 0 && method->by_request)
		rc = start_check_task(start);
	if (rc == 0 && !method->by_server)
		rc = start_prepare_child(start);
	return rc == 0 ? method->start(start) : rc;
}

/*
 * If the reap fails, only a readable pidfd says that the process has ended. With RLIMIT_NOFILE 0
 * the poll fails, and the process counts as running.
 */
int fl__start_look_at_child(struct fl__child *child, fl_process_status *status)
{
	const int rc = fl__process_reap(child->pidfd, status, false);
	return rc < 0 && fl__fd_poll(child->pidfd, POLLIN) <= 0 ? 0 : rc;
}

void fl__start_forget_child(struct fl__child *child, bool runs, bool killed)
{
	if (!runs)
		return;
	fl__reaper_adopt(child->pidfd, killed);
	child->pidfd = -1;
}
