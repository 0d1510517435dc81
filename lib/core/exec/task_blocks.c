/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pool of task blocks: slabs, caches and central lists. A cache has a free list of a few blocks
 * of each size. A context uses the cache number id % CACHES; while another context is in that cache,
 * it uses the next cache that no context is in. All other free blocks of a size are in its central
 * list, in chains of CHAIN blocks. Therefore two contexts of which one makes blocks and the other
 * frees them meet only once in CHAIN blocks.
 *
 *   word          meaning                               written by
 *   busy          1: a context uses the cache           the context: a swap; a store when it leaves
 *   ended         no more blocks are made; a context    fl__task_blocks_free(), in the cache
 *                 that frees a block subtracts it from
 *                 `left`
 *   out           blocks and references to the pool     the context in the cache; wraps
 *                 made here, less those freed here
 *   left          once the caches are summed up, the    addition by a context that takes a reference
 *                 number of blocks in use and of        at an ended cache; subtraction by one that
 *                 references to the pool; before that,  frees a block or a reference at an ended
 *                 more                                  cache, or frees the pool; the context that
 *                                                       reaches 0 frees the memory
 *   central, slabs                                      under `lock`
 *
 * Invariants
 *   1. A block is in use if it is neither in a free list of a cache, nor in a chain, nor kept. A
 *      block in use is counted once, in the `out` of a cache or in `left`. Therefore the pool
 *      outlives its blocks, and a future may outlive its executor. When a context frees a block, its
 *      last access to the pool is that it leaves the cache or, if the cache is ended, that it
 *      subtracts from `left`.
 *   2. As long as the pool exists, the memory of a slab's block stays a block of the same size, and
 *      keeps the state of its last future, because another thread may still read that state
 *      (fl__future_try_ref()).
 *   3. `left` reaches 0 only once. It starts at EARLY, which is above all possible numbers of blocks
 *      and references. fl__task_blocks_free() subtracts EARLY, less the sum of all `out`.
 *   4. A context in a cache never waits.
 *
 * If a program freed a future twice, two tasks would get the same block. Therefore, while the ends
 * of handles are checked (hooks.h), freed blocks do not go into a cache. The pool keeps the last
 * KEPT of them, and AddressSanitizer and Valgrind report accesses to their memory. A second free
 * finds no reference in `state`, and panics.
 *
 * Costs. Getting a block takes one exchange, and so does freeing it. No count is shared. Memory for
 * a task comes from a free list, so a submit allocates only while the number of tasks grows, or for
 * a task with a large argument or result.
 */
#include "task_blocks.h"
#include "../base/sys.h"
#include "../wait/lock.h"

enum { TASK_BLOCKS_CHAIN = FL__TASK_BLOCK_CHAIN, TASK_BLOCKS_SLAB_MOST = 1024 /* blocks */, TASK_BLOCKS_KEPT = 256 };
#define TASK_BLOCKS_EARLY (SIZE_MAX / 2)

static const size_t task_block_sizes[FL__TASK_BLOCK_SIZES] = {FL__TASK_BLOCK_SMALL, FL__TASK_BLOCK_LARGE};

_Static_assert(FL_TASK_ALIGN_MAX % _Alignof(struct fl__task_block) == 0, "a block may stand wherever an argument may");
_Static_assert(FL__TASK_BLOCK_HEAD + 2 * FL__TASK_BLOCK_PART <= FL__TASK_BLOCK_SMALL, "an argument and a result fit");
_Static_assert(FL__HOOK_CHAIN == FL__TASK_BLOCK_CHAIN, "a full list");
_Static_assert(FL__TASK_BLOCK_SMALL % FL_TASK_ALIGN_MAX == 0 && FL__TASK_BLOCK_LARGE % FL_TASK_ALIGN_MAX == 0,
               "so may the next one");

static FL__SLOW_PATH struct fl__task_block_cache *task_blocks_enter_other(struct fl__task_blocks *pool)
{
	for (uint64_t id = fl__ctx_current->id;;) {
		struct fl__task_block_cache *s = &pool->caches[++id % FL__TASK_BLOCK_CACHES];
		fl__sys.relax();
		if (fl__task_block_cache_enter(s))
			return s;
	}
}

static inline struct fl__task_block_cache *task_blocks_enter(struct fl__task_blocks *pool)
{
	struct fl__task_block_cache *s = &pool->caches[fl__ctx_get()->id % FL__TASK_BLOCK_CACHES];
	return fl__likely(fl__task_block_cache_enter(s)) ? s : task_blocks_enter_other(pool);
}

