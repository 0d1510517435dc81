/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagram sockets. Only -EAGAIN clears the readiness (fd_io.h).
 *
 * The system keeps one pending error for each socket, and returns it from the next call, whatever
 * that call does. Without IP_RECVERR only a connected socket has such errors, and they all concern
 * its peer. With IP_RECVERR (`peer_errors`) the error may concern any peer. Then a send that finds
 * an error tries again, and a receive takes the error and its peer's address from the error queue.
 *
 * sendmmsg() and recvmmsg() stop at an error. recvmmsg() leaves the error pending. sendmmsg()
 * forgets it, but an error of the datagram itself comes again when the rest is sent.
 *
 * The library does not buffer datagrams. So nothing is sent late, and no count of buffered bytes
 * can become wrong. Any number of fibers may send and receive on one socket, because a datagram
 * always comes whole or not at all. A socket that the library opens gets only the datagrams of
 * multicast groups that it has joined itself (IP_MULTICAST_ALL is off, where the system has it),
 * and no other socket can take its port unless the program asks for that. When a socket is
 * disconnected, Linux takes back a port that it has chosen, so the library binds the socket to this
 * port again. No event tells an unconnected Unix sender that its receiver has space again. So the
 * sender polls, after 1 ms, 2 ms, and up to 32 ms.
 */
#include "datagram.h"
#include "core/base/sys.h"
#include "fd/net_sys.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>

enum { DATAGRAM_EAGER = 64, DATAGRAM_TRIES = 8 };

struct datagram_call {
	/* Returns a count, -EAGAIN, or an error. */
	ssize_t (*attempt)(fl_datagram *d, const struct datagram_call *c);
	int direction;
	bool pauses;      /* no event may report space for the datagram */
	fl_time deadline; /* with FL__TRY the call never waits */
	fl_cancel_token *cancel;
	unsigned n;
	void *data;
	size_t size;
	const fl_address *to; /* NULL for the connected peer */
	fl_address *from;
	const fl_datagram_message *messages_out;
	fl_datagram_message *messages_in;
};

int fl__datagram_error(int rc)
{
	switch (rc) {
	case -ENOBUFS:
		return -ENOMEM;
	case -EDESTADDRREQ:
		return -ENOTCONN;
	case -EPIPE: /* a Unix receiver that has shut down its receiving side */
		return -ECONNREFUSED;
	/* the caller would take -ETIMEDOUT for its own deadline */
	case -ETIMEDOUT:
		return -EHOSTUNREACH;
	default:
		return rc;
	}
}

int fl__datagram_check(const fl_datagram *d, bool waits)
{
	const int rc = fl__io_check(&d->io, waits);
	return rc == 0 && d->io.fd < 0 ? -EPIPE : rc;
}

static ssize_t datagram_attempt(fl_datagram *d, const struct datagram_call *c)
{
	if (d->io.fd < 0)
		return -EPIPE;
	ssize_t n = c->attempt(d, c);
	if (n == -EAGAIN)
		fl__io_drained(&d->io, c->direction);
	else
		d->io.eager += c->n;
	return n;
}

/*
 * Waits between two attempts. Many fibers may pause, each for a different receiver. Only the fiber
 * that holds turn[direction] is also woken by events.
 */
static int datagram_pause(fl_datagram *d, const struct datagram_call *c, int64_t pause)
{
	const fl_time until = fl__earlier(c->deadline, fl_after(pause));
	if (fl__is_expired(c->deadline))
		return -ETIMEDOUT;
	d->io.eager = 0;
	if (fl_mutex_try_lock(&d->turn[FL__IO_OUT]) != 0)
		return fl_sleep_until(until, c->cancel);
	int rc = fl__io_wait(&d->io, FL__IO_OUT, until, c->cancel);
	fl_mutex_unlock(&d->turn[FL__IO_OUT]);
	return rc == -ETIMEDOUT ? 0 : rc;
}

