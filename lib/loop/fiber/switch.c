/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a flow begins. The first switch to a flow jumps to fl__switch_entry, where the stack pointer
 * points to two words: the function and its argument. The unwind information of fl__switch_entry
 * and a frame pointer of 0 tell debuggers and backtrace() that it has no caller. The assembly is in
 * a C file for the one-file build.
 */
#include "switch.h"

#ifdef FL__SWITCH_UCONTEXT

/* makecontext() passes ints, so the pointer travels in two halves. */
static void switch_entry(unsigned upper, unsigned lower)
{
	struct fl__switch *s = (struct fl__switch *)(uintptr_t)((uint64_t)upper << 32 | lower);
	s->entry(s->arg);
	__builtin_trap();
}

void fl__switch_init(struct fl__switch *s)
{
	(void)getcontext(&s->context); /* fails only for a bad address */
}

void fl__switch_prepare(struct fl__switch *s, void *stack_low, size_t size, void (*entry)(void *arg), void *arg)
{
	/* Some implementations do not align the end of the stack. */
	uintptr_t low = ((uintptr_t)stack_low + 15) & ~(uintptr_t)15;
	uintptr_t end = ((uintptr_t)stack_low + size) & ~(uintptr_t)15;
	s->context.uc_stack.ss_sp = (void *)low;
	s->context.uc_stack.ss_size = end - low;
	s->context.uc_link = NULL;
	s->entry = entry;
	s->arg = arg;
	uint64_t address = (uintptr_t)s;
	makecontext(&s->context, (void (*)(void))switch_entry, 2, (unsigned)(address >> 32), (unsigned)address);
}

#else

void fl__switch_entry(void) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".pushsection .text.fl__switch_entry,\"ax\",@progbits\n"
        ".globl fl__switch_entry\n"
        ".hidden fl__switch_entry\n"
        ".type fl__switch_entry, @function\n"
        ".balign 16\n"
        "fl__switch_entry:\n"
        "\t.cfi_startproc\n"
        "\t.cfi_undefined rip\n"
        "\tendbr64\n"
        "\tpopq %rax\n"
        "\tpopq %rdi\n"
        "\tcallq *%rax\n"
        "\tud2\n"
        "\t.cfi_endproc\n"
        ".size fl__switch_entry, .-fl__switch_entry\n"
        ".popsection\n");
#else
__asm__(".pushsection .text.fl__switch_entry,\"ax\",@progbits\n"
        ".globl fl__switch_entry\n"
        ".hidden fl__switch_entry\n"
        ".type fl__switch_entry, %function\n"
        ".balign 16\n"
        "fl__switch_entry:\n"
        "\t.cfi_startproc\n"
        "\t.cfi_undefined x30\n"
        "\thint #38\n" /* bti jc */
        "\tldp x9, x0, [sp], #16\n"
        "\tmov x30, #0\n"
        "\tblr x9\n"
        "\tbrk #1\n"
        "\t.cfi_endproc\n"
        ".size fl__switch_entry, .-fl__switch_entry\n"
        ".popsection\n");
#endif

void fl__switch_init(struct fl__switch *s)
{
#if defined(__x86_64__)
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(s->control), "=m"(s->x87));
#else
	uint64_t control;
	__asm__ volatile("mrs %0, fpcr" : "=r"(control));
	s->control = (uint32_t)control;
	s->x87 = 0;
#endif
}

void fl__switch_prepare(struct fl__switch *s, void *stack_low, size_t size, void (*entry)(void *arg), void *arg)
{
	uintptr_t top = ((uintptr_t)stack_low + size) & ~(uintptr_t)15;
	/* Two zero words above the first frame, for tools that read a return address there. */
	uintptr_t *words = (uintptr_t *)top - 4;
	words[0] = (uintptr_t)entry;
	words[1] = (uintptr_t)arg;
	words[2] = 0;
	words[3] = 0;
	s->sp = words;
	s->fp = NULL;
	s->pc = (void *)fl__switch_entry;
	s->base = NULL;
}

#endif
