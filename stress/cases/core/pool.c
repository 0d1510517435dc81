/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread executor: a task ends once, against submits, cancels, waits, close and free; its
 * memory is freed with the last reference.
 */
#include "../cases.h"
#include <fairlead/event.h>
#include <fairlead/latch.h>
#include <fairlead/task.h>

static fl_executor *pool_of(unsigned workers)
{
	fl_executor *e = NULL;
	OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = workers}));
	return e;
}

/* The effect of a task on the state that its argument points to. */
FL_TASK_STATIC(add_to, int *, int)
{
	*result = ++**arg;
	return 0;
}

/*
 * A task sees what came before its submit; the getter of its result sees what it wrote; the
 * executor ends with its free.
 */
struct pool_submit_get {
	int data, got;
};

FL_STRESS_ACTOR(pool_submit_get, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	FL_SCOPED(fl_future) *f = NULL;
	s->data = 1;
	OK(add_to_submit(e, &s->data, &f));
	OK(add_to_get(f, &s->got));
	FL_STRESS_CHECK(s->data == 2);
}

FL_STRESS(pool_submit_get, user)
{
	FL_ACCEPTABLE(s->got == 2, "done");
	FL_FORBIDDEN(1, "wrong result");
}

/* A free drains: what was submitted has run, once, also without a future. */
struct pool_free_drains {
	int data;
};

FL_STRESS_ACTOR(pool_free_drains, user)
{
	fl_executor *e = pool_of(1);
	OK(add_to_submit(e, &s->data, NULL));
	OK(add_to_submit(e, &s->data, NULL));
	fl_executor_free(e);
	FL_STRESS_CHECK(s->data == 2);
}

FL_STRESS(pool_free_drains, user)
{
	FL_ACCEPTABLE(1, "drained");
}

/* worker_park_vs_submit: a worker that is going to sleep does not miss a task. */
struct worker_park_vs_submit {
	int first, second, got;
};

FL_STRESS_ACTOR(worker_park_vs_submit, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	FL_SCOPED(fl_future) *one = NULL, *two = NULL;
	OK(add_to_submit(e, &s->first, &one));
	OK(add_to_get(one, &s->got));
	/* The worker has ended a task, and is about to sleep. */
	OK(add_to_submit(e, &s->second, &two));
	OK(add_to_get(two, &s->got));
}

FL_STRESS(worker_park_vs_submit, user)
{
	FL_ACCEPTABLE(s->first == 1 && s->second == 1, "both ran");
	FL_FORBIDDEN(1, "one did not run");
}

/* submit_vs_shutdown: accepted tasks run, refused ones do not; a join waits for accepted tasks. */
struct submit_vs_shutdown {
	fl_executor *e;
	int data, rc;
};

FL_STRESS_SETUP(submit_vs_shutdown)
{
	s->e = pool_of(1);
}

FL_STRESS_ACTOR(submit_vs_shutdown, submitter)
{
	s->rc = add_to_submit(s->e, &s->data, NULL);
}

FL_STRESS_ACTOR(submit_vs_shutdown, closer)
{
	OK(fl_executor_join(s->e));
}

FL_STRESS(submit_vs_shutdown, submitter, closer)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->rc == 0 && s->data == 1, "accepted and run");
	FL_ACCEPTABLE(s->rc == -EPIPE && s->data == 0, "refused");
	FL_FORBIDDEN(1, "accepted and not run, or refused and run");
}

/* shutdown_from_worker: a task may close and cancel its executor; it cannot join it. */
struct shutdown_from_worker {
	int ran, rc;
};

FL_TASK_STATIC(shut_down, struct shutdown_from_worker *, void)
{
	struct shutdown_from_worker *s = *arg;
	fl_executor *e = fl_executor_current();
	s->ran = 1;
	s->rc = fl_executor_join(e);
	fl_executor_close(e);
	return 0;
}

FL_STRESS_ACTOR(shutdown_from_worker, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	OK(shut_down_submit(e, s, NULL));
	int rc = add_to_submit(e, &s->ran, NULL);
	FL_STRESS_CHECK(rc == 0 || rc == -EPIPE);
	OK(fl_executor_join(e));
	FL_STRESS_CHECK(s->ran == 1 + (rc == 0));
}

FL_STRESS(shutdown_from_worker, user)
{
	FL_FORBIDDEN(s->rc != -EDEADLK, "joined itself");
	FL_ACCEPTABLE(s->ran == 1, "closed before the second");
	FL_ACCEPTABLE(s->ran == 2, "closed after it");
}

