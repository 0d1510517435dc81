/* SPDX-License-Identifier: BSD-2-Clause */
#include "net_sys.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The result of a system call, or the negative errno. Resets errno to `before` on an error. */
static ssize_t result(ssize_t rc, int before)
{
	if (rc >= 0)
		return rc;
	ssize_t r = -errno;
	errno = before;
	return r;
}

static int sys_socket(int family, int type, int protocol)
{
	int before = errno;
	return (int)result(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), before);
}

static int sys_pair(int sockets[2])
{
	int before = errno;
	return (int)result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets), before);
}

static int sys_adopt(int fd)
{
	int before = errno, how = fcntl(fd, F_GETFL), kept = fcntl(fd, F_GETFD);
	if (how < 0 || kept < 0)
		return (int)result(-1, before);
	int rc = fcntl(fd, F_SETFL, how | O_NONBLOCK);
	if (rc == 0)
		rc = fcntl(fd, F_SETFD, kept | FD_CLOEXEC);
	return (int)result(rc, before);
}

static void sys_close(int fd)
{
	int before = errno;
	(void)close(fd); /* Linux releases the descriptor even if this fails */
	errno = before;
}

static int sys_shutdown(int fd, int how)
{
	int before = errno;
	return (int)result(shutdown(fd, how), before);
}

static ssize_t sys_recv(int fd, void *buffer, size_t size)
{
	int before = errno;
	return result(recv(fd, buffer, size, 0), before);
}

static ssize_t sys_send(int fd, const void *data, size_t size)
{
	int before = errno;
	return result(send(fd, data, size, MSG_NOSIGNAL), before);
}

static ssize_t sys_sendmsg(int fd, const struct msghdr *message)
{
	int before = errno;
	return result(sendmsg(fd, message, MSG_NOSIGNAL), before);
}

static int sys_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	int before = errno;
	return (int)result(connect(fd, address, size), before);
}

static int sys_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	int before = errno;
	return (int)result(bind(fd, address, size), before);
}

static int sys_listen(int fd, int backlog)
{
	int before = errno;
	return (int)result(listen(fd, backlog), before);
}

static int sys_accept(int fd, struct sockaddr *address, socklen_t *size)
{
	int before = errno;
	return (int)result(accept4(fd, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC), before);
}

static int sys_set_option(int fd, int level, int option, int value)
{
	int before = errno;
	return (int)result(setsockopt(fd, level, option, &value, sizeof value), before);
}

static int sys_get_option(int fd, int level, int option, int *value)
{
	int before = errno;
	socklen_t size = sizeof *value;
	return (int)result(getsockopt(fd, level, option, value, &size), before);
}

static int sys_local(int fd, struct sockaddr *address, socklen_t *size)
{
	int before = errno;
	return (int)result(getsockname(fd, address, size), before);
}

static int sys_peer(int fd, struct sockaddr *address, socklen_t *size)
{
	int before = errno;
	return (int)result(getpeername(fd, address, size), before);
}

struct fl__net_sys fl__net_sys = {
    .socket = sys_socket,
    .pair = sys_pair,
    .adopt = sys_adopt,
    .close = sys_close,
    .shutdown = sys_shutdown,
    .recv = sys_recv,
    .send = sys_send,
    .sendmsg = sys_sendmsg,
    .connect = sys_connect,
    .bind = sys_bind,
    .listen = sys_listen,
    .accept = sys_accept,
    .set_option = sys_set_option,
    .get_option = sys_get_option,
    .local = sys_local,
    .peer = sys_peer,
};
