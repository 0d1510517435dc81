/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conversations in which one system call fails: the first, the second, and so on to the last, with
 * each of several errors. Both sides come to an end without a deadline, and nothing is left.
 * An interrupted call, and a wait that fails, change nothing. test_net_errors.c has single calls.
 */
#include "fl_datagrams.h"

enum { SWEEP_SIZE = 300000 /* more than a socket or a pipe holds */, SWEEP_CALLS_MAX = 10000 };

/* A conversation in a fiber of a loop. Returns 0 or the first error. */
typedef int conversation(void);

static unsigned sweep_calls, sweep_at;
static int sweep_error;

static bool sweep_strikes(void)
{
	return ++sweep_calls == sweep_at;
}

/* Calls that a signal can interrupt. */

static ssize_t sweep_recv(int fd, void *buffer, size_t size)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.recv(fd, buffer, size);
}

static ssize_t sweep_send(int fd, const void *data, size_t size)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.send(fd, data, size);
}

static ssize_t sweep_sendmsg(int fd, const struct msghdr *message)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.sendmsg(fd, message);
}

static ssize_t sweep_recvmsg(int fd, struct msghdr *message, int flags)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.recvmsg(fd, message, flags);
}

static ssize_t sweep_read(int fd, void *buffer, size_t size)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.read(fd, buffer, size);
}

static ssize_t sweep_write(int fd, const struct iovec *parts, int n)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.write(fd, parts, n);
}

static int sweep_accept(int fd, struct sockaddr *address, socklen_t *size)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.accept(fd, address, size);
}

static int sweep_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.connect(fd, address, size);
}

static int sweep_wait(int poller, struct epoll_event *events, int n, int64_t deadline)
{
	return sweep_strikes() ? sweep_error : fl_test_real_poller.wait(poller, events, n, deadline);
}

/* Calls that it cannot. */

static int sweep_socket(int family, int type, int protocol)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.socket(family, type, protocol);
}

static int sweep_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.bind(fd, address, size);
}

static int sweep_listen(int fd, int backlog)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.listen(fd, backlog);
}

static int sweep_local(int fd, struct sockaddr *address, socklen_t *size)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.local(fd, address, size);
}

static int sweep_peer(int fd, struct sockaddr *address, socklen_t *size)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.peer(fd, address, size);
}

static int sweep_set_option(int fd, int level, int option, int value)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.set_option(fd, level, option, value);
}

static int sweep_get_option(int fd, int level, int option, int *value)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.get_option(fd, level, option, value);
}

static int sweep_shutdown(int fd, int how)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.shutdown(fd, how);
}

static int sweep_adopt_other(int fd)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.adopt_other(fd);
}

static int sweep_describe(int fd)
{
	return sweep_strikes() ? sweep_error : fl_test_real_net_sys.describe(fd);
}

/* A removal never fails. */
static int sweep_control(int poller, int op, int fd, uint32_t events, void *source)
{
	return op != EPOLL_CTL_DEL && sweep_strikes() ? sweep_error
	                                              : fl_test_real_poller.control(poller, op, fd, events, source);
}

static void *sweep_alloc(size_t size)
{
	return sweep_strikes() ? NULL : fl_test_counting_alloc(size);
}

static int sweep_file(const char *path, bool follow, struct fl__file *file)
{
	return sweep_strikes() ? sweep_error : fl_test_real_unix_sys.socket_file(path, follow, file);
}

static int sweep_lock(const char *path)
{
	return sweep_strikes() ? sweep_error : fl_test_real_unix_sys.lock(path);
}

static void sweep_install(void)
{
	fl__net_sys.recv = sweep_recv;
	fl__net_sys.send = sweep_send;
	fl__net_sys.sendmsg = sweep_sendmsg;
	fl__net_sys.recvmsg = sweep_recvmsg;
	fl__net_sys.read = sweep_read;
	fl__net_sys.write = sweep_write;
	fl__net_sys.accept = sweep_accept;
	fl__net_sys.connect = sweep_connect;
	fl__poller_sys.wait = sweep_wait;
	if (sweep_error == -EINTR)
		return;
	fl__net_sys.socket = sweep_socket;
	fl__net_sys.bind = sweep_bind;
	fl__net_sys.listen = sweep_listen;
	fl__net_sys.local = sweep_local;
	fl__net_sys.peer = sweep_peer;
	fl__net_sys.set_option = sweep_set_option;
	fl__net_sys.get_option = sweep_get_option;
	fl__net_sys.shutdown = sweep_shutdown;
	fl__net_sys.adopt_other = sweep_adopt_other;
	fl__net_sys.describe = sweep_describe;
	fl__poller_sys.control = sweep_control;
	fl__unix_sys.socket_file = sweep_file;
	fl__unix_sys.lock = sweep_lock;
	fl__sys.alloc = sweep_alloc;
}

