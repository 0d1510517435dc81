/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes over a stream, in whatever pieces, at whatever pace, until whatever end. */
#include "fl_streams.h"

/* The other side: writes `bytes` in pieces of `piece`, and lets others run in between. */
struct sender {
	fl_stream *s;
	const char *bytes;
	size_t size, piece;
	bool ends;
};

static int send_pieces(void *arg)
{
	const struct sender *to = arg;
	for (size_t at = 0; at < to->size; at += to->piece) {
		size_t n = to->size - at < to->piece ? to->size - at : to->piece;
		FL_OK(fl_stream_write(to->s, to->bytes + at, n));
		fl_test_settle();
	}
	return to->ends ? fl_stream_close_write(to->s) : 0;
}

/* ---- slow peers */

FL_STREAM_TEST(stream_slow_peer)
{
	static const char text[] = "one line\nexactly\r\n\r\nrest";
	struct sender to = {b, text, sizeof text - 1, 1, true};
	char got[64];
	fl_fiber *f = fl_test_start(send_pieces, &to);
	FL_RC(fl_stream_read_line(a, got, sizeof got), 9);
	FL_CHECK(strcmp(got, "one line\n") == 0);
	FL_RC(fl_stream_read_exactly(a, got, 7), 7);
	FL_CHECK(memcmp(got, "exactly", 7) == 0);
	FL_RC(fl_stream_read_delimited(a, got, sizeof got, "\r\n\r\n", 4), 4);
	FL_RC(fl_stream_read_line(a, got, sizeof got), 4);
	FL_CHECK(strcmp(got, "rest") == 0);
	FL_RC(fl_stream_read_line(a, got, sizeof got), 0);
	FL_CHECK(got[0] == '\0');
	FL_OK(fl_test_join(f));
}

FL_STREAM_TEST(stream_one_byte_reads)
{
	enum { N = 1000 };
	char *bytes = fl_test_pattern(N), one;
	struct sender to = {b, bytes, N, 17, true};
	fl_fiber *f = fl_test_start(send_pieces, &to);
	for (size_t i = 0; i < N; i++) {
		ssize_t n = i % 2 ? fl_stream_read_some(a, &one, 1) : fl_stream_read_exactly(a, &one, 1);
		FL_CHECK(n == 1 && one == fl_test_byte_at(i));
	}
	FL_RC(fl_stream_read_some(a, &one, 1), 0);
	FL_OK(fl_test_join(f));
	free(bytes);
}

/* ---- lines and delimiters */

FL_STREAM_TEST(stream_line_longer_than_the_buffer)
{
	char got[8], *large = malloc(2 * FL_STREAM_LIMIT), *line = malloc(2 * FL_STREAM_LIMIT);
	FL_OK(fl_stream_write(b, "1234567\nx\n", 10));
	FL_RC(fl_stream_read_line_until(a, got, sizeof got, FL_NO_WAIT, NULL), -EMSGSIZE);
	FL_RC(fl_stream_read_delimited(a, got, 7, "\n", 1), -EMSGSIZE); /* the line is still there */
	FL_RC(fl_stream_read_delimited(a, got, 8, "\n", 1), 8);
	FL_RC(fl_stream_read_line(a, got, sizeof got), 2);

	/* the longest that there may be, and one more */
	memset(line, 'x', 2 * FL_STREAM_LIMIT);
	line[FL_STREAM_LIMIT - 1] = '\n';
	struct sender to = {b, line, FL_STREAM_LIMIT, 10000, false};
	fl_fiber *f = fl_test_start(send_pieces, &to);
	FL_RC(fl_stream_read_line(a, large, 2 * FL_STREAM_LIMIT), FL_STREAM_LIMIT);
	FL_RC(large[FL_STREAM_LIMIT - 1], '\n');
	FL_OK(fl_test_join(f));
	line[FL_STREAM_LIMIT - 1] = 'x';
	line[FL_STREAM_LIMIT] = '\n';
	to.size = FL_STREAM_LIMIT + 1;
	f = fl_test_start(send_pieces, &to);
	FL_RC(fl_stream_read_line(a, large, 2 * FL_STREAM_LIMIT), -EMSGSIZE);
	FL_RC(fl_stream_read_delimited_until(a, large, 2 * FL_STREAM_LIMIT, "\n", 1, FL_NO_WAIT, NULL), -EMSGSIZE);
	FL_RC(fl_stream_read_exactly(a, large, FL_STREAM_LIMIT + 1), FL_STREAM_LIMIT + 1);
	FL_CHECK(memcmp(large, line, FL_STREAM_LIMIT + 1) == 0);
	FL_OK(fl_test_join(f));
	free(large);
	free(line);
}

