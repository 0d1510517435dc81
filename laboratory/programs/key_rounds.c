/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. For each thread separately, destructors run in rounds as long as values come
 * back. There is also a place for the last key.
 */
#include "two_threads.h"
#include <limits.h>

static pthread_key_t key;
static int destroyed;

static void destroy(void *value)
{
	destroyed++;
	if (destroyed < 3)
		pthread_setspecific(key, value);
}

static void *run(void *arg)
{
	assert(pthread_getspecific(key) == NULL);
	pthread_setspecific(key, arg);
	return NULL;
}

int main(void)
{
	int mine, other_s;
	pthread_t other;
	pthread_key_t more;
	pthread_key_create(&key, destroy);
	pthread_setspecific(key, &mine);
	int n = 1;
	while (pthread_key_create(&more, NULL) == 0)
		n++;
	assert(n > PTHREAD_KEYS_MAX - 50); /* constructors may have made some */
	pthread_create(&other, NULL, run, &other_s);
	pthread_join(other, NULL);
	assert(pthread_getspecific(key) == &mine);
	assert(destroyed == 3);
	pthread_key_delete(key);
	return 0;
}
