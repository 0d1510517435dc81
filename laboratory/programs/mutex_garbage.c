/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "not initialised". A mutex from malloc() is locked before its initialisation. */
#include <pthread.h>
#include <stdlib.h>

int main(void)
{
	pthread_mutex_t *lock = malloc(sizeof *lock);
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	free(lock);
	return 0;
}
