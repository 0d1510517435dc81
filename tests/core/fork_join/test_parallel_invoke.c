/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_on_workers.h"

#include "core/fork_join/fork_join.h"

/* What a pair of calls does, and in which order. */
struct pair {
	int turn, f_at, g_at; /* 0: not called */
	int f_error, g_error, rc;
};

static int first(void *arg)
{
	struct pair *p = arg;
	p->f_at = ++p->turn;
	return p->f_error;
}

static int second(void *arg)
{
	struct pair *p = arg;
	p->g_at = ++p->turn;
	return p->g_error;
}

static int join_pair(void *arg)
{
	return fl_parallel_invoke(first, arg, second, arg);
}

static void check_pairs(int (*run)(struct pair *p))
{
	struct pair both = {0}, failed = {.f_error = -EIO, .g_error = -EPIPE}, last = {.g_error = -EPIPE};
	FL_RC(run(&both), 0);
	assert_true(both.f_at == 1 && both.g_at == 2);
	FL_RC(run(&failed), -EIO);
	assert_true(failed.f_at == 1 && failed.g_at == 0);
	FL_RC(run(&last), -EPIPE);
	assert_true(last.f_at == 1 && last.g_at == 2);
}

static int pair_here(struct pair *p)
{
	return fl_parallel_invoke(first, p, second, p);
}

static int pair_on_one_worker(struct pair *p)
{
	return run_on(1, join_pair, p);
}

FL_TEST(join_outside_of_workers_is_two_calls)
{
	check_pairs(pair_here);
}

FL_TEST(join_on_the_only_worker_is_two_calls)
{
	check_pairs(pair_on_one_worker);
}

static int join_in_fiber(void *arg)
{
	return fl_loop_run(join_pair, arg);
}

static int pair_in_a_fiber_on_a_worker(struct pair *p)
{
	return run_on(2, join_in_fiber, p);
}

/* Fibers of a worker take turns, as calls on a stack do not. */
FL_TEST(join_in_a_fiber_on_a_worker_is_two_calls)
{
	check_pairs(pair_in_a_fiber_on_a_worker);
}

/*
 * Two calls on two workers: fl__fork_wake() has the second stolen, and fl__fork_await() waits for
 * it. The first forks until the second was stolen, so that it does not depend on one wake, which
 * may be missed where the system has no membarrier().
 */
struct taken {
	fl_executor *e;
	fl_event begun, never;
	fl_cancel_token scope;
	int f_error, g_error;
	bool request; /* the scope, once the second has begun */
	bool blocks;  /* the second waits until it is cancelled */
	fl_executor *seen;
};

static int nothing(void *unused)
{
	return 0;
}

static int until_begun(void *arg)
{
	struct taken *t = arg;
	while (!fl_event_is_set(&t->begun))
		FL_OK(fl_parallel_invoke(nothing, NULL, nothing, NULL));
	if (t->request)
		fl_cancel_token_request(&t->scope);
	return t->f_error;
}

static int on_another(void *arg)
{
	struct taken *t = arg;
	t->seen = fl_executor_current();
	fl_event_set(&t->begun);
	int rc = t->blocks ? fl_event_wait(&t->never) : 0;
	return rc != 0 ? rc : t->g_error;
}

static int join_taken(void *arg)
{
	struct taken *t = arg;
	t->e = fl_executor_current();
	fl_cancel_token_init(&t->scope, NULL, FL_FOREVER);
	int rc;
	{
		FL_CANCEL_SCOPE(&t->scope);
		rc = fl_parallel_invoke(until_begun, t, on_another, t);
	}
	fl_cancel_token_destroy(&t->scope);
	return rc;
}

FL_TEST(join_is_taken_by_a_worker_that_is_free)
{
	struct taken t = {0};
	FL_RC(run_on(2, join_taken, &t), 0);
	assert_ptr_equal(t.seen, t.e); /* it is a part of the same task */
}

FL_TEST(join_error_of_what_was_taken)
{
	struct taken t = {.g_error = -EPIPE};
	FL_RC(run_on(2, join_taken, &t), -EPIPE);
}

FL_TEST(join_first_error_stops_what_was_taken)
{
	struct taken t = {.f_error = -EIO, .blocks = true};
	FL_RC(run_on(2, join_taken, &t), -EIO);
}

