/* SPDX-License-Identifier: BSD-2-Clause */
/* The system calls for processes and descriptors (process_sys.h). */
#include "process_sys.h"
#include "core/base/sanitizer.h"
#include "core/base/sys.h"
#include "packet.h"
#include <errno.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

/*
 * Numbers that older headers lack. The numbers of system calls are the same on all architectures
 * except Alpha, MIPS and x32.
 */
enum { PROCESS_SYS_PIDFD_OPEN = 434, PROCESS_SYS_PIDFD_SEND_SIGNAL = 424, PROCESS_SYS_P_PIDFD = 3 };

int fl__fd_above_streams(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int moved = FL__SYS_RESULT(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
	if (moved < 0)
		return fd;
	fl__fd_close(fd);
	return moved;
}

static int process_sys_move_both(int rc, int fds[2])
{
	for (int i = 0; rc == 0 && i < 2; i++)
		fds[i] = fl__fd_above_streams(fds[i]);
	return rc;
}

/* Processes. */

static int process_sys_fork(void)
{
	return FL__SYS_RESULT(fork());
}

static int process_sys_pidfd(int pid)
{
	const int fd = (int)FL__SYS_RESULT(syscall(PROCESS_SYS_PIDFD_OPEN, pid, 0));
	return fl__fd_above_streams(fl__eperm_to_enosys(fd));
}

/*
 * Replaces clone() in two cases: under ThreadSanitizer, because the child would change
 * ThreadSanitizer's own state in the shared memory; and under emulators that do not support
 * CLONE_PIDFD, or a child whose end does not send a signal.
 */
static int process_sys_clone_by_fork(int (*child)(void *arg), void *arg, int *pidfd)
{
	int pid = pidfd ? fl__fork_with_pidfd(pidfd) : process_sys_fork();
	if (pid == 0)
		_exit(child(arg));
	return pid;
}

static int process_sys_clone(int (*child)(void *arg), void *stack_end, void *arg, int *pidfd)
{
	int pid = -EINVAL;
#ifdef FL__TSAN
	(void)stack_end;
#else
	pid = FL__SYS_RESULT(
	    clone(child, stack_end, CLONE_VM | CLONE_VFORK | (pidfd ? CLONE_PIDFD | SIGCHLD : 0), arg, pidfd));
#endif
	if (pid == -EINVAL)
		pid = process_sys_clone_by_fork(child, arg, pidfd);
	if (!pidfd && pid > 0)
		(void)FL__RETRY(FL__SYS_RESULT(waitpid(pid, NULL, __WALL)));
	return pid;
}

static int process_sys_signal(int pidfd, int signal)
{
	return (int)FL__SYS_RESULT(syscall(PROCESS_SYS_PIDFD_SEND_SIGNAL, pidfd, signal, NULL, 0));
}

int fl__process_signal_group(int pidfd, int pid, int signal)
{
	enum { GROUP = 4 }; /* PIDFD_SIGNAL_PROCESS_GROUP */
	int rc = (int)FL__SYS_RESULT(syscall(PROCESS_SYS_PIDFD_SEND_SIGNAL, pidfd, signal, NULL, GROUP));
	/* before Linux 6.9 the flag is unknown */
	return rc == -EINVAL ? FL__SYS_RESULT(kill(-pid, signal)) : rc;
}

static int process_sys_wait(int type, int id, int *pid, fl_process_status *status, int flags)
{
	siginfo_t info = {0};
	const int rc = FL__RETRY(FL__SYS_RESULT(waitid((idtype_t)type, (id_t)id, &info, WEXITED | flags)));
	if (rc != 0)
		return fl__eperm_to_enosys(rc);
	*pid = info.si_pid;
	if (info.si_pid == 0)
		return 0;
	if (status && info.si_code == CLD_EXITED)
		*status = (fl_process_status){info.si_status & 0xff, 0};
	else if (status)
		*status = (fl_process_status){-1, info.si_status};
	return 1;
}

int fl__process_reap(int pidfd, fl_process_status *status, bool wait)
{
	int pid;
	if (wait)
		(void)FL__RETRY(FL__SYS_RESULT(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, -1)));
	return process_sys_wait(PROCESS_SYS_P_PIDFD, pidfd, &pid, status, wait ? 0 : WNOHANG);
}

