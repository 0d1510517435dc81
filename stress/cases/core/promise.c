/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of promises. A promise ends once, by the first of the contexts that set, fail, free or
 * cancel it.
 */
#include "futures.h"

static int end_of(fl_future *f)
{
	int result = 0, rc = fl_future_get(f, &result, sizeof result);
	if (rc == 0)
		return result;
	FL_STRESS_CHECK(rc == FL_ETASK);
	return fl_future_error(f);
}

/* The set-up of a scenario whose state has a promise and its future. */
#define PROMISE_OF_INT(test)                                                                                           \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		OK(fl_promise_create(&s->p, sizeof(int), drop_result, &s->f));                                         \
	}

/* promise_set_by_two: one of two calls returns success, and its value is there. */
struct promise_set_by_two {
	fl_promise *p;
	fl_future *f;
	int value[2]; /* plain: a set copies the value before the other may free the promise */
	int rc[2], seen;
};

PROMISE_OF_INT(promise_set_by_two)

static void set_own(struct promise_set_by_two *s, int i)
{
	s->value[i] = i + 1;
	s->rc[i] = fl_promise_set(s->p, &s->value[i]);
}

TWO_ACTORS(promise_set_by_two, set_own)

FL_STRESS_ACTOR(promise_set_by_two, consumer)
{
	s->seen = end_of(s->f);
	fl_future_free(s->f);
}

FL_STRESS(promise_set_by_two, one, two, consumer)
{
	fl_promise_free(s->p);
	FL_ACCEPTABLE(s->seen == 1 && s->rc[0] == 0 && s->rc[1] == -EALREADY, "the one");
	FL_ACCEPTABLE(s->seen == 2 && s->rc[1] == 0 && s->rc[0] == -EALREADY, "the other");
}

/*
 * promise_set_vs_cancel: the promise is set or cancelled, and both sides report the same. If it is
 * cancelled, its token is requested.
 */
struct promise_set_vs_cancel {
	fl_promise *p;
	fl_future *f;
	int set, cancel;
	fl_task_state state;
	bool asked;
};

PROMISE_OF_INT(promise_set_vs_cancel)

FL_STRESS_ACTOR(promise_set_vs_cancel, setter)
{
	s->set = fl_promise_set(s->p, &(int){7});
}

FL_STRESS_ACTOR(promise_set_vs_cancel, canceller)
{
	s->cancel = fl_future_cancel(s->f);
	OK(fl_future_wait(s->f));
	s->state = fl_future_state(s->f);
	s->asked = fl_cancel_token_is_requested(fl_promise_token(s->p));
	fl_future_free(s->f);
}

FL_STRESS(promise_set_vs_cancel, setter, canceller)
{
	fl_promise_free(s->p);
	FL_ACCEPTABLE(s->set == 0 && s->state == FL_DONE && s->cancel != 0, "set");
	FL_ACCEPTABLE(s->set == -ECANCELED && s->state == FL_CANCELLED && s->cancel == 0 && s->asked, "cancelled");
}

/*
 * promise_broken: freeing a promise that was not set ends its future. The block is freed with the
 * promise or the future, whichever is freed last.
 */
struct promise_broken {
	fl_promise *p;
	fl_future *f;
	atomic_int calls;
	int seen;
};

PROMISE_OF_INT(promise_broken)

FL_STRESS_ACTOR(promise_broken, owner)
{
	fl_promise_free(s->p);
}

FL_STRESS_ACTOR(promise_broken, consumer)
{
	OK(fl_future_on_end(s->f, count_call, &s->calls));
	s->seen = end_of(s->f);
	fl_future_free(s->f);
}

FL_STRESS(promise_broken, owner, consumer)
{
	FL_ACCEPTABLE(s->seen == -EOWNERDEAD && LOOK(&s->calls) == 1, "broken");
}

/* promise_freed_vs_cancel: the canceller may be the last to touch the block. */
struct promise_freed_vs_cancel {
	fl_promise *p;
	fl_future *f;
	int cancel;
};

PROMISE_OF_INT(promise_freed_vs_cancel)

FL_STRESS_ACTOR(promise_freed_vs_cancel, owner)
{
	int rc = fl_promise_start(s->p);
	FL_STRESS_CHECK(rc == 0 || rc == -ECANCELED);
	fl_promise_free(s->p);
}

FL_STRESS_ACTOR(promise_freed_vs_cancel, canceller)
{
	s->cancel = fl_future_cancel(s->f);
	fl_future_free(s->f);
}

FL_STRESS(promise_freed_vs_cancel, owner, canceller)
{
	FL_ACCEPTABLE(s->cancel == 0, "cancelled");
	FL_ACCEPTABLE(s->cancel == -EINPROGRESS, "asked");
	FL_ACCEPTABLE(s->cancel == -EALREADY, "broken before");
}

/* promise_fails_with_value: a failure comes with its value, which is dropped once. */
struct promise_fails_with_value {
	fl_promise *p;
	fl_future *f;
	int *value, *seen;
	int drops, got; /* plain: the drop comes after every access */
};

FL_STRESS_SETUP(promise_fails_with_value)
{
	OK(fl_promise_create(&s->p, sizeof(int *), count_drop, &s->f));
}

FL_STRESS_ACTOR(promise_fails_with_value, owner)
{
	s->value = &s->drops;
	OK(fl_promise_fail_with(s->p, &s->value, -EIO, "lost"));
	s->value = NULL;
	fl_promise_free(s->p);
}

FL_STRESS_ACTOR(promise_fails_with_value, consumer)
{
	s->got = fl_future_get(s->f, &s->seen, sizeof s->seen);
	FL_STRESS_CHECK(fl_future_error(s->f) == -EIO && *(int *const *)fl_future_result(s->f) == s->seen);
	fl_future_free(s->f);
}

FL_STRESS(promise_fails_with_value, owner, consumer)
{
	FL_ACCEPTABLE(s->got == FL_ETASK && s->seen == &s->drops && s->drops == 1, "seen, and dropped once");
}
