/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors that travel over a stream: each arrives once, and none is left behind. */
#include "fl_streams.h"

enum { MOST = FL_STREAM_FDS_MAX };

/* The read ends of `n` pipes, through which a byte says which one it is. */
static void make_numbered(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int ends[2];
		const unsigned char number = (unsigned char)i;
		FL_CHECK(pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], &number, 1) == 1 && close(ends[1]) == 0);
		fds[i] = ends[0];
	}
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		FL_OK(close(fds[i]));
}

/* bug: fds_cloexec */
static void check_numbered(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned char number;
		FL_CHECK(fl_test_is_cloexec(fds[i]) && read(fds[i], &number, 1) == 1 && number == (unsigned char)i);
	}
	close_all(fds, n);
}

/*
 * A receive with room for `most` descriptors gives `rc`, which may be an error such as -EMFILE,
 * -EINVAL, -EMSGSIZE, -ENOMEM, -ECONNRESET, -ECONNABORTED, and `n` descriptors.
 */
static void receives(fl_stream *s, char *text, size_t size, int *fds, unsigned most, ssize_t rc, unsigned n)
{
	unsigned got = most;
	FL_RC(fl_stream_receive_fds(s, text, size, fds, &got), rc);
	FL_RC(got, n);
}

FL_UNIX_STREAM_TEST(fds_cloexec)
{
	static const unsigned counts[] = {1, 0, 2, MOST};
	int fds[MOST], got[MOST];
	char text[16];
	FL_EACH (i, counts) {
		make_numbered(fds, counts[i]);
		FL_OK(fl_stream_send_fds(a, "hello", 5, fds, counts[i]));
		FL_RC(fl_stream_written(a), 5);
		close_all(fds, counts[i]);
		receives(b, text, sizeof text, got, MOST, 5, counts[i]);
		FL_CHECK(memcmp(text, "hello", 5) == 0);
		check_numbered(got, counts[i]);
	}
	FL_OK(fl_stream_close_write(a));
	receives(b, text, sizeof text, got, MOST, 0, 0);
}

/* A receive ends at the end of the send that has descriptors; earlier bytes may come with it. */
FL_UNIX_STREAM_TEST(stream_fds_of_one_send)
{
	int fds[2], got[2];
	char text[16];
	make_numbered(fds, 2);
	FL_OK(fl_stream_write(a, "-", 1));
	FL_EACH (i, fds)
		FL_OK(fl_stream_send_fds(a, "ab", 2, &fds[i], 1));
	close_all(fds, 2);
	receives(b, text, sizeof text, got, 2, 3, 1);
	FL_CHECK(memcmp(text, "-ab", 3) == 0);
	receives(b, text, 1, got + 1, 1, 1, 1); /* with the first byte */
	receives(b, text, sizeof text, NULL, 0, 1, 0);
	check_numbered(got, 2);
}

/* bug: fds_sent_twice. A write in parts sends them with the first part. */
static ssize_t one_byte_of(int fd, const struct msghdr *message)
{
	struct iovec first = message->msg_iov[0];
	struct msghdr m = *message;
	static unsigned calls;
	if (++calls % 3 == 0)
		return -EINTR;
	first.iov_len = 1;
	m.msg_iov = &first;
	return fl_test_real_net_sys.sendmsg(fd, &m);
}

FL_UNIX_STREAM_TEST(fds_sent_twice)
{
	int fds[3], got[3];
	char text[8];
	make_numbered(fds, 3);
	fl_test_fails_by((struct fl_test_fault){.calls = CALL(recvmsg), .error = -EINTR, .each = 2});
	fl__net_sys.sendmsg = one_byte_of;
	FL_OK(fl_stream_send_fds(a, "eight by", 8, fds, 3));
	FL_RC(fl_stream_written(a), 8);
	close_all(fds, 3);
	receives(b, text, 1, got, 3, 1, 3);
	for (int i = 1; i < 8; i++)
		receives(b, text + i, 1, NULL, 0, 1, 0);
	FL_CHECK(memcmp(text, "eight by", 8) == 0);
	check_numbered(got, 3);
	(void)fl_test_net_faults_end();
}

struct much {
	fl_stream *s;
	int fd;
	size_t size;
};

static int send_much(void *arg)
{
	const struct much *m = arg;
	char *data = calloc(1, m->size);
	int rc = fl_stream_send_fds(m->s, data, m->size, &m->fd, 1);
	free(data);
	return rc;
}

