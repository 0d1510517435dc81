/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DEADLOCK "wants the readers-writer lock". A reader locks again behind a writer that
 * waits.
 */
#include "two_threads.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static int value;

static void *first(void *arg)
{
	pthread_rwlock_rdlock(&lock);
	pthread_rwlock_rdlock(&lock);
	pthread_rwlock_unlock(&lock);
	pthread_rwlock_unlock(&lock);
	return arg;
}

static void *second(void *arg)
{
	pthread_rwlock_wrlock(&lock);
	value++;
	pthread_rwlock_unlock(&lock);
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
