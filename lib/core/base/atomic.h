/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The atomic operations are in <fairlead/private/inline.h>, because the public headers also need
 * them. This file adds the fences.
 */
#include "sanitizer.h"
#include <fairlead/private/inline.h>
#include <stdint.h>

enum { FL__LINE = 64 }; /* bytes of a cache line */

/*
 * ThreadSanitizer does not model fences. Therefore, under FL__TSAN, a fence is a read-modify-write
 * of one word, which pairs only with other fences. If a fence pairs with an operation instead, the
 * code must also use fl__tsan_release() and fl__tsan_acquire().
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
 * ThreadSanitizer cannot see Concurrency Kit's assembly, so the code releases an object before it
 * hands it to Concurrency Kit, and acquires it after taking it back.
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
