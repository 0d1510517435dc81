/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the serial executor: tasks run in order, never two at once, and each once, even
 * while the target ends. Over a sequential executor, a submit that finds no drain runs the drain
 * itself.
 */
#include "pools.h"
#include <fairlead/serial_executor.h>

static fl_executor *serial_over(fl_executor *target)
{
	fl_executor *e = NULL;
	OK(fl_serial_executor_create(&e, target, NULL));
	return e;
}

/* Two threads submit two tasks each. The one whose drain has found the queue empty may be late. */
struct serial_two {
	fl_executor *target, *e;
	int data, next[2]; /* plain: two tasks at once would be a race */
};

struct serial_step {
	struct serial_two *s;
	int actor, number;
};

FL_TASK_STATIC(serial_step, struct serial_step, void)
{
	FL_STRESS_CHECK(arg->s->next[arg->actor] == arg->number);
	arg->s->next[arg->actor]++;
	arg->s->data++;
	return 0;
}

FL_STRESS_SETUP(serial_two)
{
	s->target = sequential();
	s->e = serial_over(s->target);
}

static void serial_submit_two(struct serial_two *s, int actor)
{
	for (int i = 0; i < 2; i++)
		OK(serial_step_submit(s->e, (struct serial_step){s, actor, i}, NULL));
}

FL_STRESS_ACTOR(serial_two, one)
{
	serial_submit_two(s, 0);
}

FL_STRESS_ACTOR(serial_two, two)
{
	serial_submit_two(s, 1);
}

FL_STRESS(serial_two, one, two)
{
	fl_executor_free(s->e);
	fl_executor_free(s->target);
	FL_ACCEPTABLE(s->data == 4, "all ran");
}

/* A worker drains the queue while the next task comes. A wait sees what the tasks wrote. */
struct serial_wake {
	struct fl__thread_pool *p;
	fl_executor *e;
	int data, got;
};

FL_STRESS_SETUP(serial_wake)
{
	s->p = pool_of_actors(1, 1);
	s->e = serial_over(&s->p->base);
}

FL_STRESS_ACTOR(serial_wake, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(add_one_submit(s->e, &s->data, NULL));
	OK(add_one_submit(s->e, &s->data, &f));
	OK(fl_future_wait(f));
	OK(add_one_submit(s->e, &s->data, NULL));
	OK(fl_executor_wait_idle(s->e));
	s->got = s->data;
	fl_executor_free(s->e);
	fl_executor_close(&s->p->base);
}

SERVES(serial_wake, worker, 0)

FL_STRESS(serial_wake, user, worker)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(s->got == 3, "all ran");
}

/* The executor is freed while its drain is pending in the target, or looks at the empty queue. */
struct serial_free {
	struct fl__thread_pool *p;
	fl_executor *e;
	int data, rc;
};

FL_STRESS_SETUP(serial_free)
{
	s->p = pool_of_actors(1, 1);
	s->e = serial_over(&s->p->base);
}

FL_STRESS_ACTOR(serial_free, user)
{
	fl_future *f = NULL;
	OK(add_one_submit(s->e, &s->data, &f));
	s->rc = fl_future_cancel_pending(f);
	fl_future_free(f);
	fl_executor_free(s->e);
	FL_STRESS_CHECK(s->data == (s->rc != 0));
	fl_executor_close(&s->p->base);
}

SERVES(serial_free, worker, 0)

FL_STRESS(serial_free, user, worker)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(s->rc == 0, "cancelled");
	FL_ACCEPTABLE(s->rc == -EINPROGRESS, "it ran");
	FL_ACCEPTABLE(s->rc == -EALREADY, "it had run");
}

/*
 * The drain has run as many tasks as a drain may run, and another is pending. Before it hands over
 * to the next drain, that task is cancelled, the executor is freed, and the target is closed.
 */
struct serial_free_late {
	struct fl__thread_pool *p;
	fl_executor *e;
	fl_future *sixteenth, *last;
	int data, rc;
};

enum { SERIAL_TURN_TASKS = 16 }; /* SERIAL_TURN in serial.c */

