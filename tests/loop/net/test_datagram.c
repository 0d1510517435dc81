/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagram sockets: sends, receives, several at a time, waits, connections, and their end. */
#include "fl_datagrams.h"

/* ---- one at a time */

FL_DATAGRAM_TEST(datagram_one_at_a_time)
{
	char got[8];
	fl_address from;
	FL_RC(fl_datagram_try_receive(t->b, got, sizeof got, &from), -EAGAIN);
	fl_test_sends(t->a, "one", &t->to_b);
	FL_OK(fl_datagram_send_to_until(t->a, "two", 3, &t->to_b, FL_NO_WAIT, NULL));
	FL_OK(fl_datagram_try_send_to(t->a, "three", 5, &t->to_b));
	fl_test_gets(t->b, "one", &t->to_a);
	FL_RC(fl_datagram_receive(t->b, got, sizeof got, NULL), 3);
	FL_CHECK(memcmp(got, "two", 3) == 0);
	FL_TEST_UNTIL(fl_datagram_try_receive(t->b, got, sizeof got, &from) == 5);
	FL_CHECK(memcmp(got, "three", 5) == 0 && fl_address_is_equal(&from, &t->to_a));
	fl_test_sends(t->b, "back", &from);
	fl_test_gets(t->a, "back", &t->to_b);
}

/* empty_datagram: it is sent, and no end. */
FL_DATAGRAM_TEST(datagram_empty)
{
	char got[8];
	fl_address from = {.size = 0};
	FL_OK(fl_datagram_send_to(t->a, NULL, 0, &t->to_b));
	fl_test_sends(t->a, "x", &t->to_b);
	FL_RC(fl_datagram_receive(t->b, got, sizeof got, &from), 0);
	FL_CHECK(fl_address_is_equal(&from, &t->to_a));
	fl_test_gets(t->b, "x", &t->to_a);
	fl_test_sends(t->a, "", &t->to_b);
	FL_RC(fl_datagram_receive(t->b, NULL, 0, NULL), 0);
}

/* truncation_unseen: the receiver is told, and the next datagram is whole. */
FL_DATAGRAM_TEST(datagram_truncated)
{
	char got[8] = "";
	fl_address from = {.size = 0};
	fl_test_sends(t->a, "123456789", &t->to_b);
	fl_test_sends(t->a, "12345678", &t->to_b);
	FL_RC(fl_datagram_receive(t->b, got, 8, &from), -EMSGSIZE);
	FL_CHECK(memcmp(got, "12345678", 8) == 0 && fl_address_is_equal(&from, &t->to_a));
	FL_RC(fl_datagram_receive(t->b, got, 8, NULL), 8);
	fl_test_sends(t->a, "1", &t->to_b);
	FL_RC(fl_datagram_receive_until(t->b, NULL, 0, NULL, fl_after(FL_S(60)), NULL), -EMSGSIZE);
	fl_test_sends(t->a, "12", &t->to_b);
	FL_TEST_UNTIL(fl_datagram_try_receive(t->b, got, 1, NULL) == -EMSGSIZE);
	FL_RC(fl_datagram_try_receive(t->b, got, 1, NULL), -EAGAIN);
}

FL_DATAGRAM_TEST(datagram_large)
{
	enum { SIZE = 65507, LARGER = 8 << 20 };
	char *data = malloc(LARGER), *got = malloc(SIZE);
	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7);
	FL_OK(fl_datagram_send_to(t->a, data, SIZE, &t->to_b));
	FL_RC(fl_datagram_receive(t->b, got, SIZE, NULL), SIZE);
	FL_CHECK(memcmp(got, data, SIZE) == 0);
	FL_RC(fl_datagram_send_to(t->a, data, LARGER, &t->to_b), -EMSGSIZE);
	FL_RC(fl_datagram_try_send_to(t->a, data, LARGER, &t->to_b), -EMSGSIZE);
	fl_datagram_message m = {.data = data, .size = LARGER, .address = t->to_b};
	FL_RC(fl_datagram_send_many(t->a, &m, 1, NULL), -EMSGSIZE);
	FL_OK(fl_datagram_connect(t->a, &t->to_b));
	FL_OK(fl_datagram_send_to(t->a, "x", 1, NULL));
	fl_test_gets(t->b, "x", NULL);
	free(data);
	free(got);
}

