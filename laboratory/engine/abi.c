/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that code compiled by gcc or clang with -fsanitize=thread calls, implemented for
 * the model. Outside of an execution (in constructors, and in native and chaos runs), they do the
 * machine's own operations. The return address of each function identifies the site of the access.
 */
#include "frame.h"
#include "interpose.h"
#include "steer.h"
#include "user.h"

void (*lab_chaos)(uintptr_t pc);

static inline void perturb(uintptr_t pc)
{
	if (__builtin_expect(lab_chaos != NULL, 0))
		lab_chaos(pc);
}

DECLARED(void, __tsan_func_entry, void *caller)
{
	if (!lab.active)
		return;
	struct lab_thread *self = lab.self;
	const uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	if (frame < self->deepest)
		self->deepest = frame;
	if (__builtin_expect(lab.recording, 0))
		lab_frame_enter(PC, *(const uintptr_t *)frame, (uintptr_t)caller);
	if (self->depth < sizeof self->calls / sizeof self->calls[0]) {
		self->calls[self->depth] = (uintptr_t)caller;
		self->pointers[self->depth] = *(const uintptr_t *)frame;
	}
	self->depth++;
}

DECLARED(void, __tsan_func_exit, void)
{
	if (!lab.active || lab.self->depth == 0)
		return;
	struct lab_thread *self = lab.self;
	const uintptr_t frame = (uintptr_t)__builtin_frame_address(0), caller = *(const uintptr_t *)frame;
	self->depth--;
	self->returned_at = PC;
	/* the caller's base is behind its frame pointer and its return address */
	if (lab.steered)
		lab_steer_return(caller > frame ? caller + 16 : UINTPTR_MAX);
	if (self->lent && caller > self->lent)
		lab_stack_return(caller, PC);
	if (__builtin_expect(lab.recording, 0))
		lab_frame_leave();
}

#define PLAIN(name, size, write)                                                                                       \
	DECLARED(void, name, void *address)                                                                            \
	{                                                                                                              \
		LOOP();                                                                                                \
		if (lab.active)                                                                                        \
			lab_plain((uintptr_t)address, (size), (write), PC);                                            \
	}

