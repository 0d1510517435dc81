/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_STREAMS_H
#define FL_STREAMS_H

/*
 * Streams in tests. A case of two connected streams runs in a fiber, once with Unix sockets and
 * once with TCP. After the case, the process must have as many descriptors and as much allocated
 * memory as before:
 *
 *     FL_STREAM_TEST(stream_echoes)
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

#include "core/exec/executor.h"
#include "loop/net/net_resolve.h"
#include "loop/net/stream.h"
#include <arpa/inet.h>
#include <netdb.h>

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

/* For fibers: lets other fibers run until the condition holds. */
#define FL_TEST_UNTIL(condition)                                                                                       \
	do {                                                                                                           \
		const fl_time fl_test_end_ = fl_after(FL_S(60));                                                       \
		while (!(condition)) {                                                                                 \
			FL_CHECK(!fl_time_is_past(fl_test_end_));                                                      \
			fl_fiber_yield();                                                                              \
		}                                                                                                      \
	} while (0)

static inline bool fl_test_waits(const fl_stream *s, int direction)
{
	return s->io.waiting[direction] != NULL;
}

/*
 * Makes two TCP sockets that are connected with each other. The receive buffer of the second socket
 * does not grow with use (otherwise up to 32 MiB), so some MiB fill the connection.
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

/* Checks that the bytes are those of the pattern from `from` on. */
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

/*
 * Checks that each read returns the error, which may be -EBUSY, -EINVAL, -EBADF, -ECONNABORTED,
 * -ENOMEM or -EOWNERDEAD. The inline forms without a deadline call these functions.
 */
static inline void fl_test_each_read_gives(fl_stream *s, int error)
{
	char got[8];
	FL_RC(fl_stream_read_some_until(s, got, 1, FL_NO_WAIT, NULL), error);
	FL_RC(fl_stream_try_read_some(s, got, 1), error);
	FL_RC(fl_stream_read_exactly_until(s, got, 1, FL_NO_WAIT, NULL), error);
	FL_RC(fl_stream_read_delimited_until(s, got, 1, "x", 1, FL_NO_WAIT, NULL), error);
	FL_RC(fl_stream_read_line_until(s, got, 8, FL_NO_WAIT, NULL), error);
}

/* Checks that each write returns the error: one of those errors, such as -ENOMEM, or -EPIPE. */
static inline void fl_test_each_write_gives(fl_stream *s, int error)
{
	char x = 'x';
	const struct iovec part = {&x, 1};
	FL_RC(fl_stream_write_until(s, "x", 1, FL_NO_WAIT, NULL), error);
	FL_RC(fl_stream_try_write(s, "x", 1), error);
	FL_RC(fl_stream_writev_until(s, &part, 1, FL_NO_WAIT, NULL), error);
}

/*
 * Writes until there is no room, and returns how many bytes. A late acknowledgement of TCP may make
 * room again.
 */
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

/* The allocator's memory, which is counted for any thread. */
static long fl_test_blocks;

static inline void *fl_test_counting_alloc(size_t size)
{
	void *memory = fl_test_real_sys.alloc(size);
	fl__add_relaxed(&fl_test_blocks, memory != NULL);
	return memory;
}

/* Does the same for that many allocations; after them there is no memory. */
static unsigned fl_test_allocs_left;

static inline void *fl_test_few_allocs(size_t size)
{
	return fl_test_allocs_left > 0 ? fl_test_allocs_left--, fl_test_counting_alloc(size) : NULL;
}

static inline void fl_test_counting_free(void *memory)
{
	fl__add_relaxed(&fl_test_blocks, -(memory != NULL));
	fl_test_real_sys.free(memory);
}

/*
 * Restores the tables, in a fiber, while there is no other thread, that is, in cases without
 * lookups. The allocator keeps counting.
 */
static inline void fl_test_no_faults(void)
{
	(void)fl_test_net_faults_end();
	fl__sys = fl_test_real_sys;
	fl__sys.alloc = fl_test_counting_alloc;
	fl__sys.free = fl_test_counting_free;
}

