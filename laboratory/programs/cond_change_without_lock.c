/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects LOST WAKEUP "came before the wait". The flag is atomic, but it is changed without the
 * lock. So the signal may fall between the look and the wait.
 */
#include "two_threads.h"
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static atomic_int ready;

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
	ready = 1;
	pthread_cond_signal(&changed);
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
