/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interface that gcc and clang call with -fsanitize=thread, implemented for the model. Outside
 * an execution (in constructors, in native and chaos runs) the operations are the machine's own.
 * The return address of each function identifies the site of the access.
 */
#include "frame.h"
#include "model.h"
#include "steer.h"
#include "user.h"

#define PC ((uintptr_t)__builtin_return_address(0))
#define ABI __attribute__((visibility("default"), used))

void (*lab_chaos)(uintptr_t pc);

static inline void perturb(uintptr_t pc)
{
	if (__builtin_expect(lab_chaos != NULL, 0))
		lab_chaos(pc);
}

#define DECLARED(result, name, ...)                                                                                    \
	ABI result name(__VA_ARGS__);                                                                                  \
	result name(__VA_ARGS__)

DECLARED(void, __tsan_init, void)
{
}

DECLARED(void, __tsan_func_entry, void *caller)
{
	if (!lab.active)
		return;
	struct lab_thread *self = lab.self;
	if (__builtin_expect(lab.recording, 0))
		lab_frame_enter(PC, *(const uintptr_t *)__builtin_frame_address(0), (uintptr_t)caller);
	if (self->depth < sizeof self->calls / sizeof self->calls[0])
		self->calls[self->depth] = (uintptr_t)caller;
	self->depth++;
}

DECLARED(void, __tsan_func_exit, void)
{
	if (!lab.active || lab.self->depth == 0)
		return;
	lab.self->depth--;
	lab.self->returned_at = PC;
	if (lab.steered) { /* the caller's base is behind its frame pointer and return address */
		const uintptr_t frame = (uintptr_t)__builtin_frame_address(0), caller = *(const uintptr_t *)frame;
		lab_steer_return(caller > frame ? caller + 16 : UINTPTR_MAX);
	}
	if (__builtin_expect(lab.recording, 0))
		lab_frame_leave();
}

/*
 * A loop may wait by this call: the registers of the caller that live across calls are saved just
 * below the frame, with the caller's frame pointer and return address; its stack is behind.
 */
