/* SPDX-License-Identifier: BSD-2-Clause */
/* Task groups: start, join, errors. After asyncio's TaskGroup and its tests. */
#include "fl_children.h"

static char order[64];

static int note(void *letter)
{
	const size_t n = strlen(order);
	FL_CHECK(n + 1 < sizeof order);
	order[n] = *(const char *)letter;
	return 0;
}

static int starts_later(void *unused)
{
	static char letters[] = "abc";
	fl_tasks g = FL_TASKS_INIT;
	(void)unused;
	memset(order, 0, sizeof order);
	for (int i = 0; i < 3; i++)
		FL_CHECK(fl_tasks_start(&g, note, &letters[i]) == 0);
	FL_CHECK(strcmp(order, "") == 0 && fl_tasks_count(&g) == 3);
	FL_CHECK(fl_tasks_join(&g) == 0);
	FL_CHECK(strcmp(order, "abc") == 0 && fl_tasks_count(&g) == 0);
	FL_CHECK(fl_tasks_failed(&g) == NULL);
	return 0;
}

FL_TEST(tasks_start_later_in_order)
{
	fl_test_in_loop(starts_later, NULL);
}

static int without_children(void *unused)
{
	fl_tasks g, fresh = FL_TASKS_INIT;
	(void)unused;
	memset(&g, 0, sizeof g);
	FL_CHECK(memcmp(&g, &fresh, sizeof g) == 0);
	FL_CHECK(fl_tasks_join(&g) == 0);
	FL_CHECK(fl_tasks_try_join(&g) == 0);
	FL_CHECK(fl_tasks_join_until(&g, 0, NULL) == 0);
	FL_CHECK(fl_tasks_count(&g) == 0 && fl_tasks_failed(&g) == NULL);
	fl_tasks_destroy(&g);
	fl_tasks_cancel(&g);
	FL_CHECK(fl_tasks_join(&g) == 0);
	return 0;
}

FL_TEST(tasks_join_without_children)
{
	(void)without_children(NULL);
	fl_test_in_loop(without_children, NULL);
}

static int first_error(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	int ends = 0;
	(void)unused;
	TOLD();
	FL_CHECK(fl_tasks_start(&g, until_cancelled, &ends) == 0);
	FL_CHECK(fl_tasks_start(&g, returns, RC(0)) == 0);
	FL_CHECK(fl_tasks_start_with(&g, returns, RC(-EIO), &(fl_fiber_config){.name = "a broken one"}) == 0);
	FL_CHECK(fl_tasks_start(&g, until_cancelled, &ends) == 0);
	FL_CHECK(fl_tasks_join(&g) == -EIO);
	FL_CHECK(ends == 2 && told.count == 0);
	FL_CHECK(strcmp(fl_tasks_failed(&g), "a broken one") == 0);
	FL_CHECK(fl_tasks_join(&g) == 0); /* it was told */
	return 0;
}

FL_TEST(tasks_first_error_cancels_the_others)
{
	fl_test_in_loop(first_error, NULL);
}

static int later_errors(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	child late = {.rc = -EPIPE};
	(void)unused;
	TOLD();
	FL_CHECK(fl_tasks_start_with(&g, runs, &late, &(fl_fiber_config){.name = "late"}) == 0);
	FL_CHECK(fl_tasks_start_with(&g, returns, RC(-EIO), &(fl_fiber_config){.name = "early"}) == 0);
	FL_CHECK(fl_tasks_join(&g) == -EIO);
	FL_CHECK(late.cancelled && strcmp(fl_tasks_failed(&g), "early") == 0);
	FL_CHECK(told.count == 1 && told.error == -EPIPE && strcmp(told.name, "late") == 0);
	return 0;
}

FL_TEST(tasks_later_errors_go_to_the_handler)
{
	fl_test_in_loop(later_errors, NULL);
}

/* An error is whatever is not 0; the first in time counts, not in order. */
static int first_in_time(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate, .rc = -EPIPE};
	(void)unused;
	TOLD();
	FL_CHECK(fl_tasks_start(&g, runs, &c) == 0);
	FL_CHECK(fl_tasks_start(&g, returns, RC(7)) == 0);
	fl_test_settle();
	fl_event_set(&gate); /* too late */
	FL_CHECK(fl_tasks_join(&g) == 7 && told.count == 1 && c.cancelled);
	return 0;
}

