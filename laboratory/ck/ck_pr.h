/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL__STRESS_CK_PR_H
#define FL__STRESS_CK_PR_H

/*
 * Concurrency Kit's <ck_pr.h> for one more machine: the model. The compiler searches this folder
 * before ck's own, so the model sees ck's inline code. Without -fsanitize=thread, this file
 * includes ck's own file. Otherwise, it defines what ck needs from a machine, as ck's
 * gcc/aarch64/ck_pr.h does; ck's own ck_pr.h builds the other operations from that.
 *
 * The machine is as weak as the weakest machine of ck, as far as C11 can say it:
 *
 *     ck_pr_              aarch64     ppc64    x86-64   here
 *     load, store         ldr, str    ld, std  mov      relaxed
 *     read-modify-write   ldxr, stxr  ldarx    lock     relaxed; a compare-and-swap is strong
 *     cas_ptr_2_value     ldxp, stxp  -        lock     a failed one may read two moments
 *     fence_load          dmb ishld   lwsync   -        acquire
 *     fence_store         dmb ishst   lwsync   -        release [1]
 *     fence_atomic, _atomic_store, _store_atomic
 *                         dmb ishst   lwsync   -        release [1]
 *     fence_load_store, _load_atomic
 *                         dmb ish     lwsync   -        acq_rel
 *     fence_acquire, _lock
 *                         (the same)           -        acquire, as documented for acquire
 *     fence_release, _unlock
 *                         (the same)           -        release, as documented for release
 *     fence_acqrel        dmb ish     lwsync   -        acq_rel
 *     fence_atomic_load, _store_load, _memory
 *                         dmb ish     sync     mfence   seq_cst
 *     fence_load_depends  -           -        -        nothing [2]
 *     stall               -           or 1     pause    fl_stress_relax()
 *
 *     [1] C11 has no fence that orders only stores, as dmb ishst does. So the model does not see
 *         where ck uses such a fence by mistake; laboratory/planted/ck.c has the known case.
 *     [2] ck's machines order a load before what depends on it, and C11 does not. depends.h is for
 *         code that relies on this.
 *
 * ck's lists access their links as plain memory, and reuse nodes while other threads may still read
 * them. This is a race in C11, but ck's compare-and-swap then fails. Therefore the model ignores
 * plain accesses in ck's functions, unless FL_CK_SEE_PLAIN is defined. It always sees accesses to
 * the items.
 */
#include <ck_cc.h>
#include <ck_md.h>

#if defined(__SANITIZE_THREAD__)
#define FL__CK_MODEL
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FL__CK_MODEL
#endif
#endif

#ifdef FL__CK_MODEL
#include <ck_stdbool.h>
#include <ck_stdint.h>
#include <fairlead/stress.h>
/*
 * Tells ck which operations this file has: load, store, cas, faa, add, sub, and, or, xor, inc, dec.
 */
#include <gcc/ck_f_pr.h>

#define CK_F_PR
#define CK_PR_DISABLE_DOUBLE
#define CK_USE_CC_BUILTINS 1 /* without this, ck would use the operations of this processor */
#undef CK_MD_TSO
#define CK_MD_RMO

#ifndef FL_CK_SEE_PLAIN
#undef CK_CC_INLINE
#undef CK_CC_FORCE_INLINE
#define CK_CC_INLINE __attribute__((unused, no_sanitize("thread"))) inline
#define CK_CC_FORCE_INLINE CK_CC_INLINE
#endif
#define FL__CK CK_CC_INLINE __attribute__((always_inline)) static

/*
 * These call the functions of the instrumentation by name, so that the model also sees code that is
 * not instrumented.
 */
#define FL__CK_EXCHANGES(bits, operation)                                                                              \
	uint##bits##_t __tsan_atomic##bits##_##operation(volatile void *target, uint##bits##_t value, int order);

#define FL__CK_INTERFACE(bits)                                                                                         \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile void *target, int order);                             \
	void __tsan_atomic##bits##_store(volatile void *target, uint##bits##_t value, int order);                      \
	FL__CK_EXCHANGES(bits, exchange)                                                                               \
	FL__CK_EXCHANGES(bits, fetch_add)                                                                              \
	FL__CK_EXCHANGES(bits, fetch_sub)                                                                              \
	FL__CK_EXCHANGES(bits, fetch_and)                                                                              \
	FL__CK_EXCHANGES(bits, fetch_or)                                                                               \
	FL__CK_EXCHANGES(bits, fetch_xor)                                                                              \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile void *target, uint##bits##_t compare,       \
	                                                          uint##bits##_t set, int order, int failure);

