/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "again". A normal mutex is locked twice by one thread. */
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int main(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_lock(&lock);
	return 0;
}
