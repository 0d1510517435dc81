/* SPDX-License-Identifier: BSD-2-Clause */
/* Listeners: where they listen, and what they answer when they cannot. */
#include "fl_child.h"
#include "fl_net.h"

#include <netinet/tcp.h>

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;
	FL_CHECK(getsockopt(fd, level, name, &value, &size) == 0);
	return value;
}

/* ---- TCP */

static int tcp(void *unused)
{
	char name[FL_STREAM_NAME_SIZE], expected[FL_STREAM_NAME_SIZE];
	(void)unused;
	fl_listener *l = fl_test_listener("127.0.0.1", 0);
	fl_stream *a = fl_test_connected("127.0.0.1", fl_listener_port(l)), *b = fl_test_accepted(l);
	fl_test_talk(a, b);
	FL_CHECK(option(fl_stream_fd(a), IPPROTO_TCP, TCP_NODELAY) == 1);
	FL_CHECK(option(fl_stream_fd(b), IPPROTO_TCP, TCP_NODELAY) == 1);
	const int fds[] = {fl_listener_fd(l), fl_stream_fd(a), fl_stream_fd(b)};
	for (int i = 0; i < 3; i++)
		FL_CHECK(fl_test_is_cloexec(fds[i]) && (fcntl(fds[i], F_GETFL) & O_NONBLOCK));
	(void)snprintf(expected, sizeof expected, "127.0.0.1:%u", fl_listener_port(l));
	FL_GIVES(fl_stream_peer_name(a, name, sizeof name), 0);
	FL_CHECK(strcmp(name, expected) == 0);
	fl_listener_free(l);
	fl_test_talk(b, a); /* which outlive it */
	fl_stream_free(a);
	fl_stream_free(b);
	fl_listener_free(NULL);
	return 0;
}

FL_TEST(net_listen_tcp)
{
	fl_test_leaves_nothing(tcp, NULL);
}

static void reach(fl_listener *l, const char *host)
{
	fl_stream *a = fl_test_connected(host, fl_listener_port(l)), *b = fl_test_accepted(l);
	fl_test_talk(a, b);
	fl_stream_free(a);
	fl_stream_free(b);
}

static int no_ipv6(int family, int type, int protocol)
{
	return family == AF_INET6 ? -EAFNOSUPPORT : fl_test_real_net_sys.socket(family, type, protocol);
}

static int all_addresses(void *unused)
{
	(void)unused;
	fl_listener *l = fl_test_listener(NULL, 0);
	reach(l, "127.0.0.1");
	reach(l, "127.0.0.2");
	if (fl_test_has_ipv6())
		reach(l, "::1");
	fl_listener_free(l);
	fl__net_sys.socket = no_ipv6;
	l = fl_test_listener(NULL, 0);
	reach(l, "127.0.0.1");
	fl_listener_free(l);
	fl_test_no_faults();
	return 0;
}

/* Also where there is no IPv6 at all. */
FL_TEST(net_listen_at_all_addresses)
{
	fl_test_leaves_nothing(all_addresses, NULL);
}

/* An address of one family serves that one alone: the same port is there for the other. */
static int each_family(void *unused)
{
	fl_listener *six = NULL;
	(void)unused;
	fl_listener *four = fl_test_listener("0.0.0.0", 0);
	if (fl_test_has_ipv6()) {
		FL_GIVES(fl_listen_tcp(&six, "::", fl_listener_port(four), NULL), 0);
		reach(six, "::1");
	}
	reach(four, "127.0.0.1");
	fl_listener_free(six);
	fl_listener_free(four);
	return 0;
}

FL_TEST(net_listen_each_family_for_itself)
{
	fl_test_leaves_nothing(each_family, NULL);
}

/* The first of a name's addresses that this machine has, IPv4 first. */
static int names(void *unused)
{
	(void)unused;
	fl_listener *l = fl_test_listener("some.name", 0);
	reach(l, "127.0.0.2");
	/* the next address is not taken when somebody listens at this one */
	fl_listener *other = NULL;
	FL_GIVES(fl_listen_tcp(&other, "some.name", fl_listener_port(l), NULL), -EADDRINUSE);
	fl_listener_free(l);
	return 0;
}

