/* SPDX-License-Identifier: BSD-2-Clause */
#include "fd_sys.h"
#include "../base/sys.h"
#include <errno.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Returns `rc` or the negative errno, and restores errno. */
static ssize_t result(ssize_t rc, int before)
{
	ssize_t r = rc >= 0 ? rc : -errno;
	errno = before;
	return r;
}

static int sys_pair(int sockets[2])
{
	int before = errno;
	return (int)result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), before);
}

static bool is_connected_packet_socket(int fd)
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

static int sys_adopt(int fd)
{
	int before = errno;
	struct stat info;
	int flags = fcntl(fd, F_GETFD);
	int rc = 0;
	if (flags < 0)
		rc = -EBADF;
	else if (fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode))
		rc = -ENOTSOCK;
	else if (!is_connected_packet_socket(fd))
		rc = -EINVAL;
	else
		(void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	errno = before;
	return rc;
}

static void sys_shut(int socket, int how)
{
	int before = errno;
	(void)shutdown(socket, how);
	errno = before;
}

static ssize_t sys_send(int socket, const struct msghdr *message, int flags)
{
	int before = errno;
	return result(sendmsg(socket, message, flags), before);
}

static ssize_t sys_receive(int socket, struct msghdr *message, int flags)
{
	int before = errno;
	return result(recvmsg(socket, message, flags), before);
}

static int sys_waiting(int socket)
{
	int before = errno, bytes = 0;
	ssize_t rc = result(ioctl(socket, SIOCINQ, &bytes), before);
	return rc < 0 ? (int)rc : bytes;
}

static int sys_poll(int fd, short events, short *seen, int64_t timeout)
{
	int before = errno;
	struct pollfd p = {.fd = fd, .events = events};
	struct timespec time = {.tv_sec = (time_t)(timeout / FL_S(1)), .tv_nsec = (long)(timeout % FL_S(1))};
	ssize_t rc = result(ppoll(&p, 1, timeout < 0 ? NULL : &time, NULL), before);
	*seen = p.revents;
	return (int)rc;
}

static int sys_watch_create(void)
{
	int before = errno;
	return (int)result(epoll_create1(EPOLL_CLOEXEC), before);
}

static int sys_watch(int epoll, int op, int fd, uint32_t events)
{
	int before = errno;
	struct epoll_event event = {.events = events, .data = {.fd = fd}};
	return (int)result(epoll_ctl(epoll, op, fd, &event), before);
}

static int sys_watch_wait(int epoll, struct epoll_event *events, int n, int ms)
{
	int before = errno;
	return (int)result(epoll_wait(epoll, events, n, ms), before);
}

static int sys_memory(void)
{
	int before = errno;
	return fl__known((int)result(memfd_create("fairlead-message", MFD_CLOEXEC | MFD_ALLOW_SEALING), before));
}

static ssize_t sys_write_at(int fd, const void *data, size_t size, off_t at)
{
	int before = errno;
	return result(pwrite(fd, data, size, at), before);
}

static ssize_t sys_read_at(int fd, void *data, size_t size, off_t at)
{
	int before = errno;
	return result(pread(fd, data, size, at), before);
}

static int sys_seal(int fd)
{
	int before = errno;
	return (int)result(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), before);
}

/* Files of other kinds have no seals: the call fails for them. */
static int sys_sealed_size(int fd, int64_t *size)
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
    .pair = sys_pair,
    .adopt = sys_adopt,
    .shut = sys_shut,
    .send = sys_send,
    .receive = sys_receive,
    .waiting = sys_waiting,
    .poll = sys_poll,
    .watch_create = sys_watch_create,
    .watch = sys_watch,
    .watch_wait = sys_watch_wait,
    .memory = sys_memory,
    .write_at = sys_write_at,
    .read_at = sys_read_at,
    .seal = sys_seal,
    .sealed_size = sys_sealed_size,
};

void fl__fds_close(const int *fds, unsigned n)
{
	int before = errno;
	for (unsigned i = 0; i < n; i++)
		(void)close(fds[i]); /* even on an error Linux has released the number */
	errno = before;
}
