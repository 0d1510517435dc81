/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagram sockets: errors of the network and of the system, receivers that are full, hostile
 * peers.
 */
#include "fl_datagrams.h"

#include <linux/errqueue.h>

static char local[] = "127.0.0.1", letter[] = "x", word[] = "many";

/* ---- ICMP */

/*
 * A socket that is connected with itself: datagrams of others find no socket at its address. No
 * other program gets the port meanwhile.
 */
static fl_datagram *nobody(const char *host, fl_address *at)
{
	fl_datagram *d = fl_test_udp(host);
	*at = fl_test_address_of(d);
	FL_OK(fl_datagram_connect(d, at));
	return d;
}

/* icmp_kills_server: of a socket that is not connected nobody hears, and it serves on. */
static int dead_client(void *host)
{
	char got[8];
	fl_address gone;
	fl_datagram *d = fl_test_udp(host), *client = fl_test_udp(host), *none = nobody(host, &gone);
	const fl_address to = fl_test_address_of(client);
	for (int i = 0; i < 10; i++) {
		fl_test_sends(d, "answer", &gone);
		FL_RC(fl_datagram_try_receive(d, got, sizeof got, NULL), -EAGAIN);
		fl_test_sends(d, "answer", &to);
		fl_test_gets(client, "answer", NULL);
	}
	fl_datagram_free(d);
	fl_datagram_free(client);
	fl_datagram_free(none);
	return 0;
}

FL_TEST(datagram_dead_client)
{
	fl_test_leaves_nothing(dead_client, local);
}

static int receive_error(void *d)
{
	char got[8];
	return (int)fl_datagram_receive(d, got, sizeof got, NULL);
}

/* The send, which returned `sent`, has succeeded, and its error is there: loopbacks may be late. */
static void refused_after(const fl_datagram *d, int sent)
{
	FL_OK(sent);
	FL_RC(poll(&(struct pollfd){.fd = fl_datagram_fd(d)}, 1, 60000), 1);
}

/* A connected socket is told, once for each, and goes on. */
FL_NET_TEST(datagram_refused)
{
	char got[8];
	unsigned sent;
	fl_datagram_message m[2] = {{.data = got, .size = 1}, {.data = got, .size = 1}};
	fl_address to;
	fl_datagram *d = fl_test_udp("127.0.0.1"), *peer = nobody("127.0.0.1", &to);
	const fl_address own = fl_test_address_of(d);
	FL_OK(fl_datagram_connect(d, &to));
	refused_after(d, fl_datagram_send_to(d, "x", 1, NULL));
	FL_RC(fl_datagram_send_to_until(d, "x", 1, NULL, FL_NO_WAIT, NULL), -ECONNREFUSED); /* this one was not sent */
	refused_after(d, fl_datagram_try_send_to(d, "x", 1, NULL));
	FL_RC(fl_datagram_try_send_to(d, "x", 1, NULL), -ECONNREFUSED);
	refused_after(d, fl_datagram_send_many(d, m, 1, NULL));
	FL_RC(fl_datagram_send_many(d, m, 2, &sent), -ECONNREFUSED);
	FL_RC(sent, 0);
	fl_fiber *f = fl_test_start(receive_error, d);
	FL_TEST_UNTIL(fl_test_datagram_waits(d, FL__IO_IN));
	FL_OK(fl_datagram_send_to(d, "x", 1, NULL));
	FL_RC(fl_test_join(f), -ECONNREFUSED); /* fl_datagram_receive() */
	refused_after(d, fl_datagram_send_to(d, "x", 1, NULL));
	FL_RC(fl_datagram_receive_until(d, got, 1, NULL, FL_NO_WAIT, NULL), -ECONNREFUSED);
	refused_after(d, fl_datagram_send_to(d, "x", 1, NULL));
	FL_RC(fl_datagram_try_receive(d, got, 1, NULL), -ECONNREFUSED);
	FL_RC(fl_datagram_try_receive(d, got, 1, NULL), -EAGAIN);
	FL_OK(fl_datagram_send_to(d, "x", 1, NULL));
	FL_RC(fl_datagram_receive_many(d, m, 2), -ECONNREFUSED);
	FL_OK(fl_datagram_disconnect(peer));
	FL_OK(fl_datagram_send_to(d, "here", 4, NULL));
	fl_test_gets(peer, "here", &own);
	fl_datagram_free(peer);
	fl_datagram_free(d);
}

