/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_FORK_H
#define FL_EXEC_FORK_H

#include <fairlead/join.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The forks of the workers of an executor: what fl_join() lays open, and others take. fork.c has the invariants.
 *
 *     struct fl__fork_stack *self = fl__forks_enter(&forks, i);   // a worker begins
 *     for (;;) {
 *             if (there is a task) { run it; continue; }
 *             if (fl__forks_run_one(&forks, self)) continue;
 *             if (fl__forks_doze(&forks, self)) continue;         // somebody has just forked
 *             sleep, until there is a task or `wake` was called
 *     }
 *     fl__forks_leave(&forks, self);
 */
struct fl__forks {
	struct fl__fork_flags flags;
	uint32_t used;      /* somebody has forked */
	uint32_t searching; /* how many look for forks */
	uint32_t fork_count;
	uint32_t n; /* how many workers there are at most: a hint */
	void (*wake)(
	    void *pool); /* wakes a worker that sleeps, or starts one: it is to look for forks. Whatever thread calls */
	bool (*has_task)(
	    const void *pool); /* whether there is something better to do than to look on: a guess; NULL: never */
	void *pool;
	struct fl__fork_stack *newest; /* of the stacks; each has a worker, or had one, and stays until the end */
};

/* Of about `n` workers at most. */
void fl__forks_init(struct fl__forks *forks, unsigned n, void (*wake)(void *pool), void *pool);
void fl__forks_fini(struct fl__forks *forks); /* all workers have left, or are not in this process */

/* There are `n` at most from now on. */
void fl__forks_resize(struct fl__forks *forks, unsigned n);

/*
 * The calling context is worker `i`: it may lay forks open. It gets the stack of the worker `i` that was before it, who has left. NULL:
 * there is no memory, so it may not, nor take any.
 */
struct fl__fork_stack *fl__forks_enter(struct fl__forks *forks, unsigned i);
void fl__forks_leave(struct fl__fork_stack *self);

/* How many forks were taken, for statistics: no order. */
size_t fl__forks_taken(const struct fl__forks *forks);

/* Takes a fork from another worker, and runs it; looks for one for a bounded time, while there is no task. False: there was none. */
bool fl__forks_run_one(struct fl__forks *forks, struct fl__fork_stack *self);

/* Before a sleep: whoever forks from now on calls `wake`. True: there is a fork now. */
bool fl__forks_doze(struct fl__forks *forks, struct fl__fork_stack *self);

/* Whether somebody would take a fork of the calling context, and finds none: a guess. */
bool fl__fork_is_wanted(void);

#endif
