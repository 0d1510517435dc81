/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups: fibers alone, or beside tasks; many fibers; other threads; without memory. */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_members.h"

static int without_children(void *unused)
{
	static const fl_group fresh = FL_GROUP_INIT(NULL);
	fl_group g;
	(void)unused;
	memset(&g, 0, sizeof g);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): all-zero bytes are a valid group */
	FL_CHECK(memcmp(&g, &fresh, sizeof g) == 0);
	FL_CHECK(fl_group_join(&g) == 0);
	FL_CHECK(fl_group_try_join(&g) == 0);
	FL_CHECK(fl_group_join_until(&g, 0, NULL) == 0);
	FL_CHECK(fl_group_count(&g) == 0 && fl_group_failed_name(&g) == NULL);
	fl_group_destroy(&g);
	fl_group_cancel(&g);
	FL_CHECK(fl_group_join(&g) == 0);
	return 0;
}

FL_TEST(group_fibers_join_without_children)
{
	(void)without_children(NULL);
	fl_test_in_loop(without_children, NULL);
}

/* An error is whatever is not 0; the first in time counts, not in order. */
static int first_in_time(void *unused)
{
	fl_group g = FL_GROUP_INIT(NULL);
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate, .rc = -EPIPE};
	(void)unused;
	TOLD();
	FL_CHECK(fl_group_start(&g, runs, &c) == 0);
	FL_CHECK(fl_group_start(&g, returns, RC(7)) == 0);
	fl_test_settle();
	fl_event_set(&gate); /* too late */
	FL_CHECK(fl_group_join(&g) == 7 && told.count == 1 && c.cancelled);
	return 0;
}

FL_TEST(group_fibers_first_error_in_time)
{
	fl_test_in_loop(first_in_time, NULL);
}

FL_TEST(group_fibers_start_outside_of_a_loop)
{
	fl_group g = FL_GROUP_INIT(NULL), fresh = FL_GROUP_INIT(NULL);
	FL_RC(fl_group_start(&g, returns, NULL), -ENOTSUP);
	FL_RC(fl_group_start_with(&g, returns, NULL, NULL), -ENOTSUP);
	assert_memory_equal(&g, &fresh, sizeof g); /* there is nothing to join */
}

static char n[] = "n", fiber[] = "fiber";

static int tells_its_name(void *name)
{
	FL_CHECK(strcmp(fl_fiber_name(fl_fiber_current()), name) == 0);
	return 0;
}

static int named(void *unused)
{
	fl_group g = FL_GROUP_INIT(NULL);
	(void)unused;
	FL_CHECK(fl_group_start_with(&g, tells_its_name, n, &(fl_fiber_config){.name = "n"}) == 0);
	FL_CHECK(fl_group_start_with(&g, tells_its_name, fiber, &(fl_fiber_config){.name = NULL}) == 0);
	FL_CHECK(fl_group_start_with(&g, tells_its_name, fiber, NULL) == 0);
	FL_CHECK(fl_group_join(&g) == 0);
	return 0;
}

FL_TEST(group_fibers_start_with_a_name)
{
	fl_test_in_loop(named, NULL);
}

typedef struct elsewhere {
	fl_group g;
	fl_event gate;
} elsewhere;

static int starts_on_another_loop(void *g)
{
	FL_PANICS(FL_CHECK(fl_group_start(g, returns, NULL) == 0));
	FL_CHECK(strcmp(fl_test_panic.function, "fl_group_start") == 0 && fl_test_panic.object == g);
	FL_CHECK(fl_group_join(g) == -EDEADLK);
	return 0;
}

static void starts_one_that_waits(void *arg)
{
	elsewhere *m = arg;
	FL_CHECK(fl_group_start(&m->g, waits_for, &m->gate) == 0);
}

/* Begun in a callback, which has no scope: what the loop cancels at its end. */
FL_TEST(group_fibers_on_another_loop)
{
	elsewhere m = {FL_GROUP_INIT(NULL), FL_EVENT_INIT};
	fl_loop *l;
	int64_t deadline;
	FL_OK(fl_loop_create(&l, NULL));
	FL_OK(fl_loop_post(l, starts_one_that_waits, &m));
	while (fl_group_count(&m.g) == 0)
		FL_OK(fl_loop_run_once(l, &deadline));
	fl_test_in_loop(starts_on_another_loop, &m.g);
	FL_RC(fl_group_join(&m.g), -EDEADLK);
	fl_loop_cancel(l);
	while (fl_group_count(&m.g) > 0)
		FL_OK(fl_loop_run_once(l, &deadline));
	FL_RC(fl_group_try_join(&m.g), -ECANCELED);
	FL_OK(fl_group_join(&m.g));
	fl_loop_free(l);
}