int fl__process_reap_by_pid(int *pid, fl_process_status *status, bool wait)
{
	return process_sys_wait(*pid ? P_PID : P_ALL, *pid, pid, status, wait ? 0 : WNOHANG);
}

static int process_sys_pipe(int ends[2])
{
	return process_sys_move_both(FL__SYS_RESULT(pipe2(ends, O_CLOEXEC)), ends);
}

static int process_sys_eventfd(void)
{
	const int fd = FL__SYS_RESULT(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	return fl__fd_above_streams(fl__eperm_to_enosys(fd));
}

static int process_sys_signalfd(const sigset_t *signals)
{
	const int fd = FL__SYS_RESULT(signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK));
	return fl__fd_above_streams(fl__eperm_to_enosys(fd));
}

/* Reads a file of /proc/PID, or its beginning. `text` is empty if the file cannot be read. */
static void process_sys_read_about(int pid, const char *file, char *text, size_t room)
{
	char path[32];
	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	const int fd = fl__process_sys.open(path, O_RDONLY);
	const ssize_t n = fd < 0 ? fd : FL__RETRY(FL__SYS_RESULT(read(fd, text, room - 1)));
	fl__fd_close(fd);
	text[FL__MAX(n, 0)] = '\0';
}

uint64_t fl__process_memory(int pid)
{
	char text[128];
	unsigned long long resident = 0, shared = 0;
	process_sys_read_about(pid, "statm", text, sizeof text);
	/* the kernel's two counters are read one after the other */
	if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || resident <= shared)
		return 0;
	return (resident - shared) * fl__page_size();
}

bool fl__process_is_stopped(int pid, bool *in_background)
{
	char text[512], state = 0;
	int group = 0, foreground = 0;
	process_sys_read_about(pid, "stat", text, sizeof text);
	const char *rest = strrchr(text, ')'); /* the end of the program's name, which may have any bytes */
	if (!rest || sscanf(rest, ") %c %*d %d %*d %*d %d", &state, &group, &foreground) != 3)
		return false;
	*in_background = foreground > 0 && group != foreground;
	return state == 'T';
}

static int process_sys_mask(int how, const sigset_t *signals, sigset_t *before)
{
	return -pthread_sigmask(how, signals, before);
}

static int process_sys_open(const char *path, int flags)
{
	return fl__fd_above_streams(FL__RETRY(FL__SYS_RESULT(open(path, flags | O_CLOEXEC))));
}

int fl__null_open(void)
{
	int ends[2];
	const int fd = fl__process_sys.open("/dev/null", O_RDWR);
	if (fd >= 0)
		return fd;
	const int rc = fl__process_sys.pipe(ends);
	if (rc != 0)
		return rc;
	fl__fd_close(ends[1]);
	return ends[0];
}

bool fl__file_exists(int directory, const char *path)
{
	struct stat info; /* access() and faccessat() may make calls that a sandbox refuses */
	return FL__SYS_RESULT(fstatat(directory, path, &info, 0)) == 0;
}

static int process_sys_count_threads(void)
{
	struct stat tasks; /* the folder has one link per thread, and two more */
	const int rc = FL__SYS_RESULT(stat("/proc/self/task", &tasks));
	if (rc == 0)
		/* the link of an ended main thread stays */
		return (int)tasks.st_nlink - 2 - fl__main_thread_has_ended();
	/*
	 * there is no /proc; this call does nothing, but succeeds only in a process with one thread
	 */
	return FL__SYS_RESULT(unshare(CLONE_THREAD)) == 0 ? 1 : rc;
}

struct fl__process_sys fl__process_sys = {
    .fork = process_sys_fork,
    .clone = process_sys_clone,
    .pidfd = process_sys_pidfd,
    .signal = process_sys_signal,
    .pipe = process_sys_pipe,
    .eventfd = process_sys_eventfd,
    .signalfd = process_sys_signalfd,
    .mask = process_sys_mask,
    .open = process_sys_open,
    .count_threads = process_sys_count_threads,
    .raw = syscall,
    .program = "/proc/self/exe",
    .answer_timeout = FL_S(30),
    .first_look = FL_S(1),
};

/* Descriptors. */

