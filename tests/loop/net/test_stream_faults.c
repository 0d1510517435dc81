/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams when the system interrupts, refuses, or has no memory: nothing is lost, and nothing
 * leaks.
 */
#include "fl_streams.h"

/* ---- what the system may do at any time */

static unsigned strikes;

static ssize_t fitful_send(int fd, const void *data, size_t size)
{
	return ++strikes % 3 ? -EINTR : fl_test_real_net_sys.send(fd, data, size < 1000 ? size : 1000);
}

/* Also fewer parts than it was given, and half of one. */
static ssize_t fitful_sendmsg(int fd, const struct msghdr *message)
{
	struct iovec first = message->msg_iov[0];
	if (++strikes % 3)
		return -EINTR;
	first.iov_len = (first.iov_len + 1) / 2;
	return fl_test_real_net_sys.sendmsg(fd, &(struct msghdr){.msg_iov = &first, .msg_iovlen = 1});
}

enum { N = 200000 };

static int send_numbers(void *s)
{
	char *bytes = fl_test_pattern(N);
	const struct iovec parts[] = {{bytes, 1}, {bytes + 1, 0}, {bytes + 1, 999}, {bytes + 1000, N - 1000}};
	FL_OK(fl_stream_write(s, bytes, N));
	FL_RC(fl_stream_written(s), N);
	FL_OK(fl_stream_writev(s, parts, 4));
	FL_RC(fl_stream_written(s), N);
	free(bytes);
	return fl_stream_close_write(s);
}

static void receive_numbers(fl_stream *a, fl_stream *b)
{
	char *bytes = fl_test_pattern(N), *got = malloc(2 * N); /* as much as is asked for */
	fl_fiber *f = fl_test_start(send_numbers, b);
	FL_RC(fl_stream_read_exactly(a, got, N), N);
	FL_CHECK(memcmp(got, bytes, N) == 0);
	FL_RC(fl_stream_read_exactly(a, got, 5), 5);
	FL_RC(fl_stream_read_exactly(a, got + 5, 50000), 50000);
	FL_RC(fl_stream_read_exactly(a, got + 50005, N), N - 50005);
	FL_CHECK(memcmp(got, bytes, N) == 0);
	FL_OK(fl_test_join(f));
	free(bytes);
	free(got);
}

FL_STREAM_TEST(stream_interrupted_everywhere)
{
	fl_test_fails_by((struct fl_test_fault){.calls = CALL(recv), .error = -EINTR, .each = 3});
	fl__net_sys.send = fitful_send;
	fl__net_sys.sendmsg = fitful_sendmsg;
	receive_numbers(a, b);
	char one;
	FL_RC(fl_stream_try_read_some(a, &one, 1), 0);
	FL_RC(fl_stream_try_write(a, "x", 1), 1);
	(void)fl_test_net_faults_end();
}

/*
 * "Full", although there is space: the poller then reports at once. "Empty", although there is
 * data: later data are reported.
 */