/* Does what fl__task_block_pop() does, but also takes from the chain. */
static inline struct fl__task_block *task_blocks_pop(struct fl__task_block_cache *s, unsigned size)
{
	struct fl__task_block_list *list = &s->lists[size];
	if (!list->blocks && list->chain) {
		list->blocks = list->chain;
		list->n = list->chain->done;
		list->chain = NULL;
	}
	return fl__task_block_pop(s, size);
}

static void task_blocks_put_chain(struct fl__task_blocks *pool, unsigned size, struct fl__task_block *chain)
{
	FL__LOCKED(&pool->lock);
	struct fl__task_block_central *d = &pool->central[size];
	chain->prev = d->chains;
	d->chains = chain;
}

/*
 * Poisons or unpoisons the part of a free block that nobody reads. The part that is still read is
 * `state` and `lock` of the future, and the members that link the block (invariant 2).
 */
static void task_blocks_poison(const struct fl__task_block *block, bool poisons)
{
	void (*tell)(const void *, size_t) = poisons ? fl__tool_poison : fl__tool_unpoison;
	const size_t first = offsetof(fl_future, error),
		     head = FL__ROUND_UP(offsetof(struct fl__task_block, suspicions), 8);
	tell((const char *)block + first, sizeof(fl_future) - first);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the list of kept blocks has n_kept of them */
	tell((const char *)block + head, task_block_sizes[block->size] - head);
}

/*
 * Frees a block while the ends of handles are checked. The block is not used again until KEPT
 * further blocks were freed, so that a second free of its future is detected. Kept blocks are
 * released in full chains, so that a submit needs a chain as often as without checks.
 */
static FL__COLD void task_blocks_keep(struct fl__task_blocks *pool, struct fl__task_block *block)
{
	struct fl__task_block_central *d = &pool->central[block->size];
	block->next = NULL;
	task_blocks_poison(block, true);
	FL__LOCKED(&pool->lock);
	*(d->kept_first ? &d->kept_last->next : &d->kept_first) = block;
	d->kept_last = block;
	if (++d->n_kept < TASK_BLOCKS_KEPT + TASK_BLOCKS_CHAIN)
		return;
	struct fl__task_block *chain = d->kept_first, *last = chain;
	for (unsigned i = 1; i < TASK_BLOCKS_CHAIN; i++) {
		task_blocks_poison(last, false);
		last = last->next;
	}
	task_blocks_poison(last, false);
	d->kept_first = last->next;
	d->n_kept -= TASK_BLOCKS_CHAIN;
	last->next = NULL;
	chain->done = TASK_BLOCKS_CHAIN;
	chain->prev = d->chains;
	d->chains = chain;
}

static struct fl__task_block *task_blocks_carve(struct fl__task_blocks *pool, unsigned size, char *memory)
{
	struct fl__task_block *chain = NULL;
	for (unsigned i = 0; i < TASK_BLOCKS_CHAIN; i++) {
		struct fl__task_block *block = (struct fl__task_block *)(void *)(memory + i * task_block_sizes[size]);
		block->pool = pool;
		block->size = (uint8_t)size;
		block->next = chain;
		chain = block;
	}
	chain->done = TASK_BLOCKS_CHAIN;
	return chain;
}

/*
 * Takes a chain from the central list, or returns NULL if there is none. Stores the number of blocks
 * of a new slab in `*n`.
 */
static struct fl__task_block *task_blocks_take_central(struct fl__task_blocks *pool, unsigned size, size_t *n)
{
	FL__LOCKED(&pool->lock);
	struct fl__task_block_central *d = &pool->central[size];
	struct fl__task_block *chain = d->chains;
	*n = d->n_next;
	if (chain)
		d->chains = chain->prev;
	return chain;
}

static void task_blocks_add_slab(struct fl__task_blocks *pool, unsigned size, void **slab, size_t n)
{
	FL__LOCKED(&pool->lock);
	*slab = pool->slabs;
	pool->slabs = slab;
	pool->central[size].n_next = n < TASK_BLOCKS_SLAB_MOST ? 2 * n : n;
}

