/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the end of a future. It has one final state, each callback runs once, and its token
 * is unused before the end is visible.
 */
#include "futures.h"

/*
 * drop_future: references are dropped in any order, also during the end. The last one frees the
 * future, after all that the other contexts did.
 */
struct drop_future {
	fl_future *f;
	atomic_int freed;
	int used[2];
};

FL_STRESS_SETUP(drop_future)
{
	s->f = make_future(&s->freed, 3);
}

static void use_and_free(fl_future *f)
{
	fl_future *mine = fl_future_ref(f);
	fl_future_free(f);
	if (fl_future_try_wait(mine) == 0)
		FL_STRESS_CHECK(*(int *)mine->result == 7);
	fl_future_free(mine);
}

FL_STRESS_ACTOR(drop_future, one)
{
	use_and_free(s->f);
}

FL_STRESS_ACTOR(drop_future, two)
{
	fl_future_free(s->f);
}

FL_STRESS_ACTOR(drop_future, producer)
{
	(void)produce(s->f, 7, 0);
}

FL_STRESS(drop_future, one, two, producer)
{
	FL_ACCEPTABLE(LOOK(&s->freed) == 1, "freed once");
}

/*
 * The parent of a task's token may be freed as soon as the task is seen to have ended. The parent
 * is requested while the task ends.
 */
struct future_token_parent {
	fl_future *f;
	fl_cancel_token *parent;
	atomic_int freed;
	bool asked;
};

FL_STRESS_SETUP(future_token_parent)
{
	s->parent = make(sizeof *s->parent);
	s->f = make_future(&s->freed, 2);
	fl_cancel_token_destroy(&s->f->token);
	fl_cancel_token_init(&s->f->token, s->parent, FL_FOREVER);
}

FL_STRESS_ACTOR(future_token_parent, producer)
{
	(void)produce(s->f, 7, 0);
}

FL_STRESS_ACTOR(future_token_parent, consumer)
{
	fl_cancel_token_request(s->parent);
	OK(fl_future_wait(s->f));
	s->asked = fl_future_state(s->f) == FL_CANCELLED;
	fl_cancel_token_destroy(s->parent);
	free(s->parent);
	fl_future_free(s->f);
}

FL_STRESS(future_token_parent, producer, consumer)
{
	FL_FORBIDDEN(LOOK(&s->freed) != 1, "not freed once");
	FL_ACCEPTABLE(s->asked, "cancelled");
	FL_ACCEPTABLE(!s->asked, "done");
}

static void sleep_as_a_task(fl_future *f, int *slept)
{
	if (fl__future_claim(f) != FL__CLAIM_LOST) {
		fl_event never = FL_EVENT_INIT;
		*slept = fl_event_wait_until(&never, soon(), &f->token);
		fl__future_finish(f, *slept, NULL);
		fl_future_free(f);
	}
	fl_future_free(f); /* a reference of its own: the canceller may free the producer's */
}

/*
 * A cancel wakes a task that sleeps under its token, and does not touch a token that has ended. A
 * cancel of a pending task leaves a running task alone.
 */
struct future_cancel_running {
	fl_future *f;
	atomic_int freed;
	bool pending_alone;
	int rc, slept;
};

FL_STRESS_SETUP(future_cancel_running)
{
	s->f = make_future(&s->freed, 3);
	s->pending_alone = fl_stress_choose(2);
}

FL_STRESS_ACTOR(future_cancel_running, producer)
{
	sleep_as_a_task(s->f, &s->slept);
}

FL_STRESS_ACTOR(future_cancel_running, canceller)
{
	s->rc = s->pending_alone ? fl_future_cancel_pending(s->f) : fl_future_cancel(s->f);
	fl_future_free(s->f);
}

FL_STRESS(future_cancel_running, producer, canceller)
{
	FL_FORBIDDEN(LOOK(&s->freed) != 1, "not freed once");
	FL_ACCEPTABLE(s->rc == 0 && s->slept == 0, "cancelled before");
	FL_ACCEPTABLE(s->rc == -EINPROGRESS && s->slept == -ECANCELED && !s->pending_alone, "woken");
	FL_ACCEPTABLE(s->rc == -EINPROGRESS && s->slept == -ETIMEDOUT, "it ran, and was left alone, or slept its time");
	FL_ACCEPTABLE(s->rc == -EALREADY && s->slept == -ETIMEDOUT, "it had ended");
}

/* A context waits for the first of two futures, and then gives up a get of the other one. */
struct future_wait_any {
	fl_future *f[2];
	atomic_int freed;
	int index, rc, got;
};

FL_STRESS_SETUP(future_wait_any)
{
	s->f[0] = make_future(&s->freed, 2);
	s->f[1] = make_future(&s->freed, 2);
}

FL_STRESS_ACTOR(future_wait_any, producer)
{
	(void)produce(s->f[0], 1, 0);
}

FL_STRESS_ACTOR(future_wait_any, other)
{
	(void)produce(s->f[1], 2, 0);
}

FL_STRESS_ACTOR(future_wait_any, consumer)
{
	s->index = FL_WAIT_ANY(FL_ON_FUTURE(s->f[0]), FL_ON_FUTURE(s->f[1]));
	OK(fl_future_try_get(s->f[s->index & 1], &s->got, sizeof s->got));
	int result;
	s->rc = fl_future_get_until(s->f[!s->index], &result, sizeof result, soon(), NULL);
	fl_future_free(s->f[0]);
	fl_future_free(s->f[1]);
}

FL_STRESS(future_wait_any, producer, other, consumer)
{
	FL_FORBIDDEN(LOOK(&s->freed) != 2 || s->got != s->index + 1, "not freed, or the wrong one");
	FL_ACCEPTABLE(s->rc == 0, "both");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "one in time");
}

/*
 * The start of this future is asked of its producer. If the future ends while the producer answers,
 * it counts as done, and what the producer wrote is visible.
 */
struct future_ends_while_asked {
	fl_future *f;
	atomic_int freed;
	int data;
	fl_task_state state;
};

static bool has_not_started(const fl_future *f)
{
	return false;
}

static const struct fl__future_ops asked_ops = {
    .claim_cancel = on_claim_cancel, .release = on_release, .has_started = has_not_started};

FL_STRESS_SETUP(future_ends_while_asked)
{
	s->f = make_future(&s->freed, 2);
	s->f->ops = &asked_ops;
}

FL_STRESS_ACTOR(future_ends_while_asked, producer)
{
	s->data = 1;
	FL_STRESS_CHECK(produce(s->f, 7, 0) == FL__CLAIM_RUN);
}

FL_STRESS_ACTOR(future_ends_while_asked, user)
{
	s->state = fl_future_state(s->f);
	FL_STRESS_CHECK(s->state != FL_DONE || s->data == 1);
	fl_future_free(s->f);
}

FL_STRESS(future_ends_while_asked, producer, user)
{
	FL_FORBIDDEN(LOOK(&s->freed) != 1, "not freed once");
	FL_ACCEPTABLE(s->state != FL_CANCELLED, "pending, running or done");
}
