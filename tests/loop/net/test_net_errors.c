/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each system call of the loop fails with each error that its manual page lists, in each function
 * that makes the call. The function returns the error, or its documented translation, and leaves no
 * descriptor, no memory, and no file. tests/README.md has the table of all calls. test_net_sweep.c
 * has a failure at each call of a whole conversation.
 */
#include "fl_datagrams.h"

/* The errors of one call, ended by 0. */
#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})

/* A function that makes the call; returns its result. Has no effect after a failure. */
typedef int action(void);

/* The functions that make a call, ended by NULL. */
#define ACTIONS(...) ((action *const[]){__VA_ARGS__, NULL})

/* What a function returns for -ENOBUFS, and for everything else. */
static int as_documented(int error)
{
	return error == -ENOBUFS ? -ENOMEM : error;
}

struct failing {
	uint64_t calls; /* CALL() */
	const int *errors;
	int (*expected)(int error);
	action *const *actions;
};

static int run_failing(void *arg)
{
	const struct failing *f = arg;
	for (const int *error = f->errors; *error; error++)
		for (action *const *act = f->actions; *act; act++) {
			fl_test_fails(f->calls, -*error);
			const int rc = (*act)();
			fl_test_no_faults();
			FL_RC(rc, f->expected(-*error));
		}
	return 0;
}

/* Each call fails with each error, in each function; the result is what `expected` makes of it. */
static void each_error_as(int (*expected)(int error), uint64_t calls, const int *errors, action *const *actions)
{
	fl_test_leaves_nothing(run_failing, &(struct failing){calls, errors, expected, actions});
}

static void each_error(uint64_t calls, const int *errors, action *const *actions)
{
	each_error_as(as_documented, calls, errors, actions);
}

/* What can be made. */

static int make_tcp_listener(void)
{
	fl_listener *l;
	/* -EACCES, -EAFNOSUPPORT, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC */
	return fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL);
}

static int make_unix_listener(void)
{
	fl_listener *l;
	const fl_test_path p = fl_test_path_make();
	const int rc = fl_listener_open_unix(&l, fl_test_abstract(), NULL);
	/* -EACCES, -EMFILE, -ENFILE, -ENOENT, -ENOMEM, -ENOSPC, -EROFS */
	FL_RC(fl_listener_open_unix(&l, p.name, NULL), rc);
	FL_CHECK(!fl_test_path_is_there(&p));
	fl_test_path_end(&p);
	return rc;
}

static int make_udp(void)
{
	fl_datagram *d;
	return fl_datagram_open_udp(&d, "127.0.0.1", 0, &(fl_datagram_config){.broadcast = true}); /* -ENOSPC */
}

static int make_unix_datagram(void)
{
	fl_datagram *d;
	const fl_test_path p = fl_test_path_make();
	const int rc = fl_datagram_open_unix(&d, fl_test_abstract());
	FL_RC(fl_datagram_open_unix(&d, p.name), rc); /* -EACCES, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -EROFS */
	FL_CHECK(!fl_test_path_is_there(&p));
	fl_test_path_end(&p);
	return rc;
}

/* To a port that is bound, and at which nothing listens. */
static int make_tcp_connection(void)
{
	uint16_t port = 0;
	fl_stream *s;
	const int bound = fl_test_bound("127.0.0.1", &port);
	const int rc = fl_stream_connect_tcp(&s, "127.0.0.1", port); /* -ENFILE, -ENOSPC */
	FL_OK(close(bound));
	return rc;
}

static int make_unix_connection(void)
{
	fl_stream *s;
	return fl_stream_connect_unix(&s, fl_test_abstract()); /* -EACCES, -ENFILE, -ENOMEM, -ENOSPC */
}

static int make_pair(void)
{
	fl_stream *ends[2];
	return fl_stream_pair(ends); /* -EMFILE, -ENFILE, -ENOMEM, -ENOSPC */
}

static int from_two(int fds[2], int (*make)(int fd))
{
	const int flags = fcntl(fds[0], F_GETFL);
	const int rc = make(fds[0]);
	FL_CHECK(fcntl(fds[0], F_GETFL) == flags); /* it is the caller's, as it was */
	fl_test_close_two(fds);
	return rc;
}

static int make_stream(int fd)
{
	fl_stream *s;
	return fl_stream_from_fd(&s, fd); /* -ENOSPC */
}

static int make_datagram(int fd)
{
	fl_datagram *d;
	return fl_datagram_from_fd(&d, fd); /* -ENOSPC */
}

static int make_watch(int fd)
{
	static fl_loop_watch w;
	return fl_loop_watch_start(fl_loop_current(), &w, fd, FL_FD_IN, NULL, NULL);
}

static int from_socket(void)
{
	int fds[2];
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	return from_two(fds, make_stream);
}

static int from_datagram_socket(void)
{
	int fds[2];
	FL_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds));
	return from_two(fds, make_datagram);
}

