/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "free of the frame". */
#include "two_threads.h"
#include <sched.h>
#include <stdatomic.h>

static int *_Atomic lent;
static atomic_bool used;

static void lend(void)
{
	int own; /* The other thread uses it before the return, and nothing orders the two. */
	lent = &own;
	while (!atomic_load_explicit(&used, memory_order_relaxed)) /* the bug: not acquire */
		sched_yield();
	lent = NULL;
}

static void *use(void *arg)
{
	while (!lent)
		sched_yield();
	*lent = 1;
	atomic_store_explicit(&used, 1, memory_order_release);
	return arg;
}

int main(void)
{
	pthread_t user = start(use);
	lend();
	return pthread_join(user, NULL);
}