static int fd_sys_pair(int sockets[2])
{
	return process_sys_move_both(FL__SYS_RESULT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets)),
	                             sockets);
}

int fl__fd_waiting(int socket)
{
	int bytes = 0;
	ssize_t rc = FL__SYS_RESULT(ioctl(socket, SIOCINQ, &bytes));
	return rc < 0 ? (int)rc : bytes;
}

static int fd_sys_poll(struct pollfd *fds, unsigned n, int64_t timeout)
{
	struct timespec time = {.tv_sec = (time_t)(timeout / FL_S(1)), .tv_nsec = (long)(timeout % FL_S(1))};
	return FL__SYS_RESULT(ppoll(fds, n, timeout < 0 ? NULL : &time, NULL));
}

static int fd_sys_epoll_create(void)
{
	return fl__fd_above_streams(FL__SYS_RESULT(epoll_create1(EPOLL_CLOEXEC)));
}

static int fd_sys_epoll_control(int epoll, int op, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.fd = fd}};
	return FL__SYS_RESULT(epoll_ctl(epoll, op, fd, &event));
}

static int fd_sys_epoll_wait(int epoll, struct epoll_event *events, int n, int ms)
{
	return FL__SYS_RESULT(epoll_wait(epoll, events, n, ms));
}

static int fd_sys_memfd(void)
{
	const int fd = FL__SYS_RESULT(memfd_create("fairlead-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	return fl__fd_above_streams(fl__eperm_to_enosys(fd));
}

static ssize_t fd_sys_write_at(int fd, const void *data, size_t size, off_t at)
{
	const int rc = fl__check_file_size((uint64_t)at + size);
	return rc == 0 ? FL__SYS_RESULT(pwrite(fd, data, size, at)) : rc;
}

static ssize_t fd_sys_read_at(int fd, void *data, size_t size, off_t at)
{
	return FL__SYS_RESULT(pread(fd, data, size, at));
}

static int fd_sys_seal(int fd)
{
	return FL__SYS_RESULT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
}

/* A file that is not a memfd lacks these seals. (A file of a tmpfs has F_SEAL_SEAL.) */
static int fd_sys_sealed_size(int fd, int64_t *size)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_WRITE;
	FL__UNCANCELLED();
	struct stat info;
	int seals = fcntl(fd, F_GET_SEALS);
	bool good = seals >= 0 && (seals & needed) == needed && fstat(fd, &info) == 0;
	if (!good)
		return -EBADMSG;
	*size = info.st_size;
	return 0;
}

struct fl__fd_sys fl__fd_sys = {
    .pair = fd_sys_pair,
    .poll = fd_sys_poll,
    .epoll_create = fd_sys_epoll_create,
    .epoll_control = fd_sys_epoll_control,
    .epoll_wait = fd_sys_epoll_wait,
    .memfd = fd_sys_memfd,
    .write_at = fd_sys_write_at,
    .read_at = fd_sys_read_at,
    .seal = fd_sys_seal,
    .sealed_size = fd_sys_sealed_size,
};

int fl__fork_with_pidfd(int *pidfd)
{
	int gate[2];
	char go_on = 0;
	int rc = fl__fd_sys.pair(gate);
	if (rc != 0)
		return rc;
	int pid = fl__process_sys.fork();
	if (pid == 0) {
		fl__fd_close(gate[1]);
		/* reads a byte, or the end of the connection if the parent has died */
		(void)FL__RETRY(FL__SYS_RESULT(read(gate[0], &go_on, sizeof go_on)));
	}
	fl__fd_close(gate[0]); /* this frees a descriptor number for the pidfd */
	if (pid == 0)
		return 0;
	*pidfd = pid > 0 ? fl__process_sys.pidfd(pid) : -1;
	if (pid > 0 && *pidfd < 0) {
		/* no task has run, so the start has simply failed */
		(void)kill(pid, SIGKILL);
		(void)fl__process_reap_by_pid(&pid, NULL, true);
		pid = *pidfd;
	}
	/*
	 * sends a byte, because a forked child may hold the gate open; fails if the child is dead
	 */
	(void)!fl__packet_try_send(gate[1], &(struct iovec){&go_on, sizeof go_on}, 1, NULL, 0);
	fl__fd_close(gate[1]);
	return pid;
}
