/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a program, and all processes that it starts, with one system call denied:
 *
 *     denied CALL ERROR PROGRAM [ARGUMENT...]          // denied membarrier EPERM tests/x
 *     denied --record FILE CALL ERROR PROGRAM [ARGUMENT...]    // FILE: the other calls made
 *     denied --list                                    // CALL ERROR, one pair a line
 *
 * A listener records the other calls: the kernel stops each call, notifies this process, and
 * continues when this process allows it. So this process stays as the parent of the program, and
 * ends as the program does. Exit status 77: the system has no such filters, or no such listeners;
 * 2: bad usage; 127: the program cannot be run.
 */
#include "../support/fl_denied.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { BAD_USAGE = 2, NO_FILTERS = 77, NOT_RUN = 127 };

static const struct {
	const char *name;
	int error;
} errors[] = {{"ENOSYS", ENOSYS}, {"EPERM", EPERM}};

static _Noreturn void give_up(const char *what, int status)
{
	(void)fprintf(stderr, "denied: %s: %s\n", what, strerror(errno));
	exit(status);
}

static _Noreturn void bad_usage(void)
{
	(void)fprintf(stderr, "usage: denied [--record FILE] CALL ERROR PROGRAM [ARGUMENT...]; denied --list\n");
	exit(BAD_USAGE);
}

/* C libraries fall back from clone3() after ENOSYS alone. */
static void print_list(void)
{
	for (int i = 0; i < FL_DENIED_CALLS; i++)
		for (int k = 0; k < (fl_denied_calls[i].number == SYS_clone3 ? 1 : 2); k++)
			(void)printf("%s %s\n", fl_denied_calls[i].name, errors[k].name);
}

static long call_of(const char *name)
{
	for (int i = 0; i < FL_DENIED_CALLS; i++)
		if (strcmp(fl_denied_calls[i].name, name) == 0)
			return fl_denied_calls[i].number;
	bad_usage();
}

static int error_of(const char *name)
{
	for (int i = 0; i < 2; i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].error;
	bad_usage();
}

static _Noreturn void run(char **command)
{
	(void)execv(command[0], command);
	give_up(command[0], NOT_RUN);
}

/* The listener's way to the parent. */

union fd_message {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

static void send_fd(int socket, int fd)
{
	union fd_message control = {
	    .head = {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {&fd, 1}; /* a byte, for a message has one */
	const struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
	memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	if (sendmsg(socket, &message, 0) != 1)
		give_up("the listener cannot be sent", NOT_RUN);
}

/* -1: the child has none, and said so. */
static int receive_fd(int socket)
{
	char byte;
	int fd;
	union fd_message control = {.head = {.cmsg_len = 0}};
	struct iovec part = {&byte, 1};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || control.head.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(&control.head), sizeof fd);
	return fd;
}

/* Recording. */

static int install_listener(long denied, int error)
{
	int listener = -1;
#ifdef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* else a signal may end any stopped call with EINTR */
	listener = fl_denied_filter(denied, error, SECCOMP_RET_USER_NOTIF,
	                            SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
#endif
	if (listener < 0)
		listener = fl_denied_filter(denied, error, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	if (listener < 0)
		give_up("no listener for system calls", NO_FILTERS);
	return listener;
}

/* Writes the name of a call when it is seen for the first time. */
static void record(int file, long number)
{
	static bool seen[FL_DENIED_CALLS];
	for (int i = 0; i < FL_DENIED_CALLS; i++) {
		if (fl_denied_calls[i].number != number || seen[i])
			continue;
		seen[i] = true;
		if (dprintf(file, "%s\n", fl_denied_calls[i].name) < 0)
			give_up("the record cannot be written", NOT_RUN);
	}
}

/* Lets one call continue. Its caller may have been killed in the meantime. */
static void hear(int listener, int file)
{
	struct seccomp_notif told = {.id = 0};
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &told) != 0)
		return;
	record(file, told.data.nr);
	struct seccomp_notif_resp answer = {.id = told.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static void on_child(int signal)
{
	(void)signal;
}

/* Hears all calls until the program ends: its status. */
static int supervise(pid_t program, int listener, int file, const sigset_t *unblocked)
{
	int status;
	pid_t ended;
	while ((ended = waitpid(program, &status, WNOHANG)) == 0) {
		struct pollfd p = {.fd = listener, .events = POLLIN};
		if (ppoll(&p, 1, NULL, unblocked) > 0 && (p.revents & POLLIN))
			hear(listener, file);
	}
	if (ended < 0)
		give_up("waitpid", NOT_RUN);
	return status;
}

static _Noreturn void end_as(int status)
{
	if (WIFSIGNALED(status)) {
		const struct rlimit none = {0, 0}; /* it has left its own core */
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(WTERMSIG(status), SIG_DFL);
		(void)raise(WTERMSIG(status));
	}
	exit(WEXITSTATUS(status));
}

static _Noreturn void run_recorded(const char *path, long denied, int error, char **command)
{
	int ends[2], status;
	sigset_t child, before;
	const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (file < 0)
		give_up(path, NOT_RUN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		give_up("socketpair", NOT_RUN);
	(void)signal(SIGCHLD, on_child);
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, &before);
	const pid_t program = fork();
	if (program < 0)
		give_up("fork", NOT_RUN);
	if (program == 0) {
		(void)signal(SIGCHLD, SIG_DFL);
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		(void)setenv(FL_DENIED_LISTENER, "1", 1);
		const int listener = install_listener(denied, error);
		send_fd(ends[1], listener);
		(void)close(listener);
		run(command);
	}
	(void)close(ends[1]);
	const int listener = receive_fd(ends[0]);
	if (listener < 0) {
		(void)waitpid(program, &status, 0);
		end_as(status);
	}
	end_as(supervise(program, listener, file, &before));
}

int main(int argc, char **argv)
{
	const char *path = NULL;
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		print_list();
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "--record") == 0) {
		path = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc < 4)
		bad_usage();
	const long denied = call_of(argv[1]);
	const int error = error_of(argv[2]);
	if (path)
		run_recorded(path, denied, error, argv + 3);
	if (fl_denied_filter(denied, error, 0, 0) != 0)
		give_up("no filters of system calls", NO_FILTERS);
	run(argv + 3);
}
