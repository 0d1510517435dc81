/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FIBER_STACK_H
#define FL_FIBER_STACK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Stacks with a guard below each, kept for reuse. A pool belongs to one thread.
 *
 * A stack is 132 KiB of address space: 16 KiB of guard, which a frame that is larger than a page does not jump over, and the
 * rest to use. Memory it takes as it is touched, a page at first, so an idle fiber costs a page; the address space of
 * 100,000 is 13.5 GB. What a stack has touched it keeps while it is used, and for a while after that. The stacks that wait
 * for reuse with memory are at most as many as those that are used, and 128, after a trim. Where a
 * scheduler never has nothing to do, so that there is no trim, they are more than that and SPARE
 * for a second at most, while stacks are put back: so that a program which starts and joins any
 * number of fibers again and again pays for their memory once.
 */
enum { FL__STACK_SIZE = 128 * 1024, FL__STACK_WARM = 64, FL__STACK_SPARE = 16 * 1024 };

struct fl__slab;

struct fl__stack {
	char *low;   /* the guard ends here */
	size_t size; /* to use, above it */
	struct fl__slab *slab;
};

struct fl__stack_pool {
	size_t slot, guard;     /* sizes in bytes; a slot is a guard and a stack */
	struct fl__slab *slabs; /* those with a free slot */
	size_t out;             /* stacks that are used now */
	size_t dirty;           /* that are free, and have memory */
	int64_t much_until;     /* when those that are too many are to go; 0: they are not too many */
	unsigned puts;          /* modulo its range */
	size_t warm_count;
	struct fl__stack warm[FL__STACK_WARM];
};

/* `size` with the guard, rounded up to pages; 0: FL__STACK_SIZE. */
void fl__stack_pool_init(struct fl__stack_pool *pool, size_t size);

/* All stacks were put back. */
void fl__stack_pool_end(struct fl__stack_pool *pool);

/* 0, -ENOMEM: then nothing has happened. The content is arbitrary. */
int fl__stack_get(struct fl__stack_pool *pool, struct fl__stack *stack);

/* Gives memory back, if much of it waits for reuse. */
void fl__stack_pool_trim(struct fl__stack_pool *pool);

/* Nobody runs on it. */
void fl__stack_put(struct fl__stack_pool *pool, struct fl__stack stack);

#endif
