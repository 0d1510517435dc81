/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of fibers. A slab is one mapping that contains 32 blocks, followed by 32 stacks. So a
 * process with many fibers uses few of its 65,530 mappings (vm.max_map_count). A guard marker
 * (MADV_GUARD_INSTALL) does not split a mapping; a guard made with mprotect() does.
 *
 *   stack    is in                           memory      next state
 *   unused   no list, without a guard        none        clean, when the block of its number is
 *                                                        first used
 *   used     no list                         touched     warm; dirty, if enough are warm
 *   warm     pool->warm, last in first out   touched     used
 *   dirty    the `free` and `dirty` bits of  touched     used; clean, with all dirty stacks: when
 *            its slab                                    an excess has lasted for a second, or
 *                                                        when an idle scheduler finds one
 *   clean    the `free` bits of its slab     none        used
 *
 *   block    is in
 *   unused   no list: blocks from `made` on of the slab that pool->newest points to
 *   used     no list
 *   free     pool->blocks, last in first out
 *
 * When fl__stack_get() is called, fewer stacks than blocks are in use, so it always finds a stack.
 * To return memory to the system costs a system call, and to reuse it costs page faults. So the
 * pool returns only an excess, a run of neighbouring stacks at a time. Then it also frees each slab
 * without used blocks and warm stacks, unless no other slab has a free stack.
 */
#include "stack.h"
#include "core/base/atomic.h"
#include "core/base/list.h"
#include "core/base/sys.h"
#include "sanitizer_valgrind.h"
#include <errno.h>
#include <stdbool.h>

enum { STACK_SLOTS = 32, STACK_CHECK_PERIOD = 256 /* releases */, STACK_LINE = 64 };

struct fl__slab {
	struct fl__slab *next, **link; /* the list pool->slabs, while `free` is not 0 */
	char *memory;
	unsigned made, used; /* how many blocks were ever used, and are in use now */
	/* a bit for each stack; a dirty stack is free, and has memory */
	uint32_t free, dirty;
	unsigned tool[STACK_SLOTS]; /* results of fl__tool_stack_add() */
};

struct fl__stack_block {
	struct fl__stack_block *next, **link; /* in pool->blocks */
	struct fl__slab *slab;
};

void fl__stack_pool_init(struct fl__stack_pool *pool, size_t size, size_t block)
{
	enum { GUARD = 16 * 1024, LEAST = 16 * 1024 };
	size_t page = fl__page_size();
	/* A pool with larger slots fails later, because its slab cannot be mapped. */
	const size_t most = SIZE_MAX / STACK_SLOTS - 4 * page;
	*pool = (struct fl__stack_pool){.guard = FL__ROUND_UP((size_t)GUARD, page), .poisons = fl__tool_watches()};
	size = FL__ROUND_UP(size == 0 ? FL__STACK_SIZE : FL__MIN(size, most), page);
	pool->slot = size < pool->guard + LEAST ? pool->guard + FL__ROUND_UP((size_t)LEAST, page) : size;
	/* An odd number of pages spreads the stacks' tops over the cache's sets. */
	if (pool->slot / page % 2 == 0)
		pool->slot += page;
	pool->block = FL__ROUND_UP(FL__MAX(block, sizeof(struct fl__stack_block)), STACK_LINE);
	pool->slab = FL__ROUND_UP(STACK_SLOTS * pool->block, page) + STACK_SLOTS * pool->slot;
}

static char *stack_slot(const struct fl__stack_pool *pool, const struct fl__slab *slab, unsigned i)
{
	return slab->memory + pool->slab - (STACK_SLOTS - i) * pool->slot;
}

static void stack_search(const struct fl__stack_pool *pool, const struct fl__slab *slab, unsigned i, bool searched)
{
	fl__tool_search(stack_slot(pool, slab, i) + pool->guard, pool->slot - pool->guard, searched);
}

static void stack_search_blocks(const struct fl__stack_pool *pool, const struct fl__slab *slab, bool searched)
{
	fl__tool_search(slab->memory, pool->slab - STACK_SLOTS * pool->slot, searched);
}

