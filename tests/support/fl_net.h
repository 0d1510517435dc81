/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_NET_H
#define FL_NET_H

/*
 * Listeners and connections in tests, over the loopback interface only. A case is a fiber that
 * leaves nothing behind:
 *
 *     FL_TEST_WITH(net_accepts, fl_test_body_leaves_nothing, void) { ... FL_OK(fl_listener_accept(l, &s)); ... }
 */
#include "fl_streams.h"

#include <netdb.h>
#include <poll.h>
#include <sys/un.h>

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

/* A listener of the loopback interface, and a client of it. */
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
 * stored. While it exists no other program gets the port by chance, but a case may listen there
 * several times.
 */
static inline int fl_test_bound(const char *host, uint16_t *port)
{
	const int on = 1;
	struct fl__address a;
	FL_CHECK(fl_test_real_name_sys.lookup(host, AI_NUMERICHOST, &a, 1) == 1);
	const bool four = a.at.any.sa_family == AF_INET;
	*(four ? &a.at.v4.sin_port : &a.at.v6.sin6_port) = htons(*port);
	int fd = socket(a.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	FL_OK(bind(fd, &a.at.any, a.size));
	FL_OK(getsockname(fd, &a.at.any, &a.size));
	*port = ntohs(four ? a.at.v4.sin_port : a.at.v6.sin6_port);
	return fd;
}

/*
 * A listener with a full backlog, so that a connect waits in vain: fds[0] listens, fds[1] is
 * connected. `*port` as above.
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

static inline void fl_test_close_two(const int fds[2])
{
	FL_OK(close(fds[0]));
	FL_OK(close(fds[1]));
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
	(void)snprintf(p.name, sizeof p.name, "%s/socket", p.folder);
	return p;
}

/* An abstract name that no other run of the tests has. */
static inline const char *fl_test_abstract(void)
{
	static char name[48];
	(void)snprintf(name, sizeof name, "@fairlead-test-%d", (int)getpid());
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

/* A bare Unix socket that is bound to a path, and listens if it is to. */
static inline int fl_test_unix_bound(const char *path, int type, bool listens)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	FL_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && (!listens || listen(fd, 1) == 0));
	return fd;
}

/*
 * For a kind of socket that open() opens at a path, and end() frees: a file that is no socket stays,
 * and so does a foreign socket of `type` that has replaced ours.
 */
static inline void fl_test_unix_leaves_others(int (*open_at)(const char *path), void (*end)(void), int type)
{
	char below[64];
	fl_test_path p = fl_test_path_make();
	(void)snprintf(below, sizeof below, "%s/x", p.name);
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

/*
 * The results of lookup(): a list of addresses of the loopback interface, in order, or an error; the
 * caller sets the port.
 */
static struct fl__address fl_test_found[64];
static int fl_test_found_n;
static uint32_t fl_test_asked; /* by name */

static inline int fl_test_lookup(const char *host, int flags, struct fl__address *list, unsigned n)
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
	(void)snprintf(list, sizeof list, "%s", addresses);
	fl_test_found_n = 0;
	fl_test_asked = 0;
	for (char *one; (one = strsep(&rest, " ")) != NULL;)
		FL_CHECK(fl_test_real_name_sys.lookup(one, AI_NUMERICHOST, &fl_test_found[fl_test_found_n++], 1) == 1);
	fl__name_sys.lookup = fl_test_lookup;
}

/*
 * For fl__sys.now: a clock that stands still, so that only fl_test_ahead decides what is due. From
 * fl_test_start_clock() on each look advances it by a microsecond: a case calls that at its end,
 * because threads of the library may be in a spin, which ends by the clock.
 */
static bool fl_test_clock_goes;

static inline int64_t fl_test_stopped_clock(void)
{
	/* Relaxed, all: either time is right for a reader. */
	if (fl__load_relaxed(&fl_test_clock_goes))
		fl__add_relaxed(&fl_test_ahead, FL_US(1));
	return FL_S(1000) + fl__load_relaxed(&fl_test_ahead);
}

static inline void fl_test_stop_clock(void)
{
	/* relaxed, both: as above */
	fl__store_relaxed(&fl_test_clock_goes, false);
	fl__store_relaxed(&fl_test_ahead, 0);
	fl__sys.now = fl_test_stopped_clock;
}

static inline void fl_test_start_clock(void)
{
	fl__store_relaxed(&fl_test_clock_goes, true); /* relaxed: as above */
}

#endif
