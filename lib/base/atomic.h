/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BASE_ATOMIC_H
#define FL_BASE_ATOMIC_H

#include <stdint.h>

/*
 * Atomic operations on plain integers and pointers, each with its order in its name. Public structs hold plain integers,
 * so that C++ can include them; every access that may race goes through these. No operation without an order: whoever
 * writes one says in a comment what it pairs with, or why relaxed is enough.
 *
 * A compare-and-swap takes the address of the expected value and stores what it found there when it fails; on failure it
 * is relaxed. The weak form may fail without reason: for loops.
 */
#define fl__load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define fl__load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define fl__load_seq_cst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)

#define fl__store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define fl__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

#define fl__swap_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define fl__swap_release(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define fl__swap_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

#define fl__cas_relaxed(p, expected, v) fl__cas_((p), (expected), (v), 0, __ATOMIC_RELAXED)
#define fl__cas_acquire(p, expected, v) fl__cas_((p), (expected), (v), 0, __ATOMIC_ACQUIRE)
#define fl__cas_release(p, expected, v) fl__cas_((p), (expected), (v), 0, __ATOMIC_RELEASE)
#define fl__cas_acq_rel(p, expected, v) fl__cas_((p), (expected), (v), 0, __ATOMIC_ACQ_REL)
#define fl__cas_weak_relaxed(p, expected, v) fl__cas_((p), (expected), (v), 1, __ATOMIC_RELAXED)
#define fl__cas_weak_acquire(p, expected, v) fl__cas_((p), (expected), (v), 1, __ATOMIC_ACQUIRE)
#define fl__cas_weak_release(p, expected, v) fl__cas_((p), (expected), (v), 1, __ATOMIC_RELEASE)
#define fl__cas_weak_acq_rel(p, expected, v) fl__cas_((p), (expected), (v), 1, __ATOMIC_ACQ_REL)
#define fl__cas_weak_seq_cst(p, expected, v) fl__cas_((p), (expected), (v), 1, __ATOMIC_SEQ_CST)
#define fl__cas_(p, expected, v, weak, order)                                                                          \
	__atomic_compare_exchange_n((p), (expected), (v), (weak), (order), __ATOMIC_RELAXED)

#define fl__add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define fl__add_acquire(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE)
#define fl__add_release(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define fl__sub_release(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELEASE)
#define fl__sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define fl__or_relaxed(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define fl__or_seq_cst(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define fl__or_acquire(p, v) __atomic_fetch_or((p), (v), __ATOMIC_ACQUIRE)
#define fl__and_relaxed(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
#define fl__and_release(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELEASE)
#define fl__and_acquire(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQUIRE)

/*
 * Fences. ThreadSanitizer does not model them; in its build (FL__TSAN, a define of that build alone) a fence is a
 * read-modify-write of one word, which it understands. There a fence pairs with another fence alone: where one is to pair
 * with an operation, annotate (below).
 */
#ifdef FL__TSAN
extern uint32_t fl__fence_word;
#define fl__fence_acquire() ((void)__atomic_fetch_add(&fl__fence_word, 0, __ATOMIC_ACQUIRE))
#define fl__fence_release() ((void)__atomic_fetch_add(&fl__fence_word, 0, __ATOMIC_RELEASE))
#define fl__fence_seq_cst() ((void)__atomic_fetch_add(&fl__fence_word, 0, __ATOMIC_SEQ_CST))
#else
#define fl__fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define fl__fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)
#define fl__fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/*
 * Keeps the compiler from moving memory accesses over it, and no processor. For what another party sees as this thread's
 * program has it: the kernel on its behalf, or whoever looks at what it left when it was killed.
 */
#define fl__in_program_order() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/*
 * The boundary to Concurrency Kit, whose assembly ThreadSanitizer cannot see: released before an object is handed to it,
 * acquired after one is taken from it. Nothing in other builds.
 */
#ifdef FL__TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define fl__tsan_acquire(p) __tsan_acquire((void *)(p))
#define fl__tsan_release(p) __tsan_release((void *)(p))
#else
#define fl__tsan_acquire(p) ((void)(p))
#define fl__tsan_release(p) ((void)(p))
#endif

#endif
