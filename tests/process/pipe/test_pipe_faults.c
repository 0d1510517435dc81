/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes when the system refuses, when the other side sends invalid data, and when another process
 * comes between.
 */
#include "fl_faults.h"
#include "fl_pipes.h"

enum { BIG = 70000 };

/* ---- faults */

static unsigned strikes;

static ssize_t interrupted_send(int socket, const struct msghdr *message)
{
	return ++strikes % 3 ? -EINTR : fl_test_real_net_sys.sendmsg(socket, message);
}

static ssize_t interrupted_receive(int socket, struct msghdr *message, int flags)
{
	return ++strikes % 3 ? -EINTR : fl_test_real_net_sys.recvmsg(socket, message, flags);
}

static ssize_t piecemeal_write(int fd, const void *data, size_t size, off_t at)
{
	return ++strikes % 3 ? -EINTR : fl_test_real_fd_sys.write_at(fd, data, size < 5000 ? size : 5000, at);
}

static ssize_t piecemeal_read(int fd, void *data, size_t size, off_t at)
{
	return ++strikes % 3 ? -EINTR : fl_test_real_fd_sys.read_at(fd, data, size < 5000 ? size : 5000, at);
}

static int busy_seal(int fd)
{
	return ++strikes % 3 ? -EBUSY : fl_test_real_fd_sys.seal(fd);
}

FL_TEST(pipe_interrupted_everywhere)
{
	FL_FD_FAULTS();
	FL_TEST_PIPE(e);
	FL_TEST_BYTES(sent, got, BIG);
	size_t size;
	fl__net_sys.sendmsg = interrupted_send;
	fl__net_sys.recvmsg = interrupted_receive;
	fl__fd_sys.write_at = piecemeal_write;
	fl__fd_sys.read_at = piecemeal_read;
	fl__fd_sys.seal = busy_seal;
	fl_test_says(e.a, "x");
	fl_test_gets(e.b, "x");
	FL_OK(fl_pipe_send(e.a, sent, BIG));
	FL_OK(fl_pipe_receive(e.b, got, BIG, &size));
	assert_memory_equal(sent, got, BIG);
}

static ssize_t no_room_for_small(int socket, const struct msghdr *message)
{
	static const int errors[] = {-ENOBUFS, -EMSGSIZE};
	if (message->msg_iovlen > 1)
		return errors[strikes++ % 2];
	return fl_test_real_net_sys.sendmsg(socket, message);
}

/* Also a small message goes as a large one when the socket does not take it. */
FL_TEST(pipe_adapts_to_the_socket)
{
	FL_NEEDS(FL_TEST_MEMFD);
	FL_FD_FAULTS();
	fl_test_pipe_ends e = fl_test_pipe();
	fl__net_sys.sendmsg = no_room_for_small;
	for (int i = 0; i < 2; i++) {
		fl_test_says(e.a, "as a large one");
		fl_test_gets(e.b, "as a large one");
		FL_OK(fl_pipe_send(e.a, NULL, 0));
		fl_test_gets(e.b, "");
	}
	fl_test_pipe_end(e);

	e = fl_test_pipe();
	fl_test_fd_faults_end();
	int least = 1; /* the kernel makes it a few KiB */
	FL_OK(setsockopt(fl_pipe_fd(e.a), SOL_SOCKET, SO_SNDBUF, &least, sizeof least));
	FL_TEST_BYTES(sent, got, 60000);
	size_t size;
	FL_OK(fl_pipe_send(e.a, sent, 60000));
	FL_OK(fl_pipe_receive(e.b, got, 60000, &size));
	assert_true(size == 60000 && memcmp(sent, got, size) == 0);
	fl_test_pipe_end(e);
}

static ssize_t no_buffers(int socket, const struct msghdr *message)
{
	return -ENOBUFS;
}

static ssize_t too_many_on_their_way(int socket, const struct msghdr *message)
{
	return -ETOOMANYREFS;
}

static ssize_t no_space(int fd, const void *data, size_t size, off_t at)
{
	return -ENOSPC;
}

