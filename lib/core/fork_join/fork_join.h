/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FORK_JOIN_FORK_JOIN_H
#define FL_FORK_JOIN_FORK_JOIN_H

#include "../hooks.h"
#include <fairlead/error.h>
#include <fairlead/parallel.h>

/*
 * The forks of an executor's workers: fl_parallel_invoke() publishes forks, and idle workers steal
 * them. fork_join.c has the invariants.
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
	uint32_t used; /* a push has woken a thread, or has called `wake` */
	uint32_t n;    /* a hint: about the most workers */
	/* Wakes a parked worker, or starts one, to search for forks. Called on any thread. */
	void (*wake)(void *pool);
	/* Guesses whether there is a task, so that the search may stop. May be NULL. */
	bool (*has_task)(const void *pool);
	void *pool;
	/* The newest stack. Each belongs, or belonged, to a worker, and stays until the end. */
	struct fl__fork_stack *newest;
};

/* The thread pool calls these functions. A program without a fork does not link their code. */

FL__IF_LINKED void fl__forks_init(struct fl__forks *forks, unsigned n, void (*wake)(void *pool), void *pool);
/* Requires that all workers have left, or are not in this process. */
FL__IF_LINKED void fl__forks_fini(struct fl__forks *forks);

FL__IF_LINKED void fl__forks_resize(struct fl__forks *forks, unsigned n);

/*
 * Makes the calling context a worker, which may publish and steal forks. `left` is the stack of a
 * worker that has left, to be used again, or NULL. Returns the worker's stack, or NULL if there is
 * no memory; then the worker must do neither.
 */
FL__IF_LINKED struct fl__fork_stack *fl__forks_enter(struct fl__forks *forks, struct fl__fork_stack *left);
FL__IF_LINKED void fl__forks_leave(struct fl__fork_stack *self);

/* Returns how many forks were stolen so far, for statistics. */
FL__IF_LINKED size_t fl__forks_stolen(const struct fl__forks *forks);

/*
 * Steals a fork and runs it. Searches for a bounded time, while there is no task. Returns false if
 * it found none; true also if another thief was faster.
 */
FL__IF_LINKED bool fl__forks_run_one(struct fl__forks *forks, struct fl__fork_stack *self);

/*
 * Called before a worker parks. From now on the next fork wakes a context, perhaps by `wake`. Then
 * looks for a fork once more, and runs it. Returns whether it has run one.
 */
FL__IF_LINKED bool fl__forks_prepare_sleep(struct fl__forks *forks, struct fl__fork_stack *self);

/*
 * thread_pool/guest.c. Called without the lock of `e`, a thread executor. fl__pool_enter() makes the
 * calling thread, which runs no task, a worker until fl__pool_leave(), and returns its first frame.
 * It returns NULL if as many workers are active as the limit says, or if there is no memory.
 */
struct fl__run;
struct fl__run *fl__pool_enter(fl_executor *e);
void fl__pool_leave(struct fl__run *run);

static inline bool fl__forks_are_linked(void)
{
	return FL__IS_LINKED(fl__forks_init);
}

#endif
