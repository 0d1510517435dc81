/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the thread executor with a bounded backlog. No permit is lost or given twice, and no
 * submit waits for a free permit.
 */
#include "pools.h"

static const fl_executor_config bounded = {.workers = 1, .backlog = 1};

/* An executor whose worker is held, or soon will be, and whose backlog of one task is full. */
struct held_pool {
	fl_executor *e;
	fl_event open;
	int data;
};

static void hold(struct held_pool *h, fl_future **f)
{
	h->e = pool_as(bounded);
	OK(hold_worker_submit(h->e, &h->open, NULL));
	OK(add_one_submit(h->e, &h->data, f)); /* it waits until the first task was taken */
}

/* A close meets a submit that waits for space. A refused task does not run. */
struct pool_full_close {
	struct held_pool h;
	int rc;
};

FL_STRESS_SETUP(pool_full_close)
{
	hold(&s->h, NULL);
}

FL_STRESS_ACTOR(pool_full_close, submitter)
{
	s->rc = add_one_submit(s->h.e, &s->h.data, NULL);
	fl_event_set(&s->h.open);
}

FL_STRESS_ACTOR(pool_full_close, closer)
{
	fl_executor_close(s->h.e);
}

FL_STRESS(pool_full_close, submitter, closer)
{
	fl_executor_free(s->h.e);
	FL_ACCEPTABLE(s->rc == -EPIPE && s->h.data == 1, "refused");
}

/* A task that is cancelled while it is pending releases its permit, though no worker takes it. */
struct pool_full_cancel {
	struct held_pool h;
	fl_future *f;
};

FL_STRESS_SETUP(pool_full_cancel)
{
	hold(&s->h, &s->f);
}

FL_STRESS_ACTOR(pool_full_cancel, submitter)
{
	OK(add_one_submit(s->h.e, &s->h.data, NULL));
	fl_event_set(&s->h.open);
}

FL_STRESS_ACTOR(pool_full_cancel, canceller)
{
	OK(fl_future_cancel(s->f));
	fl_future_free(s->f);
}

FL_STRESS(pool_full_cancel, submitter, canceller)
{
	fl_executor_free(s->h.e);
	FL_ACCEPTABLE(s->h.data == 1, "the second ran");
}

/*
 * A task that its waiting worker runs is no longer pending, so it releases its permit when it
 * begins.
 */
struct pool_full_helped {
	fl_executor *e;
	fl_event submitted, open;
	int data;
};

FL_TASK_STATIC(full_wait_for_next, struct pool_full_helped *, void)
{
	struct pool_full_helped *s = *arg;
	FL_SCOPED(fl_future) *f = NULL;
	OK(hold_worker_submit(s->e, &s->open, &f));
	fl_event_set(&s->submitted);
	return fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED);
}

FL_STRESS_SETUP(pool_full_helped)
{
	s->e = pool_as(bounded);
}

FL_STRESS_ACTOR(pool_full_helped, user)
{
	OK(full_wait_for_next_submit(s->e, s, NULL));
	OK(fl_event_wait(&s->submitted));
	OK(add_one_submit(s->e, &s->data, NULL));
	fl_event_set(&s->open);
}

FL_STRESS(pool_full_helped, user)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->data == 1, "all ran");
}

/*
 * A worker that submits to a full backlog runs the task itself, because it would otherwise wait for
 * itself.
 */
struct pool_full_worker {
	fl_executor *e;
	int data;
};

FL_TASK_STATIC(full_add_two, struct pool_full_worker *, void)
{
	struct pool_full_worker *s = *arg;
	OK(add_one_submit(s->e, &s->data, NULL));
	OK(add_one_submit(s->e, &s->data, NULL));
	return 0;
}

FL_STRESS_SETUP(pool_full_worker)
{
	s->e = pool_as(bounded);
}

FL_STRESS_ACTOR(pool_full_worker, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(full_add_two_submit(s->e, s, &f));
	OK(fl_future_wait(f));
}

FL_STRESS(pool_full_worker, user)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->data == 2, "both ran");
}