static ssize_t datagram_repeat(fl_datagram *d, const struct datagram_call *c)
{
	ssize_t n = -EAGAIN;
	for (int64_t pause = 0; n == -EAGAIN;) {
		pause = fl__unix_next_pause(pause);
		int rc =
		    c->pauses ? datagram_pause(d, c, pause) : fl__io_wait(&d->io, c->direction, c->deadline, c->cancel);
		n = rc == 0 ? datagram_attempt(d, c) : rc;
	}
	return n;
}

static ssize_t datagram_wait(fl_datagram *d, const struct datagram_call *c)
{
	if (c->pauses)
		return datagram_repeat(d, c);
	ssize_t n = fl_mutex_lock_until(&d->turn[c->direction], c->deadline, c->cancel);
	if (n != 0)
		return n;
	n = datagram_repeat(d, c);
	fl_mutex_unlock(&d->turn[c->direction]);
	return n;
}

static ssize_t datagram_run(fl_datagram *d, const struct datagram_call *c)
{
	const bool waits = !fl__is_try(c->deadline);
	int rc = fl__datagram_check(d, waits);
	if (rc != 0)
		return rc;
	if (!waits)
		return datagram_attempt(d, c);
	d->calls++;
	fl__io_give_way(&d->io, DATAGRAM_EAGER);
	ssize_t n = datagram_attempt(d, c);
	if (n == -EAGAIN)
		n = datagram_wait(d, c);
	d->calls--;
	return n;
}

static bool datagram_may_be_peer_error(ssize_t rc)
{
	switch (rc) {
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -ENONET:
	case -EPROTO:
	case -ENOPROTOOPT:
	case -EOPNOTSUPP:
	case -EACCES:
	case -EMSGSIZE:
		return true;
	default:
		return false;
	}
}

static bool datagram_must_resend(const fl_datagram *d, ssize_t rc, unsigned *tries)
{
	if (rc == -EINTR)
		return true;
	return d->peer_errors && datagram_may_be_peer_error(rc) && ++*tries < DATAGRAM_TRIES;
}

static void datagram_map(struct sockaddr_in6 *to, const struct sockaddr_in *from)
{
	*to = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = from->sin_port};
	to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&to->sin6_addr.s6_addr[12], &from->sin_addr, sizeof from->sin_addr);
}

int fl__datagram_address_to_system(const fl_datagram *d, const fl_address *a, struct sockaddr_storage *system)
{
	if (a->size < sizeof a->system.ss_family || a->size > sizeof a->system)
		return -EAFNOSUPPORT;
	if (a->system.ss_family == d->family) {
		memcpy(system, &a->system, a->size);
		return (int)a->size;
	}
	if (a->system.ss_family != AF_INET || d->family != AF_INET6 || d->ipv6_only ||
	    a->size < sizeof(struct sockaddr_in))
		return -EAFNOSUPPORT;
	datagram_map((struct sockaddr_in6 *)system, (const struct sockaddr_in *)&a->system);
	return sizeof(struct sockaddr_in6);
}

/* Returns 0 or -EAFNOSUPPORT. */
static int datagram_fill(const fl_datagram *d, struct msghdr *m, struct sockaddr_storage *name, struct iovec *part,
                         const fl_address *to)
{
	*m = (struct msghdr){.msg_iov = part, .msg_iovlen = 1};
	if (!to)
		return 0;
	int size = fl__datagram_address_to_system(d, to, name);
	if (size < 0)
		return size;
	m->msg_name = name;
	m->msg_namelen = (socklen_t)size;
	return 0;
}

static ssize_t datagram_send_one(fl_datagram *d, const struct datagram_call *c)
{
	struct iovec part = {c->data, c->size};
	struct sockaddr_storage name;
	struct msghdr m;
	unsigned tries = 0;
	ssize_t n = datagram_fill(d, &m, &name, &part, c->to);
	if (n != 0)
		return n;
	do
		n = fl__net_sys.sendmsg(d->io.fd, &m);
	while (datagram_must_resend(d, n, &tries));
	return n < 0 ? fl__datagram_error((int)n) : 0;
}