/* More bytes than the socket has room for. */
FL_UNIX_STREAM_TEST(stream_fds_with_many_bytes)
{
	struct much m = {.s = a, .size = 4 << 20};
	char *data = malloc(m.size);
	int got[1];
	unsigned all = 0;
	make_numbered(&m.fd, 1);
	fl_fiber *f = fl_test_start(send_much, &m);
	for (size_t done = 0; done < m.size;) {
		unsigned n = all == 0;
		ssize_t size = fl_stream_receive_fds(b, data, m.size, got, &n);
		FL_CHECK(size > 0);
		done += (size_t)size;
		all += n;
	}
	FL_OK(fl_test_join(f));
	FL_RC(all, 1);
	close_all(&m.fd, 1);
	check_numbered(got, 1);
	free(data);
}

/* bugs: fds_truncated, fds_leak. If not all can be received, all are closed, and the bytes stay. */
static void truncated(fl_stream *a, fl_stream *b)
{
	int fds[4], got[4];
	char text[8];
	make_numbered(fds, 4);
	const unsigned before = fl_test_fds();
	FL_OK(fl_stream_send_fds(a, "one", 3, fds, 4));
	const rlim_t limit = fl_test_limit_fds(2);
	receives(b, text, sizeof text, got, 4, -EMFILE, 0);
	fl_test_unlimit_fds(limit);
	FL_RC(fl_test_fds(), before);
	receives(b, text, sizeof text, got, 4, 3, 0);
	FL_CHECK(memcmp(text, "one", 3) == 0);
	FL_OK(fl_stream_send_fds(a, "two\n", 4, fds, 4));
	receives(b, text, sizeof text, got, 3, -EMSGSIZE, 0);
	FL_RC(fl_test_fds(), before);
	FL_RC(fl_stream_read_line(b, text, sizeof text), 4);
	FL_CHECK(memcmp(text, "two\n", 4) == 0);
	FL_OK(fl_stream_send_fds(a, "three", 5, fds, 4));
	fl__sys.alloc = fl_test_no_memory;
	receives(b, text, sizeof text, NULL, 0, -ENOMEM, 0);
	fl__sys.alloc = fl_test_counting_alloc;
	FL_CHECK(fl_stream_got(b) == 5 && memcmp(text, "three", 5) == 0 && fl_test_fds() == before);
	close_all(fds, 4);
}

FL_TEST(fds_truncated)
{
	fl_test_with_unix_pair(truncated);
}

FL_TEST(fds_leak)
{
	fl_test_with_unix_pair(truncated);
}

