/* SPDX-License-Identifier: BSD-2-Clause */
/* Accepting: missing resources, cancels, and the end of a listener. */
#include "fl_streams.h"

static int accept_it(void *listener)
{
	fl_stream *s = NULL;
	int rc = fl_listener_accept(listener, &s);
	fl_stream_free(s);
	return rc;
}

/* A fiber that accepts, and waits by now. */
static fl_fiber *start_accepting(fl_listener *l)
{
	fl_fiber *f = fl_test_start(accept_it, l);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f));
	return f;
}

/* ---- nothing is lost */

/* The connection stays, and a new try needs no event for it. */
FL_NET_TEST(net_accept_without_descriptors)
{
	fl_stream *s = NULL;
	fl_listener *l = fl_test_tcp_listener();
	fl_stream *a = fl_test_client(l);
	rlim_t before = fl_test_limit_fds(0);
	for (int i = 0; i < 3; i++) {
		FL_RC(fl_listener_try_accept(l, &s), -EMFILE);
		FL_RC(fl_listener_accept_until(l, &s, FL_NO_WAIT, NULL), -EMFILE);
	}
	fl_stream *none = NULL;
	FL_RC(fl_stream_connect_tcp(&none, "127.0.0.1", fl_listener_port(l)), -EMFILE);
	FL_RC(fl_stream_connect_unix(&none, fl_test_abstract()), -EMFILE);
	fl_test_unlimit_fds(before);
	FL_OK(fl_listener_accept_until(l, &s, FL_NO_WAIT, NULL));
	fl_test_talk(a, s);
	fl_stream_free(s);
	FL_RC(fl_listener_try_accept(l, &s), -EAGAIN);
	fl_stream_free(a);
	fl_listener_free(l);
}

static int free_at_the_end(void *stream)
{
	char got;
	FL_RC(fl_stream_read_some(stream, &got, 1), 0);
	fl_stream_free(stream);
	return 0;
}

/*
 * A fiber that tries again and again lets the others run, and the loop poll, so that they may close
 * descriptors.
 */
FL_NET_TEST(net_accept_without_descriptors_lets_others_run)
{
	fl_stream *s = NULL, *ends[2];
	int rc;
	fl_listener *l = fl_test_tcp_listener();
	fl_stream *a = fl_test_client(l);
	FL_OK(fl_stream_pair(ends));
	fl_fiber *f = fl_test_start(free_at_the_end, ends[0]);
	fl_test_settle();
	rlim_t before = fl_test_limit_fds(0);
	FL_OK(fl_stream_close_write(ends[1]));
	fl_time end = fl_after(FL_S(60));
	while ((rc = fl_listener_accept(l, &s)) == -EMFILE)
		FL_CHECK(!fl_time_is_past(end));
	FL_RC(rc, 0);
	fl_test_unlimit_fds(before);
	FL_OK(fl_test_join(f));
	fl_stream_free(ends[1]);
	fl_stream_free(a);
	fl_stream_free(s);
	fl_listener_free(l);
}

/* A connection that cannot become a stream is kept until it can. */
FL_NET_TEST(net_accept_without_memory)
{
	fl_stream *s = NULL;
	fl_listener *l = fl_test_tcp_listener();
	fl_stream *a = fl_test_client(l);
	for (int i = 0; i < 3; i++) {
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_listener_accept(l, &s), -ENOMEM);
		FL_RC(fl_listener_try_accept(l, &s), -ENOMEM);
		fl_test_no_faults();
		fl_test_fails(CALL(control), -ENOSPC);
		FL_RC(fl_listener_accept_until(l, &s, FL_FOREVER, NULL), -ENOSPC);
		fl_test_no_faults();
	}
	FL_OK(fl_listener_accept_until(l, &s, FL_NO_WAIT, NULL));
	fl_test_talk(a, s);
	fl_stream_free(s);
	fl_stream_free(a);
	/* so until the listener is freed */
	a = fl_test_client(l);
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_listener_accept(l, &s), -ENOMEM);
	fl_test_no_faults();
	fl_listener_free(l);
	char got;
	FL_RC(fl_stream_read_some(a, &got, 1), 0);
	fl_stream_free(a);
}

/* accept(2): errors of a connection; those of the listener: net_errors_of_accept. */
static const int broken[] = {-ECONNABORTED, -EINTR,  -EPROTO,       -ENETDOWN,    -ENOPROTOOPT, -EHOSTDOWN,
                             -ECONNABORTED, -ENONET, -EHOSTUNREACH, -ENETUNREACH, -ETIMEDOUT};
static size_t broken_seen;

static int accept_broken(int fd, struct sockaddr *address, socklen_t *size)
{
	if (broken_seen < sizeof broken / sizeof *broken)
		return broken[broken_seen++];
	return fl_test_real_net_sys.accept(fd, address, size);
}