/* With peer_errors the peer is named, and no send to another peer fails. */
static int named_peers(void *host)
{
	enum { DEAD = 3 };
	const fl_datagram_config c = {.peer_errors = true};
	const char *at = host ? host : local;
	char got[8];
	fl_address from, dead[DEAD];
	fl_datagram_message m = {.data = got, .size = sizeof got};
	fl_datagram *d = NULL, *alive = fl_test_udp(at), *none[DEAD];
	const fl_address to = fl_test_address_of(alive);
	FL_OK(fl_datagram_open_udp(&d, host, 0, &c));
	FL_EACH (i, dead)
		none[i] = nobody(at, &dead[i]);
	FL_EACH (i, dead) {
		fl_test_sends(d, "x", &dead[i]);
		fl_test_sends(d, "x", &to);
		fl_test_gets(alive, "x", NULL);
	}
	FL_EACH (i, dead) {
		FL_RC(i == 1 ? fl_datagram_receive_many(d, &m, 1) : fl_datagram_receive(d, got, 1, &from),
		      -ECONNREFUSED);
		FL_CHECK(fl_address_is_equal(i == 1 ? &m.address : &from, &dead[i]));
	}
	FL_RC(fl_datagram_try_receive(d, got, 1, &from), -EAGAIN);
	fl_test_sends(d, "x", &dead[0]);
	m.address = to;
	FL_OK(fl_datagram_send_many(d, &m, 1, NULL)); /* a batch to another peer does not fail, too */
	FL_RC(fl_datagram_receive(d, got, 1, NULL), -ECONNREFUSED);
	fl_fiber *f = fl_test_start(receive_error, d);
	FL_TEST_UNTIL(fl_test_datagram_waits(d, FL__IO_IN));
	fl_test_sends(d, "x", &dead[2]);
	fl_test_sends(d, "x", &to); /* clears the system's error, but the receiver is told */
	FL_RC(fl_test_join(f), -ECONNREFUSED);
	const fl_address own = fl_test_udp_address(at, fl_datagram_port(d));
	refused_after(d, fl_datagram_send_to(d, "x", 1, &dead[2]));
	fl_test_sends(alive, "data", &own);
	FL_RC(fl_datagram_receive_until(d, got, 8, &from, FL_NO_WAIT, NULL), -ECONNREFUSED);
	fl_test_gets(d, "data", &to); /* an error hides no datagram */
	FL_EACH (i, none)
		fl_datagram_free(none[i]);
	fl_datagram_free(d);
	fl_datagram_free(alive);
	return 0;
}

FL_TEST(datagram_peer_errors)
{
	fl_test_leaves_nothing(named_peers, local);
	fl_test_leaves_nothing(named_peers, NULL);
}

/*
 * An error of this machine alone is in the queue, too: the send has returned it, and a receive does
 * not.
 */
FL_NET_TEST(datagram_own_errors)
{
	enum { SIZE = 65535 };
	const fl_datagram_config c = {.peer_errors = true};
	char *data = calloc(1, SIZE), got;
	fl_datagram *d = NULL;
	const int always = IP_PMTUDISC_DO;
	FL_OK(fl_datagram_open_udp(&d, "127.0.0.1", 0, &c));
	FL_OK(setsockopt(fl_datagram_fd(d), IPPROTO_IP, IP_MTU_DISCOVER, &always, sizeof always));
	const fl_address own = fl_test_address_of(d);
	FL_RC(fl_datagram_send_to(d, data, SIZE, &own), -EMSGSIZE);
	FL_RC(fl_datagram_send_to(d, data, 65530, &own), -EMSGSIZE);
	FL_RC(fl_datagram_try_receive(d, &got, 1, NULL), -EAGAIN);
	fl_datagram_free(d);
	free(data);
}

/* An error that the queue does not have: it is still returned, without a peer. */
static ssize_t error_without_queue(int fd, struct msghdr *message, int flags)
{
	return flags & MSG_ERRQUEUE ? -EAGAIN : -EHOSTUNREACH;
}

