/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams: how they are made and end, and the results of each function for each caller. */
#include "fl_streams.h"

#include <netinet/tcp.h>

FL_STREAM_TEST(stream_both_ways)
{
	char got[16];
	FL_RC(fl_stream_try_read_some(b, got, sizeof got), -EAGAIN);
	FL_OK(fl_stream_write(a, "hello", 5));
	FL_RC(fl_stream_written(a), 5);
	FL_RC(fl_stream_read_some(b, got, sizeof got), 5);
	FL_CHECK(memcmp(got, "hello", 5) == 0);
	FL_RC(fl_stream_try_write(b, "hi", 2), 2);
	FL_RC(fl_stream_read_some_until(a, got, 1, fl_after(FL_S(60)), NULL), 1);
	FL_RC(fl_stream_read_some(a, got + 1, sizeof got), 1);
	FL_CHECK(memcmp(got, "hi", 2) == 0);
	FL_OK(fl_stream_write(a, NULL, 0));
	FL_OK(fl_stream_try_write(a, NULL, 0));
	/* An operation that can succeed at once succeeds. */
	FL_OK(fl_stream_write_until(a, "x", 1, FL_NO_WAIT, NULL));
	FL_TEST_UNTIL(fl_stream_try_read_some(b, got, sizeof got) == 1);
}

/* Each call that reads, writes or ends gives the error: -EBUSY, -EINVAL, -ECONNABORTED. */
static void all_give(fl_stream *s, int error)
{
	fl_test_each_read_gives(s, error);
	fl_test_each_write_gives(s, error);
	FL_RC(fl_stream_close_write(s), error);
}

static int read_it(void *s)
{
	char got[8];
	return (int)fl_stream_read_some(s, got, sizeof got);
}

static int write_much(void *s)
{
	static const char much[64 << 20];
	return fl_stream_write(s, much, sizeof much);
}

static void wait_both_ways(fl_stream *a, fl_fiber *fibers[2])
{
	fibers[0] = fl_test_start(read_it, a);
	fibers[1] = fl_test_start(write_much, a);
	FL_TEST_UNTIL(fl_test_waits(a, FL__IO_IN) && fl_test_waits(a, FL__IO_OUT));
}

/* A reader and a writer do not disturb each other; a second one of either does not get in. */
FL_STREAM_TEST(stream_one_reader_and_one_writer)
{
	char got[8];
	fl_fiber *fibers[2];
	wait_both_ways(a, fibers);
	size_t written = fl_stream_written(a);
	FL_CHECK(written > 0);
	all_give(a, -EBUSY);
	FL_CHECK(fl_stream_written(a) == written); /* its own writer gets the result */
	FL_PANICS_OF("fl_stream_free", a, fl_stream_free(a));
	fl_test_contains(fl_test_panic.reason, "FL_SHIELDED");
	FL_OK(fl_stream_write(b, "x", 1));
	FL_RC(fl_test_join(fibers[0]), 1);
	FL_PANICS(fl_stream_free(a));
	fl_fiber_cancel(fibers[1]);
	FL_RC(fl_test_join(fibers[1]), -ECANCELED);
	FL_RC(fl_stream_try_read_some(a, got, 1), -EAGAIN);
}

FL_STREAM_TEST(stream_abort_ends_waits)
{
	char got[8], *rest = malloc(1 << 20);
	fl_fiber *fibers[2];
	ssize_t n;
	size_t sum = 0;
	FL_OK(fl_stream_write(b, "ab\ncd", 5));
	FL_RC(fl_stream_read_line(a, got, sizeof got), 3);
	FL_RC(fl_stream_read_exactly(a, got, 2), 2);
	wait_both_ways(a, fibers);
	size_t written = fl_stream_written(a);
	fl_stream_abort(a);
	FL_RC(fl_test_join(fibers[0]), -ECONNABORTED);
	FL_RC(fl_test_join(fibers[1]), -ECONNABORTED);
	all_give(a, -ECONNABORTED);
	fl_stream_abort(a);
	while ((n = fl_stream_read_some(b, rest, 1 << 20)) > 0)
		sum += (size_t)n;
	FL_RC(n, 0);
	FL_RC(sum, written);
	free(rest);
}

/* What was received and not read does not outlive an abort, or a free. */
FL_STREAM_TEST(stream_abort_drops_what_was_not_read)
{
	char got[8];
	FL_OK(fl_stream_write(b, "ab\ncd", 5));
	FL_RC(fl_stream_read_line(a, got, sizeof got), 3);
	FL_RC(fl__stream_buffered(a), 2);
	fl_stream_abort(a);
	FL_RC(fl_stream_read_some(a, got, 1), -ECONNABORTED);
	FL_RC(fl_stream_read_some(b, got, 1), 0);
}

/* ---- callers */

static fl_stream *kept[2];

static int make_two(void *unused)
{
	return fl_stream_pair(kept);
}

static int free_two(void *unused)
{
	fl_stream_free(kept[0]);
	fl_stream_free(kept[1]);
	return 0;
}

static int use_them(void *unused)
{
	all_give(kept[0], -EINVAL);
	return 0;
}

FL_TEST(stream_of_another_loop)
{
	FL_SCOPED(fl_loop) *l = NULL;
	FL_OK(fl_loop_create(&l, NULL));
	FL_OK(fl_loop_run_on(l, make_two, NULL));
	FL_OK(use_them(NULL)); /* outside of any fiber */
	FL_OK(fl_loop_run(use_them, NULL));
	fl_stream_free(NULL);
	FL_OK(fl_loop_run_on(l, free_two, NULL));
}