/* Returns NULL if there is no memory. */
static struct fl__task_block *task_blocks_take_chain(struct fl__task_blocks *pool, unsigned size)
{
	size_t n;
	struct fl__task_block *chain = task_blocks_take_central(pool, size, &n);
	if (chain)
		return chain;
	void **slab = fl__alloc(1, sizeof *slab + FL_TASK_ALIGN_MAX - 1 + n * task_block_sizes[size]);
	if (!slab)
		return NULL;
	task_blocks_add_slab(pool, size, slab, n);
	char *memory = fl__align(slab + 1, FL_TASK_ALIGN_MAX);
	while ((n -= TASK_BLOCKS_CHAIN) > 0)
		task_blocks_put_chain(pool, size, task_blocks_carve(pool, size, memory + n * task_block_sizes[size]));
	return task_blocks_carve(pool, size, memory);
}

struct fl__task_blocks *fl__task_blocks_new(const struct fl__task_block_owner *of)
{
	struct fl__task_blocks *pool = fl__alloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pool->of = *of;
	pool->head =
	    of->remote ? FL__ROUND_UP(sizeof(struct fl__task_block), FL__TASK_BLOCK_PART) : FL__TASK_BLOCK_HEAD;
	pool->left = TASK_BLOCKS_EARLY;
	for (unsigned size = 0; size < FL__TASK_BLOCK_SIZES; size++)
		pool->central[size].n_next = TASK_BLOCKS_CHAIN;
	return pool;
}

static void task_blocks_release(struct fl__task_blocks *pool, size_t n)
{
	/* acq_rel: pairs with itself, since the last context frees what the others have used */
	if (fl__sub_acq_rel(&pool->left, n) != n)
		return;
	for (void **slab; (slab = pool->slabs) != NULL;) {
		pool->slabs = *slab;
		fl__free(slab);
	}
	fl__free(pool->of.executor);
	fl__free(pool);
}

void fl__task_blocks_free(struct fl__task_blocks *pool)
{
	size_t out = 0;
	for (unsigned i = 0; i < FL__TASK_BLOCK_CACHES; i++) {
		struct fl__task_block_cache *s = &pool->caches[i];
		FL__BACK_OFF_UNTIL(fl__task_block_cache_enter(s));
		s->ended = true;
		out += s->out;
		fl__task_block_cache_leave(s);
	}
	task_blocks_release(pool, TASK_BLOCKS_EARLY - out);
}

static FL__NOINLINE struct fl__task_block *task_blocks_new_chained(struct fl__task_blocks *pool, unsigned size)
{
	struct fl__task_block *chain = task_blocks_take_chain(pool, size);
	if (!chain)
		return NULL;
	struct fl__task_block_cache *s = task_blocks_enter(pool);
	struct fl__task_block_list *list = &s->lists[size];
	struct fl__task_block *before = list->chain; /* another context may have put one there */
	list->chain = chain;
	struct fl__task_block *block = task_blocks_pop(s, size);
	if (before)
		task_blocks_put_chain(pool, size, before);
	return block;
}

/* Called in the cache `s`. Subtracts `n` blocks or other users, and leaves the cache. */
static inline void task_blocks_uncount(struct fl__task_blocks *pool, struct fl__task_block_cache *s, size_t n)
{
	const bool ended = s->ended;
	s->out -= ended ? 0 : n;
	fl__task_block_cache_leave(s);
	if (ended)
		task_blocks_release(pool, n);
}

static struct fl__task_block *task_blocks_take(struct fl__task_blocks *pool, unsigned size)
{
	struct fl__task_block *block = task_blocks_pop(task_blocks_enter(pool), size);
	return block ? block : task_blocks_new_chained(pool, size);
}

/* Returns where a block with OWN stores the address of its allocation: at the end of the block. */
static void **task_block_own(struct fl__task_block *block)
{
	const unsigned size = block->size & ~(unsigned)FL__TASK_BLOCK_OWN;
	return (void **)(void *)((char *)block + task_block_sizes[size] - sizeof(void *));
}

_Static_assert(sizeof(struct fl__task_block) + FL__TASK_BLOCK_EXTRA_MOST + sizeof(void *) <= FL__TASK_BLOCK_LARGE,
               "a block with an allocation fits");

/*
 * Makes a block with an allocation of `bytes` bytes, and stores the allocation's aligned address in
 * `*memory`. The first `head` bytes of the block are in use.
 */
static FL__NOINLINE struct fl__task_block *task_blocks_new_own(struct fl__task_blocks *pool, size_t head, size_t bytes,
                                                               char **memory)
{
	void *own = fl__alloc(1, bytes + FL_TASK_ALIGN_MAX - 1);
	struct fl__task_block *block =
	    own ? task_blocks_take(pool, head + sizeof(void *) > FL__TASK_BLOCK_SMALL) : NULL;
	if (!block) {
		fl__free(own);
		return NULL;
	}
	*task_block_own(block) = own;
	block->size |= FL__TASK_BLOCK_OWN;
	*memory = fl__align(own, FL_TASK_ALIGN_MAX);
	return block;
}

