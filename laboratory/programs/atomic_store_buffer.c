/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CHECK "assert(seen[0] || seen[1])". Both threads see the other's old value. */
#include "two_threads.h"
#include <stdatomic.h>

static atomic_int stored[2];
static int seen[2];

static void *run(void *arg)
{
	long self = (long)arg;
	atomic_store_explicit(&stored[self], 1, memory_order_release);
	seen[self] = atomic_load_explicit(&stored[1 - self], memory_order_acquire);
	return NULL;
}

int main(void)
{
	in_two_threads_with(run, (void *)0, run, (void *)1);
	assert(seen[0] || seen[1]);
	return 0;
}
