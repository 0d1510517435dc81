/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A semaphore answers -1 and sets errno, of which each thread has its own. */
#include "two_threads.h"
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <time.h>

static sem_t empty;

static void *run(void *arg)
{
	struct timespec past = {1, 0};
	assert(sem_trywait(&empty) == -1 && errno == EAGAIN);
	assert(sem_timedwait(&empty, &past) == -1 && errno == ETIMEDOUT);
	return arg;
}

int main(void)
{
	int value = -1;
	sem_init(&empty, 0, 0);
	errno = 0;
	in_a_thread(run);
	assert(errno == 0);
	assert(sem_getvalue(&empty, &value) == 0 && value == 0);
	assert(sem_init(&empty, 0, (unsigned)INT_MAX + 1) == -1 && errno == EINVAL);
	return 0;
}