static int sweep_result;

static int sweep_run(void *function)
{
	sweep_calls = 0;
	sweep_install();
	sweep_result = (*(conversation **)function)();
	fl_test_no_faults();
	return 0;
}

static void sweep(conversation *function)
{
	static const int errors[] = {-EINTR, -ENOMEM, -EMFILE, -ECONNRESET, -EPIPE, -EIO, -ENOENT};
	FL_POLLER_FAULTS();
	FL_RESOLVE_FAULTS();
	FL_EACH (i, errors) {
		sweep_error = errors[i];
		for (sweep_at = 1;; sweep_at++) {
			fl_test_leaves_nothing(sweep_run, &function);
			const bool struck = sweep_calls >= sweep_at;
			if ((!struck || sweep_error == -EINTR) && sweep_result != 0)
				print_error("%d at call %u: %d\n", sweep_error, sweep_at, sweep_result);
			assert_true((struck && sweep_error != -EINTR) || sweep_result == 0);
			assert_true(sweep_at < SWEEP_CALLS_MAX);
			if (!struck)
				break;
		}
	}
}

/* Both sides of a stream. */

static char *sweep_bytes(void)
{
	static char bytes[SWEEP_SIZE];
	for (size_t i = 0; bytes[1] == 0 && i < SWEEP_SIZE; i++)
		bytes[i] = (char)(i % 251);
	return bytes;
}

/* Writes a line and the bytes. */
static int sweep_say(fl_stream *s)
{
	const struct iovec parts[] = {{sweep_bytes(), 10}, {sweep_bytes() + 10, SWEEP_SIZE - 10}};
	int rc = fl_stream_write(s, "a line\n", 7);
	return rc == 0 ? fl_stream_writev(s, parts, 2) : rc;
}

/* Reads what sweep_say() writes: the right bytes, or fewer of them. */
static int sweep_hear(fl_stream *s)
{
	static char got[SWEEP_SIZE];
	ssize_t n = fl_stream_read_line(s, got, sizeof got);
	if (n <= 0)
		return n < 0 ? (int)n : -EPROTO;
	FL_CHECK(strncmp(got, "a line\n", (size_t)n) == 0);
	n = fl_stream_read_exactly(s, got, SWEEP_SIZE);
	if (n < 0)
		return (int)n;
	FL_CHECK(memcmp(got, sweep_bytes(), (size_t)n) == 0);
	return n == SWEEP_SIZE ? 0 : -EPROTO;
}

/* A client, and a server that is told when the client has failed. */

typedef struct sweep_pair {
	fl_listener *listener;
	bool is_tcp;
	char path[48];
	int fds[2];
} sweep_pair;

static int sweep_client(void *arg)
{
	sweep_pair *p = arg;
	char name[FL_STREAM_NAME_SIZE];
	FL_SCOPED(fl_stream) *s = NULL;
	int rc =
	    p->is_tcp ? fl_connect_tcp(&s, "127.0.0.1", fl_listener_port(p->listener)) : fl_connect_unix(&s, p->path);
	if (rc == 0)
		rc = fl_stream_peer_name(s, name, sizeof name);
	if (rc == 0)
		rc = sweep_say(s);
	if (rc == 0)
		rc = fl_stream_close_write(s);
	if (rc == 0)
		rc = sweep_hear(s);
	if (rc != 0)
		fl_listener_close(p->listener); /* the server may still wait for a connection */
	return rc;
}

static int sweep_server(fl_listener *l)
{
	char byte;
	FL_SCOPED(fl_stream) *s = NULL;
	int rc = fl_accept(l, &s);
	if (rc == 0)
		rc = sweep_hear(s);
	if (rc == 0 && fl_stream_read(s, &byte, 1) != 0)
		rc = -EPROTO;
	return rc == 0 ? sweep_say(s) : rc;
}

static int sweep_serve(sweep_pair *p)
{
	fl_fiber *f;
	int result, rc = fl_fiber_start(&f, sweep_client, p, NULL);
	if (rc == 0) {
		rc = sweep_server(p->listener);
		if (rc != 0)
			fl_listener_close(p->listener); /* else the client's connection stays in the backlog */
		result = fl_test_join(f);
		rc = rc != 0 ? rc : result;
	}
	fl_listener_free(p->listener);
	return rc;
}