FL_STREAM_TEST(stream_again_at_any_time)
{
	char got[8];
	fl_test_fails_by((struct fl_test_fault){.calls = CALL(send), .error = -EAGAIN, .only = 1});
	FL_OK(fl_stream_write(a, "x", 1));
	FL_RC(fl_test_fault.count, 2);
	FL_RC(fl_stream_read_some(b, got, 8), 1);
	fl_test_fails_by((struct fl_test_fault){.calls = CALL(recv), .error = -EAGAIN, .only = 1});
	FL_OK(fl_stream_write(a, "x", 1));
	FL_TEST_UNTIL(b->io.ready[FL__IO_IN]);
	FL_RC(fl_stream_read_line_until(b, got, sizeof got, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(fl_stream_write(a, "\n", 1));
	FL_RC(fl_stream_read_line(b, got, sizeof got), 2);
	(void)fl_test_net_faults_end();
}

/*
 * One call a read, and one a write, while there is data, or space; and none to find out that there
 * is none, nor of epoll_ctl().
 */
static int echo(void *s)
{
	char line[64];
	ssize_t n;
	while ((n = fl_stream_read_line(s, line, sizeof line)) > 0)
		FL_OK(fl_stream_write(s, line, (size_t)n));
	return (int)n;
}

FL_NET_TEST(stream_one_call_each)
{
	enum { TURNS = 500 };
	int fds[2];
	char got[64];
	fl_test_tcp(fds);
	fl_stream *a = fl_test_stream_of(fds[0]), *b = fl_test_stream_of(fds[1]);
	fl_fiber *f = fl_test_start(echo, b);
	FL_TEST_UNTIL(fl_test_waits(b, FL__IO_IN));
	FL_RC(fl_stream_try_read_some(a, got, sizeof got), -EAGAIN);
	/* None of the calls fails; they are counted. */
	fl_test_fails_by((struct fl_test_fault){.calls = CALL(recv) | CALL(send) | CALL(control), .only = UINT_MAX});
	long blocks = fl_test_blocks;
	for (int i = 0; i < TURNS; i++) {
		FL_OK(fl_stream_write(a, "hello\n", 6));
		FL_RC(fl_stream_read_some(a, got, sizeof got), 6);
	}
	FL_RC(fl_test_fault.count, 4 * TURNS);
	fl_test_no_faults();
	FL_CHECK(fl_test_blocks - blocks <= 1); /* the loop's spare buffer */
	FL_CHECK(!a->buffer && !b->buffer);
	FL_OK(fl_stream_close_write(a));
	FL_OK(fl_test_join(f));
	fl_stream_free(a);
	fl_stream_free(b);
}

/* ---- errors */

#define TRANSFERS (CALL(recv) | CALL(send) | CALL(sendmsg))

/* Passing ones leave the stream as it was. */
FL_STREAM_TEST(stream_errors_that_pass)
{
	char got[8];
	static const int passing_errors[] = {-ENOBUFS, -ENOMEM};
	FL_OK(fl_stream_write(b, "ab", 2));
	FL_TEST_UNTIL(a->io.ready[FL__IO_IN]);
	FL_EACH (i, passing_errors) {
		fl_test_fails(TRANSFERS, passing_errors[i]);
		fl_test_each_write_gives(a, -ENOMEM);
		fl_test_each_read_gives(a, -ENOMEM);
		(void)fl_test_net_faults_end();
	}
	FL_RC(fl_stream_read_some(a, got, 8), 2);
	FL_OK(fl_stream_write(a, "x", 1));
}

/* The others stay; and the system's -ETIMEDOUT is not taken for a deadline's. */
FL_STREAM_TEST(stream_errors_that_last)
{
	char got[8];
	fl_test_fails(TRANSFERS, -EHOSTUNREACH);
	FL_RC(fl_stream_read_some(a, got, 1), -EHOSTUNREACH);
	fl_test_fails(TRANSFERS, -ETIMEDOUT);
	FL_RC(fl_stream_write(b, "x", 1), -ECONNABORTED);
	fl_test_fails(TRANSFERS, -EPIPE);
	FL_RC(fl_stream_write(a, "x", 1), -EHOSTUNREACH);
	FL_RC(fl_stream_writev(b, &(struct iovec){got, 1}, 1), -ECONNABORTED);
	fl_test_fails(TRANSFERS, 0);
	FL_RC(fl_stream_read_exactly(a, got, 1), -EHOSTUNREACH);
	FL_RC(fl_stream_read_line(b, got, 8), -ECONNABORTED);
	FL_CHECK(!a->buffer && !b->buffer);
	(void)fl_test_net_faults_end();
}

/* An end that was read stays one. */
FL_STREAM_TEST(stream_end_before_an_error)
{
	char got[8];
	FL_OK(fl_stream_close_write(b));
	FL_RC(fl_stream_read_some(a, got, 1), 0);
	fl_test_fails(TRANSFERS, -EHOSTUNREACH);
	FL_RC(fl_stream_write(a, "x", 1), -EHOSTUNREACH);
	FL_RC(fl_stream_read_some(a, got, 1), 0);
	FL_RC(fl_stream_read_line(a, got, 8), 0);
	(void)fl_test_net_faults_end();
}

FL_STREAM_TEST(stream_end_fails)
{
	FL_OK(fl_stream_write(a, "x", 1));
	fl_test_fails(CALL(shutdown), -ENOTCONN);
	FL_RC(fl_stream_close_write(a), -EPIPE);
	(void)fl_test_net_faults_end();
	FL_OK(fl_stream_close_write(a));
	FL_RC(fl_stream_written(a), 1); /* an end is no write */
	fl_test_fails(CALL(shutdown), -ENOTCONN);
	FL_OK(fl_stream_close_write(a)); /* there is nothing more to do */
	FL_RC(fl_stream_close_write(b), -EPIPE);
	(void)fl_test_net_faults_end();
}

/* ---- no memory */

FL_STREAM_TEST(stream_without_memory)
{
	char got[64];
	FL_OK(fl_stream_write(b, "line\nmore", 9));
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_stream_read_delimited_until(a, got, sizeof got, "\n", 1, FL_NO_WAIT, NULL), -ENOMEM);
	FL_RC(fl_stream_read_exactly_until(a, got, 1, FL_NO_WAIT, NULL), -ENOMEM);
	FL_RC(fl_stream_got(a), 0);
	FL_RC(fl_stream_read_some(a, got, 1), 1); /* needs none */
	fl__sys.alloc = fl_test_counting_alloc;
	FL_RC(fl_stream_read_line(a, got, sizeof got), 4);
	FL_CHECK(strcmp(got, "ine\n") == 0);
	FL_RC(fl_stream_read_exactly(a, got, 4), 4);
}

/* No memory to grow: what came is kept, and a shorter read gets it. */
FL_STREAM_TEST(stream_without_memory_to_grow)
{
	enum { SIZE = 50000 };
	char *bytes = fl_test_pattern(N), *got = malloc(SIZE);
	FL_OK(fl_stream_write(b, bytes, SIZE));
	FL_RC(fl_stream_read_exactly(a, got, 10), 10); /* has a first buffer */
	FL_CHECK(a->buffer != NULL);
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_stream_read_exactly(a, got + 10, SIZE - 10), -ENOMEM);
	FL_RC(fl_stream_read_exactly(a, got + 10, SIZE - 10), -ENOMEM);
	FL_RC(fl_stream_read_exactly(a, got + 10, 10000), 10000);
	fl__sys.alloc = fl_test_counting_alloc;
	FL_RC(fl_stream_read_exactly(a, got + 10010, SIZE - 10010), SIZE - 10010);
	FL_CHECK(memcmp(got, bytes, SIZE) == 0);
	free(bytes);
	free(got);
}