static ssize_t datagram_send_batch(fl_datagram *d, const struct datagram_call *c)
{
	struct mmsghdr messages[FL_DATAGRAM_MANY] = {0};
	struct iovec parts[FL_DATAGRAM_MANY];
	struct sockaddr_storage names[FL_DATAGRAM_MANY];
	unsigned n = 0, tries = 0;
	int rc = 0;
	for (; n < c->n && rc == 0; n += rc == 0) {
		const fl_datagram_message *from = &c->messages_out[n];
		parts[n] = (struct iovec){from->data, from->size};
		rc = datagram_fill(d, &messages[n].msg_hdr, &names[n], &parts[n],
		                   from->address.size > 0 ? &from->address : NULL);
	}
	if (n == 0)
		return rc;
	do
		rc = fl__net_sys.sendmmsg(d->io.fd, messages, n);
	while (datagram_must_resend(d, rc, &tries));
	return fl__datagram_error(rc);
}

/* Returns true if no event tells of space for a datagram to `to`. */
static bool datagram_pauses(const fl_datagram *d, const fl_address *to)
{
	return d->family == AF_UNIX && to;
}

int fl_datagram_send_to_until(fl_datagram *d, const void *data, size_t size, const fl_address *to, fl_time deadline,
                              fl_cancel_token *cancel)
{
	const struct datagram_call c = {
	    .attempt = datagram_send_one,
	    .direction = FL__IO_OUT,
	    .pauses = datagram_pauses(d, to),
	    .deadline = deadline,
	    .cancel = cancel,
	    .n = 1,
	    /* sendmsg() takes the pointer without const, but only reads */
	    .data = (void *)(uintptr_t)data,
	    .size = size,
	    .to = to,
	};
	return (int)datagram_run(d, &c);
}

int fl_datagram_send_many_until(fl_datagram *d, const fl_datagram_message *list, unsigned n, unsigned *sent,
                                fl_time deadline, fl_cancel_token *cancel)
{
	struct datagram_call c = {
	    .attempt = datagram_send_batch, .direction = FL__IO_OUT, .deadline = deadline, .cancel = cancel};
	unsigned done = 0;
	ssize_t rc = n > 0 ? 0 : fl__datagram_check(d, false);
	while (done < n && rc >= 0) {
		c.messages_out = &list[done];
		c.n = FL__MIN(n - done, FL_DATAGRAM_MANY);
		c.pauses = datagram_pauses(d, list[done].address.size > 0 ? &list[done].address : NULL);
		rc = datagram_run(d, &c);
		done += rc > 0 ? (unsigned)rc : 0;
	}
	if (sent)
		*sent = done;
	return rc < 0 ? (int)rc : 0;
}

/* Returns the error that ICMP reported, or 0 if the error arose on this machine. */
static int datagram_icmp_error(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct sock_extended_err e;
		if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof e);
		if (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6)
			return -(int)e.ee_errno;
	}
	return 0;
}

/* Returns the next error of a peer, or 0 if there is none. */
static int datagram_take_peer_error(const fl_datagram *d, fl_address *peer)
{
	for (;;) {
		_Alignas(struct cmsghdr) char control[512];
		/* the first byte of the lost datagram: without a buffer, qemu-user reads nothing */
		char first;
		struct iovec part = {&first, sizeof first};
		struct msghdr m = {
		    .msg_name = &peer->system,
		    .msg_namelen = sizeof peer->system,
		    .msg_iov = &part,
		    .msg_iovlen = 1,
		    .msg_control = control,
		    .msg_controllen = sizeof control,
		};
		if (FL__RETRY(fl__net_sys.recvmsg(d->io.fd, &m, MSG_ERRQUEUE)) < 0)
			return 0;
		int error = datagram_icmp_error(&m);
		if (error == 0)
			continue;
		fl__address_from_system(peer, m.msg_namelen);
		return error;
	}
}

