/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. pthread_exit() gives the result of a thread, and pthread_self() is each thread's
 * own.
 */
#include "two_threads.h"

static void leave(long value)
{
	pthread_exit((void *)value);
}

static void *run(void *arg)
{
	pthread_t *self = arg;
	*self = pthread_self();
	leave(41);
	return NULL;
}

int main(void)
{
	pthread_t other, told;
	void *result = NULL;
	pthread_create(&other, NULL, run, &told);
	pthread_join(other, &result);
	assert((long)result == 41);
	assert(pthread_equal(other, told) && !pthread_equal(other, pthread_self()));
	return 0;
}
