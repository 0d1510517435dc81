/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A deadline in the year 2096 does not come, while one in a second may. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "two_threads.h"
#include <errno.h>
#include <semaphore.h>

static const struct timespec never = {4000000000, 0};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t given;

static void *run(void *arg)
{
	assert(pthread_mutex_timedlock(&lock, &never) == 0);
	pthread_mutex_unlock(&lock);
	sem_post(&given);
	nanosleep(&never, NULL);
	nanosleep(&never, NULL);
	return arg;
}

int main(void)
{
	struct timespec now, end;
	sem_init(&given, 0, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	pthread_t other = start(run);
	assert(pthread_mutex_timedlock(&lock, &never) == 0);
	pthread_mutex_unlock(&lock);
	assert(sem_timedwait(&given, &never) == 0);
	assert(pthread_timedjoin_np(other, NULL, &never) == 0);
	clock_gettime(CLOCK_REALTIME, &end);
	assert(end.tv_sec > now.tv_sec);
	end.tv_sec++;
	assert(pthread_mutex_timedlock(&lock, &end) == 0);
	assert(sem_timedwait(&given, &end) == -1 && errno == ETIMEDOUT);
	return 0;
}
