/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the search of the thread executor's workers. A task gets a worker while one sleeps.
 * One scenario is about the last reference of a task that was cancelled in the backlog.
 */
#include "pools.h"

static void with_first_of_two(struct served *t)
{
	t->p = pool_of_actors(2, 2);
	OK(await_event_submit(&t->p->base, &t->second, NULL));
}

static void submit_second(struct served *t)
{
	OK(set_event_submit(&t->p->base, &t->second, NULL));
	close_after_second(t);
}

static void submit_second_beside_sleeper(struct served *t)
{
	while (!worker_sleeps(t->p))
		fl_stress_relax();
	submit_second(t);
}

/*
 * The first task waits for the second. A worker takes the first task and stops its search, while
 * another worker goes to sleep, and while the second task is submitted, whose submit sees the
 * search. So the worker must see the sleeper, or the submit must see that no worker searches.
 */
POOL(pool_stop_vs_sleep, with_first_of_two, serve_first, serve_second, submit_second_beside_sleeper)

static void of_three(struct served *t)
{
	t->p = pool_of_actors(1, 3);
}

static void serve_third(struct served *t)
{
	serve(t->p, 2);
}

static void submit_and_close(struct served *t)
{
	OK(do_nothing_submit(&t->p->base, NULL));
	fl_executor_close(&t->p->base);
}

/*
 * There are three workers where one is allowed. Two of them step back, and end when the executor
 * ends.
 */
POOL(pool_crowded_end, of_three, serve_first, serve_second, serve_third, submit_and_close)

/*
 * When the executor is cancelled, each task that a worker takes is found: still in the backlog, or
 * running, in which case it is asked to stop. The worker takes one task in its search, and the next
 * task at once, or under the lock.
 */
struct pool_cancel_vs_search {
	struct fl__thread_pool *p;
	size_t cancelled;
	int rc;
};

FL_STRESS_SETUP(pool_cancel_vs_search)
{
	s->p = pool_of_actors(1, 1);
	if (fl_stress_choose(2))
		OK(do_nothing_submit(&s->p->base, NULL));
}

SERVES(pool_cancel_vs_search, worker, 0)

FL_STRESS_ACTOR(pool_cancel_vs_search, user)
{
	s->rc = obey_submit(&s->p->base, NULL);
}

FL_STRESS_ACTOR(pool_cancel_vs_search, canceller)
{
	s->cancelled = fl_executor_cancel(&s->p->base);
}

FL_STRESS(pool_cancel_vs_search, worker, user, canceller)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(s->rc == -EPIPE, "refused");
	FL_ACCEPTABLE(s->rc == 0 && s->cancelled == 0, "asked");
	FL_ACCEPTABLE(s->rc == 0 && s->cancelled > 0, "cancelled");
}

static int await_begun(void *begun)
{
	return fl_event_wait(begun);
}

static int begin(void *begun)
{
	fl_event_set(begun);
	return 0;
}

static void with_one_of_two(struct served *t)
{
	t->p = pool_of_actors(2, 1);
}

static void serve_forks(struct served *t)
{
	serve_with_forks(t->p, 0);
}

/* Works as a worker that has a task. */
static void fork_beside_sleeper(struct served *t)
{
	struct fl__fork_stack *self = fl__forks_enter(&t->p->forks, NULL);
	while (!worker_sleeps(t->p))
		fl_stress_relax();
	OK(fl_parallel_invoke(await_begun, &t->second, begin, &t->second));
	fl__forks_leave(self);
}

static void submit_beside_fork(struct served *t)
{
	while (!fl__load_relaxed(&t->p->forks.used))
		fl_stress_relax();
	OK(await_event_submit(&t->p->base, &t->second, NULL));
	close_after_second(t);
}

/*
 * A worker that searches, or that was woken for a fork, takes a newly submitted task instead. Then
 * the next worker is woken, or started. Both the call that forks and the task wait for the fork,
 * which is wrong in a program. So two workers must come.
 */
POOL(pool_called_for_forks, with_one_of_two, serve_forks, fork_beside_sleeper, submit_beside_fork)

/*
 * A worker takes a task while it is cancelled. The canceller has the last handle, and the callback
 * of the cancel frees this handle. The argument is in an allocation of its own, which the canceller
 * frees. The last of the two frees the block.
 */
struct large {
	char bytes[1000];
};

FL_TASK_STATIC(large_nothing, struct large, void)
{
	return arg->bytes[0];
}

struct pool_part_freed {
	struct fl__thread_pool *p;
	fl_future *f;
	int rc;
};

static void free_cancelled(fl_future *f, void *unused)
{
	if (fl_future_state(f) == FL_CANCELLED)
		fl_future_free(f);
}

FL_STRESS_SETUP(pool_part_freed)
{
	s->p = pool_of_actors(1, 0);
	OK(large_nothing_submit(&s->p->base, (struct large){{0}}, &s->f));
	OK(fl_future_on_end(s->f, free_cancelled, NULL));
}

FL_STRESS_ACTOR(pool_part_freed, canceller)
{
	s->rc = fl_future_cancel(s->f);
	if (s->rc != 0)
		fl_future_free(s->f);
}

FL_STRESS_ACTOR(pool_part_freed, worker)
{
	struct fl__task_block *block = fl__backlog_take_any(&s->p->backlog);
	if (block)
		run_or_abandon(s->p, block);
	fl_executor_free(&s->p->base);
}

FL_STRESS(pool_part_freed, canceller, worker)
{
	FL_ACCEPTABLE(s->rc == 0, "cancelled");
	FL_ACCEPTABLE(s->rc != 0, "ran");
}
