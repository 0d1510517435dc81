/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A value does not change while a reader holds the lock. */
#include "two_threads.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static int value;

static void *read_twice(void *arg)
{
	pthread_rwlock_rdlock(&lock);
	int seen = value;
	assert(seen == value);
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

static void *first(void *arg)
{
	return read_twice(arg);
}

int main(void)
{
	return in_two_threads(first, second);
}
