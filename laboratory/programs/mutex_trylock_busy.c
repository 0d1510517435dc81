/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A try answers EBUSY, or takes the lock. */
#include "two_threads.h"
#include <errno.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int inside;

static void *run(void *arg)
{
	int result = pthread_mutex_trylock(&lock);
	assert(result == 0 || result == EBUSY);
	if (result == 0) {
		assert(inside++ == 0);
		inside--;
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

int main(void)
{
	return in_two_threads(run, run);
}
