/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stream sockets between threads of the program. They have an address and a port, or a name.
 * connect() makes the connection, which then waits for accept() in the channel of the listening
 * socket.
 */
#include "io.h"
#include <netinet/in.h>

#define SOCKET_BIT(option) (UINT64_C(1) << ((option)&63))

static _Noreturn void socket_refuse(const char *what, uintptr_t pc)
{
	lab_unmodelled(pc, "uses %s: the model has stream sockets within the program", what);
}

/* Returns the socket of a descriptor. If there is none, it sets errno and returns NULL. */
static struct lab_file *socket_of(int number)
{
	struct lab_file *f = lab_io_of(number);
	if (f ? f->kind == LAB_IO_SOCKET || f->kind == LAB_IO_LISTENER : number < 0 || number >= LAB_IO_FIRST)
		return f;
	errno = ENOTSOCK;
	return NULL;
}

static int socket_socket(int domain, int type, int protocol)
{
	(void)protocol;
	if ((domain != AF_UNIX && domain != AF_INET && domain != AF_INET6) || (type & 15) != SOCK_STREAM)
		socket_refuse("another kind of socket", PC);
	lab_shared_step(LAB_SHARED_FILES, PC);
	struct lab_file *f = lab_io_open(LAB_IO_SOCKET, type, PC);
	f->own.is.ss_family = (sa_family_t)domain;
	return lab_io_number(f, PC);
}

static void socket_join(struct lab_file *a, struct lab_file *b, uintptr_t pc)
{
	b->out = lab_io_channel(a, b, LAB_IO_SOCKET_ROOM, pc);
	a->out = lab_io_channel(b, a, LAB_IO_SOCKET_ROOM, pc);
	a->flags = b->flags = O_RDWR;
}

static int socket_socketpair(int domain, int type, int protocol, int two[2])
{
	(void)protocol;
	if (domain != AF_UNIX || (type & 15) != SOCK_STREAM)
		socket_refuse("another kind of socket", PC);
	lab_shared_step(LAB_SHARED_FILES, PC);
	struct lab_file *a = lab_io_open(LAB_IO_SOCKET, type, PC), *b = lab_io_open(LAB_IO_SOCKET, type, PC);
	socket_join(a, b, PC);
	a->own.is.ss_family = b->own.is.ss_family = a->peer.is.ss_family = b->peer.is.ss_family = AF_UNIX;
	lab_writes(two, 2 * sizeof *two, PC);
	two[0] = lab_io_number(a, PC);
	two[1] = lab_io_number(b, PC);
	return 0;
}

/* Returns the port of an address, which is at the same place in addresses of IPv4 and IPv6. */
static in_port_t *socket_port(struct lab_address *a)
{
	return &((struct sockaddr_in *)&a->is)->sin_port;
}

static bool socket_is_same(struct lab_address *a, struct lab_address *b)
{
	const bool named = a->is.ss_family == AF_UNIX;
	return a->size > 0 && b->size > 0 && named == (b->is.ss_family == AF_UNIX) &&
	       (named ? a->size == b->size && memcmp(&a->is, &b->is, a->size) == 0
	              : *socket_port(a) == *socket_port(b));
}

/*
 * Returns a socket that has the address, or NULL. For connect(), `f` is NULL, and a connected
 * socket is not returned. For bind(), `f` is the socket to bind, and the returned socket is one
 * that prevents `f` from getting the address. A connection keeps its port, unless both sockets have
 * SO_REUSEADDR. After a close, Linux keeps the port of one side for a while.
 */
static struct lab_file *socket_at(struct lab_address *a, const struct lab_file *f)
{
	const bool ports = f && a->is.ss_family != AF_UNIX;
	LAB_EACH (i, lab_io_files) {
		struct lab_file *g = &lab_io_files[i];
		const uint64_t both = ports ? f->options & g->options : 0;
		if (!socket_is_same(&g->own, a) || (g->out && !ports) || both & SOCKET_BIT(SO_REUSEPORT) ||
		    (both & SOCKET_BIT(SO_REUSEADDR) && g->kind != LAB_IO_LISTENER))
			continue;
		if (g->out)
			lab_met(LAB_MET_KERNEL);
		if (g->refs > 0)
			return g;
	}
	return NULL;
}

