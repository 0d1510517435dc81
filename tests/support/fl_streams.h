/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_STREAMS_H
#define FL_STREAMS_H

/*
 * Streams in tests. A case of two connected streams runs in a fiber, once with Unix sockets and
 * once with TCP. After it the process has as many descriptors and as much allocated memory as
 * before:
 *
 *     FL_TEST_WITH(stream_echoes, fl_test_each_kind, fl_stream *a, fl_stream *b)
 *     {
 *             FL_OK(fl_stream_write(a, "x", 1));
 *     }
 *
 * The other side may be a bare socket, for what a stream would not do: fl_test_tcp().
 * FL_NET_FAULTS() is like FL_FAULTS(), for the tables of the network and of the poller.
 */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_poller.h"

#include "fd/net_sys.h"
#include "fd/unix_file.h"
#include "loop/net/net_resolve.h"
#include "loop/net/stream.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static struct fl__name_sys fl_test_real_name_sys;
static struct fl__unix_sys fl_test_real_unix_sys;

__attribute__((constructor)) static void fl_test_keep_net_sys(void)
{
	fl_test_real_name_sys = fl__name_sys;
	fl_test_real_unix_sys = fl__unix_sys;
}

static inline int fl_test_net_faults_end(void)
{
	fl_test_put_back(&fl__net_sys, &fl_test_real_net_sys, sizeof fl__net_sys);
	fl_test_put_back(&fl__name_sys, &fl_test_real_name_sys, sizeof fl__name_sys);
	fl_test_put_back(&fl__unix_sys, &fl_test_real_unix_sys, sizeof fl__unix_sys);
	return fl_test_poller_end();
}

#define FL_NET_FAULTS() FL_RESTORES(fl_test_net_faults_end)

/* For fibers: lets others run until the condition holds. */
#define FL_TEST_UNTIL(condition)                                                                                       \
	do {                                                                                                           \
		const int64_t fl_test_end_ = fl_after(FL_S(60));                                                       \
		while (!(condition)) {                                                                                 \
			FL_CHECK(fl_now() < fl_test_end_);                                                             \
			fl_fiber_yield();                                                                              \
		}                                                                                                      \
	} while (0)

static inline bool fl_test_waits(const fl_stream *s, int direction)
{
	return s->io.waiting[direction] != NULL;
}

/*
 * Two TCP sockets that are connected with each other. The receive buffer of the second one does not
 * grow with use, else to 32 MiB: so some MiB fill the connection.
 */
