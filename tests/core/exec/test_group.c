/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task groups out of memory, with many threads, and with forbidden joins; and failures that only
 * the log reports.
 */
#include "fl_child.h"
#include "fl_debugging.h"
#include "fl_pool.h"

static unsigned runs, drops;

static void drop_number(void *arg)
{
	fl__add_relaxed(&drops, 1); /* relaxed: a count, read after a join; as below */
}

FL_TASK_STATIC(counted, int, int, .drop_arg = drop_number, .drop_result = drop_number)
{
	fl__add_relaxed(&runs, 1);
	*result = *arg;
	return 0;
}

static void begin_count(void)
{
	fl__store_relaxed(&runs, 0);
	fl__store_relaxed(&drops, 0);
}

FL_TASK_STATIC(fail_with, int, void)
{
	return fl_task_fail(ctx, *arg, "said %d", *arg);
}

/* Whatever allocation fails: what was accepted ends, what was refused did not happen. */
FL_TEST(group_without_memory)
{
	enum { N = 40 };
	bool failed = false;
	for (unsigned step = 0; step < 60; step++) {
		FL_SCOPED(fl_executor) *e = pool_with(2);
		fl_group g = FL_GROUP_INIT(e);
		unsigned accepted = 0;
		int results[N];
		begin_count();
		for (int i = 0; i < N; i++) {
			results[i] = -1;
			seam_fail_allocs(step % 6, i == (int)step / 6 ? 1000 : 0);
			int rc = fl_group_submit(&g, &counted, &i, &results[i]);
			(void)seam_heal();
			FL_OK_OR(rc, -ENOMEM);
			accepted += rc == 0;
			failed = failed || rc != 0;
			assert_true(g.begun_); /* also by a submit that was refused */
		}
		FL_OK(fl_group_join(&g));
		assert_int_equal(fl__load_relaxed(&runs), accepted);
		assert_int_equal(fl__load_relaxed(&drops), accepted);
		for (int i = 0; i < N; i++)
			assert_true(results[i] == i || (results[i] == -1 && accepted < N));
	}
	assert_true(failed);
}

/* A group keeps neither the blocks nor the large arguments of tasks that have ended. */

typedef struct {
	char bytes[4096];
} page;

FL_TASK_STATIC(read_page, page, void)
{
	return arg->bytes[0];
}

POOL_TEST(group_keeps_no_memory_after_a_peak, 1)
{
	enum { PEAK = 100, MANY = 20000, FEW = 10 /* slabs of up to 1,024 blocks */ };
	static const page zeros;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	struct held held = hold_worker(e);
	for (int i = 0; i < PEAK; i++)
		FL_OK(counted_group_submit(&g, i, NULL));
	let_go(&held);
	FL_OK(FL_WAIT_ANY(FL_ON_GROUP(&g)));
	const long before = seam_live_allocs();
	for (int i = 0; i < MANY; i++) {
		FL_OK(i % 2 ? counted_group_submit(&g, i, NULL) : fl_group_submit(&g, &read_page, &zeros, NULL));
		FL_OK(FL_WAIT_ANY(FL_ON_GROUP(&g)));
		assert_true(seam_live_allocs() <= before + FEW);
	}
	FL_OK(fl_group_join(&g));
}

/*
 * A member that has answered the cancel of its group is not the first error in a later wait for its
 * future, which the callback has kept.
 */

static void keep_reference(fl_future *f, void *arg)
{
	*(fl_future **)arg = fl_future_ref(f);
}

FL_TASK_STATIC(look_for_cancel, fl_event *, void)
{
	fl_event_set(*arg);
	while (!fl_task_is_cancelled(ctx))
		fl__sys.yield();
	return -ECANCELED;
}

POOL_TEST(group_member_that_was_cancelled_is_no_first_error, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	fl_event begun = FL_EVENT_INIT, *arg = &begun;
	fl_future *f = NULL;
	const fl_submit_config config = {.on_end = keep_reference, .on_end_arg = &f};
	FL_OK(fl_group_submit_with(&g, &look_for_cancel, &arg, NULL, &config));
	FL_OK(fl_event_wait(&begun));
	fl_group_cancel(&g);
	FL_OK(fl_group_join(&g));
	FL_RC(fl_future_error(f), -ECANCELED);
	fl_future_free(f);
}

/* Logged: a failure after another one, and a failure without a join. */

FL_TASK_STATIC(fail_when_told, struct gate *, void)
{
	fl_event_set(&(*arg)->entered);
	int rc = fl_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
	return rc ? rc : fl_task_fail(ctx, -EIO, "told");
}

