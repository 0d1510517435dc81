/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects MISUSE "ends while it holds the mutex lock, which it has held since". The path of an
 * error returns with the lock.
 */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int items;

static int take(void)
{
	pthread_mutex_lock(&lock);
	if (items == 0)
		return -1;
	items--;
	pthread_mutex_unlock(&lock);
	return 0;
}

static void *run(void *arg)
{
	(void)take();
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	pthread_join(other, NULL);
	return 0;
}
