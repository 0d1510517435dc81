/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "which no thread holds". A normal mutex is unlocked that no thread holds. */
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int main(void)
{
	pthread_mutex_unlock(&lock);
	return 0;
}
