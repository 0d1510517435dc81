/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DEADLOCK "main waits for the semaphore sem for ever". Nobody posts. */
#include <semaphore.h>

static sem_t sem;

int main(void)
{
	sem_init(&sem, 0, 0);
	sem_wait(&sem);
	return 0;
}