static struct fl__slab *stack_make_slab(const struct fl__stack_pool *pool)
{
	struct fl__slab *slab = fl__alloc(1, sizeof *slab);
	if (!slab)
		return NULL;
	slab->memory = fl__sys.map(pool->slab);
	if (!slab->memory) {
		fl__free(slab);
		return NULL;
	}
	stack_search_blocks(pool, slab, true);
	return slab;
}

static void stack_free_slab(const struct fl__stack_pool *pool, struct fl__slab *slab)
{
	for (unsigned i = 0; i < slab->made; i++) {
		fl__tool_stack_remove(slab->tool[i]);
		stack_search(pool, slab, i, false);
		if (pool->poisons)
			fl__tool_unpoison(stack_slot(pool, slab, i), pool->slot);
	}
	stack_search_blocks(pool, slab, false);
	fl__sys.unmap(slab->memory, pool->slab);
	fl__free(slab);
}

static uint32_t stack_bits(unsigned count)
{
	return count < STACK_SLOTS ? (UINT32_C(1) << count) - 1 : UINT32_MAX;
}

/* Makes a block, and a clean stack with a guard. */
static int stack_make_block(struct fl__stack_pool *pool, struct fl__slab *slab)
{
	const unsigned i = slab->made;
	char *slot = stack_slot(pool, slab, i);
	int rc = fl__sys.guard(slot, pool->guard);
	if (rc != 0)
		return -ENOMEM;
	slab->tool[i] = fl__tool_stack_add(slot + pool->guard, slot + pool->slot);
	stack_search(pool, slab, i, true);
	if (slab->free == 0)
		FL__LIST_ADD(&pool->slabs, slab);
	slab->free |= UINT32_C(1) << i;
	slab->made++;
	pool->newest = slab->made < STACK_SLOTS ? slab : NULL;
	return 0;
}

static int stack_get_unused_block(struct fl__stack_pool *pool, void **block, struct fl__slab **slab)
{
	struct fl__slab *from = pool->newest ? pool->newest : stack_make_slab(pool);
	if (!from)
		return -ENOMEM;
	int rc = stack_make_block(pool, from);
	if (rc != 0) {
		if (from->made == 0)
			stack_free_slab(pool, from);
		return rc;
	}
	*block = from->memory + (from->made - 1) * pool->block;
	*slab = from;
	return 0;
}

int fl__stack_reserve(struct fl__stack_pool *pool, void **block, struct fl__slab **slab)
{
	struct fl__stack_block *b = pool->blocks;
	if (b) {
		FL__LIST_REMOVE(b);
		pool->free_blocks--;
		if (pool->kept_blocks > pool->free_blocks)
			pool->kept_blocks = pool->free_blocks;
		/* prefetches the block of the next fiber */
		for (size_t i = STACK_LINE; b->next && i < pool->block; i += STACK_LINE)
			__builtin_prefetch((char *)b->next + i, 1);
		*block = b;
		*slab = b->slab;
	} else {
		int rc = stack_get_unused_block(pool, block, slab);
		if (rc != 0)
			return rc;
	}
	(*slab)->used++;
	pool->used_blocks++;
	return 0;
}

static struct fl__stack stack_get_free(struct fl__stack_pool *pool)
{
	struct fl__slab *slab = pool->slabs;
	const unsigned i = (unsigned)__builtin_ctz(slab->dirty ? slab->dirty : slab->free);
	pool->dirty -= slab->dirty >> i & 1;
	slab->dirty &= ~(UINT32_C(1) << i);
	slab->free &= ~(UINT32_C(1) << i);
	if (slab->free == 0)
		FL__LIST_REMOVE(slab);
	return (struct fl__stack){stack_slot(pool, slab, i) + pool->guard, pool->slot - pool->guard, slab};
}

struct fl__stack fl__stack_get(struct fl__stack_pool *pool)
{
	const struct fl__stack stack = pool->warm_count > 0 ? pool->warm[--pool->warm_count] : stack_get_free(pool);
	if (fl__unlikely(pool->poisons))
		fl__tool_unpoison(stack.low, stack.size);
	return stack;
}