static unsigned strikes;

/* Signals; and an entry of the queue that is none of a peer's, before one that is. */
static ssize_t strange_queue(int fd, struct msghdr *message, int flags)
{
	if (!(flags & MSG_ERRQUEUE))
		return fl_test_real_net_sys.recvmsg(fd, message, flags);
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	struct sock_extended_err e = {.ee_errno = ENETUNREACH, .ee_origin = SO_EE_ORIGIN_LOCAL};
	switch (strikes++) {
	case 0:
		return -EINTR;
	case 1:
		message->msg_controllen = 0;
		return 0;
	case 2:
		c->cmsg_level = SOL_SOCKET;
		break;
	case 4:
		e.ee_origin = SO_EE_ORIGIN_ICMP; /* fallthrough */
	default:
		c->cmsg_level = IPPROTO_IP;
	}
	c->cmsg_type = IP_RECVERR;
	c->cmsg_len = CMSG_LEN(sizeof e);
	memcpy(CMSG_DATA(c), &e, sizeof e);
	message->msg_controllen = CMSG_SPACE(sizeof e);
	message->msg_namelen = 0;
	return 0;
}

FL_NET_TEST(datagram_odd_error_queues)
{
	const fl_datagram_config c = {.peer_errors = true};
	char got;
	fl_datagram *d = NULL;
	fl_address from;
	fl_datagram_message m = {.data = &got, .size = 1};
	FL_OK(fl_datagram_open_udp(&d, "127.0.0.1", 0, &c));
	fl__net_sys.recvmsg = error_without_queue;
	from.size = 9;
	FL_RC(fl_datagram_receive(d, &got, 1, &from), -EHOSTUNREACH);
	FL_RC(from.size, 0);
	FL_RC(fl_datagram_try_receive(d, &got, 1, NULL), -EHOSTUNREACH);
	fl__net_sys.recvmsg = strange_queue;
	strikes = 0;
	FL_RC(fl_datagram_receive(d, &got, 1, &from), -ENETUNREACH);
	FL_RC(strikes, 5);
	strikes = 4;
	FL_RC(fl_datagram_try_receive(d, &got, 1, &from), -ENETUNREACH);
	strikes = 4;
	FL_RC(fl_datagram_receive_many(d, &m, 1), -ENETUNREACH);
	fl_test_no_faults();
	fl_datagram_free(d);
}

/* ---- faults of the system */

#define TRANSFERS (CALL(sendmsg) | CALL(sendmmsg) | CALL(recvmsg) | CALL(recvmmsg))

/*
 * What the system says, and what a send and a receive say then. enobufs_spin: no wait for room that
 * is there.
 */
FL_NET_TEST(datagram_errors)
{
	static const int all[][2] = {
	    {-ENOBUFS, -ENOMEM},
	    {-ENOMEM, -ENOMEM},
	    {-EFAULT, -EFAULT},
	    {-EACCES, -EACCES},
	    {-EPERM, -EPERM},
	    {-ENETUNREACH, -ENETUNREACH},
	    {-EHOSTUNREACH, -EHOSTUNREACH},
	    {-ETIMEDOUT, -EHOSTUNREACH},
	    {-EPIPE, -ECONNREFUSED},
	    {-ENOENT, -ENOENT},
	    {-EPROTOTYPE, -EPROTOTYPE},
	};
	char got[8];
	fl_datagram_message m = {.data = got, .size = 8};
	fl_datagram *d = fl_test_udp("127.0.0.1");
	const fl_address own = fl_test_address_of(d);
	m.address = own;
	FL_EACH (i, all) {
		fl_test_fails(TRANSFERS, all[i][0]);
		fl_test_each_call_gives(d, &own, all[i][1]);
	}
	fl_test_fails(TRANSFERS, -EMSGSIZE); /* ICMP: the path is too narrow; no datagram was truncated */
	FL_RC(fl_datagram_send_to(d, "x", 1, &own), -EMSGSIZE);
	FL_RC(fl_datagram_receive(d, got, 8, NULL), -EHOSTUNREACH);
	FL_RC(fl_datagram_receive_many(d, &m, 1), -EHOSTUNREACH);
	fl_test_no_faults();
	fl_test_sends(d, "fine", &own); /* none is permanent */
	fl_test_gets(d, "fine", &own);
	fl_datagram_free(d);
}

