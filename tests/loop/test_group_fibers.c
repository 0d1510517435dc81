/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups: fibers alone, or beside tasks; many fibers; other threads; without memory. */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_members.h"
#include "fl_seam.h"

static int without_children(void *unused)
{
	static const fl_group fresh = FL_GROUP_INIT(NULL);
	fl_group g;
	memset(&g, 0, sizeof g);
	/* All-zero bytes are a valid group. */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
	FL_CHECK(memcmp(&g, &fresh, sizeof g) == 0);
	FL_OK(fl_group_join(&g));
	FL_OK(fl_group_try_join(&g));
	FL_OK(fl_group_join_until(&g, FL_NO_WAIT, NULL));
	FL_CHECK(fl_group_count(&g) == 0 && fl_group_failed_name(&g) == NULL);
	fl_group_destroy(&g);
	fl_group_cancel(&g);
	FL_OK(fl_group_join(&g));
	return 0;
}

FL_TEST(group_fibers_join_without_children)
{
	(void)without_children(NULL);
	fl_test_in_loop(without_children, NULL);
}

/* An error is whatever is not 0; the first in time counts, not in order. */
FL_LOOP_TEST(group_fibers_first_error_in_time)
{
	fl_group g = FL_GROUP_INIT(NULL);
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate, .rc = -EPIPE};
	TOLD();
	FL_OK(fl_group_start(&g, runs, &c));
	FL_OK(fl_group_start(&g, returns, RC(7)));
	fl_test_settle();
	fl_event_set(&gate); /* too late */
	FL_GROUP_FAILED(&g, 7);
	FL_CHECK(told.count == 1 && c.cancelled);
}

FL_TEST(group_fibers_start_outside_of_a_loop)
{
	fl_group g = FL_GROUP_INIT(NULL), fresh = FL_GROUP_INIT(NULL);
	FL_RC(fl_group_start(&g, returns, NULL), -ENOTSUP);
	FL_RC(fl_group_start_with(&g, returns, NULL, NULL), -ENOTSUP);
	assert_memory_equal(&g, &fresh, sizeof g); /* there is nothing to join */
}

FL_TEST(group_failed_index_counts_what_was_refused)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(sequential);
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	const fl_submit_config wrong = {.cancel = fl_test_requested};
	const member_call fails = {returns, RC(-EIO)};
	fl_task_type large = member;
	large.arg_size = FL_TASK_SIZE_MAX + 1;
	FL_RC(fl_group_start(&g, returns, NULL), -ENOTSUP);                      /* is not counted */
	FL_RC(fl_group_submit_with(&g, &member, &fails, NULL, &wrong), -EINVAL); /* nor is this */
	FL_RC(fl_group_submit(&g, &large, &fails, NULL), -E2BIG);                /* is counted */
	FL_OK(fl_group_submit(&g, &member, &fails, NULL));
	FL_GROUP_FAILED(&g, -EIO);
	assert_int_equal(fl_group_failed_index(&g), 1);
}

static char n[] = "n", fiber[] = "fiber";

static int tells_its_name(void *name)
{
	FL_CHECK(strcmp(fl_fiber_name(fl_fiber_current()), name) == 0);
	return 0;
}

FL_LOOP_TEST(group_fibers_start_with_a_name)
{
	fl_group g = FL_GROUP_INIT(NULL);
	FL_OK(fl_group_start_with(&g, tells_its_name, n, &(fl_fiber_config){.name = "n"}));
	FL_OK(fl_group_start_with(&g, tells_its_name, fiber, &(fl_fiber_config){.name = NULL}));
	FL_OK(fl_group_start_with(&g, tells_its_name, fiber, NULL));
	FL_OK(fl_group_join(&g));
}

typedef struct elsewhere {
	fl_group g;
	fl_event gate;
} elsewhere;

static int starts_on_another_loop(void *g)
{
	FL_PANICS_OF("fl_group_start", g, FL_OK(fl_group_start(g, returns, NULL)));
	FL_RC(fl_group_join(g), -EDEADLK);
	return 0;
}

static void starts_one_that_waits(void *arg)
{
	elsewhere *m = arg;
	FL_OK(fl_group_start(&m->g, waits_for, &m->gate));
}

/* All fibers of a group until its join belong to one loop, also if earlier ones have ended. */

static int starts_then_leaves(void *g)
{
	FL_OK(fl_group_start(g, returns, NULL));
	fl_test_settle();
	FL_CHECK(fl_group_count(g) == 0);
	return 0;
}