static int cancels_itself(void *unused)
{
	(void)unused;
	fl_fiber_cancel(fl_fiber_current());
	return fl_sleep(FL_S(3600));
}

/* A child that is cancelled alone is no failure, and the others continue. */
static int one_cancelled(void *unused)
{
	fl_group g = FL_GROUP_INIT(NULL);
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	(void)unused;
	FL_CHECK(fl_group_start(&g, runs, &c) == 0);
	FL_CHECK(fl_group_start(&g, cancels_itself, NULL) == 0);
	fl_test_settle();
	FL_CHECK(fl_group_count(&g) == 1);
	fl_event_set(&gate);
	FL_CHECK(fl_group_join(&g) == 0 && !c.cancelled && fl_group_failed_name(&g) == NULL);
	return 0;
}

FL_TEST(group_fibers_child_that_is_cancelled_alone)
{
	fl_test_in_loop(one_cancelled, NULL);
}

static int destroyed;

static void destroys_slowly(void *value)
{
	(void)value;
	for (int i = 0; i < 5; i++)
		fl_fiber_yield();
	destroyed++;
}

static fl_local slow = FL_LOCAL_INIT(destroys_slowly);

static int sets_a_local(void *unused)
{
	(void)unused;
	return fl_local_set(&slow, &slow);
}

/* Nothing of a child runs any more after the join: not its locals' destructors either. */
static int locals_end_first(void *unused)
{
	fl_group g = FL_GROUP_INIT(NULL);
	(void)unused;
	destroyed = 0;
	for (int i = 0; i < 3; i++)
		FL_CHECK(fl_group_start(&g, sets_a_local, NULL) == 0);
	FL_CHECK(fl_group_join(&g) == 0 && destroyed == 3);
	return 0;
}

FL_TEST(group_fibers_join_after_the_locals_ended)
{
	fl_test_in_loop(locals_end_first, NULL);
}

/* The name, index and text of the first that failed. */
static int tells_which(void *unused)
{
	fl_group g = FL_GROUP_INIT(NULL);
	(void)unused;
	TOLD();
	FL_CHECK(fl_group_start(&g, returns, RC(0)) == 0);
	FL_CHECK(fl_group_start_with(&g, returns, RC(-EIO), &(fl_fiber_config){.name = "a broken one"}) == 0);
	FL_CHECK(fl_group_start_with(&g, returns, RC(-EPIPE), &(fl_fiber_config){.name = "late"}) == 0);
	FL_CHECK(fl_group_join(&g) == -EIO && strcmp(fl_group_failed_name(&g), "a broken one") == 0);
	FL_CHECK(fl_group_failed_index(&g) == 1 && strcmp(fl_group_message(&g), fl_error_text(-EIO)) == 0);
	FL_CHECK(told.count == 1 && told.error == -EPIPE && strcmp(told.text, "late") == 0);
	{
		FL_SCOPED(fl_group) left = FL_GROUP_INIT(NULL);
		FL_CHECK(fl_group_start_with(&left, returns, RC(-EIO), &(fl_fiber_config){.name = "left"}) == 0);
	}
	FL_CHECK(told.count == 2 && told.error == -EIO && strcmp(told.text, "left") == 0);
	return 0;
}

