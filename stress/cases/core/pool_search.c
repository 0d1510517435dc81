/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor's search: a task gets a worker while one sleeps; and the last reference of a
 * task that was cancelled in the backlog.
 */
#include "pools.h"

/*
 * The first task waits for the second. A worker takes the first and stops its search, while another
 * goes to sleep, and while the second is submitted, which sees the search. So the worker must see
 * the sleeper, or the submit must see that no worker searches.
 */
struct pool_stop_vs_sleep {
	struct fl__thread_pool *p;
	fl_event second;
};

FL_STRESS_SETUP(pool_stop_vs_sleep)
{
	s->p = pool_of_actors(2, 2);
	OK(await_event_submit(&s->p->base, &s->second, NULL));
}

SERVES(pool_stop_vs_sleep, one, 0)
SERVES(pool_stop_vs_sleep, two, 1)

FL_STRESS_ACTOR(pool_stop_vs_sleep, user)
{
	while (!worker_sleeps(s->p))
		fl_stress_relax();
	OK(set_event_submit(&s->p->base, &s->second, NULL));
	OK(fl_event_wait(&s->second)); /* a close would wake all workers */
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_stop_vs_sleep, one, two, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "each had a worker");
}

/*
 * After a resize to one no task begins while another runs, though two workers search, with
 * membarrier() and without. Fails if a worker checks whether it is superfluous before the resize,
 * and takes a task after it.
 */
struct pool_resize_holds {
	struct fl__thread_pool *p;
	atomic_int at_once;
};

FL_TASK_STATIC(alone, struct pool_resize_holds *, void)
{
	FL_STRESS_CHECK(atomic_fetch_add_explicit(&(*arg)->at_once, 1, memory_order_relaxed) == 0);
	fl_stress_relax();
	atomic_fetch_sub_explicit(&(*arg)->at_once, 1, memory_order_relaxed);
	return 0;
}

FL_STRESS_SETUP(pool_resize_holds)
{
	s->p = pool_of_actors(2, 2);
	s->p->crowded = fl_stress_choose(2) ? FL__POOL_FENCED : 0;
}

SERVES(pool_resize_holds, one, 0)
SERVES(pool_resize_holds, two, 1)

FL_STRESS_ACTOR(pool_resize_holds, user)
{
	OK(fl_executor_resize(&s->p->base, 1));
	OK(alone_submit(&s->p->base, s, NULL));
	OK(alone_submit(&s->p->base, s, NULL));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_resize_holds, one, two, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "one at a time");
}

/* The same beside a task that runs during the resize: no task begins before that one has ended. */
struct pool_resize_beside {
	struct pool_resize_holds holds;
	fl_event begun, end;
};

FL_TASK_STATIC(alone_until_told, struct pool_resize_beside *, void)
{
	struct pool_resize_beside *s = *arg;
	COUNT(&s->holds.at_once);
	fl_event_set(&s->begun);
	int rc = fl_event_wait_until(&s->end, FL_FOREVER, FL_SHIELDED);
	atomic_fetch_sub_explicit(&s->holds.at_once, 1, memory_order_relaxed);
	return rc;
}

FL_STRESS_SETUP(pool_resize_beside)
{
	s->holds.p = pool_of_actors(2, 2);
	s->holds.p->crowded = fl_stress_choose(2) ? FL__POOL_FENCED : 0;
}

FL_STRESS_ACTOR(pool_resize_beside, one)
{
	serve(s->holds.p, 0);
}

FL_STRESS_ACTOR(pool_resize_beside, two)
{
	serve(s->holds.p, 1);
}

FL_STRESS_ACTOR(pool_resize_beside, user)
{
	fl_executor *e = &s->holds.p->base;
	OK(alone_until_told_submit(e, s, NULL));
	OK(fl_event_wait(&s->begun));
	OK(fl_executor_resize(e, 1));
	OK(alone_submit(e, &s->holds, NULL));
	fl_event_set(&s->end);
	fl_executor_close(e);
}

FL_STRESS(pool_resize_beside, one, two, user)
{
	fl_executor_free(&s->holds.p->base);
	FL_ACCEPTABLE(1, "one at a time");
}

/*
 * The same without membarrier(), and with two actors: the user is also the worker that stays, which
 * is as busy between the resize and its service as if it ran a task.
 */
struct pool_resize_fenced {
	struct pool_resize_holds holds;
};

FL_STRESS_SETUP(pool_resize_fenced)
{
	s->holds.p = pool_of_actors(2, 2);
	s->holds.p->crowded = FL__POOL_FENCED;
	if (fl_stress_choose(2)) /* it then takes the next as a worker that has just run one */
		OK(do_nothing_submit(&s->holds.p->base, NULL));
}

FL_STRESS_ACTOR(pool_resize_fenced, leaves)
{
	serve(s->holds.p, 1);
}