/* ---- several at a time */

enum { MANY = 75 }; /* more than two calls of the system */

static char texts[MANY][16], buffers[MANY][16];

static void make_messages(fl_datagram_message *out, fl_datagram_message *in, const fl_address *to)
{
	for (int i = 0; i < MANY; i++) {
		int n = snprintf(texts[i], sizeof texts[i], "number %d", i);
		out[i] = (fl_datagram_message){.data = texts[i], .size = (size_t)n, .address = *to};
		in[i] = (fl_datagram_message){.data = buffers[i], .size = i % 10 == 9 ? 8 : sizeof buffers[i]};
	}
}

static fl_datagram_message out[MANY], in[MANY];

static int receive_all(void *d)
{
	int n = 0;
	while (n < MANY) {
		int got = fl_datagram_receive_many(d, in + n, (unsigned)(MANY - n));
		FL_CHECK(got >= 1 && got <= (int)FL_DATAGRAM_MANY);
		n += got;
	}
	return n;
}

static void check_message(int i, const fl_address *from)
{
	const size_t size = out[i].size;
	FL_RC(in[i].received + in[i].lost, size);
	FL_RC(in[i].lost, in[i].size < size ? size - in[i].size : 0);
	FL_CHECK(memcmp(buffers[i], texts[i], in[i].received) == 0);
	FL_CHECK(fl_address_is_equal(&in[i].address, from));
}

FL_DATAGRAM_TEST(datagram_many)
{
	unsigned sent = 7;
	make_messages(out, in, &t->to_b);
	fl_fiber *f = fl_test_start(receive_all, t->b);
	FL_OK(fl_datagram_send_many(t->a, out, MANY, &sent));
	FL_RC(sent, MANY);
	FL_RC(fl_test_join(f), MANY);
	for (int i = 0; i < MANY; i++)
		check_message(i, &t->to_a);
	FL_OK(fl_datagram_send_many(t->a, out, 0, &sent));
	FL_RC(sent, 0);
	FL_OK(fl_datagram_try_send_many(t->a, out, 0, NULL));
}

