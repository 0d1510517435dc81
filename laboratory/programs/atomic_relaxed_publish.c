/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "value". A relaxed flag publishes nothing. */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int full;
static int value;

static void *run(void *arg)
{
	value = 1;
	atomic_store_explicit(&full, 1, memory_order_relaxed);
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	int seen = atomic_load_explicit(&full, memory_order_acquire) ? value : 1;
	pthread_join(other, NULL);
	return seen != 1;
}
