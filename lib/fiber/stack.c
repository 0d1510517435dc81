/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slabs of 32 slots in one mapping each. A mapping is one piece of address space for the kernel,
 * which keeps at most 65,530 pieces for a process. A guard marker does not cut a piece; a guard by
 * protection does (sys.h). A slot gets its guard at its first use.
 *
 *   slot   is in                           memory      next state
 *   used   no list                         touched     warm; dirty, if enough are warm
 *   warm   pool->warm, last in first out   touched     used
 *   dirty  the `free` and `dirty` bits of  touched     used; clean, with all dirty slots, when they
 *          its slab                                    are many, or too many for a second
 *   clean  the `free` bits of its slab     none        used
 *
 * Returning memory costs a system call, and its reuse a page fault: together more than the rest of
 * a fiber. So the pool does it for runs of neighbours, only if too many slots are dirty, and when
 * the scheduler is idle or the excess has lasted a second. Then it also unmaps each slab whose
 * slots are all free, except one.
 */
#include "stack.h"
#include "../base/sys.h"
#include "sanitizer_valgrind.h"
#include <errno.h>
#include <stdbool.h>

enum { STACK_SLOTS = 32, STACK_CHECK_PERIOD = 256 /* puts */ };

struct fl__slab {
	struct fl__slab *next, *prev; /* in pool->slabs, while free != 0 */
	char *memory;
	uint32_t free, dirty, guarded; /* one bit per slot; dirty: free, with memory */
	unsigned tool[STACK_SLOTS];    /* fl__tool_stack_add() */
};

static size_t stack_round_up(size_t size, size_t page)
{
	return (size + page - 1) / page * page;
}

void fl__stack_pool_init(struct fl__stack_pool *pool, size_t size)
{
	enum { GUARD = 16 * 1024, LEAST = 16 * 1024 };
	size_t page = fl__page_size();
	/*
	 * The system refuses a slab of slots of size `most`. The size of that slab does not
	 * overflow.
	 */
	const size_t most = SIZE_MAX / STACK_SLOTS - 3 * page;
	*pool = (struct fl__stack_pool){.guard = stack_round_up(GUARD, page)};
	size = stack_round_up(size == 0 ? FL__STACK_SIZE : size < most ? size : most, page);
	pool->slot = size < pool->guard + LEAST ? pool->guard + stack_round_up(LEAST, page) : size;
	/*
	 * An odd number of pages spreads the tops of the stacks, which each switch touches, over
	 * the sets of the caches.
	 */
	if (pool->slot / page % 2 == 0)
		pool->slot += page;
}

static void stack_list_slab(struct fl__stack_pool *pool, struct fl__slab *slab)
{
	slab->prev = NULL;
	slab->next = pool->slabs;
	if (slab->next)
		slab->next->prev = slab;
	pool->slabs = slab;
}

static void stack_unlist_slab(struct fl__stack_pool *pool, struct fl__slab *slab)
{
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		pool->slabs = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
}

static struct fl__slab *stack_add_slab(struct fl__stack_pool *pool)
{
	struct fl__slab *slab = fl__alloc(1, sizeof *slab);
	if (!slab)
		return NULL;
	slab->memory = fl__sys.map(STACK_SLOTS * pool->slot);
	if (!slab->memory) {
		fl__free(slab);
		return NULL;
	}
	slab->free = UINT32_MAX;
	stack_list_slab(pool, slab);
	return slab;
}

static void stack_free_slab(struct fl__stack_pool *pool, struct fl__slab *slab)
{
	stack_unlist_slab(pool, slab);
	pool->dirty -= (size_t)__builtin_popcount(slab->dirty);
	for (unsigned i = 0; i < STACK_SLOTS; i++)
		if (slab->guarded >> i & 1)
			fl__tool_stack_remove(slab->tool[i]);
	fl__sys.unmap(slab->memory, STACK_SLOTS * pool->slot);
	fl__free(slab);
}

static int stack_guard_slot(const struct fl__stack_pool *pool, struct fl__slab *slab, unsigned i)
{
	if (slab->guarded >> i & 1)
		return 0;
	char *slot = slab->memory + i * pool->slot;
	int rc = fl__sys.guard(slot, pool->guard);
	if (rc != 0)
		return rc;
	slab->guarded |= UINT32_C(1) << i;
	slab->tool[i] = fl__tool_stack_add(slot + pool->guard, slot + pool->slot);
	return 0;
}

