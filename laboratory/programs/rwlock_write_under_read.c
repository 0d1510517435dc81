/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "value". Two readers write. */
#include "two_threads.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static int value;

static void *run(void *arg)
{
	pthread_rwlock_rdlock(&lock);
	value++;
	pthread_rwlock_unlock(&lock);
	return arg;
}

int main(void)
{
	return in_two_threads(run, run);
}