typedef unsigned __int128 uint128_t;
FL__CK_INTERFACE(8)
FL__CK_INTERFACE(16)
FL__CK_INTERFACE(32)
FL__CK_INTERFACE(64)
FL__CK_INTERFACE(128)
void __tsan_atomic_thread_fence(int order);

FL__CK void ck_pr_stall(void)
{
	fl_stress_relax();
}

#define FL__CK_FENCE(name, order)                                                                                      \
	FL__CK void ck_pr_fence_strict_##name(void)                                                                    \
	{                                                                                                              \
		__tsan_atomic_thread_fence(order);                                                                     \
	}

FL__CK_FENCE(load, __ATOMIC_ACQUIRE)
FL__CK_FENCE(acquire, __ATOMIC_ACQUIRE)
FL__CK_FENCE(lock, __ATOMIC_ACQUIRE)
FL__CK_FENCE(store, __ATOMIC_RELEASE)
FL__CK_FENCE(release, __ATOMIC_RELEASE)
FL__CK_FENCE(unlock, __ATOMIC_RELEASE)
FL__CK_FENCE(atomic, __ATOMIC_RELEASE)
FL__CK_FENCE(atomic_store, __ATOMIC_RELEASE)
FL__CK_FENCE(store_atomic, __ATOMIC_RELEASE)
FL__CK_FENCE(load_store, __ATOMIC_ACQ_REL)
FL__CK_FENCE(load_atomic, __ATOMIC_ACQ_REL)
FL__CK_FENCE(acqrel, __ATOMIC_ACQ_REL)
FL__CK_FENCE(atomic_load, __ATOMIC_SEQ_CST)
FL__CK_FENCE(store_load, __ATOMIC_SEQ_CST)
FL__CK_FENCE(memory, __ATOMIC_SEQ_CST)

/*
 * For pointers, the target is a void, the stored value a const void *, and the added value a
 * uintptr_t.
 */
