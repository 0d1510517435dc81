/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "write of the inside of a stream". putc_unlocked() does not lock the stream,
 * not even against calls that do.
 */
#include "two_threads.h"
#include <stdio.h>

static void *locked(void *arg)
{
	puts("one");
	return arg;
}

static void *unlocked(void *arg)
{
	putc_unlocked('2', stdout);
	return arg;
}

int main(void)
{
	return in_two_threads(locked, unlocked);
}