/* Runs `function(arg)` in a loop, and checks that nothing is left behind. */
static inline void fl_test_leaves_nothing(fl_fiber_function *function, void *arg)
{
	FL_FAULTS();
	FL_NET_FAULTS();
	(void)fl_now();
	(void)fl_cancel_scope_current(); /* so that the library knows the thread */
	unsigned fds = fl_test_fds();
	fl_test_blocks = 0;
	fl_test_no_faults();
	fl_test_in_loop(function, arg);
	/* acquire: pairs with executor_free_when_ended(), for lookups that outlive the loop */
	FL_WAIT_FOR(fl__load_acquire(&fl__executors_detached) == 0);
	fl__helpers_end(); /* joins the threads that have freed executors */
	assert_int_equal(fl_test_blocks, 0);
	assert_int_equal(fl_test_fds(), fds);
}

static inline void fl_test_body_leaves_nothing(void (*body)(void))
{
	fl_test_leaves_nothing(fl_test_run_body, &body);
}

/* Defines a case in a loop, which must leave nothing behind. */
#define FL_NET_TEST(name) FL_TEST_WITH(name, fl_test_body_leaves_nothing, void)

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

#define FL_STREAM_TEST(name) FL_TEST_WITH(name, fl_test_each_kind, fl_stream *a, fl_stream *b)
#define FL_UNIX_STREAM_TEST(name) FL_TEST_WITH(name, fl_test_with_unix_pair, fl_stream *a, fl_stream *b)

/*
 * Listeners and connections in tests, over the loopback interface only. A case is a fiber that
 * leaves nothing behind:
 *
 *     FL_NET_TEST(net_accepts) { ... FL_OK(fl_listener_accept(l, &s)); ... }
 */

static inline fl_listener *fl_test_listener(const char *host, uint16_t port)
{
	fl_listener *l = NULL;
	FL_OK(fl_listener_open_tcp(&l, host, port, NULL));
	FL_CHECK(fl_listener_port(l) != 0 && fl_listener_fd(l) >= 0);
	return l;
}

static inline fl_stream *fl_test_accepted(fl_listener *l)
{
	fl_stream *s = NULL;
	FL_OK(fl_listener_accept(l, &s));
	return s;
}

static inline fl_stream *fl_test_connected(const char *host, uint16_t port)
{
	fl_stream *s = NULL;
	FL_OK(fl_stream_connect_tcp(&s, host, port));
	return s;
}

/* A listener of the loopback interface, and its client. */
static inline fl_listener *fl_test_tcp_listener(void)
{
	return fl_test_listener("127.0.0.1", 0);
}

static inline fl_stream *fl_test_client(const fl_listener *l)
{
	return fl_test_connected("127.0.0.1", fl_listener_port(l));
}

/* Checks that each side reads what the other writes. */
static inline void fl_test_talk(fl_stream *a, fl_stream *b)
{
	char got[4];
	FL_OK(fl_stream_write(a, "ping", 4));
	FL_RC(fl_stream_read_exactly(b, got, 4), 4);
	FL_CHECK(memcmp(got, "ping", 4) == 0);
	FL_OK(fl_stream_write(b, "pong", 4));
	FL_RC(fl_stream_read_exactly(a, got, 4), 4);
	FL_CHECK(memcmp(got, "pong", 4) == 0);
}

/*
 * A bare TCP socket, bound to an address of the loopback interface; `*port` 0: any port, which is
 * stored. While the socket exists, no other program gets the port by chance, but a case may listen
 * there several times.
 */
