/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "numbers[2]". A thread reads the last element while qsort() may move it. */
#include "two_threads.h"

static int numbers[3] = {3, 2, 1};

static int compare(const void *a, const void *b)
{
	(void)a;
	(void)b;
	return 0;
}

static void *sort(void *arg)
{
	qsort(numbers, 3, sizeof numbers[0], compare);
	return arg;
}

static void *look(void *arg)
{
	return numbers[2] ? arg : NULL;
}

int main(void)
{
	return in_two_threads(sort, look);
}