static int joins_then_starts(void *g)
{
	FL_PANICS_OF("fl_group_start", g, FL_OK(fl_group_start(g, returns, NULL)));
	FL_OK(fl_group_join(g));
	FL_OK(fl_group_start(g, returns, NULL));
	return fl_group_join(g);
}

FL_TEST(group_fibers_of_one_loop_until_the_join)
{
	fl_group g = FL_GROUP_INIT(NULL);
	fl_loop *l = fl_test_loop();
	(void)fl_group_token(&g);                         /* it begins outside of the loops */
	FL_OK(fl_loop_run_on(l, starts_then_leaves, &g)); /* the loop stays, with its address */
	fl_test_in_loop(joins_then_starts, &g);
	fl_loop_free(l);
}

/* Begun in a callback, which has no scope: what the loop cancels at its end. */
FL_TEST(group_fibers_on_another_loop)
{
	elsewhere m = {FL_GROUP_INIT(NULL), FL_EVENT_INIT};
	fl_time deadline;
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_post(l, starts_one_that_waits, &m));
	while (fl_group_count(&m.g) == 0)
		FL_OK(fl_loop_run_once(l, &deadline));
	fl_test_in_loop(starts_on_another_loop, &m.g);
	FL_RC(fl_group_join(&m.g), -EDEADLK);
	fl_loop_cancel(l);
	while (fl_group_count(&m.g) > 0)
		FL_OK(fl_loop_run_once(l, &deadline));
	FL_JOINED(fl_group_try_join(&m.g), &m.g, -ECANCELED);
	FL_OK(fl_group_join(&m.g));
	fl_loop_free(l);
}

static int cancels_itself(void *unused)
{
	fl_fiber_cancel(fl_fiber_current());
	return fl_sleep(FL_S(3600));
}

/* A child that is cancelled alone is no failure, and the others continue. */
FL_LOOP_TEST(group_fibers_child_that_is_cancelled_alone)
{
	fl_group g = FL_GROUP_INIT(NULL);
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	FL_OK(fl_group_start(&g, runs, &c));
	FL_OK(fl_group_start(&g, cancels_itself, NULL));
	fl_test_settle();
	FL_CHECK(fl_group_count(&g) == 1);
	fl_event_set(&gate);
	FL_CHECK(fl_group_join(&g) == 0 && !c.cancelled && fl_group_failed_name(&g) == NULL);
}

/* Nothing of a child runs any more after the join: not its locals' destructors either. */
FL_LOOP_TEST(group_fibers_join_after_the_locals_ended)
{
	fl_group g = FL_GROUP_INIT(NULL);
	destroyed = 0;
	for (int i = 0; i < 3; i++)
		FL_OK(fl_group_start(&g, sets_a_local, NULL));
	FL_CHECK(fl_group_join(&g) == 0 && destroyed == 3);
}

/* The name, index and text of the first that failed. */
FL_LOOP_TEST(group_fibers_first_that_failed)
{
	fl_group g = FL_GROUP_INIT(NULL);
	TOLD();
	FL_OK(fl_group_start(&g, returns, RC(0)));
	FL_OK(fl_group_start_with(&g, returns, RC(-EIO), &(fl_fiber_config){.name = "a broken one"}));
	FL_OK(fl_group_start_with(&g, returns, RC(-EPIPE), &(fl_fiber_config){.name = "late"}));
	FL_GROUP_FAILED(&g, -EIO);
	FL_CHECK(strcmp(fl_group_failed_name(&g), "a broken one") == 0);
	FL_CHECK(fl_group_failed_index(&g) == 1 && strcmp(fl_group_message(&g), fl_error_text(-EIO)) == 0);
	FL_CHECK(told.count == 1 && told.error == -EPIPE && strcmp(told.text, "late") == 0);
	{
		FL_SCOPED(fl_group) left = FL_GROUP_INIT(NULL);
		FL_OK(fl_group_start_with(&left, returns, RC(-EIO), &(fl_fiber_config){.name = "left"}));
	}
	FL_CHECK(told.count == 2 && told.error == -EIO && strcmp(told.text, "left") == 0);
}

/* A fiber and a task of a pool in one group: each cancels the other. */

typedef struct mixed {
	fl_event entered;
	fl_group *g;
	int ends;
} mixed;

static int waits_on_a_thread(void *arg)
{
	mixed *m = arg;
	fl_event_set(&m->entered);
	return until_cancelled(&m->ends);
}

static int fails_then(void *arg)
{
	mixed *m = arg;
	int rc = fl_event_wait(&m->entered);
	return rc != 0 ? rc : -EIO;
}