/* Wherever the pieces are cut. */
FL_STREAM_TEST(stream_delimiter_across_reads)
{
	static const char text[] = "a--b---c\nd----";
	char got[32];
	for (size_t piece = 1; piece < sizeof text; piece++) {
		struct sender to = {b, text, sizeof text - 1, piece, false};
		fl_fiber *f = fl_test_start(send_pieces, &to);
		FL_RC(fl_stream_read_delimited(a, got, sizeof got, "---", 3), 7); /* a--b--- */
		FL_CHECK(memcmp(got, "a--b---", 7) == 0);
		FL_RC(fl_stream_read_line(a, got, sizeof got), 2);
		FL_RC(fl_stream_read_delimited(a, got, 5, "----", 4), 5);
		FL_CHECK(memcmp(got, "d----", 5) == 0);
		FL_OK(fl_test_join(f));
	}
	FL_CHECK(!a->buffer);
}

/* Lines of all lengths, many at once and in pieces: none is lost, and none is cut. */
FL_STREAM_TEST(stream_many_lines)
{
	enum { N = 3000, MOST = 400 };
	char *text = malloc((size_t)N * MOST), line[MOST + 2];
	size_t size = 0;
	for (size_t i = 0; i < N; i++) {
		size_t n = i * i % MOST;
		memset(text + size, 'a' + (int)(i % 26), n);
		text[size + n] = '\n';
		size += n + 1;
	}
	struct sender to = {b, text, size, 7777, true};
	fl_fiber *f = fl_test_start(send_pieces, &to);
	for (size_t i = 0, at = 0; i < N; i++) {
		size_t n = i * i % MOST + 1;
		FL_RC(fl_stream_read_line(a, line, sizeof line), n);
		FL_CHECK(memcmp(line, text + at, n) == 0 && line[n] == '\0');
		at += n;
	}
	FL_RC(fl_stream_read_line(a, line, sizeof line), 0);
	FL_OK(fl_test_join(f));
	free(text);
}

/* ---- sizes */

FL_STREAM_TEST(stream_read_exactly_of_all_sizes)
{
	enum { N = 1 << 20 };
	static const size_t sizes[] = {1, 10, FL_STREAM_LIMIT, 3, FL_STREAM_LIMIT + 1, 0, 300000, 20000};
	char *bytes = fl_test_pattern(N), *got = malloc(N);
	size_t at = 0;
	struct sender to = {b, bytes, N, 30000, true};
	fl_fiber *f = fl_test_start(send_pieces, &to);
	FL_EACH (i, sizes) {
		FL_RC(fl_stream_read_exactly(a, got, sizes[i]), sizes[i]);
		fl_test_is_pattern(got, at, sizes[i]);
		at += sizes[i];
	}
	FL_RC(fl_stream_read_exactly(a, got, N), N - at); /* fewer: the end */
	fl_test_is_pattern(got, at, N - at);
	FL_RC(fl_stream_read_exactly(a, got, N), 0);
	FL_RC(fl_stream_read_exactly(a, got, 1), 0);
	FL_RC(fl_stream_read_some(a, got, 1), 0);
	FL_RC(fl_stream_try_read_some(a, got, 1), 0);
	FL_OK(fl_test_join(f));
	free(bytes);
	free(got);
}

FL_STREAM_TEST(stream_end_before_the_size)
{
	char got[16];
	FL_OK(fl_stream_write(b, "abc", 3));
	FL_OK(fl_stream_close_write(b));
	FL_RC(fl_stream_read_exactly(a, got, 10), 3);
	FL_CHECK(memcmp(got, "abc", 3) == 0);
	FL_OK(fl_stream_read_exactly_until(a, got, 10, FL_NO_WAIT, NULL));
	FL_RC(fl_stream_read_delimited(a, got, 10, "x", 1), 0);
}

/* ---- what readiness has to know */

