/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which sanitizer instruments the code, and what the library tells AddressSanitizer and Valgrind.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * FL__ASAN or FL__TSAN is defined if the compiler says that this sanitizer instruments this file.
 * The laboratory also compiles with -fsanitize=thread, but has its own runtime. It defines
 * FL__LABORATORY, and then FL__TSAN is not defined.
 */
#if defined(__SANITIZE_ADDRESS__)
#define FL__ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define FL__TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FL__ASAN 1
#elif __has_feature(thread_sanitizer)
#define FL__TSAN 1
#endif
#endif
#ifdef FL__LABORATORY
#undef FL__TSAN
#endif

/* An attribute for functions that TSan must not instrument. */
#ifdef FL__TSAN
#define FL__NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define FL__NO_TSAN
#endif

/*
 * Sends a request to Valgrind, and returns its answer. Returns 0 if the process does not run under
 * Valgrind, or the processor is neither x86-64 nor 64-bit Arm. The instructions and the numbers of
 * requests are Valgrind's ABI.
 */
static inline uintptr_t fl__valgrind(uintptr_t request, uintptr_t first, uintptr_t second)
{
	volatile uintptr_t words[6] = {request, first, second, 0, 0, 0};
#if defined(__x86_64__) && defined(__LP64__)
	uintptr_t result = 0;
	__asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\txchgq %%rbx, %%rbx"
	                 : "+d"(result)
	                 : "a"(words)
	                 : "cc", "memory");
	return result;
#elif defined(__aarch64__) && defined(__LP64__)
	register uintptr_t result __asm__("x3") = 0;
	register volatile uintptr_t *args __asm__("x4") = words;
	__asm__ volatile("ror x12, x12, #3\n\tror x12, x12, #13\n\tror x12, x12, #51\n\tror x12, x12, #61\n\t"
	                 "orr x10, x10, x10"
	                 : "+r"(result)
	                 : "r"(args)
	                 : "cc", "memory");
	return result;
#else
	(void)words;
	return 0;
#endif
}

/*
 * The declarations of <sanitizer/asan_interface.h>. The symbols are weak, and so NULL in a process
 * without these functions. Therefore the library itself need not be instrumented.
 */
#ifdef __ELF__
void __asan_poison_memory_region(void const volatile *low, size_t size) __attribute__((weak));
void __asan_unpoison_memory_region(void const volatile *low, size_t size) __attribute__((weak));
#define FL__HAS_ASAN (&__asan_poison_memory_region != NULL)
#else
#define FL__HAS_ASAN 0
#define __asan_poison_memory_region(low, size) ((void)(low), (void)(size))
#define __asan_unpoison_memory_region(low, size) ((void)(low), (void)(size))
#endif

/*
 * Makes AddressSanitizer and Valgrind report each access to this memory, which is kept for reuse.
 */
static inline void fl__tool_poison(const void *low, size_t size)
{
	enum { MAKE_MEM_NOACCESS = 0x4d430000 };
	if (FL__HAS_ASAN)
		__asan_poison_memory_region(low, size);
	(void)fl__valgrind(MAKE_MEM_NOACCESS, (uintptr_t)low, size);
}

/* Undoes fl__tool_poison(). */
static inline void fl__tool_unpoison(const void *low, size_t size)
{
	enum { MAKE_MEM_DEFINED = 0x4d430002 };
	if (FL__HAS_ASAN)
		__asan_unpoison_memory_region(low, size);
	(void)fl__valgrind(MAKE_MEM_DEFINED, (uintptr_t)low, size);
}

/* Returns whether the process runs under a tool that fl__tool_poison() informs. */
static inline int fl__tool_watches(void)
{
	enum { RUNNING_ON_VALGRIND = 0x1001 };
	return FL__HAS_ASAN || fl__valgrind(RUNNING_ON_VALGRIND, 0, 0) != 0;
}
