/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_FIBER_SWITCH_H
#define FL_TEST_FIBER_SWITCH_H

/*
 * The cases of the stack switch, for both implementations: the library's own code
 * (test_fiber_switch.c) and ucontext (test_fiber_ucontext.c). The cases do not call the hooks for
 * tools, so they do not run under ThreadSanitizer, which cannot follow a bare switch.
 */
#include "fl_in_loop.h"

enum { STACK = 256 * 1024 };

/* A flow to which a case switches, and the way back. */
typedef struct flow {
	struct fl__switch here, there;
	char *stack;
	void (*body)(struct flow *f);
	unsigned count, tool;
	bool over;
} flow;

static void flow_back(flow *f)
{
	fl__switch_to(&f->there, &f->here);
}

static void flow_enter(void *arg)
{
	flow *f = arg;
	f->body(f);
	f->over = true;
	for (;;)
		flow_back(f);
}

static void flow_begin(flow *f, void (*body)(flow *f))
{
	*f = (flow){.stack = malloc(STACK), .body = body};
	f->tool = fl__tool_stack_add(f->stack, f->stack + STACK); /* for Valgrind */
	fl__switch_init(&f->there);
	fl__switch_prepare(&f->there, f->stack, STACK, flow_enter, f);
}

static void flow_go(flow *f)
{
	fl__switch_to(&f->here, &f->there);
}

static void flow_end(const flow *f)
{
	FL_CHECK(f->over);
	fl__tool_stack_remove(f->tool);
	free(f->stack);
}

static sigset_t usr1, before;

