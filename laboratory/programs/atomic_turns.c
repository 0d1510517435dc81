/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(top < 4096)". Two threads double in turns, which takes eleven preemptions.
 * Those are too many for a search by depth, so threads that take turns are drawn.
 */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int numbers[2] = {1, 1};

static void *double_other(void *arg)
{
	long self = (long)arg;
	for (int i = 0; i < 6; i++) {
		int other = atomic_load_explicit(&numbers[1 - self], memory_order_relaxed);
		atomic_store_explicit(&numbers[self], 2 * other, memory_order_relaxed);
	}
	return NULL;
}

int main(void)
{
	in_two_threads_with(double_other, (void *)0, double_other, (void *)1);
	int top = numbers[0] > numbers[1] ? numbers[0] : numbers[1];
	assert(top < 4096);
	return 0;
}
