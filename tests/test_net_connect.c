/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections: of what they are tried, and who gives up when. */
#include "fl_net.h"

/* Calls of connect() for each last byte of an IPv4 address, those that ask again apart. */
static unsigned tried[256];
static int last_tried[2]; /* its descriptor, its address: so that asking again is told from another attempt */

static int see_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	unsigned last = ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) & 255;
	if (address->sa_family == AF_INET && (last_tried[0] != fd || last_tried[1] != (int)last)) {
		tried[last]++;
		last_tried[0] = fd;
		last_tried[1] = (int)last;
	}
	return fl_test_real_net_sys.connect(fd, address, size);
}

static void see(void)
{
	memset(tried, 0, sizeof tried);
	last_tried[0] = -1;
	fl__net_sys.connect = see_connect;
}

static int refused(void *unused)
{
	uint16_t port = 0;
	fl_stream *s = NULL;
	(void)unused;
	int fd = fl_test_bound("127.0.0.1", &port); /* nobody else's, and nobody listens */
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", port), -ECONNREFUSED);
	FL_GIVES(fl_connect_tcp_until(&s, "127.0.0.1", port, 0, NULL), -ECONNREFUSED); /* it is known at once */
	FL_CHECK(s == NULL && close(fd) == 0);
	return 0;
}

FL_TEST(net_connect_refused)
{
	fl_test_leaves_nothing(refused, NULL);
}

/* The same, when it is not known at once: by an event. */
static unsigned calls;

static int behind_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	return ++calls == 2 ? -EALREADY : fl_test_real_net_sys.connect(fd, address, size);
}

/* As Linux does when somebody has asked before. */
static int second_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	int rc = fl_test_real_net_sys.connect(fd, address, size);
	return rc == 0 ? -EISCONN : rc;
}

static int by_event(void *unused)
{
	uint16_t port = 0;
	fl_stream *s = NULL;
	(void)unused;
	int fd = fl_test_bound("127.0.0.1", &port);
	fl_listener *l = fl_test_listener("127.0.0.1", 0);
	fl__net_sys.connect = behind_connect;
	calls = 0;
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", port), -ECONNREFUSED);
	calls = 0;
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)), 0);
	fl_stream *other = fl_test_accepted(l);
	fl_test_talk(s, other);
	fl_stream_free(s);
	fl__net_sys.connect = second_connect;
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)), 0);
	fl_test_no_faults();
	fl_stream_free(s);
	fl_stream_free(other);
	fl_listener_free(l);
	FL_CHECK(close(fd) == 0);
	return 0;
}

FL_TEST(net_connect_by_an_event)
{
	fl_test_leaves_nothing(by_event, NULL);
}

static int past(void *unused)
{
	fl_stream *s = NULL;
	(void)unused;
	fl_listener *l = fl_test_listener("127.0.0.1", 0);
	fl_fiber_cancel(fl_fiber_current());
	FL_GIVES(fl_connect_tcp_until(&s, "127.0.0.1", fl_listener_port(l), 0, NULL), 0);
	fl_stream_free(s);
	fl_listener_free(l);
	return 0;
}

/* What can be done at once is done. */
FL_TEST(net_connect_after_the_deadline)
{
	fl_test_leaves_nothing(past, NULL);
}

/* ---- nobody answers */

typedef struct to {
	uint16_t port;
	int64_t deadline;
} to;

static int connect_it(void *where)
{
	const to *t = where;
	fl_stream *s = NULL;
	int rc = fl_connect_tcp_until(&s, "127.0.0.1", t->port, t->deadline, NULL);
	fl_stream_free(s);
	return rc;
}

