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
 *   ended         no more blocks are made; a context    fl__cells_free(), in the shard
 *                 that frees one counts it in `left`
 *   out           blocks made here less blocks freed    the context in the shard; wraps
 *                 here
 *   left          blocks in use, once the shards are    subtraction by a context that frees a block
 *                 summed up; more before that           at an ended shard, or gives up the
 *                                                       pool; at 0 it frees the pool
 *   held          contexts, in units of HOLD, that use  the context: CAS, unless SHUT, when it
 *                 the executor without a task there     comes; subtraction when it goes
 *     SHUT        the executor is being freed           fl__cells_shut(); never cleared
 *   depot, slabs                                        under `lock`
 *
 * Invariants
 *   1. A block in no chain is in use, and counted once: in the `out` of a shard, or in `left`. So
 *      the pool outlives its blocks; a future may outlive its executor. A context that frees a
 *      block last uses the pool when it leaves the shard, or by its subtraction from `left`.
 *   2. The memory of a pool's block stays a block of the same size, with the state of its last
 *      future, as long as the pool: another thread may still read that state
 *      (fl__future_ref_running()).
 *   3. `left` reaches 0 once: it starts at EARLY, above the number of blocks. fl__cells_free()
 *      subtracts EARLY, less the sum of all `out`.
 *   4. A context in a shard never waits.
 */
#include "cells.h"
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
#ifndef FL__CELL_SMALL
#define FL__CELL_SMALL (3 * 64)
#define FL__CELL_LARGE (7 * 64)
#endif
#ifndef FL__CELL_SHARDS
#define FL__CELL_SHARDS 16
#define FL__CELL_CHAIN 32
#endif

enum { CHAIN = FL__CELL_CHAIN, SLAB_MOST = 1024 /* cells */ };
enum { SHUT = 1, HOLD = 2 };
#define EARLY (SIZE_MAX / 2)

static const size_t sizes[FL__CELL_SIZES] = {FL__CELL_SMALL, FL__CELL_LARGE};

struct stock {
	struct fl__cell *cells; /* the first of `n`, linked by `next` */
	struct fl__cell *chain; /* one more full chain */
	size_t n;
};

struct shard {
	uint32_t busy;
	bool ended;
	size_t out;
	struct stock stocks[FL__CELL_SIZES];
	unsigned char apart[64]; /* a cache line between shards */
};

struct slab {
	struct slab *next;
};

struct depot {
	struct fl__cell *chains; /* linked by `prev` of the first block of each */
	char *fresh;             /* unused blocks of the newest slab */
	size_t n_fresh;          /* how many are at `fresh` */
	size_t n_next;           /* blocks of the next slab */
};

struct fl__cells {
	struct fl__cells_of of;
	size_t head; /* offset where the argument may begin */
	size_t left;
	void *owner;
	uint32_t held;
	uint32_t lock; /* an fl__lock; guards `slabs` and `depots` */
	struct slab *slabs;
	struct depot depots[FL__CELL_SIZES];
	unsigned char apart[64];
	struct shard shards[FL__CELL_SHARDS];
};

