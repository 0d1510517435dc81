/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FIBER_H
#define FL_FIBER_H

/*
 * What the tests of fibers need beside fl_in_loop.h: the rounding mode, stacks, and many fibers.
 *
 *     fl_test_fibers fibers;
 *     fl_test_fibers_begin(&fibers, wait_for_word, words, sizeof *words, 100);   // on a thread
 *     ...
 *     fl_test_fibers_end(&fibers);                                               // each returned 0
 */
#include "fl_in_loop.h"

#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "loop/fiber/scheduler.h"

/*
 * The rounding mode of this thread, in the machine's own numbers, of which 0 is "to nearest";
 * fesetround() is in another library.
 */
#if defined(__x86_64__)
#define HAS_ROUNDING 1
static inline unsigned fl_test_rounding(void)
{
	uint32_t control;
	uint16_t x87;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(control), "=m"(x87));
	FL_CHECK((control >> 13 & 3) == (x87 >> 10 & 3u));
	return control >> 13 & 3;
}

static inline void fl_test_round(unsigned mode)
{
	uint32_t control;
	uint16_t x87;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(control), "=m"(x87));
	control = (control & ~(UINT32_C(3) << 13)) | mode << 13;
	x87 = (uint16_t)((x87 & ~(3u << 10)) | mode << 10);
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(control), "m"(x87));
}
#elif defined(__aarch64__)
#define HAS_ROUNDING 1
static inline unsigned fl_test_rounding(void)
{
	uint64_t control;
	__asm__ volatile("mrs %0, fpcr" : "=r"(control));
	return (unsigned)(control >> 22 & 3);
}

static inline void fl_test_round(unsigned mode)
{
	uint64_t control;
	__asm__ volatile("mrs %0, fpcr" : "=r"(control));
	control = (control & ~(UINT64_C(3) << 22)) | (uint64_t)mode << 22;
	__asm__ volatile("msr fpcr, %0" : : "r"(control));
}
#endif

/* The memory of a fiber that has begun. */
enum { FL_TEST_BLOCK = 500 };
struct fl_test_memory {
	struct fl__stack stack;
	void *block;
	struct fl__slab *slab;
};

static inline int fl_test_get_memory(struct fl__stack_pool *pool, struct fl_test_memory *m)
{
	int rc = fl__stack_reserve(pool, &m->block, &m->slab);
	if (rc == 0)
		m->stack = fl__stack_get(pool);
	return rc;
}

static inline void fl_test_put_memory(struct fl__stack_pool *pool, struct fl_test_memory m)
{
	fl__stack_put(pool, m.stack);
	fl__stack_release(pool, m.block, m.slab);
}

/* A thread with a loop: `count` fibers that run function(arg + i * size). Each returns 0. */
typedef struct fl_test_fibers {
	int (*function)(void *arg);
	char *args;
	size_t size, count;
	fl_thread thread;
} fl_test_fibers;

static inline int fl_test_fibers_in_loop(void *arg)
{
	const fl_test_fibers *t = arg;
	fl_fiber **f = calloc(t->count, sizeof(fl_fiber *));
	FL_CHECK(f != NULL);
	for (size_t i = 0; i < t->count; i++)
		f[i] = fl_test_start(t->function, t->args + i * t->size);
	for (size_t i = 0; i < t->count; i++)
		FL_OK(fl_test_join(f[i]));
	free(f);
	return 0;
}

static inline int fl_test_fibers_run(void *arg)
{
	return fl_loop_run(fl_test_fibers_in_loop, arg);
}

/* Runs them here. */
static inline void fl_test_fibers_here(int (*function)(void *), void *args, size_t size, size_t count)
{
	fl_test_fibers t = {function, args, size, count, {NULL}};
	FL_OK(fl_test_fibers_run(&t));
}

static inline void fl_test_fibers_begin(fl_test_fibers *t, int (*function)(void *), void *args, size_t size,
                                        size_t count)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* the thread's loop does */
	*t = (fl_test_fibers){function, args, size, count, {NULL}};
	fl_test_go(&t->thread, fl_test_fibers_run, t);
}

static inline void fl_test_fibers_end(fl_test_fibers *t)
{
	int result = -1;
	FL_OK(fl_thread_join_until(&t->thread, &result, FL_FOREVER, FL_SHIELDED));
	FL_CHECK(result == 0);
}

#endif
