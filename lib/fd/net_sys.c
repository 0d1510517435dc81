/* SPDX-License-Identifier: BSD-2-Clause */
/* The system calls of sockets and descriptors (net_sys.h). */
#include "net_sys.h"
#include "core/base/sys.h"
#include "passed_fds.h"
#include "try_io.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int net_sys_socket(int family, int type, int protocol)
{
	/* connect() and accept() have no flag like MSG_DONTWAIT */
	const int nonblocking = type == SOCK_DGRAM ? 0 : SOCK_NONBLOCK;
	return FL__SYS_RESULT(socket(family, type | nonblocking | SOCK_CLOEXEC, protocol));
}

static int net_sys_pair(int sockets[2])
{
	return FL__SYS_RESULT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
}

/* Programs inherit the descriptors 0, 1 and 2. */
static int net_sys_adopt(int fd)
{
	int kept = FL__SYS_RESULT(fcntl(fd, F_GETFD));
	if (kept >= 0 && fd > STDERR_FILENO)
		kept = FL__SYS_RESULT(fcntl(fd, F_SETFD, kept | FD_CLOEXEC));
	return kept < 0 ? kept : 0;
}

static int net_sys_describe(int fd)
{
	FL__UNCANCELLED();
	int master;
	const int how = fcntl(fd, F_GETFL), access = how & O_ACCMODE;
	if (how < 0 || (how & O_PATH))
		return -EBADF;
	int bits = (access != O_WRONLY ? FL__FD_READS : 0) | (access != O_RDONLY ? FL__FD_WRITES : 0);
	if (ioctl(fd, TIOCGPTN, &master) == 0)
		bits |= FL__FD_TERMINAL_MASTER;
	return bits;
}

static bool net_sys_is_pipe(int fd)
{
	struct stat info;
	return fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode);
}

/*
 * Opens a pipe, or a terminal that is not a master, again. Returns -1 for other files and errors.
 */
static int net_sys_reopen(int fd, int how)
{
	char path[40];
	int master;
	if (!net_sys_is_pipe(fd) && (!isatty(fd) || ioctl(fd, TIOCGPTN, &master) == 0))
		return -1;
	(void)snprintf(path, sizeof path, "/proc/thread-self/fd/%d", fd);
	return open(path, (how & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int net_sys_adopt_other(int fd)
{
	FL__UNCANCELLED();
	const int how = fcntl(fd, F_GETFL);
	int own = fd, rc = net_sys_adopt(fd);
	if (rc == 0 && !(how & O_NONBLOCK)) {
		const int reopened = net_sys_reopen(fd, how);
		if (reopened >= 0)
			own = reopened;
		else if (!net_sys_is_pipe(fd))
			(void)fcntl(fd, F_SETFL, how | O_NONBLOCK); /* cannot fail for an open descriptor */
	}
	return rc == 0 ? own : rc;
}

void fl__fd_close(int fd)
{
	if (fd >= 0)
		(void)FL__SYS_RESULT(close(fd)); /* Linux releases the descriptor even if this fails */
}

void fl__fds_close(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fl__fd_close(fds[i]);
}

static int net_sys_shutdown(int fd, int how)
{
	return FL__SYS_RESULT(shutdown(fd, how));
}

static ssize_t net_sys_recv(int fd, void *buffer, size_t size)
{
	return FL__SYS_RESULT(recv(fd, buffer, size, MSG_DONTWAIT));
}

static ssize_t net_sys_send(int fd, const void *data, size_t size)
{
	return FL__SYS_RESULT(send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static ssize_t net_sys_sendmsg(int fd, const struct msghdr *message)
{
	return fl__passed_fds_send(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t net_sys_recvmsg(int fd, struct msghdr *message, int flags)
{
	return FL__SYS_RESULT(recvmsg(fd, message, flags | MSG_DONTWAIT));
}

static int net_sys_sendmmsg(int fd, struct mmsghdr *messages, unsigned n)
{
	return FL__SYS_RESULT(sendmmsg(fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static int net_sys_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
	return FL__SYS_RESULT(recvmmsg(fd, messages, n, flags | MSG_DONTWAIT, NULL));
}

static int net_sys_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	return FL__SYS_RESULT(connect(fd, address, size));
}

static int net_sys_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	return FL__SYS_RESULT(bind(fd, address, size));
}

static int net_sys_listen(int fd, int backlog)
{
	return FL__SYS_RESULT(listen(fd, backlog));
}

static int net_sys_accept(int fd, struct sockaddr *address, socklen_t *size)
{
	return FL__SYS_RESULT(accept4(fd, address, size, SOCK_CLOEXEC));
}

static int net_sys_set_option(int fd, int level, int option, int value)
{
	return FL__SYS_RESULT(setsockopt(fd, level, option, &value, sizeof value));
}

static int net_sys_set_struct(int fd, int level, int option, const void *value, socklen_t size)
{
	return FL__SYS_RESULT(setsockopt(fd, level, option, value, size));
}

static int net_sys_get_option(int fd, int level, int option, int *value)
{
	socklen_t size = sizeof *value;
	return FL__SYS_RESULT(getsockopt(fd, level, option, value, &size));
}

static int net_sys_get_struct(int fd, int level, int option, void *value, socklen_t size)
{
	return FL__SYS_RESULT(getsockopt(fd, level, option, value, &size));
}

static int net_sys_local(int fd, struct sockaddr *address, socklen_t *size)
{
	return FL__SYS_RESULT(getsockname(fd, address, size));
}

static int net_sys_peer(int fd, struct sockaddr *address, socklen_t *size)
{
	return FL__SYS_RESULT(getpeername(fd, address, size));
}

struct fl__net_sys fl__net_sys = {
    .socket = net_sys_socket,
    .pair = net_sys_pair,
    .adopt = net_sys_adopt,
    .shutdown = net_sys_shutdown,
    .describe = net_sys_describe,
    .adopt_other = net_sys_adopt_other,
    .read = fl__try_read,
    .write = fl__try_write,
    .recv = net_sys_recv,
    .send = net_sys_send,
    .sendmsg = net_sys_sendmsg,
    .recvmsg = net_sys_recvmsg,
    .sendmmsg = net_sys_sendmmsg,
    .recvmmsg = net_sys_recvmmsg,
    .connect = net_sys_connect,
    .bind = net_sys_bind,
    .listen = net_sys_listen,
    .accept = net_sys_accept,
    .set_option = net_sys_set_option,
    .set_struct = net_sys_set_struct,
    .get_option = net_sys_get_option,
    .get_struct = net_sys_get_struct,
    .local = net_sys_local,
    .peer = net_sys_peer,
};