FL_TEST(tasks_first_error_in_time)
{
	fl_test_in_loop(first_in_time, NULL);
}

static int used_again(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	int ends = 0;
	(void)unused;
	for (int i = 0; i < 3; i++) {
		FL_CHECK(fl_tasks_start(&g, returns, RC(0)) == 0);
		FL_CHECK(fl_tasks_join(&g) == 0);
		FL_CHECK(fl_tasks_start(&g, returns, RC(-EIO)) == 0);
		FL_CHECK(fl_tasks_join(&g) == -EIO && fl_tasks_failed(&g) != NULL);
		FL_CHECK(fl_tasks_start(&g, until_cancelled, &ends) == 0);
		FL_CHECK(fl_tasks_failed(&g) == NULL);
		fl_tasks_cancel(&g);
		FL_CHECK(fl_tasks_join(&g) == 0 && ends == i + 1);
	}
	return 0;
}

FL_TEST(tasks_can_be_used_again)
{
	fl_test_in_loop(used_again, NULL);
}

static int not_after_failure(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	int ends = 0;
	(void)unused;
	FL_CHECK(fl_tasks_start(&g, until_cancelled, &ends) == 0);
	FL_CHECK(fl_tasks_start(&g, returns, RC(-EIO)) == 0);
	fl_test_settle();
	FL_CHECK(fl_tasks_count(&g) == 0 && strcmp(fl_tasks_failed(&g), "fiber") == 0);
	FL_CHECK(fl_tasks_start(&g, until_cancelled, &ends) == -ECANCELED);
	FL_CHECK(fl_tasks_start_with(&g, until_cancelled, &ends, NULL) == -ECANCELED);
	FL_CHECK(fl_tasks_count(&g) == 0 && fl_tasks_try_join(&g) == -EIO && ends == 1);
	FL_CHECK(fl_tasks_start(&g, returns, RC(0)) == 0 && fl_tasks_join(&g) == 0);
	return 0;
}

FL_TEST(tasks_start_after_a_failure)
{
	fl_test_in_loop(not_after_failure, NULL);
}

FL_TEST(tasks_start_outside_of_a_loop)
{
	fl_tasks g = FL_TASKS_INIT, fresh = FL_TASKS_INIT;
	FL_RC(fl_tasks_start(&g, returns, NULL), -ENOTSUP);
	FL_RC(fl_tasks_start_with(&g, returns, NULL, NULL), -ENOTSUP);
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
	fl_tasks g = FL_TASKS_INIT;
	(void)unused;
	FL_CHECK(fl_tasks_start_with(&g, tells_its_name, n, &(fl_fiber_config){.name = "n"}) == 0);
	FL_CHECK(fl_tasks_start_with(&g, tells_its_name, fiber, &(fl_fiber_config){.name = NULL}) == 0);
	FL_CHECK(fl_tasks_start_with(&g, tells_its_name, fiber, NULL) == 0);
	FL_CHECK(fl_tasks_join(&g) == 0);
	return 0;
}

FL_TEST(tasks_start_with_a_name)
{
	fl_test_in_loop(named, NULL);
}

static int join_until(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	fl_event gate = FL_EVENT_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	child c = {.start = &gate};
	(void)unused;
	fl_cancel_token_request(&stop);
	FL_CHECK(fl_tasks_start(&g, runs, &c) == 0);
	FL_CHECK(fl_tasks_join_until(&g, 0, NULL) == -ETIMEDOUT);
	fl_test_settle(); /* the next lets it run, unless its time is over before it waits */
	FL_CHECK(fl_tasks_join_until(&g, fl_after(FL_MS(1)), NULL) == -ETIMEDOUT);
	FL_CHECK(fl_tasks_join_until(&g, FL_FOREVER, &stop) == -ECANCELED);
	{
		FL_CANCEL_SCOPE(&stop);
		FL_CHECK(fl_tasks_join_until(&g, FL_FOREVER, NULL) == -ECANCELED);
		FL_CHECK(fl_tasks_try_join(&g) == -EBUSY);
	}
	FL_CHECK(c.began && !c.ended && fl_tasks_count(&g) == 1);
	fl_event_set(&gate);
	FL_CHECK(fl_tasks_join_until(&g, FL_FOREVER, FL_SHIELDED) == 0 && c.ended && !c.cancelled);
	FL_CHECK(fl_tasks_start(&g, returns, RC(-EIO)) == 0);
	FL_CHECK(fl_tasks_join_until(&g, FL_FOREVER, NULL) == -EIO && fl_tasks_failed(&g) != NULL);
	return 0;
}