FL_TEST(join_scope_reaches_what_was_taken)
{
	struct taken t = {.request = true, .blocks = true};
	FL_RC(run_on(2, join_taken, &t), -ECANCELED);
}

/* A tree of calls, some of which are stolen, and some stolen from those. */
struct node {
	int n, result;
};

static int fibonacci(void *arg)
{
	struct node *x = arg;
	if (x->n < 2) {
		x->result = x->n;
		return 0;
	}
	struct node a = {x->n - 1, 0}, b = {x->n - 2, 0};
	int rc = fl_parallel_invoke(fibonacci, &a, fibonacci, &b);
	x->result = a.result + b.result;
	return rc;
}

static void check_fibonacci(void)
{
	for (unsigned workers = 1; workers <= 5; workers++)
		for (int i = 0; i < 5; i++) {
			struct node x = {18, 0};
			FL_RC(run_on(workers, fibonacci, &x), 0);
			assert_int_equal(x.result, 2584);
		}
}

FL_TEST(join_tree)
{
	check_fibonacci();
}

static int no_membarrier(void)
{
	return -ENOSYS;
}

FL_TEST(join_tree_without_membarrier)
{
	FL_FAULTS();
	fl__sys.membarrier = no_membarrier;
	check_fibonacci();
}

static pthread_t here;

/* Workers have no memory for anything as large as a stack of forks. */
static void *no_stacks(size_t size)
{
	bool none = size > 256 * sizeof(void *) && !pthread_equal(pthread_self(), here);
	return none ? NULL : fl_test_real_sys.alloc(size);
}

FL_TEST(join_tree_without_memory_for_forks)
{
	FL_FAULTS();
	here = pthread_self();
	fl__sys.alloc = no_stacks;
	check_fibonacci();
}

/* Deeper than forks are laid open; the deepest are calls. */
static int descend(void *arg)
{
	struct node *x = arg;
	if (x->n == 0)
		return 0;
	struct node a = {x->n - 1, 0}, b = {0, 0};
	int rc = fl_parallel_invoke(descend, &a, descend, &b);
	x->result = a.result + 1;
	return rc;
}

FL_TEST(join_deeper_than_the_stack_of_forks)
{
	for (unsigned workers = 1; workers <= 3; workers++) {
		struct node x = {2000, 0};
		FL_RC(run_on(workers, descend, &x), 0);
		assert_int_equal(x.result, 2000);
	}
}

/* A task that has submitted another, and waits for it, inside of a fork. */
static int submit_and_wait(void *arg)
{
	struct node *x = arg;
	FL_SCOPED(fl_future) *f = NULL;
	int rc = call_submit(fl_executor_current(), (struct call){fibonacci, x}, &f);
	return rc == 0 ? fl_future_get(f, NULL, 0) : rc;
}

static int join_waits(void *arg)
{
	struct node *x = arg;
	return fl_parallel_invoke(submit_and_wait, &x[0], submit_and_wait, &x[1]);
}

FL_TEST(join_of_calls_that_submit_and_wait)
{
	for (unsigned workers = 1; workers <= 3; workers++) {
		struct node x[2] = {{12, 0}, {13, 0}};
		FL_RC(run_on(workers, join_waits, x), 0);
		assert_int_equal(x[0].result + x[1].result, 144 + 233);
	}
}

/* An executor that is closed: the workers stay for what runs, which may fork. */
static unsigned taken_elsewhere;

static int wait_until_taken(void *unused)
{
	FL_WAIT_FOR(__atomic_load_n(&taken_elsewhere, __ATOMIC_ACQUIRE));
	return 0;
}

static int say_taken(void *unused)
{
	__atomic_store_n(&taken_elsewhere, 1, __ATOMIC_RELEASE);
	return 0;
}

static int fork_when_closed(void *unused)
{
	fl_executor *e = fl_executor_current();
	fl_executor_close(e);
	FL_RC(call_submit(e, (struct call){say_taken, NULL}, NULL), -EPIPE);
	return fl_parallel_invoke(wait_until_taken, NULL, say_taken, NULL);
}

FL_TEST(join_has_the_workers_of_a_closed_executor)
{
	for (unsigned round = 0; round < 20; round++) {
		__atomic_store_n(&taken_elsewhere, 0, __ATOMIC_RELAXED);
		FL_OK(run_on(2, fork_when_closed, NULL));
	}
}