#define PLAIN_KIND(kind, n)                                                                                            \
	PLAIN(__tsan_##kind##read##n, n, false)                                                                        \
	PLAIN(__tsan_##kind##write##n, n, true)

#define PLAIN_SIZE(n)                                                                                                  \
	PLAIN_KIND(, n)                                                                                                \
	PLAIN_KIND(volatile_, n)                                                                                       \
	PLAIN_KIND(unaligned_, n)                                                                                      \
	PLAIN_KIND(unaligned_volatile_, n)                                                                             \
	PLAIN(__tsan_read_write##n, n, true)                                                                           \
	PLAIN(__tsan_unaligned_read_write##n, n, true)

PLAIN_SIZE(1)
PLAIN_SIZE(2)
PLAIN_SIZE(4)
PLAIN_SIZE(8)
PLAIN_SIZE(16)
PLAIN(__tsan_vptr_read, sizeof(void *), false)

/*
 * A constructor or a destructor sets the pointer to the table of virtual functions. In the
 * destructor of the object's own class, the pointer has this value already, and the program has no
 * such write: another thread may call a virtual function until the destructor has joined it.
 */
DECLARED(void, __tsan_vptr_update, void **address, void *value)
{
	LOOP();
	if (lab.active)
		lab_plain((uintptr_t)address, sizeof *address, *address != value || !lab_is_destructor(PC), PC);
}

#define RANGE(name, write)                                                                                             \
	DECLARED(void, name, void *address, size_t size)                                                               \
	{                                                                                                              \
		if (lab.active)                                                                                        \
			lab_plain((uintptr_t)address, size, write, PC);                                                \
	}

RANGE(__tsan_read_range, false)
RANGE(__tsan_write_range, true)

/*
 * A real operation takes its order as a constant. Only orders that differ on some machine are
 * distinguished: two for loads, and three for stores.
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

/* gcc does not instrument the accesses that the call makes to `expected`. */
#define CAS(bits, name, weak)                                                                                          \
	DECLARED(int, __tsan_atomic##bits##_compare_exchange_##name, volatile uint##bits##_t *p, uint##bits##_t *e,    \
	         uint##bits##_t v, int order, int failure)                                                             \
	{                                                                                                              \
		LOOP();                                                                                                \
		if (!lab.active) {                                                                                     \
			perturb(PC);                                                                                   \
			return __atomic_compare_exchange_n(p, e, v, weak, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);         \
		}                                                                                                      \
		lab_plain((uintptr_t)e, (bits) / 8, false, PC);                                                        \
		LOOP();                                                                                                \
		lab.expected = (uintptr_t)e;                                                                           \
		lab_value expected = *e;                                                                               \
		bool done = lab_atomic_cas((uintptr_t)p, (bits) / 8, &expected, v, order, failure, weak, PC);          \
		if (!done) {                                                                                           \
			lab_plain((uintptr_t)e, (bits) / 8, true, PC);                                                 \
			*e = (uint##bits##_t)expected;                                                                 \
		}                                                                                                      \
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

/*
 * These functions access sixteen bytes, or objects of any size. The second names are those of
 * compiler builtins.
 */
#define PAIR(result, name, ...) DECLARED(result, __tsan_atomic128_##name, volatile lab_value *p, __VA_ARGS__)
#define GENERIC(result, name, ...)                                                                                     \
	DECLARED_AS("__atomic_" #name, result, generic_##name, size_t size, volatile void *p, __VA_ARGS__)
#define WIDE(size, order, ...) (perturb(PC), lab_atomic_wide(p, size, order, (struct lab_wide){__VA_ARGS__}, PC))

#define PAIR_RMW(name)                                                                                                 \
	PAIR(lab_value, name, lab_value v, int order)                                                                  \
	{                                                                                                              \
		lab_value old;                                                                                         \
		WIDE(sizeof v, order, &old, NULL, &v, update_##name);                                                  \
		return old;                                                                                            \
	}

#define PAIR_CAS(name, weak)                                                                                           \
	PAIR(int, compare_exchange_##name, lab_value *e, lab_value v, int order, int failure)                          \
	{                                                                                                              \
		return WIDE(sizeof v, order, e, e, &v, NULL, failure, weak);                                           \
	}

PAIR(lab_value, load, int order)
{
	lab_value old;
	WIDE(sizeof old, order, &old, .failure = order);
	return old;
}

PAIR(void, store, lab_value v, int order)
{
	WIDE(sizeof v, order, .desired = &v);
}

PAIR(lab_value, compare_exchange_val, lab_value e, lab_value v, int order, int failure)
{
	WIDE(sizeof v, order, &e, &e, &v, NULL, failure);
	return e;
}

PAIR_RMW(exchange)
PAIR_RMW(fetch_add)
PAIR_RMW(fetch_sub)
PAIR_RMW(fetch_and)
PAIR_RMW(fetch_or)
PAIR_RMW(fetch_xor)
PAIR_RMW(fetch_nand)
PAIR_CAS(strong, false)
PAIR_CAS(weak, true)

GENERIC(void, load, void *to, int order)
{
	WIDE(size, order, to, .failure = order);
}

GENERIC(void, store, const void *v, int order)
{
	WIDE(size, order, .desired = v);
}

GENERIC(void, exchange, const void *v, void *to, int order)
{
	WIDE(size, order, to, NULL, v);
}

GENERIC(int, compare_exchange, void *e, const void *v, int order, int failure)
{
	return WIDE(size, order, e, e, v, NULL, failure);
}

/* The sizes that gcc's library says are lock-free. */
DECLARED_AS("__atomic_is_lock_free", bool, lab_is_lock_free, size_t size, const volatile void *p)
{
	(void)p;
	return size <= 8 && (size & (size - 1)) == 0;
}

/* For `_Atomic double`. The flags of the floating-point environment are not a part of the model. */
DECLARED(void, __atomic_feraiseexcept, int exceptions)
{
	(void)exceptions;
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

/*
 * This fence orders a thread against its own signal handlers, which the model does not have. On one
 * CPU it also orders it against the other threads, as a fence between threads does: it keeps the
 * compiler from moving accesses, and the CPU shows each thread its accesses in their order.
 */
DECLARED(void, __tsan_atomic_signal_fence, int order)
{
	if (lab.active && lab_config.one_cpu)
		lab_atomic_fence(order, PC);
}

/*
 * Annotations for ThreadSanitizer, which code calls if it is compiled with ThreadSanitizer's flag.
 * They do nothing here, because the model sees every access and knows what orders it.
 */
/* clang-format off */
IGNORED(__tsan_init) IGNORED(AnnotateHappensBefore) IGNORED(AnnotateHappensAfter) IGNORED(AnnotateIgnoreReadsBegin)
IGNORED(AnnotateIgnoreReadsEnd) IGNORED(AnnotateIgnoreWritesBegin)
IGNORED(AnnotateIgnoreWritesEnd) IGNORED(AnnotateIgnoreSyncBegin) IGNORED(AnnotateIgnoreSyncEnd)
IGNORED(AnnotateRWLockCreate) IGNORED(AnnotateRWLockDestroy) IGNORED(AnnotateRWLockAcquired)
IGNORED(AnnotateRWLockReleased) IGNORED(AnnotateBenignRaceSized) IGNORED(AnnotateNewMemory)
IGNORED(__tsan_acquire) IGNORED(__tsan_release) IGNORED(__tsan_mutex_create) IGNORED(__tsan_mutex_destroy) IGNORED(__tsan_mutex_pre_lock)
IGNORED(__tsan_mutex_post_lock) IGNORED(__tsan_mutex_pre_unlock) IGNORED(__tsan_mutex_post_unlock)
IGNORED(__tsan_mutex_pre_signal) IGNORED(__tsan_mutex_post_signal)
IGNORED(__tsan_mutex_pre_divert) IGNORED(__tsan_mutex_post_divert)
    /* clang-format on */
