/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "destroyed at". A mutex is locked after its end. */
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int main(void)
{
	pthread_mutex_destroy(&lock);
	pthread_mutex_lock(&lock);
	return 0;
}
