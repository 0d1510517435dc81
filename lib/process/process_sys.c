/* SPDX-License-Identifier: BSD-2-Clause */
#include "process_sys.h"
#include "core/base/sanitizer.h"
#include "core/base/sys.h"
#include "packet.h"
#include <errno.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

/* Older headers lack the numbers, the same on all architectures. */
enum { PROCESS_SYS_PIDFD_OPEN = 434, PROCESS_SYS_PIDFD_SEND_SIGNAL = 424, PROCESS_SYS_P_PIDFD = 3 };

/* Processes. */

static int process_sys_fork(void)
{
	return FL__SYS_RESULT(fork());
}

static int process_sys_pidfd(int pid)
{
	return fl__eperm_to_enosys((int)FL__SYS_RESULT(syscall(PROCESS_SYS_PIDFD_OPEN, pid, 0)));
}

/*
 * For ThreadSanitizer, which would keep the child's changes to its state; and for emulators without
 * CLONE_PIDFD, or without a child that sends no signal.
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
	while (!pidfd && pid > 0 && FL__SYS_RESULT(waitpid(pid, NULL, __WALL)) == -EINTR)
		;
	return pid;
}

static int process_sys_signal(int pidfd, int signal)
{
	return (int)FL__SYS_RESULT(syscall(PROCESS_SYS_PIDFD_SEND_SIGNAL, pidfd, signal, NULL, 0));
}

static int process_sys_signal_group(int pidfd, int pid, int signal)
{
	enum { GROUP = 4 }; /* PIDFD_SIGNAL_PROCESS_GROUP */
	int rc = (int)FL__SYS_RESULT(syscall(PROCESS_SYS_PIDFD_SEND_SIGNAL, pidfd, signal, NULL, GROUP));
	return rc == -EINVAL ? FL__SYS_RESULT(kill(-pid, signal)) : rc; /* before Linux 6.9 */
}

static fl_process_status process_sys_status(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (fl_process_status){info->si_status & 0xff, 0};
	return (fl_process_status){-1, info->si_status};
}

static int process_sys_wait(int type, int id, int *pid, fl_process_status *status, int flags)
{
	siginfo_t info = {.si_pid = 0};
	int rc;
	do
		rc = FL__SYS_RESULT(waitid((idtype_t)type, (id_t)id, &info, WEXITED | flags));
	while (rc == -EINTR);
	if (rc != 0)
		return rc;
	*pid = info.si_pid;
	if (info.si_pid == 0)
		return 0;
	*status = process_sys_status(&info);
	return 1;
}

static int process_sys_reap(int pidfd, fl_process_status *status, bool wait)
{
	int pid;
	while (wait && FL__SYS_RESULT(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, -1)) == -EINTR)
		;
	return process_sys_wait(PROCESS_SYS_P_PIDFD, pidfd, &pid, status, wait ? 0 : WNOHANG);
}

static int process_sys_reap_by_pid(int *pid, fl_process_status *status, bool wait)
{
	return process_sys_wait(*pid ? P_PID : P_ALL, *pid, pid, status, wait ? 0 : WNOHANG);
}

static int process_sys_pipe(int ends[2])
{
	return FL__SYS_RESULT(pipe2(ends, O_CLOEXEC));
}

