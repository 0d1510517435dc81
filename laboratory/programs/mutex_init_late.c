/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects MISUSE "is not ordered". A thread initialises a mutex that main uses, and the two are not
 * ordered.
 */
#include "two_threads.h"

static pthread_mutex_t lock;

static void *run(void *arg)
{
	pthread_mutex_init(&lock, NULL);
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	pthread_join(other, NULL);
	return 0;
}