static int datagram_fail_receive(const fl_datagram *d, int rc, fl_address *from)
{
	fl_address peer = {0};
	int error = d->peer_errors ? datagram_take_peer_error(d, &peer) : 0;
	if (from)
		*from = peer;
	error = error != 0 ? error : rc;
	/* ICMP reports the path's limit, but the caller would take -EMSGSIZE for a truncation */
	return error == -EMSGSIZE ? -EHOSTUNREACH : fl__datagram_error(error);
}

static ssize_t datagram_receive_one(fl_datagram *d, const struct datagram_call *c)
{
	struct iovec part = {c->data, c->size};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	if (c->from) {
		m.msg_name = &c->from->system;
		m.msg_namelen = sizeof c->from->system;
	}
	const ssize_t n = FL__RETRY(fl__net_sys.recvmsg(d->io.fd, &m, MSG_TRUNC));
	if (n < 0)
		return datagram_fail_receive(d, (int)n, c->from);
	if (c->from)
		fl__address_from_system(c->from, m.msg_namelen);
	return (size_t)n > c->size || (m.msg_flags & MSG_TRUNC) ? -EMSGSIZE : n;
}

static void datagram_finish_message(fl_datagram_message *to, const struct mmsghdr *m)
{
	to->received = FL__MIN(m->msg_len, to->size);
	to->lost = m->msg_len - to->received;
	if (to->lost == 0 && (m->msg_hdr.msg_flags & MSG_TRUNC))
		to->lost = 1; /* the number of lost bytes is not known */
	fl__address_from_system(&to->address, m->msg_hdr.msg_namelen);
}

static ssize_t datagram_receive_batch(fl_datagram *d, const struct datagram_call *c)
{
	struct mmsghdr messages[FL_DATAGRAM_MANY] = {0};
	struct iovec parts[FL_DATAGRAM_MANY];
	for (unsigned i = 0; i < c->n; i++) {
		fl_datagram_message *to = &c->messages_in[i];
		struct msghdr *m = &messages[i].msg_hdr;
		parts[i] = (struct iovec){to->data, to->size};
		m->msg_iov = &parts[i];
		m->msg_iovlen = 1;
		m->msg_name = &to->address.system;
		m->msg_namelen = sizeof to->address.system;
	}
	const int n = FL__RETRY(fl__net_sys.recvmmsg(d->io.fd, messages, c->n, MSG_TRUNC));
	if (n < 0)
		return datagram_fail_receive(d, n, &c->messages_in[0].address);
	for (int i = 0; i < n; i++)
		datagram_finish_message(&c->messages_in[i], &messages[i]);
	return n;
}

ssize_t fl_datagram_receive_until(fl_datagram *d, void *buffer, size_t size, fl_address *from, fl_time deadline,
                                  fl_cancel_token *cancel)
{
	const struct datagram_call c = {
	    .attempt = datagram_receive_one,
	    .direction = FL__IO_IN,
	    .deadline = deadline,
	    .cancel = cancel,
	    .n = 1,
	    .data = buffer,
	    .size = size,
	    .from = from,
	};
	return datagram_run(d, &c);
}

int fl_datagram_receive_many_until(fl_datagram *d, fl_datagram_message *list, unsigned n, fl_time deadline,
                                   fl_cancel_token *cancel)
{
	const struct datagram_call c = {
	    .attempt = datagram_receive_batch,
	    .direction = FL__IO_IN,
	    .deadline = deadline,
	    .cancel = cancel,
	    .n = FL__MIN(n, FL_DATAGRAM_MANY),
	    .messages_in = list,
	};
	return n > 0 ? (int)datagram_run(d, &c) : -EINVAL;
}
