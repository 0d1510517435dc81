/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of fibers, and of tasks on a loop: start, join, errors. After asyncio's TaskGroup and its
 * tests.
 */
#include "fl_child.h"
#include "fl_members.h"

static char order[64];

static int note(void *letter)
{
	const size_t n = strlen(order);
	FL_CHECK(n + 1 < sizeof order);
	order[n] = *(const char *)letter;
	return 0;
}

FL_MEMBERS_TEST(group_start_later_in_order)
{
	static char letters[] = "abc";
	memset(order, 0, sizeof order);
	for (int i = 0; i < 3; i++)
		begin(g, note, &letters[i]);
	FL_CHECK(strcmp(order, "") == 0 && fl_group_count(g) == 3);
	FL_OK(fl_group_join(g));
	FL_CHECK(strcmp(order, "abc") == 0 && fl_group_count(g) == 0);
	FL_CHECK(fl_group_failed_name(g) == NULL && fl_group_message(g) == NULL);
}

FL_MEMBERS_TEST(group_first_error_cancels_the_others)
{
	int ends = 0;
	TOLD();
	begin(g, until_cancelled, &ends);
	begin(g, returns, RC(0));
	begin(g, returns, RC(-EIO));
	begin(g, until_cancelled, &ends);
	FL_GROUP_FAILED(g, -EIO);
	/* the last fiber runs, and finds itself cancelled; a pending task does not run */
	FL_CHECK(ends == (are_fibers() ? 2 : 1) && told.count == 0);
	fl_test_contains(fl_group_failed_name(g), are_fibers() ? "fiber" : ":member");
	FL_CHECK(fl_group_failed_index(g) == 2 && strcmp(fl_group_message(g), fl_error_text(-EIO)) == 0);
	FL_OK(fl_group_join(g)); /* it was reported */
}

FL_MEMBERS_TEST(group_later_errors_go_to_the_handler)
{
	child late = {.rc = -EPIPE};
	TOLD();
	begin(g, runs, &late);
	begin(g, returns, RC(-EIO));
	FL_GROUP_FAILED(g, -EIO);
	FL_CHECK(late.cancelled && fl_group_failed_index(g) == 1);
	FL_CHECK(told.count == 1 && told_of(-EPIPE));
}

FL_MEMBERS_TEST(group_can_be_used_again)
{
	int ends = 0;
	for (int i = 0; i < 3; i++) {
		begin(g, returns, RC(0));
		FL_OK(fl_group_join(g));
		begin(g, returns, RC(-EIO));
		FL_GROUP_FAILED(g, -EIO);
		FL_CHECK(fl_group_failed_name(g) != NULL);
		begin(g, until_cancelled, &ends);
		FL_CHECK(fl_group_failed_name(g) == NULL);
		fl_test_settle();
		fl_group_cancel(g);
		FL_CHECK(fl_group_join(g) == 0 && ends == i + 1);
	}
}

FL_MEMBERS_TEST(group_start_after_a_failure)
{
	int ends = 0;
	begin(g, until_cancelled, &ends);
	begin(g, returns, RC(-EIO));
	fl_test_settle();
	FL_CHECK(fl_group_count(g) == 0 && fl_group_failed_name(g) != NULL);
	FL_RC(start(g, until_cancelled, &ends), -ECANCELED);
	FL_RC(fl_group_start_with(g, until_cancelled, &ends, NULL), -ECANCELED);
	FL_JOINED(fl_group_try_join(g), g, -EIO);
	FL_CHECK(fl_group_count(g) == 0 && ends == 1);
	begin(g, returns, RC(0));
	FL_OK(fl_group_join(g));
}

