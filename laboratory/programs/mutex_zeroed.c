/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A mutex of zeros counts as initialised. */
#include <pthread.h>
#include <stdlib.h>

int main(void)
{
	pthread_mutex_t *lock = calloc(1, sizeof *lock);
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	pthread_mutex_destroy(lock);
	free(lock);
	return 0;
}
