/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(balance == 2)". Read and write stand in two critical sections: no race, but
 * an update is lost.
 */
#include "two_threads.h"
#include <assert.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int balance;

static void *add(void *arg)
{
	pthread_mutex_lock(&lock);
	int seen = balance;
	pthread_mutex_unlock(&lock);
	pthread_mutex_lock(&lock);
	balance = seen + 1;
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	in_two_threads(add, add);
	assert(balance == 2);
	return 0;
}
