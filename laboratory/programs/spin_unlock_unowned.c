/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "which no thread holds". A spin lock is unlocked that no thread holds. */
#include <pthread.h>

static pthread_spinlock_t lock;

int main(void)
{
	pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
	pthread_spin_unlock(&lock);
	return 0;
}
