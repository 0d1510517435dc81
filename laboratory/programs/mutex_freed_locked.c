/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "frees the memory of". The memory of a mutex is freed while a thread holds it. */
#include <pthread.h>
#include <stdlib.h>

int main(void)
{
	pthread_mutex_t *lock = malloc(sizeof *lock);
	pthread_mutex_init(lock, NULL);
	pthread_mutex_lock(lock);
	free(lock);
	return 0;
}
