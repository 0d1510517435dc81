/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * docs/design.md, section 4, "Death" and "Strangers", has the reasons. Rank 0 listens on a port
 * that the system chooses. The address, with a secret cookie, reaches the worker ranks over MPI;
 * each connects, and says the cookie and its rank. Rank 0 tells each rank over MPI whether it has
 * taken the rank's connection within bell_timeout.
 *
 * Rank 0 reads one greeting from each connection. It closes a connection without the cookie, and
 * the oldest silent one when there are BELL_STRANGERS more than ranks.
 */
#include "doorbell.h"
#include "core/base/sys.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fairlead/time.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BELL_EVENTS = 16, BELL_STRANGERS = 64 };
static const int64_t bell_timeout = FL_S(2);

struct bell_greeting {
	unsigned char cookie[FL__MPI_COOKIE];
	int32_t rank;
};

static struct {
	int listener;
	int epoll; /* rank 0: has all of `fds` */
	int *fds;  /* rank 0: by rank; -1: the rank has none */
	int n;
	int upstream; /* a worker rank's; -1: none */
} bell = {.listener = -1, .epoll = -1, .upstream = -1};

static void bell_shut(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static bool bell_bind(struct fl__mpi_address *address, bool one_host)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	                         .sin_addr.s_addr = htonl(one_host ? INADDR_LOOPBACK : INADDR_ANY)};
	socklen_t size = sizeof at;
	bell.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bell.listener < 0 || bind(bell.listener, (struct sockaddr *)&at, sizeof at) != 0 ||
	    listen(bell.listener, SOMAXCONN) != 0 || getsockname(bell.listener, (struct sockaddr *)&at, &size) != 0)
		return false;
	address->port = ntohs(at.sin_port);
	return getrandom(address->cookie, sizeof address->cookie, 0) == (ssize_t)sizeof address->cookie;
}

void fl__mpi_bell_listen(struct fl__mpi_address *address, int size, bool one_host)
{
	bell.fds = fl__alloc((size_t)size, sizeof *bell.fds);
	bell.n = bell.fds ? size : 0;
	for (int i = 0; i < bell.n; i++)
		bell.fds[i] = -1;
	bell.epoll = bell.fds ? epoll_create1(EPOLL_CLOEXEC) : -1;
	if (bell.epoll < 0 || !bell_bind(address, one_host)) {
		fl__mpi_bell_close();
		address->port = 0;
	}
}

/* Tries all addresses of rank 0's host. -1: none answers. */
static int bell_reach(const struct fl__mpi_address *address)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char here[64] = "", port[8];
	int fd = -1;
	(void)gethostname(here, sizeof here - 1);
	(void)snprintf(port, sizeof port, "%u", address->port);
	const char *host = strcmp(here, address->host) == 0 ? "127.0.0.1" : address->host;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -1;
	const int64_t end = fl_after(bell_timeout);
	for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
		const int64_t left = end - fl_now();
		const struct timeval limit = {.tv_sec = (time_t)(left / FL_S(1)),
		                              .tv_usec = (left % FL_S(1)) / FL_US(1)};
		fd = left < FL_MS(1) ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			break;
		/* also limits connect() */
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
		if (connect(fd, at->ai_addr, at->ai_addrlen) != 0)
			bell_shut(&fd);
	}
	freeaddrinfo(found);
	return fd;
}

bool fl__mpi_bell_connect(const struct fl__mpi_address *address, int rank)
{
	struct bell_greeting greeting = {.rank = rank};
	if (address->port == 0)
		return false;
	memcpy(greeting.cookie, address->cookie, sizeof greeting.cookie);
	bell.upstream = bell_reach(address);
	if (bell.upstream < 0)
		return false;
	if (send(bell.upstream, &greeting, sizeof greeting, MSG_NOSIGNAL) != (ssize_t)sizeof greeting)
		bell_shut(&bell.upstream);
	return bell.upstream >= 0;
}

struct bell_waiting {
	int epoll;
	int *fds; /* -1: none */
	uint32_t n, next;
};

static bool bell_watch(int epoll, int fd, uint32_t number)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Replaces the oldest silent connection. */
static void bell_accept_one(struct bell_waiting *w)
{
	const int whole = sizeof(struct bell_greeting);
	int fd = accept4(bell.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	/* readable with a whole greeting, or at the end */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &whole, sizeof whole) != 0 || !bell_watch(w->epoll, fd, w->next)) {
		bell_shut(&fd);
		return;
	}
	bell_shut(&w->fds[w->next]);
	w->fds[w->next] = fd;
	if (++w->next == w->n)
		w->next = 0;
}

