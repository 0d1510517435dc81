/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. A false assumption in GenMC's form ends the execution, which is not a failure. A
 * retired block is not a leak.
 */
#include "two_threads.h"
#include <genmc.h>
#include <stdatomic.h>
#include <stddef.h>

static _Atomic(int *) shared;
static atomic_int ready;

static void *publish(void *arg)
{
	int *block = malloc(sizeof *block);
	*block = __VERIFIER_nondet_int();
	__VERIFIER_annotate_begin(1);
	atomic_store_explicit(&shared, block, memory_order_relaxed);
	__VERIFIER_annotate_end(1);
	atomic_store_explicit(&ready, 1, memory_order_release);
	return arg;
}

static void *retire(void *arg)
{
	void *hazard = __VERIFIER_hazptr_alloc();
	__VERIFIER_assume(atomic_load_explicit(&ready, memory_order_acquire));
	int *block = atomic_exchange_explicit(&shared, NULL, memory_order_relaxed);
	assert(block);
	__VERIFIER_hazptr_protect(hazard, block);
	__VERIFIER_hazptr_retire(block);
	*(int *)arg = *block;
	__VERIFIER_hazptr_clear(hazard);
	__VERIFIER_hazptr_free(hazard);
	return arg;
}

int main(void)
{
	int seen;
	long first = __VERIFIER_thread_create(NULL, publish, NULL),
	     second = __VERIFIER_thread_create(NULL, retire, &seen);
	__VERIFIER_loop_begin();
	__VERIFIER_spin_start();
	__VERIFIER_spin_end(true);
	assert(!__VERIFIER_opt_begin());
	assert(!__VERIFIER_thread_join(first));
	assert(__VERIFIER_thread_join(second) == &seen && seen == __VERIFIER_nondet_int());
	return 0;
}