static int in_vain(void *unused)
{
	to t = {0, FL_FOREVER};
	int full[2];
	fl_stream *s = NULL;
	(void)unused;
	fl_test_full(full, "127.0.0.1", &t.port);
	unsigned fds = fl_test_fds();
	FL_GIVES(fl_connect_tcp_until(&s, "127.0.0.1", t.port, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_GIVES(fl_connect_tcp_until(&s, "127.0.0.1", t.port, 0, NULL), -ETIMEDOUT);
	FL_CHECK(fl_test_fds() == fds);
	fl_fiber *f = fl_test_start(connect_it, &t);
	fl_test_settle();
	FL_CHECK(fl_test_fds() == fds + 1); /* it waits */
	fl_fiber_cancel(f);
	FL_GIVES(fl_test_join(f), -ECANCELED);
	FL_CHECK(fl_test_fds() == fds);
	fl_fiber_cancel(fl_fiber_current());
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", t.port), -ECANCELED);
	FL_CHECK(fl_test_fds() == fds && s == NULL);
	fl_test_close_two(full);
	return 0;
}

FL_TEST(net_connect_cancelled)
{
	fl_test_leaves_nothing(in_vain, NULL);
}

/* Many that are cancelled while they wait, with their loop. */
static int left_alone(void *unused)
{
	static to t = {0, FL_FOREVER};
	static int full[2];
	(void)unused;
	t.port = 0;
	fl_test_full(full, "127.0.0.1", &t.port);
	for (int i = 0; i < 20; i++)
		fl_fiber_detach(fl_test_start(connect_it, &t));
	fl_test_settle();
	fl_test_close_two(full);
	return 0;
}

FL_TEST(net_connect_at_the_end_of_the_loop)
{
	fl_test_leaves_nothing(left_alone, NULL);
}

/* ---- several addresses */

/* The two addresses of a name. */
static void find_two(const char *first, const char *second)
{
	fl_test_found_n = 0;
	fl_test_found_add(first);
	fl_test_found_add(second);
}

static int first_refuses(void *unused)
{
	uint16_t port = 0;
	fl_stream *s = NULL;
	(void)unused;
	int fd = fl_test_bound("127.0.0.1", &port);
	fl_listener *l = fl_test_listener("127.0.0.2", port);
	find_two("127.0.0.1", "127.0.0.2");
	see();
	FL_GIVES(fl_connect_tcp(&s, "some.name", port), 0);
	FL_CHECK(tried[1] == 1 && tried[2] == 1);
	fl_stream *other = fl_test_accepted(l);
	fl_test_talk(s, other);
	fl_stream_free(s);
	fl_stream_free(other);
	/* the first that answers counts: the others are not tried */
	find_two("127.0.0.2", "127.0.0.1");
	see();
	FL_GIVES(fl_connect_tcp(&s, "some.name", port), 0);
	FL_CHECK(tried[1] == 0 && tried[2] == 1);
	fl_stream_free(s);
	fl_listener_free(l);
	FL_GIVES(fl_connect_tcp(&s, "some.name", port), -ECONNREFUSED);
	FL_CHECK(tried[1] == 1 && tried[2] == 2 && close(fd) == 0);
	return 0;
}

FL_TEST(net_connect_to_the_second_address)
{
	FL_NAME_FAULTS();
	fl_test_lookup_ours();
	fl_test_leaves_nothing(first_refuses, NULL);
}

static fl_stream *eager_stream;

static int connect_name(void *port)
{
	return fl_connect_tcp(&eager_stream, "some.name", *(uint16_t *)port);
}

static int64_t stopped_clock(void)
{
	return FL_S(1000) + fl__load_relaxed(&fl_test_ahead);
}

/* The clock stands still: so nothing but the test decides when the second one begins. */
static int first_is_silent(void *unused)
{
	uint16_t port = 0;
	int full[2];
	(void)unused;
	fl__store_relaxed(&fl_test_ahead, 0); /* relaxed: whoever reads the clock may see either time; so below */
	fl__sys.now = stopped_clock;
	fl_test_full(full, "127.0.0.1", &port);
	fl_listener *l = fl_test_listener("127.0.0.2", port);
	unsigned fds = fl_test_fds();
	find_two("127.0.0.1", "127.0.0.2");
	see();
	fl_fiber *f = fl_test_start(connect_name, &port);
	FL_TEST_UNTIL(tried[1] == 1);
	fl__store_relaxed(&fl_test_ahead, FL_MS(249));
	for (int i = 0; i < 1000; i++) /* many looks at the clock */
		FL_GIVES(fl_sleep(0), 0);
	FL_CHECK(tried[1] == 1 && tried[2] == 0);
	fl__store_relaxed(&fl_test_ahead, FL_MS(250));
	FL_GIVES(fl_test_join(f), 0);
	FL_CHECK(tried[1] == 1 && tried[2] == 1);
	fl_stream *other = fl_test_accepted(l);
	fl_test_talk(eager_stream, other);
	FL_CHECK(fl_test_fds() == fds + 2); /* the first attempt was closed */
	fl_stream_free(eager_stream);
	fl_stream_free(other);
	fl_listener_free(l);
	fl_test_close_two(full);
	return 0;
}

FL_TEST(net_connect_beside_a_silent_address)
{
	FL_NAME_FAULTS();
	fl_test_lookup_ours();
	fl_test_leaves_nothing(first_is_silent, NULL);
}

/* One that fails makes room at once, though another is still under way. */
static int then_one_refuses(void *unused)
{
	uint16_t port = 0;
	int full[2];
	(void)unused;
	fl__store_relaxed(&fl_test_ahead, 0); /* relaxed: as above */
	fl__sys.now = stopped_clock;
	fl_test_full(full, "127.0.0.1", &port);
	int fd = fl_test_bound("127.0.0.2", &port);
	fl_listener *l = fl_test_listener("127.0.0.3", port);
	find_two("127.0.0.1", "127.0.0.2");
	fl_test_found_add("127.0.0.3");
	see();
	fl_fiber *f = fl_test_start(connect_name, &port);
	FL_TEST_UNTIL(tried[1] == 1);
	fl__store_relaxed(&fl_test_ahead, FL_MS(250));
	FL_GIVES(fl_test_join(f), 0);
	FL_CHECK(tried[1] == 1 && tried[2] == 1 && tried[3] == 1);
	fl_stream_free(eager_stream);
	fl_listener_free(l);
	fl_test_close_two(full);
	FL_CHECK(close(fd) == 0);
	return 0;
}

FL_TEST(net_connect_to_the_next_when_one_fails)
{
	FL_NAME_FAULTS();
	fl_test_lookup_ours();
	fl_test_leaves_nothing(then_one_refuses, NULL);
}

/* Several under way at once: all are closed. */
static int all_silent(void *unused)
{
	uint16_t port = 0;
	int a[2], b[2];
	(void)unused;
	fl_test_clock_ours();
	fl_test_full(a, "127.0.0.1", &port);
	fl_test_full(b, "127.0.0.2", &port);
	unsigned fds = fl_test_fds();
	find_two("127.0.0.1", "127.0.0.2");
	fl_fiber *f = fl_test_start(connect_name, &port);
	FL_TEST_UNTIL(fl_test_fds() == fds + 1);
	fl__store_relaxed(&fl_test_ahead, FL_MS(250)); /* relaxed: as above */
	FL_TEST_UNTIL(fl_test_fds() == fds + 2);
	fl_fiber_cancel(f);
	FL_GIVES(fl_test_join(f), -ECANCELED);
	FL_CHECK(fl_test_fds() == fds);
	fl_test_close_two(a);
	fl_test_close_two(b);
	return 0;
}

FL_TEST(net_connect_cancelled_at_several_addresses)
{
	FL_NAME_FAULTS();
	fl_test_lookup_ours();
	fl_test_leaves_nothing(all_silent, NULL);
}

/* What each attempt answers, by the last byte of its address; 0: what the system says. */
static int answers[256];

static int answer(int fd, const struct sockaddr *address, socklen_t size)
{
	unsigned last = ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) & 255;
	return answers[last] ? answers[last] : fl_test_real_net_sys.connect(fd, address, size);
}

/* The last address speaks, unless all it says is that this machine has no way to it. */
static int which_error(void *unused)
{
	static const int cases[][3] = {
	    {-ECONNREFUSED, -EHOSTUNREACH, -EHOSTUNREACH},
	    {-EHOSTUNREACH, -ECONNREFUSED, -ECONNREFUSED},
	    {-ECONNREFUSED, -ENETUNREACH, -ECONNREFUSED},
	    {-ENETUNREACH, -ECONNREFUSED, -ECONNREFUSED},
	    {-ECONNREFUSED, -EADDRNOTAVAIL, -ECONNREFUSED},
	    {-EADDRNOTAVAIL, -ENETUNREACH, -ENETUNREACH},
	    {-ENETUNREACH, -EADDRNOTAVAIL, -EADDRNOTAVAIL},
	    {-ECONNREFUSED, -ETIMEDOUT, -ETIMEDOUT},
	    {-EAFNOSUPPORT, -ENOBUFS, -ENOMEM},
	};
	fl_stream *s = NULL;
	(void)unused;
	find_two("127.0.0.1", "127.0.0.2");
	fl__net_sys.connect = answer;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memcpy(&answers[1], cases[i], 2 * sizeof *answers);
		FL_GIVES(fl_connect_tcp(&s, "some.name", 80), cases[i][2]);
	}
	return 0;
}

