/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects MISUSE "initialis". A thread uses a mutex that main initialises at the same
 * time.
 */
#include "two_threads.h"

static pthread_mutex_t lock;

static void *run(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	pthread_mutex_init(&lock, NULL);
	pthread_join(other, NULL);
	return 0;
}
