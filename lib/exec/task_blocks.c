/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task blocks and their pools.
 *
 * A pool has slabs, shards and a depot. A shard caches a few free blocks of each size: a context
 * that makes and frees blocks uses only its shard, without contention. The depot is the free list
 * of all other blocks, in chains of about CHAIN. So contexts that only make blocks, and contexts
 * that only free blocks, meet once in CHAIN blocks.
 *
 *   word          meaning                               written by
 *   busy          1: a context uses the shard           the context: a swap; a store when it leaves
 *   ended         no more blocks are made; a context    fl__task_blocks_free(), in the shard
 *                 that frees one counts it in `left`
 *   out           blocks made here less blocks freed    the context in the shard; wraps
 *                 here
 *   left          blocks in use, once the shards are    subtraction by a context that frees a block
 *                 summed up; more before that           at an ended shard, or gives up the
 *                                                       pool; at 0 it frees the pool
 *   held          contexts, in units of HOLD, that use  the context: CAS, unless SHUT, when it
 *                 the executor without a task there     comes; subtraction when it goes
 *     SHUT        the executor is being freed           fl__task_blocks_shut(); never cleared
 *   depot, slabs                                        under `lock`
 *
 * Invariants
 *   1. A block in no chain is in use, and counted once: in the `out` of a shard, or in `left`. So
 *      the pool outlives its blocks; a future may outlive its executor. A context that frees a
 *      block last uses the pool when it leaves the shard, or by its subtraction from `left`.
 *   2. The memory of a pool's block stays a block of the same size, with the state of its last
 *      future, as long as the pool: another thread may still read that state
 *      (fl__future_ref_running()).
 *   3. `left` reaches 0 once: it starts at EARLY, above the number of blocks. fl__task_blocks_free()
 *      subtracts EARLY, less the sum of all `out`.
 *   4. A context in a shard never waits.
 */
#include "task_blocks.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/context.h"
#include "../wait/lock.h"
#include <string.h>

/*
 * Two block sizes: for small arguments and results, and one that few tasks exceed. Both are an odd
 * number of cache lines, so that blocks' first lines spread over a cache's sets. Macros, so that a
 * build can make every block an allocation (0), where tools see its last use, or use one shard.
 */
#ifndef FL__TASK_BLOCK_SMALL
#define FL__TASK_BLOCK_SMALL (3 * 64)
#define FL__TASK_BLOCK_LARGE (7 * 64)
#endif
#ifndef FL__TASK_BLOCK_CACHES
#define FL__TASK_BLOCK_CACHES 16
#define FL__TASK_BLOCK_CHAIN 32
#endif

enum { CHAIN = FL__TASK_BLOCK_CHAIN, SLAB_MOST = 1024 /* blocks */ };
enum { SHUT = 1, HOLD = 2 };
#define EARLY (SIZE_MAX / 2)

static const size_t sizes[FL__TASK_BLOCK_SIZES] = {FL__TASK_BLOCK_SMALL, FL__TASK_BLOCK_LARGE};

struct stock {
	struct fl__task_block *blocks; /* the first of `n`, linked by `next` */
	struct fl__task_block *chain;  /* one more full chain */
	size_t n;
};

struct shard {
	uint32_t busy;
	bool ended;
	size_t out;
	struct stock stocks[FL__TASK_BLOCK_SIZES];
	unsigned char apart[64]; /* a cache line between shards */
};

struct slab {
	struct slab *next;
};

struct depot {
	struct fl__task_block *chains; /* linked by `prev` of the first block of each */
	char *fresh;                   /* unused blocks of the newest slab */
	size_t n_fresh;                /* how many are at `fresh` */
	size_t n_next;                 /* blocks of the next slab */
};

struct fl__task_blocks {
	struct fl__task_block_owner of;
	size_t head; /* offset where the argument may begin */
	size_t left;
	void *owner;
	uint32_t held;
	uint32_t lock; /* an fl__lock; guards `slabs` and `depots` */
	struct slab *slabs;
	struct depot depots[FL__TASK_BLOCK_SIZES];
	unsigned char apart[64];
	struct shard shards[FL__TASK_BLOCK_CACHES];
};