FL_MEMBERS_TEST(group_join_until_leaves_the_members_running)
{
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	begin(g, runs, &c);
	FL_RC(fl_group_join_until(g, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_test_settle(); /* the next lets it run, unless its time is over before it waits */
	FL_RC(fl_group_join_until(g, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_group_join_until(g, FL_FOREVER, fl_test_requested), -ECANCELED);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_group_join_until(g, FL_FOREVER, NULL), -ECANCELED);
		FL_RC(fl_group_try_join(g), -EAGAIN);
	}
	FL_CHECK(c.began && !c.ended && fl_group_count(g) == 1);
	fl_event_set(&gate);
	FL_CHECK(fl_group_join_until(g, FL_FOREVER, FL_SHIELDED) == 0 && c.ended && !c.cancelled);
	begin(g, returns, RC(-EIO));
	FL_JOINED(fl_group_join_until(g, FL_FOREVER, NULL), g, -EIO);
	FL_CHECK(fl_group_failed_name(g) != NULL);
}

/* The result tells by itself whether the group was joined, whatever its members return. */
FL_MEMBERS_TEST(group_join_results_are_apart)
{
	static const int ends[] = {0,        -ETIMEDOUT, -ECANCELED,  -EBUSY, -EAGAIN, -EINVAL,
	                           FL_ETASK, -EDEADLK,   -EOWNERDEAD, 1,      INT_MAX};
	FL_EACH (i, ends)
		for (int way = 0; way < 3; way++) {
			begin(g, returns, RC(ends[i]));
			FL_RC(fl_group_try_join(g), -EAGAIN);
			FL_RC(fl_group_join_until(g, FL_NO_WAIT, NULL), -ETIMEDOUT);
			FL_RC(fl_group_join_until(g, FL_FOREVER, fl_test_requested), -ECANCELED);
			if (way == 0)
				FL_JOINED(fl_group_join(g), g, ends[i]);
			fl_test_settle();
			FL_CHECK(fl_group_count(g) == 0);
			if (way == 1)
				FL_JOINED(fl_group_join_until(g, FL_NO_WAIT, fl_test_requested), g, ends[i]);
			else if (way == 2)
				FL_JOINED(fl_group_try_join(g), g, ends[i]);
			FL_CHECK(!g->begun_);
			FL_OK(fl_group_join(g)); /* of a group that has not begun */
		}
}

/* A join whose caller's scope is below the group's token has not joined. */
FL_MEMBERS_TEST(group_join_in_a_scope_of_its_own)
{
	FL_BOTH (until) {
		begin(g, returns, RC(-EDEADLK));
		{
			FL_CANCEL_SCOPE(fl_group_token(g));
			FL_SCOPED(fl_timeout) t = FL_TIMEOUT_INIT;
			fl_timeout_begin(&t, fl_after(FL_S(60)));
			FL_RC(until ? fl_group_join_until(g, FL_FOREVER, NULL) : fl_group_join(g), -EDEADLK);
			FL_OK(fl_timeout_end(&t, 0));
		}
		FL_OK(FL_WAIT_ANY(FL_ON_GROUP(g)));
		FL_CHECK(fl_group_count(g) == 0 && g->begun_); /* not joined */
		FL_GROUP_FAILED(g, -EDEADLK);
		FL_CHECK(!g->begun_); /* joined */
	}
}

static void print_failure(void *unused)
{
	(void)fl_perror(FL_ETASK, "group");
}

/* fl_perror() says which failure an FL_ETASK of a member is. */
FL_MEMBERS_TEST(group_join_notes_a_failed_task)
{
	FL_BOTH (until) {
		char text[200];
		begin(g, returns, RC(FL_ETASK));
		FL_RC(until ? fl_group_join_until(g, FL_FOREVER, NULL) : fl_group_join(g), FL_ETASK);
		fl_test_stderr(print_failure, NULL, text, sizeof text);
		fl_test_contains(text, "the task failed: FL_ETASK: ");
	}
}

FL_MEMBERS_TEST(group_try_join_answers)
{
	begin(g, returns, RC(0));
	FL_RC(fl_group_try_join(g), -EAGAIN);
	fl_test_settle();
	FL_OK(fl_group_try_join(g));
}

/* Contexts that must not wait for the members. */
typedef struct misplaced {
	fl_group g;
	fl_event gate, done;
} misplaced;

static int joins_its_own(void *arg)
{
	misplaced *m = arg;
	FL_RC(fl_group_join(&m->g), -EDEADLK);
	FL_RC(fl_group_join_until(&m->g, FL_NO_WAIT, NULL), -EDEADLK);
	FL_RC(fl_group_try_join(&m->g), -EAGAIN);
	FL_PANICS(fl_group_destroy(&m->g));
	FL_CHECK(strcmp(fl_test_panic.function, "fl_group_destroy") == 0 && fl_test_panic.object == &m->g);
	return fl_event_wait(&m->gate);
}

static void joins_in_a_callback(void *arg)
{
	misplaced *m = arg;
	FL_CHECK(fl_group_count(&m->g) == 1);
	FL_RC(fl_group_join(&m->g), -EDEADLK);
	FL_RC(fl_group_join_until(&m->g, FL_FOREVER, NULL), -EDEADLK);
	FL_RC(fl_group_try_join(&m->g), -EAGAIN);
	FL_PANICS(fl_group_destroy(&m->g));
	fl_event_set(&m->done);
}

FL_MEMBERS_TEST(group_join_in_the_wrong_place)
{
	misplaced m = {FL_GROUP_INIT(of_members), FL_EVENT_INIT, FL_EVENT_INIT};
	fl_loop_timer timer;
	memset(&timer, 0, sizeof timer);
	begin(&m.g, joins_its_own, &m);
	FL_OK(fl_loop_post(fl_loop_current(), joins_in_a_callback, &m));
	FL_OK(fl_event_wait(&m.done));
	fl_event_reset(&m.done);
	fl_loop_timer_start(fl_loop_current(), &timer, FL_NO_WAIT, joins_in_a_callback, &m);
	FL_OK(fl_event_wait(&m.done));
	fl_event_set(&m.gate);
	FL_OK(fl_group_join(&m.g));
}

static int joins(void *g)
{
	return fl_group_join(g);
}

static int leaves_a_scope(void *arg)
{
	child *c = arg;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(of_members);
	begin(&g, runs, c);
	begin(&g, returns, c->start ? NULL : RC(-EIO));
	return 5;
}

FL_MEMBERS_TEST(group_scope_joins)
{
	fl_event gate = FL_EVENT_INIT;
	child waits = {.start = &gate}, cancelled = {.rc = 0};
	TOLD();
	fl_fiber *f = fl_test_start(leaves_a_scope, &waits);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f) && !waits.ended);
	fl_event_set(&gate);
	FL_CHECK(fl_test_join(f) == 5 && waits.ended && told.count == 0);
	FL_CHECK(leaves_a_scope(&cancelled) == 5);
	FL_CHECK(cancelled.cancelled && told.count == 1 && told_of(-EIO));
}

