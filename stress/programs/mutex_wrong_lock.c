/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "balance". Two threads hold different locks. */
#include <pthread.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static int balance;

static void *first(void *arg)
{
	pthread_mutex_lock(&a);
	balance += 10;
	pthread_mutex_unlock(&a);
	return arg;
}

static void *second(void *arg)
{
	pthread_mutex_lock(&b);
	balance -= 10;
	pthread_mutex_unlock(&b);
	return arg;
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
