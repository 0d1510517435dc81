/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects USE AFTER FREE "". Apache httpd bug 21287 (mod_mem_cache): a count of references is
 * decremented, and looked at in a second step.
 */
#include "two_threads.h"
#include <stdatomic.h>

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
	cached = calloc(1, sizeof *cached);
	atomic_init(&cached->references, 2);
	return in_two_threads(serve, serve);
}
