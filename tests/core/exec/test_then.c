/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains of tasks. On every kind of executor: test_executor_futures.c. */
#include "fl_in_loop.h"
#include "fl_pool.h"

FL_PROMISE_OF(int, int_promise)

/* A case with an executor `e`, a promise `p` of an int, and its future `f`. */
#define THEN_TEST(name, executor)                                                                                      \
	static void name##_after(fl_executor *e, fl_promise *p, fl_future *f);                                         \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = (executor);                                                                \
		FL_SCOPED(fl_promise) *p = NULL;                                                                       \
		FL_SCOPED(fl_future) *f = NULL;                                                                        \
		FL_OK(int_promise_create(&p, NULL, &f));                                                               \
		name##_after(e, p, f);                                                                                 \
	}                                                                                                              \
	static void name##_after(fl_executor *e, fl_promise *p, fl_future *f)

FL_TASK(then_note, int, void)
{
	return *arg;
}

FL_TASK(then_wide, int64_t, int64_t)
{
	*result = *arg;
	return 0;
}

/* A chain of `n` tasks behind `f`: the last future. Only the caller refers to the last. */
static fl_future *chain(fl_future *f, fl_executor *e, const fl_task_type *type, unsigned n)
{
	f = fl_future_ref(f);
	for (unsigned i = 0; i < n; i++) {
		fl_future *next = NULL;
		FL_OK(fl_future_then(f, e, type, &next));
		fl_future_free(f);
		f = next;
	}
	return f;
}

