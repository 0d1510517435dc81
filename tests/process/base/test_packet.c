/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_fds.h"
#include "fl_queued.h"

#include "process/base/packet.h"

typedef struct pair {
	int a, b;
} pair;

static pair packet_pair(void)
{
	int sockets[2];
	FL_OK(fl__fd_sys.pair(sockets));
	assert_true(fl_test_is_cloexec(sockets[0]) && fl_test_is_cloexec(sockets[1]));
	return (pair){sockets[0], sockets[1]};
}

/* A text as one packet. */
static int say(int fd, const char *text)
{
	return fl__packet_send(fd, text, strlen(text), NULL, 0, FL_NO_WAIT);
}

/* The next packet, without descriptors. */
static int take(int fd, void *to, size_t room, size_t *size)
{
	return fl__packet_recv(fd, to, room, size, NULL, NULL, FL_FOREVER);
}

static int try_take(int fd, void *to, size_t room, size_t *size)
{
	return fl__packet_recv(fd, to, room, size, NULL, NULL, FL_NO_WAIT);
}

static void end_pair(pair p)
{
	FL_OK(close(p.a));
	FL_OK(close(p.b));
}

FL_TEST(packet_comes_as_it_was_sent)
{
	pair p = packet_pair();
	char got[64];
	size_t size = 0;
	FL_OK(say(p.a, "one"));
	FL_OK(fl__packet_send(p.a, "three", 5, NULL, 0, FL_FOREVER));
	FL_OK(say(p.b, "back"));
	FL_OK(try_take(p.b, got, sizeof got, &size));
	assert_int_equal(size, 3);
	assert_memory_equal(got, "one", 3);
	FL_OK(take(p.b, got, 5, &size));
	assert_int_equal(size, 5);
	assert_memory_equal(got, "three", 5);
	FL_OK(try_take(p.a, got, sizeof got, &size));
	assert_memory_equal(got, "back", 4);
	FL_RC(try_take(p.a, got, sizeof got, &size), -ETIMEDOUT);
	FL_RC(fl__packet_recv(p.a, got, sizeof got, &size, NULL, NULL, fl_test_soon()), -ETIMEDOUT);
	FL_RC(fl__packet_send(p.a, "", 0, NULL, 0, FL_NO_WAIT), -EINVAL);
	end_pair(p);
}

FL_TEST(packet_passes_descriptors)
{
	pair p = packet_pair();
	unsigned before = fl_test_fds();
	int pipe_ends[2], got[FL__PACKET_FDS], many[FL__PACKET_FDS + 1];
	char byte;
	size_t size;
	unsigned n = 2;
	FL_OK(pipe(pipe_ends));
	FL_OK(fl__packet_send(p.a, "x", 1, pipe_ends, 2, FL_NO_WAIT));
	FL_OK(fl__packet_recv(p.b, &byte, 1, &size, got, &n, FL_NO_WAIT));
	assert_int_equal(n, 2);
	FL_EACH (i, pipe_ends) {
		assert_true(fl_test_is_cloexec(got[i]));
		assert_true(fl_test_same_file(got[i], pipe_ends[i]));
	}
	fl__fds_close(got, 2);
	for (int i = 0; i <= FL__PACKET_FDS; i++)
		many[i] = pipe_ends[i % 2];
	FL_RC(fl__packet_send(p.a, "x", 1, many, FL__PACKET_FDS + 1, FL_NO_WAIT), -EINVAL);
	FL_OK(fl__packet_send(p.a, "x", 1, many, FL__PACKET_FDS, FL_NO_WAIT));
	n = FL__PACKET_FDS;
	FL_OK(fl__packet_recv(p.b, &byte, 1, &size, got, &n, FL_NO_WAIT));
	assert_int_equal(n, FL__PACKET_FDS);
	fl__fds_close(got, n);
	fl__fds_close(pipe_ends, 2);
	FL_RC(fl__packet_send(p.a, "x", 1, pipe_ends, 1, FL_NO_WAIT), -EBADF);
	assert_int_equal(fl_test_fds(), before);
	end_pair(p);
}

