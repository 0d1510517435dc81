/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The program has 101 threads, main included. */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int count;

static void *run(void *arg)
{
	pthread_mutex_lock(&lock);
	count++;
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	pthread_t threads[100];
	for (int i = 0; i < 100; i++)
		assert(pthread_create(&threads[i], NULL, run, NULL) == 0);
	for (int i = 0; i < 100; i++)
		pthread_join(threads[i], NULL);
	assert(count == 100);
	return 0;
}
