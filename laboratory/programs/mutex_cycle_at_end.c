/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DEADLOCK "wants the mutex". The program ends although two of its threads are in a cycle. */
#include "two_threads.h"

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, two = PTHREAD_MUTEX_INITIALIZER;

static void both(pthread_mutex_t *first, pthread_mutex_t *second)
{
	pthread_mutex_lock(first);
	pthread_mutex_lock(second);
	pthread_mutex_unlock(second);
	pthread_mutex_unlock(first);
}

static void *forward(void *arg)
{
	both(&one, &two);
	return arg;
}

static void *backward(void *arg)
{
	both(&two, &one);
	return arg;
}

int main(void)
{
	pthread_detach(start(forward));
	pthread_detach(start(backward));
	return 0;
}
