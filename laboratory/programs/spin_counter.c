/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A spin lock guards a counter. */
#include "two_threads.h"

static pthread_spinlock_t lock;
static int count;

static void *add(void *arg)
{
	pthread_spin_lock(&lock);
	count++;
	pthread_spin_unlock(&lock);
	return arg;
}

int main(void)
{
	pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
	in_two_threads(add, add);
	assert(pthread_spin_trylock(&lock) == 0);
	assert(pthread_spin_trylock(&lock) != 0);
	pthread_spin_unlock(&lock);
	pthread_spin_destroy(&lock);
	assert(count == 2);
	return 0;
}
