/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "made". A flag stands in place of a once. */
#include "two_threads.h"

static int made;

static void *run(void *arg)
{
	if (!made)
		made = 1;
	return arg;
}

int main(void)
{
	return in_two_threads(run, run);
}