/* A send with peer_errors gives up after some attempts. */
FL_NET_TEST(datagram_peer_errors_without_end)
{
	static const int peers[] = {-ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -EHOSTDOWN, -ENONET,
	                            -EPROTO,       -ENOPROTOOPT,  -EOPNOTSUPP,  -EACCES,    -EMSGSIZE};
	const fl_datagram_config c = {.peer_errors = true};
	fl_datagram *d = NULL;
	fl_datagram_message m = {.data = letter, .size = 1};
	FL_OK(fl_datagram_open_udp(&d, "127.0.0.1", 0, &c));
	FL_EACH (i, peers) {
		fl_test_fails(TRANSFERS, peers[i]);
		FL_RC(fl_datagram_send_to(d, "x", 1, NULL), peers[i]);
		FL_RC(fl_datagram_send_many(d, &m, 1, NULL), peers[i]);
		FL_RC(fl_test_fault.count, 16);
	}
	fl_test_fails(TRANSFERS, -EPERM);
	FL_RC(fl_datagram_send_to(d, "x", 1, NULL), -EPERM);
	FL_RC(fl_test_fault.count, 1);
	fl_test_no_faults();
	fl_datagram_free(d);
}

static fl_datagram *fitful;

/* Of each send: -EINTR, then -EAGAIN, for which the poller is asked anew, then 0. */
static int mood(void)
{
	static const int all[] = {-EINTR, -EAGAIN, 0};
	const int rc = all[strikes++ % 3];
	fitful->io.outward &= rc != -EAGAIN;
	return rc;
}

static ssize_t fitful_sendmsg(int fd, const struct msghdr *message)
{
	const int rc = mood();
	return rc != 0 ? rc : fl_test_real_net_sys.sendmsg(fd, message);
}

/* Also fewer than it was given. */
static int fitful_sendmmsg(int fd, struct mmsghdr *messages, unsigned n)
{
	const int rc = mood();
	return rc != 0 ? rc : fl_test_real_net_sys.sendmmsg(fd, messages, (n + 1) / 2);
}

/* -EAGAIN though there is room: the poller tells, or a pause ends. */
FL_DATAGRAM_TEST(datagram_interrupted_everywhere)
{
	enum { N = 20 };
	char bytes[N];
	unsigned sent = 0;
	fl_datagram_message m[N];
	fl_test_fails_by((struct fl_test_fault){
	    .calls = CALL(recvmsg) | CALL(recvmmsg) | CALL(connect), .error = -EINTR, .each = 2});
	fl__net_sys.sendmsg = fitful_sendmsg;
	fl__net_sys.sendmmsg = fitful_sendmmsg;
	fitful = t->a;
	strikes = 0;
	for (int i = 0; i < 5; i++) {
		fl_test_sends(t->a, "x", &t->to_b);
		fl_test_gets(t->b, "x", &t->to_a);
	}
	FL_EACH (i, m)
		m[i] = (fl_datagram_message){.data = &bytes[i], .size = 1, .address = t->to_b};
	FL_OK(fl_datagram_send_many(t->a, m, N / 2, &sent));
	FL_RC(sent, N / 2);
	for (int n = 0; n < N / 2;) {
		int got = fl_datagram_receive_many(t->b, m + n, N - (unsigned)n);
		FL_CHECK(got > 0);
		n += got;
	}
	FL_OK(fl_datagram_connect(t->a, &t->to_b));
	FL_OK(fl_datagram_disconnect(t->a));
	fl_test_no_faults();
}