FL_TEST(net_connect_errors_of_addresses)
{
	FL_NAME_FAULTS();
	fl_test_lookup_ours();
	fl_test_leaves_nothing(which_error, NULL);
}

/* IPv6 and IPv4 in turn, the name's first one first, each family in its order. */
static char order[64];

static int note_and_refuse(int fd, const struct sockaddr *address, socklen_t size)
{
	size_t n = strlen(order);
	(void)fd;
	(void)size;
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;
	if (address->sa_family == AF_INET)
		(void)snprintf(order + n, sizeof order - n, "%u ", ntohl(four->sin_addr.s_addr) & 255);
	else
		(void)snprintf(order + n, sizeof order - n, "%x ", six->sin6_addr.s6_addr[15]);
	return -ECONNREFUSED;
}

static void try_in_order(const char *addresses)
{
	char list[256], *rest = list;
	fl_stream *s = NULL;
	(void)snprintf(list, sizeof list, "%s", addresses);
	fl_test_found_n = 0;
	for (char *one; (one = strsep(&rest, " ")) != NULL;)
		fl_test_found_add(one);
	order[0] = '\0';
	FL_GIVES(fl_connect_tcp(&s, "some.name", 80), -ECONNREFUSED);
}

static int any_socket(int family, int type, int protocol)
{
	(void)family;
	return fl_test_real_net_sys.socket(AF_INET, type, protocol);
}

