/* SPDX-License-Identifier: BSD-2-Clause */
/* FL_PROCESS_FORK, FL_PROCESS_EXEC, and the start of programs are here. */
#include "start.h"
#include "../base/fd_watcher.h"
#include "../base/process_sys.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/exec/registry.h"
#include "core/future/bytes.h"
#include "core/wait/context.h"
#include "fork_server.h"
#include "reexec.h"
#include "request.h"
#include "spawn.h"
#include <errno.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* A long path is cut. */
FL_PRINTF(2, 3) static void process_start_say(struct fl__start *start, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	/* clang-tidy 14 misses the va_start(). NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	(void)vsnprintf(start->text, sizeof start->text, format, args);
	va_end(args);
	start->problem = start->text;
}

static const char *process_start_program_mistake(const fl_process_config *config)
{
	return config->arg                                ? "a program takes `argv`, not `arg`"
	       : config->method != FL_PROCESS_FORK_SERVER ? "a `method` is for a task, not for a program"
	                                                  : NULL;
}

static const char *process_start_task_mistake(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	const fl_task_type *type = config->task;
	if (config->argv || config->env)
		return "`argv` and `env` are for a program, not for a task";
	if (config->method > FL_PROCESS_EXEC)
		return "an unknown method";
	if (type->arg_size > FL_TASK_SIZE_MAX || type->result_size > FL_TASK_SIZE_MAX || strlen(type->name) >= 4096)
		return "the task's argument, result or name is too large";
	if (config->method != FL_PROCESS_FORK && fl__bytes_are_in(type))
		return "a task with fl_bytes, and not FL_PROCESS_FORK";
	if (type->arg_size == 0 && config->arg)
		return "an argument, but the task takes none";
	if (type->arg_size == 0 || config->arg)
		return NULL;
	process_start_say(start, "no argument, but the task takes %zu bytes", (size_t)type->arg_size);
	return start->text;
}

/* NULL: no mistake. */
static const char *process_start_mistake(struct fl__start *start)
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
	return config->program ? process_start_program_mistake(config) : process_start_task_mistake(start);
}

static bool process_start_fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int process_start_open_pipe(struct fl__start *start, unsigned i)
{
	int ends[2];
	int rc = fl__process_sys.pipe(ends);
	start->problem = "a pipe cannot be made";
	if (rc != 0)
		return rc;
	const unsigned far = i == STDIN_FILENO ? 0 : 1;
	start->setup.fds[i] = start->opened[i] = ends[far];
	start->pipes[i] = ends[1 - far];
	return 0;
}

static int process_start_open_stream(struct fl__start *start, unsigned i, int how)
{
	int *fd = &start->setup.fds[i];
	if (how == 0) {
		*fd = process_start_fd_is_open((int)i) ? (int)i : -1;
		return 0;
	}
	if (how == FL_PROCESS_NULL) {
		start->problem = "/dev/null cannot be opened";
		*fd = i == STDIN_FILENO ? fl__null_open() : fl__process_sys.open("/dev/null", O_WRONLY);
		start->opened[i] = *fd;
		return *fd == -ENOENT ? -ENODEV : FL__MIN(*fd, 0);
	}
	if (how == FL_PROCESS_PIPE)
		return process_start_open_pipe(start, i);
	if (how == FL_PROCESS_AS_OUT && i == STDERR_FILENO) {
		*fd = start->setup.fds[STDOUT_FILENO];
		return 0;
	}
	const char *name = i == STDIN_FILENO ? "in" : i == STDOUT_FILENO ? "out" : "err";
	if (how == FL_PROCESS_AS_OUT) {
		process_start_say(start, "FL_PROCESS_AS_OUT is for `err`, not for `%s`", name);
		return -EBADF;
	}
	if (how > 0 && how < FL_PROCESS_FD(0)) {
		process_start_say(
		    start, "`%s` takes FL_PROCESS_FD(fd), FL_PROCESS_NULL or FL_PROCESS_PIPE, not a bare number: %d",
		    name, how);
		return -EBADF;
	}
	*fd = how > 0 ? how & ~FL_PROCESS_FD(0) : how; /* negative: FL_PROCESS_FD() of a negative number */
	process_start_say(start, "descriptor %d of `%s` is not open", *fd, name);
	return process_start_fd_is_open(*fd) ? 0 : -EBADF;
}