FL_MEMBERS_TEST(group_scope_after_a_join)
{
	TOLD();
	{
		FL_SCOPED(fl_group) scoped = FL_GROUP_INIT(of_members), untouched = FL_GROUP_INIT(of_members);
		begin(&scoped, returns, RC(-EIO));
		FL_GROUP_FAILED(&scoped, -EIO);
	}
	FL_CHECK(told.count == 0); /* the join reported it */
}

typedef struct tree {
	fl_group g;
	int nodes, depth;
} tree;

static int grows(void *arg)
{
	tree *t = arg;
	t->nodes++;
	fl_fiber_yield();
	if (t->nodes < 100) {
		begin(&t->g, grows, t);
		begin(&t->g, grows, t);
	}
	return 0;
}

FL_MEMBERS_TEST(group_members_start_members_in_their_own_group)
{
	tree t = {FL_GROUP_INIT(of_members), 0, 0};
	begin(&t.g, grows, &t);
	FL_OK(fl_group_join(&t.g));
	FL_CHECK(t.nodes >= 100 && t.nodes % 2 == 1 && fl_group_count(&t.g) == 0);
}

static int starts_another_at_its_end(void *arg)
{
	misplaced *m = arg;
	FL_OK(fl_event_wait(&m->gate));
	return start(&m->g, waits_for, &m->done);
}

/* The joiner is woken by the last child, and finds another: it goes on waiting. */
FL_MEMBERS_TEST(group_join_when_more_are_started)
{
	misplaced m = {FL_GROUP_INIT(of_members), FL_EVENT_INIT, FL_EVENT_INIT};
	begin(&m.g, waits_for, &m.gate);
	fl_fiber *joiner = fl_test_start(joins, &m.g);
	fl_fiber *f = fl_test_start(starts_another_at_its_end, &m);
	fl_test_settle();
	/* The member ends, the joiner is woken, f starts another before it runs. */
	fl_event_set(&m.gate);
	FL_OK(fl_test_join(f));
	fl_test_settle();
	FL_CHECK(fl_group_count(&m.g) == 1 && fl_fiber_is_alive(joiner));
	fl_event_set(&m.done);
	FL_CHECK(fl_test_join(joiner) == 0 && fl_group_count(&m.g) == 0);
}

FL_MEMBERS_TEST(group_wait_any)
{
	fl_event gate = FL_EVENT_INIT, never = FL_EVENT_INIT;
	FL_CHECK(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_GROUP(g)) == 1);
	begin(g, waits_for, &gate);
	FL_CHECK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_GROUP(g)) == -ETIMEDOUT);
	begin(g, returns, RC(0));
	fl_fiber *f = fl_test_start(joins, g);
	fl_test_settle();
	fl_event_set(&gate);
	FL_CHECK(FL_WAIT_ANY(FL_ON_EVENT(&never), FL_ON_GROUP(g)) == 1);
	FL_OK(fl_test_join(f));
}

static int waits_for_group(void *g)
{
	return FL_WAIT_ANY(FL_ON_GROUP((fl_group *)g));
}

/* Those who wait for the group are woken by the last member, and another one begins before they run. */
FL_MEMBERS_TEST(group_wait_any_when_more_are_started)
{
	misplaced m = {FL_GROUP_INIT(of_members), FL_EVENT_INIT, FL_EVENT_INIT};
	fl_fiber *waiters[3];
	begin(&m.g, waits_for, &m.gate);
	FL_EACH (i, waiters)
		waiters[i] = fl_test_start(waits_for_group, &m.g);
	fl_fiber *f = fl_test_start(starts_another_at_its_end, &m);
	fl_test_settle();
	fl_event_set(&m.gate);
	FL_OK(fl_test_join(f));
	fl_test_settle();
	FL_CHECK(fl_group_count(&m.g) == 1);
	fl_event_set(&m.done);
	FL_EACH (i, waiters)
		FL_OK(fl_test_join(waiters[i]));
	FL_OK(fl_group_join(&m.g));
}

/* -ECANCELED of its own making is an error like any other. */
FL_MEMBERS_TEST(group_ecanceled_without_a_cancel)
{
	int ends = 0;
	begin(g, until_cancelled, &ends);
	begin(g, returns, RC(-ECANCELED));
	FL_GROUP_FAILED(g, -ECANCELED);
	FL_CHECK(fl_group_failed_index(g) == 1 && ends == 1);
}
