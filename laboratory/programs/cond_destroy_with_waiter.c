/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "condition". A condition ends while a thread waits for it. */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int ready;

static void *first(void *arg)
{
	pthread_mutex_lock(&lock);
	while (!ready)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

static void *second(void *arg)
{
	pthread_cond_destroy(&changed);
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
