/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "anew". A barrier is initialised twice, and not destroyed in between. */
#include <pthread.h>

static pthread_barrier_t barrier;

int main(void)
{
	pthread_barrier_init(&barrier, NULL, 1);
	pthread_barrier_init(&barrier, NULL, 1);
	return 0;
}