_Static_assert(FL_TASK_ALIGN_MAX % _Alignof(struct fl__task_block) == 0, "a block may stand wherever an argument may");
_Static_assert(FL__TASK_BLOCK_SMALL % FL_TASK_ALIGN_MAX == 0 && FL__TASK_BLOCK_LARGE % FL_TASK_ALIGN_MAX == 0,
               "so may the next one");

static size_t align_up(size_t n, size_t alignment)
{
	return alignment > 1 ? (n + alignment - 1) & ~(alignment - 1) : n;
}

static void *align_pointer(void *memory)
{
	uintptr_t address = (uintptr_t)memory;
	return (char *)memory + (align_up(address, FL_TASK_ALIGN_MAX) - address);
}

/* Shards. */

static struct shard *enter(struct fl__task_blocks *pool)
{
	for (uint64_t at = fl__ctx_get()->id;; at++) {
		struct shard *s = &pool->shards[at % FL__TASK_BLOCK_CACHES];
		if (fl__swap_acquire(&s->busy, 1) == 0) /* acquire: pairs with leave() */
			return s;
		fl__sys.relax();
	}
}

static void leave(struct shard *s)
{
	fl__store_release(&s->busy, 0); /* release: pairs with enter() */
}

/* Takes a block from the shard, and counts it as in use. NULL: the shard has none. */
static struct fl__task_block *pop(struct shard *s, unsigned size)
{
	struct stock *stock = &s->stocks[size];
	struct fl__task_block *block = stock->blocks;
	if (!block) {
		block = stock->chain;
		if (!block)
			return NULL;
		stock->chain = NULL;
		stock->n = block->done;
	}
	stock->blocks = block->next;
	stock->n--;
	s->out++;
	return block;
}

/* The depot. */

/* Under the lock. */
static void put_locked(struct depot *d, struct fl__task_block *chain)
{
	chain->prev = d->chains;
	d->chains = chain;
}

/* Under the lock: a chain of blocks that were never used; NULL: none are left. */
static struct fl__task_block *carve(struct fl__task_blocks *pool, unsigned size)
{
	struct depot *d = &pool->depots[size];
	struct fl__task_block *chain = NULL;
	uint32_t n = 0;
	for (; n < CHAIN && d->n_fresh > 0; n++, d->n_fresh--, d->fresh += sizes[size]) {
		struct fl__task_block *block = (struct fl__task_block *)(void *)d->fresh;
		block->pool = pool;
		block->size = (uint8_t)size;
		block->next = chain;
		chain = block;
	}
	if (chain)
		chain->done = n;
	return chain;
}

/* Under the lock. */
static struct fl__task_block *take_locked(struct fl__task_blocks *pool, unsigned size)
{
	struct depot *d = &pool->depots[size];
	struct fl__task_block *chain = d->chains;
	if (!chain)
		return carve(pool, size);
	d->chains = chain->prev;
	return chain;
}

/* Under the lock. */
static void add_slab(struct fl__task_blocks *pool, unsigned size, struct slab *slab, size_t n)
{
	struct depot *d = &pool->depots[size];
	/* the rest of a slab that another context has just added */
	for (struct fl__task_block *rest; (rest = carve(pool, size)) != NULL;)
		put_locked(d, rest);
	slab->next = pool->slabs;
	pool->slabs = slab;
	d->fresh = align_pointer(slab + 1);
	d->n_fresh = n;
	d->n_next = n < SLAB_MOST ? 2 * n : n;
}

static void depot_put(struct fl__task_blocks *pool, unsigned size, struct fl__task_block *chain)
{
	fl__lock(&pool->lock);
	put_locked(&pool->depots[size], chain);
	fl__unlock(&pool->lock);
}

/* NULL: out of memory. */
static struct fl__task_block *depot_take(struct fl__task_blocks *pool, unsigned size)
{
	fl__lock(&pool->lock);
	struct fl__task_block *chain = take_locked(pool, size);
	const size_t n = pool->depots[size].n_next;
	fl__unlock(&pool->lock);
	if (chain)
		return chain;
	struct slab *slab = fl__alloc(1, sizeof *slab + FL_TASK_ALIGN_MAX - 1 + n * sizes[size]);
	if (!slab)
		return NULL;
	fl__lock(&pool->lock);
	add_slab(pool, size, slab, n);
	chain = take_locked(pool, size);
	fl__unlock(&pool->lock);
	return chain;
}