static int in_order(void *unused)
{
	(void)unused;
	fl__net_sys.connect = note_and_refuse;
	fl__net_sys.socket = any_socket; /* also where there is no IPv6 */
	try_in_order("::a ::b ::c 127.0.0.1 127.0.0.2");
	FL_CHECK(strcmp(order, "a 1 b 2 c ") == 0);
	try_in_order("127.0.0.1 127.0.0.2 127.0.0.3 ::a");
	FL_CHECK(strcmp(order, "1 a 2 3 ") == 0);
	try_in_order("127.0.0.1 ::a ::b 127.0.0.2 127.0.0.3 ::c");
	FL_CHECK(strcmp(order, "1 a 2 b 3 c ") == 0);
	try_in_order("::a");
	FL_CHECK(strcmp(order, "a ") == 0);
	return 0;
}

FL_TEST(net_connect_families_in_turn)
{
	FL_NAME_FAULTS();
	fl_test_lookup_ours();
	fl_test_leaves_nothing(in_order, NULL);
}

static int by_name(void *unused)
{
	(void)unused;
	fl_listener *l = fl_test_listener(NULL, 0);
	fl_stream *a = fl_test_connected("localhost", fl_listener_port(l)), *b = fl_test_accepted(l);
	fl_test_talk(a, b);
	fl_stream_free(a);
	fl_stream_free(b);
	fl_listener_free(l);
	fl_stream *s = NULL;
	FL_GIVES(fl_connect_tcp(&s, "no such name", 80), -ENOENT);
	FL_GIVES(fl_connect_tcp(&s, NULL, 80), -EINVAL);
	FL_GIVES(fl_connect_tcp(&s, "", 80), -ENOENT);
	return 0;
}

