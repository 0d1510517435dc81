/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The echo of datagrams: as loop_echo.c, but each of the client's sockets is a datagram socket that
 * is connected to the server's one socket. UDP loses nothing here: the server has room for a
 * request of each client. Where the server has no room for more (Unix), the client sends again.
 */
#include "loop_client.h"
#include "loop_probe.h"
#include "remote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
	int fd;
	uint64_t request[ECHO_SIZE / sizeof(uint64_t)];
};

typedef struct clients {
	bench_remote *server;
	int poller;
	size_t n;
	uint64_t to_send, to_get;
	struct client *all;
} clients;

static void connect_udp(int fd, unsigned port)
{
	const struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	must(connect(fd, (const struct sockaddr *)&a, sizeof a) == 0, "connect");
}

static void connect_unix(int fd, unsigned server, unsigned number)
{
	struct sockaddr_un own, peer;
	probe_unix_address(&own, getpid(), number + 1);
	probe_unix_address(&peer, (int)server, 0);
	must(bind(fd, (struct sockaddr *)&own, sizeof own) == 0, "bind");
	must(connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0, "connect");
}

static void send_request(clients *c, struct client *on)
{
	if (c->to_send == 0)
		return;
	c->to_send--;
	on->request[0]++;
	on->request[ECHO_SIZE / sizeof(uint64_t) - 1] = ~on->request[0];
	while (send(on->fd, on->request, ECHO_SIZE, MSG_NOSIGNAL | MSG_DONTWAIT) != ECHO_SIZE)
		must(errno == EAGAIN, "send");
}

static void take_answer(clients *c, struct client *from)
{
	char answer[ECHO_SIZE];
	ssize_t n = recv(from->fd, answer, ECHO_SIZE, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n != ECHO_SIZE || memcmp(answer, from->request, ECHO_SIZE) != 0)
		bench_fail("the server answered something else");
	c->to_get--;
	send_request(c, from);
}

static void exchange(clients *c, uint64_t requests)
{
	enum { EVENTS = 256 };
	struct epoll_event events[EVENTS];
	c->to_send = c->to_get = requests;
	for (size_t i = 0; i < c->n; i++)
		send_request(c, &c->all[i]);
	while (c->to_get > 0) {
		int n = epoll_wait(c->poller, events, EVENTS, 0);
		for (int i = 0; i < n; i++)
			take_answer(c, events[i].data.ptr);
	}
}

static void *datagram_setup(const char *const *command, size_t n)
{
	enum { WARM = 20 };
	const bool is_unix = strcmp(command[1], "unix_datagram") == 0;
	clients *c = bench_alloc(sizeof *c);
	unsigned where;
	c->server = bench_remote_open(command);
	if (fscanf(c->server->from, "%u", &where) != 1)
		bench_fail("%s did not say where it receives", command[0]);
	c->poller = epoll_create1(EPOLL_CLOEXEC);
	must(c->poller >= 0, "epoll_create1");
	c->n = n;
	c->to_send = c->to_get = 0;
	c->all = bench_alloc(n * sizeof *c->all);
	for (unsigned i = 0; i < n; i++) {
		struct client *to = &c->all[i];
		memset(to, 0, sizeof *to);
		to->fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		must(to->fd >= 0, "socket");
		if (is_unix)
			connect_unix(to->fd, where, i);
		else
			connect_udp(to->fd, where);
		struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = to};
		must(epoll_ctl(c->poller, EPOLL_CTL_ADD, to->fd, &event) == 0, "epoll_ctl");
	}
	cpu_set_t all = pin();
	exchange(c, WARM * n);
	unpin(all);
	return c;
}

static void datagram_run(bench_thread *t)
{
	cpu_set_t all = pin();
	int64_t begin = bench_now();
	exchange(t->state, t->total);
	t->took = bench_now() - begin;
	unpin(all);
}

static void datagram_teardown(void *state, uint64_t total)
{
	clients *c = state;
	(void)total;
	for (size_t i = 0; i < c->n; i++)
		(void)close(c->all[i].fd);
	(void)close(c->poller);
	bench_remote_close(c->server);
	free(c->all);
	free(c);
}

#define SETUP(id, kind, n)                                                                                             \
	static void *id##_##kind##_##n##_setup(int threads, uint64_t total)                                            \
	{                                                                                                              \
		static const char *const command[] = {BENCH_LOOP, #kind, #id, NULL};                                   \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return datagram_setup(command, n);                                                                     \
	}

#define SETUPS(id)                                                                                                     \
	SETUP(id, udp, 1)                                                                                              \
	SETUP(id, udp, 100)                                                                                            \
	SETUP(id, unix_datagram, 1)                                                                                    \
	SETUP(id, unix_datagram, 8)

enum { REQUESTS_1 = 4000, REQUESTS = 40000 };

#define ROW(id, kind, n, requests)                                                                                     \
	{                                                                                                              \
		"loop/" #kind "_" #n, #id, id##_##kind##_##n##_setup, datagram_run, datagram_teardown, requests        \
	}

/* A Unix socket has room for ten datagrams, so more clients would wait for each other. */
#define ROWS(id)                                                                                                       \
	ROW(id, udp, 1, REQUESTS_1), ROW(id, udp, 100, REQUESTS), ROW(id, unix_datagram, 1, REQUESTS_1),               \
	    ROW(id, unix_datagram, 8, REQUESTS)

SETUPS(fairlead)
SETUPS(fairlead_many)
SETUPS(epoll_level)
SETUPS(libuv)
SETUPS(libuv_try)

static const bench_row rows[] = {
    ROWS(fairlead), ROWS(fairlead_many), ROWS(epoll_level), ROWS(libuv), ROWS(libuv_try),
};
BENCH_ROWS(rows)
