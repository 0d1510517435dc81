/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the thread executor. A task ends once, even beside submits, cancels, waits, a close
 * and a free. Its memory is freed with the last reference.
 */
#include "pools.h"

FL_TASK_STATIC(nest, int *, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = add_one_submit(fl_executor_current(), *arg, &f);
	return rc == 0 ? add_one_get(f, result) : rc;
}

/*
 * submit_vs_shutdown: accepted tasks run, and refused ones do not. A join waits for accepted tasks;
 * afterwards their cancel token has no children.
 */
struct submit_vs_shutdown {
	fl_executor *e;
	fl_cancel_token token;
	int data, rc;
};

FL_STRESS_SETUP(submit_vs_shutdown)
{
	s->e = pool_of(1);
}

FL_STRESS_ACTOR(submit_vs_shutdown, submitter)
{
	s->rc = add_one_submit_with(s->e, &s->data, NULL, &(fl_submit_config){.cancel = &s->token});
}

FL_STRESS_ACTOR(submit_vs_shutdown, closer)
{
	OK(fl_executor_join(s->e));
}

FL_STRESS(submit_vs_shutdown, submitter, closer)
{
	fl_executor_free(s->e);
	fl_cancel_token_destroy(&s->token);
	FL_ACCEPTABLE(s->rc == 0 && s->data == 1, "accepted and run");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->data == 0, "refused");
}

/*
 * A task is cancelled while its executor is freed. It has run, or it is cancelled. The free waits
 * for the context that ends it.
 */
struct pool_cancel_vs_free {
	fl_executor *e;
	fl_future *f;
	int data, rc;
};

FL_STRESS_SETUP(pool_cancel_vs_free)
{
	s->e = pool_of(1);
	OK(add_one_submit(s->e, &s->data, &s->f));
}

FL_STRESS_ACTOR(pool_cancel_vs_free, canceller)
{
	s->rc = fl_future_cancel(s->f);
	fl_future_free(s->f);
}

FL_STRESS_ACTOR(pool_cancel_vs_free, owner)
{
	fl_executor_free(s->e);
}

FL_STRESS(pool_cancel_vs_free, canceller, owner)
{
	FL_FORBIDDEN((s->rc == 0) == (s->data == 1), "ran and cancelled, or neither");
	FL_ACCEPTABLE(s->rc == 0, "cancelled");
	FL_ACCEPTABLE(s->rc != 0, "ran");
}

FL_TASK_STATIC(wait_for_obey, void, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = obey_submit(fl_executor_current(), &f);
	return rc == 0 ? fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED) : rc;
}

/*
 * The executor is cancelled while a worker takes the task, or while the waiter of a task runs it.
 * One task is cancelled or refused, or all that run are asked to stop.
 */
struct pool_cancel_running {
	fl_executor *e;
	size_t cancelled;
};

FL_STRESS_SETUP(pool_cancel_running)
{
	s->e = pool_of(1);
	OK(fl_stress_choose(2) ? wait_for_obey_submit(s->e, NULL) : obey_submit(s->e, NULL));
}

FL_STRESS_ACTOR(pool_cancel_running, canceller)
{
	s->cancelled = fl_executor_cancel(s->e);
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_cancel_running, canceller)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->cancelled == 1, "cancelled");
	FL_ACCEPTABLE(s->cancelled == 0, "asked");
}

/*
 * A task is cancelled while its executor is cancelled. One of the cancels ends the task, unless the
 * worker runs it.
 */
struct pool_cancel_vs_executor {
	fl_executor *e;
	bool accepted;
	int data, rc;
};

FL_STRESS_SETUP(pool_cancel_vs_executor)
{
	s->e = pool_of(1);
}

FL_STRESS_ACTOR(pool_cancel_vs_executor, user)
{
	fl_future *f = NULL;
	s->rc = add_one_submit(s->e, &s->data, &f);
	s->accepted = s->rc == 0;
	if (s->accepted)
		s->rc = fl_future_cancel(f);
	fl_future_free(f);
}

FL_STRESS_ACTOR(pool_cancel_vs_executor, closer)
{
	(void)fl_executor_cancel(s->e);
}