static int no_file(void)
{
	return -ENFILE;
}

FL_TEST(pipe_send_fails)
{
	FL_FD_FAULTS();
	FL_TEST_PIPE(e);
	char *bytes = fl_test_bytes(BIG);
	unsigned before = fl_test_fds();
	size_t size;
	fl__fd_sys.memfd = fl_test_no_descriptor;
	FL_RC(fl_pipe_send(e.a, bytes, BIG), -EMFILE);
	fl__fd_sys.memfd = no_file;
	FL_RC(fl_pipe_send(e.a, bytes, BIG), -ENFILE);
	fl__fd_sys.memfd = fl_test_no_memory_fd;
	FL_RC(fl_pipe_send(e.a, bytes, BIG), -ENOMEM);
	fl_test_fd_faults_end();
	fl__fd_sys.write_at = no_space;
	FL_RC(fl_pipe_send(e.a, bytes, BIG), -ENOMEM);
	fl_test_fd_faults_end();
	fl__net_sys.sendmsg = no_buffers;
	FL_RC(fl_pipe_send(e.a, bytes, BIG), -ENOMEM);
	FL_RC(fl_pipe_send(e.a, "x", 1), -ENOMEM);
	fl__net_sys.sendmsg = too_many_on_their_way;
	FL_RC(fl_pipe_send(e.a, bytes, BIG), -ETOOMANYREFS);
	fl_test_fd_faults_end();
	assert_int_equal(fl_test_fds(), before);
	FL_RC(fl_pipe_receive_until(e.b, bytes, BIG, &size, FL_NO_WAIT, FL_SHIELDED),
	      -ETIMEDOUT); /* nothing was sent */
	free(bytes);
}

/* Above the limit for files the kernel would raise SIGXFSZ, which ends the process. */
FL_TEST(pipe_above_the_limit_for_files)
{
	FL_NEEDS(FL_TEST_MEMFD);
	static const rlim_t limits[] = {0, 4096, BIG - 1};
	FL_TEST_PIPE(e);
	char *bytes = fl_test_bytes(BIG);
	FL_EACH (i, limits) {
		const rlim_t before = fl_test_limit(RLIMIT_FSIZE, limits[i]);
		const int big = fl_pipe_send(e.a, bytes, BIG), small = fl_pipe_send(e.a, "small", 5);
		(void)fl_test_limit(RLIMIT_FSIZE, before);
		assert_int_equal(big, -EFBIG);
		FL_OK(small);
		fl_test_gets(e.b, "small");
	}
	free(bytes);
}

static int no_pair(int sockets[2])
{
	return (const int[]){-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM}[strikes++ % 4];
}

static void *no_map(size_t size)
{
	return NULL;
}

FL_TEST(pipe_create_fails)
{
	FL_FAULTS();
	FL_FD_FAULTS();
	fl_pipe *a = NULL, *b = NULL;
	FL_TEST_PIPE(e);
	FL_TEST_FDS_STAY();
	fl__fd_sys.pair = no_pair;
	strikes = 0;
	FL_RC(fl_pipe_create(&a, &b, NULL), -EMFILE);
	FL_RC(fl_pipe_create(&a, &b, NULL), -ENFILE);
	FL_RC(fl_pipe_create(&a, &b, NULL), -ENOMEM);
	FL_RC(fl_pipe_create(&a, &b, NULL), -ENOMEM);
	fl_test_fd_faults_end();
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_pipe_create(&a, &b, NULL), -ENOMEM);
	FL_RC(fl_pipe_from_fd(&a, fl_pipe_fd(e.a)), -ENOMEM);
	fl_test_faults_end();
	fl__sys.map = no_map;
	FL_RC(fl_pipe_create(&a, &b, NULL), -ENOMEM);
	FL_RC(fl_pipe_from_fd(&a, fl_pipe_fd(e.a)), -ENOMEM);
	assert_null(a);
	assert_null(b);
}

static ssize_t no_memory(int socket, struct msghdr *message, int flags)
{
	return -ENOMEM;
}