#ifdef __x86_64__
#define LOOP()                                                                                                         \
	do {                                                                                                           \
		__asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15");                                            \
		lab.frame = (uintptr_t)__builtin_frame_address(0) - 40;                                                \
		lab.caller = *(const uintptr_t *)__builtin_frame_address(0);                                           \
	} while (0)
#else
#define LOOP() ((void)0)
#endif

#define PLAIN(name, size, write)                                                                                       \
	DECLARED(void, name, void *address)                                                                            \
	{                                                                                                              \
		LOOP();                                                                                                \
		if (lab.active)                                                                                        \
			lab_plain((uintptr_t)address, (size), (write), PC);                                            \
	}

#define PLAIN_SIZE(n)                                                                                                  \
	PLAIN(__tsan_read##n, n, false)                                                                                \
	PLAIN(__tsan_write##n, n, true)                                                                                \
	PLAIN(__tsan_read_write##n, n, true)                                                                           \
	PLAIN(__tsan_volatile_read##n, n, false)                                                                       \
	PLAIN(__tsan_volatile_write##n, n, true)                                                                       \
	PLAIN(__tsan_unaligned_read##n, n, false)                                                                      \
	PLAIN(__tsan_unaligned_write##n, n, true)                                                                      \
	PLAIN(__tsan_unaligned_read_write##n, n, true)                                                                 \
	PLAIN(__tsan_unaligned_volatile_read##n, n, false)                                                             \
	PLAIN(__tsan_unaligned_volatile_write##n, n, true)

PLAIN_SIZE(1)
PLAIN_SIZE(2)
PLAIN_SIZE(4)
PLAIN_SIZE(8)
PLAIN_SIZE(16)
PLAIN(__tsan_vptr_read, sizeof(void *), false)

DECLARED(void, __tsan_vptr_update, void **address, void *value)
{
	(void)value;
	if (lab.active)
		lab_plain((uintptr_t)address, sizeof *address, true, PC);
}

DECLARED(void, __tsan_read_range, void *address, size_t size)
{
	if (lab.active)
		lab_plain((uintptr_t)address, size, false, PC);
}

DECLARED(void, __tsan_write_range, void *address, size_t size)
{
	if (lab.active)
		lab_plain((uintptr_t)address, size, true, PC);
}

/*
 * Annotations for the real ThreadSanitizer, without effect here: the model sees the operations
 * themselves.
 */
DECLARED(void, __tsan_acquire, void *address)
{
	(void)address;
}

DECLARED(void, __tsan_release, void *address)
{
	(void)address;
}

/*
 * A real operation takes its order as a constant. Two orders differ on a machine, and they are
 * enough.
 */
#define REAL_LOAD(p, order)                                                                                            \
	((order) == __ATOMIC_RELAXED ? __atomic_load_n((p), __ATOMIC_RELAXED) : __atomic_load_n((p), __ATOMIC_SEQ_CST))
#define REAL_STORE(p, v, order)                                                                                        \
	do {                                                                                                           \
		if ((order) == __ATOMIC_RELAXED)                                                                       \
			__atomic_store_n((p), (v), __ATOMIC_RELAXED);                                                  \
		else if ((order) == __ATOMIC_RELEASE)                                                                  \
			__atomic_store_n((p), (v), __ATOMIC_RELEASE);                                                  \
		else                                                                                                   \
			__atomic_store_n((p), (v), __ATOMIC_SEQ_CST);                                                  \
	} while (0)

#define UPDATE(name, expression)                                                                                       \
	static lab_value update_##name(lab_value old, lab_value operand)                                               \
	{                                                                                                              \
		return expression;                                                                                     \
	}

#define update_exchange lab_update_set
UPDATE(fetch_add, old + operand)
UPDATE(fetch_sub, old - operand)
UPDATE(fetch_and, old &operand)
UPDATE(fetch_or, old | operand)
UPDATE(fetch_xor, old ^ operand)
UPDATE(fetch_nand, ~(old &operand))

#define RMW(bits, name, builtin)                                                                                       \
	DECLARED(uint##bits##_t, __tsan_atomic##bits##_##name, volatile uint##bits##_t *p, uint##bits##_t v,           \
	         int order)                                                                                            \
	{                                                                                                              \
		LOOP();                                                                                                \
		if (lab.active)                                                                                        \
			return (uint##bits##_t)lab_atomic_rmw((uintptr_t)p, (bits) / 8, update_##name, v, order, PC);  \
		perturb(PC);                                                                                           \
		return builtin(p, v, __ATOMIC_SEQ_CST);                                                                \
	}

#define CAS(bits, name, weak)                                                                                          \
	DECLARED(int, __tsan_atomic##bits##_compare_exchange_##name, volatile uint##bits##_t *p, uint##bits##_t *e,    \
	         uint##bits##_t v, int order, int failure)                                                             \
	{                                                                                                              \
		LOOP();                                                                                                \
		if (!lab.active) {                                                                                     \
			perturb(PC);                                                                                   \
			return __atomic_compare_exchange_n(p, e, v, weak, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);         \
		}                                                                                                      \
		lab_value expected = *e;                                                                               \
		bool done = lab_atomic_cas((uintptr_t)p, (bits) / 8, &expected, v, order, failure, weak, PC);          \
		if (!done)                                                                                             \
			*e = (uint##bits##_t)expected;                                                                 \
		if (!done && !lab_is_stack((uintptr_t)e))                                                              \
			lab.self->changes++;                                                                           \
		return done;                                                                                           \
	}

#define ATOMIC(bits)                                                                                                   \
	DECLARED(uint##bits##_t, __tsan_atomic##bits##_load, const volatile uint##bits##_t *p, int order)              \
	{                                                                                                              \
		LOOP();                                                                                                \
		if (lab.active)                                                                                        \
			return (uint##bits##_t)lab_atomic_load((uintptr_t)p, (bits) / 8, order, PC);                   \
		perturb(PC);                                                                                           \
		return REAL_LOAD(p, order);                                                                            \
	}                                                                                                              \
	DECLARED(void, __tsan_atomic##bits##_store, volatile uint##bits##_t *p, uint##bits##_t v, int order)           \
	{                                                                                                              \
		if (lab.active) {                                                                                      \
			lab_atomic_store((uintptr_t)p, (bits) / 8, v, order, PC);                                      \
			return;                                                                                        \
		}                                                                                                      \
		perturb(PC);                                                                                           \
		REAL_STORE(p, v, order);                                                                               \
	}                                                                                                              \
	RMW(bits, exchange, __atomic_exchange_n)                                                                       \
	RMW(bits, fetch_add, __atomic_fetch_add)                                                                       \
	RMW(bits, fetch_sub, __atomic_fetch_sub)                                                                       \
	RMW(bits, fetch_and, __atomic_fetch_and)                                                                       \
	RMW(bits, fetch_or, __atomic_fetch_or)                                                                         \
	RMW(bits, fetch_xor, __atomic_fetch_xor)                                                                       \
	RMW(bits, fetch_nand, __atomic_fetch_nand)                                                                     \
	CAS(bits, strong, false)                                                                                       \
	CAS(bits, weak, true)                                                                                          \
	DECLARED(uint##bits##_t, __tsan_atomic##bits##_compare_exchange_val, volatile uint##bits##_t *p,               \
	         uint##bits##_t e, uint##bits##_t v, int order, int failure)                                           \
	{                                                                                                              \
		if (!lab.active) {                                                                                     \
			perturb(PC);                                                                                   \
			(void)__atomic_compare_exchange_n(p, &e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);        \
			return e;                                                                                      \
		}                                                                                                      \
		lab_value expected = e;                                                                                \
		(void)lab_atomic_cas((uintptr_t)p, (bits) / 8, &expected, v, order, failure, false, PC);               \
		return (uint##bits##_t)expected;                                                                       \
	}

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

/* Two words at once, for scenarios with Concurrency Kit (laboratory/ck). */
/* In assembly: compilers would need another target, or another library, for it. */
static unsigned __int128 real_pair_swap(volatile unsigned __int128 *p, unsigned __int128 e, unsigned __int128 v)
{
	uint64_t low = (uint64_t)e, high = (uint64_t)(e >> 64), new_low = (uint64_t)v, new_high = (uint64_t)(v >> 64);
#if defined(__x86_64__)
	__asm__ volatile("lock cmpxchg16b %0"
	                 : "+m"(*p), "+a"(low), "+d"(high)
	                 : "b"(new_low), "c"(new_high)
	                 : "cc", "memory");
	return (unsigned __int128)high << 64 | low;
#elif defined(__aarch64__)
	uint64_t seen_low, seen_high;
	uint32_t failed;
	__asm__ volatile("1: ldaxp %0, %1, %3\n\t"
	                 "cmp %0, %4\n\t"
	                 "ccmp %1, %5, #0, eq\n\t"
	                 "b.ne 2f\n\t"
	                 "stlxp %w2, %6, %7, %3\n\t"
	                 "cbnz %w2, 1b\n\t"
	                 "2:"
	                 : "=&r"(seen_low), "=&r"(seen_high), "=&r"(failed), "+Q"(*p)
	                 : "r"(low), "r"(high), "r"(new_low), "r"(new_high)
	                 : "cc", "memory");
	return (unsigned __int128)seen_high << 64 | seen_low;
#else
#error "the laboratory runs on x86-64 and aarch64"
#endif
}

DECLARED(unsigned __int128, __tsan_atomic128_compare_exchange_val, volatile void *p, unsigned __int128 e,
         unsigned __int128 v, int order, int failure)
{
	if (!lab.active) {
		perturb(PC);
		return real_pair_swap(p, e, v);
	}
	lab_value expected = e;
	(void)lab_atomic_cas((uintptr_t)p, sizeof e, &expected, v, order, failure, false, PC);
	return expected;
}

DECLARED(void, __tsan_atomic_thread_fence, int order)
{
	if (lab.active) {
		lab_atomic_fence(order, PC);
		return;
	}
	perturb(PC);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Orders a thread against its own signal handlers, which the model does not have. */
DECLARED(void, __tsan_atomic_signal_fence, int order)
{
	(void)order;
}

/*
 * Annotations for ThreadSanitizer, which code calls that is compiled with its flag. The model sees
 * every access and knows what orders it.
 */
/* clang-format off */
#define IGNORED(name) DECLARED(void, name, void) {}
IGNORED(AnnotateHappensBefore) IGNORED(AnnotateHappensAfter) IGNORED(AnnotateIgnoreReadsBegin)
IGNORED(AnnotateIgnoreReadsEnd) IGNORED(AnnotateIgnoreWritesBegin)
IGNORED(AnnotateIgnoreWritesEnd) IGNORED(AnnotateIgnoreSyncBegin) IGNORED(AnnotateIgnoreSyncEnd)
IGNORED(AnnotateRWLockCreate) IGNORED(AnnotateRWLockDestroy) IGNORED(AnnotateRWLockAcquired)
IGNORED(AnnotateRWLockReleased) IGNORED(AnnotateBenignRaceSized) IGNORED(AnnotateNewMemory)
IGNORED(__tsan_mutex_create) IGNORED(__tsan_mutex_destroy) IGNORED(__tsan_mutex_pre_lock)
IGNORED(__tsan_mutex_post_lock) IGNORED(__tsan_mutex_pre_unlock) IGNORED(__tsan_mutex_post_unlock)
IGNORED(__tsan_mutex_pre_signal) IGNORED(__tsan_mutex_post_signal)
IGNORED(__tsan_mutex_pre_divert) IGNORED(__tsan_mutex_post_divert)
    /* clang-format on */
