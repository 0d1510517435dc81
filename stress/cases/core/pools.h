/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_POOLS_H
#define STRESS_POOLS_H

#include "../cases.h"
#include "core/thread_pool/thread_pool.h"
#include <fairlead/latch.h>
#include <fairlead/task.h>

static inline struct fl__thread_pool *pool_inside(fl_executor *e)
{
	return (struct fl__thread_pool *)(void *)e; /* base is its first member */
}

/*
 * Makes a thread executor of up to `n` workers. Some of the workers are the scenario's actors: they
 * exist from the beginning, and search. So the model explores only their search, and not their
 * start.
 */
static inline struct fl__thread_pool *pool_of_actors(unsigned n, unsigned actors)
{
	fl_executor *e = NULL;
	OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = n}));
	struct fl__thread_pool *p = pool_inside(e);
	for (unsigned i = 0; i < actors; i++) {
		struct fl__thread_worker *w = fl__pool_make_worker(p);
		FL_STRESS_CHECK(w != NULL);
		fl__pool_take_place(w);
	}
	p->state = actors * FL__POOL_SEARCHES; /* not COLD */
	p->alive = actors;
	fl__pool_count(p, (int)actors, 0);
	return p;
}

static inline struct fl__thread_worker *worker_at(struct fl__thread_pool *p, unsigned place)
{
	struct fl__thread_worker *w = p->workers;
	while (w && w->number != place)
		w = w->next;
	if (!w)
		abort();
	return w;
}

/* Runs as the worker with that number, until the worker is to end. */
static inline void serve(struct fl__thread_pool *p, unsigned place)
{
	struct fl__thread_worker *w = worker_at(p, place);
	fl__run_enter(&w->run, &p->base);
	fl__ctx_get()->worker = &w->run; /* its tasks submit into its local queue */
	fl__pool_serve(w);
	fl__ctx_get()->worker = NULL;
	fl__run_leave(&w->run);
}

static inline bool worker_sleeps(struct fl__thread_pool *p)
{
	FL_LOCKED(&p->base.lock);
	return p->sleepers.first != NULL;
}

/* An actor that is the worker at a place. */
#define SERVES(test, actor, place)                                                                                     \
	FL_STRESS_ACTOR(test, actor)                                                                                   \
	{                                                                                                              \
		serve(s->p, place);                                                                                    \
	}

/* The state of scenarios whose actors differ only in what they call, and some of what they call. */
struct served {
	struct fl__thread_pool *p;
	fl_event first, second; /* set by tasks, or for them */
	atomic_int at_once;     /* how many tasks run at once */
};

static inline void serve_first(struct served *t)
{
	serve(t->p, 0);
}

static inline void serve_second(struct served *t)
{
	serve(t->p, 1);
}

/* Closes the executor late, because a close would wake all workers. */
static inline void close_after_second(struct served *t)
{
	OK(fl_event_wait(&t->second));
	fl_executor_close(&t->p->base);
}

static inline void end_served(struct served *t)
{
	fl_executor_free(&t->p->base);
	FL_ACCEPTABLE(1, "each task had a worker, and all have ended");
}

#define POOL(test, begin, ...) SCENARIO(test, struct served, begin(&s->t), end_served(&s->t), __VA_ARGS__)

/* Does what serve() does, for a worker that may fork, and steal forks. */
static inline void serve_with_forks(struct fl__thread_pool *p, unsigned place)
{
	struct fl__fork_stack *self = fl__forks_enter(&p->forks, worker_at(p, place)->forks);
	FL_STRESS_CHECK(self != NULL);
	worker_at(p, place)->forks = self;
	serve(p, place);
	fl__forks_leave(self);
}

static inline void end_task(fl_future *f, int error, char *message)
{
	struct fl__callback *callbacks;
	fl__future_set_end(f, error, message);
	if (!fl__future_publish_end(f, &callbacks))
		fl__future_end_rest(f, callbacks);
}

/* Runs a task as a worker that has taken it. */
static inline void run_or_abandon(struct fl__thread_pool *p, struct fl__task_block *block)
{
	const enum fl__claim claim = fl__future_claim(&block->future);
	if (claim == FL__CLAIM_LOST) {
		fl__task_block_free(block);
		return;
	}
	struct fl__run run;
	fl__run_enter(&run, &p->base);
	run.future = &block->future;
	run.claim = claim;
	char *message;
	const int error = fl__run_function(&run, &message);
	fl__run_leave(&run);
	end_task(&block->future, error, message);
}

static inline fl_executor *pool_as(fl_executor_config config)
{
	fl_executor *e = NULL;
	OK(fl_thread_executor_create(&e, &config));
	return e;
}

static inline fl_executor *pool_of(unsigned workers)
{
	return pool_as((fl_executor_config){.workers = workers});
}

static inline fl_executor *sequential(void)
{
	fl_executor *e = NULL;
	OK(fl_sequential_executor_create(&e, NULL));
	return e;
}

/* pools.c says what these tasks do. */
FL_TASK_DECLARE(do_nothing, void, void)
FL_TASK_DECLARE(add_one, int *, int)
FL_TASK_DECLARE(count_one, atomic_int *, void)
FL_TASK_DECLARE(set_event, fl_event *, void)
FL_TASK_DECLARE(await_event, fl_event *, void)
FL_TASK_DECLARE(hold_worker, fl_event *, void)
FL_TASK_DECLARE(meet, fl_latch *, void)
FL_TASK_DECLARE(obey, void, void)

#endif