/* Pools. */

struct fl__task_blocks *fl__task_blocks_new(const struct fl__task_block_owner *of, void *owner)
{
	struct fl__task_blocks *pool = fl__alloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pool->of = *of;
	pool->head = of->elsewhere ? sizeof(struct fl__task_block) : offsetof(struct fl__task_block, suspicions);
	pool->left = EARLY;
	pool->owner = owner;
	for (unsigned size = 0; size < FL__TASK_BLOCK_SIZES; size++)
		pool->depots[size].n_next = CHAIN;
	return pool;
}

/* Subtracts `n` from `left`; at 0 frees the pool. */
static void drop(struct fl__task_blocks *pool, size_t n)
{
	/* acq_rel: the last context frees what the others used; pairs with itself */
	if (fl__sub_acq_rel(&pool->left, n) != n)
		return;
	for (struct slab *s = pool->slabs; s;) {
		struct slab *next = s->next;
		fl__free(s);
		s = next;
	}
	fl__free(pool->owner);
	fl__free(pool);
}

/*
 * A forked child frees no pool: a thread of the parent may have been in a shard, which it never
 * leaves here.
 */
static bool is_left(const struct fl__task_blocks *pool)
{
	return fl__is_forked(pool->of.fork_count);
}

void fl__task_blocks_free(struct fl__task_blocks *pool)
{
	if (is_left(pool))
		return;
	size_t out = 0;
	for (unsigned i = 0; i < FL__TASK_BLOCK_CACHES; i++) {
		struct shard *s = &pool->shards[i];
		for (unsigned round = 0; fl__swap_acquire(&s->busy, 1) != 0; round++) /* pairs with leave() */
			fl__back_off(round);
		s->ended = true;
		out += s->out;
		leave(s);
	}
	drop(pool, EARLY - out);
}

/* Task blocks. */

static struct fl__task_block *new_common(struct fl__task_blocks *pool, unsigned size)
{
	struct shard *s = enter(pool);
	struct fl__task_block *block = pop(s, size);
	const struct fl__task_block *next = s->stocks[size].blocks;
	leave(s);
	/* the next submit would wait for the cache lines, which a worker has written */
	if (next)
		fl__task_block_fetch(next);
	if (block)
		return block;
	struct fl__task_block *chain = depot_take(pool, size);
	if (!chain)
		return NULL;
	s = enter(pool);
	struct stock *stock = &s->stocks[size];
	struct fl__task_block *before = stock->chain; /* put there by another context */
	stock->chain = chain;
	block = pop(s, size);
	leave(s);
	if (before)
		depot_put(pool, size, before);
	return block;
}

/* Counts a user of the pool that is no block of its slabs. */
static void count(struct fl__task_blocks *pool)
{
	struct shard *s = enter(pool);
	s->out++;
	leave(s);
}

/* In a shard, which it leaves: uncounts a block or other user. */
static void uncount(struct fl__task_blocks *pool, struct shard *s)
{
	const bool ended = s->ended;
	s->out -= !ended;
	leave(s);
	if (ended)
		drop(pool, 1);
}

static struct fl__task_block *new_own(struct fl__task_blocks *pool, size_t bytes)
{
	void **memory = fl__alloc(1, sizeof *memory + bytes + FL_TASK_ALIGN_MAX - 1);
	if (!memory)
		return NULL;
	struct fl__task_block *block = align_pointer(memory + 1);
	((void **)(void *)block)[-1] = memory;
	block->pool = pool;
	block->size = FL__TASK_BLOCK_OWN;
	count(pool);
	return block;
}

static void clear(struct fl__task_block *block, bool whole)
{
	block->done = block->parting = 0;
	block->queued = 0;
	block->asked = false;
	block->place = 0;
	block->attempts = 0;
	if (whole)
		memset((char *)block + offsetof(struct fl__task_block, suspicions), 0,
		       sizeof *block - offsetof(struct fl__task_block, suspicions));
}

