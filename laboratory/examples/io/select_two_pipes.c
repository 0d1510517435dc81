/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. Two threads each write to a pipe. With select(), main waits for both pipes until
 * both have ended.
 */
#include <assert.h>
#include <pthread.h>
#include <sys/select.h>
#include <unistd.h>

static void *give(void *arg)
{
	const int *file = arg;
	assert(write(*file, "xy", 2) == 2 && close(*file) == 0);
	return NULL;
}

int main(void)
{
	int ends[2][2], left = 2, seen = 0;
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) {
		assert(pipe(ends[i]) == 0);
		pthread_create(&threads[i], NULL, give, &ends[i][1]);
	}
	while (left > 0) {
		fd_set ready;
		FD_ZERO(&ready);
		for (int i = 0; i < 2; i++)
			if (ends[i][0] >= 0)
				FD_SET(ends[i][0], &ready);
		assert(select(FD_SETSIZE, &ready, NULL, NULL, NULL) > 0);
		for (int i = 0; i < 2; i++) {
			char bytes[4];
			if (ends[i][0] < 0 || !FD_ISSET(ends[i][0], &ready))
				continue;
			const ssize_t n = read(ends[i][0], bytes, sizeof bytes);
			seen += (int)n;
			if (n > 0)
				continue;
			close(ends[i][0]);
			ends[i][0] = -1;
			left--;
		}
	}
	assert(seen == 4);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