static inline int fl_test_bound(const char *host, uint16_t *port)
{
	const int on = 1;
	fl_address a;
	FL_CHECK(fl_test_real_name_sys.lookup(host, AI_NUMERICHOST, &a, 1) == 1);
	*fl__port_in(&a) = htons(*port);
	int fd = socket(a.system.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	FL_OK(bind(fd, fl__sockaddr(&a), a.size));
	FL_OK(getsockname(fd, fl__sockaddr(&a), &a.size));
	*port = ntohs(*fl__port_in(&a));
	return fd;
}

/*
 * A listener with a full backlog, so that a connect waits in vain: fds[0] listens, fds[1] is
 * connected. fds[0] listens at `*port`; if that is 0, at any
 * port, which is stored.
 */
static inline void fl_test_full(int fds[2], const char *host, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	fds[0] = fl_test_bound(host, port);
	a.sin_port = htons(*port);
	FL_CHECK(inet_pton(AF_INET, host, &a.sin_addr) == 1);
	FL_CHECK(listen(fds[0], 0) == 0 && (fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	FL_OK(connect(fds[1], (struct sockaddr *)&a, sizeof a));
	FL_RC(poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, 60000), 1); /* it is in the backlog */
}

/* For fl__net_sys.socket: a machine without IPv6. */
static inline int fl_test_only_ipv4(int family, int type, int protocol)
{
	return family == AF_INET6 ? -EAFNOSUPPORT : fl_test_real_net_sys.socket(family, type, protocol);
}

static inline bool fl_test_has_ipv6(void)
{
	const struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0;
	if (fd >= 0)
		FL_OK(close(fd));
	return has;
}

/* A name for a Unix socket, in a folder of its own. */
typedef struct fl_test_path {
	char folder[32], name[48];
} fl_test_path;

static inline fl_test_path fl_test_path_make(void)
{
	fl_test_path p = {"/tmp/fairlead-net-XXXXXX", ""};
	FL_CHECK(mkdtemp(p.folder) != NULL);
	FL_TEXT(p.name, "%s/socket", p.folder);
	return p;
}

/* An abstract name that no other run of the tests has. */
static inline const char *fl_test_abstract(void)
{
	static char name[48];
	FL_TEXT(name, "@fairlead-test-%d", (int)getpid());
	return name;
}

static inline bool fl_test_path_is_there(const fl_test_path *p)
{
	struct stat st;
	return lstat(p->name, &st) == 0;
}

/* The folder is empty by now. */
static inline void fl_test_path_end(const fl_test_path *p)
{
	FL_OK(rmdir(p->folder));
}

/* A path, until the end of the block. */
#define FL_TEST_PATH(p) __attribute__((cleanup(fl_test_path_end))) fl_test_path p = fl_test_path_make()

/* Makes a bare Unix socket that is bound to a path and, if wanted, listens. */
static inline int fl_test_unix_bound(const char *path, int type, bool listens)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	FL_TEXT(a.sun_path, "%s", path);
	FL_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && (!listens || listen(fd, 1) == 0));
	return fd;
}

/*
 * For a kind of socket that open() opens at a path and end() frees: checks that a file that is not
 * a socket is not removed, nor a foreign socket of `type` that has replaced ours.
 */