/* Descriptors that are not received are closed, and none leaks. */
FL_TEST(packet_without_room_leaks_nothing)
{
	pair p = packet_pair();
	unsigned before = fl_test_fds();
	const int fds[] = {0, 0, 0};
	int got[3];
	char bytes[8];
	size_t size;
	unsigned n = 2;
	FL_OK(fl__packet_send(p.a, "12345678", 8, fds, 3, FL_NO_WAIT));
	FL_RC(fl__packet_recv(p.b, bytes, 8, &size, got, &n, FL_NO_WAIT), -EMFILE);
	FL_OK(fl__packet_send(p.a, "12345678", 8, fds, 1, FL_NO_WAIT));
	FL_RC(try_take(p.b, bytes, 8, &size), -EMFILE);
	n = 3;
	FL_OK(fl__packet_send(p.a, "12345678", 8, fds, 3, FL_NO_WAIT));
	FL_RC(fl__packet_recv(p.b, bytes, 7, &size, got, &n, FL_NO_WAIT), -EMSGSIZE);
	FL_OK(fl__packet_send(p.a, "12345678", 8, fds, 3, FL_NO_WAIT));
	FL_RC(fl__packet_recv(p.b, NULL, 0, &size, got, &n, FL_NO_WAIT), -EMSGSIZE);
	assert_int_equal(fl_test_fds(), before);
	FL_RC(try_take(p.b, bytes, 8, &size), -ETIMEDOUT);
	end_pair(p);
}

FL_TEST(packet_truncated_descriptors_are_closed)
{
	pair p = packet_pair();
	const int fds[] = {0, 0, 0};
	int got[3];
	char byte;
	size_t size;
	unsigned n = 3, before = fl_test_fds();
	FL_OK(fl__packet_send(p.a, "x", 1, fds, 3, FL_NO_WAIT));
	rlim_t limit = fl_test_limit_fds(2);
	int rc = fl__packet_recv(p.b, &byte, 1, &size, got, &n, FL_NO_WAIT);
	fl_test_unlimit_fds(limit);
	FL_RC(rc, -EMFILE);
	assert_int_equal(fl_test_fds(), before);
	end_pair(p);
}

/*
 * The end of a peer with an unread packet is a reset. The reset is reported once, and before data
 * that can still be received: for a receiver it is no end.
 */
FL_TEST(packet_peer_closed)
{
	FL_BOTH (sends) {
		pair p = packet_pair();
		char bytes[4];
		size_t size;
		FL_OK(say(p.b, "last"));
		FL_OK(say(p.a, "unread"));
		FL_OK(close(p.b));
		if (sends)
			FL_RC(say(p.a, "x"), -EPIPE); /* and no SIGPIPE */
		FL_OK(take(p.a, bytes, 4, &size));
		assert_memory_equal(bytes, "last", 4);
		for (int i = 0; i < 2; i++)
			FL_RC(take(p.a, bytes, 4, &size), -EPIPE);
		FL_RC(fl__packet_send(p.a, "x", 1, NULL, 0, FL_FOREVER), -EPIPE);
		FL_OK(close(p.a));
	}
}

/* recvmsg() answers 0 for both. */
FL_TEST(packet_empty_one_is_no_end)
{
	pair p = packet_pair();
	unsigned before = fl_test_fds();
	char bytes[4];
	size_t size;
	struct iovec no_bytes = {NULL, 0}; /* not no parts: qemu-user would send nothing at all */
	struct msghdr nothing = {.msg_iov = &no_bytes, .msg_iovlen = 1};
	assert_int_equal(fl__net_sys.sendmsg(p.a, &nothing), 0);
	FL_RC(take(p.b, bytes, 4, &size), -EBADMSG);
	FL_OK(fl__packet_try_send(p.a, &no_bytes, 1, (const int[]){0}, 1));
	FL_OK(say(p.a, "more"));
	FL_OK(close(p.a));
	FL_RC(take(p.b, bytes, 4, &size), -EBADMSG);
	assert_int_equal(fl_test_fds(), before - 1);
	FL_OK(take(p.b, bytes, 4, &size));
	FL_RC(take(p.b, bytes, 4, &size), -EPIPE);
	FL_OK(close(p.b));
}

static ssize_t (*real_receive)(int socket, struct msghdr *message, int flags);
static unsigned early_ends;

/*
 * A recvmsg() that found nothing, and the end, because the peer sent its last packet and closed in
 * between.
 */