FL_TEST(tasks_join_until_leaves_the_children_running)
{
	fl_test_in_loop(join_until, NULL);
}

static int try_join(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	(void)unused;
	FL_CHECK(fl_tasks_start(&g, returns, RC(0)) == 0);
	FL_CHECK(fl_tasks_try_join(&g) == -EBUSY);
	fl_test_settle();
	FL_CHECK(fl_tasks_try_join(&g) == 0);
	return 0;
}

FL_TEST(tasks_try_join_answers)
{
	fl_test_in_loop(try_join, NULL);
}

/* Who cannot wait for the children. */
typedef struct misplaced {
	fl_tasks g;
	fl_event gate, done;
} misplaced;

static int joins_its_own(void *arg)
{
	misplaced *m = arg;
	FL_CHECK(fl_tasks_join(&m->g) == -EDEADLK);
	FL_CHECK(fl_tasks_join_until(&m->g, 0, NULL) == -EDEADLK);
	FL_CHECK(fl_tasks_try_join(&m->g) == -EBUSY);
	FL_PANICS(fl_tasks_destroy(&m->g));
	FL_CHECK(strcmp(fl_test_panic.function, "fl_tasks_destroy") == 0 && fl_test_panic.object == &m->g);
	return fl_event_wait(&m->gate);
}

static void joins_in_a_callback(void *arg)
{
	misplaced *m = arg;
	FL_CHECK(fl_tasks_count(&m->g) == 1);
	FL_CHECK(fl_tasks_join(&m->g) == -EDEADLK);
	FL_CHECK(fl_tasks_join_until(&m->g, FL_FOREVER, NULL) == -EDEADLK);
	FL_CHECK(fl_tasks_try_join(&m->g) == -EBUSY);
	FL_PANICS(fl_tasks_destroy(&m->g));
	fl_event_set(&m->done);
}

static int in_the_wrong_place(void *unused)
{
	misplaced m = {FL_TASKS_INIT, FL_EVENT_INIT, FL_EVENT_INIT};
	fl_loop_timer timer;
	(void)unused;
	memset(&timer, 0, sizeof timer);
	FL_CHECK(fl_tasks_start(&m.g, joins_its_own, &m) == 0);
	FL_CHECK(fl_loop_post(fl_loop_current(), joins_in_a_callback, &m) == 0);
	FL_CHECK(fl_event_wait(&m.done) == 0);
	fl_event_reset(&m.done);
	fl_loop_timer_start(fl_loop_current(), &timer, 0, joins_in_a_callback, &m);
	FL_CHECK(fl_event_wait(&m.done) == 0);
	fl_event_set(&m.gate);
	FL_CHECK(fl_tasks_join(&m.g) == 0);
	return 0;
}

FL_TEST(tasks_join_in_the_wrong_place)
{
	fl_test_in_loop(in_the_wrong_place, NULL);
}

static int joins(void *g)
{
	return fl_tasks_join(g);
}

static int two_joiners(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	fl_event gate = FL_EVENT_INIT;
	(void)unused;
	FL_CHECK(fl_tasks_start(&g, waits_for, &gate) == 0);
	fl_fiber *f = fl_test_start(joins, &g);
	fl_test_settle();
	FL_PANICS(FL_CHECK(fl_tasks_join(&g) == 0));
	FL_PANICS(FL_CHECK(fl_tasks_try_join(&g) == 0));
	FL_PANICS(FL_CHECK(fl_tasks_join_until(&g, 0, NULL) == 0));
	FL_CHECK(strcmp(fl_test_panic.function, "fl_tasks_join_until") == 0 && fl_test_panic.object == &g);
	FL_PANICS(fl_tasks_destroy(&g));
	fl_event_set(&gate);
	FL_CHECK(fl_test_join(f) == 0);
	return 0;
}

FL_TEST(tasks_joined_by_two)
{
	fl_test_in_loop(two_joiners, NULL);
}

