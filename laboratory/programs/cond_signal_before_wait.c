/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects LOST WAKEUP "came before the wait". No variable remembers the signal. */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *first(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

static void *second(void *arg)
{
	pthread_cond_signal(&changed);
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
