/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replaces functions of the C library that access, allocate or free memory. Instrumented code calls
 * these functions, but the compiler does not instrument what they do. The engine's program exports
 * the replacements, so that modules call them. Calls from outside of a model thread are passed on
 * to the C library. So are the engine's own calls, which are recognised by their return address.
 */
#include "interpose.h"
#include "allocated.h"
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);
extern void *__libc_memalign(size_t alignment, size_t size);

void *lab_allocate(size_t alignment, size_t size, bool ours, uintptr_t pc)
{
	alignment = alignment > 16 ? alignment : 16;
	return ours                     ? lab_alloc_aligned(alignment, size, pc)
	       : lab_is_constructor(pc) ? lab_alloc_early(alignment, size)
	                                : __libc_memalign(alignment, size);
}

EXPORTED void *malloc(size_t size)
{
	return lab_allocate(0, size, OURS(), PC);
}

EXPORTED void *calloc(size_t n, size_t size)
{
	const bool ours = OURS();
	if (!ours && !lab_is_constructor(PC))
		return __libc_calloc(n, size);
	size_t bytes;
	void *memory = __builtin_mul_overflow(n, size, &bytes) ? NULL : lab_allocate(0, bytes, ours, PC);
	if (memory && __builtin_expect(lab.recording, 0))
		lab_allocated_elements(memory, size);
	if (memory)
		memset(memory, 0, bytes);
	else
		errno = ENOMEM;
	return memory;
}

EXPORTED void free(void *memory)
{
	if (!memory)
		return;
	/* The engine itself may call it, as a destructor. */
	if (OURS() || (lab.active && lab_is_heap((uintptr_t)memory)))
		lab_free(memory, PC);
	else if (!lab_is_heap((uintptr_t)memory) && !lab_is_early((uintptr_t)memory))
		__libc_free(memory);
}

static void *resized(void *memory, size_t size, bool ours, uintptr_t pc)
{
	const uintptr_t at = (uintptr_t)memory;
	const bool known = !memory || lab_is_heap(at) || lab_is_early(at);
	if (ours && !known)
		lab_free(memory, pc); /* fails if this is memory of the program, such as a variable */
	if (!known || !(ours || lab_is_early(at) || lab_is_constructor(pc)))
		return __libc_realloc(memory, size);
	if (ours && memory && size == 0) { /* glibc frees the block */
		lab_free(memory, pc);
		return NULL;
	}
	void *to = ours ? lab_alloc(size, pc) : lab_alloc_early(16, size);
	if (!to || !memory)
		return to;
	const size_t old = lab_size(memory), kept = old < size ? old : size;
	if (ours)
		lab_plain(at, kept, false, pc);
	memcpy(to, memory, kept);
	lab_free(memory, pc);
	return to;
}

EXPORTED void *realloc(void *memory, size_t size)
{
	return resized(memory, size, OURS(), PC);
}

EXPORTED void *reallocarray(void *memory, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return resized(memory, bytes, OURS(), PC);
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
	return lab_allocate(alignment, size, OURS(), PC);
}

EXPORTED int posix_memalign(void **memory, size_t alignment, size_t size)
{
	if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
		return EINVAL;
	void *made = lab_allocate(alignment, size, OURS(), PC);
	if (!made)
		return ENOMEM;
	*memory = made;
	return 0;
}

EXPORTED void *memalign(size_t alignment, size_t size) __attribute__((alias("aligned_alloc")));

EXPORTED size_t malloc_usable_size(void *memory)
{
	const uintptr_t at = (uintptr_t)memory;
	FORWARD_UNLESS(lab_is_heap(at) || lab_is_early(at), malloc_usable_size, REAL(malloc_usable_size), (memory));
	return OURS() && lab_is_heap(at) ? lab_size_asked(at, PC) : lab_size(memory);
}

/*
 * Notes a write by the running thread. If the process is killed in the middle of the write, returns
 * how many bytes come before the kill; otherwise returns 0.
 */
static size_t written(void *to, size_t size, uintptr_t pc)
{
	lab_writes(to, size, pc);
	return __builtin_expect(lab.killable, 0) ? lab_cut((uintptr_t)to, size, pc) : 0;
}

static void killed(void *to, size_t cut, uintptr_t pc)
{
	if (cut > 0)
		lab_die((struct lab_op){LAB_PLAIN, 0, true, (uintptr_t)to, pc}, LAB_IN_COPY);
}

EXPORTED void *memmove(void *to, const void *from, size_t size)
{
	size_t cut = 0;
	if (OURS()) {
		lab_reads(from, size, PC);
		cut = written(to, size, PC);
	}
	(void)lab_real.memmove(to, from, cut ?: size);
	killed(to, cut, PC);
	return to;
}

EXPORTED void *memset(void *to, int byte, size_t size)
{
	const size_t cut = OURS() ? written(to, size, PC) : 0;
	(void)lab_real.memset(to, byte, cut ?: size);
	killed(to, cut, PC);
	return to;
}

/* Newer compilers call these functions by names that begin with __tsan_. */
#define ALIAS(name) __THROW __nonnull((1)) __attribute__((alias(name)))
EXPORTED void *memcpy(void *restrict to, const void *restrict from, size_t size) ALIAS("memmove");
EXPORTED void *__tsan_memcpy(void *to, const void *from, size_t size) ALIAS("memmove");
EXPORTED void *__tsan_memmove(void *to, const void *from, size_t size) ALIAS("memmove");
EXPORTED void *__tsan_memset(void *to, int byte, size_t size) ALIAS("memset");

/* Plain C code calls this when it spins. */
EXPORTED int sched_yield(void)
{
	FORWARD(sched_yield, ());
	lab_relax(PC);
	return 0;
}

/*
 * For scenarios; process.c has the function for programs. Signals are not modelled, the engine's
 * own handlers stay in place, and no execution leaves a handler to the next execution.
 */
EXPORTED int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	FORWARD(sigaction, (number, action, old));
	if (old)
		*old = (struct sigaction){.sa_handler = SIG_DFL};
	return 0;
}

EXPORTED int sigaltstack(const stack_t *stack, stack_t *old)
{
	FORWARD(sigaltstack, (stack, old));
	if (old)
		*old = (stack_t){.ss_flags = 0};
	return 0;
}

/*
 * Files are not modelled. Code that looks up names of functions for a report finds no modules here;
 * otherwise it would read the symbols word by word.
 */
EXPORTED int dl_iterate_phdr(int (*visit)(struct dl_phdr_info *info, size_t size, void *arg), void *arg)
{
	FORWARD(dl_iterate_phdr, (visit, arg));
	return 0;
}

/* assert() calls this. */
DECLARED(_Noreturn void, __assert_fail, const char *assertion, const char *file, unsigned line, const char *function)
{
	if (OURS())
		lab_fail(LAB_CHECK, "assert(%s) fails in %s at %s:%u", assertion, lab.self->name, file, line);
	REAL(__assert_fail)(assertion, file, line, function);
	__builtin_trap();
}
