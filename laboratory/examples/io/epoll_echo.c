/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. An echo server in one thread uses epoll, level-triggered, with descriptors that
 * do not block. Bytes that the socket does not take wait for EPOLLOUT.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for accept4() */
#endif
#include "echo.h"
#include <errno.h>
#include <sys/epoll.h>

struct connection {
	int file;
	char bytes[4];
	size_t used;
	int ended;
};

static void watch(int set, int command, int file, unsigned events, void *what)
{
	struct epoll_event e = {.events = events, .data.ptr = what};
	assert(epoll_ctl(set, command, file, &e) == 0);
}

/* Returns whether the connection is over. */
static int serve(int set, struct connection *c)
{
	if (!c->ended && c->used < sizeof c->bytes) {
		const ssize_t n = read(c->file, c->bytes + c->used, sizeof c->bytes - c->used);
		assert(n >= 0 || errno == EAGAIN);
		c->ended = n == 0;
		c->used += n > 0 ? (size_t)n : 0;
	}
	if (c->used > 0) {
		const ssize_t n = write(c->file, c->bytes, c->used);
		assert(n > 0 || errno == EAGAIN);
		c->used -= n > 0 ? (size_t)n : 0;
		memmove(c->bytes, c->bytes + (n > 0 ? n : 0), c->used);
	}
	watch(set, EPOLL_CTL_MOD, c->file, (c->ended ? 0 : EPOLLIN) | (c->used > 0 ? EPOLLOUT : 0), c);
	return c->ended && c->used == 0;
}

static void *talk(void *arg)
{
	char back[4];
	const int s = connect_to_port();
	write_all(s, "ab", 2);
	shutdown(s, SHUT_WR);
	assert(read_all(s, back, sizeof back) == 2 && memcmp(back, "ab", 2) == 0);
	close(s);
	return arg;
}

int main(void)
{
	struct connection c = {0};
	struct epoll_event e;
	pthread_t client;
	const int listener = listen_at_port(), set = epoll_create1(EPOLL_CLOEXEC);
	watch(set, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
	pthread_create(&client, NULL, talk, NULL);
	for (int over = 0; !over;) {
		assert(epoll_wait(set, &e, 1, -1) == 1);
		if (e.data.ptr) {
			over = serve(set, e.data.ptr);
			continue;
		}
		c.file = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		assert(c.file >= 0);
		watch(set, EPOLL_CTL_ADD, c.file, EPOLLIN, &c);
	}
	close(c.file);
	pthread_join(client, NULL);
	close(set);
	close(listener);
	return 0;
}
