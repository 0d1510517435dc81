/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "has joined at". A thread is joined twice. */
#include "two_threads.h"

static void *run(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	pthread_join(other, NULL);
	pthread_join(other, NULL);
	return 0;
}