/*
 * nested_submit_wait: a worker that waits for a task of its executor runs it, or another worker
 * does; once.
 */
struct nested_submit_wait {
	int data, got;
};

FL_TASK_STATIC(nest, int *, int)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = add_to_submit(fl_executor_current(), *arg, &f);
	return rc == 0 ? add_to_get(f, result) : rc;
}

FL_STRESS_ACTOR(nested_submit_wait, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(1 + fl_stress_choose(2));
	FL_SCOPED(fl_future) *f = NULL;
	OK(nest_submit(e, &s->data, &f));
	OK(nest_get(f, &s->got));
}

FL_STRESS(nested_submit_wait, user)
{
	FL_ACCEPTABLE(s->data == 1 && s->got == 1, "ran once");
	FL_FORBIDDEN(1, "did not run once");
}

/*
 * A cancel of a task against the worker that takes it: it ran, or it is cancelled; the join waits
 * for the context that ends it.
 */
struct pool_cancel_vs_take {
	fl_executor *e;
	fl_future *f;
	int data, rc;
	fl_future_state state;
};

FL_STRESS_SETUP(pool_cancel_vs_take)
{
	s->e = pool_of(1);
}

FL_STRESS_ACTOR(pool_cancel_vs_take, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(add_to_submit(s->e, &s->data, &f));
	s->rc = fl_future_cancel(f);
	OK(fl_future_wait(f));
	s->state = fl_future_get_state(f);
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_cancel_vs_take, user)
{
	fl_executor_free(s->e);
	FL_FORBIDDEN((s->state == FL_DONE) != (s->data == 1), "ran and cancelled, or neither");
	FL_ACCEPTABLE(s->state == FL_CANCELLED && s->rc == 0, "cancelled");
	FL_ACCEPTABLE(s->state == FL_DONE && s->rc != 0, "ran");
	FL_FORBIDDEN(1, "wrong result");
}

/* A cancel of the executor against its worker and a submit: each accepted task ends once. */
struct pool_cancel_all {
	fl_executor *e;
	int data, rc;
	size_t cancelled;
};

FL_STRESS_SETUP(pool_cancel_all)
{
	s->e = pool_of(1);
}

FL_STRESS_ACTOR(pool_cancel_all, submitter)
{
	s->rc = add_to_submit(s->e, &s->data, NULL);
}

FL_STRESS_ACTOR(pool_cancel_all, canceller)
{
	s->cancelled = fl_executor_cancel(s->e);
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_cancel_all, submitter, canceller)
{
	fl_executor_free(s->e);
	FL_FORBIDDEN((s->rc == 0) != ((size_t)s->data + s->cancelled == 1), "not ended once");
	FL_ACCEPTABLE(s->data == 1, "ran");
	FL_ACCEPTABLE(s->cancelled == 1, "cancelled");
	FL_ACCEPTABLE(s->rc == -EPIPE, "refused");
	FL_FORBIDDEN(1, "wrong result");
}

/*
 * A cancel of a task while the executor is freed: it ran, or it is cancelled; the free waits for
 * the context that ends it.
 */
struct pool_cancel_vs_free {
	fl_executor *e;
	fl_future *f;
	int data, rc;
};

FL_STRESS_SETUP(pool_cancel_vs_free)
{
	s->e = pool_of(1);
	OK(add_to_submit(s->e, &s->data, &s->f));
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

/* A task that ends when it is asked to stop. */
FL_TASK_STATIC(obey, void, void)
{
	fl_event never = FL_EVENT_INIT;
	return fl_event_wait_until(&never, FL_FOREVER, fl_task_token(ctx));
}

/*
 * A cancel of the executor while a worker takes the task: it is cancelled, or it is asked to stop.
 */
struct pool_cancel_running {
	fl_executor *e;
	size_t cancelled;
};

FL_STRESS_SETUP(pool_cancel_running)
{
	s->e = pool_of(1);
	OK(obey_submit(s->e, NULL));
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

/* A task that reports whether it was asked to stop, at any time before it ends. */
FL_TASK_STATIC(tell_whether_asked, int *, void)
{
	**arg = 1 + fl_task_is_cancelled(ctx);
	return 0;
}

/*
 * A cancel of pending tasks while a worker takes one: it is cancelled, or it runs and is not asked
 * to stop.
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
	FL_ACCEPTABLE(s->cancelled == 0 && s->ran == 1, "ran, and was not asked");
	FL_FORBIDDEN(1, "asked, or not ended once");
}

/* The same for a task that its waiter runs. */
struct pool_cancel_helped {
	fl_executor *e;
	size_t cancelled;
};

FL_TASK_STATIC(wait_for_obey, void, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = obey_submit(fl_executor_current(), &f);
	return rc == 0 ? fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED) : rc;
}

FL_STRESS_SETUP(pool_cancel_helped)
{
	s->e = pool_of(1);
	OK(wait_for_obey_submit(s->e, NULL));
}

FL_STRESS_ACTOR(pool_cancel_helped, canceller)
{
	s->cancelled = fl_executor_cancel(s->e);
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_cancel_helped, canceller)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->cancelled == 1, "one is cancelled, or refused");
	FL_ACCEPTABLE(s->cancelled == 0, "what runs is asked");
}