static inline void fl_test_unix_leaves_others(int (*open_at)(const char *path), void (*end)(void), int type)
{
	char below[64];
	fl_test_path p = fl_test_path_make();
	FL_TEXT(below, "%s/x", p.name);
	int file = open(p.name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	FL_CHECK(file >= 0 && close(file) == 0);
	FL_RC(open_at(p.name), -ENOTSOCK);
	FL_RC(open_at(below), -ENOTDIR);
	FL_CHECK(fl_test_path_is_there(&p) && unlink(p.name) == 0);
	FL_RC(open_at(below), -ENOENT);
	FL_OK(open_at(p.name));
	FL_OK(unlink(p.name));
	int other = fl_test_unix_bound(p.name, type, type == SOCK_STREAM);
	end();
	FL_CHECK(fl_test_path_is_there(&p) && unlink(p.name) == 0 && close(other) == 0);
	FL_OK(open_at(p.name));
	FL_OK(unlink(p.name));
	end(); /* it is gone already */
	fl_test_path_end(&p);
}

static inline bool fl_test_is_address(const fl_address *a, const char *text)
{
	char is[FL_ADDRESS_TEXT_SIZE];
	FL_OK(fl_address_text(a, is, sizeof is));
	return strcmp(is, text) == 0;
}

/*
 * The results of lookup(): a list of addresses of the loopback interface, in order, or an error;
 * the caller sets the port.
 */
static fl_address fl_test_found[64];
static int fl_test_found_n;
static uint32_t fl_test_asked; /* by name */

static inline int fl_test_lookup(const char *host, int flags, fl_address *list, unsigned n)
{
	if (flags & AI_NUMERICHOST)
		return fl_test_real_name_sys.lookup(host, flags, list, n);
	fl__add_relaxed(&fl_test_asked, 1); /* relaxed: a count */
	if (fl_test_found_n < 0)
		return fl_test_found_n;
	unsigned found = (unsigned)fl_test_found_n < n ? (unsigned)fl_test_found_n : n;
	memcpy(list, fl_test_found, found * sizeof *list);
	return (int)found;
}

/*
 * From now on all names have these addresses, which are separated by spaces; the list may change
 * while no lookup runs.
 */
static inline void fl_test_lookup_finds(const char *addresses)
{
	char list[256], *rest = list;
	FL_TEXT(list, "%s", addresses);
	fl_test_found_n = 0;
	fl_test_asked = 0;
	for (char *one; (one = strsep(&rest, " ")) != NULL;)
		FL_CHECK(fl_test_real_name_sys.lookup(one, AI_NUMERICHOST, &fl_test_found[fl_test_found_n++], 1) == 1);
	fl__name_sys.lookup = fl_test_lookup;
}

/*
 * For fl__sys.now: a clock that stands still, so that only fl_test_ahead decides what is due. From
 * fl_test_start_clock() on, each look advances the clock by a microsecond. A case calls this
 * function at its end, because threads of the library may be in a spin that ends by the clock.
 */
static bool fl_test_clock_goes;

static inline int64_t fl_test_stopped_clock(void)
{
	/* All relaxed: either time is right for a reader. */
	if (fl__load_relaxed(&fl_test_clock_goes))
		fl__add_relaxed(&fl_test_ahead, FL_US(1));
	return FL_S(1000) + fl__load_relaxed(&fl_test_ahead);
}

static inline void fl_test_stop_clock(void)
{
	/* relaxed, both: numbers that order nothing */
	fl__store_relaxed(&fl_test_clock_goes, false);
	fl__store_relaxed(&fl_test_ahead, 0);
	fl__sys.now = fl_test_stopped_clock;
}

static inline void fl_test_start_clock(void)
{
	fl__store_relaxed(&fl_test_clock_goes, true); /* relaxed: a number that orders nothing */
}

/*
 * System calls of the network and of the poller that fail, in tests with one thread:
 *
 *     fl_test_fails(CALL(bind) | CALL(listen), -EADDRINUSE);
 *     FL_RC(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL), -EADDRINUSE);
 *     fl_test_no_faults();
 */

/* X(table, result, name, parameters, arguments) for each of them. */
#define FL_TEST_CALLS(X)                                                                                               \
	X(net, int, socket, (int family, int type, int protocol), (family, type, protocol))                            \
	X(net, int, pair, (int sockets[2]), (sockets))                                                                 \
	X(net, int, adopt, (int fd), (fd))                                                                             \
	X(net, int, adopt_other, (int fd), (fd))                                                                       \
	X(net, int, describe, (int fd), (fd))                                                                          \
	X(net, int, shutdown, (int fd, int how), (fd, how))                                                            \
	X(net, ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))                                 \
	X(net, ssize_t, write, (int fd, const struct iovec *parts, int n), (fd, parts, n))                             \
	X(net, ssize_t, recv, (int fd, void *buffer, size_t size), (fd, buffer, size))                                 \
	X(net, ssize_t, send, (int fd, const void *data, size_t size), (fd, data, size))                               \
	X(net, ssize_t, sendmsg, (int fd, const struct msghdr *message), (fd, message))                                \
	X(net, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))                    \
	X(net, int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned n), (fd, messages, n))                       \
	X(net, int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned n, int flags), (fd, messages, n, flags))     \
	X(net, int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))            \
	X(net, int, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))               \
	X(net, int, listen, (int fd, int backlog), (fd, backlog))                                                      \
	X(net, int, accept, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))                  \
	X(net, int, set_option, (int fd, int level, int option, int value), (fd, level, option, value))                \
	X(net, int, set_struct, (int fd, int level, int option, const void *value, socklen_t size),                    \
	  (fd, level, option, value, size))                                                                            \
	X(net, int, get_option, (int fd, int level, int option, int *value), (fd, level, option, value))               \
	X(net, int, get_struct, (int fd, int level, int option, void *value, socklen_t size),                          \
	  (fd, level, option, value, size))                                                                            \
	X(net, int, local, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))                   \
	X(net, int, peer, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))                    \
	X(unix, int, socket_file, (const char *path, bool follow, struct fl__file *file), (path, follow, file))        \
	X(unix, int, unlink, (const char *path), (path))                                                               \
	X(unix, int, set_mode, (const char *path, unsigned mode), (path, mode))                                        \
	X(unix, int, lock, (const char *path), (path))

