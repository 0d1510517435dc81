/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. A recursive mutex is free after as many unlocks as locks. An error-checking mutex
 * answers EDEADLK and EPERM.
 */
#include "two_threads.h"
#include <errno.h>

static pthread_mutex_t lock;

static void make(int type)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, type);
	pthread_mutex_init(&lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

static void *try(void *arg)
{
	int *result = arg;
	*result = pthread_mutex_trylock(&lock);
	if (*result == 0)
		pthread_mutex_unlock(&lock);
	return arg;
}

static int tried(void)
{
	int result;
	pthread_t other;
	pthread_create(&other, NULL, try, &result);
	pthread_join(other, NULL);
	return result;
}

int main(void)
{
	make(PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_lock(&lock);
	pthread_mutex_lock(&lock);
	assert(pthread_mutex_trylock(&lock) == 0);
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&lock);
	assert(tried() == EBUSY);
	pthread_mutex_unlock(&lock);
	assert(tried() == 0);
	assert(pthread_mutex_unlock(&lock) == EPERM);
	pthread_mutex_destroy(&lock);

	make(PTHREAD_MUTEX_ERRORCHECK);
	assert(pthread_mutex_unlock(&lock) == EPERM);
	assert(pthread_mutex_lock(&lock) == 0);
	assert(pthread_mutex_lock(&lock) == EDEADLK);
	assert(pthread_mutex_trylock(&lock) == EBUSY);
	assert(pthread_mutex_unlock(&lock) == 0);
	pthread_mutex_destroy(&lock);
	return 0;
}
