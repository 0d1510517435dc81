/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The same two locks, by address. */
#include "two_threads.h"

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;

static void lock_both(pthread_mutex_t *one, pthread_mutex_t *two)
{
	pthread_mutex_lock(one < two ? one : two);
	pthread_mutex_lock(one < two ? two : one);
	pthread_mutex_unlock(one);
	pthread_mutex_unlock(two);
}

static void *first(void *arg)
{
	lock_both(&a, &b);
	return arg;
}

static void *second(void *arg)
{
	lock_both(&b, &a);
	return arg;
}

int main(void)
{
	in_two_threads(first, second);
	return 0;
}
