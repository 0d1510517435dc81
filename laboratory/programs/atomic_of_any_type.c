/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. Numbers that a compare-and-swap in one statement changes,
 * objects of two words and of three, and the address of a block with a tag.
 */
#include "two_threads.h"
#include <stdatomic.h>

static _Atomic double sum;
static _Atomic int product = 1;
static _Atomic long tagged;
static _Atomic struct two {
	long a, b;
} two;
static _Atomic struct three {
	int a, b, c;
} three;

static void *run(void *arg)
{
	sum += 1.5;
	product *= 3;
	void *block = malloc(1);
	tagged = (long)block | 1;
	free(block);
	struct two old = two, new;
	do {
		new = old;
		new.b += ++new.a;
	} while (!atomic_compare_exchange_weak(&two, &old, new));
	atomic_store(&three, ((struct three){1, 2, 3}));
	struct three last = atomic_exchange(&three, ((struct three){4, 5, 6}));
	assert(last.b == last.a + 1 && last.c == last.a + 2);
	return arg;
}

int main(void)
{
	in_two_threads(run, run);
	struct two end = two;
	assert(sum == 3 && product == 9 && end.a == 2 && end.b == 3);
	return 0;
}