FL_TEST(net_connect_by_name)
{
	fl_test_leaves_nothing(by_name, NULL);
}

/* ---- the system gives a socket the very port that it is to reach */

static int bind_first(int fd, const struct sockaddr *address, socklen_t size)
{
	const int on = 1;
	struct sockaddr_storage a;
	memcpy(&a, address, size);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	(void)bind(fd, (struct sockaddr *)&a, size); /* as if that were chance; the second time it is so already */
	return fl_test_real_net_sys.connect(fd, address, size);
}

static void connect_with_itself(const char *host)
{
	uint16_t port = 0;
	fl_stream *s = NULL;
	int fd = fl_test_bound(host, &port);
	fl__net_sys.connect = bind_first;
	FL_GIVES(fl_connect_tcp(&s, host, port), -ECONNREFUSED);
	fl_test_no_faults();
	fl_listener_free(fl_test_listener(host, port)); /* the port is free */
	FL_CHECK(close(fd) == 0);
}

static int with_itself(void *unused)
{
	(void)unused;
	connect_with_itself("127.0.0.1");
	if (fl_test_has_ipv6())
		connect_with_itself("::1");
	return 0;
}

FL_TEST(net_connect_with_itself)
{
	fl_test_leaves_nothing(with_itself, NULL);
}

/* ---- faults */

static int fault;

static int failing_socket(int family, int type, int protocol)
{
	(void)family;
	(void)type;
	(void)protocol;
	return fault;
}

static int failing_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd;
	(void)address;
	(void)size;
	return fault;
}

static int failing_control(int poller, int op, int fd, uint32_t events, void *who)
{
	return op == EPOLL_CTL_ADD ? fault : fl_test_real_poller.control(poller, op, fd, events, who);
}

static int faults(void *unused)
{
	int full[2];
	uint16_t port = 0;
	fl_stream *s = NULL;
	(void)unused;
	fl_listener *l = fl_test_listener("127.0.0.1", 0);
	fl_listener *u = NULL;
	FL_GIVES(fl_listen_unix(&u, fl_test_abstract(), NULL), 0);
	fl_test_full(full, "127.0.0.1", &port);
	static const int of_socket[][2] = {
	    {-EMFILE, -EMFILE}, {-ENFILE, -ENFILE}, {-ENOBUFS, -ENOMEM}, {-EAFNOSUPPORT, -EAFNOSUPPORT}};
	for (size_t i = 0; i < sizeof of_socket / sizeof *of_socket; i++) {
		fault = of_socket[i][0];
		fl__net_sys.socket = failing_socket;
		FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)), of_socket[i][1]); /* -ENFILE */
		FL_GIVES(fl_connect_unix(&s, fl_test_abstract()), of_socket[i][1]);
		fl_test_no_faults();
	}
	fl__poller_sys.control = failing_control;
	fault = -ENOSPC;
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)), -ENOSPC);
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", port), -ENOSPC);
	FL_GIVES(fl_connect_unix(&s, fl_test_abstract()), -ENOSPC);
	fl_test_no_faults();
	fl__sys.alloc = fl_test_no_memory;
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)), -ENOMEM);
	FL_GIVES(fl_connect_unix(&s, fl_test_abstract()), -ENOMEM);
	fl_test_no_faults();
	fl__net_sys.connect = failing_connect;
	fault = -EACCES;
	FL_GIVES(fl_connect_unix(&s, fl_test_abstract()), -EACCES);
	fault = -ENOBUFS;
	FL_GIVES(fl_connect_unix(&s, fl_test_abstract()), -ENOMEM);
	fl_test_no_faults();
	FL_CHECK(s == NULL);
	fl_test_close_two(full);
	fl_listener_free(l);
	fl_listener_free(u);
	return 0;
}

FL_TEST(net_connect_faults)
{
	FL_POLLER_FAULTS();
	fl_test_leaves_nothing(faults, NULL);
}

