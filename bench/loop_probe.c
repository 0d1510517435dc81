/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program fairlead-bench-loop (loop.h): the servers of the echo, and tasks that wait.
 * fairlead-bench starts it, and asks it over a pipe.
 */
#include "loop_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fairlead/datagram.h>
#include <fairlead/event.h>
#include <fairlead/fiber.h>
#include <fairlead/loop.h>
#include <fairlead/stream.h>
#include <fairlead/time.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { BACKLOG = 4096 };

static int open_socket(int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bench_must(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	               (type == SOCK_DGRAM || listen(fd, BACKLOG) == 0) &&
	               getsockname(fd, (struct sockaddr *)&a, &size) == 0,
	           "bind");
	(void)printf("%d\n", ntohs(a.sin_port));
	return fd;
}

static int open_unix(int type)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	probe_unix_address(&a, getpid(), 0);
	bench_must(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	(void)printf("%d\n", getpid());
	return fd;
}

/* A server is given a socket that is already bound and, if it is a stream socket, listens. */

static int accept_one(int listener)
{
	const int on = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

/* --- Fairlead: a fiber for each connection --- */

static int echo_stream(void *arg)
{
	FL_SCOPED(fl_stream) *s = arg;
	char buffer[PROBE_BUFFER];
	ssize_t n;
	while ((n = fl_stream_read_some(s, buffer, sizeof buffer)) > 0)
		if (fl_stream_write(s, buffer, (size_t)n) != 0)
			break;
	return 0;
}

static void on_connection(fl_loop_watch *w, int listener, unsigned events, void *arg)
{
	for (int fd; (fd = accept_one(listener)) >= 0;) {
		fl_stream *s;
		fl_fiber *f = NULL;
		BENCH_OK(fl_stream_from_fd(&s, fd));
		BENCH_OK(fl_fiber_start(&f, echo_stream, s, NULL));
		fl_fiber_detach(f);
	}
}

static int serve(void *socket)
{
	fl_loop_watch w = {0};
	BENCH_OK(fl_loop_watch_start(fl_loop_current(), &w, *(int *)socket, FL_FD_IN, on_connection, NULL));
	return fl_sleep(FL_DURATION_MAX / 2);
}

static void fairlead_echo(int socket)
{
	BENCH_OK(fl_loop_run(serve, &socket));
}

/* One fiber serves all datagrams. */

static fl_datagram *open_ours(const int *socket)
{
	fl_datagram *d = NULL;
	BENCH_OK(fl_datagram_from_fd(&d, *socket));
	return d;
}

static int echo_each(void *socket)
{
	char buffer[PROBE_BUFFER];
	fl_address from;
	fl_datagram *d = open_ours(socket);
	for (;;) {
		ssize_t n = fl_datagram_receive(d, buffer, sizeof buffer, &from);
		bench_must(n >= 0 && fl_datagram_send_to(d, buffer, (size_t)n, &from) == 0, "fl_datagram_send_to");
	}
	return 0;
}

static int echo_many(void *socket)
{
	static char buffers[FL_DATAGRAM_MANY][PROBE_BUFFER];
	fl_datagram_message list[FL_DATAGRAM_MANY];
	fl_datagram *d = open_ours(socket);
	for (unsigned i = 0; i < FL_DATAGRAM_MANY; i++)
		list[i].data = buffers[i];
	for (;;) {
		for (unsigned i = 0; i < FL_DATAGRAM_MANY; i++)
			list[i].size = PROBE_BUFFER;
		int n = fl_datagram_receive_many(d, list, FL_DATAGRAM_MANY);
		for (int i = 0; i < n; i++)
			list[i].size = list[i].received;
		bench_must(n > 0 && fl_datagram_send_many(d, list, (unsigned)n, NULL) == 0, "fl_datagram_send_many");
	}
	return 0;
}

static void fairlead_datagrams(int socket)
{
	BENCH_OK(fl_loop_run(echo_each, &socket));
}

static void fairlead_many(int socket)
{
	BENCH_OK(fl_loop_run(echo_many, &socket));
}

struct idlers {
	size_t n;
	int64_t bytes;
	fl_event event;
};

static int wait_idly(void *arg)
{
	struct idlers *idlers = arg;
	return fl_event_wait(&idlers->event);
}

static int start_idlers(void *arg)
{
	struct idlers *idlers = arg;
	fl_fiber **fibers = calloc(idlers->n, sizeof *fibers);
	memset(fibers, 1, idlers->n * sizeof *fibers);
	int64_t before = bench_resident(getpid());
	for (size_t i = 0; i < idlers->n; i++)
		BENCH_OK(fl_fiber_start(&fibers[i], wait_idly, idlers, NULL));
	BENCH_OK(fl_sleep(FL_MS(100)));
	idlers->bytes = bench_resident(getpid()) - before;
	fl_event_set(&idlers->event);
	for (size_t i = 0; i < idlers->n; i++)
		BENCH_OK(fl_fiber_join(fibers[i], NULL));
	free(fibers);
	return 0;
}

static int64_t fairlead_idle(size_t n)
{
	struct idlers idlers = {.n = n};
	fl_event_init(&idlers.event);
	BENCH_OK(fl_loop_run(start_idlers, &idlers));
	return idlers.bytes;
}

/*
 * --- libuv ---
 *
 * The servers answer by uv_write() and uv_udp_send(), as libuv's documentation does; or, if
 * `uv_tries` is set, by uv_try_write() and uv_udp_try_send(), which need no memory for the request.
 */

static bool uv_tries;

static void uv_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	static char shared[PROBE_BUFFER];
	*buffer = uv_buf_init(shared, sizeof shared);
}

