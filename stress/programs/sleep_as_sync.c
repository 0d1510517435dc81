/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "ready". A sleep orders nothing. */
#include <pthread.h>
#include <unistd.h>

static int ready;

static void *run(void *arg)
{
	ready = 1;
	return arg;
}

int main(void)
{
	pthread_t other;
	pthread_create(&other, NULL, run, NULL);
	sleep(1);
	int seen = ready;
	pthread_join(other, NULL);
	return seen - 1 == 1;
}
