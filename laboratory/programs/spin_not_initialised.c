/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "not initialised". A spin lock has no static initialiser. */
#include <pthread.h>

static pthread_spinlock_t lock;

int main(void)
{
	pthread_spin_lock(&lock);
	pthread_spin_unlock(&lock);
	return 0;
}
