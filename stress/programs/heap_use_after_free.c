/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "". A block is read that another thread has freed. */
#include <pthread.h>
#include <stdlib.h>

static int *shared;

static void *run(void *arg)
{
	free(shared);
	return arg;
}

int main(void)
{
	pthread_t other;
	shared = calloc(1, sizeof *shared);
	pthread_create(&other, NULL, run, NULL);
	int seen = *shared;
	pthread_join(other, NULL);
	return seen;
}
