/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The echo: a client with many connections, each of which sends a request of ECHO_SIZE bytes, waits
 * for the same as an answer, and sends the next. The client is the same for all, by hand, on a CPU
 * of its own, where it never sleeps, so that what is measured is the server: a program of its own
 * on another CPU (loop_probe.c, loop.py). echo_100_cpu: the processor time that the server took at
 * the same time. memory_stream: the memory that LOOP_IDLE connections add, after one request on
 * each.
 */
#include "loop_client.h"
#include "remote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
	int fd;
	uint32_t got; /* bytes of the answer */
	uint64_t request[ECHO_SIZE / sizeof(uint64_t)];
};

typedef struct client {
	bench_remote *server;
	struct sockaddr_in where;
	int poller;
	size_t n;
	uint64_t to_send, to_get;
	struct connection *all;
} client;

static void open_connection(client *c, struct connection *to)
{
	const int on = 1;
	to->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(to->fd >= 0, "socket");
	must(connect(to->fd, (struct sockaddr *)&c->where, sizeof c->where) == 0, "connect");
	must(setsockopt(to->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = to};
	must(epoll_ctl(c->poller, EPOLL_CTL_ADD, to->fd, &event) == 0, "epoll_ctl");
}

/* Each request is another one. */
static void send_request(client *c, struct connection *on)
{
	if (c->to_send == 0)
		return;
	c->to_send--;
	on->got = 0;
	on->request[0]++;
	on->request[ECHO_SIZE / sizeof(uint64_t) - 1] = ~on->request[0];
	must(send(on->fd, on->request, ECHO_SIZE, MSG_NOSIGNAL) == ECHO_SIZE, "send");
}

static void take_answer(client *c, struct connection *from)
{
	char answer[ECHO_SIZE];
	ssize_t n = recv(from->fd, answer, ECHO_SIZE - from->got, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	must(n > 0, "the server has ended a connection");
	if (memcmp(answer, (const char *)from->request + from->got, (size_t)n) != 0)
		bench_fail("the server answered something else");
	from->got += (uint32_t)n;
	if (from->got < ECHO_SIZE)
		return;
	c->to_get--;
	send_request(c, from);
}

/* Makes `requests` of them over all connections. */
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

static client *client_open(const char *const *command)
{
	client *c = bench_alloc(sizeof *c);
	struct rlimit files;
	must(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
	files.rlim_cur = files.rlim_max;
	must(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
	c->server = bench_remote_open(command);
	unsigned port;
	if (fscanf(c->server->from, "%u", &port) != 1)
		bench_fail("%s did not say where it listens", command[0]);
	c->where = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	c->poller = epoll_create1(EPOLL_CLOEXEC);
	must(c->poller >= 0, "epoll_create1");
	return c;
}

static void client_connect(client *c, size_t n)
{
	c->n = n;
	c->all = bench_alloc(n * sizeof *c->all);
	for (size_t i = 0; i < n; i++)
		open_connection(c, &c->all[i]);
}

static void client_teardown(void *state, uint64_t total)
{
	client *c = state;
	(void)total;
	for (size_t i = 0; i < c->n; i++)
		(void)close(c->all[i].fd);
	(void)close(c->poller);
	bench_remote_close(c->server);
	free(c->all);
	free(c);
}

static void *echo_setup(const char *const *command, size_t connections)
{
	enum { WARM = 20 };
	client *c = client_open(command);
	client_connect(c, connections);
	cpu_set_t all = pin();
	exchange(c, WARM * connections);
	unpin(all);
	return c;
}

static void echo_run(bench_thread *t)
{
	cpu_set_t all = pin();
	int64_t begin = bench_now();
	exchange(t->state, t->total);
	t->took = bench_now() - begin;
	unpin(all);
}

static int64_t cpu_time(pid_t pid)
{
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(pid, &clock) != 0)
		bench_fail("clock_getcpuclockid");
	must(clock_gettime(clock, &used) == 0, "clock_gettime");
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static void cpu_run(bench_thread *t)
{
	client *c = t->state;
	int64_t before = cpu_time(c->server->pid);
	echo_run(t);
	t->took = cpu_time(c->server->pid) - before;
}

static int64_t resident(pid_t pid)
{
	char path[64];
	long all, resident = 0;
	(void)snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
	FILE *f = fopen(path, "r");
	must(f && fscanf(f, "%ld %ld", &all, &resident) == 2, path);
	(void)fclose(f);
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static void *memory_setup(const char *const *command)
{
	return client_open(command);
}

/* The server has begun to run by then: it listens. */
static void memory_run(bench_thread *t)
{
	client *c = t->state;
	int64_t before = resident(c->server->pid);
	client_connect(c, t->total);
	exchange(c, t->total);
	int64_t more = resident(c->server->pid) - before;
	t->took = more > 0 ? more : 1;
}

#define SERVER(id, ...)                                                                                                \
	static const char *const id##_server[] = {__VA_ARGS__, NULL};                                                  \
	static void *id##_1_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return echo_setup(id##_server, 1);                                                                     \
	}                                                                                                              \
	static void *id##_100_setup(int threads, uint64_t total)                                                       \
	{                                                                                                              \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return echo_setup(id##_server, 100);                                                                   \
	}                                                                                                              \
	static void *id##_1000_setup(int threads, uint64_t total)                                                      \
	{                                                                                                              \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return echo_setup(id##_server, 1000);                                                                  \
	}

#define MEMORY(id)                                                                                                     \
	static void *id##_memory_setup(int threads, uint64_t total)                                                    \
	{                                                                                                              \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return memory_setup(id##_server);                                                                      \
	}

/* How many requests a run makes: with 1,000 connections each makes a hundred and more. */
enum { REQUESTS_1 = 4000, REQUESTS = 40000 };

#define ECHO_ROWS(id, part)                                                                                            \
	{"loop/echo_1", #id, id##_1_setup, echo_run, client_teardown, REQUESTS_1 / (part)},                            \
	    {"loop/echo_100", #id, id##_100_setup, echo_run, client_teardown, REQUESTS / (part)},                      \
	    {"loop/echo_1000", #id, id##_1000_setup, echo_run, client_teardown, REQUESTS / (part)},                    \
	{                                                                                                              \
		"loop/echo_100_cpu", #id, id##_100_setup, cpu_run, client_teardown, REQUESTS / (part)                  \
	}

#define MEMORY_ROW(id)                                                                                                 \
	{                                                                                                              \
		"loop/memory_stream", #id, id##_memory_setup, memory_run, client_teardown, LOOP_IDLE                   \
	}

SERVER(fairlead, BENCH_LOOP, "echo", "fairlead")
SERVER(epoll_level, BENCH_LOOP, "echo", "epoll_level")
SERVER(epoll_edge, BENCH_LOOP, "echo", "epoll_edge")
SERVER(libuv, BENCH_LOOP, "echo", "libuv")
SERVER(libuv_try, BENCH_LOOP, "echo", "libuv_try")
SERVER(boost_asio, BENCH_LOOP, "echo", "boost_asio")
SERVER(python_asyncio, BENCH_PYTHON, BENCH_LOOP_PY, "echo")
static const char *const python_streams_server[] = {BENCH_PYTHON, BENCH_LOOP_PY, "echo_streams", NULL};

MEMORY(fairlead)
MEMORY(epoll_edge)
MEMORY(libuv)
MEMORY(boost_asio)
MEMORY(python_asyncio)
MEMORY(python_streams)

/* Tasks that wait for an event: the servers' program answers. */
#define IDLE(id, ...)                                                                                                  \
	static void *id##_idle_setup(int threads, uint64_t total)                                                      \
	{                                                                                                              \
		static const char *const command[] = {__VA_ARGS__, NULL};                                              \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		return bench_remote_open(command);                                                                     \
	}

#define IDLE_ROW(id, n)                                                                                                \
	{                                                                                                              \
		"loop/memory_task", #id, id##_idle_setup, bench_remote_run, bench_remote_teardown, n                   \
	}

IDLE(fairlead, BENCH_LOOP, "idle", "fairlead")
IDLE(boost_fiber, BENCH_LOOP, "idle", "boost_fiber")
IDLE(boost_unguarded, BENCH_LOOP, "idle", "boost_unguarded")
IDLE(python_asyncio, BENCH_PYTHON, BENCH_LOOP_PY, "idle")

static const bench_row rows[] = {
    ECHO_ROWS(fairlead, 1),
    ECHO_ROWS(epoll_level, 1),
    ECHO_ROWS(epoll_edge, 1),
    ECHO_ROWS(libuv, 1),
    ECHO_ROWS(libuv_try, 1),
    ECHO_ROWS(boost_asio, 1),
    ECHO_ROWS(python_asyncio, 4),
    MEMORY_ROW(fairlead),
    MEMORY_ROW(epoll_edge),
    MEMORY_ROW(libuv),
    MEMORY_ROW(boost_asio),
    MEMORY_ROW(python_asyncio),
    MEMORY_ROW(python_streams),
    IDLE_ROW(fairlead, 100000),
    IDLE_ROW(boost_fiber, LOOP_IDLE), /* it cannot have many more: a guard by protection cuts a mapping in two */
    IDLE_ROW(boost_unguarded, LOOP_IDLE),
    IDLE_ROW(python_asyncio, LOOP_IDLE),
};
BENCH_ROWS(rows)