static void count_to_ten(flow *f)
{
	FL_IN_RANGE((char *)__builtin_frame_address(0) - f->stack, 0, STACK);
	sigaddset(&usr1, SIGUSR1);
	FL_OK(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
	while (++f->count < 10)
		flow_back(f);
}

FL_TEST(switch_goes_there_and_back)
{
	flow f;
	flow_begin(&f, count_to_ten);
	for (unsigned i = 1; i <= 10; i++) {
		flow_go(&f);
		assert_int_equal(f.count, i);
	}
	FL_OK(pthread_sigmask(SIG_UNBLOCK, &usr1, &before)); /* the mask belongs to the thread */
	FL_CHECK(sigismember(&before, SIGUSR1));
	flow_end(&f);
}

/*
 * Calls `f(arg)` with a distinct value in each callee-saved register; returns the bit mask of
 * changed registers.
 */
#if defined(__x86_64__) && defined(__LP64__)
#define HAS_FILL 1
uint64_t fl_test_fill(uint64_t seed, void (*f)(void *arg), void *arg);
__asm__(".pushsection .text\n"
        ".globl fl_test_fill\n"
        ".type fl_test_fill, @function\n"
        "fl_test_fill:\n"
        "\tpushq %rbx\n\tpushq %rbp\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\tpushq %rdi\n"
        "\tleaq 1(%rdi), %rbx\n\tleaq 2(%rdi), %rbp\n\tleaq 3(%rdi), %r12\n"
        "\tleaq 4(%rdi), %r13\n\tleaq 5(%rdi), %r14\n\tleaq 6(%rdi), %r15\n"
        "\tmovq %rsi, %rax\n\tmovq %rdx, %rdi\n"
        "\tcallq *%rax\n"
        "\tpopq %rdi\n\txorl %eax, %eax\n"
        "\tsubq %rdi, %rbx\n\tcmpq $1, %rbx\n\tje 1f\n\torq $1, %rax\n"
        "1:\tsubq %rdi, %rbp\n\tcmpq $2, %rbp\n\tje 1f\n\torq $2, %rax\n"
        "1:\tsubq %rdi, %r12\n\tcmpq $3, %r12\n\tje 1f\n\torq $4, %rax\n"
        "1:\tsubq %rdi, %r13\n\tcmpq $4, %r13\n\tje 1f\n\torq $8, %rax\n"
        "1:\tsubq %rdi, %r14\n\tcmpq $5, %r14\n\tje 1f\n\torq $16, %rax\n"
        "1:\tsubq %rdi, %r15\n\tcmpq $6, %r15\n\tje 1f\n\torq $32, %rax\n"
        "1:\tpopq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbp\n\tpopq %rbx\n"
        "\tretq\n"
        ".size fl_test_fill, .-fl_test_fill\n"
        ".popsection\n");
#elif defined(__aarch64__) && defined(__LP64__)
#define HAS_FILL 1
uint64_t fl_test_fill(uint64_t seed, void (*f)(void *arg), void *arg);
#define FILL(n) "\tadd x" #n ", x0, #" #n "\n"
#define TELL(n) "\tsub x" #n ", x" #n ", x9\n\tcmp x" #n ", #" #n "\n\tb.eq 1f\n\torr x0, x0, #1\n1:\n"
#define TELL_V(n, m) "\tfmov x10, d" #n "\n\tsub x10, x10, x9\n\tcmp x10, #" #m "\n\tb.eq 1f\n\torr x0, x0, #2\n1:\n"
__asm__(".pushsection .text\n"
        ".globl fl_test_fill\n"
        ".type fl_test_fill, %function\n"
        "fl_test_fill:\n"
        "\tstp x29, x30, [sp, #-176]!\n\tstp x19, x20, [sp, #16]\n\tstp x21, x22, [sp, #32]\n"
        "\tstp x23, x24, [sp, #48]\n\tstp x25, x26, [sp, #64]\n\tstp x27, x28, [sp, #80]\n"
        "\tstp d8, d9, [sp, #96]\n\tstp d10, d11, [sp, #112]\n\tstp d12, d13, [sp, #128]\n"
        "\tstp d14, d15, [sp, #144]\n\tstr x0, [sp, #160]\n" FILL(19) FILL(20) FILL(21) FILL(22) FILL(23) FILL(24)
            FILL(25) FILL(26) FILL(27) FILL(28) FILL(
		29) "\tfmov d8, x19\n\tfmov d9, x20\n\tfmov d10, x21\n\tfmov d11, x22\n"
                    "\tfmov d12, x23\n\tfmov d13, x24\n\tfmov d14, x25\n\tfmov d15, x26\n"
                    "\tmov x9, x1\n\tmov x0, x2\n\tblr x9\n\tldr x9, [sp, #160]\n\tmov x0, #0\n" TELL(19) TELL(20) TELL(
			21) TELL(22) TELL(23) TELL(24) TELL(25) TELL(26) TELL(27) TELL(28) TELL(29) TELL_V(8, 19)
                        TELL_V(9, 20) TELL_V(10, 21) TELL_V(11, 22) TELL_V(12, 23) TELL_V(13, 24) TELL_V(14, 25) TELL_V(
			    15, 26) "\tldp x19, x20, [sp, #16]\n\tldp x21, x22, [sp, #32]\n"
                                    "\tldp x23, x24, [sp, #48]\n\tldp x25, x26, [sp, #64]\n\tldp x27, x28, [sp, #80]\n"
                                    "\tldp d8, d9, [sp, #96]\n\tldp d10, d11, [sp, #112]\n\tldp d12, d13, [sp, #128]\n"
                                    "\tldp d14, d15, [sp, #144]\n\tldp x29, x30, [sp], #176\n\tret\n"
                                    ".size fl_test_fill, .-fl_test_fill\n"
                                    ".popsection\n");
#endif

#ifdef HAS_FILL
static void back_for(void *arg)
{
	flow_back(arg);
}

static void go_for(void *arg)
{
	flow_go(arg);
}

static void fill_there(flow *f)
{
	for (uint64_t i = 0; i < 100; i++)
		FL_CHECK(fl_test_fill(UINT64_C(0x123456789abc0000) + i, back_for, f) == 0);
}

FL_TEST(switch_keeps_the_registers_of_a_call)
{
	flow f;
	flow_begin(&f, fill_there);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(fl_test_fill(UINT64_C(0xfedcba9876540000) - i, go_for, &f), 0);
	flow_go(&f);
	flow_end(&f);
}
#endif

/* More values than registers, all of them used before and after the switch. */
static uint64_t many_values(flow *f, void (*cross)(flow *f), uint64_t seed)
{
	enum { VALUES = 24 };
	uint64_t whole[VALUES], sum = 0;
	double part[VALUES], parts = 0;
	for (unsigned i = 0; i < VALUES; i++) {
		whole[i] = seed * (i + 1);
		part[i] = (double)(seed % 97) * (i + 0.5);
	}
	cross(f);
	FL_EACH (i, whole) {
		sum += whole[i] ^ seed;
		parts += part[i];
	}
	return sum + (uint64_t)parts;
}

static void no_switch(flow *f)
{
}

static void values_there(flow *f)
{
	for (uint64_t seed = 1000; seed < 1100; seed++)
		FL_CHECK(many_values(f, flow_back, seed) == many_values(f, no_switch, seed));
}

FL_TEST(switch_keeps_values)
{
	flow f;
	flow_begin(&f, values_there);
	for (uint64_t seed = 0; seed < 100; seed++)
		assert_true(many_values(&f, flow_go, seed) == many_values(&f, no_switch, seed));
	flow_go(&f);
	flow_end(&f);
}

static void aligned_there(flow *f)
{
	_Alignas(16) volatile char here[16];
	here[0] = (char)f->count;
	FL_CHECK(((uintptr_t)here & 15) == 0);
	_Alignas(64) volatile char line[64];
	line[0] = here[0];
	FL_CHECK(((uintptr_t)line & 63) == 0);
	char text[64];
	/* Floating-point varargs need the alignment. */
	(void)snprintf(text, sizeof text, "%.3f", 1.5);
	FL_CHECK(strcmp(text, "1.500") == 0);
}

FL_TEST(switch_begins_on_an_aligned_stack)
{
	for (size_t off = 0; off < 16; off++) {
		flow f;
		flow_begin(&f, aligned_there);
		fl__switch_prepare(&f.there, f.stack + off, STACK - 2 * off, flow_enter, &f);
		flow_go(&f);
		flow_end(&f);
	}
}

#ifdef HAS_ROUNDING
static void round_there(flow *f)
{
	FL_CHECK(fl_test_rounding() == 1); /* as it was where the flow was made */
	fl_test_round(2);
	flow_back(f);
	FL_CHECK(fl_test_rounding() == 2);
}

FL_TEST(switch_keeps_the_rounding_of_each_flow)
{
	flow f;
	fl_test_round(1);
	flow_begin(&f, round_there);
	fl_test_round(0);
	flow_go(&f);
	assert_int_equal(fl_test_rounding(), 0);
	fl_test_round(3);
	flow_go(&f);
	assert_int_equal(fl_test_rounding(), 3);
	fl_test_round(0);
	flow_end(&f);
}
#endif

static void plain_enter(void *arg)
{
	flow *f = arg;
	for (;;) {
		f->count++;
		fl__switch_to_plain(&f->there, &f->here);
	}
}

FL_TEST(switch_plain_goes_there_and_back)
{
	flow f;
	flow_begin(&f, NULL);
	fl__switch_prepare(&f.there, f.stack, STACK, plain_enter, &f);
	for (unsigned i = 1; i <= 100; i++) {
		fl__switch_to_plain(&f.here, &f.there);
		assert_int_equal(f.count, i);
	}
	f.over = true;
	flow_end(&f);
}

/* Each flow goes to the next one, from the depth of its stack. */
enum { CHAIN = 200, DEPTH = 50 };
static flow chain[CHAIN];

static unsigned descend(flow *f, unsigned depth);
static unsigned (*volatile descend_again)(flow *f, unsigned depth) = descend; /* not inlined */

static unsigned descend(flow *f, unsigned depth)
{
	volatile unsigned mine = depth;
	if (depth > 0)
		return descend_again(f, depth - 1) + mine;
	if (f + 1 < chain + CHAIN) {
		flow_go(f + 1); /* the flow ends there, and control comes back here */
		return (f + 1)->count;
	}
	return 1;
}

static void chain_there(flow *f)
{
	f->count = descend(f, DEPTH);
}

FL_TEST(switch_nests_deeply)
{
	FL_EACH (i, chain)
		flow_begin(&chain[i], chain_there);
	flow_go(&chain[0]);
	assert_int_equal(chain[0].count, 1 + CHAIN * (DEPTH * (DEPTH + 1) / 2));
	FL_EACH (i, chain)
		flow_end(&chain[i]);
}

enum { FRAMES = 64 };
static void *frames[FRAMES];
static int frame_count;

static void backtrace_there(flow *f)
{
	frame_count = backtrace(frames, FRAMES);
	f->count++;
}

__attribute__((unused)) static void take_backtrace(void)
{
	flow f;
	flow_begin(&f, backtrace_there);
	flow_go(&f);
	flow_end(&f);
}

#endif