static int process_start_open_fds(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	const int how[FL__STREAMS] = {config->in, config->out, config->err};
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < FL__STREAMS; i++)
		rc = process_start_open_stream(start, i, how[i]);
	for (unsigned i = 0; rc == 0 && i < config->n_fds; i++) {
		start->setup.fds[FL__STREAMS + i] = config->fds[i];
		rc = process_start_fd_is_open(config->fds[i]) ? 0 : -EBADF;
		if (rc != 0)
			process_start_say(start, "descriptor %d, which is fds[%u], is not open", config->fds[i], i);
	}
	return rc;
}

/*
 * A program or a fork inherits the directory. Any other new process may be elsewhere, and enters
 * it. A directory that nobody has asked for, and that cannot be entered, costs no process its
 * start: the user may not enter it (EACCES), or its file system is gone (ENOTCONN of FUSE, ESTALE
 * of NFS, EIO). The new process then stays where it is.
 */
static int process_start_open_directory(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	bool inherits = config->program || config->method == FL_PROCESS_FORK;
	if (!config->cwd && inherits)
		return 0;
	const char *path = config->cwd ? config->cwd : ".";
	process_start_say(start, "its directory %s cannot be opened", path);
	const int fd = start->setup.cwd = fl__process_sys.open(path, O_PATH | O_DIRECTORY);
	const bool needed = config->cwd || fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM;
	return needed ? FL__MIN(fd, 0) : 0;
}

/* The new process finds its task by name. */
static int process_start_check_task(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	const fl_task_type *found;
	if (config->method == FL_PROCESS_FORK)
		return 0; /* a fork has the task's address */
	int rc = fl__registry_find(config->task->name, &found);
	start->problem =
	    rc == -EEXIST ? "another task is registered under the task's name" : "the task is not registered";
	return rc == 0 && found->run != config->task->run ? -ENOENT : rc;
}

static size_t process_start_count(const char *text, char c)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == c;
	return n;
}