static int starts_on_another_loop(void *g)
{
	FL_PANICS(FL_CHECK(fl_tasks_start(g, returns, NULL) == 0));
	FL_CHECK(strcmp(fl_test_panic.function, "fl_tasks_start") == 0 && fl_test_panic.object == g);
	FL_CHECK(fl_tasks_join(g) == -EDEADLK);
	return 0;
}

static void starts_one_that_waits(void *arg)
{
	misplaced *m = arg;
	FL_CHECK(fl_tasks_start(&m->g, waits_for, &m->gate) == 0);
}

/* Begun in a callback, which has no scope: what the loop cancels at its end. */
FL_TEST(tasks_on_another_loop)
{
	misplaced m = {FL_TASKS_INIT, FL_EVENT_INIT, FL_EVENT_INIT};
	fl_loop *l;
	int64_t deadline;
	FL_OK(fl_loop_create(&l, NULL));
	FL_OK(fl_loop_post(l, starts_one_that_waits, &m));
	while (fl_tasks_count(&m.g) == 0)
		FL_OK(fl_loop_run_once(l, &deadline));
	fl_test_in_loop(starts_on_another_loop, &m.g);
	FL_RC(fl_tasks_join(&m.g), -EDEADLK);
	fl_loop_cancel(l);
	while (fl_tasks_count(&m.g) > 0)
		FL_OK(fl_loop_run_once(l, &deadline));
	FL_RC(fl_tasks_try_join(&m.g), -ECANCELED);
	FL_OK(fl_tasks_join(&m.g));
	fl_loop_free(l);
}

static int leaves_a_scope(void *arg)
{
	child *c = arg;
	FL_SCOPED(fl_tasks) g = FL_TASKS_INIT;
	FL_CHECK(fl_tasks_start(&g, runs, c) == 0);
	FL_CHECK(fl_tasks_start_with(&g, returns, c->start ? NULL : RC(-EIO), &(fl_fiber_config){.name = "short"}) ==
	         0);
	return 5;
}

static int scoped(void *unused)
{
	fl_event gate = FL_EVENT_INIT;
	child waits = {.start = &gate}, cancelled = {.rc = 0};
	(void)unused;
	TOLD();
	fl_fiber *f = fl_test_start(leaves_a_scope, &waits);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f) && !waits.ended);
	fl_event_set(&gate);
	FL_CHECK(fl_test_join(f) == 5 && waits.ended && told.count == 0);
	FL_CHECK(leaves_a_scope(&cancelled) == 5);
	FL_CHECK(cancelled.cancelled && told.count == 1 && told.error == -EIO && strcmp(told.name, "short") == 0);
	return 0;
}

FL_TEST(tasks_scope_joins)
{
	fl_test_in_loop(scoped, NULL);
}

static int joined_in_its_scope(void *unused)
{
	(void)unused;
	TOLD();
	{
		FL_SCOPED(fl_tasks) g = FL_TASKS_INIT, untouched = FL_TASKS_INIT;
		(void)untouched;
		FL_CHECK(fl_tasks_start(&g, returns, RC(-EIO)) == 0);
		FL_CHECK(fl_tasks_join(&g) == -EIO);
	}
	FL_CHECK(told.count == 0); /* the join told it */
	return 0;
}

FL_TEST(tasks_scope_after_a_join)
{
	fl_test_in_loop(joined_in_its_scope, NULL);
}

typedef struct tree {
	fl_tasks g;
	int nodes, depth;
} tree;

static int grows(void *arg)
{
	tree *t = arg;
	t->nodes++;
	fl_fiber_yield();
	if (t->nodes < 100) {
		FL_CHECK(fl_tasks_start(&t->g, grows, t) == 0);
		FL_CHECK(fl_tasks_start(&t->g, grows, t) == 0);
	}
	return 0;
}

static int own_group(void *unused)
{
	tree t = {FL_TASKS_INIT, 0, 0};
	(void)unused;
	FL_CHECK(fl_tasks_start(&t.g, grows, &t) == 0);
	FL_CHECK(fl_tasks_join(&t.g) == 0);
	FL_CHECK(t.nodes >= 100 && t.nodes % 2 == 1 && fl_tasks_count(&t.g) == 0);
	return 0;
}

FL_TEST(tasks_children_start_children_in_their_own_group)
{
	fl_test_in_loop(own_group, NULL);
}

