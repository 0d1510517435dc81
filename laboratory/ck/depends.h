/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL__STRESS_CK_DEPENDS_H
#define FL__STRESS_CK_DEPENDS_H

/*
 * For code of ck that relies on dependencies. All of ck's machines perform a load before accesses
 * whose address comes from this load, and before stores behind a branch that depends on it; C11
 * orders neither. Include this header before ck_ring.h, ck_fifo.h and others: it makes their reads
 * acquire. This is stronger than the machines, so a missing load fence is not found there.
 */
#include <ck_pr.h>

#ifdef FL__CK_MODEL
FL__CK unsigned int fl__ck_depended_load_uint(const unsigned int *target)
{
	return __tsan_atomic32_load(target, __ATOMIC_ACQUIRE);
}

FL__CK void *fl__ck_depended_load_ptr(const void *target)
{
	return (void *)__tsan_atomic64_load(target, __ATOMIC_ACQUIRE);
}

FL__CK void *fl__ck_depended_fas_ptr(void *target, void *value)
{
	return (void *)__tsan_atomic64_exchange(target, (uint64_t)value, __ATOMIC_ACQUIRE);
}

#define ck_pr_md_load_uint fl__ck_depended_load_uint
#define ck_pr_md_load_ptr fl__ck_depended_load_ptr
#define ck_pr_fas_ptr fl__ck_depended_fas_ptr
#endif

#endif