/* The paths to try, and their text, in one allocation; or NULL. An empty folder is the current one. */
static const char **process_start_find_paths(const char *program)
{
	const bool by_path = *program && !strchr(program, '/');
	const char *search = by_path ? getenv("PATH") : "";
	search = search ? search : "/bin:/usr/bin";
	const size_t n = process_start_count(search, ':') + 1;
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

/* For a file that exists, -ENOENT means that its interpreter does not exist. */
static void process_start_explain_exec(struct fl__start *start, const char *const *paths, int rc)
{
	const int directory = start->setup.cwd >= 0 ? start->setup.cwd : AT_FDCWD;
	start->problem = rc == -ENOTSUP ? "a daemon cannot be the first process of a PID namespace"
	                                : "the program cannot be executed";
	for (; rc == -ENOENT && *paths; paths++)
		if (**paths && fl__file_exists(directory, *paths)) {
			process_start_say(
			    start, "%s exists, but perhaps not its interpreter (the line #!, or the loader)", *paths);
			return;
		}
}

static int process_start_program(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	const char *const alone[] = {config->program, NULL};
	const char **paths = process_start_find_paths(config->program);
	start->problem = "no memory for the paths to try";
	if (!paths)
		return -ENOMEM;
	/* casts: exec changes none of the strings */
	struct fl__spawn spawn = {.setup = start->setup,
	                          .paths = paths,
	                          .argv = (char *const *)(config->argv ? config->argv : alone),
	                          .env = config->env ? (char *const *)config->env : environ};
	spawn.setup.through_exec = true;
	int rc = fl__spawn(&spawn);
	if (rc != 0)
		process_start_explain_exec(start, paths, rc);
	fl__free(paths);
	start->pid = spawn.pid;
	start->pidfd = spawn.pidfd;
	return rc;
}

int fl__process_may_fork(const char **problem)
{
	/* a joined thread counts until the kernel has ended it */
	enum { LOOKS = FL__BACK_OFF_NAPS + 100 };
	int others;
	for (unsigned look = 0;; look++) {
		const int threads = fl__process_sys.count_threads();
		*problem = "the threads of this process cannot be counted: is /proc mounted?";
		if (threads < 0)
			return threads;
		/* the watcher does not count: a forked child initializes its lock */
		others = threads - 1 - (int)fl__fd_watcher_threads();
		if (others == 0 || look == LOOKS)
			break;
		fl__back_off(look);
	}
	*problem = "a process with several threads cannot be forked, nor can a fiber fork";
	if (others == 0 && fl__ctx_get()->ops == &fl__thread_parker)
		return 0;
	fl__log(FL_LOG_ERROR, "this process cannot be forked: it has other threads (%d)%s", others,
	        others == 0 ? ", and the caller is a fiber" : "");
	return -EBUSY;
}

int fl__process_fork(int *pidfd)
{
	fl__flush_streams();
	/* no handler of the caller may run in the child, or reap it */
	const sigset_t before = fl__signals_block(true);
	int pid = fl__fork_with_pidfd(pidfd);
	if (pid == 0)
		return 0;
	fl__signals_restore(&before);
	return pid;
}

static void process_start_report(int fd, int rc)
{
	if (rc != 0)
		(void)!write(fd, &rc, sizeof rc);
	fl__fd_close(fd);
	if (rc != 0)
		_exit(127);
}

/* Called in the child. */
static _Noreturn void process_start_run_forked(const struct fl__start *start, int pipe)
{
	struct fl__request request = {.type = start->config->task,
	                              .name = start->name,
	                              .arg = start->config->arg,
	                              .memory = -1,
	                              .channel = -1,
	                              .setup = start->setup};
	request.setup.keep = pipe;
	request.setup.keep_handlers = true;
	fl__new_process_run_task(&request, process_start_report);
}

static int process_start_by_fork(struct fl__start *start)
{
	int rc = fl__process_may_fork(&start->problem);
	if (rc != 0)
		return rc;
	int pipe[2];
	start->problem = "fork() failed";
	rc = fl__process_sys.pipe(pipe);
	if (rc != 0)
		return rc;
	fl__death_pipe_keep(start->setup.death_pipe);
	rc = fl__process_fork(&start->pidfd);
	if (rc == 0)
		process_start_run_forked(start, pipe[1]);
	fl__death_pipe_keep(NULL);
	start->pid = rc;
	fl__fd_close(pipe[1]);
	if (rc > 0) {
		rc = fl__spawn_read_error(pipe[0]);
		if (rc != 0) {
			(void)fl__process_reap(start->pidfd, NULL, true);
			fl__fd_close(start->pidfd);
		}
	}
	fl__fd_close(pipe[0]);
	return rc;
}

static int process_start_by_exec(struct fl__start *start)
{
	const int64_t deadline = fl_after(fl__process_sys.answer_timeout);
	int socket;
	int rc =
	    fl__reexec_check("FL_PROCESS_EXEC", "; fl_process_preload() does not serve this method", &start->problem);
	if (rc == 0)
		rc = fl__reexec_start(FL__REEXEC_TASK, start->setup.death_pipe, NULL, deadline, &socket, &start->pid,
		                      &start->pidfd, &start->problem);
	if (rc != 0)
		return rc;
	rc = fl__request_send(socket, -1, start, deadline);
	if (rc == 0)
		rc = fl__reply_receive(socket, start, deadline, NULL);
	fl__fd_close(socket);
	if (rc != 0)
		fl__reexec_kill(start->pidfd);
	return rc == -EPIPE ? -EOWNERDEAD : rc;
}

int fl__start_process(struct fl__start *start)
{
	const fl_process_config *config = start->config;
	start->problem = process_start_mistake(start);
	if (start->problem)
		return -EINVAL;
	const bool by_fork_server = config->task && config->method == FL_PROCESS_FORK_SERVER;
	start->setup.n_fds = FL__STREAMS + config->n_fds;
	start->setup.group = config->group;
	start->setup.signals.blocked = fl__signals_blocked(config->task);
	if (!by_fork_server)
		start->setup.signals.ignored = fl__signals_ignored(); /* else sent with the go-ahead */
	int rc = process_start_open_fds(start);
	if (rc == 0)
		rc = process_start_open_directory(start);
	if (rc == 0 && config->task)
		rc = process_start_check_task(start);
	if (rc == 0 && config->daemon && !by_fork_server) {
		start->problem = "a pipe cannot be made";
		start->setup.death_pipe = start->death_pipe;
		rc = fl__death_pipe_open(start->death_pipe);
	}
	if (rc != 0)
		return rc;
	if (config->program)
		return process_start_program(start);
	return config->method == FL_PROCESS_FORK   ? process_start_by_fork(start)
	       : config->method == FL_PROCESS_EXEC ? process_start_by_exec(start)
	                                           : fl__fork_server_start(start);
}
