/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Threads name themselves in both ways. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "two_threads.h"
#include <string.h>
#include <sys/prctl.h>

static void *run(void *arg)
{
	char name[16];
	assert(prctl(PR_SET_NAME, "a worker") == 0);
	assert(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a worker") == 0);
	return arg;
}

int main(void)
{
	char name[16];
	in_a_thread(run);
	assert(pthread_setname_np(pthread_self(), "the first") == 0);
	assert(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "the first") == 0);
	assert(prctl(PR_SET_NAME, "main again") == 0);
	assert(pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcmp(name, "main again") == 0);
	return 0;
}
