/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "of after.count by". The variable lies behind a page of zero bytes. */
#include "two_threads.h"

static struct {
	char before[4096];
	int count;
} after;

static void *run(void *arg)
{
	after.count++;
	return arg;
}

int main(void)
{
	return in_two_threads(run, run);
}