FL_STRESS(pool_cancel_vs_executor, user, closer)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(!s->accepted && s->rc == -EPIPE, "refused");
	FL_ACCEPTABLE(s->rc == 0 && s->data == 0, "cancelled");
	FL_ACCEPTABLE(s->rc == -EINPROGRESS, "just being cancelled, or run");
	FL_ACCEPTABLE(s->rc == -EALREADY && s->data == 1, "ran");
}

/*
 * The user of a future frees it before a worker takes the task. Then the worker frees the memory.
 */
struct pool_unused_future {
	fl_executor *e;
	fl_future *f;
	int data;
};

FL_STRESS_SETUP(pool_unused_future)
{
	s->e = pool_of(1);
	OK(add_one_submit(s->e, &s->data, &s->f));
}

FL_STRESS_ACTOR(pool_unused_future, user)
{
	char wrong[sizeof(int) + 1];
	FL_STRESS_CHECK(fl_future_get(s->f, wrong, sizeof wrong) == -EINVAL);
	fl_future_free(s->f);
}

FL_STRESS_ACTOR(pool_unused_future, owner)
{
	fl_executor_free(s->e);
}

FL_STRESS(pool_unused_future, user, owner)
{
	FL_ACCEPTABLE(s->data == 1, "it ran");
}

/*
 * The executor is cancelled while tasks without a future end. The worker or the canceller frees the
 * last reference. One task fails, and its result is in an allocation of its own.
 */
struct pool_cancel_detached {
	fl_executor *e;
	atomic_int ran;
	size_t cancelled;
};

struct large {
	char bytes[FL__TASK_BLOCK_LARGE];
};

FL_TASK_STATIC(fail_large, atomic_int *, struct large)
{
	COUNT(*arg);
	return fl_task_fail(ctx, -EIO, "a message");
}

FL_STRESS_SETUP(pool_cancel_detached)
{
	s->e = pool_of(1);
	OK(fail_large_submit(s->e, &s->ran, NULL));
	for (int i = 0; i < 3; i++)
		OK(count_one_submit(s->e, &s->ran, NULL));
}

FL_STRESS_ACTOR(pool_cancel_detached, canceller)
{
	s->cancelled = fl_executor_cancel(s->e);
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_cancel_detached, canceller)
{
	fl_executor_free(s->e);
	FL_FORBIDDEN((size_t)s->ran + s->cancelled > 4, "one ended twice");
	FL_ACCEPTABLE((size_t)s->ran + s->cancelled < 4, "the worker cancelled one that it had taken");
	FL_ACCEPTABLE(s->cancelled > 0, "some are cancelled");
	FL_ACCEPTABLE(s->cancelled == 0, "all ran");
}

/* This task reports whether it was asked to stop, at any time before it ends. */
FL_TASK_STATIC(tell_whether_asked, int *, void)
{
	**arg = 1 + fl_task_is_cancelled(ctx);
	return 0;
}

/*
 * Pending tasks are cancelled while a worker takes one. This task is cancelled, or it runs and is
 * not asked to stop.
 */
struct pool_cancel_pending {
	fl_executor *e;
	size_t cancelled;
	int ran;
};

FL_STRESS_SETUP(pool_cancel_pending)
{
	s->e = pool_of(1);
	OK(tell_whether_asked_submit(s->e, &s->ran, NULL));
}

FL_STRESS_ACTOR(pool_cancel_pending, canceller)
{
	s->cancelled = fl_executor_cancel_pending(s->e);
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_cancel_pending, canceller)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->cancelled == 1 && s->ran == 0, "cancelled");
	FL_ACCEPTABLE(s->cancelled == 0 && s->ran == 0, "cancelled by the worker that had taken it");
	FL_ACCEPTABLE(s->cancelled == 0 && s->ran == 1, "ran, and was not asked");
}

/*
 * Two tasks meet, and no other worker was started yet. The second task has a worker started, even
 * if another context found none needed in the meantime.
 */
struct pool_meet_first {
	fl_executor *e;
	fl_latch met;
	int data;
};

