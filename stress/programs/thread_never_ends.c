/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The return of main ends a thread that would never end. */
#include <pthread.h>
#include <stdatomic.h>

static atomic_int turns;

static void *run(void *arg)
{
	for (;;)
		turns++;
	return arg;
}

int main(void)
{
	pthread_t other;
	pthread_create(&other, NULL, run, NULL);
	return 0;
}
