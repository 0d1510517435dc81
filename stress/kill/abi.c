/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that the compiler calls with -fsanitize=thread. Each atomic operation is a step,
 * and so is each plain write to the region. The operations themselves have the strongest memory
 * order, whatever was asked for.
 */
#include "steps.h"
#include <string.h>

#define PC ((uintptr_t)__builtin_return_address(0))

#define DECLARED(result, name, ...)                                                                                    \
	result name(__VA_ARGS__);                                                                                      \
	result name(__VA_ARGS__)

/* Called before a plain write. */
static inline void plain(const void *address, uintptr_t pc)
{
	if (is_armed() && (uintptr_t)address >= region_begin && (uintptr_t)address < region_end)
		step(pc);
}

static inline void atomic(uintptr_t pc)
{
	if (is_armed())
		step(pc);
}

DECLARED(void, __tsan_init, void)
{
}

DECLARED(void, __tsan_func_entry, void *pc)
{
	(void)pc;
}

DECLARED(void, __tsan_func_exit, void)
{
}

#define PLAIN_READ(name)                                                                                               \
	DECLARED(void, name, void *p)                                                                                  \
	{                                                                                                              \
		(void)p;                                                                                               \
	}

#define PLAIN_WRITE(name)                                                                                              \
	DECLARED(void, name, void *p)                                                                                  \
	{                                                                                                              \
		plain(p, PC);                                                                                          \
	}

#define PLAIN(n)                                                                                                       \
	PLAIN_READ(__tsan_read##n)                                                                                     \
	PLAIN_WRITE(__tsan_write##n)                                                                                   \
	PLAIN_READ(__tsan_unaligned_read##n)                                                                           \
	PLAIN_WRITE(__tsan_unaligned_write##n)
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

DECLARED(void, __tsan_read_range, void *p, unsigned long size)
{
	(void)p;
	(void)size;
}

DECLARED(void, __tsan_write_range, void *p, unsigned long size)
{
	(void)size;
	plain(p, PC);
}

/* Newer versions of clang call these functions instead of those of the C library. */
DECLARED(void *, __tsan_memcpy, void *to, const void *from, size_t size)
{
	plain(to, PC);
	return memcpy(to, from, size);
}

DECLARED(void *, __tsan_memmove, void *to, const void *from, size_t size)
{
	plain(to, PC);
	return memmove(to, from, size);
}

DECLARED(void *, __tsan_memset, void *to, int byte, size_t size)
{
	plain(to, PC);
	return memset(to, byte, size);
}

DECLARED(void, __tsan_vptr_update, void **p, void *value)
{
	(void)p;
	(void)value;
}

#define RMW(bits, name, builtin)                                                                                       \
	DECLARED(uint##bits##_t, __tsan_atomic##bits##_##name, volatile uint##bits##_t *p, uint##bits##_t v,           \
	         int order)                                                                                            \
	{                                                                                                              \
		(void)order;                                                                                           \
		atomic(PC);                                                                                            \
		return builtin(p, v, __ATOMIC_SEQ_CST);                                                                \
	}

#define CAS(bits, name)                                                                                                \
	DECLARED(int, __tsan_atomic##bits##_##name, volatile uint##bits##_t *p, uint##bits##_t *expected,              \
	         uint##bits##_t v, int order, int failed)                                                              \
	{                                                                                                              \
		(void)order;                                                                                           \
		(void)failed;                                                                                          \
		atomic(PC);                                                                                            \
		return __atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
	}

#define ATOMIC(bits)                                                                                                   \
	DECLARED(uint##bits##_t, __tsan_atomic##bits##_load, const volatile uint##bits##_t *p, int order)              \
	{                                                                                                              \
		(void)order;                                                                                           \
		atomic(PC);                                                                                            \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                           \
	}                                                                                                              \
	DECLARED(void, __tsan_atomic##bits##_store, volatile uint##bits##_t *p, uint##bits##_t v, int order)           \
	{                                                                                                              \
		(void)order;                                                                                           \
		atomic(PC);                                                                                            \
		uint##bits##_t before = *p;                                                                            \
		__atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                              \
		if (is_armed())                                                                                        \
			stored((uintptr_t)p, before);                                                                  \
	}                                                                                                              \
	RMW(bits, exchange, __atomic_exchange_n)                                                                       \
	RMW(bits, fetch_add, __atomic_fetch_add)                                                                       \
	RMW(bits, fetch_sub, __atomic_fetch_sub)                                                                       \
	RMW(bits, fetch_and, __atomic_fetch_and)                                                                       \
	RMW(bits, fetch_or, __atomic_fetch_or)                                                                         \
	RMW(bits, fetch_xor, __atomic_fetch_xor)                                                                       \
	CAS(bits, compare_exchange_strong)                                                                             \
	CAS(bits, compare_exchange_weak)                                                                               \
	DECLARED(uint##bits##_t, __tsan_atomic##bits##_compare_exchange_val, volatile uint##bits##_t *p,               \
	         uint##bits##_t c, uint##bits##_t v, int order, int failed)                                            \
	{                                                                                                              \
		(void)order;                                                                                           \
		(void)failed;                                                                                          \
		atomic(PC);                                                                                            \
		(void)__atomic_compare_exchange_n(p, &c, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                    \
		return c;                                                                                              \
	}
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

DECLARED(void, __tsan_atomic_thread_fence, int order)
{
	(void)order;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

DECLARED(void, __tsan_atomic_signal_fence, int order)
{
	(void)order;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * A copy to the region has two steps: one before it, and one in its middle. The linker redirects
 * the calls of memcpy() to this function.
 */
void *__real_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size)
{
	size_t half = size / 2;
	if (!is_armed() || (uintptr_t)to < region_begin || (uintptr_t)to >= region_end)
		return __real_memcpy(to, from, size);
	step(PC);
	__real_memcpy(to, from, half);
	step(PC);
	__real_memcpy((char *)to + half, (const char *)from + half, size - half);
	return to;
}
