/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "ready". A sleep orders nothing. */
#include "two_threads.h"
#include <unistd.h>

static int ready;

static void *run(void *arg)
{
	ready = 1;
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	sleep(1);
	int seen = ready;
	pthread_join(other, NULL);
	return seen - 1 == 1;
}