/*
 * Tasks that meet: each has a worker if one sleeps or can be started, whichever workers search or
 * go to sleep in the meantime.
 */
struct pool_meet {
	fl_executor *e;
	fl_latch first, second;
	int data;
};

FL_TASK_STATIC(meet, fl_latch *, void)
{
	fl_latch_count_down(*arg, 1);
	return fl_latch_wait(*arg);
}

FL_STRESS_SETUP(pool_meet)
{
	s->e = pool_of(2);
	s->first = (fl_latch)FL_LATCH_INIT(2);
	s->second = (fl_latch)FL_LATCH_INIT(2);
	OK(meet_submit(s->e, &s->first, NULL));
	OK(meet_submit(s->e, &s->first, NULL));
}

FL_STRESS_ACTOR(pool_meet, one)
{
	OK(add_to_submit(s->e, &s->data, NULL));
	OK(meet_submit(s->e, &s->second, NULL));
}

FL_STRESS_ACTOR(pool_meet, two)
{
	OK(meet_submit(s->e, &s->second, NULL));
	OK(fl_latch_wait(&s->second));
}

FL_STRESS(pool_meet, one, two)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->data == 1, "all met");
}

/*
 * The same where no other worker was started yet: the second of the meeting tasks has it started,
 * also if another context found none needed in the meantime.
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
	OK(add_to_submit(s->e, &s->data, NULL));
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
 * A cancel of the executor finds a worker that has just ended a task, and whose block the next task
 * reuses: each ends once.
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
	OK(add_to_submit(s->e, &s->data[2], NULL));
}

FL_STRESS_ACTOR(pool_cancel_recycled, user)
{
	for (int i = 0; i < 2; i++)
		OK(add_to_submit(s->e, &s->data[i], &s->f[i]));
	s->cancelled = fl_executor_cancel(s->e);
	OK(fl_executor_join(s->e));
}

FL_STRESS(pool_cancel_recycled, user)
{
	fl_executor_free(s->e);
	for (int i = 0; i < 2; i++) {
		FL_STRESS_CHECK(fl_future_try_wait(s->f[i]) == 0);
		FL_STRESS_CHECK((fl_future_get_state(s->f[i]) == FL_DONE) == (s->data[i] == 1));
		fl_future_free(s->f[i]);
	}
	FL_FORBIDDEN((size_t)(s->data[0] + s->data[1] + s->data[2]) + s->cancelled != 3, "one is lost, or ended twice");
	FL_ACCEPTABLE(s->cancelled > 0, "some are cancelled");
	FL_ACCEPTABLE(s->cancelled == 0, "all ran");
}

/*
 * A future outlives its executor, and its block the pool of blocks: the last free releases all
 * memory.
 */
struct pool_future_outlives {
	fl_future *f;
	int data, got;
};

FL_STRESS_SETUP(pool_future_outlives)
{
	fl_executor *e = pool_of(1);
	OK(add_to_submit(e, &s->data, &s->f));
	(void)fl_future_ref(s->f);
	fl_executor_free(e);
}

FL_STRESS_ACTOR(pool_future_outlives, one)
{
	OK(add_to_get(s->f, &s->got));
	fl_future_free(s->f);
}

FL_STRESS_ACTOR(pool_future_outlives, two)
{
	fl_future_free(s->f);
}

FL_STRESS(pool_future_outlives, one, two)
{
	FL_ACCEPTABLE(s->got == 1, "its result");
	FL_FORBIDDEN(1, "wrong result");
}
