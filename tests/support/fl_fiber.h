/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FIBER_H
#define FL_FIBER_H

/*
 * Fibers for tests. In a fiber use FL_CHECK, never cmocka's assertions: they would leave by longjmp
 * to another stack.
 *
 *     struct fl__sched *s = fl_test_sched();
 *     struct fl__fiber *f = fl_test_fiber(s, wait_for_it, &event);
 *     fl_test_run(s);                                 // until all have ended
 *     fl_test_fiber_end(f);                           // it returned 0
 *     fl__sched_destroy(s);
 */
#include "fl_test.h"

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

static inline struct fl__sched *fl_test_sched(void)
{
	struct fl__sched *s = NULL;
	FL_OK(fl__sched_create(&s, NULL));
	return s;
}

static inline struct fl__fiber *fl_test_fiber(struct fl__sched *s, int (*function)(void *arg), void *arg)
{
	struct fl__fiber *f = NULL;
	FL_OK(fl__fiber_create(s, &f, function, arg, NULL));
	return f;
}

static inline void fl_test_run(struct fl__sched *s)
{
	FL_OK(fl__sched_run(s));
	FL_CHECK(s->fibers == 0);
}

static inline void fl_test_fiber_end(struct fl__fiber *f)
{
	int result = -1;
	FL_OK(fl__fiber_join(f, &result, FL_FOREVER, FL_SHIELDED));
	FL_CHECK(result == 0);
}

/* Runs `function(arg)` in a fiber of a scheduler of its own, and returns what it returned. */
static inline int fl_test_in_fiber(int (*function)(void *arg), void *arg)
{
	int result = -1;
	struct fl__sched *s = fl_test_sched();
	struct fl__fiber *f = fl_test_fiber(s, function, arg);
	fl_test_run(s);
	FL_OK(fl__fiber_join(f, &result, FL_FOREVER, FL_SHIELDED));
	fl__sched_destroy(s);
	return result;
}

/* A thread with a scheduler: `count` fibers that run function(arg + i * size). Each returns 0. */
typedef struct fl_test_fibers {
	int (*function)(void *arg);
	char *args;
	size_t size, count;
	fl_thread thread;
} fl_test_fibers;

static inline int fl_test_fibers_run(void *arg)
{
	const fl_test_fibers *t = arg;
	struct fl__sched *s = fl_test_sched();
	struct fl__fiber **f = calloc(t->count, sizeof(struct fl__fiber *));
	FL_CHECK(f != NULL);
	for (size_t i = 0; i < t->count; i++)
		f[i] = fl_test_fiber(s, t->function, t->args + i * t->size);
	fl_test_run(s);
	for (size_t i = 0; i < t->count; i++)
		fl_test_fiber_end(f[i]);
	free(f);
	fl__sched_destroy(s);
	return 0;
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
