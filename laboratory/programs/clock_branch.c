/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Time passes in the model, the same in each execution. */
#include "two_threads.h"
#include <time.h>
#include <unistd.h>

static void *run(void *arg)
{
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	usleep(1500000);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert(after.tv_sec > before.tv_sec);
	return arg;
}

static void *first(void *arg)
{
	return run(arg);
}

static void *second(void *arg)
{
	time_t until = time(NULL) + 5;
	while (time(NULL) < until)
		;
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
