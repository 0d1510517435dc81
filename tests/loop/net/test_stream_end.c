/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a connection: in order, by halves, with a reset, and the results on both sides. */
#include "fl_streams.h"

/* ---- ends */

FL_STREAM_TEST(stream_half_close)
{
	char got[16];
	FL_OK(fl_stream_write(a, "request", 7));
	FL_OK(fl_stream_close_write(a));
	FL_OK(fl_stream_close_write(a));
	fl_test_each_write_gives(a, -EPIPE);
	FL_RC(fl_stream_written(a), 0);
	FL_RC(fl_stream_read_exactly(b, got, sizeof got), 7);
	FL_RC(fl_stream_read_some(b, got, sizeof got), 0);
	FL_OK(fl_stream_write(b, "answer", 6)); /* the other direction goes on */
	FL_RC(fl_stream_read_some(a, got, sizeof got), 6);
	FL_OK(fl_stream_close_write(b));
	FL_RC(fl_stream_read_some(a, got, sizeof got), 0);
	FL_RC(fl_stream_read_some(a, got, sizeof got), 0);
}

/* The count of the last write was set to 0 by an end after an abort. */
FL_STREAM_TEST(stream_close_write_keeps_the_count_after_an_abort)
{
	FL_OK(fl_stream_write(a, "hello", 5));
	fl_stream_abort(a);
	FL_RC(fl_stream_close_write(a), -ECONNABORTED);
	FL_RC(fl_stream_written(a), 5);
	FL_RC(fl_stream_write(a, "x", 1), -ECONNABORTED); /* a write of 0 bytes */
	FL_RC(fl_stream_written(a), 0);
}

/*
 * The other side has closed in order: reads return the end, writes report that there is no reader.
 */
FL_NET_TEST(stream_peer_that_has_gone)
{
	char got[8];
	int peer, rc;
	fl_stream *s = fl_test_tcp_stream(&peer);
	FL_OK(close(peer));
	FL_RC(fl_stream_read_some(s, got, sizeof got), 0);
	/* The first write is answered by a reset. */
	FL_TEST_UNTIL((rc = fl_stream_write(s, "x", 1)) != 0);
	FL_RC(rc, -EPIPE);
	FL_RC(fl_stream_read_some(s, got, sizeof got), 0);
	FL_RC(fl_stream_close_write(s), -EPIPE);
	fl_stream_free(s);

	fl_stream *ends[2];
	FL_OK(fl_stream_pair(ends));
	fl_stream_free(ends[1]);
	FL_RC(fl_stream_write(ends[0], "x", 1), -EPIPE);
	FL_RC(fl_stream_read_some(ends[0], got, sizeof got), 0);
	fl_stream_free(ends[0]);
}

/* ---- resets */

FL_NET_TEST(stream_reset_mid_message)
{
	char got[16];
	int peer;
	fl_stream *s = fl_test_tcp_stream(&peer);
	fl_test_peer_sends(peer, "line\nhalf");
	FL_RC(fl_stream_read_line(s, got, sizeof got), 5);
	fl_test_peer_resets(peer);
	FL_RC(fl_stream_read_exactly(s, got, 10), -ECONNRESET);
	FL_RC(fl_stream_read_line(s, got, 10), -ECONNRESET);
	FL_RC(fl_stream_read_some(s, got, 10), 4); /* what came before it is not lost */
	FL_CHECK(memcmp(got, "half", 4) == 0);
	fl_test_each_read_gives(s, -ECONNRESET);
	fl_test_each_write_gives(s, -ECONNRESET);
	FL_RC(fl_stream_close_write(s), -ECONNRESET);
	fl_stream_free(s);
}

/* A large read had its half in the reader's memory already. */
FL_NET_TEST(stream_reset_mid_large_message)
{
	enum { HALF = 50000 };
	char *bytes = fl_test_pattern(HALF), *got = malloc(4 * HALF);
	int peer;
	fl_stream *s = fl_test_tcp_stream(&peer);
	FL_RC(send(peer, bytes, HALF, 0), HALF);
	FL_RC(fl_stream_read_exactly_until(s, got, 4 * HALF, fl_test_soon(), NULL), -ETIMEDOUT);
	fl_test_peer_resets(peer);
	FL_RC(fl_stream_read_exactly(s, got, 4 * HALF), -ECONNRESET);
	FL_RC(fl_stream_got(s), 0);
	FL_RC(fl_stream_read_exactly(s, got, HALF), HALF);
	fl_test_is_pattern(got, 0, HALF);
	FL_RC(fl_stream_read_exactly(s, got, 1), -ECONNRESET);
	fl_stream_free(s);
	free(bytes);
	free(got);
}

/* The system reports a reset once: a read after a write has got it does not take it for the end. */
FL_NET_TEST(stream_reset_that_the_writer_heard_of)
{
	char got[16];
	int peer;
	fl_stream *s = fl_test_tcp_stream(&peer);
	fl_test_peer_sends(peer, "abc");
	fl_test_peer_resets(peer);
	FL_TEST_UNTIL(s->io.over);
	FL_RC(fl_stream_write(s, "x", 1), -ECONNRESET);
	FL_RC(fl_stream_written(s), 0);
	FL_RC(fl_stream_read_some(s, got, sizeof got), 3);
	FL_RC(fl_stream_read_some(s, got, sizeof got), -ECONNRESET);
	FL_RC(fl_stream_write(s, "x", 1), -ECONNRESET);
	fl_stream_free(s);

	fl_stream *ends[2]; /* a Unix socket's reset: it was closed with unread bytes */
	FL_OK(fl_stream_pair(ends));
	FL_OK(fl_stream_write(ends[0], "x", 1));
	fl_stream_free(ends[1]);
	FL_RC(fl_stream_read_some(ends[0], got, sizeof got), -ECONNRESET);
	FL_RC(fl_stream_read_some(ends[0], got, sizeof got), -ECONNRESET);
	fl_stream_free(ends[0]);
}

static int wait_for_reset(void *s)
{
	char got[8];
	return (int)fl_stream_read_some(s, got, sizeof got);
}

FL_NET_TEST(stream_reset_wakes_waiters)
{
	int peer;
	fl_stream *s = fl_test_tcp_stream(&peer);
	fl_fiber *f = fl_test_start(wait_for_reset, s);
	FL_TEST_UNTIL(fl_test_waits(s, FL__IO_IN));
	fl_test_peer_resets(peer);
	FL_RC(fl_test_join(f), -ECONNRESET);
	fl_stream_free(s);
}