/* A callback may check, and must not wait. */
static void call_back(void *s)
{
	char got[8];
	FL_RC(fl_stream_read_some(s, got, 1), -EINVAL);
	FL_RC(fl_stream_read_line(s, got, 8), -EINVAL);
	FL_RC(fl_stream_write(s, "x", 1), -EINVAL);
	FL_RC(fl_stream_try_read_some(s, got, 1), -EAGAIN);
	FL_RC(fl_stream_try_write(s, "x", 1), 1);
}

FL_STREAM_TEST(stream_in_a_callback)
{
	char got[8];
	fl_test_in_callback(call_back, a);
	FL_RC(fl_stream_read_some(b, got, 8), 1);
}

FL_STREAM_TEST(stream_sizes_that_are_impossible)
{
	char got[8];
	const size_t wrong = (size_t)PTRDIFF_MAX + 1;
	const struct iovec parts[] = {{got, SIZE_MAX}, {got, SIZE_MAX}, {got, wrong}};
	FL_RC(fl_stream_read_some(a, got, 0), -EINVAL);
	FL_RC(fl_stream_read_some_until(a, got, wrong, FL_NO_WAIT, NULL), -EINVAL);
	FL_RC(fl_stream_try_read_some(a, got, 0), -EINVAL);
	FL_RC(fl_stream_read_exactly(a, got, wrong), -EINVAL);
	FL_RC(fl_stream_read_delimited(a, got, 0, "x", 1), -EINVAL);
	FL_RC(fl_stream_read_delimited_until(a, got, 8, "x", 0, FL_NO_WAIT, NULL), -EINVAL);
	FL_RC(fl_stream_read_delimited_until(a, got, 8, "x", SIZE_MAX, FL_NO_WAIT, NULL), -EINVAL);
	FL_RC(fl_stream_read_line(a, got, 1), -EINVAL);
	FL_RC(fl_stream_read_line_until(a, got, 0, FL_NO_WAIT, NULL), -EINVAL);
	FL_RC(fl_stream_write(b, got, wrong), -EINVAL);
	FL_RC(fl_stream_try_write(b, got, wrong), -EINVAL);
	FL_RC(fl_stream_writev(b, parts, 2), -EINVAL);
	FL_RC(fl_stream_writev(b, parts + 2, 1), -EINVAL);
	FL_RC(fl_stream_write(b, NULL, 1), -EFAULT);
	FL_OK(fl_stream_write(b, "x", 1)); /* and that is all that has come */
	FL_RC(fl_stream_read_exactly(a, got, 0), 0);
	FL_RC(fl_stream_read_some(a, NULL, 8), -EFAULT);
	FL_RC(fl_stream_read_some(a, got, 8), 1);
	FL_RC(fl_stream_try_read_some(a, got, 8), -EAGAIN);
}

/* ---- how they are made */

static void has_only(int fd, int expected)
{
	fl_stream *s = NULL;
	FL_RC(fl_stream_from_fd(&s, fd), expected);
	FL_CHECK(!s);
}

FL_NET_TEST(stream_from_fd_answers)
{
	int tcp[2], files[2], packets[2], one = 0;
	fl_stream *s, *other = NULL;
	socklen_t size = sizeof one;
	fl_test_tcp(tcp);
	FL_OK(pipe(files));
	FL_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets));
	int alone = socket(AF_INET, SOCK_STREAM, 0);
	FL_CHECK(alone >= 0);
	has_only(-1, -EBADF);
	has_only(packets[0], -EINVAL);
	has_only(alone, -ENOTCONN);
	FL_OK(listen(alone, 1));
	has_only(alone, -ENOTCONN);

	FL_CHECK(fcntl(tcp[0], F_SETFD, 0) == 0 && !(fcntl(tcp[0], F_GETFL) & O_NONBLOCK));
	s = fl_test_stream_of(tcp[0]);
	FL_RC(fl_stream_fd(s), tcp[0]);
	FL_CHECK(fl_test_is_cloexec(tcp[0]) && !(fcntl(tcp[0], F_GETFL) & O_NONBLOCK));
	FL_CHECK(getsockopt(tcp[0], IPPROTO_TCP, TCP_NODELAY, &one, &size) == 0 && one != 0);
	FL_RC(fl_stream_from_fd(&other, tcp[0]), -EEXIST);
	fl_stream_free(s);
	FL_CHECK(fcntl(tcp[0], F_GETFD) < 0); /* it is closed */
	const int rest[] = {tcp[1], files[0], files[1], packets[0], packets[1], alone};
	FL_EACH (i, rest)
		FL_OK(close(rest[i]));
}

FL_NET_TEST(stream_names)
{
	int tcp[2], unix_sockets[2];
	fl_address own, peer, expected = {.size = sizeof expected.system};
	fl_test_tcp(tcp);
	FL_OK(getsockname(tcp[0], (struct sockaddr *)&expected.system, &expected.size));
	fl_stream *s = fl_test_stream_of(tcp[0]), *t = fl_test_stream_of(tcp[1]);
	FL_OK(fl_stream_local_address(s, &own));
	FL_OK(fl_stream_peer_address(t, &peer));
	FL_CHECK(fl_address_is_equal(&own, &expected) && fl_address_is_equal(&peer, &expected));
	fl_stream_abort(s);
	fl_stream_abort(t);
	FL_TEST_UNTIL(fl_stream_peer_address(t, &peer) == -ENOTCONN);
	fl_stream_free(s);
	fl_stream_free(t);

	FL_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_sockets));
	s = fl_test_stream_of(unix_sockets[0]);
	FL_OK(fl_stream_local_address(s, &own));
	FL_RC(own.size, 0);
	fl_stream_free(s);
	FL_OK(close(unix_sockets[1]));
}