/* Of a connection. */
FL_NET_TEST(datagram_connect_errors)
{
	static const int all[] = {-ECONNREFUSED, -ENOENT,      -EPROTOTYPE,   -EPERM,
	                          -EACCES,       -ENETUNREACH, -EHOSTUNREACH, -EADDRINUSE};
	fl_datagram *d = fl_test_udp("127.0.0.1");
	const fl_address own = fl_test_address_of(d), broadcast = fl_test_udp_address("127.255.255.255", 1);
	FL_RC(fl_datagram_connect(d, &broadcast), -EACCES);
	FL_EACH (i, all) {
		fl_test_fails(CALL(connect), all[i]);
		FL_RC(fl_datagram_connect(d, &own), all[i]);
		FL_RC(fl_datagram_disconnect(d), all[i]);
	}
	fl_test_no_faults();
	FL_OK(fl_datagram_connect(d, &own));
	fl_test_fails(CALL(bind), -EADDRINUSE); /* as if another socket had just taken the port */
	FL_RC(fl_datagram_disconnect(d), -EADDRINUSE);
	fl_test_no_faults();
	FL_RC(fl_datagram_port(d), 0);
	fl_test_sends(d, "x", &own);
	FL_CHECK(fl_datagram_port(d) != 0);
	fl_datagram_free(d);
}

/* The first wait for room asks the poller for it. */
FL_TEST_WITH(datagram_cannot_be_watched, fl_test_with_two_unix, const fl_test_two *t)
{
	FL_OK(fl_datagram_connect(t->a, &t->to_b));
	while (fl_datagram_try_send_to(t->a, "x", 1, NULL) == 0)
		;
	fl_test_fails(CALL(control), -ENOMEM);
	FL_RC(fl_datagram_send_to(t->a, "x", 1, NULL), -ENOMEM);
	FL_RC(fl_test_fault.count, 1);
	fl_test_no_faults();
	FL_RC(fl_datagram_send_to_until(t->a, "x", 1, NULL, fl_test_soon(), NULL), -ETIMEDOUT);
}

/* ---- no room */

static int send_late(void *two)
{
	const fl_test_two *t = two;
	return fl_datagram_send_to(t->a, "late", 4, &t->to_b);
}

static int send_late_connected(void *two)
{
	const fl_test_two *t = two;
	return fl_datagram_send_to(t->a, "late", 4, NULL);
}

static void start_senders(fl_fiber *f[3], fl_fiber_function *function, const fl_test_two *t)
{
	for (int i = 0; i < 3; i++)
		f[i] = fl_test_start(function, (void *)(uintptr_t)t);
	FL_TEST_UNTIL(fl_test_datagram_waits(t->a, FL__IO_OUT));
}

/* The receiver takes the `n` datagrams that fill it; then come those of two of the senders. */
static void make_room(const fl_test_two *t, int n, fl_fiber *first, fl_fiber *second)
{
	for (int i = 0; i < n; i++)
		fl_test_gets(t->b, "x", NULL);
	fl_test_gets(t->b, "late", &t->to_a);
	fl_test_gets(t->b, "late", &t->to_a);
	FL_OK(fl_test_join(first));
	FL_OK(fl_test_join(second));
}

/*
 * Fills a receiver by other senders, each of which has limited room. Returns how many datagrams it
 * took: max_dgram_qlen of the system is 10, or 512.
 */
static int fill(const fl_address *to)
{
	int n = 0, before;
	do {
		fl_datagram *d = fl_test_unix(NULL);
		for (before = n; fl_datagram_try_send_to(d, "x", 1, to) == 0; n++)
			;
		FL_RC(fl_datagram_try_send_to(d, "x", 1, to), -EAGAIN);
		fl_datagram_free(d);
	} while (n > before);
	return n;
}

/*
 * unix_dgram_spin: a full receiver, to which the sender is not connected. The sender waits without
 * spinning.
 */
