/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_CELLS_H
#define FL_EXEC_CELLS_H

#include "../future/future.h"
#include <fairlead/executor.h>
#include <fairlead/inline.h>
#include <stddef.h>

/*
 * Cells: one block of memory for a task: its future, its argument, its result. Each executor has a pool of free ones, in a few
 * sizes; what is larger has memory of its own. cells.c says how long a pool lives.
 */
struct fl__cells;

struct fl__cell {
	fl_future future;             /* first: what whoever runs it needs is in the first line */
	struct fl__cells *pool;       /* lasts as long as the cell */
	struct fl__cell *next, *prev; /* in the executor's queue, a list of those taken out of it, or the pool */
	uint32_t done;                /* how many elements of a chunk of a map succeeded; free: those in this chain */
	uint32_t parting;             /* FL__TAKEN, FL__LEFT: executor.h */
	uint8_t queued;               /* in the executor's queue: executor.h, backlog.h; guarded by its lock */
	uint8_t asked;                /* enum fl__asked; guarded by its lock, where tasks run elsewhere */
	uint8_t place;                /* enum fl__admission */
	uint8_t size;                 /* which of the pool's; FL__CELL_OWN, FL__CELL_USERS: none of them */
	uint16_t attempts;            /* starts that came to nothing */
	/* The rest is there only in the cells of an executor that runs tasks elsewhere, and guarded by its lock. */
	uint16_t suspicions;         /* deaths of a worker that had it next, and says that it had not started */
	uint32_t seq;                /* the order that it is, */
	struct fl__member *member;   /* and with whom it is posted; NULL: it is not */
	struct fl__stopper *stopper; /* what watches its token; NULL: nothing */
	size_t mapped;               /* bytes of the result, when that is a mapping; else 0 */
	uint64_t task;               /* its type's identity: process/identity.h */
	uint32_t check;
};

/* Whether a task that runs was to stop. */
enum fl__asked {
	FL__NOT_ASKED,
	FL__ASKED,   /* it was told */
	FL__EXPIRED, /* its worker was killed: the task still ran after its deadline */
};

enum {
	FL__CELL_SIZES = 2,
	FL__CELL_OWN = FL__CELL_SIZES, /* memory of its own */
	FL__CELL_USERS,                /* the user's: embedded.h */
};

static inline struct fl__cell *fl__cell_of(fl_future *f)
{
	return (struct fl__cell *)(void *)f; /* its first member */
}

/* What is the same for all cells of a pool. */
struct fl__cells_of {
	fl_executor *executor; /* valid until each task has ended */
	uint32_t fork_count;   /* fl__fork_count when it was made */
	bool elsewhere;        /* it runs tasks elsewhere: its cells are whole */
};

/*
 * A pool, for as long as the caller and the cells need it; NULL: out of memory. `owner`, from fl__alloc(), is freed when the pool
 * is; NULL: nothing.
 */
struct fl__cells *fl__cells_new(const struct fl__cells_of *of, void *owner);

/* By who has made it: no cell is made any more. The pool lasts until the last one is freed. */
void fl__cells_free(struct fl__cells *pool);

static inline const struct fl__cells_of *fl__cells_of(const struct fl__cell *cell)
{
	return (const struct fl__cells_of *)(const void *)cell->pool; /* its first member */
}

/*
 * For who will want the executor some time, and has no task there: the pool, but not the executor, lasts until fl__cells_unkeep().
 * Both do nothing in a forked child, where pools stay.
 */
void fl__cells_keep(struct fl__cells *pool);
void fl__cells_unkeep(struct fl__cells *pool);

/* The executor of a pool that is kept, which then is not freed before fl__cells_unhold(); NULL: it is being freed, or was. */
fl_executor *fl__cells_hold(struct fl__cells *pool);
void fl__cells_unhold(struct fl__cells *pool);

/* By who frees the executor, when it is joined: nobody gets it any more, and who had it has let go. Waits for those few instructions. */
void fl__cells_shut(struct fl__cells *pool);

/*
 * A cell with room for `count` arguments and results of `type`, at future.arg and future.result, and for a callback if
 * `called`; zero, but for the future, links and arguments. There is no room for results of more than `most` bytes in all:
 * future.result is NULL. NULL: out of memory.
 */
struct fl__cell *fl__cell_new(struct fl__cells *pool, const fl_task_type *type, uint32_t count, size_t most,
                              bool called);

/* The room for its callback. */
struct fl__callback *fl__cell_callback(struct fl__cell *cell);

/* Begins to fetch the lines of a small cell, to be written: a hint. */
static inline void fl__cell_fetch(const void *cell)
{
	enum { LINE = 64, LINES = 3 };
	for (unsigned i = 0; i < LINES; i++)
		fl__fetch_to_write((const char *)cell + (size_t)i * LINE);
}

/*
 * Makes a cell of memory that is the user's, with room for a callback: counts it in the pool, which lasts until it is freed.
 * Never fails. future.arg, .result and .count are the caller's to set. Of an executor that runs tasks here.
 */
void fl__cell_adopt(struct fl__cells *pool, struct fl__cell *cell);

/* Of one that was adopted: uncounts it, and touches nothing of it. */
void fl__cell_free(struct fl__cell *cell);

#endif