static int sweep_tcp(void)
{
	sweep_pair p = {.is_tcp = true};
	int rc = fl_listen_tcp(&p.listener, "127.0.0.1", 0, NULL);
	return rc == 0 ? sweep_serve(&p) : rc;
}

static int sweep_unix(void)
{
	sweep_pair p = {.is_tcp = false};
	const fl_test_path path = fl_test_path_make();
	(void)snprintf(p.path, sizeof p.path, "%s", path.name);
	int rc = fl_listen_unix(&p.listener, p.path, NULL);
	if (rc == 0)
		rc = sweep_serve(&p);
	(void)unlink(path.name); /* where the file's identity could not be read, it stays */
	fl_test_path_end(&path);
	return rc;
}

FL_TEST(net_sweep_tcp)
{
	sweep(sweep_tcp);
}

FL_TEST(net_sweep_unix)
{
	sweep(sweep_unix);
}

/* A pipe. */

static int sweep_writer(void *arg)
{
	const sweep_pair *p = arg;
	FL_SCOPED(fl_stream) *s = NULL;
	int rc = fl_stream_from_fd(&s, p->fds[1]);
	if (rc == 0)
		return sweep_say(s);
	FL_OK(close(p->fds[1]));
	return rc;
}

static int sweep_reader(int fd)
{
	FL_SCOPED(fl_stream) *s = NULL;
	int rc = fl_stream_from_fd(&s, fd);
	if (rc == 0)
		return sweep_hear(s);
	FL_OK(close(fd));
	return rc;
}

static int sweep_pipe(void)
{
	sweep_pair p;
	fl_fiber *f;
	FL_OK(pipe2(p.fds, O_CLOEXEC));
	int rc = fl_fiber_start(&f, sweep_writer, &p, NULL);
	if (rc != 0) {
		fl_test_close_two(p.fds);
		return rc;
	}
	rc = sweep_reader(p.fds[0]);
	const int result = fl_test_join(f);
	return rc != 0 ? rc : result;
}

FL_TEST(net_sweep_pipe)
{
	sweep(sweep_pipe);
}

/* Datagrams: no send is lost here, so a receive that would wait for ever is ended by a close. */

typedef struct sweep_post {
	fl_datagram *from, *to;
} sweep_post;

static int sweep_send_all(void *arg)
{
	const sweep_post *p = arg;
	fl_datagram_address to;
	int rc = fl_datagram_address_of(p->to, &to);
	if (rc == 0)
		rc = fl_datagram_connect(p->from, &to);
	for (int i = 0; rc == 0 && i < 20; i++)
		rc = fl_datagram_send(p->from, sweep_bytes(), 100);
	if (rc != 0)
		fl_datagram_close(p->to);
	return rc;
}

static int sweep_exchange(sweep_post *p)
{
	fl_fiber *f;
	char got[200];
	int rc = fl_fiber_start(&f, sweep_send_all, p, NULL);
	if (rc == 0) {
		ssize_t n = 100;
		for (int i = 0; n == 100 && i < 20; i++)
			n = fl_datagram_receive(p->to, got, sizeof got, NULL);
		if (n != 100)
			fl_datagram_close(p->to);
		const int result = fl_test_join(f);
		rc = n != 100 ? (n < 0 ? (int)n : -EPROTO) : result;
	}
	fl_datagram_free(p->from);
	fl_datagram_free(p->to);
	return rc;
}

static int sweep_udp(void)
{
	sweep_post p = {NULL, NULL};
	int rc = fl_datagram_open_udp(&p.to, "127.0.0.1", 0, NULL);
	if (rc != 0)
		return rc;
	rc = fl_datagram_open_udp(&p.from, "127.0.0.1", 0, NULL);
	if (rc == 0)
		return sweep_exchange(&p);
	fl_datagram_free(p.to);
	return rc;
}

static int sweep_unix_datagrams(void)
{
	sweep_post p = {NULL, NULL};
	int rc = fl_datagram_open_unix(&p.to, NULL);
	if (rc != 0)
		return rc;
	rc = fl_datagram_open_unix(&p.from, NULL);
	if (rc == 0)
		return sweep_exchange(&p);
	fl_datagram_free(p.to);
	return rc;
}

FL_TEST(net_sweep_udp)
{
	sweep(sweep_udp);
}

FL_TEST(net_sweep_unix_datagrams)
{
	sweep(sweep_unix_datagrams);
}
