/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "destroys". A mutex is destroyed that its owner still holds. */
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int main(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_destroy(&lock);
	return 0;
}