static int from_pipe(void)
{
	int fds[2];
	FL_OK(pipe2(fds, O_CLOEXEC));
	return from_two(fds, make_stream);
}

static int from_watched(void)
{
	int fds[2];
	FL_OK(pipe2(fds, O_CLOEXEC));
	return from_two(fds, make_watch);
}

/* In each of the calls of a socket's life. */

FL_TEST(net_errors_of_socket)
{
	each_error(CALL(socket),
	           ERRORS(EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT, EPERM),
	           ACTIONS(make_tcp_listener, make_unix_listener, make_tcp_connection, make_unix_connection, make_udp,
	                   make_unix_datagram));
}

FL_TEST(net_errors_of_bind)
{
	each_error(CALL(bind),
	           ERRORS(EACCES, EADDRINUSE, EADDRNOTAVAIL, EBADF, EFAULT, EINVAL, ELOOP, ENAMETOOLONG, ENOBUFS,
	                  ENOENT, ENOMEM, ENOTDIR, ENOTSOCK, EPERM, EROFS),
	           ACTIONS(make_tcp_listener, make_unix_listener, make_udp, make_unix_datagram));
}

FL_TEST(net_errors_of_listen)
{
	each_error(CALL(listen), ERRORS(EACCES, EADDRINUSE, EBADF, ENOBUFS, ENOMEM, ENOTSOCK, EOPNOTSUPP),
	           ACTIONS(make_tcp_listener, make_unix_listener));
}

FL_TEST(net_errors_of_setsockopt)
{
	each_error(CALL(set_option),
	           ERRORS(EACCES, EBADF, EFAULT, EINVAL, ENOBUFS, ENOMEM, ENOPROTOOPT, ENOTSOCK, EPERM),
	           ACTIONS(make_tcp_listener, make_udp));
}

FL_TEST(net_errors_of_getsockname)
{
	each_error(CALL(local), ERRORS(EBADF, EFAULT, EINVAL, ENOBUFS, ENOTSOCK), ACTIONS(make_tcp_listener));
}

FL_TEST(net_errors_of_getsockopt)
{
	each_error(CALL(get_option), ERRORS(EBADF, EFAULT, EINVAL, ENOMEM, ENOPROTOOPT),
	           ACTIONS(from_socket, from_datagram_socket));
}

FL_TEST(net_errors_of_getpeername)
{
	each_error(CALL(peer), ERRORS(EBADF, EFAULT, EINVAL, ENOTCONN), ACTIONS(from_socket));
}

FL_TEST(net_errors_of_socketpair)
{
	each_error(CALL(pair),
	           ERRORS(EAFNOSUPPORT, EFAULT, EMFILE, ENFILE, ENOBUFS, ENOMEM, EOPNOTSUPP, EPROTONOSUPPORT),
	           ACTIONS(make_pair));
}

FL_TEST(net_errors_of_fcntl)
{
	each_error(CALL(adopt) | CALL(adopt_other), ERRORS(EACCES, EAGAIN, EBADF, EINVAL, EPERM),
	           ACTIONS(from_socket, from_datagram_socket, from_pipe));
	each_error(CALL(describe), ERRORS(EBADF), ACTIONS(from_pipe));
}

FL_TEST(net_errors_of_connect)
{
	each_error(CALL(connect),
	           ERRORS(EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EBADF, ECONNABORTED, ECONNREFUSED,
	                  ECONNRESET, EFAULT, EHOSTDOWN, EHOSTUNREACH, EINVAL, ENETDOWN, ENETUNREACH, ENOBUFS, ENOMEM,
	                  ENONET, ENOTSOCK, EPERM, EPROTO, EPROTOTYPE, ETIMEDOUT),
	           ACTIONS(make_tcp_connection, make_unix_connection));
}

/* Registration with the poller. */

FL_TEST(net_errors_of_epoll_ctl)
{
	each_error(CALL(control), ERRORS(EBADF, EEXIST, EINVAL, ELOOP, ENOMEM, ENOSPC, EPERM),
	           ACTIONS(make_tcp_listener, make_unix_listener, make_pair, make_udp, make_unix_datagram, from_socket,
	                   from_datagram_socket, from_pipe, from_watched));
}

/* A wait that fails several times: the loop asks again. */
FL_NET_TEST(net_errors_of_epoll_wait)
{
	static const int errors[] = {-EINTR, -ENOMEM, -EBADF};
	fl_stream *ends[2];
	FL_OK(fl_stream_pair(ends));
	FL_EACH (i, errors) {
		fl_test_fails_by((struct fl_test_fault){.calls = CALL(wait), .error = errors[i], .each = 4});
		FL_OK(fl_sleep_until(fl_after(FL_US(100)), NULL));
		fl_test_talk(ends[0], ends[1]);
		fl_test_no_faults();
	}
	fl_stream_free(ends[0]);
	fl_stream_free(ends[1]);
}

