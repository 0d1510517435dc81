/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "". All threads are given the address of the loop's variable. */
#include <pthread.h>

static int seen[2];

static void *run(void *arg)
{
	int index = *(int *)arg;
	if (index < 2)
		seen[index] = 1;
	return NULL;
}

int main(void)
{
	pthread_t threads[2];
	int i;
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run, &i);
	for (int j = 0; j < 2; j++)
		pthread_join(threads[j], NULL);
	return 0;
}
