/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes without space; reads and writes that give up in the middle, and the state after that. */
#include "fl_streams.h"

enum { MUCH = 24 << 20 }; /* more than the sockets of both sides take */

static const char *much(void)
{
	static char *bytes;
	if (!bytes)
		bytes = fl_test_pattern(MUCH);
	return bytes;
}

/* Reads `size` bytes of the pattern, from `from` on. */
static void reads_pattern(fl_stream *s, size_t from, size_t size)
{
	char *got = malloc(size);
	FL_RC(fl_stream_read_exactly(s, got, size), size);
	FL_CHECK(memcmp(got, much() + from, size) == 0);
	free(got);
}

struct operation {
	fl_stream *s;
	fl_cancel_token cancel;
	fl_time deadline;
	char *buffer;
	size_t size;
};

static struct operation on(fl_stream *s)
{
	return (struct operation){.s = s, .cancel = FL_CANCEL_TOKEN_INIT, .deadline = FL_FOREVER};
}

/* ---- writes */

static int write_it(void *arg)
{
	struct operation *o = arg;
	return fl_stream_write_until(o->s, much(), MUCH, o->deadline, &o->cancel);
}

static int writev_it(void *arg)
{
	enum { N = 3000 };
	struct operation *o = arg;
	struct iovec parts[N];
	FL_EACH (i, parts)
		parts[i] = (struct iovec){(char *)(uintptr_t)much() + i * (MUCH / N), MUCH / N};
	parts[N - 1].iov_len += MUCH % N;
	return fl_stream_writev_until(o->s, parts, N, o->deadline, &o->cancel);
}

FL_STREAM_TEST(stream_full_send_buffer)
{
	enum { PIECE = 100000 };
	struct operation o = on(a);
	fl_fiber *f = fl_test_start(write_it, &o);
	size_t at = 0, waits = 0;
	FL_TEST_UNTIL(fl_test_waits(a, FL__IO_OUT));
	FL_CHECK(fl_stream_written(a) < MUCH); /* it is not buffered here */
	for (; at < MUCH; at += PIECE) {
		reads_pattern(b, at, MUCH - at < PIECE ? MUCH - at : PIECE);
		waits += fl_test_waits(a, FL__IO_OUT);
	}
	FL_CHECK(waits > 0);
	FL_OK(fl_test_join(f));
	FL_RC(fl_stream_written(a), MUCH);
}

/* The number of a write that gave up is exactly what the other side got. */
static void gives_up(fl_stream *a, fl_stream *b, fl_fiber_function *way, bool cancels)
{
	struct operation o = on(a);
	char got;
	o.deadline = cancels ? FL_FOREVER : fl_test_soon();
	fl_fiber *f = fl_test_start(way, &o);
	FL_TEST_UNTIL(fl_test_waits(a, FL__IO_OUT) || !fl_fiber_is_alive(f));
	if (cancels)
		fl_cancel_token_request(&o.cancel);
	FL_RC(fl_test_join(f), cancels ? -ECANCELED : -ETIMEDOUT);
	size_t written = fl_stream_written(a);
	FL_CHECK(written > 0 && written < MUCH);
	reads_pattern(b, 0, written);
	FL_RC(fl_stream_try_read_some(b, &got, 1), -EAGAIN);
	FL_TEST_UNTIL(a->io.ready[FL__IO_OUT]);
	FL_OK(fl_stream_write(a, much(), 1)); /* and it goes on */
	FL_RC(fl_stream_written(a), 1);
	reads_pattern(b, 0, 1);
}

FL_STREAM_TEST(stream_write_cancelled_in_the_midst)
{
	gives_up(a, b, write_it, true);
	gives_up(a, b, writev_it, true);
}

