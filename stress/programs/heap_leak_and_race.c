/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "count". A leak does not hide the race. */
#include <pthread.h>
#include <stdlib.h>

static int count;
static void *volatile lost;

static void *first(void *arg)
{
	lost = malloc(16);
	lost = NULL;
	return arg;
}

static void *second(void *arg)
{
	for (int i = 0; i < 4; i++)
		count++;
	return arg;
}

static void *third(void *arg)
{
	count++;
	return arg;
}

int main(void)
{
	pthread_t one, two, three;
	pthread_create(&one, NULL, first, NULL);
	pthread_join(one, NULL);
	pthread_create(&two, NULL, second, NULL);
	pthread_create(&three, NULL, third, NULL);
	pthread_join(two, NULL);
	pthread_join(three, NULL);
	return 0;
}
