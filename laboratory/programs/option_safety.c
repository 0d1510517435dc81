/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects LIVELOCK "spins on never". With --safety it is proved, unless an argument makes an
 * assertion fail while the other thread spins.
 */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int never;

static void *spin(void *arg)
{
	while (!atomic_load_explicit(&never, memory_order_acquire))
		;
	return arg;
}

int main(int argc, char **argv)
{
	(void)argv;
	pthread_t spinner = start(spin);
	assert(argc == 1);
	pthread_join(spinner, NULL);
	return 0;
}
