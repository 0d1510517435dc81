/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/sanitizer.h"
#include "switch.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Tells AddressSanitizer, ThreadSanitizer and Valgrind about stacks and switches. Valgrind's magic
 * instructions are in every build and do nothing elsewhere. A struct fl__flow is where a flow
 * stands while suspended:
 *
 *     fl__flow_adopt(&here);                          // the thread's own
 *     fl__flow_init(&there);                          // copies the caller's control words
 *     fl__flow_make(&there, low, size, entry, arg);   // entry begins with fl__flow_arrive(&there)
 *     fl__flow_switch(&here, &there, false);          // true: does not return
 *     fl__flow_drop(&there);                          // after its end
 */
#ifdef FL__ASAN
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FL__TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* For a function that switches: a tool would take its accesses for those of the next flow. */
#if defined(FL__ASAN) || defined(FL__TSAN)
#define FL__UNINSTRUMENTED __attribute__((noinline, unused, no_sanitize("address"), no_sanitize("thread")))
#else
#define FL__UNINSTRUMENTED inline __attribute__((always_inline))
#endif

struct fl__flow {
	struct fl__switch at;
#ifdef FL__ASAN
	const void *low; /* of the flow's stack */
	size_t size;
	void *fake; /* ASan's fake stack, which finds uses after return */
#endif
#ifdef FL__TSAN
	void *fiber;
#endif
};

static inline void fl__flow_adopt(struct fl__flow *flow)
{
	*flow = (struct fl__flow){0};
#ifdef FL__ASAN
	pthread_attr_t attr;
	void *low = NULL;
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		(void)pthread_attr_getstack(&attr, &low, &flow->size);
		(void)pthread_attr_destroy(&attr);
	}
	flow->low = low;
#endif
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
#ifdef FL__ASAN
	flow->low = low;
	flow->size = size;
	flow->fake = NULL;
#endif
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
 * Prefetches the innermost frames of `flow`, the first member of an object of `size` bytes, and
 * the second cache line; before fl__flow_make(), the whole object.
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

static inline void fl__flow_arrive(const struct fl__flow *flow)
{
	(void)flow;
#ifdef FL__ASAN
	__sanitizer_finish_switch_fiber(flow->fake, NULL, NULL);
#endif
}

static FL__UNINSTRUMENTED void fl__flow_switch(struct fl__flow *from, struct fl__flow *to, bool forever)
{
	(void)forever;
#ifdef FL__ASAN
	__sanitizer_start_switch_fiber(forever ? NULL : &from->fake, to->low, to->size);
#endif
#ifdef FL__TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	fl__switch_to(&from->at, &to->at);
#ifdef FL__ASAN
	__sanitizer_finish_switch_fiber(from->fake, NULL, NULL);
#endif
}

/* Unpoisons the frames that never returned. */
static inline void fl__tool_stack_reset(const char *low, size_t size)
{
	(void)low;
	(void)size;
#ifdef FL__ASAN
	__asan_unpoison_memory_region(low, size);
#endif
}

/* The result is for fl__tool_stack_remove(). */
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
