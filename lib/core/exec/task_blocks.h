/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_TASK_BLOCKS_H
#define FL_EXEC_TASK_BLOCKS_H

#include "../future/future.h"
#include <fairlead/executor.h>
#include <fairlead/private/inline.h>
#include <stddef.h>

/*
 * A task block ("block") has a task's future, argument and result. Each executor has a pool of free
 * blocks, in a few sizes; a larger block is an allocation of its own.
 */
struct fl__task_blocks;

struct fl__task_block {
	fl_future future; /* first: a worker needs little more than one cache line */
	struct fl__task_blocks *pool;
	/* in a list: the executor's queue, blocks taken out of it, remote.h's, or the pool's */
	struct fl__task_block *next, *prev;
	/* elements of a map's chunk that succeeded; in a chain's first block: its length */
	uint32_t done;
	/* in a queue of the executor: executor.h, backlog.h; guarded by its lock */
	uint8_t queued;
	/* enum fl__stop_state; guarded by the lock, where tasks run in other processes */
	uint8_t asked;
	uint8_t permit;    /* enum fl__admission */
	uint8_t size;      /* index; or FL__TASK_BLOCK_OWN, FL__TASK_BLOCK_INTRUSIVE */
	uint16_t attempts; /* failed starts */
	/* The rest: only where tasks run in other processes; guarded by the lock. */
	/* worker processes that died when the task was next, but not started */
	uint16_t suspicions;
	uint32_t seq;                /* in the submission ring */
	void *worker;                /* the transport's, where the task is posted; NULL: nowhere */
	struct fl__stopper *stopper; /* of its token; NULL: none */
	/* bytes of a result that is a mapping; else 0 */
	size_t mapped;
	uint64_t task; /* identity of its type: process/identity.h */
	uint32_t check;
};

enum fl__stop_state {
	FL__STOP_NOT_REQUESTED,
	FL__STOP_REQUESTED,
	FL__STOP_BETWEEN, /* a chunk: the next element was not begun */
	FL__STOP_EXPIRED, /* still running at its deadline: its worker process was killed */
};

enum {
	FL__TASK_BLOCK_SIZES = 2,
	FL__TASK_BLOCK_OWN = FL__TASK_BLOCK_SIZES, /* an allocation of its own */
	FL__TASK_BLOCK_INTRUSIVE,                  /* in the caller's memory: intrusive_task.c */
};

static inline struct fl__task_block *fl__task_block_of(fl_future *f)
{
	return (struct fl__task_block *)(void *)f; /* its first member */
}

struct fl__task_block_owner {
	fl_executor *executor;         /* valid until each task has ended */
	const fl_allocator *allocator; /* of the pool and its blocks; NULL: the process's */
	uint32_t fork_count;           /* at the creation */
	bool remote;                   /* tasks run in other processes: blocks have all fields */
};

/*
 * Lasts as long as the caller or a task block needs it. `owner`, from of->allocator or NULL, is
 * freed with it. NULL: out of memory.
 */
struct fl__task_blocks *fl__task_blocks_new(const struct fl__task_block_owner *of, void *owner);

/* The creator makes no more blocks. The pool lasts until the last one is freed. */
void fl__task_blocks_free(struct fl__task_blocks *pool);

static inline const struct fl__task_block_owner *fl__task_blocks_owner(const struct fl__task_blocks *pool)
{
	return (const struct fl__task_block_owner *)(const void *)pool; /* its first member */
}

static inline const struct fl__task_block_owner *fl__task_block_owner(const struct fl__task_block *block)
{
	return fl__task_blocks_owner(block->pool);
}

/*
 * Takes a reference to the pool, not to the executor: for a later use of the executor without a
 * task there. In a forked child, where pools stay, ref and unref do nothing.
 */
void fl__task_blocks_ref(struct fl__task_blocks *pool);
void fl__task_blocks_unref(struct fl__task_blocks *pool);

/* The executor, not freed before fl__task_blocks_unhold(). NULL: its free has begun. */
fl_executor *fl__task_blocks_hold(struct fl__task_blocks *pool);
void fl__task_blocks_unhold(struct fl__task_blocks *pool);

/* By the thread that frees the joined executor. Waits for all holders; later holds fail. */
void fl__task_blocks_shut(struct fl__task_blocks *pool);

/*
 * With `count` arguments and results of `type`, at future.arg and future.result, and `extra` bytes
 * for a callback and its argument. All is zero except the future, links, arguments and extra bytes.
 * If the results exceed `most` bytes, future.result is NULL. NULL: out of memory.
 */
struct fl__task_block *fl__task_block_new(struct fl__task_blocks *pool, const fl_task_type *type, uint32_t count,
                                          size_t most, size_t extra);

/* The callback is in the extra bytes. */
struct fl__callback *fl__task_block_callback(struct fl__task_block *block);

/* Prefetches the cache lines of a small block for writing. */
static inline void fl__task_block_fetch(const void *block)
{
	enum { LINE = 64, LINES = 3 };
	for (unsigned i = 0; i < LINES; i++)
		fl__fetch_to_write((const char *)block + (size_t)i * LINE);
}

/*
 * Makes a block of the caller's memory, with space for a callback. The pool counts the block, and
 * lasts until fl__task_block_free(). The caller sets future.arg, .result and .count. Not for remote
 * tasks.
 */
void fl__task_block_adopt(struct fl__task_blocks *pool, struct fl__task_block *block);

/* An adopted block is only uncounted, not touched. */
void fl__task_block_free(struct fl__task_block *block);

#endif
