/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DEADLOCK "no thread can go on". Both sides send more than a socket holds before they
 * read. So each waits for the other to read.
 */
#include "echo.h"

static char many[8000];

static void *send_first(void *arg)
{
	const int s = *(int *)arg;
	static char back[2][sizeof many];
	write_all(s, many, sizeof many);
	assert(read_all(s, back[s % 2], sizeof many) == sizeof many);
	return NULL;
}

int main(void)
{
	int two[2];
	pthread_t threads[2];
	assert(socketpair(AF_UNIX, SOCK_STREAM, 0, two) == 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, send_first, &two[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
