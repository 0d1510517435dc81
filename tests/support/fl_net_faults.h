/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_NET_FAULTS_H
#define FL_NET_FAULTS_H

/*
 * Functions that only return `fault`, for the tables:
 *
 *     fl__net_sys.socket = failing_socket;
 *     fault = -EMFILE;
 *
 * At the end, fl_test_under_faults() makes a call under each fault of a list.
 */
#include "fl_net.h"

static int fault;

static inline int failing_socket(int family, int type, int protocol)
{
	(void)family;
	(void)type;
	(void)protocol;
	return fault;
}

static inline int failing_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd;
	(void)address;
	(void)size;
	return fault;
}

static inline int failing_listen(int fd, int backlog)
{
	(void)fd;
	(void)backlog;
	return fault;
}

static inline int failing_local(int fd, struct sockaddr *address, socklen_t *size)
{
	(void)fd;
	(void)address;
	(void)size;
	return fault;
}

static inline int failing_option(int fd, int level, int option_name, int value)
{
	(void)fd;
	(void)level;
	(void)option_name;
	(void)value;
	return fault;
}

static inline int failing_control(int poller, int op, int fd, uint32_t events, void *owner)
{
	return op == EPOLL_CTL_ADD ? fault : fl_test_real_poller.control(poller, op, fd, events, owner);
}

static inline int failing_file(const char *path, bool follow, struct fl__file *file)
{
	(void)path;
	(void)follow;
	(void)file;
	return fault;
}

static inline int failing_lock(const char *path)
{
	(void)path;
	return fault;
}

static inline int failing_unlink(const char *path)
{
	(void)path;
	return fault;
}

static inline int failing_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd;
	(void)address;
	(void)size;
	return fault;
}

/* A fault, and what a call returns then. */
typedef struct fl_test_fault {
	enum {
		FL_TEST_SOCKET,
		FL_TEST_BIND,
		FL_TEST_LISTEN,
		FL_TEST_LOCAL,
		FL_TEST_OPTION,
		FL_TEST_CONTROL,
		FL_TEST_MEMORY
	} at;
	int fault, result;
} fl_test_fault;

static inline void fl_test_under_faults(const fl_test_fault *list, size_t n, int (*call)(void *arg), void *arg)
{
	for (size_t i = 0; i < n; i++) {
		fault = list[i].fault;
		switch (list[i].at) {
		case FL_TEST_SOCKET:
			fl__net_sys.socket = failing_socket;
			break;
		case FL_TEST_BIND:
			fl__net_sys.bind = failing_bind;
			break;
		case FL_TEST_LISTEN:
			fl__net_sys.listen = failing_listen;
			break;
		case FL_TEST_LOCAL:
			fl__net_sys.local = failing_local;
			break;
		case FL_TEST_OPTION:
			fl__net_sys.set_option = failing_option;
			break;
		case FL_TEST_CONTROL:
			fl__poller_sys.control = failing_control;
			break;
		case FL_TEST_MEMORY:
			fl__sys.alloc = fl_test_no_memory;
			break;
		}
		FL_GIVES(call(arg), list[i].result);
		fl_test_no_faults();
	}
}
#define FL_TEST_UNDER_FAULTS(list, call, arg) fl_test_under_faults((list), sizeof(list) / sizeof *(list), (call), (arg))

#endif