/* bug: creds_crowd_fds. Other control messages take no descriptor's place. */
FL_UNIX_STREAM_TEST(creds_crowd_fds)
{
	int fds[MOST], got[MOST], on = 1;
	char byte;
	FL_OK(setsockopt(fl_stream_fd(b), SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
#ifdef SO_PASSPIDFD
	(void)setsockopt(fl_stream_fd(b), SOL_SOCKET, SO_PASSPIDFD, &on, sizeof on);
#endif
	make_numbered(fds, MOST);
	FL_OK(fl_stream_send_fds(a, "x", 1, fds, MOST));
	close_all(fds, MOST);
	receives(b, &byte, 1, got, MOST, 1, MOST);
	check_numbered(got, MOST);
}

/* Descriptors that nothing receives are closed: by another read, or with the stream. */
FL_UNIX_STREAM_TEST(stream_fds_not_received)
{
	int fds[2];
	char text[8];
	make_numbered(fds, 2);
	const unsigned before = fl_test_fds();
	FL_OK(fl_stream_send_fds(a, "line\n", 5, fds, 2));
	FL_RC(fl_stream_read_line(b, text, sizeof text), 5);
	FL_OK(fl_stream_send_fds(a, "line\n", 5, fds, 2));
	FL_RC(fl_stream_read_some(b, text, sizeof text), 5);
	FL_CHECK(fl_test_fds() == before);
	FL_OK(fl_stream_send_fds(a, "left", 4, fds, 2));
	close_all(fds, 2);
}

/* Bytes that another read has buffered come first. */
FL_UNIX_STREAM_TEST(stream_fds_after_a_search)
{
	int fds[1], got[1];
	char text[8];
	FL_OK(fl_stream_write(a, "line\nrest", 9));
	FL_RC(fl_stream_read_line(b, text, sizeof text), 5);
	make_numbered(fds, 1);
	FL_OK(fl_stream_send_fds(a, "x", 1, fds, 1));
	close_all(fds, 1);
	receives(b, text, sizeof text, got, 1, 4, 0);
	receives(b, text, sizeof text, got, 1, 1, 1);
	check_numbered(got, 1);
}

FL_UNIX_STREAM_TEST(stream_fds_errors)
{
	int fds[MOST + 1] = {0}, got[1];
	char byte;
	unsigned n = 1;
	FL_RC(fl_stream_send_fds(a, "x", 0, fds, 1), -EINVAL);
	FL_RC(fl_stream_send_fds(a, "x", 1, fds, MOST + 1), -EINVAL);
	receives(b, &byte, 0, got, 1, -EINVAL, 0);
	FL_RC(fl_stream_send_fds(a, "x", 1, (int[]){0, -1}, 2), -EBADF);
	FL_RC(fl_stream_written(a), 0);
	static const int of_send[][2] = {
	    {-EINVAL, -EINVAL}, {-ETOOMANYREFS, -ETOOMANYREFS}, {-ENOBUFS, -ENOMEM}, {-ENOMEM, -ENOMEM}};
	FL_EACH (i, of_send) {
		fl_test_fails(CALL(sendmsg), of_send[i][0]);
		FL_RC(fl_stream_send_fds(a, "x", 1, fds, 1), of_send[i][1]); /* -ETOOMANYREFS, -ENOMEM */
	}
	(void)fl_test_net_faults_end();
	FL_OK(fl_stream_send_fds(a, "x", 1, fds, 1)); /* none of them ends the connection */
	fl_test_fails(CALL(recvmsg), -ENOBUFS);
	receives(b, &byte, 1, got, 1, -ENOMEM, 0);
	(void)fl_test_net_faults_end();
	receives(b, &byte, 1, got, 1, 1, 1);
	FL_OK(close(got[0]));
	FL_RC(fl_stream_receive_fds_until(b, &byte, 1, got, &n, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(n, 0);
	(void)fl_test_fill(a);
	FL_RC(fl_stream_send_fds_until(a, "x", 1, fds, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_stream_send_fds_until(a, "x", 1, fds, 1, fl_after(FL_US(100)), NULL), -ETIMEDOUT);
	fl_test_fails(CALL(recvmsg), -ECONNRESET);
	receives(b, &byte, 1, got, 1, -ECONNRESET, 0);
	(void)fl_test_net_faults_end();
	fl_stream_abort(b);
	FL_RC(fl_stream_send_fds(a, "x", 1, fds, 1), -EPIPE);
	receives(b, &byte, 1, got, 1, -ECONNABORTED, 0);
}

static int receive_one(void *s)
{
	char byte;
	int fd;
	unsigned n = 1;
	ssize_t got = fl_stream_receive_fds(s, &byte, 1, &fd, &n); /* -ECANCELED */
	FL_CHECK(n == 0);
	return (int)got;
}

static int sends(void *s)
{
	return fl_stream_send_fds(s, "x", 1, (int[]){0}, 1); /* -ECANCELED */
}

FL_UNIX_STREAM_TEST(stream_fds_cancelled)
{
	(void)fl_test_fill(a);
	fl_fiber *sender = fl_test_start(sends, a), *receiver = fl_test_start(receive_one, a);
	char byte;
	int fd;
	unsigned n = 1;
	FL_TEST_UNTIL(fl_test_waits(a, FL__IO_OUT) && fl_test_waits(a, FL__IO_IN));
	FL_RC(fl_stream_send_fds(a, "x", 1, NULL, 0), -EBUSY);
	FL_RC(fl_stream_receive_fds(a, &byte, 1, &fd, &n), -EBUSY);
	fl_fiber_cancel(sender);
	fl_fiber_cancel(receiver);
	FL_RC(fl_test_join(sender), -ECANCELED);
	FL_RC(fl_test_join(receiver), -ECANCELED);
	FL_RC(fl_stream_send_fds_until(a, "x", 1, NULL, 0, FL_FOREVER, fl_test_requested), -ECANCELED);
	n = 1;
	FL_RC(fl_stream_receive_fds_until(a, &byte, 1, &fd, &n, FL_FOREVER, fl_test_requested), -ECANCELED);
}

static void refuse_fds(fl_stream *s)
{
	char byte;
	int fd;
	FL_RC(fl_stream_send_fds(s, "x", 1, (int[]){0}, 1), -ENOTSUP);
	receives(s, &byte, 1, &fd, 1, -ENOTSUP, 0); /* fl_stream_receive_fds() */
	FL_RC(fl_stream_try_write(s, "x", 1), 1);   /* the stream is free again */
	fl_stream_free(s);
}

FL_NET_TEST(stream_fds_only_over_unix_sockets)
{
	int other, terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	refuse_fds(fl_test_tcp_stream(&other));
	FL_OK(close(other));
	if (terminal >= 0)
		refuse_fds(fl_test_stream_of(terminal));
}