FL_STRESS_SETUP(serial_free_late)
{
	s->p = pool_of_actors(1, 1);
	s->e = serial_over(&s->p->base);
	for (int i = 1; i < SERIAL_TURN_TASKS; i++)
		OK(add_one_submit(s->e, &s->data, NULL));
	OK(add_one_submit(s->e, &s->data, &s->sixteenth));
	OK(add_one_submit(s->e, &s->data, &s->last));
}

FL_STRESS_ACTOR(serial_free_late, user)
{
	OK(fl_future_wait(s->sixteenth));
	fl_future_free(s->sixteenth);
	s->rc = fl_future_cancel_pending(s->last);
	fl_future_free(s->last);
	fl_executor_free(s->e);
	FL_STRESS_CHECK(s->data == SERIAL_TURN_TASKS + (s->rc != 0));
	fl_executor_close(&s->p->base);
}

SERVES(serial_free_late, worker, 0)

FL_STRESS(serial_free_late, user, worker)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(s->rc == 0, "cancelled");
	FL_ACCEPTABLE(s->rc == -EINPROGRESS, "it ran");
	FL_ACCEPTABLE(s->rc == -EALREADY, "it had run");
}

/* The target is cancelled before the drain, or while it runs. The task ends once, in either way. */
struct serial_cancel {
	struct fl__thread_pool *p;
	fl_executor *e;
	int data, rc, error;
	fl_task_state state;
};

FL_STRESS_SETUP(serial_cancel)
{
	s->p = pool_of_actors(1, 1);
	s->e = serial_over(&s->p->base);
}

FL_STRESS_ACTOR(serial_cancel, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	s->rc = add_one_submit(s->e, &s->data, &f);
	if (s->rc == 0) {
		OK(fl_future_wait(f));
		s->error = fl_future_error(f);
		s->state = fl_future_state(f);
	}
}

FL_STRESS_ACTOR(serial_cancel, canceller)
{
	(void)fl_executor_cancel(&s->p->base);
}

SERVES(serial_cancel, worker, 0)

FL_STRESS(serial_cancel, user, canceller, worker)
{
	fl_executor_free(s->e);
	fl_executor_free(&s->p->base);
	FL_FORBIDDEN(s->data != (s->rc == 0 && s->error == 0), "ran and failed, or did not run and succeeded");
	FL_ACCEPTABLE(s->rc == -EPIPE, "refused");
	FL_ACCEPTABLE(s->rc == 0 && s->error == 0, "it ran");
	FL_ACCEPTABLE(s->rc == 0 && s->error == -ECANCELED && s->state == FL_CANCELLED, "cancelled");
}

/* The target is closed, so that a drain is refused while the other thread adds its task. */
struct serial_refused {
	fl_executor *target, *e;
	int data[2], rc[2], error[2];
};

FL_STRESS_SETUP(serial_refused)
{
	s->target = sequential();
	s->e = serial_over(s->target);
}

static void serial_submit_and_look(struct serial_refused *s, int actor)
{
	FL_SCOPED(fl_future) *f = NULL;
	s->rc[actor] = add_one_submit(s->e, &s->data[actor], &f);
	if (s->rc[actor] != 0)
		return;
	OK(fl_future_wait(f));
	s->error[actor] = fl_future_error(f);
}

FL_STRESS_ACTOR(serial_refused, one)
{
	serial_submit_and_look(s, 0);
}

FL_STRESS_ACTOR(serial_refused, two)
{
	serial_submit_and_look(s, 1);
}

FL_STRESS_ACTOR(serial_refused, closer)
{
	fl_executor_close(s->target);
}

FL_STRESS(serial_refused, one, two, closer)
{
	fl_executor_free(s->e);
	fl_executor_free(s->target);
	for (int i = 0; i < 2; i++) {
		FL_FORBIDDEN(s->rc[i] != 0 && s->rc[i] != -EPIPE, "another error");
		FL_FORBIDDEN(s->data[i] != (s->rc[i] == 0 && s->error[i] == 0), "lost");
		FL_FORBIDDEN(s->error[i] != 0 && s->error[i] != -EPIPE, "another end");
	}
	FL_ACCEPTABLE(s->data[0] + s->data[1] == 2, "both ran");
	FL_ACCEPTABLE(s->data[0] + s->data[1] == 1, "one was refused, or ended with the refusal");
	FL_ACCEPTABLE(s->data[0] + s->data[1] == 0, "both");
}
