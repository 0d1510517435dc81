/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_NET_FAULTS_H
#define FL_NET_FAULTS_H

/*
 * Functions that only return `fault`, for the tables:
 *
 *     fl__net_sys.socket = failing_socket;
 *     fault = -EMFILE;
 */
#include "fl_net.h"

static int fault;

static inline int failing_socket(int family, int type, int protocol)
{
	return fault;
}

static inline int failing_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	return fault;
}

static inline int failing_listen(int fd, int backlog)
{
	return fault;
}

static inline int failing_local(int fd, struct sockaddr *address, socklen_t *size)
{
	return fault;
}

static inline int failing_option(int fd, int level, int option_name, int value)
{
	return fault;
}

static inline int failing_control(int poller, int op, int fd, uint32_t events, void *owner)
{
	return op == EPOLL_CTL_ADD ? fault : fl_test_real_poller.control(poller, op, fd, events, owner);
}

static inline int failing_file(const char *path, bool follow, struct fl__file *file)
{
	return fault;
}

static inline int failing_lock(const char *path)
{
	return fault;
}

static inline int failing_unlink(const char *path)
{
	return fault;
}

static inline int failing_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	return fault;
}

#endif
