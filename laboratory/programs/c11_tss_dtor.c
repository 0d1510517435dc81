/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The destructor frees the thread-specific value of a thread that ends. */
#include "two_threads.h"
#include <threads.h>

static tss_t key;

static int run(void *arg)
{
	(void)arg;
	assert(tss_get(key) == NULL);
	tss_set(key, malloc(4));
	return 0;
}

int main(void)
{
	thrd_t other;
	tss_create(&key, free);
	thrd_create(&other, run, NULL);
	thrd_join(other, NULL);
	tss_delete(key);
	return 0;
}
