/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects MISUSE "while another thread waits for it with". Two threads wait for one condition with
 * different mutexes.
 */
#include "two_threads.h"

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *first(void *arg)
{
	pthread_mutex_lock(&a);
	pthread_cond_wait(&changed, &a);
	pthread_mutex_unlock(&a);
	return arg;
}

static void *second(void *arg)
{
	pthread_mutex_lock(&b);
	pthread_cond_wait(&changed, &b);
	pthread_mutex_unlock(&b);
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
