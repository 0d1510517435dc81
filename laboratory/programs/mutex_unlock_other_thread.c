/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "which main has held". A thread unlocks what another one holds. */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *arg)
{
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	pthread_mutex_lock(&lock);
	return in_a_thread(run);
}
