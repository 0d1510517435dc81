/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include "../future/future.h"
#include "../hooks.h"
#include "../wait/context.h"
#include <fairlead/executor.h>
#include <fairlead/private/inline.h>
#include <string.h>

/*
 * A task block ("block") contains a task's future, argument and result. Each executor has a pool of
 * free blocks, in a few sizes. If the argument and the result do not fit, they are in an allocation
 * of their own, which is freed with the last reference to the future. The block itself may last
 * longer, because a local queue may still refer to it.
 */
struct fl__task_block {
	fl_future future; /* first: a worker needs little more than one cache line */
	struct fl__task_blocks *pool;
	/*
	 * Links of the list that contains the block: the executor's queue, a list of blocks that
	 * were taken out of a queue, a list of running tasks, a list of remote.h, or a list of the
	 * pool.
	 */
	struct fl__task_block *next;
	union {
		struct fl__task_block *prev;
		size_t place; /* the block's place in an injector (backlog.h) */
	};
	/*
	 * In a block in use: how many elements of a map's chunk have succeeded. In the first block
	 * of a chain of free blocks: the length of the chain.
	 */
	uint32_t done;
	/*
	 * 1 if the block is in the executor's `queue`, or listed by a cancel as running. Guarded by
	 * the executor's lock.
	 */
	uint8_t queued;
	uint8_t asked;      /* enum fl__stop_state; if tasks run in other processes, guarded by the lock */
	uint8_t injector;   /* number of the injector where the submit has put the block */
	uint8_t permit : 4; /* enum fl__permit; written by the submit */
	uint8_t size : 4;   /* index of the block's size; | FL__TASK_BLOCK_OWN if it has an allocation */
	/*
	 * The rest is used only where tasks run in other processes. The executor's lock guards it.
	 */
	/* how often a worker process died when this task was its next, but had not started */
	uint16_t suspicions;
	uint16_t attempts;           /* how often a worker process died while it ran the task */
	uint32_t seq;                /* in the submission ring */
	void *worker;                /* the transport's worker that has the task, or NULL */
	struct fl__stopper *stopper; /* of the task's token, or NULL */
	/* size in bytes of a result that is a mapping; otherwise 0 */
	size_t mapped;
	uint64_t task; /* identity of the task's type: process/base/identity.h */
	uint32_t check;
	int64_t began, ran; /* start and duration of an ended task, reported by its worker, in ns; or 0 */
};

enum fl__stop_state {
	FL__STOP_NOT_REQUESTED,
	FL__STOP_REQUESTED,
	FL__STOP_BETWEEN, /* stopped between elements of a chunk, or never ran */
	FL__STOP_EXPIRED, /* was still running at its deadline, so its worker process was killed */
};

/*
 * The first size is for small arguments and results. Few tasks exceed the second size. Both are an
 * odd number of cache lines, so that the first lines of blocks spread over a cache's sets.
 */
enum { FL__TASK_BLOCK_SMALL = 3 * FL__LINE, FL__TASK_BLOCK_LARGE = 7 * FL__LINE };

/*
 * CACHES is the number of caches of a pool. CHAIN is the number of blocks in a full chain. Both are
 * macros because the laboratory's model of a pool uses smaller numbers, so that more contexts share
 * a cache.
 */
#ifndef FL__TASK_BLOCK_CACHES
#define FL__TASK_BLOCK_CACHES 16
#define FL__TASK_BLOCK_CHAIN 32
#endif
enum {
	FL__TASK_BLOCK_SIZES = 2,
	FL__TASK_BLOCK_OWN = 2,          /* a bit: argument and result are in an allocation */
	FL__TASK_BLOCK_EXTRA_MOST = 128, /* bytes for a callback and its argument */
};

static inline struct fl__task_block *fl__task_block_of(fl_future *f)
{
	return (struct fl__task_block *)(void *)f; /* its first member */
}

struct fl__task_block_owner {
	fl_executor *executor; /* its struct is freed with the pool; NULL in tests */
	bool remote;           /* tasks run in other processes: blocks have all fields */
};

struct fl__task_block_list {
	struct fl__task_block *blocks; /* the first of `n` blocks, linked by `next` */
	struct fl__task_block *chain;  /* one more chain, of any length, or NULL */
	size_t n;
};

struct fl__task_block_cache {
	uint32_t busy;
	bool ended;
	size_t out;
	struct fl__task_block_list lists[FL__TASK_BLOCK_SIZES];
	unsigned char apart[FL__LINE]; /* between caches */
};

struct fl__task_block_central {
	struct fl__task_block *chains; /* linked by `prev` of the first block of each */
	size_t n_next;                 /* blocks of the next slab, a multiple of CHAIN */
	/* blocks kept while the ends of handles are checked (task_blocks.c), linked by `next` */
	struct fl__task_block *kept_first, *kept_last;
	size_t n_kept;
};

struct fl__task_blocks {
	struct fl__task_block_owner of;
	size_t head; /* offset in a block where the callback may begin or, without one, the argument */
	size_t left;
	uint32_t lock; /* guards `slabs` and `central` */
	void *slabs;   /* each begins with a pointer to the next */
	struct fl__task_block_central central[FL__TASK_BLOCK_SIZES];
	unsigned char apart[FL__LINE];
	struct fl__task_block_cache caches[FL__TASK_BLOCK_CACHES];
};

/*
 * Makes a pool. It lasts until fl__task_blocks_free() was called and the last task block and the
 * last reference are freed. Returns NULL if there is no memory.
 */
struct fl__task_blocks *fl__task_blocks_new(const struct fl__task_block_owner *of);

/*
 * Called by the creator, which then makes no more blocks. The pool lasts until the last block and
 * the last reference are freed.
 */