FL_LOOP_TEST(group_fibers_beside_tasks)
{
	fl_executor *pool = FL_TEST_EXECUTOR(thread, .workers = 1);
	FL_BOTH (fiber_fails) {
		fl_group g = FL_GROUP_INIT(pool);
		mixed m = {.entered = FL_EVENT_INIT};
		member_call waits = {waits_on_a_thread, &m}, fails = {fails_then, &m};
		if (fiber_fails) {
			FL_OK(fl_group_submit(&g, &member, &waits, NULL));
			FL_OK(fl_group_start(&g, fails_then, &m));
		} else {
			FL_OK(fl_group_start(&g, waits_on_a_thread, &m));
			FL_OK(fl_group_submit(&g, &member, &fails, NULL));
		}
		FL_CHECK(fl_group_count(&g) == 2);
		FL_GROUP_FAILED(&g, -EIO);
		FL_CHECK(m.ends == 1 && fl_group_failed_index(&g) == 1);
		fl_test_contains(fl_group_failed_name(&g), fiber_fails ? "fiber" : ":member");
	}
	fl_executor_free(pool);
}

/* A task on a thread submits to the group that it is in, and a fiber joins that. */

static int submits_more(void *arg)
{
	mixed *m = arg;
	member_call last = {returns, RC(-EPIPE)};
	return fl_group_submit(m->g, &member, &last, NULL);
}

FL_LOOP_TEST(group_fibers_and_tasks_submit_more)
{
	TOLD();
	fl_executor *pool = FL_TEST_EXECUTOR(thread, .workers = 1);
	{
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool);
		mixed m = {.g = &g};
		FL_OK(fl_group_start(&g, submits_more, &m)); /* runs at the join */
		FL_OK(fl_group_submit(&g, &member, &(member_call){submits_more, &m}, NULL));
	}
	fl_test_contains(told.text, "EPIPE");
	fl_executor_free(pool);
}

/*
 * The task runs within its submit and gives way there, also after its end. Meanwhile another fiber
 * of the thread joins the group and uses its memory again: the submit does not touch it any more.
 */

static bool task_runs, group_is_joined;

static void gives_way_until_joined(void *unused)
{
	while (!group_is_joined)
		fl_fiber_yield();
}

FL_TASK_STATIC(gives_way, int, int, .drop_result = gives_way_until_joined)
{
	task_runs = true;
	fl_fiber_yield();
	return 0;
}

static int submits_and_gives_way(void *g)
{
	return gives_way_group_submit(g, 0, NULL);
}

FL_LOOP_TEST(group_fibers_joined_before_a_submit_returns)
{
	static const fl_group fresh = FL_GROUP_INIT(NULL);
	fl_executor *e = FL_TEST_EXECUTOR(sequential);
	fl_group g = FL_GROUP_INIT(e);
	fl_fiber *f = NULL;
	task_runs = group_is_joined = false;
	FL_OK(fl_fiber_start(&f, submits_and_gives_way, &g, NULL));
	while (!task_runs)
		fl_fiber_yield();
	FL_OK(fl_group_join(&g));
	memset(&g, 0, sizeof g);
	group_is_joined = true;
	FL_OK(fl_fiber_join(f, NULL));
	/* All-zero bytes are a valid group. */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
	FL_CHECK(memcmp(&g, &fresh, sizeof g) == 0);
	fl_executor_free(e);
}

/* Joined on another thread, as a worker of a pool or not. */

static int joins_it(void *g)
{
	return fl_group_join(g);
}

FL_LOOP_TEST(group_fibers_joined_on_another_thread)
{
	fl_executor *pool = FL_TEST_EXECUTOR(thread, .workers = 1);
	for (int kind = 0; kind < 3; kind++) {
		fl_group g = FL_GROUP_INIT(kind == 2 ? pool : NULL);
		fl_event gate = FL_EVENT_INIT;
		FL_OK(fl_group_start(&g, waits_for, &gate));
		if (kind == 0) {
			fl_thread *t;
			int result = 77;
			fl_test_go(&t, joins_it, &g);
			fl_test_settle();
			fl_event_set(&gate);
			FL_CHECK(fl_thread_join(t, &result) == 0 && result == 0);
		} else {
			FL_SCOPED(fl_future) *f = NULL;
			FL_OK(fl_executor_submit(pool, &member, &(member_call){joins_it, &g}, &f));
			fl_test_settle();
			fl_event_set(&gate);
			FL_OK(fl_future_get(f, NULL, 0));
		}
		FL_CHECK(fl_group_count(&g) == 0);
	}
	fl_executor_free(pool);
}

