/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. A key that a constructor makes has a value for each thread, and is new in each
 * execution.
 */
#include "two_threads.h"

static pthread_key_t key;
static int first, second, ended;

static void end(void *value)
{
	assert(value == &second);
	ended++;
}

__attribute__((constructor)) static void make_key(void)
{
	pthread_key_create(&key, end);
	pthread_setspecific(key, &first);
}

static void *run(void *arg)
{
	assert(!pthread_getspecific(key));
	pthread_setspecific(key, &second);
	return arg;
}

int main(void)
{
	in_a_thread(run);
	assert(pthread_getspecific(key) == &first);
	assert(ended == 1);
	return pthread_key_delete(key);
}
