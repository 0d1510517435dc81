/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A wait for a condition with the monotonic clock ends at its deadline. */
#include "two_threads.h"
#include <errno.h>
#include <time.h>

int main(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t never;
	pthread_condattr_t attributes;
	struct timespec until;
	int result = 0;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&never, &attributes);
	pthread_mutex_lock(&lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 2;
	while (result == 0)
		result = pthread_cond_timedwait(&never, &lock, &until);
	assert(result == ETIMEDOUT);
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert(now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec));
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&never);
	return 0;
}