/* accept() */

static int accept_now(fl_listener *l)
{
	fl_stream *s;
	const int rc = fl_listener_accept(l, &s); /* -ENFILE: there is no event to wait for */
	FL_RC(fl_listener_try_accept(l, &s), rc);
	fl_listener_free(l);
	return rc;
}

static int accept_tcp(void)
{
	fl_listener *l;
	FL_OK(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL));
	return accept_now(l);
}

static int accept_unix(void)
{
	fl_listener *l;
	FL_OK(fl_listener_open_unix(&l, fl_test_abstract(), NULL));
	return accept_now(l);
}

/* Those of a connection, not of the listener, are in net_accept_errors. */
FL_TEST(net_errors_of_accept)
{
	each_error(CALL(accept),
	           ERRORS(EBADF, EFAULT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSR, ENOTSOCK, EOPNOTSUPP, EPERM,
	                  EPROTONOSUPPORT, ESOCKTNOSUPPORT),
	           ACTIONS(accept_tcp, accept_unix));
}

/* Reads and writes. */

#define TRANSFERS (CALL(recv) | CALL(send) | CALL(sendmsg) | CALL(read) | CALL(write))

/* The system's -ETIMEDOUT is no deadline's. */
static int of_a_stream(int error)
{
	return error == -ENOBUFS ? -ENOMEM : error == -ETIMEDOUT ? -ECONNABORTED : error;
}

static bool passes(int error)
{
	return error == -ENOMEM || error == -EFAULT || error == -EPIPE;
}

/*
 * Every read of a stream: a permanent error stays, and is reported again when the system has
 * forgotten it.
 */
static int read_each_way(fl_stream *s)
{
	char got[8];
	const int rc = (int)fl_stream_read_some(s, got, 8);
	for (int i = 0; i < 2; i++) {
		fl_test_each_read_gives(s, rc);
		if (passes(rc))
			break;
		fl_test_fault.error = 0;
	}
	return rc;
}

static int write_each_way(fl_stream *s)
{
	const int rc = fl_stream_write(s, "x", 1);
	FL_RC(fl_stream_written(s), 0);
	fl_test_each_write_gives(s, rc);
	return rc;
}

static int with_socket(int (*function)(fl_stream *s))
{
	fl_stream *ends[2];
	FL_OK(fl_stream_pair(ends));
	const int rc = function(ends[0]);
	fl_stream_free(ends[0]);
	fl_stream_free(ends[1]);
	return rc;
}

static int with_pipe(int (*function)(fl_stream *s), int end)
{
	int fds[2];
	FL_OK(pipe2(fds, O_CLOEXEC));
	fl_stream *s = fl_test_stream_of(fds[end]);
	const int rc = function(s);
	fl_stream_free(s);
	FL_OK(close(fds[1 - end]));
	return rc;
}

static int read_socket(void)
{
	return with_socket(read_each_way);
}

static int write_socket(void)
{
	return with_socket(write_each_way);
}

static int read_pipe(void)
{
	return with_pipe(read_each_way, 0);
}

static int write_pipe(void)
{
	return with_pipe(write_each_way, 1);
}

FL_TEST(net_errors_of_reads)
{
	each_error_as(of_a_stream, TRANSFERS,
	              ERRORS(EBADF, ECONNREFUSED, ECONNRESET, EFAULT, EHOSTDOWN, EHOSTUNREACH, EINVAL, EIO, EISDIR,
	                     ENETDOWN, ENETUNREACH, ENOBUFS, ENODEV, ENOMEM, ENOTCONN, ENOTSOCK, ENXIO, EPIPE,
	                     ETIMEDOUT),
	              ACTIONS(read_socket, read_pipe));
}

FL_TEST(net_errors_of_writes)
{
	each_error_as(of_a_stream, TRANSFERS,
	              ERRORS(EACCES, EALREADY, EBADF, ECONNRESET, EDESTADDRREQ, EDQUOT, EFAULT, EFBIG, EHOSTUNREACH,
	                     EINVAL, EIO, EISCONN, EMSGSIZE, ENETDOWN, ENETUNREACH, ENOBUFS, ENOMEM, ENOSPC, ENOTCONN,
	                     ENOTSOCK, ENXIO, EOPNOTSUPP, EPERM, EPIPE, ETIMEDOUT),
	              ACTIONS(write_socket, write_pipe));
}

static int always_epipe(int error)
{
	return -EPIPE;
}

static int close_write_socket(void)
{
	return with_socket(fl_stream_close_write);
}

FL_TEST(net_errors_of_shutdown)
{
	each_error_as(always_epipe, CALL(shutdown), ERRORS(EBADF, EINVAL, ENOTCONN, ENOTSOCK),
	              ACTIONS(close_write_socket));
}