FL_TEST(net_listen_at_a_name)
{
	FL_NAME_FAULTS();
	fl_test_lookup_ours();
	fl_test_found_add("::1");
	fl_test_found_add("192.0.2.1"); /* nobody's: RFC 5737 */
	fl_test_found_add("127.0.0.2");
	fl_test_found_add("127.0.0.3");
	fl_test_leaves_nothing(names, NULL);
	assert_int_equal(fl_test_asked, 2);
}

static int localhost(void *unused)
{
	(void)unused;
	fl_listener *l = fl_test_listener("localhost", 0);
	reach(l, "localhost");
	fl_listener_free(l);
	return 0;
}

FL_TEST(net_listen_at_localhost)
{
	fl_test_leaves_nothing(localhost, NULL);
}

static int in_use(void *unused)
{
	const fl_listen_config together = {.reuse_port = true};
	fl_listener *a = NULL, *b = NULL;
	uint16_t port = 0;
	(void)unused;
	int fd = fl_test_bound("127.0.0.1", &port);
	fl_listener *l = fl_test_listener("127.0.0.1", port);
	FL_CHECK(fl_listener_port(l) == port);
	FL_GIVES(fl_listen_tcp(&a, "127.0.0.1", port, NULL), -EADDRINUSE);
	FL_GIVES(fl_listen_tcp(&a, NULL, port, NULL), -EADDRINUSE);
	FL_GIVES(fl_listen_tcp(&a, "127.0.0.1", port, &together), -EADDRINUSE);
	reach(l, "127.0.0.1");
	fl_listener_free(l);
	FL_GIVES(fl_listen_tcp(&a, "127.0.0.1", port, &together), 0); /* though there were connections */
	FL_GIVES(fl_listen_tcp(&b, "127.0.0.1", port, &together), 0);
	fl_listener_free(a);
	reach(b, "127.0.0.1");
	fl_listener_free(b);
	FL_CHECK(close(fd) == 0);
	return 0;
}

FL_TEST(net_listen_port_in_use)
{
	fl_test_leaves_nothing(in_use, NULL);
}

static int backlog_seen;

static int see_backlog(int fd, int backlog)
{
	backlog_seen = backlog;
	return fl_test_real_net_sys.listen(fd, backlog);
}

static int backlogs(void *unused)
{
	fl_listener *l = NULL;
	(void)unused;
	fl__net_sys.listen = see_backlog;
	fl_listener_free(fl_test_listener("127.0.0.1", 0));
	FL_CHECK(backlog_seen >= SOMAXCONN);
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, &(fl_listen_config){.backlog = 7}), 0);
	FL_CHECK(backlog_seen == 7);
	fl_listener_free(l);
	fl_test_no_faults();
	return 0;
}

FL_TEST(net_listen_backlog)
{
	fl_test_leaves_nothing(backlogs, NULL);
}

/* ---- faults: each with its code, and nothing left behind */

static int fault;

static int failing_socket(int family, int type, int protocol)
{
	(void)family;
	(void)type;
	(void)protocol;
	return fault;
}

static int failing_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd;
	(void)address;
	(void)size;
	return fault;
}

static int failing_listen(int fd, int backlog)
{
	(void)fd;
	(void)backlog;
	return fault;
}

static int failing_local(int fd, struct sockaddr *address, socklen_t *size)
{
	(void)fd;
	(void)address;
	(void)size;
	return fault;
}

static int failing_option(int fd, int level, int option_name, int value)
{
	(void)fd;
	(void)level;
	(void)option_name;
	(void)value;
	return fault;
}

static int failing_control(int poller, int op, int fd, uint32_t events, void *who)
{
	return op == EPOLL_CTL_ADD ? fault : fl_test_real_poller.control(poller, op, fd, events, who);
}

static int failing_file(const char *path, struct fl__file *file)
{
	(void)path;
	(void)file;
	return fault;
}

static int failing_unlink(const char *path)
{
	(void)path;
	return fault;
}

