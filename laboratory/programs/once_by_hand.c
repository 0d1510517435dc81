/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "made". A flag in place of a once. */
#include "two_threads.h"

static int made;

static void *first(void *arg)
{
	if (!made)
		made = 1;
	return arg;
}

static void *second(void *arg)
{
	return first(arg);
}

int main(void)
{
	in_two_threads(first, second);
	return 0;
}
