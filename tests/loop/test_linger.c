/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The free of a TCP stream whose peer has not ended: the peer gets all written bytes, then the end.
 */
#include "fl_streams.h"

#include "loop/linger.h"

/* A stream with unread input, and as many written bytes as there is room for. */
typedef struct loaded {
	fl_stream *s;
	int peer;
	size_t written;
} loaded;

static loaded load(void)
{
	loaded l;
	char head[4];
	l.s = fl_test_tcp_stream(&l.peer);
	fl_test_peer_sends(l.peer, "head and an unread body");
	FL_RC(fl_stream_read_some(l.s, head, sizeof head), 4);
	l.written = fl_test_fill(l.s);
	return l;
}

/* The peer gets all, then the end. */
static void peer_gets_all(const loaded *l)
{
	static char bytes[1 << 16];
	size_t got = 0;
	ssize_t n;
	while ((n = recv(l->peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0 || (n < 0 && errno == EAGAIN)) {
		got += n > 0 ? (size_t)n : 0;
		if (fl_fiber_current())
			fl_fiber_yield(); /* the loop drops what the peer sends */
	}
	FL_RC(n, 0);
	FL_RC(got, l->written);
}

FL_NET_TEST(stream_free_with_unread_input)
{
	const loaded l = load();
	fl_stream_free(l.s);
	peer_gets_all(&l);
	FL_OK(close(l.peer));
}

/* The peer goes on to send after the free. */
FL_NET_TEST(stream_free_before_the_peer_has_sent_all)
{
	int peer;
	fl_stream *s = fl_test_tcp_stream(&peer);
	const loaded l = {s, peer, fl_test_fill(s)};
	fl_stream_free(s);
	for (int i = 0; i < 100; i++) {
		fl_test_peer_sends(peer, "more of the body");
		fl_fiber_yield();
	}
	peer_gets_all(&l);
	FL_OK(close(peer));
}

FL_NET_TEST(stream_abort_with_unread_input)
{
	const loaded l = load();
	fl_stream_abort(l.s);
	fl_test_peer_sends(l.peer, "late");
	fl_stream_free(l.s);
	peer_gets_all(&l);
	FL_OK(close(l.peer));
}

static int end_at_once(void *l)
{
	*(loaded *)l = load();
	fl_stream_free(((loaded *)l)->s);
	return 0;
}

/* The loop that ends has dropped the input. */
FL_TEST(stream_free_before_the_loop_ends)
{
	loaded l;
	fl_test_in_loop(end_at_once, &l);
	peer_gets_all(&l);
	FL_OK(close(l.peer));
}

FL_NET_TEST(stream_free_lingers_for_a_bounded_time)
{
	const unsigned before = fl_test_fds();
	const int64_t time = fl__linger_time;
	fl__linger_time = FL_MS(1);
	const loaded l = load();
	fl_stream_free(l.s);
	FL_TEST_UNTIL(fl_test_fds() == before + 1); /* the peer's alone: it has not ended */
	fl__linger_time = time;
	FL_OK(close(l.peer));
}

enum { MANY = FL__LINGER_MOST + 10 };

FL_NET_TEST(stream_free_lingers_in_a_bounded_number)
{
	static int peers[MANY];
	const unsigned before = fl_test_fds();
	FL_EACH (i, peers) {
		fl_stream *s = fl_test_tcp_stream(&peers[i]);
		fl_test_peer_sends(peers[i], "unread");
		FL_OK(fl_stream_write(s, "x", 1));
		fl_stream_free(s);
	}
	FL_RC(fl_test_fds(), before + MANY + FL__LINGER_MOST);
	FL_EACH (i, peers)
		FL_OK(close(peers[i]));
	FL_TEST_UNTIL(fl_test_fds() == before); /* each peer's end */
}

/* What closes at once: the descriptor was given away, nothing was written, no memory. */
FL_NET_TEST(stream_free_closes_at_once)
{
	const unsigned before = fl_test_fds();
	for (int i = 0; i < 5; i++) {
		int peer;
		fl_stream *s = fl_test_tcp_stream(&peer);
		fl_test_peer_sends(peer, "unread");
		if (i > 0)
			FL_OK(fl_stream_write(s, "x", 1));
		if (i == 1)
			FL_CHECK(fl_stream_fd(s) >= 0);
		if (i == 2)
			fl_test_fails(CALL(shutdown), -ENOTCONN);
		if (i == 3)
			fl__sys.alloc = fl_test_no_memory;
		if (i == 4)
			fl_test_fails(CALL(control), -ENOSPC);
		fl_stream_free(s);
		fl_test_no_faults();
		FL_RC(fl_test_fds(), before + 1);
		FL_OK(close(peer));
	}
}
