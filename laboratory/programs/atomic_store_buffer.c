/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CHECK "assert(a || b)". Both threads see the other's old value. */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int x, y;
static int a, b;

static void *first(void *arg)
{
	atomic_store_explicit(&x, 1, memory_order_release);
	a = atomic_load_explicit(&y, memory_order_acquire);
	return arg;
}

static void *second(void *arg)
{
	atomic_store_explicit(&y, 1, memory_order_release);
	b = atomic_load_explicit(&x, memory_order_acquire);
	return arg;
}

int main(void)
{
	in_two_threads(first, second);
	assert(a || b);
	return 0;
}