static int tcp_faults(void *unused)
{
	fl_listener *l = NULL;
	(void)unused;
	static const int of_socket[][2] = {{-EMFILE, -EMFILE},
	                                   {-ENFILE, -ENFILE},
	                                   {-ENOBUFS, -ENOMEM},
	                                   {-EAFNOSUPPORT, -EAFNOSUPPORT},
	                                   {-EACCES, -EACCES}};
	for (size_t i = 0; i < sizeof of_socket / sizeof *of_socket; i++) {
		fault = of_socket[i][0];
		fl__net_sys.socket = failing_socket;
		FL_GIVES(fl_listen_tcp(&l, NULL, 0, NULL), of_socket[i][1]);
		FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), of_socket[i][1]);
	}
	fl_test_no_faults();
	fl__net_sys.bind = failing_bind;
	fault = -EACCES;
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 80, NULL), -EACCES);
	fl_test_no_faults();
	fl__net_sys.local = failing_local;
	fault = -ENOBUFS;
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), -ENOMEM);
	fl_test_no_faults();
	fl__net_sys.listen = failing_listen;
	fault = -EADDRINUSE;
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), -EADDRINUSE);
	fl_test_no_faults();
	fl__net_sys.set_option = failing_option;
	fault = -ENOMEM;
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), -ENOMEM);
	fl_test_no_faults();
	fl__poller_sys.control = failing_control;
	fault = -ENOSPC;
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), -ENOSPC);
	fl_test_no_faults();
	fl__sys.alloc = fl_test_no_memory;
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), -ENOMEM);
	fl_test_no_faults();
	FL_GIVES(fl_listen_tcp(&l, "192.0.2.1", 0, NULL), -EADDRNOTAVAIL);
	FL_GIVES(fl_listen_tcp(&l, "", 0, NULL), -ENOENT);
	FL_GIVES(fl_listen_tcp(&l, "no such name", 0, NULL), -ENOENT); /* the first that needs a thread */
	FL_CHECK(l == NULL);
	return 0;
}

FL_TEST(net_listen_tcp_faults)
{
	FL_POLLER_FAULTS();
	fl_test_leaves_nothing(tcp_faults, NULL);
}

static int cancelled_lookup(void *unused)
{
	fl_listener *l = NULL;
	(void)unused;
	fl_fiber_cancel(fl_fiber_current());
	FL_GIVES(fl_listen_tcp(&l, "some.name", 0, NULL), -ECANCELED);
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), 0); /* what can be done at once is done */
	fl_listener_free(l);
	return 0;
}

FL_TEST(net_listen_cancelled)
{
	FL_NAME_FAULTS();
	fl_test_lookup_ours();
	fl_test_found_add("127.0.0.1");
	fl_test_leaves_nothing(cancelled_lookup, NULL);
}

static void in_callback(void *event)
{
	fl_listener *l = NULL;
	FL_GIVES(fl_listen_tcp(&l, "localhost", 0, NULL), -ENOTSUP); /* it would have to wait */
	FL_GIVES(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), 0);
	fl_listener_free(l);
	FL_GIVES(fl_listen_unix(&l, fl_test_abstract(), NULL), 0);
	fl_listener_free(l);
	fl_event_set(event);
}

static int from_callback(void *unused)
{
	fl_event done = FL_EVENT_INIT;
	(void)unused;
	FL_GIVES(fl_loop_call(fl_loop_current(), in_callback, &done), 0);
	return fl_event_wait(&done);
}

FL_TEST(net_listen_outside_of_fibers)
{
	fl_listener *l = NULL;
	FL_RC(fl_listen_tcp(&l, "127.0.0.1", 0, NULL), -ENOTSUP);
	FL_RC(fl_listen_unix(&l, fl_test_abstract(), NULL), -ENOTSUP);
	fl_test_leaves_nothing(from_callback, NULL);
}

/* ---- Unix */

static void reach_path(fl_listener *l, const char *path)
{
	fl_stream *a = NULL, *b = NULL;
	FL_GIVES(fl_connect_unix(&a, path), 0);
	FL_GIVES(fl_accept(l, &b), 0);
	fl_test_talk(a, b);
	fl_stream_free(a);
	fl_stream_free(b);
}

