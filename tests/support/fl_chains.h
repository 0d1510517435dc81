/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CHAINS_H
#define FL_CHAINS_H

/*
 * For the tests of the unbounded queues: counts every block of memory. FL_COUNTING() keeps the
 * count until the end of the block; `chains_live` is the number of blocks that were allocated since
 * then and still exist, and `chains_made` the number of all blocks that were allocated since then.
 */
#include "fl_faults.h"

static int chains_live, chains_made;

static inline void *chains_alloc(size_t size)
{
	void *memory = fl_test_real_sys.alloc(size);
	if (memory) {
		fl__add_relaxed(&chains_live, 1);
		fl__add_relaxed(&chains_made, 1);
	}
	return memory;
}

static inline void chains_free(void *memory)
{
	if (memory)
		fl__add_relaxed(&chains_live, -1);
	fl_test_real_sys.free(memory);
}

static inline void chains_count(void)
{
	fl__store_relaxed(&chains_live, 0);
	fl__store_relaxed(&chains_made, 0);
	fl__sys.alloc = chains_alloc;
	fl__sys.free = chains_free;
}

#define FL_COUNTING()                                                                                                  \
	FL_FAULTS();                                                                                                   \
	chains_count()

/* Allows that many more blocks; after them there is no memory. */
static int chains_left;

static inline void *chains_alloc_some(size_t size)
{
	return fl__add_relaxed(&chains_left, -1) > 0 ? chains_alloc(size) : NULL;
}

static inline void chains_allow(int blocks)
{
	fl__store_relaxed(&chains_left, blocks);
	fl__sys.alloc = chains_alloc_some;
}

#endif
