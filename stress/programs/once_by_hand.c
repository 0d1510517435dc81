/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "made". A flag in place of a once. */
#include <pthread.h>

static int made;

static void *first(void *arg)
{
	if (!made)
		made = 1;
	return arg;
}

static void *second(void *arg)
{
	return first(arg);
}

int main(void)
{
	pthread_t one, two;
	pthread_create(&one, NULL, first, NULL);
	pthread_create(&two, NULL, second, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
