/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "which it does not hold". A thread waits without the mutex. */
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

int main(void)
{
	pthread_cond_wait(&changed, &lock);
	return 0;
}
