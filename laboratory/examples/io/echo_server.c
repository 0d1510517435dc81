/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. An echo server with a thread for each connection. The client sends, closes its
 * half of the connection, and reads what comes back until the end.
 */
#include "echo.h"

static void *serve(void *arg)
{
	const int s = *(int *)arg;
	char bytes[4];
	for (ssize_t n; (n = read(s, bytes, sizeof bytes)) > 0;)
		write_all(s, bytes, (size_t)n);
	assert(close(s) == 0);
	return NULL;
}

static void *talk(void *arg)
{
	char back[8];
	const int s = connect_to_port();
	write_all(s, "hello", 5);
	assert(shutdown(s, SHUT_WR) == 0);
	assert(read_all(s, back, sizeof back) == 5 && memcmp(back, "hello", 5) == 0);
	assert(close(s) == 0);
	return arg;
}

int main(void)
{
	pthread_t client, server;
	struct sockaddr_in from = {0};
	socklen_t size = sizeof from;
	const int listener = listen_at_port();
	pthread_create(&client, NULL, talk, NULL);
	int s = accept(listener, (struct sockaddr *)&from, &size);
	assert(s >= 0 && size == sizeof from && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	pthread_create(&server, NULL, serve, &s);
	pthread_join(server, NULL);
	pthread_join(client, NULL);
	close(listener);
	return 0;
}
