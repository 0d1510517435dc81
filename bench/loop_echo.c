/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures echo servers. A client has one connection or many. On each it sends a request of
 * ECHO_SIZE bytes, waits for the same bytes as an answer, and sends the next request. The client is
 * the same for all servers, and written by hand. While it is timed, it has its own CPU and never
 * sleeps there, so that only the server is measured. The server is a separate program on another
 * CPU (loop_probe.c, loop.py).
 *
 * The rows echo_100_cpu show the processor time that the server took in the meantime. The rows
 * memory_stream show the memory that LOOP_IDLE connections add, after one request on each.
 */
#include "loop.h"
#include "loop_probe.h"
#include "remote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
	int fd;
	uint32_t got; /* how many bytes of the answer have come */
	uint64_t request[ECHO_SIZE / sizeof(uint64_t)];
};

typedef struct kind {
	int domain, type;
	void (*connect)(int fd, unsigned where, unsigned number);
} kind;

/* What a row is given: its server, and the number of connections. */
typedef struct server {
	const kind *kind;
	size_t connections;
	const char *const *command;
} server;

typedef struct client {
	bench_remote *server;
	const kind *kind;
	unsigned where;
	int poller;
	size_t n;
	uint64_t to_send, to_get;
	struct connection *all;
} client;

/*
 * `where` is a port, or, for Unix sockets, the process id of the server. `number` is the number of
 * the connection.
 */
static void connect_udp(int fd, unsigned where, unsigned number)
{
	const struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)where), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	BENCH_OK(connect(fd, (const struct sockaddr *)&a, sizeof a));
}

static void connect_tcp(int fd, unsigned where, unsigned number)
{
	const int on = 1;
	connect_udp(fd, where, number);
	BENCH_OK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
}

static void connect_unix(int fd, unsigned where, unsigned number)
{
	struct sockaddr_un own, peer;
	probe_unix_address(&own, getpid(), number + 1);
	probe_unix_address(&peer, (int)where, 0);
	BENCH_OK(bind(fd, (struct sockaddr *)&own, sizeof own));
	BENCH_OK(connect(fd, (struct sockaddr *)&peer, sizeof peer));
}

static void open_connection(client *c, unsigned number)
{
	struct connection *to = &c->all[number];
	to->fd = socket(c->kind->domain, c->kind->type | SOCK_CLOEXEC, 0);
	bench_must(to->fd >= 0, "socket");
	c->kind->connect(to->fd, c->where, number);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = to};
	BENCH_OK(epoll_ctl(c->poller, EPOLL_CTL_ADD, to->fd, &event));
}

/* The bytes of each request differ from those of the request before. */
static void send_request(client *c, struct connection *on)
{
	if (c->to_send == 0)
		return;
	c->to_send--;
	on->got = 0;
	on->request[0]++;
	on->request[ECHO_SIZE / sizeof(uint64_t) - 1] = ~on->request[0];
	while (send(on->fd, on->request, ECHO_SIZE, MSG_NOSIGNAL | MSG_DONTWAIT) != ECHO_SIZE)
		/* The socket of a Unix server is full: try again. */
		bench_must(errno == EAGAIN, "send");
}