/* Reads the address that was passed to a call. The call is a step on all addresses. */
static struct lab_address socket_read(const struct sockaddr *address, socklen_t size, uintptr_t pc)
{
	struct lab_address a = {.size = size};
	lab_reads(address, size, pc);
	lab_shared_step(LAB_SHARED_FILES, pc);
	memcpy(&a.is, address, size < sizeof a.is ? size : sizeof a.is);
	return a;
}

static int socket_bind(int number, const struct sockaddr *address, socklen_t size)
{
	struct lab_file *f = socket_of(number);
	if (!f)
		return -1;
	struct lab_address own = socket_read(address, size, PC);
	if (f->own.size > 0)
		return lab_error(EINVAL);
	in_port_t *port = socket_port(&own);
	const bool any = own.is.ss_family != AF_UNIX && *port == 0;
	if (any)
		*port = htons((in_port_t)(40000 + number));
	for (; socket_at(&own, f); ++*port)
		if (!any)
			return lab_error(EADDRINUSE);
	lab_io_change(&f->looked);
	f->own = own;
	return 0;
}

static int socket_listen(int number, int backlog)
{
	struct lab_file *f = socket_of(number);
	if (!f || f->kind == LAB_IO_LISTENER)
		return f ? 0 : -1;
	if (f->in || (!lab_io_is_internet(f) && f->own.size == 0))
		return lab_error(EINVAL);
	lab_shared_step(LAB_SHARED_FILES, PC);
	lab_io_change(&f->looked);
	f->kind = LAB_IO_LISTENER;
	(void)lab_io_channel(
	    f, f, ((unsigned)backlog < LAB_IO_NUMBERS ? (unsigned)backlog + 1 : LAB_IO_NUMBERS) * sizeof f, PC);
	f->in->number[0] = f->in->number[1] = number;
	lab_io_point(f->in, LAB_SYNC_USE, PC);
	return 0;
}

/* Ends connect() with the error. A non-blocking internet socket gets the error later. */
static int socket_refused(int number, int error, uintptr_t pc)
{
	struct lab_file *f = lab_io_find(number);
	if (!f->nonblocking || !lab_io_is_internet(f))
		return lab_error(error);
	lab_io_change(&f->looked);
	f->out = lab_io_channel(f, NULL, LAB_IO_SOCKET_ROOM, pc);
	f->in->number[0] = f->in->number[1] = number;
	f->in->error = error;
	lab_io_wake(f, ~0u);
	lab_io_changed(f->in, pc);
	return lab_error(EINPROGRESS);
}

static int socket_connect(int number, const struct sockaddr *address, socklen_t size)
{
	struct lab_file *f = socket_of(number);
	if (!f || f->kind == LAB_IO_LISTENER || f->peer.is.ss_family)
		return f ? lab_error(EISCONN) : -1;
	struct lab_address peer = socket_read(address, size, PC);
	const bool internet = peer.is.ss_family != AF_UNIX;
	struct lab_file *to = socket_at(&peer, NULL);
	if (!to || to->kind != LAB_IO_LISTENER)
		return socket_refused(number, internet || to ? ECONNREFUSED : ENOENT, PC);
	struct lab_channel *c = to->in;
	if (!lab_io_step(c, LAB_SYNC_WRITE, sizeof to, lab_io_deadline(f, true, true), PC)) {
		if (internet)
			socket_refuse("a connection without waiting while the backlog is full", PC);
		return lab_error(EAGAIN);
	}
	if (!c->reader)
		return socket_refused(number, ECONNREFUSED, PC);
	struct lab_file *other = lab_io_open(LAB_IO_SOCKET, 0, PC);
	lab_io_change(&f->looked);
	f->peer = peer;
	if (f->own.size == 0 && internet) {
		f->own = f->peer;
		*socket_port(&f->own) = htons((in_port_t)(50000 + number));
	}
	other->options = to->options;
	other->resets = true; /* if the listening socket is closed before accept() */
	other->own = f->peer;
	other->peer = f->own;
	socket_join(f, other, PC);
	f->in->number[0] = f->out->number[1] = number;
	*(struct lab_file **)&c->bytes[(c->begin + c->count) % LAB_IO_ROOM] = other;
	c->count += sizeof other;
	lab_io_wake(to, LAB_IO_IN);
	lab_io_wake(f, LAB_IO_OUT);
	lab_io_changed(c, PC);
	if (!f->nonblocking || !internet)
		return 0;
	lab_met(LAB_MET_KERNEL);
	return lab_error(EINPROGRESS);
}