#define FL_TEST_CALL_NUMBER(table, result, name, parameters, arguments) CALL_##name,
enum fl_test_call { FL_TEST_CALLS(FL_TEST_CALL_NUMBER) CALL_control, CALL_wait, CALL_alloc };
#define CALL(name) (UINT64_C(1) << CALL_##name)

static struct fl_test_fault {
	uint64_t calls; /* CALL() | CALL() ... */
	int error;
	unsigned each;  /* not 0: the calls with this number, twice this number, ... succeed */
	unsigned only;  /* not 0: only the call with this number fails */
	unsigned count; /* how many of these calls were made */
} fl_test_fault;

static inline bool fl_test_strikes(enum fl_test_call call)
{
	struct fl_test_fault *f = &fl_test_fault;
	if (!(f->calls >> call & 1))
		return false;
	f->count++;
	return f->only ? f->count == f->only : f->each == 0 || f->count % f->each != 0;
}

/* A function that fails according to the plan, and otherwise calls the real one. */
#define FL_TEST_CALL_FUNCTION(table, result, name, parameters, arguments)                                              \
	static inline result fl_test_call_##name parameters                                                            \
	{                                                                                                              \
		return fl_test_strikes(CALL_##name) ? fl_test_fault.error : fl_test_real_##table##_sys.name arguments; \
	}
FL_TEST_CALLS(FL_TEST_CALL_FUNCTION)

/* A removal never fails. */
FL_TEST_POLLER_CONTROL(fl_test_call_control)
{
	return op != EPOLL_CTL_DEL && fl_test_strikes(CALL_control)
	           ? fl_test_fault.error
	           : fl_test_real_poller.control(poller, op, fd, events, owner);
}

FL_TEST_POLLER_WAIT(fl_test_call_wait)
{
	return fl_test_strikes(CALL_wait) ? fl_test_fault.error : fl_test_real_poller.wait(poller, events, n, deadline);
}

static inline void *fl_test_call_alloc(size_t size)
{
	return fl_test_strikes(CALL_alloc) ? NULL : fl_test_counting_alloc(size);
}

/* From now on these calls fail according to the plan, until fl_test_no_faults(). */
#define FL_TEST_CALL_INSTALL(table, result, name, parameters, arguments)                                               \
	if (plan.calls & CALL(name))                                                                                   \
		fl__##table##_sys.name = fl_test_call_##name;
static inline void fl_test_fails_by(struct fl_test_fault plan)
{
	fl_test_fault = plan;
	FL_TEST_CALLS(FL_TEST_CALL_INSTALL)
	if (plan.calls & CALL(control))
		fl__poller_sys.control = fl_test_call_control;
	if (plan.calls & CALL(wait))
		fl__poller_sys.wait = fl_test_call_wait;
	if (plan.calls & CALL(alloc))
		fl__sys.alloc = fl_test_call_alloc;
}

/* Makes each of the calls fail with that error. */
static inline void fl_test_fails(uint64_t calls, int error)
{
	fl_test_fails_by((struct fl_test_fault){.calls = calls, .error = error});
}

#endif