static int stack_get_free(struct fl__stack_pool *pool, struct fl__stack *stack)
{
	struct fl__slab *slab = pool->slabs ? pool->slabs : stack_add_slab(pool);
	if (!slab)
		return -ENOMEM;
	unsigned i = (unsigned)__builtin_ctz(slab->dirty ? slab->dirty : slab->free);
	if (stack_guard_slot(pool, slab, i) != 0) {
		if (slab->free == UINT32_MAX)
			stack_free_slab(pool, slab);
		return -ENOMEM;
	}
	pool->dirty -= slab->dirty >> i & 1;
	slab->dirty &= ~(UINT32_C(1) << i);
	slab->free &= ~(UINT32_C(1) << i);
	if (slab->free == 0)
		stack_unlist_slab(pool, slab);
	stack->low = slab->memory + i * pool->slot + pool->guard;
	stack->size = pool->slot - pool->guard;
	stack->slab = slab;
	return 0;
}

int fl__stack_get(struct fl__stack_pool *pool, struct fl__stack *stack)
{
	if (pool->warm_count > 0) {
		*stack = pool->warm[--pool->warm_count];
	} else {
		int rc = stack_get_free(pool, stack);
		if (rc != 0)
			return rc;
	}
	pool->out++;
	return 0;
}

static void stack_discard_slab(const struct fl__stack_pool *pool, struct fl__slab *slab)
{
	while (slab->dirty) {
		unsigned first = (unsigned)__builtin_ctz(slab->dirty), count = 1;
		while (first + count < STACK_SLOTS && (slab->dirty >> (first + count) & 1))
			count++;
		fl__sys.discard(slab->memory + first * pool->slot, count * pool->slot);
		slab->dirty &= count < STACK_SLOTS ? ~(((UINT32_C(1) << count) - 1) << first) : 0;
	}
}

/* Returns the memory of free slots, and unmaps slabs without a used slot, except one. */
static void stack_discard_free(struct fl__stack_pool *pool)
{
	for (struct fl__slab *slab = pool->slabs, *next; slab; slab = next) {
		next = slab->next;
		if (slab->free == UINT32_MAX && (slab->next || slab->prev))
			stack_free_slab(pool, slab);
		else
			stack_discard_slab(pool, slab);
	}
	pool->dirty = 0;
	pool->much_until = 0;
}

/* Returns the memory of free stacks that have been too many for a second. */
static void stack_check_excess(struct fl__stack_pool *pool)
{
	if (pool->dirty <= pool->out + FL__STACK_SPARE)
		pool->much_until = 0;
	else if (pool->much_until == 0)
		pool->much_until = fl__later(fl__sys.now(), FL_S(1));
	else if (fl__is_expired(pool->much_until))
		stack_discard_free(pool);
}

void fl__stack_pool_trim(struct fl__stack_pool *pool)
{
	if (pool->dirty > FL__STACK_WARM && pool->dirty > pool->out)
		stack_discard_free(pool);
}

static void stack_put_free(struct fl__stack_pool *pool, struct fl__stack stack)
{
	struct fl__slab *slab = stack.slab;
	uint32_t bit = UINT32_C(1) << (size_t)(stack.low - slab->memory) / pool->slot;
	if (slab->free == 0)
		stack_list_slab(pool, slab);
	slab->free |= bit;
	slab->dirty |= bit;
	pool->dirty++;
}

void fl__stack_put(struct fl__stack_pool *pool, struct fl__stack stack)
{
	fl__tool_stack_reset(stack.low, stack.size);
	pool->out--;
	if (pool->warm_count < FL__STACK_WARM)
		pool->warm[pool->warm_count++] = stack;
	else
		stack_put_free(pool, stack);
	if (++pool->puts % STACK_CHECK_PERIOD == 0)
		stack_check_excess(pool);
}

void fl__stack_pool_end(struct fl__stack_pool *pool)
{
	while (pool->warm_count > 0)
		stack_put_free(pool, pool->warm[--pool->warm_count]);
	while (pool->slabs)
		stack_free_slab(pool, pool->slabs);
}
