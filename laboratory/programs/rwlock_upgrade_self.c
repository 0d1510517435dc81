/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "waits for itself". A reader asks for the write lock. */
#include <pthread.h>

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

int main(void)
{
	pthread_rwlock_rdlock(&lock);
	pthread_rwlock_wrlock(&lock);
	return 0;
}
