/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects USE AFTER FREE "". Apache httpd bug 21287 (mod_mem_cache): a count of references is
 * decremented, and looked at in a second step.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct object {
	atomic_int references;
	char text[8];
};

static struct object *cached;

static void release(struct object *object)
{
#ifdef FIXED
	if (atomic_fetch_sub(&object->references, 1) == 1)
		free(object);
#else
	atomic_fetch_sub(&object->references, 1);
	if (atomic_load(&object->references) == 0)
		free(object);
#endif
}

static void *serve(void *arg)
{
	release(cached);
	return arg;
}

int main(void)
{
	pthread_t one, two;
	cached = calloc(1, sizeof *cached);
	atomic_init(&cached->references, 2);
	pthread_create(&one, NULL, serve, NULL);
	pthread_create(&two, NULL, serve, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
