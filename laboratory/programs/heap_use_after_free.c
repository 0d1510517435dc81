/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "". A thread reads a block that another thread has freed. */
#include "two_threads.h"

static int *shared;

static void *run(void *arg)
{
	free(shared);
	return arg;
}

int main(void)
{
	shared = calloc(1, sizeof *shared);
	pthread_t other = start(run);
	int seen = *shared;
	pthread_join(other, NULL);
	return seen;
}
