/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_NET_FAULTS_H
#define FL_NET_FAULTS_H

/*
 * System calls of the network and of the poller that fail, in tests with one thread:
 *
 *     fl_test_fails(CALL(bind) | CALL(listen), -EADDRINUSE);
 *     FL_RC(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL), -EADDRINUSE);
 *     fl_test_no_faults();
 */
#include "fl_net.h"

/* X(table, result, name, parameters, arguments) for each of them. */
#define FL_TEST_CALLS(X)                                                                                               \
	X(net, int, socket, (int family, int type, int protocol), (family, type, protocol))                            \
	X(net, int, pair, (int sockets[2]), (sockets))                                                                 \
	X(net, int, adopt, (int fd), (fd))                                                                             \
	X(net, int, adopt_other, (int fd), (fd))                                                                       \
	X(net, int, describe, (int fd), (fd))                                                                          \
	X(net, int, shutdown, (int fd, int how), (fd, how))                                                            \
	X(net, ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))                                 \
	X(net, ssize_t, write, (int fd, const struct iovec *parts, int n), (fd, parts, n))                             \
	X(net, ssize_t, recv, (int fd, void *buffer, size_t size), (fd, buffer, size))                                 \
	X(net, ssize_t, send, (int fd, const void *data, size_t size), (fd, data, size))                               \
	X(net, ssize_t, sendmsg, (int fd, const struct msghdr *message), (fd, message))                                \
	X(net, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))                    \
	X(net, int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned n), (fd, messages, n))                       \
	X(net, int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned n, int flags), (fd, messages, n, flags))     \
	X(net, int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))            \
	X(net, int, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))               \
	X(net, int, listen, (int fd, int backlog), (fd, backlog))                                                      \
	X(net, int, accept, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))                  \
	X(net, int, set_option, (int fd, int level, int option, int value), (fd, level, option, value))                \
	X(net, int, set_struct, (int fd, int level, int option, const void *value, socklen_t size),                    \
	  (fd, level, option, value, size))                                                                            \
	X(net, int, get_option, (int fd, int level, int option, int *value), (fd, level, option, value))               \
	X(net, int, get_struct, (int fd, int level, int option, void *value, socklen_t size),                          \
	  (fd, level, option, value, size))                                                                            \
	X(net, int, local, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))                   \
	X(net, int, peer, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))                    \
	X(unix, int, socket_file, (const char *path, bool follow, struct fl__file *file), (path, follow, file))        \
	X(unix, int, unlink, (const char *path), (path))                                                               \
	X(unix, int, set_mode, (const char *path, unsigned mode), (path, mode))                                        \
	X(unix, int, lock, (const char *path), (path))

#define FL_TEST_CALL_NUMBER(table, result, name, parameters, arguments) CALL_##name,
enum fl_test_call { FL_TEST_CALLS(FL_TEST_CALL_NUMBER) CALL_control, CALL_wait, CALL_alloc };
#define CALL(name) (UINT64_C(1) << CALL_##name)

static struct fl_test_fault {
	uint64_t calls; /* CALL() | CALL() ... */
	int error;
	unsigned each;  /* not 0: the calls with this number, twice this number, ... succeed */
	unsigned only;  /* not 0: only the call with this number fails */
	unsigned count; /* how many of these calls were made */
} fl_test_fault;

static inline bool fl_test_strikes(enum fl_test_call call)
{
	struct fl_test_fault *f = &fl_test_fault;
	if (!(f->calls >> call & 1))
		return false;
	f->count++;
	return f->only ? f->count == f->only : f->each == 0 || f->count % f->each != 0;
}

/* A function that fails by the plan; otherwise it is the real one. */
#define FL_TEST_CALL_FUNCTION(table, result, name, parameters, arguments)                                              \
	static inline result fl_test_call_##name parameters                                                            \
	{                                                                                                              \
		return fl_test_strikes(CALL_##name) ? fl_test_fault.error : fl_test_real_##table##_sys.name arguments; \
	}
FL_TEST_CALLS(FL_TEST_CALL_FUNCTION)

/* A removal never fails. */
static inline int fl_test_call_control(int poller, int op, int fd, uint32_t events, void *source)
{
	return op != EPOLL_CTL_DEL && fl_test_strikes(CALL_control)
	           ? fl_test_fault.error
	           : fl_test_real_poller.control(poller, op, fd, events, source);
}

static inline int fl_test_call_wait(int poller, struct epoll_event *events, int n, int64_t deadline)
{
	return fl_test_strikes(CALL_wait) ? fl_test_fault.error : fl_test_real_poller.wait(poller, events, n, deadline);
}

static inline void *fl_test_call_alloc(size_t size)
{
	return fl_test_strikes(CALL_alloc) ? NULL : fl_test_counting_alloc(size);
}

/* From now on these calls fail by the plan, until fl_test_no_faults(). */
#define FL_TEST_CALL_INSTALL(table, result, name, parameters, arguments)                                               \
	if (plan.calls & CALL(name))                                                                                   \
		fl__##table##_sys.name = fl_test_call_##name;
static inline void fl_test_fails_by(struct fl_test_fault plan)
{
	fl_test_fault = plan;
	FL_TEST_CALLS(FL_TEST_CALL_INSTALL)
	if (plan.calls & CALL(control))
		fl__poller_sys.control = fl_test_call_control;
	if (plan.calls & CALL(wait))
		fl__poller_sys.wait = fl_test_call_wait;
	if (plan.calls & CALL(alloc))
		fl__sys.alloc = fl_test_call_alloc;
}

/* Each of the calls fails with that error. */
static inline void fl_test_fails(uint64_t calls, int error)
{
	fl_test_fails_by((struct fl_test_fault){.calls = calls, .error = error});
}

#endif