static int at_paths(void *unused)
{
	fl_listener *l = NULL;
	const char *name = fl_test_abstract();
	(void)unused;
	fl_test_path p = fl_test_path_make();
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), 0);
	FL_CHECK(fl_test_path_is_there(&p) && fl_test_is_cloexec(fl_listener_fd(l)) && fl_listener_port(l) == 0);
	reach_path(l, p.name);
	fl_listener_free(l);
	FL_CHECK(!fl_test_path_is_there(&p));
	fl_test_path_end(&p);
	FL_GIVES(fl_listen_unix(&l, name, NULL), 0);
	reach_path(l, name);
	fl_listener *other = NULL;
	FL_GIVES(fl_listen_unix(&other, name, NULL), -EADDRINUSE);
	fl_listener_free(l);
	FL_GIVES(fl_listen_unix(&l, name, NULL), 0);
	fl_listener_free(l);
	return 0;
}

FL_TEST(net_listen_unix)
{
	fl_test_leaves_nothing(at_paths, NULL);
}

/* The longest path that fits, and one byte more. */
static int long_paths(void *unused)
{
	struct sockaddr_un a;
	char path[sizeof a.sun_path + 1];
	fl_listener *l = NULL;
	fl_stream *s = NULL;
	(void)unused;
	fl_test_path p = fl_test_path_make();
	size_t n = strlen(p.folder);
	memset(path, 'x', sizeof path);
	memcpy(path, p.folder, n);
	path[n] = '/';
	path[sizeof a.sun_path] = '\0';
	FL_GIVES(fl_listen_unix(&l, path, NULL), -ENAMETOOLONG);
	FL_GIVES(fl_connect_unix(&s, path), -ENAMETOOLONG);
	path[sizeof a.sun_path - 1] = '\0';
	FL_GIVES(fl_listen_unix(&l, path, NULL), 0);
	reach_path(l, path);
	fl_listener_free(l);
	FL_GIVES(fl_listen_unix(&l, "", NULL), -EINVAL);
	FL_GIVES(fl_listen_unix(&l, NULL, NULL), -EINVAL);
	fl_test_path_end(&p);
	return 0;
}

FL_TEST(net_listen_unix_path_too_long)
{
	fl_test_leaves_nothing(long_paths, NULL);
}

/* A bare Unix socket that is bound to a path, and listens if it is to. */
static int bound_to(const char *path, bool listens)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	FL_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && (!listens || listen(fd, 1) == 0));
	return fd;
}

static int stale(void *unused)
{
	fl_listener *l = NULL, *other = NULL;
	(void)unused;
	fl_test_path p = fl_test_path_make();
	FL_CHECK(close(bound_to(p.name, true)) == 0); /* a process that was killed leaves this */
	FL_CHECK(fl_test_path_is_there(&p));
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), 0);
	reach_path(l, p.name);
	FL_GIVES(fl_listen_unix(&other, p.name, NULL), -EADDRINUSE); /* somebody is there */
	fl_stream *s = fl_test_accepted(l);                          /* who was asked */
	char got;
	FL_GIVES(fl_stream_read(s, &got, 1), 0);
	fl_stream_free(s);
	fl_listener_free(l);
	FL_CHECK(!fl_test_path_is_there(&p));
	fl_test_path_end(&p);
	return 0;
}

FL_TEST(net_listen_unix_left_behind)
{
	fl_test_leaves_nothing(stale, NULL);
}

/* What is no socket stays; so does another's that has come in the place of ours. */
static int not_ours(void *unused)
{
	fl_listener *l = NULL;
	char below[64];
	(void)unused;
	fl_test_path p = fl_test_path_make();
	int file = open(p.name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	FL_CHECK(file >= 0 && close(file) == 0);
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), -EADDRINUSE);
	(void)snprintf(below, sizeof below, "%s/x", p.name);
	FL_GIVES(fl_listen_unix(&l, below, NULL), -ENOTDIR);
	FL_CHECK(fl_test_path_is_there(&p) && unlink(p.name) == 0);
	FL_GIVES(fl_listen_unix(&l, below, NULL), -ENOENT);
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), 0);
	FL_CHECK(unlink(p.name) == 0);
	int other = bound_to(p.name, true);
	fl_listener_free(l);
	FL_CHECK(fl_test_path_is_there(&p) && unlink(p.name) == 0 && close(other) == 0);
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), 0);
	FL_CHECK(unlink(p.name) == 0);
	fl_listener_free(l); /* it is gone already */
	fl_test_path_end(&p);
	return 0;
}

