/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CHECK "seen[0] + seen[1]". With --model sc it is proved. */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int x, y;
static int seen[2];

static void *left(void *arg)
{
	atomic_store_explicit(&x, 1, memory_order_relaxed);
	seen[0] = atomic_load_explicit(&y, memory_order_relaxed);
	return arg;
}

static void *right(void *arg)
{
	int none = 2;
	atomic_store_explicit(&y, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	(void)atomic_compare_exchange_strong_explicit(&x, &none, 3, memory_order_relaxed, memory_order_relaxed);
	seen[1] = none;
	return arg;
}

int main(void)
{
	in_two_threads(left, right);
	assert(seen[0] + seen[1] > 0);
	return 0;
}
