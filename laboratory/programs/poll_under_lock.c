/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A checker polls a flag under a lock: a fair schedule ends it. */
#include "two_threads.h"
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int done;

static void *run(void *arg)
{
	pthread_mutex_lock(&lock);
	done = 1;
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	int seen = 0;
	pthread_t other = start(run);
	while (!seen) {
		pthread_mutex_lock(&lock);
		seen = done;
		pthread_mutex_unlock(&lock);
		usleep(100);
	}
	pthread_join(other, NULL);
	return 0;
}