POOL_TEST(group_later_failures_go_to_the_log, 2)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	struct gate gate = {.open = FL_EVENT_INIT};
	fl_log_handler *before = fl_log_set_handler(fl_test_hear);
	FL_OK(fail_when_told_group_submit(&g, &gate));
	FL_OK(fl_event_wait(&gate.entered));
	FL_OK(fail_with_group_submit(&g, -ENOSPC));
	FL_WAIT_FOR(fl_group_message(&g) != NULL);
	assert_int_equal(fl_group_failed_index(&g), 1);
	fl_event_set(&gate.open);
	FL_GROUP_FAILED(&g, -ENOSPC);
	assert_string_equal(fl_group_message(&g), "said -28");
	HEARD("a task of a group failed after another: EIO: told", 1);
	(void)fl_log_set_handler(before);
}

POOL_TEST(group_left_with_an_error_tells_the_log, 1)
{
	fl_log_handler *before = fl_log_set_handler(fl_test_hear);
	{
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
		FL_OK(fail_with_group_submit(&g, -EXDEV));
	}
	HEARD("a task of a group failed, and no join has returned the error: EXDEV: said -18", 1);
	{
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
		FL_OK(fail_with_group_submit(&g, -EXDEV));
		FL_GROUP_FAILED(&g, -EXDEV);
	}
	HEARD("no join has returned the error", 1);
	(void)fl_log_set_handler(before);
}

/* A result is dropped by whoever frees the last reference, at once: neither by the group nor late. */

POOL_TEST(group_result_is_dropped_with_its_last_reference, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	fl_future *f = NULL;
	const fl_submit_config config = {.on_end = keep_reference, .on_end_arg = &f};
	begin_count();
	FL_OK(fl_group_submit_with(&g, &counted, &(int){7}, NULL, &config));
	FL_OK(fl_group_join(&g));
	FL_WAIT_FOR(fl__load_relaxed(&f->state) / FL__FUTURE_REF == 1); /* relaxed: looked at alone */
	assert_int_equal(*(const int *)fl_future_result(f), 7);
	assert_int_equal(fl__load_relaxed(&drops), 1); /* of the argument */
	fl_future_free(f);
	assert_int_equal(fl__load_relaxed(&drops), 2);
}

/* Misuse. */

static void turn_until_done(fl_loop *l, const fl_group *g)
{
	fl_time deadline;
	while (fl_group_count(g) > 0)
		FL_OK(fl_loop_run_once(l, &deadline));
}

/* On a loop of this thread, outside of its fibers, no thread runs the remaining tasks. */
FL_TEST(group_joined_where_nothing_could_run)
{
	FL_SCOPED(fl_loop) *l = NULL;
	FL_OK(fl_loop_create(&l, NULL));
	fl_executor *e = NULL;
	FL_OK(fl_loop_executor_create_on(&e, l, NULL));
	{
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
		int result = -1;
		FL_OK(counted_group_submit(&g, 3, &result));
		turn_until_done(l, &g);
		FL_OK(counted_group_submit(&g, 4, &result));
		FL_RC(fl_group_join(&g), -EDEADLK);
		FL_RC(fl_group_join_until(&g, FL_FOREVER, NULL), -EDEADLK);
		FL_PANICS(fl_group_destroy(&g));
		turn_until_done(l, &g);
		FL_OK(fl_group_join(&g));
		assert_int_equal(result, 4);
	}
	fl_executor_free(e);
}

/* Each join tells by its result alone whether the group is joined, whatever its members return. */

static int join_to_the_end(fl_group *g)
{
	return fl_group_join_until(g, FL_FOREVER, FL_SHIELDED);
}

static int try_join_at_the_end(fl_group *g)
{
	FL_OK(FL_WAIT_ANY(FL_ON_GROUP(g)));
	return fl_group_try_join(g);
}

POOL_TEST(group_joins_return_one_code_for_every_error, 1)
{
	static const int errors[] = {-EDEADLK, -EOWNERDEAD, -ETIMEDOUT, -ECANCELED, -EINVAL,
	                             -EAGAIN,  FL_ETASK,    7,          INT_MAX,    -EIO};
	int (*const joins[])(fl_group *) = {fl_group_join, join_to_the_end, try_join_at_the_end};
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	FL_EACH (i, errors)
		FL_EACH (k, joins) {
			FL_OK(fail_with_group_submit(&g, errors[i]));
			FL_JOINED(joins[k](&g), &g, errors[i]);
			assert_int_equal(fl_group_failed_index(&g), 0);
			FL_OK(counted_group_submit(&g, 1, NULL));
			FL_JOINED(joins[k](&g), &g, 0);
			assert_true(fl_group_failed_index(&g) == SIZE_MAX);
		}
}

/*
 * Joins on workers. A join runs members that its worker has submitted, and then the worker is
 * replaced.
 */

