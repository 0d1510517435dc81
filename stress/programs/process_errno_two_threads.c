/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Each thread has an errno. */
#include "two_threads.h"
#include <assert.h>
#include <errno.h>
#include <sched.h>

static void *first(void *arg)
{
	errno = 1;
	sched_yield();
	assert(errno == 1);
	return arg;
}

static void *second(void *arg)
{
	errno = 2;
	sched_yield();
	assert(errno == 2);
	return arg;
}

int main(void)
{
	in_two_threads(first, second);
	return 0;
}
