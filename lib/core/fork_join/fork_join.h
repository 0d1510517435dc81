/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FORK_JOIN_FORK_JOIN_H
#define FL_FORK_JOIN_FORK_JOIN_H

#include "../hooks.h"
#include <fairlead/error.h>
#include <fairlead/parallel.h>

/*
 * The forks of an executor's workers. fl_parallel_invoke() pushes forks, and idle workers steal
 * them. The invariants are in fork_join.c.
 *
 *     self = fl__forks_enter(&forks, self);   // a worker begins; NULL the first time
 *     for (;;) {
 *             if (there is a task) { run it; continue; }
 *             if (fl__forks_run_one(&forks, self)) continue;
 *             if (fl__forks_prepare_sleep(&forks, self)) continue;    // it has run a new fork
 *             park, until there is a task or `wake` was called
 *     }
 *     fl__forks_leave(self);
 */
struct fl__forks {
	struct fl__fork_flags flags;
	uint32_t used; /* 1 once a push has tried to wake a thread */
	uint32_t n;    /* a hint: about how many workers there may be */
	/* Wakes a parked worker, or starts one, to search for forks. Called on any thread. */
	void (*wake)(void *pool);
	/* Guesses whether there is a task, which ends a search for forks. May be NULL. */
	bool (*has_task)(const void *pool);
	void *pool;
	/* The newest stack. Stacks last as long as the executor, even if their workers leave. */
	struct fl__fork_stack *newest;
};

/* Called by the thread pool. A program without forks does not link the code. */

FL__IF_LINKED void fl__forks_init(struct fl__forks *forks, unsigned n, void (*wake)(void *pool), void *pool);
/* All workers must have left, or belong to another process. */
FL__IF_LINKED void fl__forks_fini(struct fl__forks *forks);

FL__IF_LINKED void fl__forks_resize(struct fl__forks *forks, unsigned n);

/*
 * Makes the calling context a worker, which may push and steal forks. `left` is NULL, or the stack
 * of a worker that has left, to be used again. Returns the worker's stack, or NULL if there is no
 * memory; then the worker must neither push nor steal.
 */
FL__IF_LINKED struct fl__fork_stack *fl__forks_enter(struct fl__forks *forks, struct fl__fork_stack *left);
FL__IF_LINKED void fl__forks_leave(struct fl__fork_stack *self);

/* Returns how many forks were stolen so far. For statistics. */
FL__IF_LINKED size_t fl__forks_stolen(const struct fl__forks *forks);

/*
 * Steals a fork and runs it. Searches for a bounded time, while there is no task. Returns false if
 * it has found none, but true if another thief took the fork first.
 */
FL__IF_LINKED bool fl__forks_run_one(struct fl__forks *forks, struct fl__fork_stack *self);

/*
 * Called before a worker parks. Makes the next fork wake a context, perhaps by `wake`. Then looks
 * for a fork once more, and runs it. Returns whether it has run one.
 */
FL__IF_LINKED bool fl__forks_prepare_sleep(struct fl__forks *forks, struct fl__fork_stack *self);

/*
 * In thread_pool/guest.c. Called without the lock of `e`, a thread executor. fl__pool_enter() makes
 * the calling thread, which must not run a task, a worker until fl__pool_leave(), and returns its
 * first frame. It returns NULL if the limit allows no further active worker, or if there is no
 * memory.
 */
struct fl__run;
struct fl__run *fl__pool_enter(fl_executor *e);
void fl__pool_leave(struct fl__run *run);

static inline bool fl__forks_are_linked(void)
{
	return FL__IS_LINKED(fl__forks_init);
}

#endif
