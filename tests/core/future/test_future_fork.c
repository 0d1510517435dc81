/* SPDX-License-Identifier: BSD-2-Clause */
/* Futures in a forked child: a wait for a task of the parent ends at once, with -EOWNERDEAD. */
#include "fl_child.h"
#include "fl_pool.h"

FL_TASK_STATIC(pass_on, int, int)
{
	*result = *arg;
	return 0;
}

/* In the parent: an executor; its only worker is held. */
struct parent {
	fl_executor *e;
	struct held held;
	/* Of a task that has ended; of one behind the held worker. */
	fl_future *done, *waits;
};

static void begin(struct parent *p)
{
	*p = (struct parent){.e = pool_with(1)};
	FL_OK(pool_double_submit(p->e, 21, &p->done));
	FL_OK(fl_future_wait(p->done));
	p->held = hold_worker(p->e);
	FL_OK(pool_double_submit(p->e, 4, &p->waits));
}

/* What happened in the child has not happened here. */
static void end(struct parent *p)
{
	int result = 0;
	let_go(&p->held);
	FL_OK(pool_double_get(p->waits, &result));
	assert_int_equal(result, 8);
	fl_future_free(p->waits);
	fl_future_free(p->done);
	fl_executor_free(p->e);
}

/* The function finds the parent's futures in a forked child. */
static void in_child(void (*function)(void *parent))
{
	struct parent p;
	begin(&p);
	FL_IN_CHILD(function, &p);
	end(&p);
}

static void wait_for_each(void *arg)
{
	struct parent *p = arg;
	fl_future *left[] = {p->held.f, p->waits};
	int result = 0;
	FL_EACH (i, left) {
		FL_RC(fl_future_wait_until(left[i], fl_after(FL_S(60)), NULL), -EOWNERDEAD);
		FL_RC(fl_future_try_wait(left[i]), -EOWNERDEAD);
	}
	FL_RC(fl_future_get_until(p->waits, &result, sizeof result, FL_NO_WAIT, NULL), -EOWNERDEAD);
	FL_RC(fl_future_get(p->waits, &result, 1), -EINVAL);
	FL_CHECK(fl_future_error(p->waits) == -EINPROGRESS);
	FL_CHECK(fl_future_get_state(p->waits) == FL_PENDING);
	/* What has ended has, before the fork or after it. */
	FL_CHECK(fl_future_wait(p->done) == 0 && pool_double_get(p->done, &result) == 0 && result == 42);
	FL_OK(fl_future_cancel(p->waits));
	FL_OK(fl_future_wait(p->waits));
	FL_CHECK(pool_double_get(p->waits, &result) == FL_ETASK && fl_future_error(p->waits) == -ECANCELED);
	FL_RC(fl_future_cancel(p->held.f), -EINPROGRESS);
	FL_RC(fl_future_wait(p->held.f), -EOWNERDEAD);
}

FL_TEST(future_fork_wait_for_the_parents_task)
{
	in_child(wait_for_each);
}

/* The child's own are as everywhere. */
static void wait_for_own(void *arg)
{
	struct parent *p = arg;
	fl_executor *e = sequential();
	int result = 0;
	FL_OK(fl_test_run_task(e, &pool_double, &(int){5}, &result));
	FL_CHECK(result == 10);
	FL_RC(pool_double_submit(p->e, 5, NULL), -EOWNERDEAD);
	fl_executor_free(e);
}

FL_TEST(future_fork_wait_for_the_childs_task)
{
	in_child(wait_for_own);
}

