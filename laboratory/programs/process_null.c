/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CRASH "null pointer". A null pointer is followed. */
#include "two_threads.h"

static int *pointer;

static void *run(void *arg)
{
	*pointer = 1;
	return arg;
}

int main(void)
{
	return in_a_thread(run);
}
