/* SPDX-License-Identifier: BSD-2-Clause */
/* fairlead-bench-loop: the servers of the echo, and tasks that wait (loop.h). */
#include "loop_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fairlead/event.h>
#include <fairlead/fiber.h>
#include <fairlead/loop.h>
#include <fairlead/stream.h>
#include <fairlead/time.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { BACKLOG = 4096 };

void probe_check(int good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "fairlead-bench-loop: %s: %s\n", what, strerror(errno));
	exit(1);
}

void probe_listening(int port)
{
	(void)printf("%d\n", port);
	(void)fflush(stdout);
}

int64_t probe_resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long all, resident = 0;
	probe_check(f && fscanf(f, "%ld %ld", &all, &resident) == 2, "/proc/self/statm");
	(void)fclose(f);
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

/* By hand, for the floor. */

static int listen_here(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	probe_check(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, BACKLOG) == 0 &&
	                getsockname(fd, (struct sockaddr *)&a, &size) == 0,
	            "listen");
	probe_listening(ntohs(a.sin_port));
	return fd;
}

static int accept_one(int listener)
{
	const int on = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void watch(int poller, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};
	probe_check(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

/* A read that was not full has left nothing: neither form looks again. */
static void echo_once(int fd)
{
	static char buffer[PROBE_BUFFER];
	ssize_t n;
	do {
		n = recv(fd, buffer, sizeof buffer, 0);
		if (n > 0) {
			probe_check(send(fd, buffer, (size_t)n, MSG_NOSIGNAL) == n, "send");
		} else if (n == 0 || errno != EAGAIN) {
			(void)close(fd);
			return;
		}
	} while (n == sizeof buffer);
}

static void epoll_echo(uint32_t mode)
{
	enum { EVENTS = 256 };
	struct epoll_event events[EVENTS];
	int listener = listen_here(), poller = epoll_create1(EPOLL_CLOEXEC);
	watch(poller, listener, EPOLLIN);
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener)
				echo_once(events[i].data.fd);
			else
				for (int fd; (fd = accept_one(listener)) >= 0;)
					watch(poller, fd, EPOLLIN | mode);
		}
	}
}

static void epoll_level_echo(void)
{
	epoll_echo(0);
}

static void epoll_edge_echo(void)
{
	epoll_echo(EPOLLET);
}

/* Fairlead: a fiber for each connection. */

static int echo_stream(void *arg)
{
	FL_SCOPED(fl_stream) *s = arg;
	char buffer[PROBE_BUFFER];
	ssize_t n;
	while ((n = fl_stream_read(s, buffer, sizeof buffer)) > 0)
		if (fl_stream_write(s, buffer, (size_t)n) != 0)
			break;
	return 0;
}

static void on_connection(fl_loop_watch *w, int listener, unsigned events, void *arg)
{
	(void)w;
	(void)events;
	(void)arg;
	for (int fd; (fd = accept_one(listener)) >= 0;) {
		fl_stream *s;
		fl_fiber *f = NULL;
		probe_check(fl_stream_from_fd(&s, fd) == 0 && fl_fiber_start(&f, echo_stream, s, NULL) == 0, "start");
		fl_fiber_detach(f);
	}
}

static int serve(void *arg)
{
	fl_loop_watch w = {0};
	(void)arg;
	probe_check(fl_loop_watch_start(fl_loop_current(), &w, listen_here(), FL_LOOP_IN, on_connection, NULL) == 0,
	            "fl_loop_watch_start");
	return fl_sleep(FL_FOREVER / 2);
}

static void fairlead_echo(void)
{
	probe_check(fl_loop_run(serve, NULL) == 0, "fl_loop_run");
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
	int64_t before = probe_resident();
	for (size_t i = 0; i < idlers->n; i++)
		probe_check(fl_fiber_start(&fibers[i], wait_idly, idlers, NULL) == 0, "fl_fiber_start");
	probe_check(fl_sleep(FL_MS(100)) == 0, "fl_sleep");
	idlers->bytes = probe_resident() - before;
	fl_event_set(&idlers->event);
	for (size_t i = 0; i < idlers->n; i++)
		probe_check(fl_fiber_join(fibers[i], NULL) == 0, "fl_fiber_join");
	free(fibers);
	return 0;
}

static int64_t fairlead_idle(size_t n)
{
	struct idlers idlers = {.n = n};
	fl_event_init(&idlers.event);
	probe_check(fl_loop_run(start_idlers, &idlers) == 0, "fl_loop_run");
	return idlers.bytes;
}

/*
 * libuv: uv_write(), as its documentation does, or uv_try_write(), which needs no memory for the
 * request.
 */