static ssize_t unreadable(int fd, void *data, size_t size, off_t at)
{
	return -ENOMEM;
}

FL_TEST(pipe_recv_fails)
{
	FL_FD_FAULTS();
	FL_TEST_PIPE(e);
	unsigned before = fl_test_fds(), n = 1;
	char *bytes = fl_test_bytes(BIG);
	int got;
	size_t size;
	fl_test_says(e.a, "stays");
	fl__net_sys.recvmsg = no_memory;
	FL_RC(fl_pipe_receive(e.b, bytes, BIG, &size), -ENOMEM);
	fl_test_fd_faults_end();
	fl_test_gets(e.b, "stays");
	FL_OK(fl_pipe_send_fds(e.a, bytes, BIG, (const int[]){0}, 1));
	fl__fd_sys.read_at = unreadable;
	FL_RC(fl_pipe_receive_fds(e.b, bytes, BIG, &size, &got, &n), -EIO);
	FL_OK(fl_pipe_send(e.a, bytes, BIG));
	FL_RC(fl_pipe_receive(e.b, bytes, BIG, &size), -EIO);
	FL_RC(fl_pipe_receive_until(e.b, bytes, BIG, &size, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	assert_int_equal(fl_test_fds(), before);
	free(bytes);
}

/* ---- no room for descriptors in this process */

FL_TEST(pipe_recv_without_descriptors_left)
{
	FL_TEST_PIPE(e);
	unsigned before = fl_test_fds(), n;
	FL_TEST_BYTES(bytes, back, BIG);
	int got[3];
	size_t size;
	for (unsigned room = 0; room <= 4; room++) {
		/* 4 with that of the bytes. */
		FL_OK(fl_pipe_send_fds(e.a, bytes, BIG, (const int[]){0, 1, 2}, 3));
		n = 3;
		rlim_t limit = fl_test_limit_fds(room);
		int rc = fl_pipe_receive_fds(e.b, back, BIG, &size, got, &n);
		fl_test_unlimit_fds(limit);
		if (room < 4) {
			FL_RC(rc, -EMFILE);
			assert_int_equal(fl_test_fds(), before);
			FL_OK(fl_pipe_receive_fds(e.b, back, BIG, &size, got, &n)); /* it has stayed */
		} else {
			FL_OK(rc); /* not room for duplicates, but for each once */
		}
		assert_int_equal(n, 3);
		assert_int_equal(size, BIG);
		assert_memory_equal(bytes, back, BIG);
		FL_EACH (i, got)
			assert_true(fl_test_same_file(got[i], i));
		fl__fds_close(got, 3);
		assert_int_equal(fl_test_fds(), before);
	}
	FL_OK(fl_pipe_send(e.a, bytes, BIG));
	rlim_t limit = fl_test_limit_fds(0);
	int rc = fl_pipe_receive(e.b, back, BIG, &size);
	fl_test_unlimit_fds(limit);
	FL_RC(rc, -EMFILE); /* fl_pipe_receive: its bytes need one */
	FL_OK(fl_pipe_receive(e.b, back, BIG, &size));
}

/* ---- invalid messages */

struct bad {
	struct fl__pipe_head head;
	size_t size; /* of the packet */
	unsigned n_fds;
	int seals; /* of the first descriptor, a memfd of 100 bytes; -1: it is standard input */
};

#define HEAD(kind, n, size)                                                                                            \
	{                                                                                                              \
		FL__PIPE_MAGIC, (kind), (n), (size), 0                                                                 \
	}
enum { GOOD_SEALS = F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_GROW, H = sizeof(struct fl__pipe_head) };

static const struct bad bads[] = {
    {HEAD(FL__PIPE_SMALL, 0, 4), 1, 0, -1},                       /* no head */
    {HEAD(FL__PIPE_SMALL, 0, 4), H - 1, 0, -1},                   /* nearly one */
    {{0x12345678, FL__PIPE_SMALL, 0, 4, 0}, H + 4, 0, -1},        /* of something else */
    {HEAD(3, 0, 4), H + 4, 0, -1},                                /* of no known kind */
    {HEAD(FL__PIPE_SMALL, 0, 4), H + 3, 0, -1},                   /* fewer bytes than it says */
    {HEAD(FL__PIPE_SMALL, 0, 4), H + 5, 0, -1},                   /* more */
    {HEAD(FL__PIPE_SMALL, 0, FL__PIPE_INLINE + 1), H + 4, 0, -1}, /* more than a small one has */
    {HEAD(FL__PIPE_SMALL, 0, UINT64_MAX), H + 4, 0, -1},          /* no size at all */
    {HEAD(FL__PIPE_SMALL, 1, 4), H + 4, 0, -1},                   /* a descriptor is missing */
    {HEAD(FL__PIPE_SMALL, 0, 4), H + 4, 1, -1},                   /* there is one too many */
    {HEAD(FL__PIPE_SMALL, 254, 4), H + 4, 3, -1},                 /* more than there can be */
    {HEAD(FL__PIPE_LARGE, 0, 100), H, 0, -1},                     /* no memory */
    {HEAD(FL__PIPE_LARGE, 0, 100), H, 1, -1},                     /* something else for it */
    {HEAD(FL__PIPE_LARGE, 0, 100), H, 1, 0},                      /* it may shrink and change */
    {HEAD(FL__PIPE_LARGE, 0, 100), H, 1, F_SEAL_SHRINK},          /* it may change */
    {HEAD(FL__PIPE_LARGE, 0, 100), H, 1, F_SEAL_WRITE},           /* it may shrink */
    {HEAD(FL__PIPE_LARGE, 0, 101), H, 1, GOOD_SEALS},             /* it is smaller */
    {HEAD(FL__PIPE_LARGE, 0, 99), H, 1, GOOD_SEALS},              /* larger */
    {HEAD(FL__PIPE_LARGE, 0, 100), H + 1, 1, GOOD_SEALS},         /* bytes in both places */
    {HEAD(FL__PIPE_LARGE, 1, 100), H, 1, GOOD_SEALS},             /* a descriptor is missing */
    {HEAD(FL__PIPE_LARGE, 0, UINT64_MAX), H, 1, GOOD_SEALS},      /* no size at all */
};

static void send_bad(int socket, const struct bad *bad)
{
	char bytes[H + 16] = {0};
	int memory = memfd_create("bad", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	FL_CHECK(memory >= 0 && ftruncate(memory, 100) == 0);
	if (bad->seals > 0)
		FL_OK(fcntl(memory, F_ADD_SEALS, bad->seals));
	const int fds[] = {bad->seals >= 0 ? memory : 0, 0, 0};
	memcpy(bytes, &bad->head, H);
	FL_OK(fl__packet_send(socket, bytes, bad->size, fds, bad->n_fds, FL_NO_WAIT));
	fl__fds_close(&memory, 1);
}

FL_TEST(pipe_bad_peer)
{
	FL_NEEDS(FL_TEST_MEMFD);
	FL_TEST_PIPE(e);
	unsigned before = fl_test_fds();
	FL_EACH (i, bads) {
		char got[256];
		int fds[4];
		size_t size;
		unsigned n = 4;
		send_bad(fl_pipe_fd(e.a), &bads[i]);
		fl_test_says(e.a, "a good one");
		print_message("%zu\n", i);
		if (i % 2)
			FL_RC(fl_pipe_receive(e.b, got, sizeof got, &size),
			      bads[i].head.n_fds == 1 ? -EMSGSIZE : -EBADMSG);
		if (i % 2 == 0 || bads[i].head.n_fds == 1)
			FL_RC(fl_pipe_receive_fds(e.b, got, sizeof got, &size, fds, &n), -EBADMSG);
		fl_test_gets(e.b, "a good one");
		assert_int_equal(fl_test_fds(), before);
	}
	struct iovec no_bytes = {NULL, 0}; /* not no parts: qemu-user would send nothing at all */
	struct msghdr nothing = {.msg_iov = &no_bytes, .msg_iovlen = 1};
	char byte;
	size_t size;
	assert_int_equal(fl__net_sys.sendmsg(fl_pipe_fd(e.a), &nothing), 0);
	FL_RC(fl_pipe_receive(e.b, &byte, 1, &size), -EBADMSG);
	static char huge[FL__PIPE_INLINE + 4096];
	struct fl__pipe_head head = HEAD(FL__PIPE_SMALL, 0, FL__PIPE_INLINE);
	memcpy(huge, &head, sizeof head);
	FL_OK(fl__packet_send(fl_pipe_fd(e.a), huge, sizeof huge, NULL, 0, FL_NO_WAIT));
	FL_RC(fl_pipe_receive(e.b, huge, FL__PIPE_INLINE, &size), -EBADMSG);
	FL_RC(fl_pipe_receive_until(e.b, &byte, 1, &size, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
}

/* ---- another process comes between the check and the receive */

static unsigned steal; /* number of packets, after the next check */

static ssize_t stealing_receive(int socket, struct msghdr *message, int flags)
{
	static char packet[FL__PIPE_INLINE + 64];
	ssize_t n = fl_test_real_net_sys.recvmsg(socket, message, flags);
	for (; n >= 0 && (flags & MSG_PEEK) && steal > 0; steal--)
		FL_CHECK(recv(socket, packet, sizeof packet, MSG_DONTWAIT) > 0);
	return n;
}

FL_TEST(pipe_stolen_between_look_and_take)
{
	FL_FD_FAULTS();
	fl__net_sys.recvmsg = stealing_receive;
	const size_t sizes[] = {20, 60000, BIG};
	FL_TEST_BYTES(bytes, back, BIG);
	size_t size;
	for (int i = 0; i < 3; i++) {
		const size_t rooms[] = {5, 19, 0};
		for (int r = 0; r < 3; r++) {
			FL_TEST_PIPE(e);
			unsigned before = fl_test_fds(), n = 0;
			FL_OK(fl_pipe_send(e.a, NULL, 0));
			FL_OK(fl_pipe_send_fds(e.a, bytes, sizes[i], (const int[]){0, 1}, 2));
			fl_test_says(e.a, "next");
			steal = 1;
			FL_RC(fl_pipe_receive(e.b, back, rooms[r], &size), -EMSGSIZE);
			assert_int_equal(steal, 0);
			assert_int_equal(size, sizes[i]);
			FL_RC(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_PIPE(e.b)), 0);
			FL_RC(fl_pipe_receive_fds(e.b, back, BIG, &size, NULL, &n), -EMSGSIZE);
			assert_int_equal(n, 2);
			int fds[2];
			FL_OK(fl_pipe_receive_fds(e.b, back, BIG, &size, fds, &n));
			assert_true(size == sizes[i] && memcmp(bytes, back, size) == 0 && n == 2);
			assert_true(fl_test_same_file(fds[0], 0) && fl_test_same_file(fds[1], 1));
			fl__fds_close(fds, 2);
			assert_int_equal(fl_test_fds(), before);
			fl_test_gets(e.b, "next");
		}
	}
}

FL_TEST(pipe_stolen_and_nothing_left)
{
	FL_FD_FAULTS();
	fl__net_sys.recvmsg = stealing_receive;
	FL_TEST_PIPE(e);
	char got[8];
	size_t size;
	fl_test_says(e.a, "x");
	steal = 1;
	FL_RC(fl_pipe_receive_until(e.b, got, sizeof got, &size, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	fl_test_says(e.a, "x");
	steal = 1;
	FL_RC(fl_pipe_receive_until(e.b, got, sizeof got, &size, fl_test_soon(), NULL), -ETIMEDOUT);
	unsigned before = fl_test_fds(), n = 1;
	FL_OK(fl_pipe_send_fds(e.a, "x", 1, (const int[]){0}, 1));
	steal = 1;
	int fd;
	FL_RC(fl_pipe_receive_fds_until(e.b, got, sizeof got, &size, &fd, &n, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(fl_test_fds(), before);
}
