/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CHILD_H
#define FL_CHILD_H

/*
 * The output of a function on standard error, and the end of its process: for defaults that print
 * or abort, and for the state after a fork. The function must use FL_CHECK, never cmocka's
 * assertions: they would continue with the suite in the child.
 */
#include "fl_test.h"

static inline int fl_test_scratch(void)
{
	char path[] = "/tmp/fairlead-test-XXXXXX";
	int fd = mkstemp(path);
	FL_CHECK(fd >= 0);
	FL_OK(unlink(path));
	return fd;
}

/* Reads the whole of a scratch file into `text`, and closes it. */
static inline void fl_test_take(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);
	FL_CHECK(n >= 0);
	text[n] = '\0';
	FL_OK(close(fd));
}

/* Runs `function(arg)` here; `text` is what it printed on standard error. */
static inline void fl_test_stderr(void (*function)(void *arg), void *arg, char *text, size_t size)
{
	int scratch = fl_test_scratch();
	(void)fflush(stderr);
	int before = dup(STDERR_FILENO);
	FL_CHECK(before >= 0 && dup2(scratch, STDERR_FILENO) >= 0);
	function(arg);
	(void)fflush(stderr);
	FL_CHECK(dup2(before, STDERR_FILENO) >= 0 && close(before) == 0);
	fl_test_take(scratch, text, size);
}

/*
 * Runs `function(arg)` in a forked child that then exits with 0. Returns the wait status; `text`
 * (may be NULL) gets what the child printed on standard error. A child that hangs is killed after a
 * minute.
 */
static inline int fl_test_child(void (*function)(void *arg), void *arg, char *text, size_t size)
{
	int scratch = text ? fl_test_scratch() : -1;
	int status = -1;
	(void)fflush(NULL);
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		if (text)
			FL_CHECK(dup2(scratch, STDERR_FILENO) >= 0);
		(void)alarm(60);
		function(arg);
		(void)fflush(stderr);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		FL_CHECK(errno == EINTR);
	if (text) {
		fl_test_take(scratch, text, size);
		/* The emulator's message, after the child's. */
		char *more = strstr(text, "qemu: uncaught target signal");
		if (more)
			*more = '\0';
	}
	return status;
}

/* Runs the function in such a child, with that argument: it must exit with 0. */
#define FL_IN_CHILD(function, ...) FL_OK(fl_test_child(function, __VA_ARGS__, NULL, 0))

/*
 * `function(arg)` ends its child by that signal, and has printed `text` on standard error; NULL:
 * whatever.
 */
static inline void fl_test_child_dies(void (*function)(void *arg), void *arg, int signal, const char *text)
{
	char said[4096];
	const int status = fl_test_child(function, arg, text ? said : NULL, sizeof said);
	if (text && !strstr(said, text))
		print_error("expected '%s' in: %s\n", text, said);
	FL_CHECK(!text || strstr(said, text));
	FL_RC(WIFSIGNALED(status) ? WTERMSIG(status) : 0, signal);
}

/*
 * Forks, for a function that an executor calls. Returns 0 in the child, which must return, and
 * prints nothing on standard error; in the parent the signal that ended the child, or -1.
 */
static inline int fl_test_fork_in_call(void)
{
	int status = -1;
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		FL_CHECK(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO) >= 0);
		(void)alarm(60);
		return 0;
	}
	while (waitpid(pid, &status, 0) < 0)
		FL_CHECK(errno == EINTR);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

#endif