static bool uv_tries;

static void uv_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	static char shared[PROBE_BUFFER];
	(void)handle;
	(void)suggested;
	*buffer = uv_buf_init(shared, sizeof shared);
}

static void uv_free(uv_handle_t *handle)
{
	free(handle);
}

struct uv_request {
	uv_write_t write;
	char data[PROBE_BUFFER];
};

static void uv_written(uv_write_t *write, int status)
{
	probe_check(status == 0, "uv_write");
	free(write);
}

static void uv_got(uv_stream_t *s, ssize_t n, const uv_buf_t *buffer)
{
	if (n < 0) {
		uv_close((uv_handle_t *)s, uv_free);
		return;
	}
	uv_buf_t reply = uv_buf_init(buffer->base, (unsigned)n);
	if (uv_tries) {
		probe_check(uv_try_write(s, &reply, 1) == n, "uv_try_write");
		return;
	}
	struct uv_request *request = malloc(sizeof request->write + (size_t)n);
	probe_check(request != NULL, "malloc");
	memcpy(request->data, buffer->base, (size_t)n);
	reply.base = request->data;
	probe_check(uv_write(&request->write, s, &reply, 1, uv_written) == 0, "uv_write");
}

static void uv_accepted(uv_stream_t *server, int status)
{
	uv_tcp_t *s = malloc(sizeof *s);
	probe_check(status == 0 && s && uv_tcp_init(server->loop, s) == 0 && uv_accept(server, (uv_stream_t *)s) == 0 &&
	                uv_tcp_nodelay(s, 1) == 0 && uv_read_start((uv_stream_t *)s, uv_allocate, uv_got) == 0,
	            "uv_accept");
}

static void libuv_echo(void)
{
	uv_loop_t loop;
	uv_tcp_t server;
	probe_check(uv_loop_init(&loop) == 0 && uv_tcp_init(&loop, &server) == 0 &&
	                uv_tcp_open(&server, listen_here()) == 0 &&
	                uv_listen((uv_stream_t *)&server, BACKLOG, uv_accepted) == 0,
	            "uv_listen");
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void libuv_try_echo(void)
{
	uv_tries = true;
	libuv_echo();
}

/* The implementations. */

static const struct {
	const char *name;
	void (*echo)(void);
	int64_t (*idle)(size_t n);
} all[] = {
    {"fairlead", fairlead_echo, fairlead_idle}, {"epoll_level", epoll_level_echo, NULL},
    {"epoll_edge", epoll_edge_echo, NULL},      {"libuv", libuv_echo, NULL},
    {"libuv_try", libuv_try_echo, NULL},        {"boost_asio", asio_echo, NULL},
    {"boost_fiber", NULL, boost_idle},          {"boost_unguarded", NULL, boost_unguarded_idle},
};

static void *end_with_input(void *unused)
{
	while (getchar() != EOF)
		;
	_exit(0);
	return unused;
}

/* On the first of the CPUs that it may use; the client is on the second. */
static void pin(void)
{
	cpu_set_t cpus, first;
	int cpu = 0;
	probe_check(sched_getaffinity(0, sizeof cpus, &cpus) == 0, "sched_getaffinity");
	while (!CPU_ISSET(cpu, &cpus))
		cpu++;
	CPU_ZERO(&first);
	CPU_SET(cpu, &first);
	probe_check(sched_setaffinity(0, sizeof first, &first) == 0, "sched_setaffinity");
}

static void serve_echo(void (*echo)(void))
{
	pthread_t thread;
	struct rlimit files;
	probe_check(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
	files.rlim_cur = files.rlim_max;
	probe_check(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
	pin();
	(void)puts("ready");
	probe_check(pthread_create(&thread, NULL, end_with_input, NULL) == 0, "pthread_create");
	echo();
	probe_check(0, "a server ended");
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
		if (strcmp(argv[2], all[i].name) != 0 || (strcmp(argv[1], "echo") != 0 && strcmp(argv[1], "idle") != 0))
			continue;
		if (strcmp(argv[1], "echo") == 0 && all[i].echo)
			serve_echo(all[i].echo);
		if (strcmp(argv[1], "idle") == 0 && all[i].idle)
			answer(all[i].idle);
		return 0;
	}
	probe_server *datagrams = argc == 3 ? probe_datagram_server(argv[1], argv[2]) : NULL;
	if (datagrams)
		serve_echo(datagrams);
	(void)fputs("usage: fairlead-bench-loop echo|udp|unix_datagram|idle NAME\n", stderr);
	return 2;
}
