/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of chains. The next future ends once, with the right result, in whatever order the
 * first future ends and the two futures are cancelled.
 */
#include "pools.h"

FL_TASK_STATIC(increment, int, int)
{
	*result = *arg + 1;
	return 0;
}

struct link {
	fl_executor *e;
	fl_promise *p;
	fl_future *f, *next;
};

static void drop_result(void *result)
{
	*(int *)result = 0; /* plain: it comes after every access to it */
}

static void begin_link(struct link *link)
{
	link->e = sequential();
	OK(fl_promise_create(&link->p, sizeof(int), drop_result, &link->f));
}

static void chain(struct link *link)
{
	OK(fl_future_then(link->f, link->e, &increment, &link->next));
}

static void set_and_free(struct link *link)
{
	int rc = fl_promise_set(link->p, &(int){6});
	FL_STRESS_CHECK(rc == 0 || rc == -ECANCELED);
	fl_promise_free(link->p);
}

static int end_of(fl_future *f)
{
	int result = 0, rc = increment_get(f, &result);
	return rc == 0 ? result : fl_future_error(f);
}

/*
 * then_end: the task is chained before the end of the first future, or after it. The task gets the
 * result of the first future.
 */
struct then_end {
	struct link link;
	int end;
};

FL_STRESS_SETUP(then_end)
{
	begin_link(&s->link);
}

FL_STRESS_ACTOR(then_end, producer)
{
	set_and_free(&s->link);
}

FL_STRESS_ACTOR(then_end, consumer)
{
	chain(&s->link);
	fl_future_free(s->link.f);
	s->end = end_of(s->link.next);
	fl_future_free(s->link.next);
}

FL_STRESS(then_end, producer, consumer)
{
	fl_executor_free(s->link.e);
	FL_ACCEPTABLE(s->end == 7, "run once, with the result");
}

/*
 * then_keeps_result: the chained task fails and keeps its result. The next future has this result,
 * and drops it once.
 */
struct then_keeps_result {
	fl_executor *e;
	fl_promise *p;
	fl_future *f;
	int drops, *seen, got;
};

static void count_drop(void *result)
{
	++**(int **)result; /* plain: it comes after every access to it */
}

FL_TASK_STATIC(fail_and_keep, int *, int *, .drop_result = count_drop)
{
	*result = *arg;
	fl_task_keep_result(ctx);
	return -EIO;
}

FL_STRESS_SETUP(then_keeps_result)
{
	s->e = sequential();
	OK(fl_promise_create(&s->p, sizeof(int *), NULL, &s->f));
}

FL_STRESS_ACTOR(then_keeps_result, producer)
{
	OK(fl_promise_set(s->p, &(int *){&s->drops}));
	fl_promise_free(s->p);
}

FL_STRESS_ACTOR(then_keeps_result, consumer)
{
	fl_future *next = NULL;
	OK(fl_future_then(s->f, s->e, &fail_and_keep, &next));
	fl_future_free(s->f);
	s->got = fail_and_keep_get(next, &s->seen);
	fl_future_free(next);
}

FL_STRESS(then_keeps_result, producer, consumer)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->got == FL_ETASK && s->seen == &s->drops && s->drops == 1, "seen, and dropped once");
}

/*
 * The outcomes of a scenario that cancels the next future. If it is not cancelled, its result is 7.
 */
#define NEXT_WAS_CANCELLED_OR_RAN                                                                                      \
	FL_ACCEPTABLE(s->rc == 0 && s->end == -ECANCELED, "cancelled");                                                \
	FL_ACCEPTABLE(s->rc == -EINPROGRESS && s->end == 7, "asked");                                                  \
	FL_ACCEPTABLE(s->rc == -EALREADY && s->end == 7, "too late")

/*
 * then_cancel: the next future is cancelled, or its task has run. The first future is unaffected.
 */
struct then_cancel {
	struct link link;
	int rc, end, first;
};

FL_STRESS_SETUP(then_cancel)
{
	begin_link(&s->link);
	chain(&s->link);
}

FL_STRESS_ACTOR(then_cancel, producer)
{
	set_and_free(&s->link);
}

FL_STRESS_ACTOR(then_cancel, canceller)
{
	s->rc = fl_future_cancel(s->link.next);
	s->end = end_of(s->link.next);
	s->first = end_of(s->link.f);
	fl_future_free(s->link.next);
	fl_future_free(s->link.f);
}

FL_STRESS(then_cancel, producer, canceller)
{
	fl_executor_free(s->link.e);
	FL_FORBIDDEN(s->first != 6, "the first was harmed");
	NEXT_WAS_CANCELLED_OR_RAN;
}

/* then_both_cancelled: a cancel of either future cancels the next one, once. */
struct then_both_cancelled {
	struct link link;
	atomic_int calls;
	int rc, end;
};

static void count_call(fl_future *f, void *arg)
{
	COUNT((atomic_int *)arg);
}

FL_STRESS_SETUP(then_both_cancelled)
{
	begin_link(&s->link);
	chain(&s->link);
	OK(fl_future_on_end(s->link.next, count_call, &s->calls));
}

FL_STRESS_ACTOR(then_both_cancelled, first)
{
	OK(fl_future_cancel(s->link.f));
	fl_future_free(s->link.f);
	fl_promise_free(s->link.p);
}

FL_STRESS_ACTOR(then_both_cancelled, second)
{
	s->rc = fl_future_cancel(s->link.next);
	s->end = end_of(s->link.next);
	fl_future_free(s->link.next);
}

FL_STRESS(then_both_cancelled, first, second)
{
	fl_executor_free(s->link.e);
	FL_ACCEPTABLE(s->end == -ECANCELED && LOOK(&s->calls) == 1 && (s->rc == 0 || s->rc == -EINPROGRESS),
	              "cancelled once");
}

/*
 * then_pool: the task is queued and runs on a worker, while the next future is cancelled and freed.
 */
struct then_pool {
	struct link link;
	int rc, end;
};

FL_STRESS_SETUP(then_pool)
{
	OK(fl_promise_create(&s->link.p, sizeof(int), drop_result, &s->link.f));
}

FL_STRESS_ACTOR(then_pool, owner)
{
	s->link.e = pool_of(1);
	chain(&s->link);
	set_and_free(&s->link);
	s->rc = fl_future_cancel(s->link.next);
	s->end = end_of(s->link.next);
	fl_future_free(s->link.f);
	fl_future_free(s->link.next);
	fl_executor_free(s->link.e);
}

FL_STRESS(then_pool, owner)
{
	NEXT_WAS_CANCELLED_OR_RAN;
}

/* then_freed: the executor of the next future is freed while the first future ends. */
struct then_freed {
	struct link link;
	int end;
};

FL_STRESS_SETUP(then_freed)
{
	begin_link(&s->link);
	chain(&s->link);
}

FL_STRESS_ACTOR(then_freed, producer)
{
	set_and_free(&s->link);
}

FL_STRESS_ACTOR(then_freed, owner)
{
	fl_executor_free(s->link.e);
	s->end = end_of(s->link.next);
	fl_future_free(s->link.f);
	fl_future_free(s->link.next);
}

FL_STRESS(then_freed, producer, owner)
{
	FL_ACCEPTABLE(s->end == 7, "sent before");
	FL_ACCEPTABLE(s->end == -EPIPE, "refused");
}