FL_STRESS_SETUP(pool_meet_first)
{
	s->e = pool_of(2);
	s->met = (fl_latch)FL_LATCH_INIT(2);
}

FL_STRESS_ACTOR(pool_meet_first, user)
{
	OK(add_one_submit(s->e, &s->data, NULL));
	OK(meet_submit(s->e, &s->met, NULL));
	OK(meet_submit(s->e, &s->met, NULL));
	OK(fl_latch_wait(&s->met));
}

FL_STRESS(pool_meet_first, user)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->data == 1, "they met");
}

/*
 * A cancel of the executor finds a worker that has just ended a task, whose block the next task
 * reuses. Each task ends once.
 */
struct pool_cancel_recycled {
	fl_executor *e;
	fl_future *f[2];
	int data[3];
	size_t cancelled;
};

FL_STRESS_SETUP(pool_cancel_recycled)
{
	s->e = pool_of(1);
	OK(add_one_submit(s->e, &s->data[2], NULL));
}

FL_STRESS_ACTOR(pool_cancel_recycled, user)
{
	for (int i = 0; i < 2; i++)
		OK(add_one_submit(s->e, &s->data[i], &s->f[i]));
	s->cancelled = fl_executor_cancel(s->e);
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_cancel_recycled, user)
{
	fl_executor_free(s->e);
	for (int i = 0; i < 2; i++) {
		FL_STRESS_CHECK(fl_future_try_wait(s->f[i]) == 0);
		FL_STRESS_CHECK((fl_future_state(s->f[i]) == FL_DONE) == (s->data[i] == 1));
		fl_future_free(s->f[i]);
	}
	const size_t ended = (size_t)(s->data[0] + s->data[1] + s->data[2]) + s->cancelled;
	FL_FORBIDDEN(ended > 3, "one ended twice");
	FL_ACCEPTABLE(ended < 3, "the worker cancelled one that it had taken");
	FL_ACCEPTABLE(s->cancelled > 0, "some are cancelled");
	FL_ACCEPTABLE(s->cancelled == 0, "all ran");
}

/*
 * While two threads submit, a worker asks twice that the next submit stamps its task for the
 * statistics. If the request loses a race, a sample is missing, or the short way of submits is
 * closed, but only until the worker asks again and the next submit comes.
 */
struct pool_stats_arm {
	struct fl__thread_pool *p;
};

FL_STRESS_SETUP(pool_stats_arm)
{
	s->p = pool_of_actors(1, 1);
	s->p->base.stats.calm = INT64_MAX / 2; /* submits are many */
}

FL_STRESS_ACTOR(pool_stats_arm, worker)
{
	for (int i = 0; i < 2; i++)
		fl__hook_idle_on(&s->p->base);
}

FL_STRESS_ACTOR(pool_stats_arm, one)
{
	OK(do_nothing_submit(&s->p->base, NULL));
}

FL_STRESS_ACTOR(pool_stats_arm, two)
{
	OK(do_nothing_submit(&s->p->base, NULL));
}

FL_STRESS(pool_stats_arm, worker, one, two)
{
	fl_executor *e = &s->p->base;
	FL_SCOPED(fl_future) *f = NULL;
	const bool closed = e->short_way != fl__fork_count, asks = e->stats.skip <= 0;
	e->stats.calm = INT64_MAX / 2; /* on real threads time has passed */
	fl__hook_idle_on(e);
	OK(do_nothing_submit(e, &f));
	const bool stamped = f->error != 0, open = e->short_way == fl__fork_count;
	fl_executor_close(e);
	serve(s->p, 0);
	fl_executor_free(e);
	FL_FORBIDDEN(!stamped, "no task is measured any more");
	FL_FORBIDDEN(!open, "submits go the long way for ever");
	FL_ACCEPTABLE(!closed && !asks, "one or two were stamped");
	FL_ACCEPTABLE(closed && asks, "the next submit stamps");
	FL_ACCEPTABLE(!closed && asks, "the next submit does not stamp");
	FL_ACCEPTABLE(closed && !asks, "some submits go the long way");
}
