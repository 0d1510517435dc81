/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_CELLS_H
#define FL_EXEC_CELLS_H

#include "../future/future.h"
#include <fairlead/executor.h>
#include <stddef.h>

/*
 * Cells: one block of memory for a task: its future, its argument, its result. A pool keeps free cells of one common size;
 * what does not fit has memory of its own. cells.c says how long a pool lives.
 */
struct fl__cells;

struct fl__cell {
	void *free_next;        /* while it is in the free list, and only there; first, as the list has it */
	struct fl__cells *pool; /* lasts as long as the cell */
	void *memory;           /* its own; NULL: it is one of the pool's */
	/* The rest is zeroed for each task. */
	fl_executor *executor;        /* valid until the task has ended */
	struct fl__cell *next, *prev; /* in the executor's queue, or a list of those taken out of it */
	uint32_t fork_count;          /* fl__fork_count when it was submitted */
	uint32_t count, done;         /* elements: 1, or those of a chunk of a map; how many succeeded */
	bool queued;                  /* in the executor's queue; guarded by the executor's lock */
	/* For an executor that runs tasks elsewhere; guarded by its lock. */
	bool elsewhere;              /* it does */
	bool asked;                  /* to stop, and it was told */
	size_t mapped;               /* bytes of the result, when that is a mapping; else 0 */
	uint16_t attempts;           /* starts that came to nothing */
	uint16_t suspicions;         /* deaths of a worker that had it next, and says that it had not started */
	uint32_t seq;                /* the order that it is, */
	struct fl__member *member;   /* and with whom it is posted; NULL: it is not */
	struct fl__stopper *stopper; /* what watches its token; NULL: nothing */
	uint64_t task;               /* its type's identity: process/identity.h */
	uint32_t check;
	fl_future future;
};

static inline struct fl__cell *fl__cell_of(fl_future *f)
{
	return (struct fl__cell *)(void *)((char *)f - offsetof(struct fl__cell, future));
}

/*
 * A pool with one reference, the caller's; NULL: out of memory. `owner`, from fl__alloc(), is freed when the pool and all its
 * cells are; NULL: nothing.
 */
struct fl__cells *fl__cells_new(void *owner);

/* Drops the reference that fl__cells_new() gave. */
void fl__cells_free(struct fl__cells *pool);

/*
 * A cell with room for `count` arguments and results of `type`, at future.arg and future.result; all zero but for these. There
 * is no room for results of more than `most` bytes in all: future.result is NULL. The caller holds a reference to the pool.
 * NULL: out of memory.
 */
struct fl__cell *fl__cell_new(struct fl__cells *pool, const fl_task_type *type, uint32_t count, size_t most);

void fl__cell_free(struct fl__cell *cell);

/*
 * The free list: a stack of anything whose first member is a pointer for its use. cells_ck.c: everything that Concurrency
 * Kit does, and nothing else; ThreadSanitizer sees none of it, so callers say fl__tsan_release() before a push and
 * fl__tsan_acquire() after a pop. All-zero is empty. Memory that was pushed must stay readable while anybody may pop.
 */
struct fl__free_list {
	_Alignas(2 * sizeof(void *)) void *words[2];
	void *locked_head; /* of the list for machines without a double-width compare-and-swap */
	uint32_t lock;
};

void fl__free_list_push(struct fl__free_list *list, void *entry);
void *fl__free_list_pop(struct fl__free_list *list); /* NULL: empty */

/* The same under a lock; which of the two the names above mean is chosen in cells_ck.c. */
void fl__locked_list_push(struct fl__free_list *list, void *entry);
void *fl__locked_list_pop(struct fl__free_list *list);

#endif
