/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The servers of the echo of datagrams: one socket, UDP on 127.0.0.1 or a Unix socket at an
 * abstract name. libuv sends to Unix addresses of full size alone, so all names here have it.
 */
#include "loop_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fairlead/datagram.h>
#include <fairlead/loop.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

static bool is_unix;

static int open_udp(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	probe_check(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	                getsockname(fd, (struct sockaddr *)&a, &size) == 0,
	            "bind");
	probe_listening(ntohs(a.sin_port));
	return fd;
}

static int open_unix(void)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	probe_unix_address(&a, getpid(), 0);
	probe_check(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	probe_listening(getpid());
	return fd;
}

static int open_socket(void)
{
	return is_unix ? open_unix() : open_udp();
}

/* By hand, for the floor. */
static void epoll_echo(void)
{
	static char buffer[PROBE_BUFFER];
	struct sockaddr_storage from;
	int fd = open_socket(), poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	probe_check(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
	for (;;) {
		socklen_t size = sizeof from;
		if (epoll_wait(poller, &event, 1, -1) <= 0)
			continue;
		ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);
		probe_check(n >= 0 || errno == EAGAIN, "recvfrom");
		if (n >= 0)
			probe_check(sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&from, size) == n, "sendto");
	}
}

/* Fairlead: one fiber. */

static fl_datagram *open_ours(void)
{
	fl_datagram *d = NULL;
	probe_check(fl_datagram_from_fd(&d, open_socket()) == 0, "fl_datagram_from_fd");
	return d;
}

static int echo_each(void *unused)
{
	char buffer[PROBE_BUFFER];
	fl_datagram_address from;
	fl_datagram *d = open_ours();
	(void)unused;
	for (;;) {
		ssize_t n = fl_datagram_receive(d, buffer, sizeof buffer, &from);
		probe_check(n >= 0 && fl_datagram_send_to(d, buffer, (size_t)n, &from) == 0, "fl_datagram_send_to");
	}
	return 0;
}

static int echo_many(void *unused)
{
	static char buffers[FL_DATAGRAM_MANY][PROBE_BUFFER];
	fl_datagram_message list[FL_DATAGRAM_MANY];
	fl_datagram *d = open_ours();
	(void)unused;
	for (unsigned i = 0; i < FL_DATAGRAM_MANY; i++)
		list[i].data = buffers[i];
	for (;;) {
		for (unsigned i = 0; i < FL_DATAGRAM_MANY; i++)
			list[i].size = PROBE_BUFFER;
		int n = fl_datagram_receive_many(d, list, FL_DATAGRAM_MANY);
		for (int i = 0; i < n; i++)
			list[i].size = list[i].received;
		probe_check(n > 0 && fl_datagram_send_many(d, list, (unsigned)n, NULL) == 0, "fl_datagram_send_many");
	}
	return 0;
}

static void fairlead_echo(void)
{
	probe_check(fl_loop_run(echo_each, NULL) == 0, "fl_loop_run");
}

static void fairlead_many_echo(void)
{
	probe_check(fl_loop_run(echo_many, NULL) == 0, "fl_loop_run");
}

/* libuv: uv_udp_send(), or uv_udp_try_send(), which needs no memory for the request. */

static bool uv_tries;

static void uv_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	static char shared[PROBE_BUFFER];
	(void)handle;
	(void)suggested;
	*buffer = uv_buf_init(shared, sizeof shared);
}

struct uv_request {
	uv_udp_send_t send;
	char data[PROBE_BUFFER];
};

static void uv_sent(uv_udp_send_t *send, int status)
{
	probe_check(status == 0, "uv_udp_send");
	free(send);
}

static void uv_got(uv_udp_t *s, ssize_t n, const uv_buf_t *buffer, const struct sockaddr *from, unsigned flags)
{
	(void)flags;
	probe_check(n >= 0, "uv_udp_recv_start");
	if (!from)
		return; /* there is nothing more */
	uv_buf_t reply = uv_buf_init(buffer->base, (unsigned)n);
	if (uv_tries) {
		probe_check(uv_udp_try_send(s, &reply, 1, from) == n, "uv_udp_try_send");
		return;
	}
	struct uv_request *request = malloc(sizeof request->send + (size_t)n);
	probe_check(request != NULL, "malloc");
	memcpy(request->data, buffer->base, (size_t)n);
	reply.base = request->data;
	probe_check(uv_udp_send(&request->send, s, &reply, 1, from, uv_sent) == 0, "uv_udp_send");
}

static void libuv_echo(void)
{
	uv_loop_t loop;
	uv_udp_t s;
	probe_check(uv_loop_init(&loop) == 0 && uv_udp_init(&loop, &s) == 0 && uv_udp_open(&s, open_socket()) == 0 &&
	                uv_udp_recv_start(&s, uv_allocate, uv_got) == 0,
	            "uv_udp_recv_start");
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void libuv_try_echo(void)
{
	uv_tries = true;
	libuv_echo();
}

probe_server *probe_datagram_server(const char *kind, const char *name)
{
	static const struct {
		const char *name;
		probe_server *echo;
	} all[] = {
	    {"fairlead", fairlead_echo}, {"fairlead_many", fairlead_many_echo}, {"epoll_level", epoll_echo},
	    {"libuv", libuv_echo},       {"libuv_try", libuv_try_echo},
	};
	is_unix = strcmp(kind, "unix_datagram") == 0;
	if (!is_unix && strcmp(kind, "udp") != 0)
		return NULL;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (strcmp(name, all[i].name) == 0)
			return all[i].echo;
	return NULL;
}
