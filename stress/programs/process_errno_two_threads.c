/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Each thread has an errno. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

static void *first(void *arg)
{
	errno = 1;
	sched_yield();
	assert(errno == 1);
	return arg;
}

static void *second(void *arg)
{
	errno = 2;
	sched_yield();
	assert(errno == 2);
	return arg;
}

int main(void)
{
	pthread_t one, two;
	pthread_create(&one, NULL, first, NULL);
	pthread_create(&two, NULL, second, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
