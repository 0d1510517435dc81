/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. pthread_exit() runs the handlers of pthread_cleanup_push(), the last one first;
 * pthread_cleanup_pop() removes them. pthread_exit() sets the result of a thread, and
 * pthread_self() differs in each thread.
 */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t left;
static int cleaned;

static void unlock(void *arg)
{
	cleaned = 10 * cleaned + 1;
	pthread_mutex_unlock(arg);
}

static void count(void *arg)
{
	cleaned = 10 * cleaned + *(const int *)arg;
}

static void leave(void *result)
{
	if (!result)
		return;
	left = pthread_self();
	pthread_exit(result);
}

static void *run(void *arg)
{
	int two = 2;
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(unlock, &lock);
	pthread_cleanup_push(count, &two);
	leave(arg);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(1);
	return arg;
}

int main(void)
{
	pthread_t one, other;
	void *result;
	pthread_create(&one, NULL, run, NULL);
	pthread_create(&other, NULL, run, &lock);
	pthread_join(one, NULL);
	pthread_join(other, &result);
	assert(cleaned == 121 || cleaned == 211);
	assert(result == &lock);
	assert(pthread_equal(other, left) && !pthread_equal(other, pthread_self()));
	return 0;
}