/* Owns `fd`. 1: the connection is a rank's; 0: it is closed. */
static int bell_greet(const struct fl__mpi_address *address, int fd)
{
	struct bell_greeting greeting;
	const int one = 1;
	if (recv(fd, &greeting, sizeof greeting, MSG_DONTWAIT) != (ssize_t)sizeof greeting ||
	    memcmp(greeting.cookie, address->cookie, sizeof greeting.cookie) != 0 || greeting.rank <= 0 ||
	    greeting.rank >= bell.n || bell.fds[greeting.rank] >= 0 ||
	    !bell_watch(bell.epoll, fd, (uint32_t)greeting.rank)) {
		(void)close(fd);
		return 0;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	bell.fds[greeting.rank] = fd;
	return 1;
}

/* Ends when `n` ranks have connections, or bell_timeout is over. */
static void bell_accept_all(const struct fl__mpi_address *address, struct bell_waiting *w, int n)
{
	struct epoll_event events[BELL_EVENTS];
	const int64_t end = fl_after(bell_timeout);
	for (int64_t left; n > 0 && (left = end - fl_now()) > 0;) {
		const int ready = epoll_wait(w->epoll, events, BELL_EVENTS, (int)(left / FL_MS(1)) + 1);
		bool another = false;
		for (int i = 0; i < ready; i++) {
			const uint32_t number = events[i].data.u32;
			another |= number == w->n;
			if (number == w->n)
				continue;
			(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, w->fds[number], NULL);
			n -= bell_greet(address, w->fds[number]);
			w->fds[number] = -1;
		}
		if (another) /* last, since the events name connections by their places */
			bell_accept_one(w);
	}
}

const int *fl__mpi_bell_accept(const struct fl__mpi_address *address, int n)
{
	struct bell_waiting w = {.epoll = epoll_create1(EPOLL_CLOEXEC), .n = (uint32_t)bell.n + BELL_STRANGERS};
	w.fds = fl__alloc(w.n, sizeof *w.fds);
	for (uint32_t i = 0; w.fds && i < w.n; i++)
		w.fds[i] = -1;
	if (w.fds && w.epoll >= 0 && bell_watch(w.epoll, bell.listener, w.n))
		bell_accept_all(address, &w, n);
	for (uint32_t i = 0; w.fds && i < w.n; i++)
		bell_shut(&w.fds[i]);
	fl__free(w.fds);
	bell_shut(&w.epoll);
	bell_shut(&bell.listener);
	return bell.fds;
}

void fl__mpi_bell_give_up(void)
{
	bell_shut(&bell.upstream);
}

void fl__mpi_bell_close(void)
{
	for (int i = 0; i < bell.n; i++)
		bell_shut(&bell.fds[i]);
	fl__free(bell.fds);
	bell.fds = NULL;
	bell.n = 0;
	bell_shut(&bell.listener);
	bell_shut(&bell.epoll);
	bell_shut(&bell.upstream);
}

bool fl__mpi_bell_is_there(void)
{
	return bell.upstream >= 0;
}

void fl__mpi_bell_ring(int rank)
{
	/* A full buffer has rings enough. fl__mpi_bell_take() sees a dead peer. */
	if (rank < bell.n && bell.fds[rank] >= 0)
		(void)!send(bell.fds[rank], "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int fl__mpi_bell_fd(void)
{
	return bell.upstream >= 0 ? bell.upstream : bell.epoll;
}

/* True: the peer has closed, or died. */
static bool bell_drain(int fd)
{
	char rings[64];
	ssize_t n;
	do
		n = recv(fd, rings, sizeof rings, MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

int fl__mpi_bell_take(void)
{
	struct epoll_event events[BELL_EVENTS];
	if (bell.upstream >= 0 && bell_drain(bell.upstream)) {
		bell_shut(&bell.upstream);
		return 0;
	}
	const int n = bell.epoll >= 0 ? epoll_wait(bell.epoll, events, BELL_EVENTS, 0) : 0;
	for (int i = 0; i < n; i++) {
		const int rank = (int)events[i].data.u32;
		if (!bell_drain(bell.fds[rank]))
			continue;
		(void)epoll_ctl(bell.epoll, EPOLL_CTL_DEL, bell.fds[rank], NULL);
		bell_shut(&bell.fds[rank]);
		return rank;
	}
	return -1;
}
