/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(top < 4096)". Two threads double in turns, which takes eleven preemptions.
 * Those are too many for a search by depth, so threads that take turns are drawn.
 */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int left = 1, right = 1;

static void *double_left(void *arg)
{
	for (int i = 0; i < 6; i++) {
		int other = atomic_load_explicit(&right, memory_order_relaxed);
		atomic_store_explicit(&left, 2 * other, memory_order_relaxed);
	}
	return arg;
}

static void *double_right(void *arg)
{
	for (int i = 0; i < 6; i++) {
		int other = atomic_load_explicit(&left, memory_order_relaxed);
		atomic_store_explicit(&right, 2 * other, memory_order_relaxed);
	}
	return arg;
}

int main(void)
{
	in_two_threads(double_left, double_right);
	int top = left > right ? left : right;
	assert(top < 4096);
	return 0;
}
