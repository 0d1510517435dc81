/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The doorbells: TCP connections by which rank 0 wakes a sleeping rank, and each side learns of the
 * other's death. docs/decisions/mpi-death.md and docs/decisions/mpi-doorbells.md give the reasons.
 * The connections are made when MPI starts, in four steps:
 *
 *   1. Rank 0 listens on a port that the system chooses. The address reaches the worker ranks over
 *      MPI.
 *   2. Each worker rank connects, and tells rank 0 over MPI the addresses and ports of both ends.
 *   3. Rank 0 accepts the connections with these ends that come within bell_timeout, and closes all
 *      others.
 *   4. Rank 0 tells each rank over MPI whether it has accepted the rank's connection.
 */
#include "doorbell.h"
#include "internals.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fairlead/time.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BELL_EVENTS = 16, BELL_SHUT = 1 /* a rank is considered dead; a ring is 0 */ };
static const int64_t bell_timeout = FL_S(2);

static struct {
	int listener;
	int epoll;                  /* in rank 0; contains the descriptors of `ranks` */
	struct fl__mpi_bell *ranks; /* in rank 0: by rank */
	int n;
	int upstream; /* the connection of a worker rank, or -1 */
	bool shut;    /* a worker rank has received BELL_SHUT */
} bell = {.listener = -1, .epoll = -1, .upstream = -1};

static void bell_shut(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Listens, and returns the port, or 0 on failure. */
static uint16_t bell_bind(bool one_host)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	                         .sin_addr.s_addr = htonl(one_host ? INADDR_LOOPBACK : INADDR_ANY)};
	socklen_t size = sizeof at;
	bell.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bell.listener < 0 || bind(bell.listener, (struct sockaddr *)&at, sizeof at) != 0 ||
	    listen(bell.listener, SOMAXCONN) != 0 || getsockname(bell.listener, (struct sockaddr *)&at, &size) != 0)
		return 0;
	return ntohs(at.sin_port);
}

struct fl__mpi_bell *fl__mpi_bell_listen(struct fl__mpi_address *address, int size, bool one_host)
{
	bell.ranks = fl__alloc((size_t)size, sizeof *bell.ranks);
	bell.n = bell.ranks ? size : 0;
	for (int i = 0; i < bell.n; i++)
		bell.ranks[i].fd = -1;
	bell.epoll = bell.ranks ? epoll_create1(EPOLL_CLOEXEC) : -1;
	address->port = bell.epoll >= 0 ? bell_bind(one_host) : 0;
	if (address->port == 0)
		fl__mpi_bell_close();
	return bell.ranks;
}

/* Connects to rank 0, by any address of its host. Returns the descriptor, or -1 if none answers. */
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
	const fl_time end = fl_after(bell_timeout);
	for (const struct addrinfo *at = found; at && fd < 0;) {
		const int64_t left = fl_time_diff(end, fl_now());
		const struct timeval limit = {.tv_sec = (time_t)(left / FL_S(1)),
		                              .tv_usec = (left % FL_S(1)) / FL_US(1)};
		fd = left < FL_MS(1) ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			break;
		/* This also limits connect(). */
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
		const int rc = FL__SYS_RESULT(connect(fd, at->ai_addr, at->ai_addrlen));
		if (rc != 0)
			bell_shut(&fd);
		if (rc != -EINTR) /* after a signal, retries this address */
			at = at->ai_next;
	}
	freeaddrinfo(found);
	return fd;
}

/* Returns one end of a connection as a number, or 0 if it is not connected. */
static uint64_t bell_end(int fd, int (*which)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in at;
	socklen_t size = sizeof at;
	return which(fd, (struct sockaddr *)&at, &size) == 0 ? (uint64_t)at.sin_addr.s_addr << 16 | at.sin_port : 0;
}

struct fl__mpi_bell fl__mpi_bell_connect(const struct fl__mpi_address *address)
{
	bell.upstream = bell_reach(address);
	return (struct fl__mpi_bell){.here = bell_end(bell.upstream, fl__net_sys.local),
	                             .there = bell_end(bell.upstream, fl__net_sys.peer),
	                             .fd = -1};
}