static void uv_free(uv_handle_t *handle)
{
	free(handle);
}

struct uv_request {
	union {
		uv_write_t write;
		uv_udp_send_t send;
	};
	char data[PROBE_BUFFER];
};

/* Copies the bytes of the reply into a new request, and makes `reply` point to the copy. */
static struct uv_request *uv_request_of(uv_buf_t *reply)
{
	struct uv_request *request = malloc(sizeof *request - PROBE_BUFFER + reply->len);
	bench_must(request != NULL, "malloc");
	reply->base = memcpy(request->data, reply->base, reply->len);
	return request;
}

static void uv_written(uv_write_t *write, int status)
{
	BENCH_OK(status);
	free(write);
}

static void uv_sent(uv_udp_send_t *send, int status)
{
	BENCH_OK(status);
	free(send);
}

static void uv_got(uv_stream_t *s, ssize_t n, const uv_buf_t *buffer)
{
	if (n < 0) {
		uv_close((uv_handle_t *)s, uv_free);
		return;
	}
	uv_buf_t reply = uv_buf_init(buffer->base, (unsigned)n);
	if (uv_tries)
		bench_must(uv_try_write(s, &reply, 1) == n, "uv_try_write");
	else
		BENCH_OK(uv_write(&uv_request_of(&reply)->write, s, &reply, 1, uv_written));
}

static void uv_received(uv_udp_t *s, ssize_t n, const uv_buf_t *buffer, const struct sockaddr *from, unsigned flags)
{
	bench_must(n >= 0, "uv_udp_recv_start");
	if (!from)
		return; /* libuv says so that there is nothing more to read */
	uv_buf_t reply = uv_buf_init(buffer->base, (unsigned)n);
	if (uv_tries)
		bench_must(uv_udp_try_send(s, &reply, 1, from) == n, "uv_udp_try_send");
	else
		BENCH_OK(uv_udp_send(&uv_request_of(&reply)->send, s, &reply, 1, from, uv_sent));
}

static void uv_accepted(uv_stream_t *server, int status)
{
	uv_tcp_t *s = malloc(sizeof *s);
	bench_must(s != NULL, "malloc");
	BENCH_OK(status);
	BENCH_OK(uv_tcp_init(server->loop, s));
	BENCH_OK(uv_accept(server, (uv_stream_t *)s));
	BENCH_OK(uv_tcp_nodelay(s, 1));
	BENCH_OK(uv_read_start((uv_stream_t *)s, uv_allocate, uv_got));
}

static void libuv_echo(int socket)
{
	uv_loop_t loop;
	uv_tcp_t server;
	BENCH_OK(uv_loop_init(&loop));
	BENCH_OK(uv_tcp_init(&loop, &server));
	BENCH_OK(uv_tcp_open(&server, socket));
	BENCH_OK(uv_listen((uv_stream_t *)&server, BACKLOG, uv_accepted));
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void libuv_datagrams(int socket)
{
	uv_loop_t loop;
	uv_udp_t s;
	BENCH_OK(uv_loop_init(&loop));
	BENCH_OK(uv_udp_init(&loop, &s));
	BENCH_OK(uv_udp_open(&s, socket));
	BENCH_OK(uv_udp_recv_start(&s, uv_allocate, uv_received));
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}

/* --- the implementations --- */

static const struct {
	const char *name;
	void (*echo)(int listener);
	void (*datagrams)(int socket);
	int64_t (*idle)(size_t n);
} all[] = {
    {"fairlead", fairlead_echo, fairlead_datagrams, fairlead_idle},
    {"fairlead_many", NULL, fairlead_many, NULL},
    {"libuv", libuv_echo, libuv_datagrams, NULL},
    {"libuv_try", libuv_echo, libuv_datagrams, NULL},
    {"boost_fiber", NULL, NULL, boost_idle},
};

static void *end_with_input(void *unused)
{
	while (getchar() != EOF)
		;
	_exit(0);
	return unused;
}

static void serve_forever(void (*server)(int socket), int (*open)(int type), int type)
{
	pthread_t thread;
	bench_allow_files();
	(void)bench_pin(0); /* the client is on the second CPU */
	(void)puts("ready");
	BENCH_OK(pthread_create(&thread, NULL, end_with_input, NULL));
	int socket = open(type);
	(void)fflush(stdout);
	server(socket);
	bench_must(false, "a server ended");
}

static void answer(int64_t (*idle)(size_t n))
{
	char line[64];
	(void)puts("ready");
	while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin))
		(void)printf("%" PRId64 " 0\n", idle(strtoul(line, NULL, 10)));
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof all / sizeof all[0]; i++) {
		if (strcmp(argv[2], all[i].name) != 0)
			continue;
		uv_tries = strcmp(argv[2], "libuv_try") == 0;
		if (strcmp(argv[1], "echo") == 0 && all[i].echo)
			serve_forever(all[i].echo, open_socket, SOCK_STREAM);
		if (strcmp(argv[1], "udp") == 0 && all[i].datagrams)
			serve_forever(all[i].datagrams, open_socket, SOCK_DGRAM);
		if (strcmp(argv[1], "unix_datagram") == 0 && all[i].datagrams)
			serve_forever(all[i].datagrams, open_unix, SOCK_DGRAM);
		if (strcmp(argv[1], "idle") == 0 && all[i].idle) {
			answer(all[i].idle);
			return 0;
		}
	}
	(void)fputs("usage: fairlead-bench-loop echo|udp|unix_datagram|idle NAME\n", stderr);
	return 2;
}
