/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects STEP LIMIT "more than 20000 steps: a loop without an end". A checker polls a flag that no
 * thread sets.
 */
#include <pthread.h>
#include <sched.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int done;

int main(void)
{
	int seen = 0;
	while (!seen) {
		pthread_mutex_lock(&lock);
		seen = done;
		pthread_mutex_unlock(&lock);
		sched_yield();
	}
	return 0;
}