FL_STRESS_ACTOR(pool_resize_fenced, stays)
{
	OK(fl_executor_resize(&s->holds.p->base, 1));
	COUNT(&s->holds.at_once);
	OK(alone_submit(&s->holds.p->base, &s->holds, NULL));
	atomic_fetch_sub_explicit(&s->holds.at_once, 1, memory_order_relaxed);
	fl_executor_close(&s->holds.p->base);
}

FL_STRESS(pool_resize_fenced, leaves, stays)
{
	serve(s->holds.p, 0);
	fl_executor_free(&s->holds.p->base);
	FL_ACCEPTABLE(1, "one at a time");
}

/* Three workers where one is allowed: two step back, and end in the end. */
struct pool_crowded_end {
	struct fl__thread_pool *p;
};

FL_STRESS_SETUP(pool_crowded_end)
{
	s->p = pool_of_actors(1, 3);
}

SERVES(pool_crowded_end, one, 0)
SERVES(pool_crowded_end, two, 1)
SERVES(pool_crowded_end, three, 2)

FL_STRESS_ACTOR(pool_crowded_end, user)
{
	OK(do_nothing_submit(&s->p->base, NULL));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_crowded_end, one, two, three, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "all have ended");
}

/*
 * As pool_stop_vs_sleep, where the ring is full and the second task is in the list behind it, while
 * others empty the ring. Another worker is not there yet, and could be started.
 */
struct pool_stop_vs_overflow {
	struct fl__thread_pool *p;
	fl_event second;
};

FL_STRESS_SETUP(pool_stop_vs_overflow)
{
	s->p = pool_of_actors(2, 1);
	fl__mpmc_fini(&s->p->backlog.queues[0]->ring);
	OK(fl__mpmc_init(&s->p->backlog.queues[0]->ring, sizeof(struct fl__task_block *), 2, 0));
	OK(do_nothing_submit(&s->p->base, NULL));
	OK(await_event_submit(&s->p->base, &s->second, NULL));
}

SERVES(pool_stop_vs_overflow, worker, 0)

/* As a worker that just had a task, and so does not search. */
FL_STRESS_ACTOR(pool_stop_vs_overflow, busy)
{
	struct fl__task_block *block = fl__task_queue_take(s->p->backlog.queues[0]);
	if (block)
		run_or_abandon(s->p, block);
}

FL_STRESS_ACTOR(pool_stop_vs_overflow, user)
{
	OK(set_event_submit(&s->p->base, &s->second, NULL));
	OK(fl_event_wait(&s->second));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_stop_vs_overflow, worker, busy, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "each had a worker");
}

/*
 * A cancel of the executor finds each task that a worker takes: still in the backlog, or running
 * and asked to stop. The worker takes one in its search, the next one at once, or under the lock.
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

/*
 * A worker that searches, or was woken for a fork, takes a newly submitted task instead: then the
 * next worker is woken, or started. Both the forking call and the task wait for the fork, which is
 * wrong in a program; so two workers must come.
 */
struct pool_called_for_forks {
	struct fl__thread_pool *p;
	fl_event begun;
};

static int await_begun(void *begun)
{
	return fl_event_wait(begun);
}

static int begin(void *begun)
{
	fl_event_set(begun);
	return 0;
}

FL_STRESS_SETUP(pool_called_for_forks)
{
	s->p = pool_of_actors(2, 1);
}

FL_STRESS_ACTOR(pool_called_for_forks, worker)
{
	serve_with_forks(s->p, 0);
}

FL_STRESS_ACTOR(pool_called_for_forks, forker)
{
	/* As a worker that has a task. */
	struct fl__fork_stack *self = fl__forks_enter(&s->p->forks, 2);
	while (!worker_sleeps(s->p))
		fl_stress_relax();
	OK(fl_parallel_invoke(await_begun, &s->begun, begin, &s->begun));
	fl__forks_leave(self);
}

FL_STRESS_ACTOR(pool_called_for_forks, user)
{
	while (!fl__load_relaxed(&s->p->forks.used))
		fl_stress_relax();
	OK(await_event_submit(&s->p->base, &s->begun, NULL));
	OK(fl_event_wait(&s->begun));
	fl_executor_close(&s->p->base);
}

FL_STRESS(pool_called_for_forks, worker, forker, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "the fork had a worker");
}

/*
 * A worker removes a cancelled task of which the canceller has the last handle, and the callback of
 * the cancel frees it. The task has its own memory.
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
	if (fl_future_get_state(f) == FL_CANCELLED)
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
	run_or_abandon(s->p, fl__task_queue_take(s->p->backlog.queues[0]));
	fl_executor_free(&s->p->base);
}

FL_STRESS(pool_part_freed, canceller, worker)
{
	FL_ACCEPTABLE(s->rc == 0, "cancelled");
	FL_ACCEPTABLE(s->rc != 0, "ran");
}
