/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. Globals, statics, the heap and functions of atexit() begin anew in each
 * execution.
 */
#include "two_threads.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int runs;
static char text[8];
static char *kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void at_end(void)
{
	runs++;
	assert(runs == 2);
}

static void *run(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	static int calls = 3;
	assert(runs++ == 0 && calls++ == 3 && text[0] == '\0' && !kept);
	sscanf("abc", "%7s", text);
	kept = malloc(10);
	memcpy(kept, text, sizeof text);
	atexit(at_end);
	return in_two_threads(run, run);
}
