/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(sum == 30)". Two threads add in two critical sections. The trace is long: its
 * report folds steps, and leaves out arrows that tell nothing new.
 */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sum;

static void *add(void *arg)
{
	for (int value = 1; value <= 5; value++) {
		pthread_mutex_lock(&lock);
		int old = sum;
		pthread_mutex_unlock(&lock);
		pthread_mutex_lock(&lock);
		sum = old + value;
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

int main(void)
{
	in_two_threads(add, add);
	assert(sum == 30);
	return 0;
}
