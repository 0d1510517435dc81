/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects LOST WAKEUP "waits in epoll_wait() for ever". A server with EPOLLET reads once for each
 * event. Bytes that it leaves in the socket cause no further event.
 */
#include "echo.h"
#include <fcntl.h>
#include <sys/epoll.h>

static void *send_two(void *arg)
{
	const int s = *(int *)arg;
	write_all(s, "a", 1);
	write_all(s, "b", 1);
	return NULL;
}

int main(void)
{
	int two[2], left = 2;
	char byte;
	pthread_t client;
	const int set = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, two) == 0);
	assert(epoll_ctl(set, EPOLL_CTL_ADD, two[0], &e) == 0);
	pthread_create(&client, NULL, send_two, &two[1]);
	while (left > 0) {
		assert(epoll_wait(set, &e, 1, -1) == 1);
		left -= (int)read(two[0], &byte, 1); /* the bug: not until EAGAIN */
	}
	pthread_join(client, NULL);
	return 0;
}