/* A group of many tasks in one task of the group above: more than the local queue has. */
struct many {
	int depth, count, which;
	int *ended;
};

FL_TASK_STATIC(join_many, struct many, void)
{
	(void)fl__add_relaxed(arg->ended, 1); /* relaxed: a count, read after a join */
	if (arg->depth == 0)
		return 0;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int rc = 0;
	for (int i = 0; rc == 0 && i < arg->count; i++) {
		struct many below = *arg;
		below.depth = i == arg->which ? arg->depth - 1 : 0;
		rc = join_many_group_submit(&g, below);
	}
	const int joined = fl_group_join(&g);
	FL_CHECK(fl_group_count(&g) == 0);
	return rc ? rc : joined;
}

FL_TEST(group_join_of_more_than_a_local_queue_has)
{
	enum { MANY = 1000 };
	static const int which[] = {3, MANY / 2, MANY - 1}; /* with an almost empty queue, and with a full one */
	for (unsigned workers = 1; workers <= 3; workers++)
		for (int depth = 1; depth <= 3; depth++)
			FL_EACH (i, which) {
				FL_SCOPED(fl_executor) *e = pool_with(workers);
				int ended = 0;
				const struct many many = {depth, MANY, which[i], &ended};
				FL_OK(fl_test_run_task(e, &join_many, &many, NULL));
				assert_int_equal(ended, 1 + depth * MANY);
			}
}

/*
 * Each worker is in a join of a group whose member is pending among other tasks: the join does not
 * find the member, since it looks at the newest tasks alone. Workers in place of these run it; or, if
 * no thread can be started, the last of the joins does.
 */
struct behind {
	fl_group g;
	struct gate gate;
	bool refused; /* no thread can be started */
};

FL_TASK_STATIC(join_behind, struct behind *, void)
{
	fl_event_set(&(*arg)->gate.entered);
	FL_OK(fl_event_wait(&(*arg)->gate.open));
	if ((*arg)->refused)
		seam_fail_threads(0, 1000);
	const int rc = fl_group_join(&(*arg)->g);
	(void)seam_heal();
	return rc;
}

FL_TEST(group_joins_on_all_workers_of_members_behind_other_tasks)
{
	enum { MOST = 3, OTHERS = 50 };
	for (unsigned n = 2; n < 2 * (MOST + 1); n++) {
		const unsigned workers = n / 2;
		FL_SCOPED(fl_executor) *e = pool_with(workers);
		struct behind behind[MOST];
		fl_future *f[MOST];
		begin_count();
		for (unsigned i = 0; i < workers; i++) {
			struct behind *at = &behind[i];
			*at = (struct behind){FL_GROUP_INIT(e), {FL_EVENT_INIT, FL_EVENT_INIT}, n % 2};
			FL_OK(join_behind_submit(e, at, &f[i]));
			FL_OK(fl_event_wait(&at->gate.entered));
		}
		for (int i = 0; i < OTHERS; i++) {
			if (i == OTHERS / 2)
				for (unsigned k = 0; k < workers; k++)
					FL_OK(counted_group_submit(&behind[k].g, 1, NULL));
			FL_OK(counted_submit(e, i, NULL));
		}
		for (unsigned i = 0; i < workers; i++)
			fl_event_set(&behind[i].gate.open);
		for (unsigned i = 0; i < workers; i++) {
			FL_OK(fl_future_get(f[i], NULL, 0));
			fl_future_free(f[i]);
		}
		FL_OK(fl_executor_join(e));
		assert_int_equal(fl__load_relaxed(&runs), OTHERS + workers);
	}
}

/* A member that runs within a join is cancelled with the executor, as the task that joins. */

struct within {
	fl_event begun;
	fl_group *g;     /* NULL: one that begins within the task */
	uint64_t thread; /* that of the member */
};

FL_TASK_STATIC(wait_within, struct within *, void)
{
	(*arg)->thread = fl_thread_current_id();
	return look_for_cancel.run(ctx, &(fl_event *){&(*arg)->begun}, NULL);
}

FL_TASK_STATIC(join_one_that_waits, struct within *, void)
{
	FL_SCOPED(fl_group) own = FL_GROUP_INIT(fl_executor_current());
	fl_group *g = (*arg)->g ? (*arg)->g : &own;
	FL_OK(wait_within_group_submit(g, *arg));
	FL_GROUP_FAILED(g, -ECANCELED);
	FL_CHECK((*arg)->thread == fl_thread_current_id()); /* it ran within the join */
	return -ECANCELED;
}