#define FL__CK_ACCESS(name, bits, target_type, type, stored)                                                           \
	FL__CK type ck_pr_md_load_##name(target_type const *target)                                                    \
	{                                                                                                              \
		return (type)__tsan_atomic##bits##_load(target, __ATOMIC_RELAXED);                                     \
	}                                                                                                              \
	FL__CK void ck_pr_md_store_##name(target_type *target, stored value)                                           \
	{                                                                                                              \
		__tsan_atomic##bits##_store(target, (uint##bits##_t)value, __ATOMIC_RELAXED);                          \
	}                                                                                                              \
	FL__CK type ck_pr_fas_##name(target_type *target, type value)                                                  \
	{                                                                                                              \
		return (type)__tsan_atomic##bits##_exchange(target, (uint##bits##_t)value, __ATOMIC_RELAXED);          \
	}                                                                                                              \
	FL__CK bool ck_pr_cas_##name##_value(target_type *target, type compare, type set, target_type *old)            \
	{                                                                                                              \
		*(type *)old = (type)__tsan_atomic##bits##_compare_exchange_val(                                       \
		    target, (uint##bits##_t)compare, (uint##bits##_t)set, __ATOMIC_RELAXED, __ATOMIC_RELAXED);         \
		return *(type *)old == compare;                                                                        \
	}                                                                                                              \
	FL__CK bool ck_pr_cas_##name(target_type *target, type compare, type set)                                      \
	{                                                                                                              \
		type old;                                                                                              \
		return ck_pr_cas_##name##_value(target, compare, set, (target_type *)&old);                            \
	}

#define FL__CK_UPDATE(operation, name, bits, target_type, type)                                                        \
	FL__CK void ck_pr_##operation##_##name(target_type *target, type operand)                                      \
	{                                                                                                              \
		(void)__tsan_atomic##bits##_fetch_##operation(target, (uint##bits##_t)operand, __ATOMIC_RELAXED);      \
	}

#define FL__CK_ARITHMETIC(name, bits, target_type, type)                                                               \
	FL__CK type ck_pr_faa_##name(target_type *target, type operand)                                                \
	{                                                                                                              \
		return (type)__tsan_atomic##bits##_fetch_add(target, (uint##bits##_t)operand, __ATOMIC_RELAXED);       \
	}                                                                                                              \
	FL__CK_UPDATE(add, name, bits, target_type, type)                                                              \
	FL__CK_UPDATE(sub, name, bits, target_type, type)                                                              \
	FL__CK_UPDATE(and, name, bits, target_type, type)                                                              \
	FL__CK_UPDATE(or, name, bits, target_type, type)                                                               \
	FL__CK_UPDATE(xor, name, bits, target_type, type)                                                              \
	FL__CK void ck_pr_inc_##name(target_type *target)                                                              \
	{                                                                                                              \
		ck_pr_add_##name(target, 1);                                                                           \
	}                                                                                                              \
	FL__CK void ck_pr_dec_##name(target_type *target)                                                              \
	{                                                                                                              \
		ck_pr_sub_##name(target, 1);                                                                           \
	}

#define FL__CK_INTEGER(name, bits, type)                                                                               \
	FL__CK_ACCESS(name, bits, type, type, type)                                                                    \
	FL__CK_ARITHMETIC(name, bits, type, type)

FL__CK_INTEGER(char, 8, char)
FL__CK_INTEGER(int, 32, int)
FL__CK_INTEGER(uint, 32, unsigned int)
FL__CK_INTEGER(64, 64, uint64_t)
FL__CK_INTEGER(32, 32, uint32_t)
FL__CK_INTEGER(16, 16, uint16_t)
FL__CK_INTEGER(8, 8, uint8_t)
FL__CK_ACCESS(ptr, 64, void, void *, const void *)
FL__CK_ARITHMETIC(ptr, 64, void, uintptr_t)
#define CK_F_PR_FAS_CHAR
#define CK_F_PR_FAS_INT
#define CK_F_PR_FAS_UINT
#define CK_F_PR_FAS_64
#define CK_F_PR_FAS_32
#define CK_F_PR_FAS_16
#define CK_F_PR_FAS_8
#define CK_F_PR_FAS_PTR

typedef uint64_t __attribute__((may_alias)) fl__ck_word;

/*
 * Accesses two words. In the model, each has its own history, and the swap changes both in one
 * step.
 */
FL__CK uint128_t fl__ck_pair(const void *words)
{
	const fl__ck_word *w = words;
	return (uint128_t)w[1] << 64 | w[0];
}

FL__CK bool ck_pr_cas_ptr_2(void *target, void *compare, void *set)
{
	uint128_t expected = fl__ck_pair(compare);
	return __tsan_atomic128_compare_exchange_val(target, expected, fl__ck_pair(set), __ATOMIC_RELAXED,
	                                             __ATOMIC_RELAXED) == expected;
}

FL__CK bool ck_pr_cas_ptr_2_value(void *target, void *compare, void *set, void *old)
{
	fl__ck_word *now = target, *expected = compare, *found = old;
	bool done = ck_pr_cas_ptr_2(target, compare, set);
	found[0] = done ? expected[0] : __tsan_atomic64_load(&now[0], __ATOMIC_RELAXED);
	found[1] = done ? expected[1] : __tsan_atomic64_load(&now[1], __ATOMIC_RELAXED);
	return done;
}

/* Only x86-64 has this: a compare-and-swap that changes nothing. */
FL__CK void ck_pr_load_ptr_2(const void *target, void *value)
{
	uint128_t found =
	    __tsan_atomic128_compare_exchange_val(CK_CC_DECONST_PTR(target), 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	fl__ck_word *to = value;
	to[0] = (uint64_t)found;
	to[1] = (uint64_t)(found >> 64);
}

FL__CK void ck_pr_load_64_2(const uint64_t target[2], uint64_t value[2])
{
	ck_pr_load_ptr_2(target, value);
}

FL__CK bool ck_pr_cas_64_2(uint64_t target[2], uint64_t compare[2], uint64_t set[2])
{
	return ck_pr_cas_ptr_2(target, compare, set);
}

FL__CK bool ck_pr_cas_64_2_value(uint64_t target[2], uint64_t compare[2], uint64_t set[2], uint64_t old[2])
{
	return ck_pr_cas_ptr_2_value(target, compare, set, old);
}

#define CK_F_PR_LOAD_PTR_2
#define CK_F_PR_LOAD_64_2
#define CK_F_PR_CAS_PTR_2
#define CK_F_PR_CAS_PTR_2_VALUE
#define CK_F_PR_CAS_64_2
#define CK_F_PR_CAS_64_2_VALUE
#endif

#include_next <ck_pr.h>

#endif