/*
 * Accepts a connection. Returns 1 if it is a rank's; closes that of a stranger, and returns 0. A
 * stranger may have used the rank's port before, and ended its connection. Such a connection no
 * longer has a peer, so it is also closed.
 */
static int bell_accept_one(void)
{
	const int one = 1;
	int fd = accept4(bell.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const uint64_t here = bell_end(fd, fl__net_sys.local), there = bell_end(fd, fl__net_sys.peer);
	for (int i = 1; there != 0 && i < bell.n; i++) {
		struct fl__mpi_bell *rank = &bell.ranks[i];
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
		if (rank->here != there || rank->there != here || rank->fd >= 0 ||
		    epoll_ctl(bell.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
			continue;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		rank->fd = fd;
		return 1;
	}
	bell_shut(&fd);
	return 0;
}

void fl__mpi_bell_accept(void)
{
	struct pollfd incoming = {.fd = bell.listener, .events = POLLIN};
	const fl_time end = fl_after(bell_timeout);
	int missing = 0;
	for (int i = 1; i < bell.n; i++)
		missing += bell.ranks[i].here != 0;
	for (int64_t left; missing > 0 && (left = fl_time_diff(end, fl_now())) > 0;)
		if (poll(&incoming, 1, (int)(left / FL_MS(1)) + 1) > 0)
			missing -= bell_accept_one();
	bell_shut(&bell.listener);
}

void fl__mpi_bell_give_up(void)
{
	bell_shut(&bell.upstream);
}

void fl__mpi_bell_close(void)
{
	for (int i = 0; i < bell.n; i++)
		bell_shut(&bell.ranks[i].fd);
	fl__free(bell.ranks);
	bell.ranks = NULL;
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
	/*
	 * If the buffer is full, there are enough rings. fl__mpi_bell_take() notices a dead peer.
	 */
	if (rank < bell.n && bell.ranks[rank].fd >= 0)
		(void)FL__RETRY(FL__SYS_RESULT(send(bell.ranks[rank].fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT)));
}

int fl__mpi_bell_fd(void)
{
	return bell.upstream >= 0 ? bell.upstream : bell.epoll;
}

/* Reads all rings. Returns true if the peer has closed the connection, or has died. */
static bool bell_drain(int fd)
{
	char rings[64];
	ssize_t n;
	do {
		n = recv(fd, rings, sizeof rings, MSG_DONTWAIT);
		bell.shut |= n > 0 && rings[n - 1] == BELL_SHUT; /* it would be the last byte */
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

void fl__mpi_bell_shut(int rank)
{
	if (rank >= bell.n || bell.ranks[rank].fd < 0)
		return;
	(void)epoll_ctl(bell.epoll, EPOLL_CTL_DEL, bell.ranks[rank].fd, NULL);
	(void)FL__RETRY(FL__SYS_RESULT(send(bell.ranks[rank].fd, &(char){BELL_SHUT}, 1, MSG_NOSIGNAL | MSG_DONTWAIT)));
	bell_shut(&bell.ranks[rank].fd);
}

bool fl__mpi_bell_any(void)
{
	for (int i = 1; i < bell.n; i++)
		if (bell.ranks[i].fd >= 0)
			return true;
	return false;
}

int fl__mpi_bell_take(void)
{
	struct epoll_event events[BELL_EVENTS];
	if (bell.upstream >= 0 && bell_drain(bell.upstream)) {
		bell_shut(&bell.upstream);
		return bell.shut;
	}
	const int n = bell.epoll >= 0 ? epoll_wait(bell.epoll, events, BELL_EVENTS, 0) : 0;
	for (int i = 0; i < n; i++) {
		const int rank = (int)events[i].data.u32;
		if (!bell_drain(bell.ranks[rank].fd))
			continue;
		fl__mpi_bell_shut(rank);
		return rank;
	}
	return -1;
}