static int process_sys_eventfd(void)
{
	return fl__eperm_to_enosys(FL__SYS_RESULT(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

static int process_sys_child_signals(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	return FL__SYS_RESULT(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

static int process_sys_open(const char *path, int flags)
{
	int rc;
	do
		rc = FL__SYS_RESULT(open(path, flags | O_CLOEXEC));
	while (rc == -EINTR);
	return rc;
}

static bool process_sys_exists(int directory, const char *path)
{
	return FL__SYS_RESULT(faccessat(directory, path, F_OK, 0)) == 0;
}

static int process_sys_duplicate(int fd)
{
	return FL__SYS_RESULT(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

static int process_sys_change_directory(int directory)
{
	return FL__SYS_RESULT(fchdir(directory));
}

static int process_sys_count_threads(void)
{
	struct stat tasks; /* a link for each thread, beside its own two */
	const int rc = FL__SYS_RESULT(stat("/proc/self/task", &tasks));
	if (rc == 0)
		return (int)tasks.st_nlink - 2;
	/* without /proc: only a process with one thread may make the call, which does nothing */
	return FL__SYS_RESULT(unshare(CLONE_THREAD)) == 0 ? 1 : rc;
}

static int process_sys_fd_limit(void)
{
	struct rlimit limit;
	int rc = FL__SYS_RESULT(getrlimit(RLIMIT_NOFILE, &limit));
	return rc != 0 ? rc : limit.rlim_cur < INT_MAX ? (int)limit.rlim_cur : INT_MAX;
}

struct fl__process_sys fl__process_sys = {
    .fork = process_sys_fork,
    .clone = process_sys_clone,
    .pidfd = process_sys_pidfd,
    .signal = process_sys_signal,
    .signal_group = process_sys_signal_group,
    .reap = process_sys_reap,
    .reap_by_pid = process_sys_reap_by_pid,
    .pipe = process_sys_pipe,
    .eventfd = process_sys_eventfd,
    .child_signals = process_sys_child_signals,
    .open = process_sys_open,
    .exists = process_sys_exists,
    .duplicate = process_sys_duplicate,
    .change_directory = process_sys_change_directory,
    .count_threads = process_sys_count_threads,
    .fd_limit = process_sys_fd_limit,
    .program = "/proc/self/exe",
    .answer_timeout = FL_S(30),
};

/* Descriptors. */

static int fd_sys_pair(int sockets[2])
{
	return FL__SYS_RESULT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets));
}

static bool fd_sys_is_connected_packet_socket(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	int domain = 0, type = 0;
	socklen_t domain_size = sizeof domain, type_size = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0)
		return false;
	return domain == AF_UNIX && type == SOCK_SEQPACKET && getpeername(fd, (struct sockaddr *)&address, &size) == 0;
}

static int fd_sys_adopt(int fd)
{
	int before = errno;
	struct stat info;
	int flags = fcntl(fd, F_GETFD);
	int rc = 0;
	if (flags < 0)
		rc = -EBADF;
	else if (fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode))
		rc = -ENOTSOCK;
	else if (!fd_sys_is_connected_packet_socket(fd))
		rc = -EINVAL;
	else
		(void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	errno = before;
	return rc;
}

static void fd_sys_shut(int socket, int how)
{
	(void)FL__SYS_RESULT(shutdown(socket, how));
}

static ssize_t fd_sys_send(int socket, const struct msghdr *message, int flags)
{
	return FL__SYS_RESULT(fl__passed_fds_send(socket, message, flags));
}

static ssize_t fd_sys_receive(int socket, struct msghdr *message, int flags)
{
	return FL__SYS_RESULT(recvmsg(socket, message, flags));
}

static int fd_sys_waiting(int socket)
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
	return FL__SYS_RESULT(epoll_create1(EPOLL_CLOEXEC));
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
	return fl__eperm_to_enosys(FL__SYS_RESULT(memfd_create("fairlead-message", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
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

/* Files of other kinds have no seals. */
static int fd_sys_sealed_size(int fd, int64_t *size)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_WRITE;
	int before = errno;
	struct stat info;
	int seals = fcntl(fd, F_GET_SEALS);
	bool good = seals >= 0 && (seals & needed) == needed && fstat(fd, &info) == 0;
	errno = before;
	if (!good)
		return -EBADMSG;
	*size = info.st_size;
	return 0;
}

struct fl__fd_sys fl__fd_sys = {
    .pair = fd_sys_pair,
    .adopt = fd_sys_adopt,
    .shut = fd_sys_shut,
    .send = fd_sys_send,
    .receive = fd_sys_receive,
    .waiting = fd_sys_waiting,
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
	*pidfd = -1;
	int rc = fl__fd_sys.pair(gate);
	if (rc != 0)
		return rc;
	int pid = fl__process_sys.fork();
	if (pid == 0) {
		fl__fd_close(gate[1]);
		while (read(gate[0], &go_on, sizeof go_on) < 0 && errno == EINTR)
			; /* a byte, or the end: the parent has died */
	}
	fl__fd_close(gate[0]); /* frees a number for the pidfd */
	if (pid > 0) {
		*pidfd = fl__process_sys.pidfd(pid);
		if (*pidfd < 0)
			(void)kill(pid, SIGKILL); /* a failed start runs no task */
		/* A byte, since a forked child may hold the gate open. */
		(void)!fl__packet_try_send(gate[1], &(struct iovec){&go_on, sizeof go_on}, 1, NULL, 0);
	}
	if (pid != 0)
		fl__fd_close(gate[1]);
	return pid;
}

int fl__fd_above_streams(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int moved = fl__process_sys.duplicate(fd);
	if (moved < 0)
		return fd;
	fl__fd_close(fd);
	return moved;
}

int fl__packet_pair_above_streams(int sockets[2])
{
	int rc = fl__packet_pair(sockets);
	for (int i = 0; rc == 0 && i < 2; i++)
		sockets[i] = fl__fd_above_streams(sockets[i]);
	return rc;
}

void fl__fds_close(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fl__fd_close(fds[i]);
}