void fl__task_blocks_free(struct fl__task_blocks *pool);

static inline const struct fl__task_block_owner *fl__task_block_owner(const struct fl__task_block *block)
{
	return &block->pool->of;
}

/*
 * Takes a reference to the pool, which also keeps the executor's struct. This is for a context that
 * will use the executor later, but has no task there. The caller has made the pool, or has a block
 * or a reference; then it may be called after fl__task_blocks_free().
 */
void fl__task_blocks_ref(struct fl__task_blocks *pool);
void fl__task_blocks_unref(struct fl__task_blocks *pool);

/*
 * Makes a block with `count` arguments and results of `type`, at future.arg and future.result, and
 * `extra` bytes, at most EXTRA_MOST, for a callback and its argument. If the results exceed `most`
 * bytes, future.result is NULL. Returns NULL if there is no memory.
 *
 * The results are zero, and so are `done`, `queued`, `asked` and `permit`. If tasks run in other
 * processes, the fields behind `size` are also zero. The rest of the future, the links, the
 * arguments and the extra bytes are undefined.
 */
struct fl__task_block *fl__task_block_new(struct fl__task_blocks *pool, const fl_task_type *type, uint32_t count,
                                          size_t most, size_t extra);

struct fl__callback *fl__task_block_callback(struct fl__task_block *block);

/* Prefetches the cache lines of a small block for writing. Does nothing for NULL. */
static inline void fl__task_block_fetch(const void *block)
{
	for (unsigned i = 0; i < FL__TASK_BLOCK_SMALL; i += FL__LINE)
		fl__fetch_to_write((const void *)((uintptr_t)block + i));
}

static inline bool fl__task_block_cache_enter(struct fl__task_block_cache *s)
{
	return fl__swap_acquire(&s->busy, 1) == 0; /* acquire: pairs with fl__task_block_cache_leave() */
}

static inline void fl__task_block_cache_leave(struct fl__task_block_cache *s)
{
	fl__store_release(&s->busy, 0); /* release: pairs with fl__task_block_cache_enter() */
}

/*
 * Takes a block out of a cache that the caller has entered, counts the block as in use, and leaves
 * the cache. Returns NULL if the list is empty.
 */
static inline struct fl__task_block *fl__task_block_pop(struct fl__task_block_cache *s, unsigned size)
{
	struct fl__task_block_list *list = &s->lists[size];
	struct fl__task_block *block = list->blocks;
	if (fl__likely(block != NULL)) {
		struct fl__task_block *next = block->next;
		fl__task_block_fetch(next); /* a worker wrote it last: the next submit need not wait */
		list->blocks = next;
		list->n--;
		s->out++;
	}
	fl__task_block_cache_leave(s);
	return block;
}

/*
 * The layout of blocks of fl__task_block_new_small(): the argument is at HEAD, and the result is in
 * the last PART bytes of the block.
 */
enum { FL__TASK_BLOCK_PART = 16 };
enum {
	FL__TASK_BLOCK_HEAD = (offsetof(struct fl__task_block, suspicions) + FL__TASK_BLOCK_PART - 1) /
	                      FL__TASK_BLOCK_PART * FL__TASK_BLOCK_PART
};

/*
 * If a type is small, fl_executor_submit() only copies the argument. That is not enough for an
 * fl_bytes, because the task needs a handle of its own. Therefore no small type may contain one.
 */
_Static_assert(sizeof(fl_bytes) >= 2 * FL__TASK_BLOCK_PART, "no small type has an fl_bytes");

/* An alignment below 2 * PART is at most PART, because alignments are powers of two. */
static inline bool fl__task_type_is_small(const fl_task_type *type)
{
	return (type->arg_size | type->arg_align | type->result_size | type->result_align) < 2 * FL__TASK_BLOCK_PART &&
	       fl__likely(type->result_size == 0 ||
	                  (type->arg_size <= FL__TASK_BLOCK_PART && type->result_size <= FL__TASK_BLOCK_PART));
}

/*
 * Does what fl__task_block_new() does, but inline, for one argument of a small type, if tasks run
 * in this process. If it returns NULL, the caller uses fl__task_block_new().
 */
static inline struct fl__task_block *fl__task_block_new_small(struct fl__task_blocks *pool, const fl_task_type *type,
                                                              const struct fl__ctx *ctx)
{
	if (fl__unlikely(!fl__task_type_is_small(type)))
		return NULL;
	const size_t arg_size = type->arg_size, result_size = type->result_size;
	struct fl__task_block_cache *s = &pool->caches[ctx->id % FL__TASK_BLOCK_CACHES];
	if (fl__unlikely(!fl__task_block_cache_enter(s)))
		return NULL;
	struct fl__task_block *block = fl__task_block_pop(s, 0);
	if (fl__unlikely(!block))
		return NULL;
	char *const result = (char *)block + FL__TASK_BLOCK_SMALL - FL__TASK_BLOCK_PART;
	block->done = block->queued = block->asked = block->permit = block->injector = block->size = 0; /* one store */
	block->future.arg = arg_size > 0 ? (char *)block + FL__TASK_BLOCK_HEAD : NULL;
	block->future.result = result_size > 0 ? memset(result, 0, FL__TASK_BLOCK_PART) : NULL;
	block->future.count = 1;
	return block;
}

/*
 * Called by an owner of the block, once. The last reference to the future is an owner; while the
 * future is LEFT, a queue is another owner. If there are two owners, the first call only clears
 * LEFT, and the second call frees the block.
 */

void fl__task_block_free(struct fl__task_block *block);

/* Called for the last reference. Frees the allocation, if there is one, and then the block. */
void fl__task_block_release(struct fl__task_block *block);
