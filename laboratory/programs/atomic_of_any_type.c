/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. Atomic objects may have sixteen bytes or more, or the address of a block and a
 * tag.
 */
#include "two_threads.h"
#include <stdatomic.h>

static _Atomic long tagged;
static _Atomic struct two {
	long a, b;
} two;
static _Atomic struct three {
	long a, b, c;
} three;

static void *run(void *arg)
{
	tagged = (long)arg | 1;
	struct three old = three, new;
	do {
		new = old;
		new.c += ++new.a;
	} while (!atomic_compare_exchange_weak(&three, &old, new));
	two = (struct two){new.a, new.c};
	const struct two last = atomic_exchange(&two, two);
	assert(last.b == 2 * last.a - 1);
	return arg;
}

int main(void)
{
	void *block = malloc(1);
	in_two_threads_with(run, block, run, block);
	free(block);
	const struct three end = three;
	assert(end.a == 2 && end.c == 3);
	return 0;
}