/* Begun outside of the loop: at its end the loop cancels the fibers, and takes no more. */

static fl_group begun_before;

static int starts_after_the_end(void *ends)
{
	int rc = until_cancelled(ends);
	FL_RC(fl_group_start(&begun_before, returns, NULL), -ECANCELED);
	return rc;
}

static int starts_and_leaves(void *ends)
{
	FL_OK(fl_group_start(&begun_before, starts_after_the_end, ends));
	fl_test_settle();
	return 0;
}

FL_TEST(group_fibers_of_a_group_that_began_before_the_loop)
{
	int ends = 0;
	fl_cancel_token *token = fl_group_token(&begun_before);
	fl_test_in_loop(starts_and_leaves, &ends);
	assert_int_equal(ends, 1);
	assert_false(fl_cancel_token_is_requested(token));
	FL_OK(fl_group_join(&begun_before));
}

FL_TEST(group_without_executor_takes_no_task)
{
	fl_group g = FL_GROUP_INIT(NULL);
	FL_PANICS_OF("fl_group_submit", NULL, FL_OK(fl_group_submit(&g, &member, &(member_call){returns, NULL}, NULL)));
}

/* Large tasks that have ended do not stay as long as there are fibers. */

typedef struct {
	fl_event *ran;
	char bytes[4096];
} page;

FL_TASK_STATIC(read_page, page, void)
{
	fl_event_set(arg->ran);
	return 0;
}

FL_LOOP_TEST(group_fibers_keep_no_memory_of_tasks)
{
	enum { FIBERS = 40, FEW = 10 };
	fl_executor *e;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	fl_group g = FL_GROUP_INIT(e);
	fl_event end = FL_EVENT_INIT;
	for (int i = 0; i < FIBERS; i++)
		FL_OK(fl_group_start(&g, waits_for, &end));
	fl_test_settle();
	const long before = seam_live_allocs();
	for (int i = 0; i < FIBERS; i++) {
		fl_event ran = FL_EVENT_INIT;
		FL_OK(fl_group_submit(&g, &read_page, &(page){.ran = &ran}, NULL));
		FL_OK(fl_event_wait(&ran));
		FL_CHECK(seam_live_allocs() <= before + FEW);
	}
	fl_event_set(&end);
	FL_OK(fl_group_join(&g));
	fl_executor_free(e);
}

/* Many. */

/* Memory for so many stacks more. */
static int stacks_left;

static int guards_some(void *memory, size_t size)
{
	return stacks_left-- > 0 ? fl_test_real_sys.guard(memory, size) : -ENOMEM;
}

FL_LOOP_TEST(group_fibers_start_without_memory)
{
	fl_group g = FL_GROUP_INIT(NULL);
	FL_FAULTS();
	fl__sys.guard = guards_some;
	stacks_left = 0;
	FL_RC(fl_group_start(&g, returns, NULL), -ENOMEM);
	FL_CHECK(fl_group_count(&g) == 0);
	for (int k = 1; k < 40; k++) {
		/* used memory can be reused: so the failure comes with a new fiber */
		int ends = 0, started = 0, rc;
		stacks_left = 1;
		while ((rc = fl_group_start(&g, until_cancelled, &ends)) == 0)
			started++;
		FL_CHECK(rc == -ENOMEM && started == k && fl_group_count(&g) == (size_t)k);
		FL_RC(fl_group_start_with(&g, until_cancelled, &ends, NULL), -ENOMEM);
		fl_group_cancel(&g);
		FL_CHECK(fl_group_join(&g) == 0 && ends == k);
	}
}

/* The first start of a group fails: the group has begun, and after the join the scope can be destroyed. */
FL_LOOP_TEST(group_fibers_start_that_fails_begins_the_group)
{
	fl_cancel_token scope;
	FL_FAULTS();
	fl_cancel_token_init(&scope, NULL, FL_FOREVER);
	{
		FL_CANCEL_SCOPE(&scope);
		fl_group g = FL_GROUP_INIT(NULL);
		fl__sys.guard = guards_some;
		stacks_left = 0;
		FL_RC(fl_group_start(&g, returns, NULL), -ENOMEM);
		fl_cancel_token_request(&scope);
		FL_RC(fl_group_start(&g, returns, NULL), -ECANCELED);
		FL_OK(fl_group_join(&g));
	}
	fl_cancel_token_destroy(&scope); /* would panic if it had a child */
}
