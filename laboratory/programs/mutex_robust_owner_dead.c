/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A robust mutex tells of the death of its owner. */
#include "two_threads.h"
#include <errno.h>

static pthread_mutex_t lock;

static void *run(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

int main(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&lock, &attributes);
	in_a_thread(run);
	assert(pthread_mutex_lock(&lock) == EOWNERDEAD);
	assert(pthread_mutex_consistent(&lock) == 0);
	assert(pthread_mutex_unlock(&lock) == 0);
	assert(pthread_mutex_lock(&lock) == 0);
	pthread_mutex_unlock(&lock);
	return 0;
}
