/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "". A block is published without order: its contents race with its allocation.
 */
#include "two_threads.h"
#include <stdatomic.h>

static _Atomic(int *) shared;

static void *run(void *arg)
{
	int *block = atomic_load_explicit(&shared, memory_order_relaxed);
	if (block)
		*block = 1;
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	int *block = malloc(sizeof *block);
	atomic_store_explicit(&shared, block, memory_order_relaxed);
	pthread_join(other, NULL);
	free(block);
	return 0;
}
