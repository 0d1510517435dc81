/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "1 reader holds". A readers-writer lock ends while a reader holds it. */
#include <pthread.h>

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

int main(void)
{
	pthread_rwlock_rdlock(&lock);
	pthread_rwlock_destroy(&lock);
	return 0;
}