static inline void fl_test_tcp(int fds[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	const int room = 1 << 20;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FL_CHECK(l >= 0 && bind(l, (struct sockaddr *)&a, size) == 0 && listen(l, 1) == 0);
	FL_OK(setsockopt(l, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
	FL_OK(getsockname(l, (struct sockaddr *)&a, &size));
	FL_CHECK((fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	FL_OK(connect(fds[0], (struct sockaddr *)&a, size));
	FL_CHECK((fds[1] = accept(l, NULL, NULL)) >= 0);
	FL_OK(close(l));
}

/* A stream, and a bare socket on the other side. */
static inline fl_stream *fl_test_stream_of(int fd)
{
	fl_stream *s = NULL;
	FL_OK(fl_stream_from_fd(&s, fd));
	return s;
}

static inline fl_stream *fl_test_tcp_stream(int *peer)
{
	int fds[2];
	fl_test_tcp(fds);
	*peer = fds[1];
	return fl_test_stream_of(fds[0]);
}

static inline void fl_test_peer_sends(int peer, const char *text)
{
	FL_RC(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Bytes that differ at each position. */
static inline char fl_test_byte_at(size_t i)
{
	return (char)(i * 7 + i / 251);
}

static inline char *fl_test_pattern(size_t size)
{
	char *bytes = malloc(size);
	FL_CHECK(bytes != NULL);
	for (size_t i = 0; i < size; i++)
		bytes[i] = fl_test_byte_at(i);
	return bytes;
}

/* The bytes are those of the pattern from `from` on. */
static inline void fl_test_is_pattern(const char *bytes, size_t from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		FL_CHECK(bytes[i] == fl_test_byte_at(from + i));
}

/* Closes a TCP socket so that the other side gets a reset. */
static inline void fl_test_peer_resets(int peer)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	FL_OK(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now));
	FL_OK(close(peer));
}

/* Each read gives the error: -EBUSY, -EINVAL, -EBADF, -ECONNABORTED, -ENOMEM, -EOWNERDEAD. */
static inline void fl_test_each_read_gives(fl_stream *s, int error)
{
	char got[8];
	FL_RC(fl_stream_read_some(s, got, 1), error);
	FL_RC(fl_stream_read_exactly(s, got, 1), error);
	FL_RC(fl_stream_read_delimited(s, got, 1, "x", 1), error);
	FL_RC(fl_stream_read_line(s, got, 8), error);
	FL_RC(fl_stream_read_some_until(s, got, 1, 0, NULL), error);
	FL_RC(fl_stream_try_read_some(s, got, 1), error);
	FL_RC(fl_stream_read_exactly_until(s, got, 1, 0, NULL), error);
	FL_RC(fl_stream_read_delimited_until(s, got, 1, "x", 1, 0, NULL), error);
	FL_RC(fl_stream_read_line_until(s, got, 8, 0, NULL), error);
}

/* Each write gives the error: these, such as -ENOMEM, and -EPIPE. */
static inline void fl_test_each_write_gives(fl_stream *s, int error)
{
	char x = 'x';
	const struct iovec part = {&x, 1};
	FL_RC(fl_stream_write(s, "x", 1), error);
	FL_RC(fl_stream_write_until(s, "x", 1, 0, NULL), error);
	FL_RC(fl_stream_try_write(s, "x", 1), error);
	FL_RC(fl_stream_writev(s, &part, 1), error);
	FL_RC(fl_stream_writev_until(s, &part, 1, 0, NULL), error);
}

/* Writes until there is no room: how many bytes. A late acknowledgement of TCP makes some again. */
static inline size_t fl_test_fill(fl_stream *s)
{
	static const char zeros[65536];
	size_t sum = 0;
	for (ssize_t n; (n = fl_stream_try_write(s, zeros, sizeof zeros)) != -EAGAIN;) {
		FL_CHECK(n > 0);
		sum += (size_t)n;
	}
	return sum;
}

/* The allocator's memory, counted; by any thread. */
static long fl_test_blocks;

static inline void *fl_test_counting_alloc(size_t size)
{
	void *memory = fl_test_real_sys.alloc(size);
	fl__add_relaxed(&fl_test_blocks, memory != NULL);
	return memory;
}

static inline void fl_test_counting_free(void *memory)
{
	fl__add_relaxed(&fl_test_blocks, -(memory != NULL));
	fl_test_real_sys.free(memory);
}

/*
 * Restores the tables, in a fiber, while no other thread is there: in cases without lookups. The
 * allocator keeps counting.
 */
static inline void fl_test_no_faults(void)
{
	(void)fl_test_net_faults_end();
	fl__sys = fl_test_real_sys;
	fl__sys.alloc = fl_test_counting_alloc;
	fl__sys.free = fl_test_counting_free;
}

/* Runs `function(arg)` in a loop, which leaves nothing behind. */
static inline void fl_test_leaves_nothing(fl_fiber_function *function, void *arg)
{
	FL_FAULTS();
	FL_NET_FAULTS();
	(void)fl_now();
	(void)fl_cancel_scope_current(); /* the thread has met the library */
	unsigned fds = fl_test_fds();
	fl_test_blocks = 0;
	fl_test_no_faults();
	fl_test_in_loop(function, arg);
	assert_int_equal(fl_test_blocks, 0);
	assert_int_equal(fl_test_fds(), fds);
}

static inline void fl_test_body_leaves_nothing(void (*body)(void))
{
	fl_test_leaves_nothing(fl_test_run_body, &body);
}

typedef void fl_test_two_streams(fl_stream *a, fl_stream *b);

static inline int fl_test_unix_pair(void *function)
{
	fl_stream *ends[2] = {NULL, NULL};
	FL_OK(fl_stream_pair(ends));
	(*(fl_test_two_streams **)function)(ends[0], ends[1]);
	fl_stream_free(ends[0]);
	fl_stream_free(ends[1]);
	return 0;
}

static inline int fl_test_tcp_pair(void *function)
{
	int fds[2];
	fl_test_tcp(fds);
	fl_stream *a = fl_test_stream_of(fds[0]), *b = fl_test_stream_of(fds[1]);
	(*(fl_test_two_streams **)function)(a, b);
	fl_stream_free(a);
	fl_stream_free(b);
	return 0;
}

static inline void fl_test_with_unix_pair(fl_test_two_streams *function)
{
	fl_test_leaves_nothing(fl_test_unix_pair, &function);
}

static inline void fl_test_each_kind(fl_test_two_streams *function)
{
	fl_test_with_unix_pair(function);
	fl_test_leaves_nothing(fl_test_tcp_pair, &function);
}

#endif
