/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doorbells over TCP. Rank 0 listens on a port that the system chooses. The address, with a secret
 * cookie, reaches the worker ranks over MPI; each connects, and says the cookie and its rank. Rank
 * 0 answers with one byte. What does not come in time is done without.
 */
#include "doorbell.h"
#include "../lib/base/sys.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* In seconds. Of a rank that waits for the answer: rank 0 may wait for each of the others. */
enum { BELL_TIMEOUT = 2, BELL_PATIENCE = 30 };
enum { BELL_EVENTS = 16 };

/* The first bytes of a connection. */
struct bell_greeting {
	unsigned char cookie[FL__MPI_COOKIE];
	int32_t rank;
};

static struct {
	int listener;
	int epoll;    /* rank 0: has all of `fds` */
	int *fds;     /* rank 0: by rank; -1: none */
	int n;        /* entries of `fds` */
	int upstream; /* a worker rank's; -1: none */
} bell = {.listener = -1, .epoll = -1, .upstream = -1};

static void bell_shut(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void bell_limit_waits(int fd, int receive)
{
	const struct timeval send = {.tv_sec = BELL_TIMEOUT}, recv = {.tv_sec = receive};
	/* Without the limits a wait takes longer. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof send); /* also of connect() */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &recv, sizeof recv);
}

void fl__mpi_bell_listen(struct fl__mpi_address *address)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
	socklen_t size = sizeof at;
	address->port = 0;
	bell.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bell.listener < 0 || bind(bell.listener, (struct sockaddr *)&at, sizeof at) != 0 ||
	    listen(bell.listener, SOMAXCONN) != 0 || getsockname(bell.listener, (struct sockaddr *)&at, &size) != 0 ||
	    getrandom(address->cookie, sizeof address->cookie, 0) != (ssize_t)sizeof address->cookie) {
		bell_shut(&bell.listener);
		return;
	}
	address->port = ntohs(at.sin_port);
}

/* Connects to the first address of rank 0's host that answers. Returns a descriptor; -1: none. */
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
	for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			break;
		bell_limit_waits(fd, BELL_PATIENCE);
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

/* Takes one connection. False: none has come in time. */
static bool bell_accept_one(const struct fl__mpi_address *address, int *accepted)
{
	struct pollfd listener = {.fd = bell.listener, .events = POLLIN};
	const int one = 1;
	struct bell_greeting greeting;
	if (poll(&listener, 1, BELL_TIMEOUT * 1000) <= 0)
		return false;
	int fd = accept4(bell.listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return false;
	bell_limit_waits(fd, BELL_TIMEOUT);
	struct epoll_event event = {.events = EPOLLIN};
	if (recv(fd, &greeting, sizeof greeting, MSG_WAITALL) != (ssize_t)sizeof greeting ||
	    memcmp(greeting.cookie, address->cookie, sizeof greeting.cookie) != 0 || greeting.rank <= 0 ||
	    greeting.rank >= bell.n || bell.fds[greeting.rank] >= 0) {
		bell_shut(&fd); /* none of ours */
		return true;
	}
	event.data.u32 = (uint32_t)greeting.rank;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (epoll_ctl(bell.epoll, EPOLL_CTL_ADD, fd, &event) != 0 || send(fd, "", 1, MSG_NOSIGNAL) != 1)
		bell_shut(&fd);
	bell.fds[greeting.rank] = fd;
	*accepted += fd >= 0;
	return true;
}

void fl__mpi_bell_accept(const struct fl__mpi_address *address, int n, int size)
{
	bell.fds = address->port != 0 ? fl__alloc((size_t)size, sizeof *bell.fds) : NULL;
	bell.epoll = bell.fds ? epoll_create1(EPOLL_CLOEXEC) : -1;
	bell.n = bell.fds ? size : 0;
	for (int i = 0; i < bell.n; i++)
		bell.fds[i] = -1;
	int accepted = 0;
	while (bell.epoll >= 0 && accepted < n && bell_accept_one(address, &accepted))
		;
	bell_shut(&bell.listener);
}

void fl__mpi_bell_confirm(void)
{
	char answer;
	if (bell.upstream >= 0 && recv(bell.upstream, &answer, 1, MSG_WAITALL) != 1)
		bell_shut(&bell.upstream);
}

void fl__mpi_bell_close(void)
{
	for (int i = 0; i < bell.n; i++)
		bell_shut(&bell.fds[i]);
	fl__free(bell.fds);
	bell.fds = NULL;
	bell.n = 0;
	bell_shut(&bell.epoll);
	bell_shut(&bell.upstream);
}

bool fl__mpi_bell_is_there(void)
{
	return bell.upstream >= 0;
}

void fl__mpi_bell_ring(int rank)
{
	/* A full buffer has rings enough. A dead peer is seen by fl__mpi_bell_take(). */
	if (rank < bell.n && bell.fds[rank] >= 0)
		(void)!send(bell.fds[rank], "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int fl__mpi_bell_fd(void)
{
	return bell.upstream >= 0 ? bell.upstream : bell.epoll;
}

/* Reads all. True: the peer has closed the connection, or died. */
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
