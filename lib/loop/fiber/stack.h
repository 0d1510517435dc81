/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/error.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The memory of a fiber is a block and a stack. A pool keeps free blocks and stacks for reuse, and
 * belongs to one thread.
 *
 * A stack is 132 KiB of address space. Its guard is 16 KiB of that, so that a frame larger than a
 * page does not jump over the guard. A pool keeps at most 64 free stacks warm. A trim looks for an
 * excess: the other free stacks with memory, or the blocks that were freed since the last trim,
 * outnumber the fibers, and are more than 64. If there is an excess, the trim gives back the memory
 * of all free stacks except the warm ones, and leaves at most one slab without a used or warm part.
 * So the number of free stacks with memory is at most the number of fibers plus 128. A busy
 * scheduler never trims. Instead, every 256th time that a fiber is freed, the pool checks for a
 * larger excess. So the free memory exceeds the number of fibers plus FL__STACK_SPARE for at most
 * about a second.
 *
 * A fiber and its token are a block of less than 600 bytes. A fiber has a stack from its first run
 * to its end. So an idle fiber costs its block and one page. Fibers that end without a wait
 * alternate between two stacks, which stay in the cache. In an earlier design each fiber was at the
 * top of a stack of its own; there 20,000 fibers in one group took 0.7 us each instead of 0.14, and
 * 82 MB instead of 14, while an idle fiber was 640 bytes smaller. fl__stack_reserve() reserves the
 * stack when a fiber is created, so the fiber's first run cannot fail. Slots are an odd number of
 * pages, because otherwise the tops of all stacks would share one set of the caches. The loop gives
 * the memory of ended fibers back when it has nothing else to do, and not during a burst.
 */
enum { FL__STACK_SIZE = 128 * 1024, FL__STACK_WARM = 64, FL__STACK_SPARE = 16 * 1024 };

struct fl__slab;
struct fl__stack_block;

struct fl__stack {
	char *low;   /* the lowest usable address, where the guard ends */
	size_t size; /* usable bytes above the guard */
	struct fl__slab *slab;
};

struct fl__stack_pool {
	size_t slot, guard; /* in bytes; a slot is a guard and a stack */
	size_t block, slab;
	struct fl__slab *slabs;         /* slabs with a free stack */
	struct fl__slab *newest;        /* the slab that has the unused blocks, or NULL */
	struct fl__stack_block *blocks; /* free blocks */
	size_t free_blocks;
	/* the free blocks that the last trim kept, which do not count as an excess */
	size_t kept_blocks;
	size_t used_blocks;
	size_t dirty;         /* free stacks with memory */
	fl_time excess_until; /* when the excess is to be cleaned */
	unsigned releases;    /* modulo the range */
	bool poisons;         /* free stacks, for AddressSanitizer and Valgrind */
	size_t warm_count;
	struct fl__stack warm[FL__STACK_WARM];
};

/*
 * `size` is the size of a stack with its guard; it is rounded up to pages, and 0 stands for
 * FL__STACK_SIZE. `block` is rounded up to cache lines.
 */
void fl__stack_pool_init(struct fl__stack_pool *pool, size_t size, size_t block);

/* Requires that all blocks were released. */
void fl__stack_pool_end(struct fl__stack_pool *pool);

/*
 * Returns a block with arbitrary content, and its slab, and reserves a stack. The result is 0 or
 * -ENOMEM.
 */
int fl__stack_reserve(struct fl__stack_pool *pool, void **block, struct fl__slab **slab);

/* Returns the reserved stack, with arbitrary content. */
struct fl__stack fl__stack_get(struct fl__stack_pool *pool);

/* Requires that no flow runs on the stack. */
void fl__stack_put(struct fl__stack_pool *pool, struct fl__stack stack);

/* Requires that the stack was put back. */
void fl__stack_release(struct fl__stack_pool *pool, void *block, struct fl__slab *slab);

void fl__stack_pool_trim(struct fl__stack_pool *pool);
