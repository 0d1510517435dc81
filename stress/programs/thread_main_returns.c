/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The return of main ends a thread that still waits. */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	pthread_mutex_lock(&lock);
	start(run);
	return 0;
}
