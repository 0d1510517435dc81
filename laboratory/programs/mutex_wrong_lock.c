/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "balance". Two threads hold different locks. */
#include "two_threads.h"

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
	return in_two_threads(first, second);
}
