/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A loop on an atomic flag ends. */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int stop;
static int value;

static void *run(void *arg)
{
	value = 1;
	atomic_store_explicit(&stop, 1, memory_order_release);
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	while (!atomic_load_explicit(&stop, memory_order_acquire))
		;
	assert(value == 1);
	pthread_join(other, NULL);
	return 0;
}
