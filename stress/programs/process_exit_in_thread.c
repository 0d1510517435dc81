/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects EXIT STATUS "status 9". exit() in a thread has its line. */
#include <pthread.h>
#include <stdlib.h>

static void *run(void *arg)
{
	exit(9);
	return arg;
}

int main(void)
{
	pthread_t other;
	pthread_create(&other, NULL, run, NULL);
	pthread_join(other, NULL);
	return 0;
}
