/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the servers and clients of this folder share: TCP on the loopback address, and whole writes.
 */
#ifndef EXAMPLE_ECHO_H
#define EXAMPLE_ECHO_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 7777 };

static inline struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline int listen_at_port(void)
{
	const struct sockaddr_in at = loopback();
	const int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	assert(listener >= 0 && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
	assert(bind(listener, (const struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 4) == 0);
	return listener;
}

static inline int connect_to_port(void)
{
	const struct sockaddr_in to = loopback();
	const int s = socket(AF_INET, SOCK_STREAM, 0);
	assert(s >= 0 && connect(s, (const struct sockaddr *)&to, sizeof to) == 0);
	return s;
}

static inline void write_all(int file, const char *bytes, size_t size)
{
	for (ssize_t n; size > 0; bytes += n, size -= (size_t)n) {
		n = write(file, bytes, size);
		assert(n > 0);
	}
}

/* Reads until the end of the stream, or until `size` bytes. */
static inline size_t read_all(int file, char *bytes, size_t size)
{
	size_t done = 0;
	for (ssize_t n; done < size; done += (size_t)n) {
		n = read(file, bytes + done, size - done);
		assert(n >= 0);
		if (n == 0)
			break;
	}
	return done;
}

#endif