static void socket_tell(const struct lab_address *a, struct sockaddr *to, socklen_t *size, uintptr_t pc)
{
	const socklen_t is = a->size ?: sizeof(sa_family_t);
	if (!to)
		return;
	lab_writes(size, sizeof *size, pc);
	lab_writes(to, *size < is ? *size : is, pc);
	memcpy(to, &a->is, *size < is ? *size : is);
	*size = is;
}

static int socket_take(int number, struct sockaddr *from, socklen_t *size, int flags, uintptr_t pc)
{
	struct lab_file *f = socket_of(number), *got;
	if (!f || f->kind != LAB_IO_LISTENER)
		return f ? lab_error(EINVAL) : -1;
	f->refs++;
	struct lab_channel *c = f->in;
	if (!lab_io_step(c, LAB_SYNC_READ, 0, lab_io_deadline(f, false, true), pc) || !c->count) {
		lab_io_drop(f, pc);
		return lab_error(c->reader ? EAGAIN : EINVAL);
	}
	got = *(struct lab_file **)&c->bytes[c->begin];
	c->begin = (c->begin + sizeof got) % LAB_IO_ROOM;
	c->count -= sizeof got;
	lab_io_changed(c, pc);
	lab_io_drop(f, pc);
	got->nonblocking = flags & SOCK_NONBLOCK;
	got->resets = false;
	socket_tell(&got->peer, from, size, pc);
	lab_shared_step(LAB_SHARED_FILES, pc);
	return lab_io_number(got, pc);
}

static int socket_accept4(int number, struct sockaddr *from, socklen_t *size, int flags)
{
	return socket_take(number, from, size, flags, PC);
}

static int socket_accept(int number, struct sockaddr *from, socklen_t *size)
{
	return socket_take(number, from, size, 0, PC);
}

static int socket_getsockname(int number, struct sockaddr *to, socklen_t *size)
{
	struct lab_file *f = socket_of(number);
	if (f)
		socket_tell(&f->own, to, size, PC);
	return f ? 0 : -1;
}

static int socket_getpeername(int number, struct sockaddr *to, socklen_t *size)
{
	struct lab_file *f = socket_of(number);
	if (f && !f->peer.is.ss_family)
		return lab_error(ENOTCONN);
	if (f)
		socket_tell(&f->peer, to, size, PC);
	return f ? 0 : -1;
}

static int socket_shutdown(int number, int how)
{
	struct lab_file *f = socket_of(number);
	if (!f || !f->in)
		return f ? lab_error(ENOTCONN) : -1;
	if (how == SHUT_RD && f->own.is.ss_family != AF_UNIX)
		socket_refuse("SHUT_RD of an internet socket", PC); /* the other side does not notice */
	f->refs++;
	lab_io_shut(f, how != SHUT_WR, how != SHUT_RD, PC);
	lab_io_drop(f, PC);
	return 0;
}

