/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FIBER_STACK_H
#define FL_FIBER_STACK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Stacks with a guard below each, kept for reuse. A pool belongs to one thread.
 *
 * A stack is 132 KiB of address space. 16 KiB of it are the guard, so that a frame larger than a
 * page does not jump over it. The stack takes memory as it is touched, one page at first. So an
 * idle fiber costs one page, and 100,000 fibers 13.5 GB of address space. A stack keeps the touched
 * memory while it is used. A trim leaves at most as many free stacks with memory as there are used
 * stacks, plus 128. A busy scheduler never trims. Then, while stacks are put back, the free stacks
 * with memory exceed the used stacks plus FL__STACK_SPARE for at most a second. So a program that
 * starts and joins many fibers again and again pays for their memory once.
 */
enum { FL__STACK_SIZE = 128 * 1024, FL__STACK_WARM = 64, FL__STACK_SPARE = 16 * 1024 };

struct fl__slab;

struct fl__stack {
	char *low;   /* the guard ends here */
	size_t size; /* usable bytes above the guard */
	struct fl__slab *slab;
};

struct fl__stack_pool {
	size_t slot, guard;     /* sizes in bytes; a slot is a guard and a stack */
	struct fl__slab *slabs; /* slabs with a free slot */
	size_t out;             /* stacks in use */
	size_t dirty;           /* free stacks with memory */
	int64_t much_until;     /* when the excess is to be cleaned; 0: no excess */
	unsigned puts;          /* modulo the range */
	size_t warm_count;
	struct fl__stack warm[FL__STACK_WARM];
};

/* `size` includes the guard and is rounded up to pages; 0: FL__STACK_SIZE. */
void fl__stack_pool_init(struct fl__stack_pool *pool, size_t size);

/* Requires that all stacks were put back. */
void fl__stack_pool_end(struct fl__stack_pool *pool);

/* Returns 0; -ENOMEM: nothing has changed. The content of the stack is arbitrary. */
int fl__stack_get(struct fl__stack_pool *pool, struct fl__stack *stack);

/* Returns memory to the system if many free stacks have some. */
void fl__stack_pool_trim(struct fl__stack_pool *pool);

/* Requires that no flow runs on the stack. */
void fl__stack_put(struct fl__stack_pool *pool, struct fl__stack stack);

#endif
