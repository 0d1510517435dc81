/* SPDX-License-Identifier: BSD-2-Clause */
#include "net_sys.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The result of a system call, or the negative errno. Resets errno to `before` on an error. */
static ssize_t net_sys_result(ssize_t rc, int before)
{
	if (rc >= 0)
		return rc;
	ssize_t r = -errno;
	errno = before;
	return r;
}

static int net_sys_socket(int family, int type, int protocol)
{
	int before = errno;
	return (int)net_sys_result(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), before);
}

static int net_sys_pair(int sockets[2])
{
	int before = errno;
	return (int)net_sys_result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets), before);
}

static int net_sys_adopt(int fd)
{
	int before = errno, how = fcntl(fd, F_GETFL), kept = fcntl(fd, F_GETFD);
	if (how < 0 || kept < 0)
		return (int)net_sys_result(-1, before);
	int rc = fcntl(fd, F_SETFL, how | O_NONBLOCK);
	if (rc == 0)
		rc = fcntl(fd, F_SETFD, kept | FD_CLOEXEC);
	return (int)net_sys_result(rc, before);
}

static void net_sys_close(int fd)
{
	int before = errno;
	(void)close(fd); /* Linux releases the descriptor even if this fails */
	errno = before;
}

static int net_sys_shutdown(int fd, int how)
{
	int before = errno;
	return (int)net_sys_result(shutdown(fd, how), before);
}

static ssize_t net_sys_recv(int fd, void *buffer, size_t size)
{
	int before = errno;
	return net_sys_result(recv(fd, buffer, size, 0), before);
}

static ssize_t net_sys_send(int fd, const void *data, size_t size)
{
	int before = errno;
	return net_sys_result(send(fd, data, size, MSG_NOSIGNAL), before);
}

static ssize_t net_sys_sendmsg(int fd, const struct msghdr *message)
{
	int before = errno;
	return net_sys_result(sendmsg(fd, message, MSG_NOSIGNAL), before);
}

static int net_sys_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	int before = errno;
	return (int)net_sys_result(connect(fd, address, size), before);
}

static int net_sys_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	int before = errno;
	return (int)net_sys_result(bind(fd, address, size), before);
}

static int net_sys_listen(int fd, int backlog)
{
	int before = errno;
	return (int)net_sys_result(listen(fd, backlog), before);
}

static int net_sys_accept(int fd, struct sockaddr *address, socklen_t *size)
{
	int before = errno;
	return (int)net_sys_result(accept4(fd, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC), before);
}

static int net_sys_set_option(int fd, int level, int option, int value)
{
	int before = errno;
	return (int)net_sys_result(setsockopt(fd, level, option, &value, sizeof value), before);
}

static int net_sys_get_option(int fd, int level, int option, int *value)
{
	int before = errno;
	socklen_t size = sizeof *value;
	return (int)net_sys_result(getsockopt(fd, level, option, value, &size), before);
}

static int net_sys_local(int fd, struct sockaddr *address, socklen_t *size)
{
	int before = errno;
	return (int)net_sys_result(getsockname(fd, address, size), before);
}

static int net_sys_peer(int fd, struct sockaddr *address, socklen_t *size)
{
	int before = errno;
	return (int)net_sys_result(getpeername(fd, address, size), before);
}

struct fl__net_sys fl__net_sys = {
    .socket = net_sys_socket,
    .pair = net_sys_pair,
    .adopt = net_sys_adopt,
    .close = net_sys_close,
    .shutdown = net_sys_shutdown,
    .recv = net_sys_recv,
    .send = net_sys_send,
    .sendmsg = net_sys_sendmsg,
    .connect = net_sys_connect,
    .bind = net_sys_bind,
    .listen = net_sys_listen,
    .accept = net_sys_accept,
    .set_option = net_sys_set_option,
    .get_option = net_sys_get_option,
    .local = net_sys_local,
    .peer = net_sys_peer,
};