THEN_TEST(then_runs_with_the_result, pool_with(2))
{
	FL_SCOPED(fl_future) *next = NULL, *last = NULL, *late = NULL;
	int n = 0;
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	FL_OK(fl_future_then(next, e, &pool_double, &last));
	FL_STATE_IS(next, FL_PENDING);
	FL_RC(fl_future_get_until(last, &n, sizeof n, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(int_promise_set(p, 5));
	assert_int_equal(fl_test_result(last), 20);
	assert_int_equal(fl_test_result(next), 10);
	assert_int_equal(*(const int *)fl_future_result(next), 10);
	FL_STATE_IS(next, FL_DONE);
	FL_OK(fl_future_then(f, e, &pool_double, &late)); /* it has ended */
	assert_int_equal(fl_test_result(late), 10);
	FL_RC(fl_future_cancel(late), -EALREADY);
	FL_OK(fl_executor_join(e));
}

THEN_TEST(then_without_a_handle_runs_all_the_same, sequential())
{
	FL_OK(fl_future_then(f, e, &then_note, NULL));
	FL_OK(int_promise_set(p, 0));
	FL_OK(fl_executor_join(e));
}

THEN_TEST(then_of_another_size_is_refused, sequential())
{
	FL_SCOPED(fl_future) *next = NULL;
	FL_RC(fl_future_then(f, e, &then_wide, &next), -EINVAL);
	assert_null(next);
}

FL_TEST(then_of_a_broken_promise_says_so)
{
	FL_SCOPED(fl_executor) *e = sequential();
	fl_promise *p = NULL;
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	FL_OK(int_promise_create(&p, NULL, &f));
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	fl_promise_free(p);
	fl_test_future_ended(next, -EOWNERDEAD, "broken promise");
}

THEN_TEST(then_passes_a_cancel_on, sequential())
{
	FL_SCOPED(fl_future) *next = NULL, *last = NULL;
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	FL_OK(fl_future_then(next, e, &pool_double, &last));
	FL_OK(fl_future_cancel(f));
	FL_STATE_IS(next, FL_CANCELLED);
	FL_STATE_IS(last, FL_CANCELLED);
	assert_int_equal(fl_future_error(last), -ECANCELED);
	FL_OK(fl_future_cancel(last));
}

THEN_TEST(then_cancelled_while_it_waits_leaves_the_first_alone, sequential())
{
	FL_SCOPED(fl_future) *next = NULL;
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	FL_OK(fl_future_cancel(next));
	FL_STATE_IS(next, FL_CANCELLED);
	FL_STATE_IS(f, FL_PENDING);
	FL_OK(int_promise_set(p, 4));
	assert_int_equal(fl_test_result(f), 4);
	FL_STATE_IS(next, FL_CANCELLED);
}

/* A chain that was cancelled and freed kept its memory until the first future ended. */
THEN_TEST(then_cancelled_and_freed_keeps_no_memory, sequential())
{
	FL_SCOPED(fl_future) *before = NULL, *after = NULL;
	FL_OK(fl_future_then(f, e, &pool_double, &before));
	const long live = seam_live_allocs();
	for (int i = 0; i < 10; i++) {
		FL_SCOPED(fl_future) *next = NULL, *last = NULL;
		FL_OK(fl_future_then(f, e, &pool_double, &next));
		FL_OK(fl_future_then(next, e, &pool_double, &last));
		FL_OK(fl_future_cancel(i % 2 ? next : last));
		FL_OK(fl_future_cancel(i % 2 ? last : next));
	}
	assert_int_equal(seam_live_allocs(), live);
	FL_OK(fl_future_then(f, e, &pool_double, &after));
	FL_OK(int_promise_set(p, 4));
	assert_int_equal(fl_test_result(before), 8);
	assert_int_equal(fl_test_result(after), 8);
}

THEN_TEST(then_cancelled_when_its_task_is_queued_or_runs, pool_with(1))
{
	FL_SCOPED(fl_future) *next = NULL, *last = NULL;
	struct held held = hold_worker(e);
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	FL_OK(fl_future_then(f, e, &pool_double, &last));
	FL_OK(int_promise_set(p, 4));
	FL_STATE_IS(next, FL_PENDING);
	FL_OK(fl_future_cancel(next));
	FL_STATE_IS(next, FL_CANCELLED);
	FL_OK(fl_future_cancel_pending(last));
	FL_STATE_IS(last, FL_CANCELLED);
	let_go(&held);
}

FL_TASK_STATIC(obey, fl_event *, int)
{
	fl_event never = FL_EVENT_INIT;
	fl_event_set(*arg);
	FL_RC(fl_event_wait_until(&never, FL_FOREVER, fl_task_token(ctx)), -ECANCELED);
	return -EINTR;
}

POOL_TEST(then_cancelled_while_its_task_runs_asks_it_to_stop, 1)
{
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	fl_event entered = FL_EVENT_INIT;
	FL_OK(fl_promise_create(&p, sizeof(fl_event *), NULL, &f));
	FL_OK(fl_future_then(f, e, &obey, &next));
	FL_OK(fl_promise_set(p, &(fl_event *){&entered}));
	FL_OK(fl_event_wait(&entered));
	FL_RC(fl_future_cancel_pending(next), -EINPROGRESS); /* which leaves it alone */
	FL_STATE_IS(next, FL_RUNNING);
	FL_RC(fl_future_cancel(next), -EINPROGRESS); /* no request to stop came before */
	fl_test_future_ends(next, -EINTR, NULL);
	FL_RC(fl_future_cancel_pending(next), -EALREADY);
}

THEN_TEST(then_refused_fails_the_next, sequential())
{
	FL_SCOPED(fl_future) *next = NULL;
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	fl_executor_close(e);
	FL_OK(int_promise_set(p, 4));
	assert_int_equal(fl_future_error(next), -EPIPE);
	fl_test_contains(fl_future_message(next), "refused");
}

/* A task with memory of its own, wherever pointers have how many bytes. */
struct then_page {
	char bytes[4096];
};

FL_TASK_STATIC(then_fill, int, struct then_page)
{
	memset(result->bytes, *arg, sizeof result->bytes);
	return 0;
}

THEN_TEST(then_without_memory, sequential())
{
	FL_SCOPED(fl_future) *next = NULL;
	SEAM_NO_MEMORY(fl_future_then(f, e, &then_fill, &next), -ENOMEM);
	FL_OK(fl_future_then(f, e, &then_fill, &next));
	SEAM_NO_MEMORY(int_promise_set(p, 4), 0); /* of the submit */
	assert_int_equal(fl_future_error(next), -ENOMEM);
}

/*
 * A worker that waits for a chain runs the chain's pending tasks; also those that another context
 * submits during the wait.
 */
struct nested {
	fl_promise *p;
	fl_future *f;
	fl_event waits;
	bool by_other;
};

FL_TASK_STATIC(wait_for_chain, struct nested *, int)
{
	struct nested *n = *arg;
	fl_executor *e = fl_executor_current();
	FL_SCOPED(fl_future) *f = NULL, *next = NULL, *last = NULL;
	if (n->by_other)
		f = fl_future_ref(n->f);
	else
		FL_OK(pool_double_submit(e, 1, &f));
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	FL_OK(fl_future_then(next, e, &pool_double, &last));
	fl_event_set(&n->waits);
	return pool_double_get(last, result);
}

FL_TEST(then_is_waited_for_by_the_only_worker)
{
	FL_BOTH (by_other) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		FL_SCOPED(fl_future) *f = NULL;
		struct nested n = {.by_other = by_other};
		FL_OK(int_promise_create(&n.p, NULL, &n.f));
		FL_OK(wait_for_chain_submit(e, &n, &f));
		FL_OK(fl_event_wait(&n.waits));
		if (by_other) {
			FL_WAIT_FOR(seam_sleepers() >= 1);
			FL_OK(int_promise_set(n.p, 2));
		}
		assert_int_equal(fl_test_result(f), 8);
		fl_promise_free(n.p);
		fl_future_free(n.f);
	}
}

FL_TASK_STATIC(wait_for_first_chain, void, int)
{
	fl_executor *e = fl_executor_current();
	fl_future *f[2] = {NULL, NULL};
	FL_EACH (i, f) {
		FL_SCOPED(fl_future) *first = FL_SUBMITTED(pool_double, e, 1);
		FL_OK(fl_future_then(first, e, &pool_double, &f[i]));
	}
	FL_SCOPED(fl_as_completed) *c = NULL;
	size_t index = 77;
	FL_OK(fl_as_completed_create(&c, f, 2));
	FL_OK(fl_as_completed_next(c, &index));
	*result = index < 2 && fl_future_try_wait(f[index]) == 0;
	fl_test_futures_free(f, 2);
	return 0;
}

POOL_TEST(then_first_of_several_by_the_only_worker, 1)
{
	assert_true(fl_test_result_of(e, &wait_for_first_chain, NULL) >= 1);
}

FL_TEST(then_chain_of_a_thousand)
{
	enum { N = 1000 };
	for (int how = 0; how < 2; how++) { /* it succeeds, or fails from one end to the other */
		FL_SCOPED(fl_executor) *e = pool_with(2);
		fl_promise *p = NULL;
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(fl_promise_create(&p, sizeof(int64_t), NULL, &f));
		FL_SCOPED(fl_future) *last = chain(f, e, &then_wide, N);
		if (how == 0)
			FL_OK(fl_promise_set(p, &(int64_t){42}));
		fl_promise_free(p);
		int64_t n = 0;
		FL_RC(then_wide_get(last, &n), how == 0 ? 0 : FL_ETASK);
		assert_int_equal(n, how == 0 ? 42 : 0);
		assert_int_equal(fl_future_error(last), how == 0 ? 0 : -EOWNERDEAD);
		FL_OK(fl_executor_join(e));
	}
}

/* The executor of a chain may end before the chain is submitted. */
FL_TEST(then_of_an_executor_that_is_freed_before)
{
	for (int kind = 0; kind < 2; kind++) {
		fl_executor *e = kind == 0 ? sequential() : pool_with(1);
		FL_SCOPED(fl_promise) *p = NULL;
		FL_SCOPED(fl_future) *f = NULL, *next = NULL;
		FL_OK(int_promise_create(&p, NULL, &f));
		FL_OK(fl_future_then(f, e, &pool_double, &next));
		fl_executor_free(e);
		FL_STATE_IS(next, FL_PENDING);
		FL_OK(int_promise_set(p, 5));
		FL_OK(fl_future_try_wait(next));
		FL_RC(fl_future_error(next), -EPIPE);
		fl_test_contains(fl_future_message(next), "refused");
	}
}

static void free_handle(fl_future *f, void *handle)
{
	fl_future **of = handle;
	FL_CHECK(*of == f);
	*of = NULL;
	fl_future_free(f);
}

/* A cancel of the next future ends its task and the future. The future's callback frees it. */
THEN_TEST(then_cancelled_and_freed_by_its_callback, pool_with(1))
{
	struct held held = hold_worker(e);
	fl_future *next = NULL;
	FL_OK(fl_future_then(f, e, &pool_double, &next));
	FL_OK(int_promise_set(p, 5)); /* its task is pending */
	FL_OK(fl_future_on_end(next, free_handle, &next));
	FL_OK(fl_future_cancel(next));
	assert_null(next);
	let_go(&held);
}

/* Rows of chains are freed without recursion. */
static int free_future_here(void *f)
{
	fl_future_free(f);
	return 0;
}

THEN_TEST(then_long_row_is_freed_on_a_small_stack, pool_with(1))
{
	fl_thread *t;
	FL_SCOPED(fl_future) *first = chain(f, e, &pool_plus_one, 1);
	FL_OK(fl_future_cancel(first)); /* the others are cancelled with it, one by one */
	fl_future *last = chain(first, e, &pool_plus_one, fl_test_scaled(20000));
	fl_future_free(first);
	first = NULL;
	FL_OK(fl_executor_join(e)); /* there is no other reference */
	FL_OK(fl_thread_start(&t, free_future_here, last, &(fl_thread_config){.stack_size = 65536}));
	fl_test_end(t);
}

/*
 * A long chain ends on a small stack: each stage succeeds on the sequential executor, or the
 * failure or cancel of its first future passes through it.
 */
enum how { SUCCEEDS, FAILS, IS_CANCELLED };

struct long_chain {
	enum how how;
	fl_promise *p;
	fl_future *first;
};

static int end_first(void *chain)
{
	struct long_chain *l = chain;
	if (l->how == IS_CANCELLED)
		return fl_future_cancel(l->first);
	return l->how == SUCCEEDS ? int_promise_set(l->p, 0) : fl_promise_fail(l->p, -EIO, "not there");
}

FL_TEST(then_long_chain_ends_on_a_small_stack)
{
	const unsigned n = fl_test_scaled(20000);
	static const int states[] = {FL_DONE, FL_DONE, FL_CANCELLED}, errors[] = {0, -EIO, -ECANCELED};
	for (enum how how = SUCCEEDS; how <= IS_CANCELLED; how++) {
		FL_SCOPED(fl_executor) *e = sequential();
		struct long_chain l = {.how = how};
		fl_thread *t;
		FL_OK(int_promise_create(&l.p, NULL, &l.first));
		fl_future *f = chain(l.first, e, &pool_plus_one, n);
		FL_OK(fl_thread_start(&t, end_first, &l, &(fl_thread_config){.stack_size = 65536}));
		fl_test_end(t);
		FL_STATE_IS(f, states[how]);
		FL_RC(fl_future_error(f), errors[how]);
		if (how == SUCCEEDS)
			assert_int_equal(*(const int *)fl_future_result(f), n);
		fl_future_free(f);
		fl_future_free(l.first);
		fl_promise_free(l.p);
	}
}

/*
 * The callbacks of a future and those of the chains that end with it run in the order of a
 * depth-first walk.
 */
struct walk {
	int seen[8], n;
};

struct note {
	struct walk *walk;
	int number;
};

static void take_note(fl_future *f, void *arg)
{
	struct note *note = arg;
	FL_OK(fl_future_try_wait(f));
	note->walk->seen[note->walk->n++] = note->number;
}

FL_TEST(then_callbacks_run_depth_first)
{
	for (enum how how = SUCCEEDS; how <= IS_CANCELLED; how++) {
		static const int expected[] = {0, 1, 2, 3, 4, 5, 6};
		FL_SCOPED(fl_executor) *e = sequential();
		struct long_chain l = {.how = how};
		struct walk walk = {.n = 0};
		struct note notes[7];
		fl_future *a, *b, *c;
		FL_EACH (i, notes)
			notes[i] = (struct note){&walk, i};
		FL_OK(int_promise_create(&l.p, NULL, &l.first));
		FL_OK(fl_future_on_end(l.first, take_note, &notes[0]));
		FL_OK(fl_future_then(l.first, e, &pool_plus_one, &a));
		FL_OK(fl_future_on_end(l.first, take_note, &notes[4]));
		FL_OK(fl_future_then(l.first, e, &pool_plus_one, &c));
		FL_OK(fl_future_on_end(l.first, take_note, &notes[6]));
		FL_OK(fl_future_on_end(a, take_note, &notes[1]));
		FL_OK(fl_future_then(a, e, &pool_plus_one, &b));
		FL_OK(fl_future_on_end(a, take_note, &notes[3]));
		FL_OK(fl_future_on_end(b, take_note, &notes[2]));
		FL_OK(fl_future_on_end(c, take_note, &notes[5]));
		FL_OK(end_first(&l));
		assert_int_equal(walk.n, 7);
		assert_memory_equal(walk.seen, expected, sizeof expected);
		fl_future_free(a);
		fl_future_free(b);
		fl_future_free(c);
		fl_future_free(l.first);
		fl_promise_free(l.p);
	}
}

/* In a fiber. */
struct asked {
	fl_executor *e;
	fl_promise *p;
	fl_future *f, *next;
};

static void ask(void *asked)
{
	struct asked *a = asked;
	FL_OK(int_promise_create(&a->p, NULL, &a->f));
	FL_OK(fl_future_then(a->f, a->e, &pool_double, &a->next));
}

static int get_answer(void *asked)
{
	int n = 0;
	FL_OK(pool_double_get(((struct asked *)asked)->next, &n));
	return n - 22;
}

static void answer(void *asked)
{
	FL_OK(int_promise_set(((struct asked *)asked)->p, 11));
}

static void forget(void *asked)
{
	struct asked *a = asked;
	fl_promise_free(a->p);
	fl_future_free(a->f);
	fl_future_free(a->next);
}

POOL_TEST(then_wait_suspends_only_the_fiber, 1)
{
	struct asked a = {.e = e};
	FL_MEET(.object = &a, .begin = ask, .wait = get_answer, .wake = answer, .end = forget);
}
