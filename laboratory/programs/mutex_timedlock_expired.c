/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A timed lock of a held mutex ends at its deadline. */
#include "two_threads.h"
#include <errno.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *arg)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	assert(pthread_mutex_timedlock(&lock, &until) == ETIMEDOUT);
	return arg;
}

int main(void)
{
	pthread_mutex_lock(&lock);
	in_a_thread(run);
	pthread_mutex_unlock(&lock);
	return 0;
}
