/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects LOST WAKEUP "came before the wait". A download manager in the style of aget: the last
 * worker signals that all is done, and main looks at no variable before it waits.
 */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;
static int left = 2;

static void *download(void *arg)
{
	pthread_mutex_lock(&lock);
	if (--left == 0)
		pthread_cond_signal(&all_done);
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	pthread_t one = start(download);
	pthread_t two = start(download);
	pthread_mutex_lock(&lock);
#ifdef FIXED
	while (left > 0)
#endif
		pthread_cond_wait(&all_done, &lock);
	pthread_mutex_unlock(&lock);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
