/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(value == 2)". memcached issue 127: incr fetches an item under the lock and
 * stores it under the lock, but lets go in between.
 */
#include "two_threads.h"

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static int value;

static void *incr(void *arg)
{
	pthread_mutex_lock(&cache_lock);
	int fetched = value;
#ifndef FIXED
	pthread_mutex_unlock(&cache_lock);
	pthread_mutex_lock(&cache_lock);
#endif
	value = fetched + 1;
	pthread_mutex_unlock(&cache_lock);
	return arg;
}

int main(void)
{
	in_two_threads(incr, incr);
	assert(value == 2);
	return 0;
}
