/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory, threads and the clock, as the rest of the library uses them. */
#include "sys.h"
#include "../hooks.h"
#include "atomic.h"
#include <stdlib.h>

#ifdef FL__TSAN
uint32_t fl__fence_word;
#endif

/*
 * Both variables are in one file, so that they share eight bytes of static thread-local storage,
 * whatever the order in which the objects are linked.
 */
_Thread_local unsigned fl__blocks_thread FL__INITIAL_EXEC;
_Thread_local bool fl__panic_logs FL__INITIAL_EXEC;

static const fl_allocator *sys_allocator;

void fl_allocator_set(const fl_allocator *replacement)
{
	sys_allocator = replacement;
}

void *fl__sys_alloc(size_t size)
{
	if (!sys_allocator)
		return malloc(size);
	FL__BLOCKS_THREAD();
	return sys_allocator->alloc(size, sys_allocator->user);
}

void fl__sys_free(void *memory)
{
	if (!sys_allocator) {
		free(memory);
		return;
	}
	FL__BLOCKS_THREAD();
	sys_allocator->free(memory, sys_allocator->user);
}

int fl__sys_thread_join(pthread_t thread)
{
	FL__UNCANCELLED();
	return -pthread_join(thread, NULL);
}

int fl__sys_thread_detach(pthread_t thread)
{
	return -pthread_detach(thread);
}

void fl__relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	/* isb takes as long as x86's pause. yield would do nothing on most cores. */
	__asm__ volatile("isb" ::: "memory");
#elif defined(__arm__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

fl_time fl_now(void)
{
	return FL__TIME(fl__sys.now());
}

void *fl__alloc(size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX)
		return NULL;
	void *memory = fl__sys.alloc(bytes);
	if (!memory)
		return NULL;
	fl__hook_made(memory);
	__builtin_memset(memory, 0, bytes);
	return memory;
}

void fl__free(void *memory)
{
	if (!memory)
		return;
	fl__hook_freed(memory);
	fl__sys.free(memory);
}
