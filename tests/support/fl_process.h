/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_PROCESS_H
#define FL_TEST_PROCESS_H

/*
 * For tests of processes: each way to start a task, counts of descriptors and children, and a
 * captured log. Only one source file of a program may include this header, because everything here
 * is static.
 */
#include "fl_child.h"

#include "process/base/fd_watcher.h"
#include "process/base/process_sys.h"
#include "process/start/fork_server.h"
#include <libgen.h>

#define PROCESS_FN __attribute__((unused)) static

/*
 * ThreadSanitizer, like some emulators, has its own thread, and the library does not fork a process
 * that has other threads.
 */
PROCESS_FN bool process_can(fl_process_method method)
{
#ifdef FL__TSAN
	return method != FL_PROCESS_FORK;
#else
	return method != FL_PROCESS_FORK || fl_test_forks_alone();
#endif
}

PROCESS_FN void process_needs_fork(void)
{
	if (!process_can(FL_PROCESS_FORK))
		FL_SKIP(FL_TEST_ALONE_REASON);
}

/* For changes of a process that only root may make, in a forked child. */
PROCESS_FN void process_needs_root(void)
{
	if (!fl_test_has_users() || !process_can(FL_PROCESS_FORK))
		FL_SKIP(FL_TEST_USERS_REASON);
}

PROCESS_FN fl_process *process_started(const fl_process_config *config)
{
	fl_process *p = NULL;
	FL_OK(fl_process_start(&p, config));
	return p;
}

/*
 * The same, and process_run(), with the members of the config: PROCESS_STARTED(.program = "true").
 */
#define PROCESS_STARTED(...) process_started(&(fl_process_config){__VA_ARGS__})
#define PROCESS_RUN(...) process_run(&(fl_process_config){__VA_ARGS__})

/*
 * Of a config: a program by its name, with one argument or more: PROCESS_COMMAND("sleep", "1000").
 */
#define PROCESS_COMMAND(name, ...)                                                                                     \
	.program = (name), .argv = (const char *const[])                                                               \
	{                                                                                                              \
		(name), __VA_ARGS__, NULL                                                                              \
	}

/*
 * The kernel still counts a joined thread for a moment. As long as it does, FL_PROCESS_FORK is
 * refused.
 */
PROCESS_FN void process_await_last_thread(void)
{
	FL_WAIT_FOR(fl__process_sys.count_threads() == 1 + (int)fl__fd_watcher_threads());
}

/* Returns false if the method is impossible here. For a process that has joined all its threads. */
PROCESS_FN bool process_is_ready(fl_process_method method)
{
	const bool can = process_can(method);
	if (can && method == FL_PROCESS_FORK)
		process_await_last_thread();
	return can;
}

/*
 * Returns the path of what the build has put into a folder next to this program; valid until the
 * next call.
 */
PROCESS_FN const char *process_path_beside(const char *folder, const char *name)
{
	static char path[600];
	char self[500];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	FL_CHECK(n > 0);
	self[n] = '\0';
	FL_TEXT(path, "%s/%s/%s", dirname(self), folder, name);
	return path;
}

/* Defines what a test puts in place of the clone() of fl__process_sys. */
#define FL_TEST_CLONE(name) static inline int name(int (*child)(void *arg), void *stack_end, void *arg, int *pidfd)

/* Each way to start a task, if it is possible here. */
#define PROCESS_EACH_METHOD(m)                                                                                         \
	for (fl_process_method m = FL_PROCESS_FORK_SERVER; m <= FL_PROCESS_EXEC; m++)                                  \
		if (process_is_ready(m))

/* Returns how many children the threads of a process have, including zombies. */
PROCESS_FN size_t process_children_of(int pid)
{
	char path[300];
	size_t n = 0;
	FL_TEXT(path, "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	if (!tasks)
		return 0;
	for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
		if (task->d_name[0] == '.')
			continue;
		FL_TEXT(path, "/proc/%d/task/%.16s/children", pid, task->d_name);
		FILE *file = fopen(path, "r");
		int child;
		while (file && fscanf(file, "%d", &child) == 1)
			n++;
		if (file)
			(void)fclose(file);
	}
	(void)closedir(tasks);
	return n;
}

