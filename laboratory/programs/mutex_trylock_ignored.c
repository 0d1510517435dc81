/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "shared". Nobody looks at the result of a try. */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int shared;

static void *first(void *arg)
{
	pthread_mutex_lock(&lock);
	shared = 1;
	pthread_mutex_unlock(&lock);
	return arg;
}

static void *second(void *arg)
{
	int taken = pthread_mutex_trylock(&lock);
	shared = 2;
	if (taken == 0)
		pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
