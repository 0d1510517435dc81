/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A wait that times out has the mutex again. */
#include "two_threads.h"
#include <errno.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int inside;

static void *run(void *arg)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 1000;
	pthread_mutex_lock(&lock);
	int result = pthread_cond_timedwait(&never, &lock, &until);
	assert(result == ETIMEDOUT || result == 0);
	assert(inside++ == 0);
	inside--;
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	return in_two_threads(run, run);
}
