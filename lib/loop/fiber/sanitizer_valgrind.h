/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/sanitizer.h"
#include "switch.h"
#include <stddef.h>
#include <stdint.h>

/*
 * Tells ThreadSanitizer, AddressSanitizer, Valgrind and the C++ runtime about switches of stacks.
 *
 * ThreadSanitizer's calls are only in its own build. Valgrind's magic instructions are in every
 * build, and do nothing outside of Valgrind. AddressSanitizer and the C++ runtime are found in
 * every build by weak symbols, which are NULL in a process without such functions. scheduler.c
 * calls the functions.
 *
 * A flow is a fiber, or the thread's own stack. A struct fl__flow is the state of a suspended flow:
 *
 *     fl__flow_adopt(&here);                          // the thread's own
 *     fl__flow_init(&there);                          // copies the caller's control words
 *     fl__flow_make(&there, low, size, entry, arg);
 *     fl__flow_switch(&here, &there);
 *     fl__flow_drop(&there);                          // after its end
 */
#ifdef FL__TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define FL__WEAK __attribute__((weak))

/* The declarations of <sanitizer/common_interface_defs.h>. */
void __sanitizer_start_switch_fiber(void **fake_stack, const void *low, size_t size) FL__WEAK;
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **old_low, size_t *old_size) FL__WEAK;

/* The declarations of <sanitizer/lsan_interface.h>. */
void __lsan_register_root_region(const void *low, size_t size) FL__WEAK;
void __lsan_unregister_root_region(const void *low, size_t size) FL__WEAK;

/*
 * The calling thread's __cxa_eh_globals (Itanium C++ ABI: Exception Handling, 2.2.2). They are the
 * exceptions whose handlers the thread has entered and not left, and the number of exceptions that
 * it has thrown and not yet caught. The address stays the same for the life of the thread.
 */
struct fl__exceptions {
	void *caught;
	unsigned uncaught;
#ifdef __arm__
	void *propagating;
#endif
};
struct fl__exceptions *__cxa_get_globals(void) FL__WEAK;

/*
 * Attributes for functions that switch. Without them a tool would attribute accesses of these
 * functions to the next flow. FL__SWITCHES is for the functions of the fast path.
 */
#if defined(FL__ASAN) || defined(FL__TSAN)
#define FL__UNINSTRUMENTED __attribute__((noinline, unused, no_sanitize("address"), no_sanitize("thread")))
#define FL__SWITCHES FL__UNINSTRUMENTED
#else
#define FL__UNINSTRUMENTED __attribute__((noinline))
#define FL__SWITCHES inline __attribute__((always_inline))
#endif

struct fl__flow {
	struct fl__switch at;
#ifdef FL__TSAN
	void *fiber;
#endif
};

static inline void fl__flow_adopt(struct fl__flow *flow)
{
	*flow = (struct fl__flow){0};
#ifdef FL__TSAN
	flow->fiber = __tsan_get_current_fiber();
#endif
}

static inline void fl__flow_init(struct fl__flow *flow)
{
	fl__switch_init(&flow->at);
}

static inline void fl__flow_make(struct fl__flow *flow, char *low, size_t size, void (*entry)(void *), void *arg)
{
	fl__switch_prepare(&flow->at, low, size, entry, arg);
#ifdef FL__TSAN
	flow->fiber = __tsan_create_fiber(0);
#endif
}

static inline void fl__flow_name(const struct fl__flow *flow, const char *name)
{
	(void)flow;
	(void)name;
#ifdef FL__TSAN
	__tsan_set_fiber_name(flow->fiber, name);
#endif
}

static inline void fl__flow_drop(const struct fl__flow *flow)
{
	(void)flow;
#ifdef FL__TSAN
	__tsan_destroy_fiber(flow->fiber);
#endif
}

/*
 * Prefetches the innermost frames of `flow`, which is the first member of an object of `size`
 * bytes, and the second cache line of that object. Before fl__flow_make(), prefetches the whole
 * object.
 */
static inline void fl__flow_prefetch(const struct fl__flow *flow, size_t size)
{
#ifdef FL__SWITCH_UCONTEXT
	(void)flow;
	(void)size;
#else
	enum { LINE = 64, FRAMES = 8 * LINE };
	const char *top = flow->at.sp, *object = (const char *)flow;
	for (int i = 0; top && i < FRAMES; i += LINE)
		__builtin_prefetch(top + i);
	for (size_t i = LINE; i < (top ? 2 * LINE : size); i += LINE)
		__builtin_prefetch(object + i);
#endif
}

static FL__SWITCHES void fl__flow_switch(struct fl__flow *from, struct fl__flow *to)
{
#ifdef FL__TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	fl__switch_to(&from->at, &to->at);
}

/*
 * Makes LeakSanitizer search this memory for pointers, until it is called again with `searched`
 * false. LeakSanitizer searches the heap and the stacks of threads by itself.
 */
static inline void fl__tool_search(const char *low, size_t size, bool searched)
{
	void (*tell)(const void *, size_t) = searched ? __lsan_register_root_region : __lsan_unregister_root_region;
	if (tell)
		tell(low, size);
}

/* Returns a number for fl__tool_stack_remove(). */
static inline unsigned fl__tool_stack_add(const char *low, const char *end)
{
	enum { STACK_REGISTER = 0x1501 };
	return (unsigned)fl__valgrind(STACK_REGISTER, (uintptr_t)low, (uintptr_t)end - 1);
}

static inline void fl__tool_stack_remove(unsigned id)
{
	enum { STACK_DEREGISTER = 0x1502 };
	(void)fl__valgrind(STACK_DEREGISTER, id, 0);
}