FL_NET_TEST(net_accept_errors)
{
	fl_stream *s = NULL;
	fl_listener *l = fl_test_tcp_listener();
	fl_stream *a = fl_test_client(l);
	broken_seen = 0;
	fl__net_sys.accept = accept_broken;
	FL_OK(fl_listener_accept(l, &s));
	FL_CHECK(broken_seen == sizeof broken / sizeof *broken);
	fl_test_no_faults();
	fl_stream_free(s);
	fl_stream_free(a);
	fl_listener_free(l);
}

/*
 * A client that has reset its connection before the accept: it is still a stream, which reports it.
 */
FL_NET_TEST(net_accept_of_a_reset_connection)
{
	char got;
	fl_listener *l = fl_test_tcp_listener();
	const struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons(fl_listener_port(l)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
	fl_test_peer_resets(fd);
	fl_stream *s = fl_test_accepted(l);
	FL_RC(fl_stream_read_some(s, &got, 1), -ECONNRESET);
	fl_stream_free(s);
	fl_listener_free(l);
}

/* ---- hostile clients: they say nothing, a byte or garbage, and stay, leave or reset */

static int serve_hostile(void *client)
{
	FL_SCOPED(fl_stream) *s = client;
	char line[16];
	ssize_t n;
	while ((n = fl_stream_read_line(s, line, sizeof line)) > 0 && fl_stream_write(s, line, (size_t)n) == 0)
		;
	return 0;
}

static int serve_all(void *listener)
{
	FL_SCOPED(fl_group) clients = FL_GROUP_INIT(NULL);
	fl_stream *s;
	int rc;
	while ((rc = fl_listener_accept(listener, &s)) == 0)
		FL_OK(fl_group_start(&clients, serve_hostile, s));
	fl_group_cancel(&clients); /* those that stay */
	return rc;
}

static int connected_socket(const fl_listener *l)
{
	struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
	socklen_t size = sizeof a;
	FL_OK(getsockname(fl_listener_fd(l), (struct sockaddr *)&a, &size));
	int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, size) == 0);
	return fd;
}

static int hostile_clients(void *listener)
{
	enum { N = 36 };
	static const char garbage[5000] = {1};
	static const struct {
		const char *data;
		size_t size;
	} says[] = {{"", 0}, {"x", 1}, {"line\n", 5}, {garbage, sizeof garbage}};
	fl_listener *l = listener;
	int fds[N];
	fl_fiber *server = fl_test_start(serve_all, l);
	FL_EACH (i, fds) {
		fds[i] = connected_socket(l);
		fl_fiber_yield(); /* some are accepted before they speak */
		FL_CHECK(send(fds[i], says[i % 4].data, says[i % 4].size, MSG_NOSIGNAL) == (ssize_t)says[i % 4].size);
		if (i % 3 == 1)
			FL_OK(close(fds[i]));
		else if (i % 3 == 2)
			fl_test_peer_resets(fds[i]);
	}
	int fd = connected_socket(l);
	fl_stream *good = fl_test_stream_of(fd);
	char got[8];
	FL_OK(fl_stream_write(good, "hello\n", 6));
	FL_RC(fl_stream_read_line(good, got, sizeof got), 6);
	fl_stream_free(good);
	fl_listener_close(l);
	FL_RC(fl_test_join(server), -EPIPE);
	for (int i = 0; i < N; i += 3)
		FL_OK(close(fds[i]));
	fl_listener_free(l);
	return 0;
}

static int hostile_tcp(void *unused)
{
	return hostile_clients(fl_test_tcp_listener());
}

static int hostile_unix(void *unused)
{
	fl_listener *l = NULL;
	FL_OK(fl_listener_open_unix(&l, fl_test_abstract(), NULL));
	return hostile_clients(l);
}

FL_TEST(net_accept_hostile_clients)
{
	fl_test_leaves_nothing(hostile_tcp, NULL);
	fl_test_leaves_nothing(hostile_unix, NULL);
}

/* ---- waits */