static int socket_setsockopt(int number, int level, int option, const void *value, socklen_t size)
{
	struct lab_file *f = socket_of(number);
	if (!f || level != SOL_SOCKET)
		return f ? 0 : -1;
	lab_reads(value, size, PC);
	const int n = *(const int *)value;
	struct lab_channel *c = option == SO_SNDBUF ? f->out : option == SO_RCVBUF ? f->in : NULL;
	if (c && n > 0 && n <= LAB_IO_ROOM) {
		lab_io_point(c, LAB_SYNC_USE, PC);
		c->room = c->usual = (unsigned)n;
		lab_io_wake(c->writer, LAB_IO_OUT);
		lab_io_changed(c, PC);
	}
	lab_io_change(&f->looked);
	if (option == SO_RCVTIMEO || option == SO_SNDTIMEO) {
		const int64_t span = lab_io_after(0, value);
		f->timeout[option == SO_SNDTIMEO] = span == INT64_MAX ? 0 : span;
	} else if (option == SO_LINGER)
		f->resets = n && ((const struct linger *)value)->l_linger == 0 && lab_io_is_internet(f);
	else if (n)
		f->options |= SOCKET_BIT(option);
	else
		f->options &= ~SOCKET_BIT(option);
	return 0;
}

static int socket_getsockopt(int number, int level, int option, int *value, socklen_t *size)
{
	struct lab_file *f = socket_of(number);
	if (!f)
		return -1;
	lab_writes(value, *size, PC);
	memset(value, 0, *size);
	if (level != SOL_SOCKET)
		return 0;
	struct lab_channel *c = option == SO_ERROR || option == SO_RCVBUF ? f->in : option == SO_SNDBUF ? f->out : NULL;
	if (c)
		lab_io_point(c, LAB_SYNC_USE, PC);
	*value = option == SO_TYPE         ? SOCK_STREAM
	         : option == SO_ACCEPTCONN ? f->kind == LAB_IO_LISTENER
	         : option == SO_DOMAIN     ? f->own.is.ss_family
	         : option == SO_ERROR      ? c ? lab_io_take_error(c) : 0
	         : c                       ? (int)c->usual
	                                   : (f->options & SOCKET_BIT(option)) != 0;
	return 0;
}

static ssize_t socket_move(int number, const struct iovec *v, size_t n, int flags, bool writes, uintptr_t pc)
{
	return socket_of(number) ? lab_io_move(number, v, n, flags, writes, pc) : -1;
}

static ssize_t socket_send(int number, const void *from, size_t size, int flags)
{
	return socket_move(number, &(struct iovec){(void *)from, size}, 1, flags, true, PC);
}

static ssize_t socket_recv(int number, void *to, size_t size, int flags)
{
	return socket_move(number, &(struct iovec){to, size}, 1, flags, false, PC);
}

static ssize_t socket_recvfrom(int number, void *to, size_t size, int flags, struct sockaddr *from, socklen_t *length)
{
	if (length)
		*length = 0;
	(void)from;
	return socket_move(number, &(struct iovec){to, size}, 1, flags, false, PC);
}

static ssize_t socket_message(int number, const struct msghdr *m, int flags, bool writes, uintptr_t pc)
{
	if (m->msg_controllen > 0)
		socket_refuse("ancillary data", pc);
	return socket_move(number, m->msg_iov, m->msg_iovlen, flags, writes, pc);
}

static ssize_t socket_sendmsg(int number, const struct msghdr *m, int flags)
{
	return socket_message(number, m, flags, true, PC);
}

static ssize_t socket_recvmsg(int number, struct msghdr *m, int flags)
{
	const ssize_t n = socket_message(number, m, flags, false, PC);
	m->msg_namelen = 0;
	m->msg_flags = 0;
	return n;
}
#define CALL(name) LAB_CALL(#name, socket_##name)
LAB_CALLS = {
    CALL(socket),      CALL(socketpair), CALL(bind),       CALL(listen),
    CALL(connect),     CALL(accept),     CALL(accept4),    CALL(getsockname),
    CALL(getpeername), CALL(shutdown),   CALL(setsockopt), CALL(getsockopt),
    CALL(send),        CALL(recv),       CALL(recvfrom),   LAB_CALL("sendto", socket_send),
    CALL(sendmsg),     CALL(recvmsg),
};
