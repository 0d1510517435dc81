/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects USE AFTER FREE "free of the thread-locals by thread-b". The thread ends after the other
 * one has used its variable, but a relaxed load does not order that.
 */
#include "two_threads.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

static _Thread_local int mine;
static _Atomic(int *) shared;
static atomic_bool used;

static void *lend(void *arg)
{
	atomic_store(&shared, &mine);
	while (!atomic_load_explicit(&used, memory_order_relaxed))
		sched_yield();
	return arg;
}

int main(void)
{
	pthread_t thread = start(lend);
	int *lent;
	while (!(lent = atomic_load(&shared)))
		sched_yield();
	*lent = 1;
	atomic_store_explicit(&used, true, memory_order_relaxed); /* the bug: the order */
	return pthread_join(thread, NULL);
}