/* What a case must leave as it was. */
struct process_census {
	size_t fds, children;
};

PROCESS_FN struct process_census process_census(void)
{
	return (struct process_census){fl_test_fds(), process_children_of(getpid())};
}

PROCESS_FN void process_same(const struct process_census *before)
{
	const struct process_census now = process_census();
	if (now.fds != before->fds || now.children != before->children)
		fail_msg("descriptors %zu -> %zu, children %zu -> %zu", before->fds, now.fds, before->children,
		         now.children);
}

/*
 * Returns the state of a process as a letter (R, S, T, Z, ...), or 0 if there is no such process.
 * The kernel calls a process a zombie as soon as its first thread has ended. This function returns
 * Z only when no other thread still holds its descriptors, because an emulator has other threads.
 */
PROCESS_FN char process_state(int pid)
{
	char path[64], state = 0;
	int threads = 0;
	FL_TEXT(path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*d (%*[^)]) %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &state,
	           &threads) != 2)
		state = 0;
	(void)fclose(file);
	return state == 'Z' && threads > 1 ? 'R' : state;
}

/* Waits until the process has ended, whether or not its parent has reaped it. */
PROCESS_FN void process_dies(int pid)
{
	FL_WAIT_FOR(process_state(pid) == 0 || process_state(pid) == 'Z');
}

PROCESS_FN void process_stop(int pid)
{
	FL_OK(kill(pid, SIGSTOP));
	FL_WAIT_FOR(process_state(pid) == 'T');
}

PROCESS_FN int process_parent_of(int pid)
{
	char path[64];
	int parent = 0;
	FL_TEXT(path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	FL_CHECK(file && fscanf(file, "%*d (%*[^)]) %*c %d", &parent) == 1);
	(void)fclose(file);
	return parent;
}

/* A thread that has ended still holds the lock of `stdout`, so nothing can be printed any more. */
PROCESS_FN void *process_end_with_stdout(void *unused)
{
	flockfile(stdout);
	return unused;
}

PROCESS_FN void process_locks_stdout(void)
{
	(void)fl_test_foreign(process_end_with_stdout, NULL);
}

PROCESS_FN bool process_readable(int fd, int timeout)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, timeout) == 1;
}

/* Reads until the end; `text` becomes a string. */
PROCESS_FN void process_read_all(int fd, char *text, size_t size)
{
	size_t n = 0;
	ssize_t got;
	while ((got = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	FL_CHECK(got == 0);
	text[n] = '\0';
}

/* The log. */
static char process_log[4096];
static pthread_mutex_t process_log_lock = PTHREAD_MUTEX_INITIALIZER;

FL_TEST_LOG_HANDLER(process_keep_log)
{
	pthread_mutex_lock(&process_log_lock);
	size_t length = strlen(process_log);
	(void)snprintf(process_log + length, sizeof process_log - length, "%s\n", message);
	pthread_mutex_unlock(&process_log_lock);
}

PROCESS_FN int process_log_begin(void)
{
	process_log[0] = '\0';
	(void)fl_log_set_handler(process_keep_log);
	return 0;
}

PROCESS_FN void process_log_end(const int *unused)
{
	(void)fl_log_set_handler(NULL);
}

/* Keeps the log, instead of printing it, until the end of the block. */
#define PROCESS_LOG() __attribute__((cleanup(process_log_end), unused)) const int process_logs = process_log_begin()

PROCESS_FN void process_log_has(const char *text)
{
	fl_test_contains(process_log, text);
}

/* Joins and frees the process, and returns how it ended. */
PROCESS_FN fl_process_status process_end(fl_process *p)
{
	fl_process_status status = {77, 77};
	FL_OK(fl_process_join(p, &status));
	fl_process_free(p);
	return status;
}

PROCESS_FN fl_process_status process_run(const fl_process_config *config)
{
	return process_end(process_started(config));
}

/* Restores the table of system calls for processes at the end of the block. */
PROCESS_FN void process_heal(const struct fl__process_sys *real)
{
	fl_test_put_back(&fl__process_sys, real, sizeof fl__process_sys);
}

#define PROCESS_FAULTS()                                                                                               \
	__attribute__((cleanup(process_heal), unused)) const struct fl__process_sys process_real = fl__process_sys

#endif
