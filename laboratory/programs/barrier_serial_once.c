/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. What came before a barrier is known after it. One thread is told so, and may
 * destroy the barrier.
 */
#include "two_threads.h"

static pthread_barrier_t *barrier;
static int before[2], serial[2];

static void *run(void *arg)
{
	long self = (long)arg;
	before[self] = 1;
	if (pthread_barrier_wait(barrier) == PTHREAD_BARRIER_SERIAL_THREAD) { /* NOLINT(bugprone-posix-return) */
		serial[self] = 1;
		pthread_barrier_destroy(barrier);
		free(barrier);
	}
	assert(before[1 - self] == 1);
	return NULL;
}

int main(void)
{
	barrier = malloc(sizeof *barrier);
	pthread_barrier_init(barrier, NULL, 2);
	in_two_threads_with(run, (void *)0, run, (void *)1);
	assert(serial[0] + serial[1] == 1);
	return 0;
}
