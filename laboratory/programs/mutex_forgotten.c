/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "count". One of two threads forgets the lock. */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int count;

static void *first(void *arg)
{
	pthread_mutex_lock(&lock);
	count++;
	pthread_mutex_unlock(&lock);
	return arg;
}

static void *second(void *arg)
{
	count++;
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
