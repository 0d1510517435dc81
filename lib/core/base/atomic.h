/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The atomic operations, which the public headers need, too. */
#include "sanitizer.h"
#include <fairlead/private/inline.h>
#include <stdint.h>

enum { FL__LINE = 64 }; /* bytes of a cache line */

/*
 * ThreadSanitizer does not model fences. Under it (FL__TSAN) a fence is a read-modify-write of one
 * word, and pairs only with another fence; with an operation, it needs an annotation (below).
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
 * For Concurrency Kit's assembly, which ThreadSanitizer cannot see: release an object before
 * Concurrency Kit gets it, acquire it after taking it back.
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
