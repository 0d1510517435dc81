/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "n == 2". The bug of this relay is at the half-close: it sends the bytes that it
 * has when it reads, and treats a partial write as a complete one. If the client has closed its
 * half by then, the last byte is lost.
 */
#include "echo.h"
#include <errno.h>

static void *relay(void *arg)
{
	const int s = *(int *)arg;
	char bytes[2];
	ssize_t n;
	while ((n = recv(s, bytes, sizeof bytes, 0)) > 0)
		/* This is the bug: send() may send one byte of two. */
		assert(send(s, bytes, (size_t)n, MSG_DONTWAIT) > 0);
	close(s);
	return NULL;
}

int main(void)
{
	int two[2];
	char back[4];
	pthread_t server;
	assert(socketpair(AF_UNIX, SOCK_STREAM, 0, two) == 0);
	pthread_create(&server, NULL, relay, &two[1]);
	write_all(two[0], "ab", 2);
	shutdown(two[0], SHUT_WR);
	const size_t n = read_all(two[0], back, sizeof back);
	assert(n == 2);
	close(two[0]);
	pthread_join(server, NULL);
	return 0;
}
