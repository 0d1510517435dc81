/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_INLINE_H
#define FAIRLEAD_INLINE_H

/*
 * This header is private. It is the base of the inline functions of the public headers, and of the
 * library.
 */
#include <stddef.h>
#include <string.h>

/*
 * Hints for the optimizer. A function with FL__SLOW_PATH is not inlined, so that the fast path
 * saves no registers for it.
 */
#define fl__likely(condition) __builtin_expect(condition, 1)
#define fl__unlikely(condition) __builtin_expect(condition, 0)
#define FL__COLD __attribute__((__cold__))
#define FL__NOINLINE __attribute__((__noinline__))
#define FL__SLOW_PATH __attribute__((__noinline__, __cold__))

/*
 * Atomic operations on plain integers and pointers, each with its order in its name. Public structs
 * hold plain integers, so that C++ can include them. Every access that may race goes through these
 * macros, except the hints that fl__hook_word() loads, and reads for reports. The comment at each
 * use has the form that CONTRIBUTING.md demands ("Memory orders").
 *
 * A compare-and-swap takes the address of the expected value. If it fails, it stores the present
 * value there, and its order is relaxed. The weak form may fail spuriously, so it belongs in a
 * loop.
 */
#define fl__load_relaxed(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define fl__load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define fl__load_seq_cst(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)

#define fl__store_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define fl__store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define fl__store_seq_cst(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

#define fl__swap_relaxed(p, v) __atomic_exchange_n(p, v, __ATOMIC_RELAXED)
#define fl__swap_acquire(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQUIRE)
#define fl__swap_release(p, v) __atomic_exchange_n(p, v, __ATOMIC_RELEASE)
#define fl__swap_acq_rel(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)

#define fl__cas_relaxed(p, expected, v) fl__cas_(p, expected, v, 0, __ATOMIC_RELAXED)
#define fl__cas_acquire(p, expected, v) fl__cas_(p, expected, v, 0, __ATOMIC_ACQUIRE)
#define fl__cas_release(p, expected, v) fl__cas_(p, expected, v, 0, __ATOMIC_RELEASE)
#define fl__cas_acq_rel(p, expected, v) fl__cas_(p, expected, v, 0, __ATOMIC_ACQ_REL)
#define fl__cas_weak_relaxed(p, expected, v) fl__cas_(p, expected, v, 1, __ATOMIC_RELAXED)
#define fl__cas_weak_acquire(p, expected, v) fl__cas_(p, expected, v, 1, __ATOMIC_ACQUIRE)
#define fl__cas_weak_release(p, expected, v) fl__cas_(p, expected, v, 1, __ATOMIC_RELEASE)
#define fl__cas_weak_acq_rel(p, expected, v) fl__cas_(p, expected, v, 1, __ATOMIC_ACQ_REL)
#define fl__cas_weak_seq_cst(p, expected, v) fl__cas_(p, expected, v, 1, __ATOMIC_SEQ_CST)
#define fl__cas_(p, expected, v, weak, order) __atomic_compare_exchange_n(p, expected, v, weak, order, __ATOMIC_RELAXED)

#define fl__add_relaxed(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)
#define fl__add_acquire(p, v) __atomic_fetch_add(p, v, __ATOMIC_ACQUIRE)
#define fl__add_release(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELEASE)
#define fl__add_seq_cst(p, v) __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST)
#define fl__add_acq_rel(p, v) __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)
#define fl__sub_relaxed(p, v) __atomic_fetch_sub(p, v, __ATOMIC_RELAXED)
#define fl__sub_acquire(p, v) __atomic_fetch_sub(p, v, __ATOMIC_ACQUIRE)
#define fl__sub_release(p, v) __atomic_fetch_sub(p, v, __ATOMIC_RELEASE)
#define fl__sub_seq_cst(p, v) __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST)
#define fl__sub_acq_rel(p, v) __atomic_fetch_sub(p, v, __ATOMIC_ACQ_REL)
#define fl__or_relaxed(p, v) __atomic_fetch_or(p, v, __ATOMIC_RELAXED)
#define fl__or_release(p, v) __atomic_fetch_or(p, v, __ATOMIC_RELEASE)
#define fl__or_seq_cst(p, v) __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST)
#define fl__or_acquire(p, v) __atomic_fetch_or(p, v, __ATOMIC_ACQUIRE)
#define fl__and_relaxed(p, v) __atomic_fetch_and(p, v, __ATOMIC_RELAXED)
#define fl__and_release(p, v) __atomic_fetch_and(p, v, __ATOMIC_RELEASE)
#define fl__and_acquire(p, v) __atomic_fetch_and(p, v, __ATOMIC_ACQUIRE)

/*
 * Keeps the compiler, but not the processor, from moving memory accesses over it. It is for readers
 * that see this thread's program order: the kernel when it reads on behalf of the thread, and a
 * process that finds what this thread left when it was killed.
 */
#define fl__in_program_order() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/*
 * Prefetches the cache line of `_p` for writing. It is a hint, and no access. A load, or a prefetch
 * for reading, would request the line twice: once to read it, and once to write it.
 */
static inline void fl__fetch_to_write(const void *_p)
{
/* Without -mprfchw the builtin would prefetch for reading. */
#if defined(__x86_64__) && !defined(__clang__)
	/* The constraint "p" takes any address. The constraint "m" would count as an access. */
	__asm__ volatile("prefetchw %a0" : : "p"(_p));
#elif defined(__x86_64__)
	__asm__ volatile("prefetchw (%0)" : : "r"(_p));
#else
	__builtin_prefetch(_p, 1);
#endif
}

/*
 * Does what memcpy() does. For the sizes of integers and pointers, where a call would cost more, it
 * uses single moves.
 */
static inline void fl__copy(void *_to, const void *_from, size_t _size)
{
	switch (_size) {
	case 4:
		__builtin_memcpy(_to, _from, 4);
		break;
	case 8:
		__builtin_memcpy(_to, _from, 8);
		break;
	case 16:
		__builtin_memcpy(_to, _from, 16);
		break;
	default:
		__builtin_memcpy(_to, _from, _size);
	}
}

#endif
