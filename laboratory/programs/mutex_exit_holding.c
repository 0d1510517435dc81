/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects MISUSE "ends while it holds the mutex lock, which it has held since". A thread ends
 * without an unlock.
 */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

int main(void)
{
	return in_a_thread(run);
}