FL_TEST(net_listen_unix_leaves_the_files_of_others)
{
	fl_test_leaves_nothing(not_ours, NULL);
}

static int unix_faults(void *unused)
{
	fl_listener *l = NULL;
	(void)unused;
	fl_test_path p = fl_test_path_make();
	static const int of_socket[][2] = {{-EMFILE, -EMFILE}, {-ENFILE, -ENFILE}, {-ENOBUFS, -ENOMEM}};
	for (size_t i = 0; i < sizeof of_socket / sizeof *of_socket; i++) {
		fault = of_socket[i][0];
		fl__net_sys.socket = failing_socket;
		FL_GIVES(fl_listen_unix(&l, p.name, NULL), of_socket[i][1]);
	}
	fl_test_no_faults();
	static const int of_bind[] = {-EACCES, -EROFS, -ENOENT};
	for (size_t i = 0; i < sizeof of_bind / sizeof *of_bind; i++) {
		fault = of_bind[i];
		fl__net_sys.bind = failing_bind;
		FL_GIVES(fl_listen_unix(&l, p.name, NULL), of_bind[i]); /* -EACCES, -EROFS */
	}
	fl_test_no_faults();
	fl__net_sys.listen = failing_listen;
	fault = -ENOBUFS;
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), -ENOMEM);
	fl_test_no_faults();
	FL_CHECK(!fl_test_path_is_there(&p));
	fl__poller_sys.control = failing_control;
	fault = -ENOSPC;
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), -ENOSPC);
	fl_test_no_faults();
	FL_CHECK(!fl_test_path_is_there(&p));
	fl__sys.alloc = fl_test_no_memory;
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), -ENOMEM);
	fl_test_no_faults();
	FL_CHECK(l == NULL);
	fl_test_path_end(&p);
	return 0;
}

FL_TEST(net_listen_unix_faults)
{
	FL_POLLER_FAULTS();
	FL_NAME_FAULTS();
	fl_test_leaves_nothing(unix_faults, NULL);
}

static unsigned sockets_left;

static int few_sockets(int family, int type, int protocol)
{
	return sockets_left-- > 0 ? fl_test_real_net_sys.socket(family, type, protocol) : -EMFILE;
}

static int failing_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd;
	(void)address;
	(void)size;
	return fault;
}

/* At a path where a socket is, which cannot be found out about, or not removed. */
static int stale_faults(void *unused)
{
	fl_listener *l = NULL;
	(void)unused;
	fl_test_path p = fl_test_path_make();
	FL_CHECK(close(bound_to(p.name, false)) == 0);
	fl__name_sys.unlink = failing_unlink;
	fault = -EACCES;
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), -EACCES);
	fl_test_no_faults();
	fl__net_sys.connect = failing_connect;
	static const int of_connect[][2] = {{-EACCES, -EACCES}, {-EAGAIN, -EADDRINUSE}, {-EPROTOTYPE, -EADDRINUSE}};
	for (size_t i = 0; i < sizeof of_connect / sizeof *of_connect; i++) {
		fault = of_connect[i][0];
		FL_GIVES(fl_listen_unix(&l, p.name, NULL), of_connect[i][1]);
	}
	fl_test_no_faults();
	fl__net_sys.socket = few_sockets;
	sockets_left = 1;
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), -EMFILE);
	fl_test_no_faults();
	fl__name_sys.socket_file = failing_file;
	fault = -EACCES;
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), -EACCES);
	fault = -ENOENT; /* it went by itself: but another stands there now */
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), -EADDRINUSE);
	fl_test_no_faults();
	FL_CHECK(fl_test_path_is_there(&p));
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), 0);
	fl__name_sys.unlink = failing_unlink;
	fl_listener_free(l);
	fl_test_no_faults();
	FL_GIVES(fl_listen_unix(&l, p.name, NULL), 0); /* which it has left behind */
	fl_listener_free(l);
	fl_test_path_end(&p);
	return 0;
}

FL_TEST(net_listen_unix_left_behind_faults)
{
	FL_NAME_FAULTS();
	fl_test_leaves_nothing(stale_faults, NULL);
}