/* The forms: with a deadline, and without a wait. */
FL_DATAGRAM_TEST(datagram_several)
{
	unsigned sent = 0;
	make_messages(out, in, &t->to_b);
	FL_RC(fl_datagram_try_receive_many(t->b, in, 4), -EAGAIN);
	FL_RC(fl_datagram_receive_many_until(t->b, in, 4, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_datagram_receive_many_until(t->b, in, 0, FL_NO_WAIT, NULL), -EINVAL);
	FL_RC(fl_datagram_try_receive_many(t->b, in, 0), -EINVAL);
	FL_OK(fl_datagram_try_send_many(t->a, out, 3, &sent));
	FL_RC(sent, 3);
	FL_OK(fl_datagram_send_many_until(t->a, out + 3, 2, NULL, FL_NO_WAIT, NULL));
	int n = 0;
	for (int got; n < 5; n += got) {
		got = fl_datagram_receive_many_until(t->b, in + n, 2, fl_after(FL_S(60)), NULL);
		FL_CHECK(got == 1 || got == 2);
	}
	for (int i = 0; i < 5; i++)
		check_message(i, &t->to_a);
	FL_OK(fl_datagram_connect(t->a, &t->to_b));
	out[0].address = out[1].address = (fl_address){.size = 0}; /* to the peer */
	FL_OK(fl_datagram_send_many(t->a, out, 2, &sent));
	FL_RC(fl_datagram_receive_many(t->b, in, 1), 1);
	FL_TEST_UNTIL(fl_datagram_try_receive_many(t->b, in + 1, 4) == 1);
	check_message(0, &t->to_a);
	check_message(1, &t->to_a);
}

/* sendmmsg_short: what was sent is said, and the error of the rest is not hidden. */
FL_DATAGRAM_TEST(datagram_many_with_an_error)
{
	fl_address other;
	unsigned sent = 9;
	if (t->to_a.system.ss_family == AF_UNIX)
		other = fl_test_udp_address("127.0.0.1", 9);
	else
		FL_OK(fl_address_unix(&other, "@none"));
	make_messages(out, in, &t->to_b);
	out[2].address = other;
	FL_RC(fl_datagram_send_many(t->a, out, 4, &sent), -EAFNOSUPPORT);
	FL_RC(sent, 2);
	FL_RC(fl_datagram_try_send_many(t->a, out + 2, 2, &sent), -EAFNOSUPPORT);
	FL_RC(sent, 0);
	out[2].address = t->to_b;
	out[1].data = calloc(1, 8 << 20);
	out[1].size = 8 << 20;
	FL_RC(fl_datagram_send_many_until(t->a, out, 3, &sent, FL_NO_WAIT, NULL), -EMSGSIZE);
	FL_RC(sent, 1);
	free(out[1].data);
	out[1].address.size = 0; /* no peer */
	out[1].size = 0;
	FL_RC(fl_datagram_send_many(t->a, out, 3, &sent), -ENOTCONN);
	FL_RC(sent, 1);
	FL_RC(fl_datagram_try_send_many(t->a, out + 1, 1, NULL), -ENOTCONN);
	for (int got = 0; got < 4;)
		got += fl_datagram_receive_many(t->b, in, MANY);
	FL_RC(fl_datagram_try_receive_many(t->b, in, 1), -EAGAIN);
}

/* ---- waits */

static int receive_one(void *d)
{
	char got[16];
	return (int)fl_datagram_receive(d, got, sizeof got, NULL);
}

static int receive_several(void *d)
{
	char got[16];
	fl_datagram_message m = {.data = got, .size = sizeof got};
	return fl_datagram_receive_many(d, &m, 1);
}

FL_DATAGRAM_TEST(datagram_receive_gives_up)
{
	char got[16];
	fl_datagram_message m = {.data = got, .size = sizeof got};
	FL_RC(fl_datagram_receive_until(t->b, got, sizeof got, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_datagram_receive_until(t->b, got, sizeof got, NULL, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_datagram_receive_until(t->b, got, sizeof got, NULL, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_datagram_receive_many_until(t->b, &m, 1, FL_FOREVER, fl_test_requested), -ECANCELED);
	fl_fiber *first = fl_test_start(receive_one, t->b), *second = fl_test_start(receive_several, t->b);
	FL_TEST_UNTIL(fl_test_datagram_waits(t->b, FL__IO_IN));
	fl_test_settle();
	FL_RC(fl_datagram_receive_until(t->b, got, sizeof got, NULL, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_fiber_cancel(second);
	FL_RC(fl_test_join(second), -ECANCELED); /* fl_datagram_receive_many() */
	fl_fiber_cancel(first);
	FL_RC(fl_test_join(first), -ECANCELED); /* fl_datagram_receive() */
	fl_test_sends(t->a, "x", &t->to_b);     /* nothing was taken */
	fl_test_gets(t->b, "x", &t->to_a);
}

/* Any number of fibers receive; each datagram goes to one; in FIFO order while all wait. */
enum { FIBERS = 10 };
static int order[FIBERS], n_order;
static fl_datagram *shared;

static int receive_in_order(void *number)
{
	char got;
	FL_RC(fl_datagram_receive(shared, &got, 1, NULL), 1);
	order[n_order++] = *(int *)number;
	return got;
}

FL_DATAGRAM_TEST(datagram_receivers_in_order)
{
	static int numbers[FIBERS];
	fl_fiber *fibers[FIBERS];
	shared = t->b;
	n_order = 0;
	FL_EACH (i, numbers) {
		numbers[i] = i;
		fibers[i] = fl_test_start(receive_in_order, &numbers[i]);
		fl_test_settle();
	}
	FL_TEST_UNTIL(fl_test_datagram_waits(t->b, FL__IO_IN));
	for (int i = 0; i < FIBERS; i++) {
		FL_OK(fl_datagram_send_to(t->a, (char[]){(char)('a' + i)}, 1, &t->to_b));
		FL_TEST_UNTIL(n_order == i + 1);
	}
	FL_EACH (i, order) {
		FL_RC(order[i], i);
		FL_RC(fl_test_join(fibers[i]), 'a' + i);
	}
}

/* A fiber that never waits lets the others run. */
static bool stop_spinning;

static int stop_it(void *unused)
{
	stop_spinning = true;
	return 0;
}

FL_DATAGRAM_TEST(datagram_lets_others_run)
{
	stop_spinning = false;
	fl_fiber *f = fl_test_start(stop_it, NULL);
	while (!stop_spinning) {
		fl_test_sends(t->a, "x", &t->to_b);
		fl_test_gets(t->b, "x", NULL);
	}
	FL_OK(fl_test_join(f));
}

/* ---- connections */

FL_DATAGRAM_TEST(datagram_connected)
{
	char got[8];
	fl_address a;
	FL_RC(fl_datagram_send_to_until(t->a, "x", 1, NULL, FL_NO_WAIT, NULL), -ENOTCONN);
	FL_RC(fl_datagram_try_send_to(t->a, "x", 1, NULL), -ENOTCONN);
	FL_RC(fl_datagram_peer_address(t->a, &a), -ENOTCONN);
	FL_OK(fl_datagram_connect(t->a, &t->to_b));
	FL_OK(fl_datagram_peer_address(t->a, &a));
	FL_CHECK(fl_address_is_equal(&a, &t->to_b));
	FL_OK(fl_datagram_send_to(t->a, "1", 1, NULL));
	FL_OK(fl_datagram_send_to_until(t->a, "2", 1, NULL, FL_NO_WAIT, NULL));
	FL_OK(fl_datagram_try_send_to(t->a, "3", 1, NULL));
	fl_test_gets(t->b, "1", &t->to_a);
	fl_test_gets(t->b, "2", &t->to_a);
	fl_test_gets(t->b, "3", &t->to_a);
	FL_OK(fl_datagram_connect(t->a, &t->to_b)); /* once more */
	FL_OK(fl_datagram_disconnect(t->a));
	FL_OK(fl_datagram_disconnect(t->a));
	FL_RC(fl_datagram_peer_address(t->a, &a), -ENOTCONN);
	FL_RC(fl_datagram_send_to(t->a, "x", 1, NULL), -ENOTCONN);
	a = fl_test_address_of(t->a);
	FL_CHECK(fl_address_is_equal(&a, &t->to_a)); /* it has kept its address */
	fl_test_sends(t->b, "still", &t->to_a);
	fl_test_gets(t->a, "still", &t->to_b);
	FL_RC(fl_datagram_try_receive(t->b, got, sizeof got, NULL), -EAGAIN);
	a.size = 0;
	FL_RC(fl_datagram_connect(t->a, &a), -EAFNOSUPPORT);
	a.size = sizeof a.system + 1;
	FL_RC(fl_datagram_send_to_until(t->a, "x", 1, &a, FL_NO_WAIT, NULL), -EAFNOSUPPORT);
	FL_RC(fl_datagram_try_send_to(t->a, "x", 1, &a), -EAFNOSUPPORT);
}

/* A connected socket receives from its peer alone. */
FL_NET_TEST(datagram_only_from_the_peer)
{
	char got[8];
	fl_datagram *a = fl_test_udp("127.0.0.1"), *b = fl_test_udp("127.0.0.1"), *c = fl_test_udp("127.0.0.1");
	const fl_address to_a = fl_test_address_of(a), to_b = fl_test_address_of(b);
	FL_OK(fl_datagram_connect(a, &to_b));
	fl_test_sends(c, "foreign", &to_a);
	fl_test_sends(b, "peer", &to_a);
	fl_test_gets(a, "peer", &to_b);
	FL_RC(fl_datagram_try_receive(a, got, sizeof got, NULL), -EAGAIN);
	FL_OK(fl_datagram_disconnect(a));
	fl_test_sends(c, "foreign", &to_a);
	fl_test_gets(a, "foreign", NULL);
	fl_datagram_free(a);
	fl_datagram_free(b);
	fl_datagram_free(c);
}

/* What `a` sends to `to` reaches `b`, as of `from`. */
static void arrives(fl_datagram *a, fl_datagram *b, const fl_address *from, const fl_address *to)
{
	fl_test_sends(a, "hello", to);
	fl_test_gets(b, "hello", from);
}

/* Sockets of both families, and of one: a socket at all addresses speaks with both. */
FL_NET_TEST(datagram_both_families)
{
	if (!fl_test_has_ipv6())
		return;
	fl_datagram *all = fl_test_udp(NULL), *four = fl_test_udp("127.0.0.1"), *six = fl_test_udp("::1");
	const uint16_t port = fl_datagram_port(all);
	const fl_address all4 = fl_test_udp_address("127.0.0.1", port), all6 = fl_test_udp_address("::1", port),
			 to4 = fl_test_address_of(four), to6 = fl_test_address_of(six);
	arrives(four, all, &to4, &all4);
	arrives(six, all, &to6, &all6);
	arrives(all, four, &all4, &to4);
	arrives(all, six, &all6, &to6);
	FL_RC(fl_datagram_send_to(four, "x", 1, &to6), -EAFNOSUPPORT);
	FL_RC(fl_datagram_send_to(six, "x", 1, &to4), -EAFNOSUPPORT);
	FL_RC(fl_datagram_connect(six, &to4), -EAFNOSUPPORT);
	FL_OK(fl_datagram_connect(all, &to4));
	FL_OK(fl_datagram_send_to(all, "one", 3, NULL));
	fl_test_gets(four, "one", &all4);
	FL_OK(fl_datagram_connect(all, &to6)); /* from one peer to another, of the other family */
	FL_OK(fl_datagram_send_to(all, "other", 5, NULL));
	fl_test_gets(six, "other", &all6);
	FL_OK(fl_datagram_disconnect(all));
	FL_RC(fl_datagram_port(all), port);
	arrives(four, all, &to4, &all4);
	arrives(six, all, &to6, &all6);
	fl_datagram_free(all);
	fl_datagram_free(four);
	fl_datagram_free(six);
}

/* ---- the end */

static int send_until_full(void *two)
{
	const fl_test_two *t = two;
	int rc;
	do
		rc = fl_datagram_send_to(t->a, "x", 1, &t->to_b);
	while (rc == 0);
	return rc;
}

static int send_until_full_connected(void *two)
{
	const fl_test_two *t = two;
	int rc;
	do
		rc = fl_datagram_send_to(t->a, "x", 1, NULL);
	while (rc == 0);
	return rc;
}

static void closes(const fl_test_two *t)
{
	fl_address a;
	fl_fiber *f[3] = {fl_test_start(receive_one, t->b), fl_test_start(receive_several, t->b),
	                  fl_test_start(receive_one, t->b)};
	FL_TEST_UNTIL(fl_test_datagram_waits(t->b, FL__IO_IN));
	fl_test_settle();
	const int fd = fl_datagram_fd(t->b);
	fl_datagram_close(t->b);
	fl_datagram_close(t->b);
	FL_EACH (i, f)
		FL_RC(fl_test_join(f[i]), -EPIPE); /* fl_datagram_close() */
	FL_CHECK(fcntl(fd, F_GETFD) < 0 && fl_datagram_fd(t->b) == -1 && fl_datagram_port(t->b) == 0);
	fl_test_each_call_gives(t->b, &t->to_a, -EPIPE);
	FL_RC(fl_datagram_send_many_until(t->b, NULL, 0, NULL, FL_NO_WAIT, NULL), -EPIPE);
	FL_RC(fl_datagram_try_send_many(t->b, NULL, 0, NULL), -EPIPE);
	FL_RC(fl_datagram_connect(t->b, &t->to_a), -EPIPE);
	FL_RC(fl_datagram_disconnect(t->b), -EPIPE);
	FL_RC(fl_datagram_local_address(t->b, &a), -EPIPE);
	FL_RC(fl_datagram_peer_address(t->b, &a), -EPIPE);
}

FL_TEST(datagram_closed)
{
	fl_datagram_free(NULL);
	fl_test_each_two(closes);
}

/* Senders that wait for room: two for an address, two for the peer. */
FL_TEST_WITH(datagram_closed_with_senders, fl_test_with_two_unix, const fl_test_two *t)
{
	fl_fiber *f[4];
	FL_OK(fl_datagram_connect(t->a, &t->to_b));
	FL_EACH (i, f)
		f[i] = fl_test_start(i < 2 ? send_until_full : send_until_full_connected, (void *)(uintptr_t)t);
	FL_TEST_UNTIL(fl_test_datagram_waits(t->a, FL__IO_OUT));
	fl_test_look();
	fl_datagram_close(t->a);
	FL_EACH (i, f)
		FL_RC(fl_test_join(f[i]), -EPIPE);
}

static fl_datagram *kept;

FL_NET_TEST(datagram_freed_in_use)
{
	kept = fl_test_udp("127.0.0.1");
	fl_fiber *f = fl_test_start(receive_one, kept);
	FL_TEST_UNTIL(fl_test_datagram_waits(kept, FL__IO_IN));
	FL_PANICS_OF("fl_datagram_free", kept, fl_datagram_free(kept));
	fl_test_contains(fl_test_panic.reason, "FL_SHIELDED");
	fl_test_cancel(f);
	fl_datagram_free(kept);
}

/* ---- permitted callers */

static fl_address kept_at;

/* A callback may call what never waits. */
static void in_callback(void *unused)
{
	char got[8];
	fl_datagram_message m = {.data = got, .size = sizeof got};
	fl_test_each_wait_gives(kept, &kept_at, -EINVAL);
	FL_OK(fl_datagram_connect(kept, &kept_at));
	FL_OK(fl_datagram_try_send_to(kept, "1", 1, NULL));
	FL_RC(fl_datagram_try_receive(kept, got, 1, NULL), 1);
	FL_OK(fl_datagram_try_send_many(kept, &m, 1, NULL));
	FL_RC(fl_datagram_try_receive_many(kept, &m, 1), 1);
}

static int elsewhere(void *unused)
{
	fl_test_each_try_gives(kept, &kept_at, -EINVAL);
	FL_RC(fl_datagram_connect(kept, &kept_at), -EINVAL);
	FL_RC(fl_datagram_disconnect(kept), -EINVAL);
	return 0;
}

FL_NET_TEST(datagram_callers)
{
	int result = 1;
	kept = fl_test_unix(NULL);
	kept_at = fl_test_address_of(kept);
	fl_test_in_callback(in_callback, NULL);
	FL_OK(fl_blocking_call(elsewhere, NULL, &result));
	FL_RC(result, 0);
	fl_datagram_free(kept);
}