static void take_answer(client *c, struct connection *from)
{
	char answer[ECHO_SIZE];
	ssize_t n = recv(from->fd, answer, ECHO_SIZE - from->got, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	bench_must(n > 0, "the server has ended a connection");
	if (memcmp(answer, (const char *)from->request + from->got, (size_t)n) != 0)
		bench_fail("the server answered something else");
	from->got += (uint32_t)n;
	if (from->got < ECHO_SIZE)
		return;
	c->to_get--;
	send_request(c, from);
}

/* Makes `requests` requests, distributed over all connections. */
static void exchange(client *c, uint64_t requests)
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

/* When a server has begun to run, it says where it listens. */
static void *client_setup(const bench_setting *with)
{
	const server *of = with->arg;
	client *c = bench_alloc(sizeof *c);
	bench_allow_files();
	c->kind = of->kind;
	c->server = bench_remote_open(of->command);
	if (fscanf(c->server->from, "%u", &c->where) != 1)
		bench_fail("%s did not say where it listens", of->command[0]);
	c->poller = epoll_create1(EPOLL_CLOEXEC);
	bench_must(c->poller >= 0, "epoll_create1");
	return c;
}

static void client_connect(client *c, size_t n)
{
	c->n = n;
	c->all = bench_alloc(n * sizeof *c->all);
	for (size_t i = 0; i < n; i++)
		open_connection(c, (unsigned)i);
}

static void client_teardown(void *state, uint64_t total)
{
	client *c = state;
	for (size_t i = 0; i < c->n; i++)
		(void)close(c->all[i].fd);
	(void)close(c->poller);
	bench_remote_close(c->server);
	free(c->all);
	free(c);
}

static void *echo_setup(const bench_setting *with)
{
	enum { WARM = 20 };
	const server *of = with->arg;
	client *c = client_setup(with);
	client_connect(c, of->connections);
	cpu_set_t all = bench_pin(1);
	exchange(c, WARM * of->connections);
	(void)sched_setaffinity(0, sizeof all, &all);
	return c;
}

static void echo_run(bench_thread *t)
{
	cpu_set_t all = bench_pin(1);
	int64_t begin = bench_now();
	exchange(t->state, t->total);
	t->took = bench_now() - begin;
	(void)sched_setaffinity(0, sizeof all, &all);
}

static int64_t cpu_time(pid_t pid)
{
	clockid_t clock;
	struct timespec used;
	BENCH_OK(clock_getcpuclockid(pid, &clock));
	BENCH_OK(clock_gettime(clock, &used));
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static void cpu_run(bench_thread *t)
{
	client *c = t->state;
	int64_t before = cpu_time(c->server->pid);
	echo_run(t);
	t->took = cpu_time(c->server->pid) - before;
}

static void memory_run(bench_thread *t)
{
	client *c = t->state;
	int64_t before = bench_resident(c->server->pid);
	client_connect(c, t->total);
	exchange(c, t->total);
	int64_t more = bench_resident(c->server->pid) - before;
	t->took = more > 0 ? more : 1;
}

static const kind tcp = {AF_INET, SOCK_STREAM, connect_tcp};
static const kind udp = {AF_INET, SOCK_DGRAM, connect_udp};
static const kind unix_datagram = {AF_UNIX, SOCK_DGRAM, connect_unix};

/* The requests of a run. With 1,000 connections, a run makes 40 requests on each. */
enum { REQUESTS_1 = 4000, REQUESTS = 40000 };

#define SERVER(kind, n, ...) (&(const server){&(kind), n, BENCH_COMMAND(__VA_ARGS__)})
#define ECHO_ROW(label, name, kind, run, n, requests, role, ...)                                                       \
	{                                                                                                              \
		"loop/" name, label, echo_setup, run, client_teardown, requests, role, SERVER(kind, n, __VA_ARGS__)    \
	}
#define ECHO_ROWS(label, part, role, ...)                                                                              \
	ECHO_ROW(label, "echo_1", tcp, echo_run, 1, REQUESTS_1 / (part), role, __VA_ARGS__),                           \
	    ECHO_ROW(label, "echo_100", tcp, echo_run, 100, REQUESTS / (part), role, __VA_ARGS__),                     \
	    ECHO_ROW(label, "echo_1000", tcp, echo_run, 1000, REQUESTS / (part), role, __VA_ARGS__),                   \
	    ECHO_ROW(label, "echo_100_cpu", tcp, cpu_run, 100, REQUESTS / (part), role, __VA_ARGS__)
#define DATAGRAM_ROW(id, kind, n, role)                                                                                \
	ECHO_ROW(#id, #kind "_" #n, kind, echo_run, n, (n) == 1 ? REQUESTS_1 : REQUESTS, role, BENCH_LOOP, #kind, #id)
/*
 * A Unix datagram socket has room for ten datagrams. With more clients, they would wait for each
 * other.
 */
#define DATAGRAM_ROWS(id, role)                                                                                        \
	DATAGRAM_ROW(id, udp, 1, role), DATAGRAM_ROW(id, udp, 100, role), DATAGRAM_ROW(id, unix_datagram, 1, role),    \
	    DATAGRAM_ROW(id, unix_datagram, 8, role)
#define MEMORY_ROW(label, role, ...)                                                                                   \
	{                                                                                                              \
		"loop/memory_stream", label, client_setup, memory_run, client_teardown, LOOP_IDLE, role,               \
		    SERVER(tcp, 0, __VA_ARGS__)                                                                        \
	}
#define PYTHON BENCH_PYTHON, BENCH_LOOP_PY

static const bench_row rows[] = {
    ECHO_ROWS("fairlead", 1, BENCH_PEER, BENCH_LOOP, "echo", "fairlead"),
    ECHO_ROWS("libuv", 1, BENCH_PEER, BENCH_LOOP, "echo", "libuv"),
    ECHO_ROWS("libuv_try", 1, BENCH_PEER, BENCH_LOOP, "echo", "libuv_try"),
    ECHO_ROWS("python_asyncio", 4, BENCH_PEER, PYTHON, "echo"),
    DATAGRAM_ROWS(fairlead, BENCH_PEER),
    DATAGRAM_ROWS(libuv, BENCH_PEER),
    DATAGRAM_ROWS(libuv_try, BENCH_PEER),
    DATAGRAM_ROWS(fairlead_many, BENCH_WEAKER),
    MEMORY_ROW("fairlead", BENCH_PEER, BENCH_LOOP, "echo", "fairlead"),
    MEMORY_ROW("python_streams", BENCH_PEER, PYTHON, "echo_streams"),
    MEMORY_ROW("libuv", BENCH_WEAKER, BENCH_LOOP, "echo", "libuv"),
    /* The memory of tasks that wait for an event, which the program of the servers reports. */
    BENCH_REMOTE_ROW("loop/memory_task", "fairlead", 100000, BENCH_LOOP, "idle", "fairlead"),
    /*
     * Boost.Fiber cannot have many more: the guard page of a stack cuts a memory mapping in two,
     * and a process may have only so many mappings.
     */
    BENCH_REMOTE_ROW("loop/memory_task", "boost_fiber", LOOP_IDLE, BENCH_LOOP, "idle", "boost_fiber"),
    BENCH_REMOTE_ROW("loop/memory_task", "python_asyncio", LOOP_IDLE, PYTHON, "idle"),
};
BENCH_ROWS(rows)