FL_STREAM_TEST(stream_write_timed_out_in_the_midst)
{
	gives_up(a, b, write_it, false);
	gives_up(a, b, writev_it, false);
	size_t filled = fl_test_fill(a);
	FL_RC(fl_stream_write_until(a, "x", 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_stream_written(a), 0);
	FL_RC(fl_stream_writev_until(a, &(struct iovec){(char[]){"x"}, 1}, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_CHECK(filled > 0 && fl_stream_fd(b) >= 0);
}

/* Whatever the pieces: the bytes of all parts come, in order. */
static void parts(fl_stream *a, fl_stream *b)
{
	enum { N = 200 };
	struct iovec v[N];
	size_t at = 0;
	FL_EACH (i, v) {
		size_t n = i % 3 ? i * 5 % 97 : 0;
		v[i] = (struct iovec){n ? (char *)(uintptr_t)much() + at : NULL, n};
		at += n;
	}
	FL_OK(fl_stream_writev(a, v, N));
	FL_RC(fl_stream_written(a), at);
	reads_pattern(b, 0, at);
	FL_OK(fl_stream_writev(a, v, 1));
	FL_RC(fl_stream_written(a), 0);
	FL_OK(fl_stream_writev(a, NULL, 0));

	struct operation o = on(a);
	fl_fiber *f = fl_test_start(writev_it, &o);
	reads_pattern(b, 0, MUCH);
	FL_OK(fl_test_join(f));
}

FL_TEST(stream_writev_of_many_parts)
{
	fl_test_each_kind(parts);
}

/* ---- reads that give up */

static int read_some(void *arg)
{
	struct operation *o = arg;
	return (int)fl_stream_read_some_until(o->s, o->buffer, o->size, o->deadline, &o->cancel);
}

static int read_exactly(void *arg)
{
	struct operation *o = arg;
	return (int)fl_stream_read_exactly_until(o->s, o->buffer, o->size, o->deadline, &o->cancel);
}

static int read_to(void *arg)
{
	struct operation *o = arg;
	return (int)fl_stream_read_delimited_until(o->s, o->buffer, o->size, "\r\n", 2, o->deadline, &o->cancel);
}

static int read_line(void *arg)
{
	struct operation *o = arg;
	return (int)fl_stream_read_line_until(o->s, o->buffer, o->size, o->deadline, &o->cancel);
}

/*
 * Writes `text`, and lets a read that wants more come so far that it waits again; then makes it
 * give up.
 */
static void starts_and_gives_up(fl_stream *a, fl_stream *b, fl_fiber_function *way, const char *text, size_t size,
                                bool cancels)
{
	struct operation o = on(a);
	char *buffer = malloc(size);
	o.buffer = buffer;
	o.size = size;
	FL_OK(fl_stream_write(b, text, strlen(text)));
	if (text[0])
		FL_TEST_UNTIL(a->io.ready[FL__IO_IN]);
	o.deadline = cancels ? FL_FOREVER : fl_test_soon();
	fl_fiber *f = fl_test_start(way, &o);
	FL_TEST_UNTIL(fl_test_waits(a, FL__IO_IN) || !fl_fiber_is_alive(f));
	fl_test_settle();
	if (cancels)
		fl_cancel_token_request(&o.cancel);
	FL_RC(fl_test_join(f), cancels ? -ECANCELED : -ETIMEDOUT);
	FL_RC(fl_stream_got(a), 0);
	free(buffer);
}

static void reads_give_up(fl_stream *a, fl_stream *b, bool cancels)
{
	static const size_t large = FL_STREAM_LIMIT + 1000;
	char got[64];
	starts_and_gives_up(a, b, read_some, "", 10, cancels);
	starts_and_gives_up(a, b, read_exactly, "ab", 10, cancels);
	starts_and_gives_up(a, b, read_line, "cd", 64, cancels);
	starts_and_gives_up(a, b, read_to, "ef\r", 64, cancels);
	starts_and_gives_up(a, b, read_exactly, "gh", large, cancels);
	starts_and_gives_up(a, b, read_exactly, "", large, cancels);
	starts_and_gives_up(a, b, read_exactly, "ij", 64, cancels);
	FL_OK(fl_stream_write(b, "\r\nkl\nm", 6));
	FL_RC(fl_stream_read_some(a, got, 1), 1);
	FL_RC(got[0], 'a');
	FL_RC(fl_stream_read_delimited(a, got, sizeof got, "\r\n", 2), 12);
	FL_CHECK(memcmp(got, "bcdef\rghij\r\n", 12) == 0);
	FL_RC(fl_stream_read_line(a, got, sizeof got), 3);
	FL_CHECK(strcmp(got, "kl\n") == 0);
	FL_RC(fl_stream_read_exactly(a, got, 1), 1);
	FL_RC(got[0], 'm');
	FL_CHECK(!a->buffer);
}

FL_STREAM_TEST(stream_read_cancelled_in_the_midst)
{
	reads_give_up(a, b, true);
}

FL_STREAM_TEST(stream_read_timed_out_in_the_midst)
{
	reads_give_up(a, b, false);
	char got[8];
	FL_RC(fl_stream_read_some_until(a, got, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_stream_read_exactly_until(a, got, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_stream_read_delimited_until(a, got, 1, "x", 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
}

/* A buffer of as few bytes as were put back has room for the next ones. */
FL_STREAM_TEST(stream_few_bytes_that_are_put_back)
{
	enum { MOST = 5 };
	char got[MOST + 2];
	for (size_t n = 1; n <= MOST; n++) {
		char some[MOST + 1] = "";
		memcpy(some, "abcde", n);
		starts_and_gives_up(a, b, read_exactly, some, FL_STREAM_LIMIT + 1000, false);
		FL_OK(fl_stream_write(b, "12", 2));
		FL_RC(fl_stream_read_exactly(a, got, n + 2), (ssize_t)n + 2);
		FL_CHECK(memcmp(got, some, n) == 0 && memcmp(got + n, "12", 2) == 0);
	}
}

/* Under a request that came before: what can be done at once is done, and nothing waits. */
FL_STREAM_TEST(stream_under_a_request_that_came_before)
{
	char got[64];
	const struct iovec part = {got, sizeof got};
	FL_RC(fl_stream_try_read_some(a, got, sizeof got), -EAGAIN); /* clears `ready`, which begins as true */
	FL_OK(fl_stream_write_until(b, "line\nrest", 9, FL_FOREVER, fl_test_requested));
	FL_TEST_UNTIL(a->io.ready[FL__IO_IN]);
	FL_RC(fl_stream_read_line_until(a, got, sizeof got, FL_FOREVER, fl_test_requested), 5);
	FL_RC(fl_stream_read_exactly_until(a, got, 4, FL_FOREVER, fl_test_requested), 4);
	FL_RC(fl_stream_read_some_until(a, got, 1, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_stream_read_exactly_until(a, got, 1, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_stream_read_delimited_until(a, got, 1, "x", 1, FL_FOREVER, fl_test_requested), -ECANCELED);
	(void)fl_test_fill(a);
	FL_RC(fl_stream_write_until(a, got, sizeof got, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_stream_writev_until(a, &part, 1, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_RC(fl_stream_read_some(a, got, 1), -ECANCELED);
	FL_RC(fl_stream_read_exactly(a, got, 1), -ECANCELED);
	FL_RC(fl_stream_read_delimited(a, got, 1, "x", 1), -ECANCELED);
	FL_RC(fl_stream_read_line(a, got, sizeof got), -ECANCELED);
	FL_RC(fl_stream_write(a, got, sizeof got), -ECANCELED);
	FL_RC(fl_stream_writev(a, &part, 1), -ECANCELED);
}

/* The plain forms observe the scope of their fiber. */
static int plain_read(void *s)
{
	char got[8];
	return (int)fl_stream_read_some(s, got, sizeof got);
}

static int plain_exactly(void *s)
{
	char got[8];
	return (int)fl_stream_read_exactly(s, got, sizeof got);
}

static int plain_to(void *s)
{
	char got[8];
	return (int)fl_stream_read_delimited(s, got, sizeof got, "x", 1);
}

static int plain_line(void *s)
{
	char got[8];
	return (int)fl_stream_read_line(s, got, sizeof got);
}

static int plain_write(void *s)
{
	return fl_stream_write(s, much(), MUCH);
}

static int plain_writev(void *s)
{
	return fl_stream_writev(s, &(struct iovec){(char *)(uintptr_t)much(), MUCH}, 1);
}

FL_STREAM_TEST(stream_plain_forms_observe_the_scope)
{
	static fl_fiber_function *const ways[] = {plain_read, plain_exactly, plain_to,
	                                          plain_line, plain_write,   plain_writev};
	FL_CHECK(a != b);
	FL_EACH (i, ways) {
		fl_fiber *f = fl_test_start(ways[i], a);
		FL_TEST_UNTIL(fl_test_waits(a, i < 4 ? FL__IO_IN : FL__IO_OUT));
		fl_test_cancel(f);
	}
}

/* Bytes come before a cancelled read has run: the next read gets them. */
FL_STREAM_TEST(stream_read_cancelled_as_bytes_come)
{
	char got[8];
	fl_fiber *f = fl_test_start(plain_read, a);
	FL_TEST_UNTIL(fl_test_waits(a, FL__IO_IN));
	fl_fiber_cancel(f);
	FL_RC(fl_stream_try_write(b, "x", 1), 1);
	FL_RC(fl_test_join(f), -ECANCELED);
	FL_RC(fl_stream_read_some(a, got, sizeof got), 1);
}

/* Nothing comes, and no end either: the deadline ends the read, and leaves the stream as it was. */
FL_NET_TEST(stream_half_open_connection)
{
	char got[16];
	int peer;
	fl_stream *s = fl_test_tcp_stream(&peer);
	FL_RC(fl_stream_read_line_until(s, got, sizeof got, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_stream_write_until(s, much(), MUCH, fl_test_soon(), NULL), -ETIMEDOUT);
	fl_test_peer_sends(peer, "hm\n");
	FL_RC(fl_stream_read_line_until(s, got, sizeof got, fl_after(FL_S(60)), NULL), 3);
	fl_stream_free(s);
	FL_OK(close(peer));
}