static ssize_t early_end(int socket, struct msghdr *message, int flags)
{
	if (early_ends == 0)
		return real_receive(socket, message, flags);
	early_ends--;
	message->msg_flags = 0;
	message->msg_controllen = 0;
	return 0;
}

FL_TEST(packet_end_told_before_the_last_packet)
{
	pair p = packet_pair();
	char bytes[4];
	size_t size;
	for (int i = 0; i < 2; i++)
		FL_OK(say(p.a, "last"));
	FL_OK(close(p.a));
	real_receive = fl__net_sys.recvmsg;
	fl__net_sys.recvmsg = early_end;
	early_ends = 2;
	FL_OK(take(p.b, bytes, 4, &size));
	assert_int_equal(early_ends, 0);
	assert_memory_equal(bytes, "last", 4);
	early_ends = 1;
	const rlim_t before = fl_test_limit(RLIMIT_NOFILE, 0); /* the kernel refuses poll() */
	const int rc = take(p.b, bytes, 4, &size);
	(void)fl_test_limit(RLIMIT_NOFILE, before);
	FL_OK(rc);
	early_ends = 1;
	FL_RC(take(p.b, bytes, 4, &size), -EPIPE);
	fl__net_sys.recvmsg = real_receive;
	FL_OK(close(p.b));
}

static unsigned fill(int socket)
{
	static char block[4096];
	unsigned n = 0;
	while (fl__packet_send(socket, block, sizeof block, NULL, 0, FL_NO_WAIT) == 0)
		n++;
	return n;
}

FL_TEST(packet_full_socket)
{
	static char huge[8 << 20];
	pair p = packet_pair();
	char block[4096];
	size_t size;
	FL_RC(fl__packet_send(p.a, huge, sizeof huge, NULL, 0, FL_FOREVER), -EMSGSIZE);
	unsigned n = fill(p.a);
	assert_true(n > 0);
	FL_RC(say(p.a, "x"), -ETIMEDOUT);
	FL_RC(fl__packet_try_send(p.a, &(struct iovec){block, 1}, 1, NULL, 0), -EAGAIN);
	for (unsigned i = 0; i < n; i++)
		FL_OK(try_take(p.b, block, sizeof block, &size));
	FL_OK(say(p.a, "x"));
	end_pair(p);
}

FL_CALL(send_one)
{
	return fl__packet_send(*(int *)object, "x", 1, NULL, 0, deadline);
}

/* No state of the library's shows that it waits; with or without it, the packet arrives. */
FL_TEST(packet_send_waits_for_space)
{
	pair p = packet_pair();
	char block[4096];
	size_t size;
	unsigned n = fill(p.a);
	fl_test_caller c;
	fl_test_call_start(&c, send_one, &p.a, FL_FOREVER, NULL);
	for (unsigned i = 0; i < n; i++)
		FL_OK(take(p.b, block, sizeof block, &size));
	FL_OK(take(p.b, block, sizeof block, &size));
	assert_int_equal(size, 1);
	FL_OK(fl_test_call_end(&c));
	end_pair(p);
}

static ssize_t strike_send(int socket, const struct msghdr *message)
{
	static int turn;
	return ++turn % 3 ? -EINTR : fl_test_real_net_sys.sendmsg(socket, message);
}

static ssize_t strike_receive(int socket, struct msghdr *message, int flags)
{
	static int turn;
	++turn;
	return turn % 3 == 1   ? -EINTR
	       : turn % 3 == 2 ? -ECONNRESET
	                       : fl_test_real_net_sys.recvmsg(socket, message, flags);
}

static ssize_t no_buffers(int socket, const struct msghdr *message)
{
	return -ENOBUFS;
}

static ssize_t no_memory(int socket, struct msghdr *message, int flags)
{
	return -ENOMEM;
}

FL_TEST(packet_faults)
{
	FL_FD_FAULTS();
	pair p = packet_pair();
	char byte;
	size_t size;
	fl__net_sys.sendmsg = strike_send;
	fl__net_sys.recvmsg = strike_receive;
	FL_OK(say(p.a, "x"));
	FL_OK(try_take(p.b, &byte, 1, &size));
	fl__net_sys.sendmsg = no_buffers;
	fl__net_sys.recvmsg = no_memory;
	FL_RC(say(p.a, "x"), -ENOBUFS);
	FL_RC(try_take(p.b, &byte, 1, &size), -ENOMEM);
	end_pair(p);
}