FL_TEST(group_fibers_first_that_failed)
{
	fl_test_in_loop(tells_which, NULL);
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

static int fiber_and_task(void *unused)
{
	fl_executor *pool = NULL;
	(void)unused;
	FL_CHECK(fl_thread_executor_create(&pool, &(fl_executor_config){.workers = 1}) == 0);
	for (int fiber_fails = 0; fiber_fails < 2; fiber_fails++) {
		fl_group g = FL_GROUP_INIT(pool);
		mixed m = {.entered = FL_EVENT_INIT};
		member_call waits = {waits_on_a_thread, &m}, fails = {fails_then, &m};
		if (fiber_fails) {
			FL_CHECK(fl_group_submit(&g, &member, &waits, NULL) == 0);
			FL_CHECK(fl_group_start(&g, fails_then, &m) == 0);
		} else {
			FL_CHECK(fl_group_start(&g, waits_on_a_thread, &m) == 0);
			FL_CHECK(fl_group_submit(&g, &member, &fails, NULL) == 0);
		}
		FL_CHECK(fl_group_count(&g) == 2 && fl_group_join(&g) == -EIO && m.ends == 1);
		FL_CHECK(fl_group_failed_index(&g) == 1);
		FL_CHECK(strstr(fl_group_failed_name(&g), fiber_fails ? "fiber" : ":member") != NULL);
	}
	fl_executor_free(pool);
	return 0;
}

FL_TEST(group_fibers_beside_tasks)
{
	fl_test_in_loop(fiber_and_task, NULL);
}

/* A task on a thread submits to the group that it is in, and a fiber joins that. */

static int submits_more(void *arg)
{
	mixed *m = arg;
	member_call last = {returns, RC(-EPIPE)};
	return fl_group_submit(m->g, &member, &last, NULL);
}

static int grows_elsewhere(void *unused)
{
	fl_executor *pool = NULL;
	(void)unused;
	TOLD();
	FL_CHECK(fl_thread_executor_create(&pool, &(fl_executor_config){.workers = 1}) == 0);
	{
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool);
		mixed m = {.g = &g};
		FL_CHECK(fl_group_start(&g, submits_more, &m) == 0); /* runs at the join */
		FL_CHECK(fl_group_submit(&g, &member, &(member_call){submits_more, &m}, NULL) == 0);
	}
	FL_CHECK(strstr(told.text, "EPIPE") != NULL);
	fl_executor_free(pool);
	return 0;
}

FL_TEST(group_fibers_and_tasks_submit_more)
{
	fl_test_in_loop(grows_elsewhere, NULL);
}

/* Joined on another thread, as a worker of a pool or not. */

static int joins_it(void *g)
{
	return fl_group_join(g);
}

static int joined_elsewhere(void *unused)
{
	fl_executor *pool = NULL;
	(void)unused;
	FL_CHECK(fl_thread_executor_create(&pool, &(fl_executor_config){.workers = 1}) == 0);
	for (int kind = 0; kind < 3; kind++) {
		fl_group g = FL_GROUP_INIT(kind == 2 ? pool : NULL);
		fl_event gate = FL_EVENT_INIT;
		FL_CHECK(fl_group_start(&g, waits_for, &gate) == 0);
		if (kind == 0) {
			fl_thread t;
			int result = 77;
			FL_CHECK(fl_thread_start(&t, joins_it, &g, NULL) == 0);
			fl_test_settle();
			fl_event_set(&gate);
			FL_CHECK(fl_thread_join(&t, &result) == 0 && result == 0);
		} else {
			FL_SCOPED(fl_future) *f = NULL;
			FL_CHECK(fl_submit(pool, &member, &(member_call){joins_it, &g}, &f) == 0);
			fl_test_settle();
			fl_event_set(&gate);
			FL_CHECK(fl_future_get(f, NULL, 0) == 0);
		}
		FL_CHECK(fl_group_count(&g) == 0);
	}
	fl_executor_free(pool);
	return 0;
}

FL_TEST(group_fibers_joined_on_another_thread)
{
	fl_test_in_loop(joined_elsewhere, NULL);
}

/* Begun outside of the loop: at its end the loop cancels the fibers, and takes no more. */

static fl_group begun_before;

static int starts_after_the_end(void *ends)
{
	int rc = until_cancelled(ends);
	FL_CHECK(fl_group_start(&begun_before, returns, NULL) == -ECANCELED);
	return rc;
}

static int starts_and_leaves(void *ends)
{
	FL_CHECK(fl_group_start(&begun_before, starts_after_the_end, ends) == 0);
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

static void in_child(void *g)
{
	FL_CHECK(fl_group_count(g) == 1);
	FL_CHECK(fl_group_join(g) == -EOWNERDEAD);
	FL_CHECK(fl_group_join_until(g, FL_FOREVER, NULL) == -EOWNERDEAD);
	FL_CHECK(fl_group_try_join(g) == -EBUSY);
	fl_group_destroy(g);
}

static int forks(void *unused)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(NULL);
	fl_event gate = FL_EVENT_INIT;
	(void)unused;
	FL_CHECK(fl_group_start(&g, waits_for, &gate) == 0);
	FL_CHECK(fl_test_child(in_child, &g, NULL, 0) == 0);
	fl_event_set(&gate);
	return 0;
}

