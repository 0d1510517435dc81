/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "not initialised". A semaphore is used without sem_init(). */
#include <semaphore.h>

static sem_t sem;

int main(void)
{
	sem_post(&sem);
	return 0;
}
