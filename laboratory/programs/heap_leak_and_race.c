/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "count". A leak does not hide the race. */
#include "two_threads.h"

static int count;
static void *volatile lost;

static void *first(void *arg)
{
	lost = malloc(16);
	lost = NULL;
	return arg;
}

static void *second(void *arg)
{
	for (int i = 0; i < 4; i++)
		count++;
	return arg;
}

static void *third(void *arg)
{
	count++;
	return arg;
}

int main(void)
{
	in_a_thread(first);
	return in_two_threads(second, third);
}
