/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects MISUSE "which it does not hold". A readers-writer lock is unlocked that no thread holds.
 */
#include <pthread.h>

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

int main(void)
{
	pthread_rwlock_unlock(&lock);
	return 0;
}