void fl__task_block_adopt(struct fl__task_blocks *pool, struct fl__task_block *block)
{
	block->pool = pool;
	block->size = FL__TASK_BLOCK_USERS;
	clear(block, false);
	count(pool);
}

struct fl__task_block *fl__task_block_new(struct fl__task_blocks *pool, const fl_task_type *type, uint32_t count,
                                          size_t most, size_t room)
{
	const size_t result_size = count * type->result_size <= most ? count * type->result_size : 0;
	const size_t head = align_up(pool->head, _Alignof(struct fl__callback));
	const size_t arg = align_up(room > 0 ? head + room : pool->head, type->arg_align);
	const size_t result = align_up(arg + count * type->arg_size, type->result_align);
	const size_t bytes = result + result_size;
	struct fl__task_block *block =
	    bytes <= FL__TASK_BLOCK_LARGE ? new_common(pool, bytes > FL__TASK_BLOCK_SMALL) : new_own(pool, bytes);
	if (!block)
		return NULL;
	clear(block, pool->of.elsewhere);
	block->future.arg = type->arg_size ? (char *)block + arg : NULL;
	block->future.result = result_size ? memset((char *)block + result, 0, result_size) : NULL;
	block->future.count = count;
	return block;
}

struct fl__callback *fl__task_block_callback(struct fl__task_block *block)
{
	return (struct fl__callback *)(void *)((char *)block +
	                                       align_up(block->pool->head, _Alignof(struct fl__callback)));
}

/* In a shard: NULL; or a chain to put into the depot before the next try. */
static struct fl__task_block *push(struct stock *stock, struct fl__task_block *block)
{
	if (stock->n == CHAIN) {
		struct fl__task_block *chain = stock->chain;
		stock->chain = stock->blocks;
		stock->chain->done = CHAIN;
		stock->blocks = NULL;
		stock->n = 0;
		if (chain)
			return chain;
	}
	block->next = stock->blocks;
	stock->blocks = block;
	stock->n++;
	return NULL;
}

void fl__task_block_free(struct fl__task_block *block)
{
	struct fl__task_blocks *pool = block->pool;
	const unsigned size = block->size;
	if (size == FL__TASK_BLOCK_OWN)
		fl__free(((void **)(void *)block)[-1]);
	if (is_left(pool))
		return;
	struct shard *s = enter(pool);
	struct fl__task_block *chain;
	while (size < FL__TASK_BLOCK_SIZES && (chain = push(&s->stocks[size], block)) != NULL) {
		leave(s);
		depot_put(pool, size, chain); /* the block still counts, so the pool lasts */
		s = enter(pool);
	}
	uncount(pool, s);
}

/* Use of the executor without a task. */

void fl__task_blocks_keep(struct fl__task_blocks *pool)
{
	if (!is_left(pool))
		count(pool);
}

void fl__task_blocks_unkeep(struct fl__task_blocks *pool)
{
	if (!is_left(pool))
		uncount(pool, enter(pool));
}

fl_executor *fl__task_blocks_hold(struct fl__task_blocks *pool)
{
	uint32_t seen = fl__load_relaxed(&pool->held); /* relaxed: the CAS decides */
	while (!(seen & SHUT))
		/*
		 * relaxed: a later shut comes after this CAS; the pool was handed over with the
		 * executor initialized
		 */
		if (fl__cas_weak_relaxed(&pool->held, &seen, seen + HOLD))
			return pool->of.executor;
	return NULL;
}

void fl__task_blocks_unhold(struct fl__task_blocks *pool)
{
	/* release: all use of the executor; pairs with fl__task_blocks_shut() */
	fl__sub_release(&pool->held, HOLD);
}

void fl__task_blocks_shut(struct fl__task_blocks *pool)
{
	uint32_t seen = fl__load_relaxed(&pool->held); /* relaxed: the CAS decides */
	while (!fl__cas_weak_relaxed(&pool->held, &seen, seen | SHUT))
		;
	for (unsigned round = 0; fl__load_acquire(&pool->held) != SHUT;
	     round++) /* pairs with fl__task_blocks_unhold() */
		fl__back_off(round);
}
