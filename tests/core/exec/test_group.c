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
			assert_int_equal(g.begun_, accepted > 0);
		}
		FL_OK(fl_group_join(&g));
		assert_int_equal(fl__load_relaxed(&runs), accepted);
		assert_int_equal(fl__load_relaxed(&drops), accepted);
		for (int i = 0; i < N; i++)
			assert_true(results[i] == i || (results[i] == -1 && accepted < N));
	}
	assert_true(failed);
}

FL_TASK_STATIC(stop, fl_cancel_token *, void)
{
	fl_cancel_token_request(*arg);
	return 0;
}

/*
 * The memory of a group does not grow with the tasks that have ended, nor with joins that have
 * taken tasks and give up: the last task ends the join, which runs it first.
 */
POOL_TEST(group_takes_no_memory, 1)
{
	enum { ROUNDS = 40, N = 64 };
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	struct fl__run run;
	long before = 0;
	for (int round = 0; round < 2 * ROUNDS; round++) {
		fl_cancel_token given_up = FL_CANCEL_TOKEN_INIT;
		struct held held = hold_worker(e);
		for (int i = 0; i < N; i++)
			FL_OK(counted_group_submit(&g, i, NULL));
		FL_OK(stop_group_submit(&g, &given_up));
		fl__run_enter(&run, e);
		FL_RC(fl_group_join_until(&g, FL_FOREVER, &given_up), -ECANCELED);
		fl__run_leave(&run);
		let_go(&held);
		FL_OK(FL_WAIT_ANY(FL_ON_GROUP(&g)));
		if (round == ROUNDS) /* the executor has its own */
			before = seam_live_allocs();
	}
	assert_int_equal(seam_live_allocs(), before);
	FL_OK(fl_group_join(&g));
}

/*
 * Nor does it keep the blocks or the large arguments of tasks that have ended one after the other,
 * after a peak of pending tasks.
 */

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
	fl_future *f[2] = {NULL};
	const fl_submit_config config = {.on_end = keep_reference, .on_end_arg = &f[0]};
	FL_OK(fl_group_submit_with(&g, &look_for_cancel, &arg, NULL, &config));
	FL_OK(fl_event_wait(&begun));
	fl_group_cancel(&g);
	FL_OK(fl_group_join(&g));
	FL_RC(fl_future_error(f[0]), -ECANCELED);
	struct held held = hold_worker(e);
	f[1] = held.f;
	FL_RC(fl_futures_wait_until(f, 2, FL_FIRST_ERROR, FL_NO_WAIT, NULL), -ETIMEDOUT);
	let_go(&held);
	fl_future_free(f[0]);
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
	FL_RC(fl_group_join(&g), -ENOSPC);
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
		FL_RC(fl_group_join(&g), -EXDEV);
	}
	HEARD("no join has returned the error", 1);
	(void)fl_log_set_handler(before);
}

/*
 * A result is dropped by whoever frees the last reference, at once: neither by the group nor late.
 * In the second round a join has taken the task while the callback runs.
 */

struct keeper {
	fl_group *g;
	int joins;
	fl_future *f;
};

static void keep(fl_future *f, void *keeper)
{
	struct keeper *k = keeper;
	k->f = fl_future_ref(f);
	if (!k->joins)
		return;
	fl_group_cancel(k->g);
	FL_WAIT_FOR(fl__load_relaxed(&k->g->idle_) == 3); /* relaxed: looked at alone. The join sleeps */
}

POOL_TEST(group_result_is_dropped_with_its_last_reference, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	struct keeper k = {.g = &g};
	const fl_submit_config config = {.on_end = keep, .on_end_arg = &k};
	for (; k.joins < 2; k.joins++) {
		begin_count();
		FL_OK(fl_group_submit_with(&g, &counted, &(int){7}, NULL, &config));
		FL_OK(k.joins ? fl_group_join(&g) : FL_WAIT_ANY(FL_ON_GROUP(&g)));
		FL_WAIT_FOR(fl__load_relaxed(&k.f->state) / FL__FUTURE_REF == 1); /* relaxed: looked at alone */
		assert_int_equal(*(const int *)fl_future_result(k.f), 7);
		assert_int_equal(fl__load_relaxed(&drops), 1); /* of the argument */
		fl_future_free(k.f);
		assert_int_equal(fl__load_relaxed(&drops), 2);
	}
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

static void in_child(void *group)
{
	fl_group *g = group;
	int result = -1;
	FL_RC(fl_group_submit(g, &counted, &(int){1}, &result), -EOWNERDEAD);
	FL_CHECK(fl_group_count(g) == 1);
	FL_RC(fl_group_join(g), -EOWNERDEAD);
	FL_RC(fl_group_join_until(g, FL_FOREVER, NULL), -EOWNERDEAD);
	FL_RC(fl_group_try_join(g), -EAGAIN);
	fl_group_destroy(g);
}

POOL_TEST(group_in_a_forked_child, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	struct gate gate = {.open = FL_EVENT_INIT};
	FL_OK(hold_group_submit(&g, &gate));
	FL_OK(fl_event_wait(&gate.entered));
	FL_IN_CHILD(in_child, &g);
	fl_event_set(&gate.open);
	FL_OK(fl_group_join(&g));
}

/*
 * A sleeping join on a worker runs tasks that are submitted in the meantime: the task that submits
 * waits for that.
 */

struct late {
	fl_group *g;
	fl_event *entered, *ran;
};

FL_TASK_STATIC(say_ran, struct late, void)
{
	fl_event_set(arg->ran);
	return 0;
}

FL_TASK_STATIC(submit_late, struct late, void)
{
	fl_event_set(arg->entered);
	FL_WAIT_FOR(fl__load_relaxed(&arg->g->idle_) == 3); /* relaxed: looked at alone. The join sleeps */
	int rc = fl_group_submit(arg->g, &say_ran, arg, NULL);
	return rc ? rc : fl_event_wait_until(arg->ran, FL_FOREVER, FL_SHIELDED);
}

FL_TASK_STATIC(join_late, struct late, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	int rc = submit_late_group_submit(&g, (struct late){&g, arg->entered, arg->ran});
	if (rc == 0)
		rc = fl_event_wait(arg->entered); /* the other worker has it */
	const int joined = fl_group_join(&g);
	return rc ? rc : joined;
}

POOL_TEST(group_join_on_a_worker_takes_up_what_comes_late, 2)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	fl_event entered = FL_EVENT_INIT, ran = FL_EVENT_INIT;
	FL_OK(join_late_group_submit(&g, (struct late){NULL, &entered, &ran}));
	FL_OK(fl_group_join(&g));
}
