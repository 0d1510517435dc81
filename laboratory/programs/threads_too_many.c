/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects NOT MODELLED "more than 128 threads". The program starts one thread more than the
 * laboratory has, and does not hear of it.
 */
#include <pthread.h>

static void *run(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t threads[128];
	for (int i = 0; i < 128; i++)
		if (pthread_create(&threads[i], NULL, run, NULL) != 0)
			return 1;
	return 0;
}
