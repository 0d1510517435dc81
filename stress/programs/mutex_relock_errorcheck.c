/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. An error-checking mutex answers EDEADLK and EPERM. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>

static pthread_mutex_t lock;

static void make(int type)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, type);
	pthread_mutex_init(&lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

int main(void)
{
	make(PTHREAD_MUTEX_ERRORCHECK);
	assert(pthread_mutex_unlock(&lock) == EPERM);
	assert(pthread_mutex_lock(&lock) == 0);
	assert(pthread_mutex_lock(&lock) == EDEADLK);
	assert(pthread_mutex_trylock(&lock) == EBUSY);
	assert(pthread_mutex_unlock(&lock) == 0);
	pthread_mutex_destroy(&lock);
	return 0;
}