FL_TEST(group_member_within_a_join_sees_the_cancel_of_the_executor)
{
	FL_BOTH (began_outside) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		fl_group g = FL_GROUP_INIT(e);
		struct within within = {FL_EVENT_INIT, began_outside ? &g : NULL, 0};
		FL_SCOPED(fl_future) *f = NULL;
		(void)fl_group_token(&g);
		FL_OK(join_one_that_waits_submit(e, &within, &f));
		FL_OK(fl_event_wait(&within.begun));
		(void)fl_executor_cancel(e);
		fl_test_future_ends(f, -ECANCELED, NULL);
		FL_OK(fl_executor_join(e));
		fl_group_destroy(&g);
	}
}

/*
 * A recursion by groups needs one worker: also if each task has two groups, and joins the first one
 * first; if its groups begin under a shield; and if other tasks were submitted after the members.
 * Each level had a thread of its own, and then there were no more threads.
 */

struct levels {
	unsigned left, kind; /* kind 1: two groups; 2: under a shield; 3: another task */
};

FL_TASK_STATIC(fill_and_join, struct levels, void)
{
	fl_executor *e = fl_executor_current();
	const struct levels next = {arg->left - 1, arg->kind};
	if (arg->left == 0)
		return 0;
	FL_CANCEL_SCOPE(arg->kind == 2 ? FL_SHIELDED : fl_cancel_scope_current());
	fl_group g[2] = {FL_GROUP_INIT(e), FL_GROUP_INIT(e)};
	FL_EACH (i, g)
		FL_OK(fl_group_submit(&g[arg->kind == 1 ? i : 0], &fill_and_join, &next, NULL));
	if (arg->kind == 3)
		FL_OK(fl_executor_submit(e, &fill_and_join, &(struct levels){0, 3}, NULL));
	FL_OK(fl_group_join(&g[0]));
	FL_OK(fl_group_join(&g[1]));
	return 0;
}

FL_TEST(group_recursion_needs_one_worker)
{
	for (unsigned kind = 0; kind <= 3; kind++) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		fl_stats_executor stats;
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(fl_executor_submit(e, &fill_and_join, &(struct levels){3, kind}, &f));
		FL_OK(fl_future_get(f, NULL, 0));
		FL_OK(fl_executor_join(e));
		FL_OK(fl_executor_stats(e, &stats));
		assert_int_equal(stats.workers_started, 1);
	}
}

/*
 * A join runs no task that is not a member, even if that task is the newest of its worker.
 */

static uint64_t joining; /* the thread of the join; 0: none */

FL_TASK_STATIC(note_thread, bool *, void)
{
	**arg = fl__load_relaxed(&joining) == fl_thread_current_id(); /* relaxed: only this thread's own stores count */
	return 0;
}

FL_TASK_STATIC(join_below_another, bool *, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	for (int i = 0; i < 3; i++)
		FL_OK(counted_group_submit(&g, i, NULL));
	FL_OK(note_thread_submit(fl_executor_current(), *arg, NULL));
	fl__store_relaxed(&joining, fl_thread_current_id()); /* relaxed: see note_thread */
	FL_OK(fl_group_join(&g));
	fl__store_relaxed(&joining, 0);
	return 0;
}

FL_TEST(group_join_runs_no_task_that_is_not_a_member)
{
	for (unsigned workers = 1; workers <= 2; workers++) {
		FL_SCOPED(fl_executor) *e = pool_with(workers);
		bool within = true, *at = &within;
		begin_count();
		FL_OK(fl_test_run_task(e, &join_below_another, &at, NULL));
		FL_OK(fl_executor_join(e));
		assert_false(within);
		assert_int_equal(fl__load_relaxed(&runs), 3);
	}
}

/* Waits for a group whose last member ends while another begins. */

struct watched {
	fl_group g;
	uint32_t stop;
};

static int watch_group(void *watched)
{
	struct watched *w = watched;
	while (!fl__load_acquire(&w->stop)) /* acquire: the test's own end */
		FL_OK(FL_WAIT_ANY(FL_ON_GROUP(&w->g)));
	return 0;
}

POOL_TEST(group_waits_while_the_last_member_ends_and_another_begins, 2)
{
	enum { WATCHERS = 2 };
	struct watched w = {FL_GROUP_INIT(e), 0};
	fl_thread *watchers[WATCHERS];
	(void)fl_group_token(&w.g); /* it begins before they look */
	FL_EACH (i, watchers)
		fl_test_go(&watchers[i], watch_group, &w);
	const int many = (int)fl_test_scaled(5000);
	for (int i = 0; i < many; i++) {
		FL_OK(counted_group_submit(&w.g, i, NULL));
		if (i % 7 == 0)
			FL_OK(FL_WAIT_ANY(FL_ON_GROUP(&w.g)));
	}
	fl__store_release(&w.stop, 1);
	FL_END_ALL(watchers);
	FL_OK(fl_group_join(&w.g));
}
