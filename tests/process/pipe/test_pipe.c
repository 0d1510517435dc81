/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_pipes.h"

FL_TEST(pipe_both_ways)
{
	FL_TEST_PIPE(e);
	char got[16];
	size_t size;
	unsigned n = 0;
	FL_OK(fl_pipe_send(e.a, "one", 3));
	FL_OK(fl_pipe_send_until(e.a, "two", 3, FL_NO_WAIT, FL_SHIELDED));
	FL_OK(fl_pipe_send_until(e.a, "three", 5, FL_NO_WAIT, NULL));
	FL_OK(fl_pipe_send(e.b, "back", 4));
	FL_OK(fl_pipe_receive(e.b, got, sizeof got, &size));
	assert_int_equal(size, 3);
	assert_memory_equal(got, "one", 3);
	FL_OK(fl_pipe_receive_until(e.b, got, 3, &size, FL_NO_WAIT, FL_SHIELDED));
	assert_memory_equal(got, "two", 3);
	FL_OK(fl_pipe_receive_until(e.b, got, sizeof got, &size, FL_NO_WAIT, NULL));
	assert_memory_equal(got, "three", 5);
	FL_OK(fl_pipe_receive_fds(e.a, got, sizeof got, &size, NULL, &n));
	assert_memory_equal(got, "back", 4);
	FL_RC(fl_pipe_receive_until(e.a, got, sizeof got, &size, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_pipe_receive_until(e.b, got, sizeof got, &size, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	assert_true(fl_test_is_cloexec(fl_pipe_fd(e.a)) && fl_test_is_cloexec(fl_pipe_fd(e.b)));
	fl_pipe_free(NULL);
}

FL_TEST(pipe_empty_message_is_no_end)
{
	FL_TEST_PIPE(e);
	char got[4];
	size_t size = 9;
	FL_OK(fl_pipe_send(e.a, NULL, 0));
	FL_OK(fl_pipe_send(e.a, "", 0));
	fl_test_says(e.a, "end");
	FL_OK(fl_pipe_receive(e.b, NULL, 0, &size));
	assert_int_equal(size, 0);
	FL_OK(fl_pipe_receive(e.b, got, sizeof got, &size));
	assert_int_equal(size, 0);
	fl_test_gets(e.b, "end");
}

/* processes.md: pipe peer closed: drain, then EOF; send: EPIPE. */
FL_TEST(pipe_peer_closed)
{
	FL_BOTH (unread) {
		fl_test_pipe_ends e = fl_test_pipe();
		char got[16];
		size_t size;
		unsigned n = 0;
		fl_test_says(e.a, "one");
		fl_test_says(e.a, "two");
		if (unread)
			fl_test_says(e.b, "nobody reads this");
		fl_pipe_free(e.a);
		fl_test_gets(e.b, "one");
		fl_test_gets(e.b, "two");
		for (int i = 0; i < 2; i++) {
			FL_RC(fl_pipe_receive(e.b, got, sizeof got, &size), -EPIPE);
			FL_RC(fl_pipe_receive_until(e.b, got, sizeof got, &size, FL_NO_WAIT, FL_SHIELDED), -EPIPE);
			FL_RC(fl_pipe_receive_until(e.b, got, sizeof got, &size, FL_FOREVER, NULL), -EPIPE);
			FL_RC(fl_pipe_receive_fds(e.b, got, sizeof got, &size, NULL, &n), -EPIPE);
			FL_RC(fl_pipe_send(e.b, "x", 1), -EPIPE);
			FL_RC(fl_pipe_send_until(e.b, "x", 1, FL_NO_WAIT, FL_SHIELDED), -EPIPE);
			FL_RC(fl_pipe_send_until(e.b, "x", 1, FL_FOREVER, NULL), -EPIPE);
			FL_RC(fl_pipe_send_fds(e.b, "x", 1, NULL, 0), -EPIPE);
		}
		FL_RC(FL_WAIT_ANY(FL_ON_PIPE(e.b)), 0);
		FL_RC(FL_WAIT_ANY(FL_ON_PIPE_SPACE(e.b)), 0);
		fl_pipe_free(e.b);
	}
}

FL_TEST(pipe_send_sees_a_reset_as_closed)
{
	fl_test_pipe_ends e = fl_test_pipe();
	fl_test_says(e.b, "nobody reads this");
	fl_pipe_free(e.a);
	FL_RC(fl_pipe_send(e.b, "x", 1), -EPIPE); /* the first call after it */
	fl_pipe_free(e.b);
}

FL_TEST(pipe_one_way)
{
	fl_pipe *in = NULL, *out = NULL;
	char got[16];
	size_t size;
	FL_OK(fl_pipe_create(&in, &out, &(fl_pipe_config){.one_way = true}));
	fl_test_says(out, "this way");
	fl_test_gets(in, "this way");
	FL_RC(fl_pipe_send(in, "x", 1), -EPIPE);
	FL_RC(fl_pipe_receive(out, got, sizeof got, &size), -EPIPE);
	FL_RC(fl_pipe_receive_until(in, got, sizeof got, &size, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	fl_test_says(out, "still");
	fl_test_gets(in, "still");
	fl_pipe_free(in);
	FL_RC(fl_pipe_send(out, "x", 1), -EPIPE);
	fl_pipe_free(out);
}

FL_TEST(pipe_close_send)
{
	FL_TEST_PIPE(e);
	char got[16];
	size_t size;
	fl_test_says(e.a, "last");
	fl_pipe_close_write(e.a);
	fl_pipe_close_write(e.a);
	FL_RC(fl_pipe_send(e.a, "x", 1), -EPIPE);
	fl_test_gets(e.b, "last");
	FL_RC(fl_pipe_receive(e.b, got, sizeof got, &size), -EPIPE);
	fl_test_says(e.b, "the other way goes on");
	fl_test_gets(e.a, "the other way goes on");
}

FL_TEST(pipe_small_buffer_leaves_the_message)
{
	const size_t sizes[] = {6, 64 << 10, (64 << 10) + 1, 300000};
	for (int i = 0; i < 4; i++) {
		FL_TEST_PIPE(e);
		size_t size = 0;
		unsigned n = 0;
		FL_TEST_BYTES(sent, got, sizes[i]);
		FL_OK(fl_pipe_send(e.a, sent, sizes[i]));
		fl_test_says(e.a, "behind it");
		FL_RC(fl_pipe_receive(e.b, NULL, 0, &size), -EMSGSIZE);
		assert_int_equal(size, sizes[i]);
		size = 0;
		FL_RC(fl_pipe_receive_until(e.b, got, sizes[i] - 1, &size, FL_NO_WAIT, FL_SHIELDED), -EMSGSIZE);
		assert_int_equal(size, sizes[i]);
		FL_RC(fl_pipe_receive_until(e.b, got, 1, &size, FL_FOREVER, NULL), -EMSGSIZE);
		FL_RC(fl_pipe_receive_fds(e.b, got, sizes[i] - 1, &size, NULL, &n), -EMSGSIZE);
		FL_OK(fl_pipe_receive(e.b, got, sizes[i], &size));
		assert_int_equal(size, sizes[i]);
		assert_memory_equal(sent, got, size);
		fl_test_gets(e.b, "behind it");
	}
}

FL_TEST(pipe_64_mib)
{
	enum { SIZE = 64 << 20 };
	FL_TEST_PIPE(e);
	unsigned before = fl_test_fds();
	FL_TEST_BYTES(sent, got, SIZE);
	size_t size = 0;
	FL_OK(fl_pipe_send(e.a, sent, SIZE));
	FL_OK(fl_pipe_receive(e.b, got, SIZE, &size));
	assert_int_equal(size, SIZE);
	assert_true(memcmp(sent, got, SIZE) == 0);
	memset(got, 0, SIZE);
	FL_OK(fl_pipe_send(e.b, sent, SIZE)); /* and back */
	FL_OK(fl_pipe_receive(e.a, got, SIZE, &size));
	assert_true(size == SIZE && memcmp(sent, got, SIZE) == 0);
	assert_int_equal(fl_test_fds(), before);
	FL_RC(fl_pipe_send(e.a, sent, (size_t)PTRDIFF_MAX + 1), -EMSGSIZE);
	FL_RC(fl_pipe_send(e.a, NULL, 1), -EINVAL);
	FL_RC(fl_pipe_send(e.a, NULL, 1 << 20), -EINVAL);
	FL_RC(fl_pipe_send_fds(e.a, "x", 1, NULL, 1), -EINVAL);
}

FL_TEST(pipe_passes_descriptors)
{
	FL_TEST_PIPE(e);
	FL_TEST_FDS_STAY();
	int files[2], got[2];
	size_t sizes[] = {3, 100000}, size;
	FL_TEST_BYTES(bytes, back, 100000);
	FL_OK(pipe(files));
	for (int i = 0; i < 2; i++) {
		unsigned n = 2;
		FL_OK(fl_pipe_send_fds(e.a, bytes, sizes[i], files, 2));
		FL_OK(fl_pipe_receive_fds(e.b, back, 100000, &size, got, &n));
		assert_int_equal(n, 2);
		assert_int_equal(size, sizes[i]);
		assert_memory_equal(bytes, back, size);
		FL_EACH (f, got)
			assert_true(fl_test_is_cloexec(got[f]) && fl_test_same_file(got[f], files[f]));
		fl__fds_close(got, 2);
		FL_OK(fl_pipe_send_fds_until(e.a, bytes, sizes[i], files, 1, FL_NO_WAIT, NULL));
		n = 2;
		FL_OK(fl_pipe_receive_fds_until(e.b, back, 100000, &size, got, &n, FL_NO_WAIT, NULL));
		assert_int_equal(n, 1);
		fl__fds_close(got, n);
		FL_OK(fl_pipe_send_fds(e.a, bytes, sizes[i], files, 0));
		n = 2;
		FL_OK(fl_pipe_receive_fds(e.b, back, 100000, &size, got, &n));
		assert_int_equal(n, 0);
	}
	fl__fds_close(files, 2);
	FL_RC(fl_pipe_send_fds(e.a, "x", 1, files, 1), -EBADF);
}

FL_TEST(pipe_descriptors_without_room_stay)
{
	FL_TEST_PIPE(e);
	unsigned before = fl_test_fds(), n = 1;
	const int files[] = {0, 1, 2};
	int got[3];
	char byte;
	size_t size = 0;
	FL_OK(fl_pipe_send_fds(e.a, "x", 1, files, 3));
	FL_RC(fl_pipe_receive(e.b, &byte, 1, &size), -EMSGSIZE);
	assert_int_equal(size, 1); /* so it is the descriptors */
	FL_RC(fl_pipe_receive_fds(e.b, &byte, 1, &size, got, &n), -EMSGSIZE);
	assert_int_equal(n, 3);
	FL_RC(fl_pipe_receive_fds(e.b, &byte, 0, &size, got, &n), -EMSGSIZE);
	assert_int_equal(fl_test_fds(), before);
	FL_OK(fl_pipe_receive_fds(e.b, &byte, 1, &size, got, &n));
	assert_int_equal(n, 3);
	fl__fds_close(got, 3);
	assert_int_equal(fl_test_fds(), before);
}

FL_TEST(pipe_most_descriptors)
{
	FL_TEST_PIPE(e);
	int files[FL_PIPE_FDS_MAX + 1] = {0}, got[FL_PIPE_FDS_MAX];
	unsigned n = FL_PIPE_FDS_MAX, before = fl_test_fds();
	FL_TEST_BYTES(bytes, back, 70000);
	size_t size;
	FL_RC(fl_pipe_send_fds(e.a, "x", 1, files, FL_PIPE_FDS_MAX + 1), -EINVAL);
	FL_OK(fl_pipe_send_fds(e.a, bytes, 70000, files, FL_PIPE_FDS_MAX));
	FL_OK(fl_pipe_receive_fds(e.b, back, 70000, &size, got, &n));
	assert_int_equal(n, FL_PIPE_FDS_MAX);
	assert_memory_equal(bytes, back, 70000);
	fl__fds_close(got, n);
	assert_int_equal(fl_test_fds(), before);
}

FL_TEST(pipe_from_fd_of_what_is_none)
{
	fl_test_pipe_ends e = fl_test_pipe();
	fl_pipe *p = NULL;
	int stream[2], files[2], lone = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	FL_OK(pipe(files));
	FL_RC(fl_pipe_from_fd(&p, -1), -EBADF);
	FL_RC(fl_pipe_from_fd(&p, files[0]), -ENOTSOCK);
	FL_RC(fl_pipe_from_fd(&p, stream[0]), -EINVAL);
	FL_RC(fl_pipe_from_fd(&p, lone), -EINVAL);
	assert_null(p);
	fl__fds_close(stream, 2);
	fl__fds_close(files, 2);
	fl__fds_close(&lone, 1);

	int copy = dup(fl_pipe_fd(e.b));
	FL_OK(fl_pipe_from_fd(&p, copy));
	assert_int_equal(fl_pipe_fd(p), copy);
	assert_true(fl_test_is_cloexec(copy));
	fl_pipe_free(e.b);
	fl_test_says(e.a, "to the copy");
	fl_pipe_free(e.a);
	copy = dup(fl_pipe_fd(p));
	fl_pipe_free(p);
	FL_OK(fl_pipe_from_fd(&p, copy)); /* the peer is closed: still one */
	fl_test_gets(p, "to the copy");
	fl_pipe_free(p);
}

FL_TEST(pipe_full)
{
	FL_TEST_PIPE(e);
	char *large = fl_test_bytes(100000);
	unsigned n = fl_test_fill(e.a);
	assert_true(n >= 64);
	FL_RC(fl_pipe_send_until(e.a, "x", 1, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_pipe_send_until(e.a, large, 100000, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_pipe_send_until(e.a, "x", 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_pipe_send_until(e.a, large, 100000, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_pipe_send_fds_until(e.a, "x", 1, NULL, 0, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_PIPE_SPACE(e.a)), -ETIMEDOUT);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_PIPE_SPACE(e.b)), 0);
	fl_test_drain(e.b, n);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_PIPE_SPACE(e.a)), 0);
	fl_test_says(e.a, "x");
	fl_test_gets(e.b, "x");
	free(large);
}

/* Large messages: the socket does not count their bytes; they reach the limit, too. */
FL_TEST(pipe_full_of_large_messages)
{
	enum { SIZE = 70000 };
	FL_TEST_PIPE(e);
	FL_TEST_BYTES(bytes, got, SIZE);
	unsigned n = 0, before = fl_test_fds();
	size_t size;
	int rc;
	while ((rc = fl_pipe_send_until(e.a, bytes, SIZE, FL_NO_WAIT, FL_SHIELDED)) == 0)
		n++;
	FL_RC(rc, -ETIMEDOUT);
	assert_true(n >= 12 && n <= 400);
	do {
		FL_OK(fl_pipe_receive(e.b, got, SIZE, &size));
		assert_true(size == SIZE && memcmp(bytes, got, SIZE) == 0);
	} while (--n > 0);
	assert_int_equal(fl_test_fds(), before);
}

FL_TEST(pipe_thousand_leak_nothing)
{
	FL_TEST_FDS_STAY();
	for (int i = 0; i < 1000; i++) {
		FL_TEST_PIPE(e);
		fl_test_says(e.a, "x");
		FL_OK(fl_pipe_send_fds(e.a, "y", 1, (const int[]){0}, 1)); /* never received */
		fl_test_gets(e.b, "x");
	}
}

FL_TEST(pipe_leaves_errno)
{
	FL_TEST_PIPE(e);
	char got[4];
	size_t size;
	errno = 4711;
	FL_RC(fl_pipe_receive_until(e.a, got, sizeof got, &size, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(errno, 4711);
}