/*
 * The end came before the writer found the socket full: the reader has a short read, and must still
 * get it.
 */
FL_NET_TEST(stream_end_behind_a_full_send_buffer)
{
	char got[16];
	int peer;
	fl_stream *s = fl_test_tcp_stream(&peer);
	fl_test_peer_sends(peer, "last");
	FL_OK(shutdown(peer, SHUT_WR));
	FL_TEST_UNTIL(s->io.over);
	FL_CHECK(fl_test_fill(s) > 0);
	FL_RC(fl_stream_read_some_until(s, got, sizeof got, fl_after(FL_S(60)), NULL), 4);
	FL_OK(fl_stream_read_some_until(s, got, sizeof got, fl_after(FL_S(60)), NULL));
	fl_stream_free(s);
	FL_OK(close(peer));
}

/* At urgent data a read stops early, and does not report the bytes behind it. */
FL_NET_TEST(stream_urgent_data)
{
	char got[16];
	int peer;
	fl_stream *s = fl_test_tcp_stream(&peer);
	for (int i = 0; i < 3; i++) {
		fl_test_peer_sends(peer, "ab");
		FL_RC(send(peer, "!", 1, MSG_OOB), 1);
		fl_test_peer_sends(peer, "def");
		FL_TEST_UNTIL(s->io.over);
		FL_RC(fl_stream_read_exactly_until(s, got, 5, fl_after(FL_S(60)), NULL), 5);
		FL_CHECK(memcmp(got, "abdef", 5) == 0);
		FL_RC(fl_stream_try_read_some(s, got, sizeof got), -EAGAIN);
	}
	fl_stream_free(s);
	FL_OK(close(peer));
}

/* Likewise at descriptors that come over a Unix socket, which are dropped. */
FL_NET_TEST(stream_descriptors_among_the_bytes)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {(char[]){"ab"}, 2};
	struct msghdr m = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	char got[16];
	int fds[2];
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	fl_stream *s = fl_test_stream_of(fds[0]);
	memcpy(CMSG_DATA(&control.head), &fds[1], sizeof fds[1]);
	FL_RC(fl_stream_try_read_some(s, got, 1), -EAGAIN);
	FL_RC(sendmsg(fds[1], &m, 0), 2);
	fl_test_peer_sends(fds[1], "def");
	FL_TEST_UNTIL(s->io.ready[FL__IO_IN]); /* all that the poller has to say */
	FL_RC(fl_stream_read_exactly_until(s, got, 5, fl_after(FL_S(60)), NULL), 5);
	FL_CHECK(memcmp(got, "abdef", 5) == 0);
	FL_OK(close(fds[1]));
	FL_RC(fl_stream_read_some(s, got, 1), 0);
	fl_stream_free(s);
}

/* A reader that always finds data does not hold up the others. */
static bool other_ran;

static int other(void *unused)
{
	other_ran = true;
	return 0;
}

typedef void eager_step(fl_stream *a, fl_stream *b);

static void write_one(fl_stream *a, fl_stream *b)
{
	char got[8];
	FL_OK(fl_stream_write(a, "x", 1));
	FL_RC(fl_stream_try_read_some(b, got, 1), 1);
}

static void read_one(fl_stream *a, fl_stream *b)
{
	char got[8];
	FL_RC(fl_stream_try_write(a, "x", 1), 1);
	FL_RC(fl_stream_read_some(b, got, 1), 1);
}

/* Of what came at once. */
static void read_line(fl_stream *a, fl_stream *b)
{
	char got[8];
	FL_RC(fl_stream_read_line(b, got, sizeof got), 1);
}

/* A Unix socket: what was written is there at once. */
FL_UNIX_STREAM_TEST(stream_that_is_always_ready_lets_others_run)
{
	static eager_step *const steps[] = {write_one, read_one, read_line};
	char lines[200];
	memset(lines, '\n', sizeof lines);
	FL_EACH (i, steps) {
		other_ran = false;
		fl_fiber *f = fl_test_start(other, NULL);
		if (steps[i] == read_line)
			FL_OK(fl_stream_write(a, lines, sizeof lines));
		for (size_t n = 0; n < sizeof lines; n++)
			steps[i](a, b);
		FL_CHECK(other_ran);
		FL_OK(fl_test_join(f));
	}
}
