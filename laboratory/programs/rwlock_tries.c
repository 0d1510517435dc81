/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The tries of a readers-writer lock succeed, or answer EBUSY. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

int main(void)
{
	assert(pthread_rwlock_tryrdlock(&lock) == 0);
	assert(pthread_rwlock_tryrdlock(&lock) == 0);
	assert(pthread_rwlock_trywrlock(&lock) == EBUSY);
	pthread_rwlock_unlock(&lock);
	pthread_rwlock_unlock(&lock);
	assert(pthread_rwlock_trywrlock(&lock) == 0);
	assert(pthread_rwlock_tryrdlock(&lock) == EBUSY);
	pthread_rwlock_unlock(&lock);
	pthread_rwlock_destroy(&lock);
	return 0;
}