/* Several at once. */
static void wait_for_several(void *arg)
{
	struct parent *p = arg;
	fl_promise *promise = NULL;
	fl_future *promised = NULL;
	FL_OK(fl_promise_create(&promise, 0, NULL, &promised));
	fl_future *with_done[] = {p->held.f, p->done, p->waits}, *without[] = {p->held.f, p->waits},
		  *with_promised[] = {p->held.f, promised};
	FL_CHECK(fl_futures_wait(with_done, 3, FL_ALL_ENDED) == -EOWNERDEAD);
	FL_CHECK(fl_futures_wait(with_done, 3, FL_FIRST_ENDED) == 1);
	FL_CHECK(fl_futures_wait(with_done, 3, FL_FIRST_ERROR) == -EOWNERDEAD);
	FL_CHECK(fl_futures_wait(without, 2, FL_FIRST_ENDED) == -EOWNERDEAD);
	FL_RC(fl_futures_wait_until(without, 2, FL_FIRST_ERROR, fl_after(FL_S(60)), NULL), -EOWNERDEAD);
	/* A promise may still be set in this process. */
	FL_RC(fl_futures_wait_until(with_promised, 2, FL_FIRST_ENDED, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_OK(fl_promise_fail(promise, -EIO, "no"));
	FL_CHECK(fl_futures_wait(with_promised, 2, FL_FIRST_ERROR) == 1);
	FL_CHECK(fl_futures_wait(with_promised, 2, FL_ALL_ENDED) == -EOWNERDEAD);
	FL_CHECK(fl_futures_ended(with_promised, 2) == 1);
	fl_promise_free(promise);
	fl_future_free(promised);
}

FL_TEST(future_fork_wait_for_several)
{
	in_child(wait_for_several);
}

static void hand_out(void *arg)
{
	struct parent *p = arg;
	fl_future *all[] = {p->held.f, p->done, p->waits};
	fl_as_completed *c = NULL;
	size_t i = 9;
	FL_OK(fl_futures_as_completed_create(&c, all, 3));
	FL_CHECK(fl_as_completed_next(c, &i) == 0 && i == 1);
	FL_RC(fl_as_completed_try_next(c, &i), -EOWNERDEAD);
	FL_RC(fl_as_completed_next_until(c, &i, fl_after(FL_S(60)), NULL), -EOWNERDEAD);
	fl_as_completed_free(c);
}

FL_TEST(future_fork_hands_out_what_has_ended)
{
	in_child(hand_out);
}

/* Promises and chains. */
enum { ROW = 3000 };

struct row {
	struct parent p;
	fl_promise *promise;
	fl_future *promised, *after_promise, *after_runs, *submitted, *last;
};

static void wait_for_chains(void *arg)
{
	struct row *r = arg;
	fl_executor *own = sequential();
	fl_future *f = NULL;
	int result = 0, number = 7;
	FL_RC(fl_future_wait(r->after_runs), -EOWNERDEAD);
	FL_RC(fl_future_wait(r->submitted), -EOWNERDEAD);
	FL_RC(fl_future_try_wait(r->last), -EOWNERDEAD);
	FL_RC(fl_future_wait(r->last), -EOWNERDEAD);
	FL_RC(fl_future_wait_until(r->after_promise, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_future_try_wait(r->promised), -EAGAIN);
	FL_OK(fl_promise_set(r->promise, &number));
	FL_CHECK(fl_future_get(r->promised, &result, sizeof result) == 0 && result == 7);
	/* Its task would be the parent's. */
	FL_CHECK(fl_future_wait(r->after_promise) == 0 && fl_future_error(r->after_promise) == -EOWNERDEAD);
	FL_OK(fl_future_then(r->p.waits, own, &pool_double, &f));
	FL_RC(fl_future_wait(f), -EOWNERDEAD);
	fl_future_free(f);
	FL_OK(fl_future_then(r->p.done, own, &pool_double, &f));
	FL_CHECK(pool_double_get(f, &result) == 0 && result == 84);
	fl_future_free(f);
	fl_executor_free(own);
}

FL_TEST(future_fork_wait_for_a_chain)
{
	struct row r = {.promise = NULL};
	fl_future *f = NULL;
	begin(&r.p);
	FL_OK(fl_promise_create(&r.promise, sizeof(int), NULL, &r.promised));
	FL_OK(fl_future_then(r.promised, r.p.e, &pool_double, &r.after_promise));
	FL_OK(fl_future_then(r.p.waits, r.p.e, &pool_double, &r.after_runs));
	FL_OK(fl_future_then(r.p.done, r.p.e, &pool_double, &r.submitted));
	f = fl_future_ref(r.p.waits);
	for (int i = 0; i < ROW; i++) {
		FL_OK(fl_future_then(f, r.p.e, &pass_on, &r.last));
		fl_future_free(f);
		f = r.last;
	}
	FL_IN_CHILD(wait_for_chains, &r);
	FL_OK(fl_future_cancel(r.last));
	FL_OK(fl_future_cancel(r.after_promise));
	fl_promise_free(r.promise);
	end(&r.p);
	fl_future *all[] = {r.promised, r.after_promise, r.after_runs, r.submitted, r.last};
	fl_test_futures_free(all, 5);
}

/* In the child of a task: what it waits for is what it runs. */
static fl_future *own_future;

static void wait_for_itself(void *unused)
{
	FL_RC(fl_future_wait(own_future), -EOWNERDEAD);
}

FL_TASK_STATIC(fork_and_wait, fl_event *, int)
{
	FL_OK(fl_event_wait(*arg));
	*result = fl_test_child(wait_for_itself, NULL, NULL, 0);
	return 0;
}

POOL_TEST(future_fork_wait_for_the_task_that_forks, 1)
{
	fl_event known = FL_EVENT_INIT;
	FL_OK(fork_and_wait_submit(e, &known, &own_future));
	fl_event_set(&known);
	assert_int_equal(fl_test_result(own_future), 0);
	fl_future_free(own_future);
}
