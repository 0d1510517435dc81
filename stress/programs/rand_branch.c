/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Random numbers are the same in each execution. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

static void *run(void *arg)
{
	int *n = arg;
	*n = rand() % 2;
	return NULL;
}

int main(void)
{
	int a = -1, b = -1;
	pthread_t one, two;
	srand(7);
	pthread_create(&one, NULL, run, &a);
	pthread_create(&two, NULL, run, &b);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	assert(a >= 0 && b >= 0);
	return 0;
}
