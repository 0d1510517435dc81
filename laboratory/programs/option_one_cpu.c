/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "data". With --one-cpu it is proved, unless an argument makes the reader forget
 * its fence.
 */
#include "two_threads.h"
#include <stdatomic.h>
#include <stdbool.h>

static atomic_int ready;
static int data;
static bool forgets;

static void *publish(void *arg)
{
	data = 1;
	atomic_signal_fence(memory_order_release);
	atomic_store_explicit(&ready, 1, memory_order_relaxed);
	return arg;
}

static void *take(void *arg)
{
	if (!atomic_load_explicit(&ready, memory_order_relaxed))
		return arg;
	if (!forgets)
		atomic_signal_fence(memory_order_acquire);
	assert(data == 1);
	return arg;
}

int main(int argc, char **argv)
{
	(void)argv;
	forgets = argc > 1;
	in_two_threads(publish, take);
	return 0;
}
