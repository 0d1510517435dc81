/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "read of totals[1].sum of main by". A variable on another stack has a name. */
#include <pthread.h>

struct total {
	int n, sum;
};

static void *add(void *arg)
{
	struct total *total = arg;
	total->sum++;
	return NULL;
}

int main(void)
{
	pthread_t one, two;
	struct total totals[2] = {{0, 0}, {0, 0}};
	pthread_create(&one, NULL, add, &totals[1]);
	pthread_create(&two, NULL, add, &totals[1]);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