_Static_assert(FL_TASK_ALIGN_MAX % _Alignof(struct fl__cell) == 0, "a cell may stand wherever an argument may");
_Static_assert(FL__CELL_SMALL % FL_TASK_ALIGN_MAX == 0 && FL__CELL_LARGE % FL_TASK_ALIGN_MAX == 0,
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

static struct shard *enter(struct fl__cells *pool)
{
	for (uint64_t at = fl__ctx_get()->id;; at++) {
		struct shard *s = &pool->shards[at % FL__CELL_SHARDS];
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
static struct fl__cell *pop(struct shard *s, unsigned size)
{
	struct stock *stock = &s->stocks[size];
	struct fl__cell *cell = stock->cells;
	if (!cell) {
		cell = stock->chain;
		if (!cell)
			return NULL;
		stock->chain = NULL;
		stock->n = cell->done;
	}
	stock->cells = cell->next;
	stock->n--;
	s->out++;
	return cell;
}

/* The depot. */

/* Under the lock. */
static void put_locked(struct depot *d, struct fl__cell *chain)
{
	chain->prev = d->chains;
	d->chains = chain;
}

/* Under the lock: a chain of blocks that were never used; NULL: none are left. */
static struct fl__cell *carve(struct fl__cells *pool, unsigned size)
{
	struct depot *d = &pool->depots[size];
	struct fl__cell *chain = NULL;
	uint32_t n = 0;
	for (; n < CHAIN && d->n_fresh > 0; n++, d->n_fresh--, d->fresh += sizes[size]) {
		struct fl__cell *cell = (struct fl__cell *)(void *)d->fresh;
		cell->pool = pool;
		cell->size = (uint8_t)size;
		cell->next = chain;
		chain = cell;
	}
	if (chain)
		chain->done = n;
	return chain;
}

/* Under the lock. */
static struct fl__cell *take_locked(struct fl__cells *pool, unsigned size)
{
	struct depot *d = &pool->depots[size];
	struct fl__cell *chain = d->chains;
	if (!chain)
		return carve(pool, size);
	d->chains = chain->prev;
	return chain;
}

/* Under the lock. */
static void add_slab(struct fl__cells *pool, unsigned size, struct slab *slab, size_t n)
{
	struct depot *d = &pool->depots[size];
	/* the rest of a slab that another context has just added */
	for (struct fl__cell *rest; (rest = carve(pool, size)) != NULL;)
		put_locked(d, rest);
	slab->next = pool->slabs;
	pool->slabs = slab;
	d->fresh = align_pointer(slab + 1);
	d->n_fresh = n;
	d->n_next = n < SLAB_MOST ? 2 * n : n;
}

static void depot_put(struct fl__cells *pool, unsigned size, struct fl__cell *chain)
{
	fl__lock(&pool->lock);
	put_locked(&pool->depots[size], chain);
	fl__unlock(&pool->lock);
}

/* NULL: out of memory. */
static struct fl__cell *depot_take(struct fl__cells *pool, unsigned size)
{
	fl__lock(&pool->lock);
	struct fl__cell *chain = take_locked(pool, size);
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

struct fl__cells *fl__cells_new(const struct fl__cells_of *of, void *owner)
{
	struct fl__cells *pool = fl__alloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pool->of = *of;
	pool->head = of->elsewhere ? sizeof(struct fl__cell) : offsetof(struct fl__cell, suspicions);
	pool->left = EARLY;
	pool->owner = owner;
	for (unsigned size = 0; size < FL__CELL_SIZES; size++)
		pool->depots[size].n_next = CHAIN;
	return pool;
}

/* Subtracts `n` from `left`; at 0 frees the pool. */
static void drop(struct fl__cells *pool, size_t n)
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
static bool is_left(const struct fl__cells *pool)
{
	return fl__is_forked(pool->of.fork_count);
}

void fl__cells_free(struct fl__cells *pool)
{
	if (is_left(pool))
		return;
	size_t out = 0;
	for (unsigned i = 0; i < FL__CELL_SHARDS; i++) {
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

static struct fl__cell *new_common(struct fl__cells *pool, unsigned size)
{
	struct shard *s = enter(pool);
	struct fl__cell *cell = pop(s, size);
	const struct fl__cell *next = s->stocks[size].cells;
	leave(s);
	/* the next submit would wait for the cache lines, which a worker has written */
	if (next)
		fl__cell_fetch(next);
	if (cell)
		return cell;
	struct fl__cell *chain = depot_take(pool, size);
	if (!chain)
		return NULL;
	s = enter(pool);
	struct stock *stock = &s->stocks[size];
	struct fl__cell *before = stock->chain; /* put there by another context */
	stock->chain = chain;
	cell = pop(s, size);
	leave(s);
	if (before)
		depot_put(pool, size, before);
	return cell;
}

/* Counts a user of the pool that is no block of its slabs. */
static void count(struct fl__cells *pool)
{
	struct shard *s = enter(pool);
	s->out++;
	leave(s);
}

/* In a shard, which it leaves: uncounts a block or other user. */
static void uncount(struct fl__cells *pool, struct shard *s)
{
	const bool ended = s->ended;
	s->out -= !ended;
	leave(s);
	if (ended)
		drop(pool, 1);
}

static struct fl__cell *new_own(struct fl__cells *pool, size_t bytes)
{
	void **memory = fl__alloc(1, sizeof *memory + bytes + FL_TASK_ALIGN_MAX - 1);
	if (!memory)
		return NULL;
	struct fl__cell *cell = align_pointer(memory + 1);
	((void **)(void *)cell)[-1] = memory;
	cell->pool = pool;
	cell->size = FL__CELL_OWN;
	count(pool);
	return cell;
}

static void clear(struct fl__cell *cell, bool whole)
{
	cell->done = cell->parting = 0;
	cell->queued = 0;
	cell->asked = false;
	cell->place = 0;
	cell->attempts = 0;
	if (whole)
		memset((char *)cell + offsetof(struct fl__cell, suspicions), 0,
		       sizeof *cell - offsetof(struct fl__cell, suspicions));
}

void fl__cell_adopt(struct fl__cells *pool, struct fl__cell *cell)
{
	cell->pool = pool;
	cell->size = FL__CELL_USERS;
	clear(cell, false);
	count(pool);
}

struct fl__cell *fl__cell_new(struct fl__cells *pool, const fl_task_type *type, uint32_t count, size_t most,
                              size_t room)
{
	const size_t result_size = count * type->result_size <= most ? count * type->result_size : 0;
	const size_t head = align_up(pool->head, _Alignof(struct fl__callback));
	const size_t arg = align_up(room > 0 ? head + room : pool->head, type->arg_align);
	const size_t result = align_up(arg + count * type->arg_size, type->result_align);
	const size_t bytes = result + result_size;
	struct fl__cell *cell =
	    bytes <= FL__CELL_LARGE ? new_common(pool, bytes > FL__CELL_SMALL) : new_own(pool, bytes);
	if (!cell)
		return NULL;
	clear(cell, pool->of.elsewhere);
	cell->future.arg = type->arg_size ? (char *)cell + arg : NULL;
	cell->future.result = result_size ? memset((char *)cell + result, 0, result_size) : NULL;
	cell->future.count = count;
	return cell;
}

struct fl__callback *fl__cell_callback(struct fl__cell *cell)
{
	return (struct fl__callback *)(void *)((char *)cell +
	                                       align_up(cell->pool->head, _Alignof(struct fl__callback)));
}

/* In a shard: NULL; or a chain to put into the depot before the next try. */
static struct fl__cell *push(struct stock *stock, struct fl__cell *cell)
{
	if (stock->n == CHAIN) {
		struct fl__cell *chain = stock->chain;
		stock->chain = stock->cells;
		stock->chain->done = CHAIN;
		stock->cells = NULL;
		stock->n = 0;
		if (chain)
			return chain;
	}
	cell->next = stock->cells;
	stock->cells = cell;
	stock->n++;
	return NULL;
}

void fl__cell_free(struct fl__cell *cell)
{
	struct fl__cells *pool = cell->pool;
	const unsigned size = cell->size;
	if (size == FL__CELL_OWN)
		fl__free(((void **)(void *)cell)[-1]);
	if (is_left(pool))
		return;
	struct shard *s = enter(pool);
	struct fl__cell *chain;
	while (size < FL__CELL_SIZES && (chain = push(&s->stocks[size], cell)) != NULL) {
		leave(s);
		depot_put(pool, size, chain); /* the block still counts, so the pool lasts */
		s = enter(pool);
	}
	uncount(pool, s);
}

/* Use of the executor without a task. */

void fl__cells_keep(struct fl__cells *pool)
{
	if (!is_left(pool))
		count(pool);
}

void fl__cells_unkeep(struct fl__cells *pool)
{
	if (!is_left(pool))
		uncount(pool, enter(pool));
}

fl_executor *fl__cells_hold(struct fl__cells *pool)
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

void fl__cells_unhold(struct fl__cells *pool)
{
	/* release: all use of the executor; pairs with fl__cells_shut() */
	fl__sub_release(&pool->held, HOLD);
}

void fl__cells_shut(struct fl__cells *pool)
{
	uint32_t seen = fl__load_relaxed(&pool->held); /* relaxed: the CAS decides */
	while (!fl__cas_weak_relaxed(&pool->held, &seen, seen | SHUT))
		;
	for (unsigned round = 0; fl__load_acquire(&pool->held) != SHUT; round++) /* pairs with fl__cells_unhold() */
		fl__back_off(round);
}
