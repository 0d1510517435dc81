/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BASE_ATOMIC_H
#define FL_BASE_ATOMIC_H

/*
 * The atomic operations are in fairlead/private/inline.h, since the public headers need some. This file has
 * what they do not need.
 */
#include <fairlead/private/inline.h>
#include <stdint.h>

/*
 * Fences. ThreadSanitizer does not model them. In its build (FL__TSAN, defined only there) a fence
 * is a read-modify-write of one word, which ThreadSanitizer understands. There a fence pairs only
 * with another fence. Where it is to pair with an operation, annotate (below).
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
 * The boundary to Concurrency Kit, whose assembly ThreadSanitizer cannot see. Release an object
 * before Concurrency Kit gets it, and acquire it after taking it back. Does nothing in other
 * builds.
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