struct fl__task_block *fl__task_block_new(struct fl__task_blocks *pool, const fl_task_type *type, uint32_t count,
                                          size_t most, size_t extra)
{
	const size_t result_size = count * type->result_size <= most ? count * type->result_size : 0;
	const bool plain = type->arg_align <= FL__TASK_BLOCK_PART && type->result_align <= FL__TASK_BLOCK_PART;
	const size_t alignment = plain ? FL__TASK_BLOCK_PART : FL_TASK_ALIGN_MAX;
	const size_t head = pool->head + extra, begin = FL__ROUND_UP(head, alignment);
	const size_t result = FL__ROUND_UP(count * type->arg_size, alignment);
	const size_t bytes = begin + result + result_size;
	struct fl__task_block *block;
	char *memory;
	if (bytes > FL__TASK_BLOCK_LARGE)
		block = task_blocks_new_own(pool, head, result + result_size, &memory);
	else if ((block = task_blocks_take(pool, bytes > FL__TASK_BLOCK_SMALL)) != NULL)
		memory = (char *)block + begin;
	if (!block)
		return NULL;
	block->done = block->queued = block->asked = block->permit = 0;
	if (pool->of.remote)
		memset(&block->suspicions, 0, sizeof *block - offsetof(struct fl__task_block, suspicions));
	block->future.arg = type->arg_size ? memory : NULL;
	block->future.result = result_size ? memset(memory + result, 0, result_size) : NULL;
	block->future.count = count;
	return block;
}

struct fl__callback *fl__task_block_callback(struct fl__task_block *block)
{
	return (struct fl__callback *)(void *)((char *)block + block->pool->head);
}

/*
 * Called in a cache. Returns NULL if the block was added. Returns `block` if the caller must keep
 * the block. Otherwise returns a chain, which the caller must put into the central list before it
 * tries again.
 */
static struct fl__task_block *task_blocks_push(struct fl__task_block_list *list, struct fl__task_block *block)
{
	const uint32_t most = fl__hook_word(&fl__hook_chain);
	if (list->n >= most) {
		if (most == 0)
			return block;
		struct fl__task_block *chain = list->chain;
		list->chain = list->blocks;
		list->chain->done = TASK_BLOCKS_CHAIN;
		list->blocks = NULL;
		list->n = 0;
		if (chain)
			return chain;
	}
	block->next = list->blocks;
	list->blocks = block;
	list->n++;
	return NULL;
}

void fl__task_block_free(struct fl__task_block *block)
{
	uint32_t *state = &block->future.state, seen;
	while ((seen = fl__load_acquire(state)) & FL__FUTURE_LEFT) /* acquire: pairs with the CAS */
		/* release: pairs with the acquire above, for what this owner has done with the block */
		if (fl__cas_weak_release(state, &seen, seen & ~(uint32_t)FL__FUTURE_LEFT))
			return;
	struct fl__task_blocks *pool = block->pool;
	const unsigned size = block->size;
	struct fl__task_block_cache *s = task_blocks_enter(pool);
	struct fl__task_block *chain;
	while ((chain = task_blocks_push(&s->lists[size], block)) != NULL) {
		fl__task_block_cache_leave(s);
		/* the pool still exists, because this block is counted */
		if (chain == block)
			task_blocks_keep(pool, block);
		else
			task_blocks_put_chain(pool, size, chain);
		s = task_blocks_enter(pool);
		if (chain == block)
			break;
	}
	task_blocks_uncount(pool, s, 1);
}

void fl__task_block_release(struct fl__task_block *block)
{
	if (block->size & FL__TASK_BLOCK_OWN) {
		fl__free(*task_block_own(block));
		block->size &= (uint8_t)~FL__TASK_BLOCK_OWN;
	}
	fl__task_block_free(block);
}

void fl__task_blocks_ref(struct fl__task_blocks *pool)
{
	struct fl__task_block_cache *s = task_blocks_enter(pool);
	const bool ended = s->ended;
	s->out += !ended;
	fl__task_block_cache_leave(s);
	if (ended)
		fl__add_relaxed(&pool->left, 1); /* relaxed: the caller's own reference is still in `left` */
}

void fl__task_blocks_unref(struct fl__task_blocks *pool)
{
	task_blocks_uncount(pool, task_blocks_enter(pool), 1);
}
