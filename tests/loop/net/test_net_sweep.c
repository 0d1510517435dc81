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

/* Calls that a signal can interrupt. */
static const uint64_t interruptible = CALL(recv) | CALL(send) | CALL(sendmsg) | CALL(recvmsg) | CALL(read) |
                                      CALL(write) | CALL(accept) | CALL(connect) | CALL(wait);

static struct fl_test_fault sweep_plan;
static int sweep_result;

static int sweep_run(void *function)
{
	fl_test_fails_by(sweep_plan);
	sweep_result = (*(conversation **)function)();
	fl_test_no_faults();
	return 0;
}

static void sweep(conversation *function)
{
	static const int errors[] = {-EINTR, -ENOMEM, -EMFILE, -ECONNRESET, -EPIPE, -EIO, -ENOENT};
	FL_EACH (i, errors) {
		const bool interrupts = errors[i] == -EINTR;
		bool struck = true;
		for (unsigned at = 1; struck; at++) {
			sweep_plan = (struct fl_test_fault){
			    .calls = interrupts ? interruptible : ~UINT64_C(0), .error = errors[i], .only = at};
			fl_test_leaves_nothing(sweep_run, &function);
			struck = fl_test_fault.count >= at;
			if ((!struck || interrupts) && sweep_result != 0)
				print_error("%d at call %u: %d\n", errors[i], at, sweep_result);
			assert_true((struck && !interrupts) || sweep_result == 0);
			assert_true(at < SWEEP_CALLS_MAX);
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
	fl_address peer;
	FL_SCOPED(fl_stream) *s = NULL;
	int rc = p->is_tcp ? fl_stream_connect_tcp(&s, "127.0.0.1", fl_listener_port(p->listener))
	                   : fl_stream_connect_unix(&s, p->path);
	if (rc == 0)
		rc = fl_stream_peer_address(s, &peer);
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
	int rc = fl_listener_accept(l, &s);
	if (rc == 0)
		rc = sweep_hear(s);
	if (rc == 0 && fl_stream_read_some(s, &byte, 1) != 0)
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
	int rc = fl_listener_open_tcp(&p.listener, "127.0.0.1", 0, NULL);
	return rc == 0 ? sweep_serve(&p) : rc;
}

static int sweep_unix(void)
{
	sweep_pair p = {.is_tcp = false};
	const fl_test_path path = fl_test_path_make();
	FL_TEXT(p.path, "%s", path.name);
	int rc = fl_listener_open_unix(&p.listener, p.path, NULL);
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
	fl_address to;
	int rc = fl_datagram_local_address(p->to, &to);
	if (rc == 0)
		rc = fl_datagram_connect(p->from, &to);
	for (int i = 0; rc == 0 && i < 20; i++)
		rc = fl_datagram_send_to(p->from, sweep_bytes(), 100, NULL);
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
