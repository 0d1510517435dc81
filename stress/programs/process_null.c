/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CRASH "null pointer". A null pointer is followed. */
#include <pthread.h>

static int *pointer;

static void *run(void *arg)
{
	*pointer = 1;
	return arg;
}

int main(void)
{
	pthread_t other;
	pthread_create(&other, NULL, run, NULL);
	pthread_join(other, NULL);
	return 0;
}