FL_NET_TEST(net_accept_waits)
{
	fl_stream *s = NULL;
	fl_listener *l = fl_test_tcp_listener();
	FL_RC(fl_listener_try_accept(l, &s), -EAGAIN);
	FL_RC(fl_listener_accept_until(l, &s, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_listener_accept_until(l, &s, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_listener_accept_until(l, &s, FL_FOREVER, fl_test_requested), -ECANCELED);
	fl_fiber *f = start_accepting(l);
	FL_RC(fl_listener_accept(l, &s), -EBUSY);
	FL_RC(fl_listener_try_accept(l, &s), -EBUSY);
	FL_PANICS_OF("fl_listener_free", l, fl_listener_free(l));
	fl_test_contains(fl_test_panic.reason, "FL_SHIELDED");
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED); /* fl_listener_accept() */
	/* what can be done at once is done */
	fl_stream *a = fl_test_client(l);
	FL_TEST_UNTIL(fl_listener_accept_until(l, &s, FL_NO_WAIT, fl_test_requested) == 0); /* it may come late */
	fl_stream_free(s);
	fl_stream_free(a);
	f = start_accepting(l);
	a = fl_test_client(l);
	FL_OK(fl_test_join(f));
	fl_stream_free(a);
	fl_listener_free(l);
}

static fl_listener *kept;

static void in_callback(void *unused)
{
	fl_stream *s = NULL;
	FL_RC(fl_listener_accept(kept, &s), -EINVAL);
	FL_WAIT_FOR(fl_listener_try_accept(kept, &s) == 0); /* the connection may come late */
	fl_stream_free(s);
	FL_RC(fl_listener_try_accept(kept, &s), -EAGAIN);
}

static int elsewhere(void *unused)
{
	fl_stream *s = NULL;
	FL_RC(fl_listener_accept(kept, &s), -EINVAL);
	FL_RC(fl_listener_try_accept(kept, &s), -EINVAL);
	return 0;
}

static int on_another_loop(void *unused)
{
	return fl_loop_run(elsewhere, NULL);
}

FL_NET_TEST(net_accept_outside_of_its_fibers)
{
	kept = fl_test_tcp_listener();
	fl_stream *a = fl_test_client(kept);
	fl_test_in_callback(in_callback, NULL);
	fl_test_on_thread(on_another_loop, NULL);
	fl_stream_free(a);
	fl_listener_free(kept);
}

enum { PENDING = 100 };

static int count(void *n)
{
	for (;;) {
		++*(int *)n;
		int rc = fl_sleep(0);
		if (rc != 0)
			return rc;
	}
}

/* While there are connections an acceptor need not wait; but the others get their turns. */
FL_NET_TEST(net_accept_lets_others_run)
{
	fl_stream *a[PENDING], *s[PENDING];
	int turns = 0;
	fl_listener *l = fl_test_tcp_listener();
	FL_EACH (i, a)
		a[i] = fl_test_client(l);
	fl_fiber *f = fl_test_start(count, &turns);
	FL_EACH (i, s)
		s[i] = fl_test_accepted(l);
	FL_CHECK(turns > 0);
	fl_fiber_free(f);
	FL_EACH (i, a) {
		fl_stream_free(a[i]);
		fl_stream_free(s[i]);
	}
	fl_listener_free(l);
}

/* ---- the end */

FL_NET_TEST(net_accept_of_a_closed_listener)
{
	fl_stream *s = NULL, *a = NULL;
	char got;
	uint16_t port = 0;
	int fd = fl_test_bound("127.0.0.1", &port);
	fl_listener *l = fl_test_listener("127.0.0.1", port);
	fl_fiber *f = start_accepting(l);
	fl_listener_close(l);
	FL_CHECK(fl_listener_fd(l) == -1 && fl_listener_port(l) == port);
	FL_PANICS(fl_listener_free(l)); /* the acceptor does not know of it yet */
	FL_RC(fl_test_join(f), -EPIPE); /* fl_listener_accept() */
	FL_RC(fl_listener_try_accept(l, &s), -EPIPE);
	FL_RC(fl_listener_accept_until(l, &s, FL_NO_WAIT, NULL), -EPIPE);
	fl_listener_close(l);
	FL_RC(fl_stream_connect_tcp(&s, "127.0.0.1", port), -ECONNREFUSED);
	fl_listener_free(l);
	/* a client without an accept sees the reset */
	l = fl_test_listener("127.0.0.1", port);
	a = fl_test_connected("127.0.0.1", port);
	fl_listener_close(l);
	FL_RC(fl_stream_read_some(a, &got, 1), -ECONNRESET);
	fl_stream_free(a);
	fl_listener_free(l);
	FL_OK(close(fd));
}

/* A connection and the close in the same turn: the acceptor does not get the closed connection. */
FL_NET_TEST(net_accept_of_a_closed_listener_with_connections)
{
	for (int i = 0; i < 3; i++) {
		fl_listener *l = fl_test_tcp_listener();
		fl_fiber *f = start_accepting(l);
		fl_stream *a = fl_test_client(l);
		if (i == 1)
			fl_fiber_cancel(f);
		fl_listener_close(l);
		if (i == 2)
			fl_fiber_cancel(f);
		int rc = fl_test_join(f); /* 0: it was accepted while a connected */
		FL_CHECK(rc == 0 || rc == -EPIPE || (i == 1 && rc == -ECANCELED));
		fl_stream_free(a);
		fl_listener_free(l);
	}
}

/* Closed while the acceptor lets others run. */
static int close_it(void *listener)
{
	fl_listener_close(listener);
	return 0;
}

FL_NET_TEST(net_accept_of_a_listener_that_others_close)
{
	fl_stream *s = NULL;
	fl_listener *l = fl_test_tcp_listener();
	fl_test_fails(CALL(accept), -EMFILE);
	FL_RC(fl_listener_accept(l, &s), -EMFILE);
	fl_fiber *f = fl_test_start(close_it, l);
	FL_RC(fl_listener_accept(l, &s), -EPIPE);
	FL_OK(fl_test_join(f));
	fl_test_no_faults();
	fl_listener_free(l);
}