FL_TEST(group_fibers_in_a_forked_child)
{
	fl_test_in_loop(forks, NULL);
}

FL_TEST(group_without_executor_takes_no_task)
{
	fl_group g = FL_GROUP_INIT(NULL);
	FL_PANICS(FL_OK(fl_group_submit(&g, &member, &(member_call){returns, NULL}, NULL)));
	assert_string_equal(fl_test_panic.function, "fl_group_submit");
}

/* Many. */

enum { MANY = 10000 };

static int counts(void *ended)
{
	fl_fiber_yield();
	++*(unsigned *)ended;
	return 0;
}

static int many_ends(void *unused)
{
	const unsigned many = fl_test_scaled(MANY);
	fl_group g = FL_GROUP_INIT(NULL);
	unsigned ended = 0;
	(void)unused;
	for (unsigned i = 0; i < many; i++)
		FL_CHECK(fl_group_start(&g, counts, &ended) == 0);
	FL_CHECK(fl_group_count(&g) == many);
	FL_CHECK(fl_group_join(&g) == 0 && ended == many);
	return 0;
}

FL_TEST(group_fibers_many_that_end)
{
	fl_test_in_loop(many_ends, NULL);
}

static int many_cancelled(void *unused)
{
	const unsigned many = fl_test_scaled(MANY);
	fl_group g = FL_GROUP_INIT(NULL);
	(void)unused;
	for (int failing = 0; failing < 2; failing++) {
		int ends = 0;
		for (unsigned i = 0; i < many; i++)
			FL_CHECK(fl_group_start(&g, until_cancelled, &ends) == 0);
		fl_test_settle();
		if (failing)
			FL_CHECK(fl_group_start(&g, returns, RC(-EIO)) == 0);
		else
			fl_group_cancel(&g);
		FL_CHECK(fl_group_join(&g) == (failing ? -EIO : 0) && (unsigned)ends == many);
	}
	return 0;
}

FL_TEST(group_fibers_many_that_are_cancelled)
{
	fl_test_in_loop(many_cancelled, NULL);
}

/* One after another: a child frees itself. */
static int many_in_turn(void *unused)
{
	const unsigned many = fl_test_scaled(MANY);
	fl_group g = FL_GROUP_INIT(NULL);
	unsigned ended = 0;
	(void)unused;
	for (unsigned i = 0; i < many; i++) {
		FL_CHECK(fl_group_start(&g, counts, &ended) == 0);
		while (fl_group_count(&g) > 0)
			fl_fiber_yield();
	}
	FL_CHECK(fl_group_join(&g) == 0 && ended == many);
	return 0;
}

FL_TEST(group_fibers_many_in_turn)
{
	fl_test_in_loop(many_in_turn, NULL);
}

/* Memory for so many stacks more. */
static int stacks_left;

static int guards_some(void *memory, size_t size)
{
	return stacks_left-- > 0 ? fl_test_real_sys.guard(memory, size) : -ENOMEM;
}

static int start_fails(void *unused)
{
	fl_group g = FL_GROUP_INIT(NULL);
	(void)unused;
	FL_FAULTS();
	fl__sys.guard = guards_some;
	stacks_left = 0;
	FL_CHECK(fl_group_start(&g, returns, NULL) == -ENOMEM);
	FL_CHECK(fl_group_count(&g) == 0);
	for (int k = 1; k < 40; k++) {
		/* used memory can be reused: so the failure comes with a new fiber */
		int ends = 0, started = 0, rc;
		stacks_left = 1;
		while ((rc = fl_group_start(&g, until_cancelled, &ends)) == 0)
			started++;
		FL_CHECK(rc == -ENOMEM && started == k && fl_group_count(&g) == (size_t)k);
		FL_CHECK(fl_group_start_with(&g, until_cancelled, &ends, NULL) == -ENOMEM);
		fl_group_cancel(&g);
		FL_CHECK(fl_group_join(&g) == 0 && ends == k);
	}
	return 0;
}

FL_TEST(group_fibers_start_without_memory)
{
	fl_test_in_loop(start_fails, NULL);
}