static void in_callback(void *event)
{
	fl_stream *s = NULL;
	FL_GIVES(fl_connect_tcp(&s, "127.0.0.1", 80), -ENOTSUP);
	FL_GIVES(fl_connect_unix(&s, fl_test_abstract()), -ENOTSUP);
	fl_event_set(event);
}

static int from_callback(void *unused)
{
	fl_event done = FL_EVENT_INIT;
	(void)unused;
	FL_GIVES(fl_loop_call(fl_loop_current(), in_callback, &done), 0);
	return fl_event_wait(&done);
}

FL_TEST(net_connect_outside_of_fibers)
{
	fl_stream *s = NULL;
	FL_RC(fl_connect_tcp(&s, "127.0.0.1", 80), -ENOTSUP);
	FL_RC(fl_connect_tcp_until(&s, "127.0.0.1", 80, 0, NULL), -ENOTSUP);
	FL_RC(fl_connect_unix(&s, fl_test_abstract()), -ENOTSUP);
	FL_RC(fl_connect_unix_until(&s, fl_test_abstract(), 0, NULL), -ENOTSUP);
	fl_test_leaves_nothing(from_callback, NULL);
}

/* ---- Unix */

static int unix_errors(void *unused)
{
	char name[128];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	fl_stream *s = NULL;
	(void)unused;
	fl_test_path p = fl_test_path_make();
	FL_GIVES(fl_connect_unix(&s, p.name), -ENOENT);
	FL_GIVES(fl_connect_unix(&s, fl_test_abstract()), -ECONNREFUSED);
	FL_GIVES(fl_connect_unix(&s, ""), -EINVAL);
	FL_GIVES(fl_connect_unix(&s, NULL), -EINVAL);
	memset(name, 'x', sizeof name);
	name[108] = '\0';
	FL_GIVES(fl_connect_unix(&s, name), -ENAMETOOLONG);
	name[107] = '\0';
	FL_GIVES(fl_connect_unix(&s, name), -ENOENT);
	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s", p.name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
	FL_GIVES(fl_connect_unix(&s, p.name), -EPROTOTYPE);
	FL_CHECK(close(fd) == 0);
	FL_GIVES(fl_connect_unix(&s, p.name), -ECONNREFUSED);
	FL_CHECK(s == NULL && unlink(p.name) == 0);
	fl_test_path_end(&p);
	return 0;
}

FL_TEST(net_connect_unix_errors)
{
	fl_test_leaves_nothing(unix_errors, NULL);
}

static int connect_full(void *stream)
{
	return fl_connect_unix(stream, fl_test_abstract());
}

/* A listener that has as many connections as it keeps. */
static int unix_full(void *unused)
{
	fl_listener *l = NULL;
	fl_stream *first[2], *s = NULL;
	(void)unused;
	FL_GIVES(fl_listen_unix(&l, fl_test_abstract(), &(fl_listen_config){.backlog = 1}), 0);
	for (int i = 0; i < 2; i++)
		FL_GIVES(fl_connect_unix(&first[i], fl_test_abstract()), 0);
	FL_GIVES(fl_connect_unix_until(&s, fl_test_abstract(), 0, NULL), -ETIMEDOUT);
	FL_GIVES(fl_connect_unix_until(&s, fl_test_abstract(), fl_after(FL_MS(5)), NULL), -ETIMEDOUT);
	fl_fiber *f = fl_test_start(connect_full, &s);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f));
	fl_fiber_cancel(f);
	FL_GIVES(fl_test_join(f), -ECANCELED); /* fl_connect_unix() */
	f = fl_test_start(connect_full, &s);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f));
	fl_stream *taken = fl_test_accepted(l);
	FL_GIVES(fl_test_join(f), 0);
	for (int i = 0; i < 2; i++) {
		fl_stream_free(taken);
		fl_stream_free(first[i]);
		taken = fl_test_accepted(l);
	}
	fl_test_talk(s, taken);
	fl_stream_free(s);
	fl_stream_free(taken);
	fl_listener_free(l);
	return 0;
}

FL_TEST(net_connect_unix_to_a_full_listener)
{
	fl_test_leaves_nothing(unix_full, NULL);
}
