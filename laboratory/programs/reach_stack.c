/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "read of totals[1].sum of main by". A variable on another stack has a name. */
#include "two_threads.h"

struct total {
	int n, sum;
};

static void *add(void *arg)
{
	struct total *total = arg;
	total->sum++;
	return NULL;
}

int main(void)
{
	struct total totals[2] = {{0, 0}, {0, 0}};
	return in_two_threads_with(add, &totals[1], add, &totals[1]);
}