static int starts_another_at_its_end(void *arg)
{
	misplaced *m = arg;
	FL_CHECK(fl_event_wait(&m->gate) == 0);
	return fl_tasks_start(&m->g, waits_for, &m->done);
}

/* The joiner is woken by the last child, and finds another: it goes on waiting. */
static int more_before_it_runs(void *unused)
{
	misplaced m = {FL_TASKS_INIT, FL_EVENT_INIT, FL_EVENT_INIT};
	(void)unused;
	FL_CHECK(fl_tasks_start(&m.g, waits_for, &m.gate) == 0);
	fl_fiber *joiner = fl_test_start(joins, &m.g);
	fl_fiber *f = fl_test_start(starts_another_at_its_end, &m);
	fl_test_settle();
	fl_event_set(&m.gate); /* the child ends, the joiner is woken, f starts another before it runs */
	FL_CHECK(fl_test_join(f) == 0);
	fl_test_settle();
	FL_CHECK(fl_tasks_count(&m.g) == 1 && fl_fiber_is_alive(joiner));
	fl_event_set(&m.done);
	FL_CHECK(fl_test_join(joiner) == 0 && fl_tasks_count(&m.g) == 0);
	return 0;
}

FL_TEST(tasks_join_when_more_were_started_meanwhile)
{
	fl_test_in_loop(more_before_it_runs, NULL);
}

static int waits_for_any(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	fl_event gate = FL_EVENT_INIT, never = FL_EVENT_INIT;
	(void)unused;
	FL_CHECK(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_TASKS(&g)) == 1);
	FL_CHECK(fl_tasks_start(&g, waits_for, &gate) == 0);
	FL_CHECK(FL_WAIT_ANY_UNTIL(0, NULL, FL_ON_TASKS(&g)) == -ETIMEDOUT);
	FL_CHECK(fl_tasks_start(&g, returns, RC(0)) == 0);
	fl_fiber *f = fl_test_start(joins, &g);
	fl_test_settle();
	fl_event_set(&gate);
	FL_CHECK(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_TASKS(&g)) == 1);
	FL_CHECK(fl_test_join(f) == 0);
	return 0;
}

FL_TEST(tasks_wait_any)
{
	fl_test_in_loop(waits_for_any, NULL);
}

/* -ECANCELED of its own making is an error like any other. */
static int own_cancel(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	int ends = 0;
	(void)unused;
	FL_CHECK(fl_tasks_start(&g, until_cancelled, &ends) == 0);
	FL_CHECK(fl_tasks_start_with(&g, returns, RC(-ECANCELED), &(fl_fiber_config){.name = "odd"}) == 0);
	FL_CHECK(fl_tasks_join(&g) == -ECANCELED && ends == 1);
	FL_CHECK(strcmp(fl_tasks_failed(&g), "odd") == 0);
	return 0;
}

FL_TEST(tasks_ecanceled_that_nobody_asked_for)
{
	fl_test_in_loop(own_cancel, NULL);
}

static int cancels_itself(void *unused)
{
	(void)unused;
	fl_fiber_cancel(fl_fiber_current());
	return fl_sleep(FL_S(3600));
}

/* A child that somebody cancels alone is no failure, and the others go on. */
static int one_cancelled(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	(void)unused;
	FL_CHECK(fl_tasks_start(&g, runs, &c) == 0);
	FL_CHECK(fl_tasks_start(&g, cancels_itself, NULL) == 0);
	fl_test_settle();
	FL_CHECK(fl_tasks_count(&g) == 1);
	fl_event_set(&gate);
	FL_CHECK(fl_tasks_join(&g) == 0 && !c.cancelled && fl_tasks_failed(&g) == NULL);
	return 0;
}

FL_TEST(tasks_child_that_is_cancelled_alone)
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
	fl_tasks g = FL_TASKS_INIT;
	(void)unused;
	destroyed = 0;
	for (int i = 0; i < 3; i++)
		FL_CHECK(fl_tasks_start(&g, sets_a_local, NULL) == 0);
	FL_CHECK(fl_tasks_join(&g) == 0 && destroyed == 3);
	return 0;
}

FL_TEST(tasks_join_after_the_locals_ended)
{
	fl_test_in_loop(locals_end_first, NULL);
}