/*
 * A large read gives up, and nothing takes its bytes: they stay with the reader, which gets their
 * number.
 */
FL_STREAM_TEST(stream_without_memory_to_put_back)
{
	char *bytes = fl_test_pattern(N), *got = malloc(2 * N); /* as much as is asked for */
	FL_RC(fl_stream_try_read_some(a, got, 1), -EAGAIN);     /* clears `ready`, which begins as true */
	FL_OK(fl_stream_write(b, bytes, 1000));
	FL_TEST_UNTIL(a->io.ready[FL__IO_IN]);
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_stream_read_exactly_until(a, got, N, FL_NO_WAIT, NULL), -ENOMEM);
	fl__sys.alloc = fl_test_counting_alloc;
	FL_RC(fl_stream_got(a), 1000);
	FL_CHECK(memcmp(got, bytes, 1000) == 0);
	FL_RC(fl_stream_read_exactly_until(a, got, N, FL_NO_WAIT, NULL), -ETIMEDOUT); /* with nothing */
	FL_RC(fl_stream_got(a), 0);
	free(bytes);
	free(got);
}

/* ---- to make one */

FL_NET_TEST(stream_cannot_be_made)
{
	int fds[2];
	fl_stream *s = NULL, *ends[2] = {NULL, NULL};
	fl_test_tcp(fds);
	unsigned before = fl_test_fds();
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_stream_from_fd(&s, fds[0]), -ENOMEM);
	FL_RC(fl_stream_pair(ends), -ENOMEM);
	fl__sys.alloc = fl_test_few_allocs;
	fl_test_allocs_left = 1;
	FL_RC(fl_stream_pair(ends), -ENOMEM);
	fl__sys.alloc = fl_test_counting_alloc;
	FL_RC(fl_test_fds(), before);
	FL_CHECK(!s && !ends[0] && !ends[1]);
	fl_test_fails(CALL(set_option), -EINVAL); /* then it is only slower */
	s = fl_test_stream_of(fds[0]);
	(void)fl_test_net_faults_end();
	fl_stream_free(s);
	FL_OK(close(fds[1]));
}

/* The first wait for room asks the poller for it. */
FL_STREAM_TEST(stream_cannot_be_watched)
{
	(void)fl_test_fill(a);
	fl_test_fails(CALL(control), -ENOMEM);
	FL_RC(fl_stream_write_until(a, "x", 1, FL_NO_WAIT, NULL), -ENOMEM);
	fl_test_no_faults();
	FL_RC(fl_stream_write_until(a, "x", 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
}