FL_TEST_WITH(datagram_unix_dgram_spin, fl_test_with_two_unix, const fl_test_two *t)
{
	unsigned sent;
	fl_fiber *f[3];
	fl_datagram *a = t->a, *c = fl_test_unix(NULL);
	const fl_address to_c = fl_test_address_of(c);
	fl_datagram_message m = {.data = letter, .size = 1, .address = t->to_b};
	int n = fill(&t->to_b); /* other senders' datagrams: no event for ours */
	FL_CHECK(n > 0);
	FL_RC(fl_datagram_send_to_until(a, "x", 1, &t->to_b, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_datagram_send_to_until(a, "x", 1, &t->to_b, fl_after(FL_MS(5)), NULL), -ETIMEDOUT);
	FL_RC(fl_datagram_send_many_until(a, &m, 1, &sent, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(sent, 0);
	FL_RC(fl_datagram_try_send_many(a, &m, 1, &sent), -EAGAIN);
	FL_RC(fl_datagram_send_to_until(a, "x", 1, &t->to_b, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_datagram_send_many_until(a, &m, 1, NULL, FL_FOREVER, fl_test_requested), -ECANCELED);
	start_senders(f, send_late, t);
	fl_test_look();
	fl_test_sends(a, "x", &to_c); /* a receiver with room does not wait for one without */
	fl_test_gets(c, "x", &t->to_a);
	fl_fiber_cancel(f[1]);
	FL_RC(fl_test_join(f[1]), -ECANCELED); /* fl_datagram_send_to() */
	make_room(t, n, f[0], f[2]);
	fl_datagram_free(c);
}

/* A full receiver with which the sender is connected: an event comes. */
FL_TEST_WITH(datagram_unix_full_peer, fl_test_with_two_unix, const fl_test_two *t)
{
	fl_fiber *f[3];
	fl_datagram *a = t->a;
	fl_datagram_message m = {.data = letter, .size = 1};
	FL_OK(fl_datagram_connect(a, &t->to_b));
	int n = fill(&t->to_b);
	FL_RC(fl_datagram_try_send_to(a, "x", 1, NULL), -EAGAIN);
	FL_RC(fl_datagram_send_to_until(a, "x", 1, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_datagram_send_many_until(a, &m, 1, NULL, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_datagram_send_to_until(a, "x", 1, NULL, FL_FOREVER, fl_test_requested), -ECANCELED);
	start_senders(f, send_late_connected, t);
	fl_fiber_cancel(f[0]);
	FL_RC(fl_test_join(f[0]), -ECANCELED); /* fl_datagram_send_to() */
	make_room(t, n, f[1], f[2]);
	(void)fill(&t->to_b);
	f[0] = fl_test_start(send_late_connected, (void *)(uintptr_t)t);
	FL_TEST_UNTIL(fl_test_datagram_waits(a, FL__IO_OUT));
	fl_datagram_close(t->b); /* the receiver ends: so does the wait */
	FL_RC(fl_test_join(f[0]), -ECONNREFUSED);
}

static int send_many(void *two)
{
	static fl_datagram_message m[50];
	const fl_test_two *t = two;
	FL_EACH (i, m)
		m[i] = (fl_datagram_message){.data = word, .size = 4, .address = t->to_b};
	return fl_datagram_send_many(t->a, m, 50, NULL);
}

/* For a receiver without room. */
static fl_fiber *start_many(const fl_test_two *t)
{
	fl_fiber *f = fl_test_start(send_many, (void *)(uintptr_t)t);
	FL_TEST_UNTIL(fl_test_datagram_waits(t->a, FL__IO_OUT));
	return f;
}

/* More than the receiver has room for; and a cancelled one. */
FL_TEST_WITH(datagram_unix_many, fl_test_with_two_unix, const fl_test_two *t)
{
	const int n = fill(&t->to_b);
	fl_fiber *f = start_many(t);
	for (int i = 0; i < n + 50; i++)
		fl_test_gets(t->b, i < n ? "x" : "many", i < n ? NULL : &t->to_a);
	FL_OK(fl_test_join(f));
	(void)fill(&t->to_b);
	f = start_many(t);
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED); /* fl_datagram_send_many() */
}

/* ---- Unix receivers that are not there, and hostile ones */

static int bare_unix(const fl_address *at, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&at->system, at->size) == 0);
	return fd;
}

FL_NET_TEST(datagram_unix_receivers_missing)
{
	fl_address to;
	fl_test_path p = fl_test_path_make();
	fl_datagram *d = fl_test_unix(NULL);
	const fl_address own = fl_test_address_of(d);
	FL_OK(fl_address_unix(&to, p.name));
	FL_RC(fl_datagram_send_to(d, "x", 1, &to), -ENOENT);
	FL_RC(fl_datagram_connect(d, &to), -ENOENT);
	int fd = bare_unix(&to, SOCK_DGRAM);
	FL_CHECK(shutdown(fd, SHUT_RD) == 0 || errno == ENOTCONN);
	FL_OK(connect(fd, (const struct sockaddr *)&to.system, to.size)); /* it receives from itself alone */
	FL_RC(fl_datagram_send_to(d, "x", 1, &to), -EPERM);
	FL_RC(fl_datagram_connect(d, &to), -EPERM);
	FL_OK(close(fd));
	FL_RC(fl_datagram_send_to(d, "x", 1, &to), -ECONNREFUSED);
	FL_RC(fl_datagram_connect(d, &to), -ECONNREFUSED);
	FL_OK(unlink(p.name));
	fd = bare_unix(&to, SOCK_STREAM);
	FL_RC(fl_datagram_send_to(d, "x", 1, &to), -EPROTOTYPE);
	FL_RC(fl_datagram_connect(d, &to), -EPROTOTYPE);
	FL_OK(close(fd));
	FL_OK(unlink(p.name));
	fl_test_sends(d, "x", &own);
	fl_test_gets(d, "x", &own);
	fl_datagram_free(d);
	fl_test_path_end(&p);
}

/*
 * Descriptors that nobody asked for are closed by the system; a name without a NUL; no name; a shut
 * down receiver.
 */
FL_NET_TEST(datagram_hostile_peers)
{
	char got[8], text[FL_ADDRESS_TEXT_SIZE];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	fl_address from;
	fl_datagram *d = fl_test_unix(NULL);
	const fl_address at = fl_test_address_of(d);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0);
	unsigned before = fl_test_fds();
	for (int i = 0; i < 20; i++) {
		struct iovec part = {word, 2};
		struct msghdr m = {.msg_name = (void *)(uintptr_t)&at.system,
		                   .msg_namelen = at.size,
		                   .msg_iov = &part,
		                   .msg_iovlen = 1};
		m.msg_control = control;
		m.msg_controllen = sizeof control;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){
		    .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
		FL_CHECK(sendmsg(fd, &m, 0) == 2);
		FL_RC(fl_datagram_receive(d, got, sizeof got, &from), 2);
		FL_RC(from.size, 0);
		FL_RC(fl_datagram_send_to(d, "x", 1, &from), -EAFNOSUPPORT); /* there is no way back */
	}
	FL_RC(fl_test_fds(), before);
	FL_OK(close(fd));
	struct sockaddr_un longest = {.sun_family = AF_UNIX}; /* without a NUL: abstract, of all 108 bytes */
	memset(longest.sun_path + 1, 'y', sizeof longest.sun_path - 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	FL_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&longest, sizeof longest) == 0);
	FL_CHECK(sendto(fd, "y", 1, 0, (const struct sockaddr *)&at.system, at.size) == 1);
	FL_RC(fl_datagram_receive(d, got, sizeof got, &from), 1);
	FL_OK(fl_address_text(&from, text, sizeof text));
	FL_CHECK(strlen(text) == sizeof longest.sun_path && text[0] == '@' && text[107] == 'y');
	fl_test_sends(d, "z", &from);
	FL_CHECK(recv(fd, got, sizeof got, 0) == 1 && got[0] == 'z');
	FL_OK(close(fd));
	fl_datagram_free(d);
}

/* A flag without a size, as of a segmented datagram in a small buffer. */
static ssize_t truncating_recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t n = fl_test_real_net_sys.recvmsg(fd, message, flags);
	message->msg_flags |= MSG_TRUNC;
	return n;
}

static int truncating_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
	int got = fl_test_real_net_sys.recvmmsg(fd, messages, n, flags);
	messages[0].msg_hdr.msg_flags |= MSG_TRUNC;
	return got;
}

FL_DATAGRAM_TEST(datagram_truncated_by_the_flag_alone)
{
	char got[8];
	fl_datagram_message m = {.data = got, .size = sizeof got};
	fl_test_sends(t->a, "x", &t->to_b);
	fl_test_sends(t->a, "x", &t->to_b);
	fl__net_sys.recvmsg = truncating_recvmsg;
	fl__net_sys.recvmmsg = truncating_recvmmsg;
	FL_RC(fl_datagram_receive(t->b, got, sizeof got, NULL), -EMSGSIZE);
	FL_RC(fl_datagram_receive_many(t->b, &m, 1), 1);
	FL_CHECK(m.received == 1 && m.lost > 0);
	fl_test_no_faults();
}
