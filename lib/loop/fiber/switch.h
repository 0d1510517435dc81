/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The stack switch.
 *
 *     struct fl__switch here, there;
 *     fl__switch_init(&there);
 *     fl__switch_prepare(&there, stack, size, entry, arg);
 *     fl__switch_to(&here, &there);           // runs entry(arg) until it switches back to `here`
 *
 * On CPUs other than x86-64 and aarch64, or with FL__SWITCH_UCONTEXT, the switch uses ucontext.
 *
 * The inline assembly lists the registers as clobbered, so the compiler saves only the registers
 * that it still needs, usually none. The assembly saves the registers that cannot be listed: the
 * stack pointer, the frame pointer, and the register that clang keeps for frames of variable size
 * (rbx, x19). It pushes nothing, because the suspended function may have data in the red zone below
 * its stack pointer.
 *
 * fl__switch_to() saves and restores the floating-point control words; of its 4 ns, reading mxcsr
 * takes 3. fl__switch_to_plain() does not touch these words. A flow must always use the same form.
 *
 * A backtrace from a signal handler inside the switch may be wrong. The switch does not work with a
 * hardware shadow stack (CET), so fl__sched_create() refuses.
 */

#if !defined(FL__SWITCH_UCONTEXT) &&                                                                                   \
    !((defined(__x86_64__) && defined(__LP64__)) || (defined(__aarch64__) && defined(__LP64__)))
#define FL__SWITCH_UCONTEXT 1
#endif

#ifdef FL__SWITCH_UCONTEXT
#include <signal.h>
#include <ucontext.h>
#endif

struct fl__switch {
#ifdef FL__SWITCH_UCONTEXT
	ucontext_t context;
	void (*entry)(void *arg);
	void *arg;
#else
	/* Offsets in the assembly: 0, 8, 16, 24, 32, and on x86-64 36. */
	void *sp, *fp, *pc;
	void *base;       /* rbx, x19 */
	uint32_t control; /* mxcsr, fpcr */
	uint16_t x87;
#endif
};

/* Stores the calling thread's floating-point control words in `s`. */
void fl__switch_init(struct fl__switch *s);

/*
 * Called after fl__switch_init(). The first switch to `s` calls entry(arg) on the stack, with the
 * stored control words. `entry` must not return.
 */
void fl__switch_prepare(struct fl__switch *s, void *stack_low, size_t size, void (*entry)(void *arg), void *arg);

#define FL__SWITCH_INLINE static inline __attribute__((always_inline))

/*
 * fl__switch_to() and fl__switch_to_plain() suspend the caller in `from` and resume `to`. They
 * return after a switch to `from` on the same thread. They leave errno and the signal mask alone.
 */
#ifdef FL__SWITCH_UCONTEXT

FL__SWITCH_INLINE void fl__switch_to(struct fl__switch *from, struct fl__switch *to)
{
	/* swapcontext() would set the mask of `to`, but here the mask belongs to the thread. */
	(void)pthread_sigmask(SIG_BLOCK, NULL, &to->context.uc_sigmask);
	(void)swapcontext(&from->context, &to->context); /* fails only for bad addresses */
}

#define fl__switch_to_plain fl__switch_to

#elif defined(__x86_64__)

#ifdef __AVX512F__
#define FL__SWITCH_AVX512                                                                                              \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",  \
	    "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define FL__SWITCH_AVX512
#endif

#define FL__SWITCH(save_control, load_control)                                                                         \
	__asm__ volatile(save_control "leaq 1f(%%rip), %%rax\n\t"                                                      \
	                              "movq %%rsp, 0(%%rdi)\n\t"                                                       \
	                              "movq %%rbp, 8(%%rdi)\n\t"                                                       \
	                              "movq %%rax, 16(%%rdi)\n\t"                                                      \
	                              "movq %%rbx, 24(%%rdi)\n\t" load_control "movq 8(%%rsi), %%rbp\n\t"              \
	                              "movq 24(%%rsi), %%rbx\n\t"                                                      \
	                              "movq 0(%%rsi), %%rsp\n\t"                                                       \
	                              "jmpq *16(%%rsi)\n\t"                                                            \
	                              "1:\n\t"                                                                         \
	                              "endbr64"                                                                        \
	                 : "+D"(from), "+S"(to)                                                                        \
	                 :                                                                                             \
	                 : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1",  \
	                   "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",  \
	                   "xmm13", "xmm14", "xmm15", "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st",    \
	                   "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory",                    \
	                   "cc" FL__SWITCH_AVX512)

FL__SWITCH_INLINE void fl__switch_to(struct fl__switch *from, struct fl__switch *to)
{
	/* Always loads mxcsr, because comparing first would take longer. */
	FL__SWITCH("stmxcsr 32(%%rdi)\n\tfnstcw 36(%%rdi)\n\t",
	           "ldmxcsr 32(%%rsi)\n\tmovzwl 36(%%rdi), %%ecx\n\tcmpw 36(%%rsi), %%cx\n\tje 2f\n\tfldcw "
	           "36(%%rsi)\n\t2:\n\t");
}

FL__SWITCH_INLINE void fl__switch_to_plain(struct fl__switch *from, struct fl__switch *to)
{
	FL__SWITCH("", "");
}

#else /* aarch64 */

#ifdef __ARM_FEATURE_SVE
#define FL__SWITCH_SVE                                                                                                 \
	, "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15"
#else
#define FL__SWITCH_SVE
#endif

/*
 * The instruction "hint 36" is "bti j". The code compares the control word before it writes it,
 * because a write waits for the pipeline.
 */
#define FL__SWITCH(save_control, load_control)                                                                         \
	register struct fl__switch *x0 __asm__("x0") = from;                                                           \
	register struct fl__switch *x1 __asm__("x1") = to;                                                             \
	__asm__ volatile(save_control "adr x9, 1f\n\t"                                                                 \
	                              "mov x10, sp\n\t"                                                                \
	                              "stp x10, x29, [x0]\n\t"                                                         \
	                              "stp x9, x19, [x0, #16]\n\t" load_control "ldp x10, x29, [x1]\n\t"               \
	                              "ldp x9, x19, [x1, #16]\n\t"                                                     \
	                              "mov sp, x10\n\t"                                                                \
	                              "br x9\n\t"                                                                      \
	                              "1:\n\t"                                                                         \
	                              "hint #36"                                                                       \
	                 : "+r"(x0), "+r"(x1)                                                                          \
	                 :                                                                                             \
	                 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",   \
	                   "x16", "x17", "x18", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30",  \
	                   "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",     \
	                   "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",  \
	                   "v27", "v28", "v29", "v30", "v31", "memory", "cc" FL__SWITCH_SVE)

FL__SWITCH_INLINE void fl__switch_to(struct fl__switch *from, struct fl__switch *to)
{
	FL__SWITCH("mrs x11, fpcr\n\tstr w11, [x0, #32]\n\t",
	           "ldr w12, [x1, #32]\n\tcmp w11, w12\n\tb.eq 2f\n\tmsr fpcr, x12\n\t2:\n\t");
}

FL__SWITCH_INLINE void fl__switch_to_plain(struct fl__switch *from, struct fl__switch *to)
{
	FL__SWITCH("", "");
}

#endif
