/* SPDX-License-Identifier: BSD-2-Clause */
#include "os.h"
#include "../base/sys.h"
#include "fd_sys.h"
#include "packet.h"
#include <dirent.h>
#include <errno.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

/* The same numbers on all architectures; older headers lack them. */
enum { PIDFD_OPEN = 434, PIDFD_SEND_SIGNAL = 424, BY_PIDFD = 3 };

/* Returns `rc` or the negative errno, and restores errno. */
static int result(long rc, int before)
{
	int r = rc >= 0 ? (int)rc : -errno;
	errno = before;
	return r;
}

static int os_fork(void)
{
	int before = errno;
	return result(fork(), before);
}

static int os_pidfd(int pid)
{
	int before = errno;
	return fl__known(result(syscall(PIDFD_OPEN, pid, 0), before));
}

/* ThreadSanitizer takes a clone for a fork, and would keep the child's changes to its state. */
static int clone_by_fork(int (*child)(void *arg), void *arg, int *pidfd)
{
	int pid = fl__fork_with_pidfd(pidfd);
	if (pid == 0)
		_exit(child(arg));
	return pid;
}

static int os_clone(int (*child)(void *arg), void *stack_end, void *arg, int *pidfd)
{
#ifdef FL__TSAN
	(void)stack_end;
	return clone_by_fork(child, arg, pidfd);
#else
	int before = errno;
	int pid = result(clone(child, stack_end, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, arg, pidfd), before);
	/* -EINVAL: an emulator without CLONE_PIDFD */
	return pid == -EINVAL ? clone_by_fork(child, arg, pidfd) : pid;
#endif
}

static int os_signal(int pidfd, int signal)
{
	int before = errno;
	return result(syscall(PIDFD_SEND_SIGNAL, pidfd, signal, NULL, 0), before);
}

static fl_process_status status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (fl_process_status){info->si_status & 0xff, 0};
	return (fl_process_status){-1, info->si_status};
}

static int wait_for(int type, int id, int *pid, fl_process_status *status, int flags)
{
	int before = errno;
	siginfo_t info = {.si_pid = 0};
	int rc;
	do
		rc = result(waitid((idtype_t)type, (id_t)id, &info, WEXITED | flags), before);
	while (rc == -EINTR);
	if (rc != 0)
		return rc;
	*pid = info.si_pid;
	if (info.si_pid == 0)
		return 0;
	*status = status_of(&info);
	return 1;
}

static int os_collect(int pidfd, fl_process_status *status, bool wait)
{
	int pid;
	return wait_for(BY_PIDFD, pidfd, &pid, status, wait ? 0 : WNOHANG);
}

static int os_collect_number(int *pid, fl_process_status *status, bool wait)
{
	return wait_for(*pid ? P_PID : P_ALL, *pid, pid, status, wait ? 0 : WNOHANG);
}

static int os_pipe(int ends[2])
{
	int before = errno;
	return result(pipe2(ends, O_CLOEXEC), before);
}

static int os_event(void)
{
	int before = errno;
	return fl__known(result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), before));
}

static int os_child_signals(void)
{
	int before = errno;
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	return result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), before);
}

static int os_open(const char *path, int flags)
{
	int before = errno;
	int rc;
	do
		rc = result(open(path, flags | O_CLOEXEC), before);
	while (rc == -EINTR);
	return rc;
}

static int os_duplicate(int fd)
{
	int before = errno;
	return result(fcntl(fd, F_DUPFD_CLOEXEC, 3), before);
}

static int os_enter(int directory)
{
	int before = errno;
	return result(fchdir(directory), before);
}

static int os_threads(void)
{
	int before = errno, n = 0;
	DIR *tasks = opendir("/proc/self/task");
	if (!tasks)
		return result(-1, before);
	for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;)
		n += entry->d_name[0] != '.';
	(void)closedir(tasks);
	errno = before;
	return n;
}

static int os_descriptors(void)
{
	int before = errno;
	struct rlimit limit;
	int rc = result(getrlimit(RLIMIT_NOFILE, &limit), before);
	return rc != 0 ? rc : limit.rlim_cur < INT_MAX ? (int)limit.rlim_cur : INT_MAX;
}

struct fl__os fl__os = {
    .fork = os_fork,
    .clone = os_clone,
    .pidfd = os_pidfd,
    .signal = os_signal,
    .collect = os_collect,
    .collect_number = os_collect_number,
    .pipe = os_pipe,
    .event = os_event,
    .child_signals = os_child_signals,
    .open = os_open,
    .duplicate = os_duplicate,
    .enter = os_enter,
    .threads = os_threads,
    .descriptors = os_descriptors,
    .self = "/proc/self/exe",
    .patience = FL_S(30),
};

int fl__fork_with_pidfd(int *pidfd)
{
	int gate[2];
	char go_on = 0;
	*pidfd = -1;
	int rc = fl__fd_sys.pair(gate);
	if (rc != 0)
		return rc;
	int pid = fl__os.fork();
	if (pid == 0) {
		fl__close(gate[1]);
		while (read(gate[0], &go_on, sizeof go_on) < 0 && errno == EINTR)
			; /* a byte, or the end: the parent has died */
	}
	fl__close(gate[0]); /* frees a number for the pidfd */
	if (pid > 0) {
		*pidfd = fl__os.pidfd(pid);
		if (*pidfd < 0)
			(void)kill(pid, SIGKILL); /* a failed start runs no task */
		/*
		 * A byte, since a child that another thread forks now may hold the gate open for
		 * long. The send fails if the child is dead.
		 */
		(void)!fl__packet_try_send(gate[1], &(struct iovec){&go_on, sizeof go_on}, 1, NULL, 0);
	}
	if (pid != 0)
		fl__close(gate[1]);
	return pid;
}

int fl__above(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int moved = fl__os.duplicate(fd);
	if (moved < 0)
		return fd;
	fl__close(fd);
	return moved;
}

int fl__above_pair(int sockets[2])
{
	int rc = fl__packet_pair(sockets);
	for (int i = 0; rc == 0 && i < 2; i++)
		sockets[i] = fl__above(sockets[i]);
	return rc;
}

void fl__close(int fd)
{
	int before = errno;
	if (fd >= 0)
		(void)close(fd);
	errno = before;
}