/* The first start of a group fails: no join is needed, and the scope can be destroyed. */
static int leaves_no_token(void *unused)
{
	fl_cancel_token scope;
	(void)unused;
	FL_FAULTS();
	fl_cancel_token_init(&scope, NULL, FL_FOREVER);
	{
		FL_CANCEL_SCOPE(&scope);
		fl_group g = FL_GROUP_INIT(NULL);
		fl__sys.guard = guards_some;
		stacks_left = 0;
		FL_CHECK(fl_group_start(&g, returns, NULL) == -ENOMEM);
		fl_cancel_token_request(&scope);
		FL_CHECK(fl_group_start(&g, returns, NULL) == -ECANCELED);
	}
	fl_cancel_token_destroy(&scope); /* would panic if it had a child */
	return 0;
}

FL_TEST(group_fibers_start_that_fails_leaves_nothing_behind)
{
	fl_test_in_loop(leaves_no_token, NULL);
}

/* Other threads cancel. */

typedef struct canceller {
	fl_group *g;
	uint32_t round, done; /* the round that is to be cancelled; the last that was */
	uint32_t rounds;
} canceller;

static int cancels_each_round(void *arg)
{
	canceller *c = arg;
	for (uint32_t i = 1; i <= c->rounds; i++) {
		FL_WAIT_FOR(fl__load_acquire(&c->round) == i); /* pairs with cancelled_rounds() */
		fl_group_cancel(c->g);
		fl__store_release(&c->done, i); /* pairs with cancelled_rounds() */
	}
	return 0;
}

/* Sometimes before the first start, between starts, while children run, while the owner joins. */
static int cancelled_rounds(void *arg)
{
	enum { CHILDREN = 8 };
	canceller *c = arg;
	fl_thread t;
	FL_CHECK(fl_thread_start(&t, cancels_each_round, c, NULL) == 0);
	for (uint32_t i = 1; i <= c->rounds; i++) {
		int ends = 0, started = 0;
		fl__store_release(&c->round, i); /* pairs with cancels_each_round() */
		for (uint32_t k = 0; k < i % 4; k++)
			fl_fiber_yield();
		for (; started < CHILDREN; started++) {
			int rc = fl_group_start(c->g, until_cancelled, &ends);
			FL_CHECK(rc == 0 || rc == -ECANCELED);
			if (rc != 0)
				break;
		}
		/*
		 * Once a child has begun the join ends only with the cancel; without any child it
		 * must not come before that.
		 */
		while (started == 0 && fl__load_acquire(&c->done) < i)
			fl_fiber_yield();
		FL_CHECK(fl_group_join(c->g) == 0 && ends == started);
		while (fl__load_acquire(&c->done) < i) /* pairs with cancels_each_round() */
			fl_fiber_yield();
		/* A cancel that came after the join is undone. */
		FL_CHECK(fl_group_join(c->g) == 0);
	}
	FL_CHECK(fl_thread_join(&t, NULL) == 0);
	return 0;
}

FL_TEST(group_fibers_cancel_from_another_thread)
{
	fl_group g = FL_GROUP_INIT(NULL);
	canceller c = {.g = &g, .rounds = fl_test_scaled(2000)};
	fl_test_in_loop(cancelled_rounds, &c);
}

static int sets_it(void *event)
{
	fl_event_set(event);
	return 0;
}

/* The cancel races with children that end by themselves, and with the end of the group. */
static int races(void *arg)
{
	canceller *c = arg;
	fl_thread t;
	FL_CHECK(fl_thread_start(&t, cancels_each_round, c, NULL) == 0);
	for (uint32_t i = 1; i <= c->rounds; i++) {
		fl_event gate = FL_EVENT_INIT;
		int rc = fl_group_start(c->g, waits_for, &gate);
		fl__store_release(&c->round, i); /* pairs with cancels_each_round() */
		if (rc == 0)
			rc = fl_group_start(c->g, sets_it, &gate);
		FL_CHECK(rc == 0 || rc == -ECANCELED);
		FL_CHECK(fl_group_join(c->g) == 0);
		while (fl__load_acquire(&c->done) < i) /* pairs with cancels_each_round() */
			fl_fiber_yield();
		FL_CHECK(fl_group_join(c->g) == 0);
	}
	FL_CHECK(fl_thread_join(&t, NULL) == 0);
	return 0;
}

FL_TEST(group_fibers_cancel_races_with_the_end)
{
	fl_group g = FL_GROUP_INIT(NULL);
	canceller c = {.g = &g, .rounds = fl_test_scaled(5000)};
	fl_test_in_loop(races, &c);
}
