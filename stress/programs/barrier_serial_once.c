/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. What came before a barrier is known after it, and one thread is told so. */
#include <assert.h>
#include <pthread.h>

static pthread_barrier_t barrier;
static int before[2], serial[2];

static void *run(void *arg)
{
	long self = (long)arg;
	before[self] = 1;
	if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) /* NOLINT(bugprone-posix-return) */
		serial[self] = 1;
	assert(before[1 - self] == 1);
	return NULL;
}

int main(void)
{
	pthread_t other;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&other, NULL, run, (void *)1);
	run((void *)0);
	pthread_join(other, NULL);
	pthread_barrier_destroy(&barrier);
	assert(serial[0] + serial[1] == 1);
	return 0;
}
