/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(atomic_load(&ready))". A sleep is not long enough. There is no race, but
 * main comes too early.
 */
#include "two_threads.h"
#include <stdatomic.h>
#include <unistd.h>

static atomic_int ready;

static void *run(void *arg)
{
	atomic_store(&ready, 1);
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	sleep(1);
	assert(atomic_load(&ready));
	pthread_join(other, NULL);
	return 0;
}
