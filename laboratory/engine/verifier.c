/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that GenMC's <genmc.h> declares, for programs that were written for GenMC. Those
 * that mark a spin, a helping compare-and-swap or a method are hints for GenMC's search, and do
 * nothing here.
 */
#include "posix.h"

/* An execution in which the condition is false is neither complete nor a failure. */
DECLARED(void, __VERIFIER_assume, int condition)
{
	fl_stress_assume(condition);
}

/* Each thread gets the same sequence of numbers in each execution. */
DECLARED(int, __VERIFIER_nondet_int, void)
{
	lab_met(LAB_MET_INPUT);
	return rand_r(&lab.self->drawn);
}

DECLARED(unsigned, __VERIFIER_nondet_uint, void)
{
	return (unsigned)__VERIFIER_nondet_int();
}

DECLARED(long, __VERIFIER_nondet_long, void)
{
	return __VERIFIER_nondet_int();
}

DECLARED(unsigned long, __VERIFIER_nondet_ulong, void)
{
	return (unsigned long)__VERIFIER_nondet_int();
}

DECLARED(bool, __VERIFIER_nondet_bool, void)
{
	return __VERIFIER_nondet_int() & 1;
}

DECLARED(int, __VERIFIER_thread_create, const void *attributes, void *(*start)(void *), void *arg)
{
	(void)attributes;
	unsigned long thread;
	lab_posix_create(&thread, (void (*)(void))start, arg, false, PC);
	return (int)thread;
}

/* The fourth argument is a thread that does the same, which is a hint. */
EXPORTED int __VERIFIER_thread_create_symmetric(const void *attributes, void *(*start)(void *), void *arg)
    __attribute__((alias("__VERIFIER_thread_create")));

DECLARED(void *, __VERIFIER_thread_join, long thread)
{
	void *result = NULL;
	(void)lab_posix_join((unsigned long)thread, &result, INT64_MAX, PC);
	return result;
}

/* The optional block is left out, since safety does not depend on it. */
DECLARED(int, __VERIFIER_opt_begin, void)
{
	return 0;
}

/*
 * --- hazard pointers ---
 *
 * GenMC frees a retired block at some time after the last protection has ended. Here, the block
 * lives until the end of the execution, so an access without protection is not found.
 */
DECLARED(void *, __VERIFIER_hazptr_alloc, void)
{
	return lab_alloc(sizeof(void *), PC);
}

DECLARED(void, __VERIFIER_hazptr_free, void *hazard)
{
	lab_free(hazard, PC);
}

DECLARED(void, __VERIFIER_hazptr_retire, const void *memory)
{
	lab_met(LAB_MET_RETIRED);
	lab_heap_retire((uintptr_t)memory);
}

IGNORED(__VERIFIER_hazptr_protect)
IGNORED(__VERIFIER_hazptr_clear)
IGNORED(__VERIFIER_loop_begin)
IGNORED(__VERIFIER_spin_start)
IGNORED(__VERIFIER_spin_end)
IGNORED(__VERIFIER_annotate_begin)
IGNORED(__VERIFIER_annotate_end)
IGNORED(__VERIFIER_method_begin)
IGNORED(__VERIFIER_method_end)