static void stack_discard_slab(const struct fl__stack_pool *pool, struct fl__slab *slab)
{
	while (slab->dirty) {
		unsigned first = (unsigned)__builtin_ctz(slab->dirty), count = 1;
		while (first + count < STACK_SLOTS && (slab->dirty >> (first + count) & 1))
			count++;
		fl__sys.discard(stack_slot(pool, slab, first), count * pool->slot);
		slab->dirty &= count < STACK_SLOTS ? ~(((UINT32_C(1) << count) - 1) << first) : 0;
	}
}

static void stack_drop_slab(struct fl__stack_pool *pool, struct fl__slab *slab)
{
	for (unsigned i = 0; i < slab->made; i++)
		FL__LIST_REMOVE((struct fl__stack_block *)(void *)(slab->memory + i * pool->block));
	pool->free_blocks -= slab->made;
	pool->dirty -= (size_t)__builtin_popcount(slab->dirty);
	if (pool->newest == slab)
		pool->newest = NULL;
	FL__LIST_REMOVE(slab);
	stack_free_slab(pool, slab);
}

static void stack_discard_free(struct fl__stack_pool *pool)
{
	FL__EACH_SAFE (struct fl__slab, slab, pool->slabs) {
		if (slab->used == 0 && slab->free == stack_bits(slab->made) && (slab->next || slab != pool->slabs))
			stack_drop_slab(pool, slab);
		else
			stack_discard_slab(pool, slab);
	}
	pool->dirty = 0;
	pool->kept_blocks = pool->free_blocks;
	pool->excess_until = FL_FOREVER;
}

static bool stack_is_excess(const struct fl__stack_pool *pool, size_t spare)
{
	return pool->dirty > spare || pool->free_blocks - pool->kept_blocks > spare;
}

static void stack_check_excess(struct fl__stack_pool *pool)
{
	if (!stack_is_excess(pool, pool->used_blocks + FL__STACK_SPARE))
		pool->excess_until = FL_FOREVER;
	else if (fl__is_forever(pool->excess_until))
		pool->excess_until = fl_after(FL_S(1));
	else if (fl__is_expired(pool->excess_until))
		stack_discard_free(pool);
}

void fl__stack_pool_trim(struct fl__stack_pool *pool)
{
	if (stack_is_excess(pool, FL__MAX(pool->used_blocks, FL__STACK_WARM)))
		stack_discard_free(pool);
}

static void stack_put_free(struct fl__stack_pool *pool, struct fl__stack stack)
{
	struct fl__slab *slab = stack.slab;
	uint32_t bit = UINT32_C(1) << (size_t)(stack.low - stack_slot(pool, slab, 0)) / pool->slot;
	if (slab->free == 0)
		FL__LIST_ADD(&pool->slabs, slab);
	slab->free |= bit;
	slab->dirty |= bit;
	pool->dirty++;
}

void fl__stack_put(struct fl__stack_pool *pool, struct fl__stack stack)
{
	if (fl__unlikely(pool->poisons))
		fl__tool_poison(stack.low, stack.size);
	if (pool->warm_count < FL__STACK_WARM)
		pool->warm[pool->warm_count++] = stack;
	else
		stack_put_free(pool, stack);
}

void fl__stack_release(struct fl__stack_pool *pool, void *block, struct fl__slab *slab)
{
	struct fl__stack_block *b = block;
	b->slab = slab;
	FL__LIST_ADD(&pool->blocks, b);
	pool->free_blocks++;
	slab->used--;
	pool->used_blocks--;
	if (++pool->releases % STACK_CHECK_PERIOD == 0)
		stack_check_excess(pool);
}

void fl__stack_pool_end(struct fl__stack_pool *pool)
{
	while (pool->warm_count > 0)
		stack_put_free(pool, pool->warm[--pool->warm_count]);
	while (pool->slabs)
		stack_drop_slab(pool, pool->slabs);
}
