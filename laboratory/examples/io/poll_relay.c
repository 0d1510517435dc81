/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. A relay between two socket pairs uses poll(). Each byte from one side, and the
 * end of its stream, goes to the other side. The messages have two parts.
 */
#include "echo.h"
#include <poll.h>
#include <sys/uio.h>

static void *left(void *arg)
{
	const int s = *(int *)arg;
	char bytes[4];
	const struct iovec parts[] = {{(char[]){'a'}, 1}, {(char[]){'b', 'c'}, 2}};
	assert(writev(s, parts, 2) == 3 && shutdown(s, SHUT_WR) == 0);
	assert(read_all(s, bytes, sizeof bytes) == 1 && *bytes == 'z');
	return NULL;
}

static void *right(void *arg)
{
	const int s = *(int *)arg;
	char bytes[3] = "";
	struct iovec parts[] = {{bytes, 2}, {bytes + 2, 1}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	assert(recvmsg(s, &m, MSG_WAITALL) == 3 && memcmp(bytes, "abc", 3) == 0);
	write_all(s, "z", 1);
	assert(read(s, bytes, 1) == 0 && shutdown(s, SHUT_WR) == 0);
	return NULL;
}

int main(void)
{
	int a[2], b[2];
	pthread_t threads[2];
	assert(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
	pthread_create(&threads[0], NULL, left, &a[1]);
	pthread_create(&threads[1], NULL, right, &b[1]);
	struct pollfd sides[] = {{a[0], POLLIN, 0}, {b[0], POLLIN, 0}};
	for (int open = 2; open > 0;) {
		assert(poll(sides, 2, -1) > 0);
		for (int i = 0; i < 2; i++) {
			char bytes[2];
			if (!sides[i].revents)
				continue;
			const int other = i == 0 ? b[0] : a[0];
			const ssize_t n = read(i == 0 ? a[0] : b[0], bytes, sizeof bytes);
			if (n > 0) {
				write_all(other, bytes, (size_t)n);
				continue;
			}
			assert(n == 0 && shutdown(other, SHUT_WR) == 0);
			sides[i].fd = -1;
			open--;
		}
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
