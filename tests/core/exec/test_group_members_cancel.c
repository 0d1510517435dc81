/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of fibers, and of tasks on a loop: cancelled by their owner, from above, by a deadline;
 * nested groups.
 */
#include "fl_faults.h"
#include "fl_members.h"

FL_MEMBERS_TEST(group_cancel_is_absorbed)
{
	int ends = 0;
	for (int i = 0; i < 5; i++)
		begin(g, until_cancelled, &ends);
	fl_test_settle();
	fl_group_cancel(g);
	fl_group_cancel(g);
	FL_CHECK(ends == 0 && start(g, until_cancelled, &ends) == -ECANCELED);
	FL_CHECK(fl_group_join(g) == 0 && ends == 5 && fl_group_failed_name(g) == NULL);
}

FL_MEMBERS_TEST(group_cancel_before_the_start)
{
	int ends = 0;
	fl_group_cancel(g);
	for (int i = 0; i < 2; i++)
		FL_RC(start(g, until_cancelled, &ends), -ECANCELED);
	FL_CHECK(fl_cancel_token_is_requested(fl_group_token(g)));
	FL_CHECK(fl_group_join(g) == 0 && ends == 0);
	begin(g, returns, RC(0));
	FL_OK(fl_group_join(g));
}

/*
 * A fiber that is cancelled before its first turn runs, since it owns its argument. A task does not
 * run.
 */
FL_MEMBERS_TEST(group_cancel_before_the_members_first_turn)
{
	int ends = 0;
	begin(g, until_cancelled, &ends);
	fl_group_cancel(g);
	FL_CHECK(fl_group_join(g) == 0 && ends == are_fibers());
}

/* A parent: starts the member beside one that works until it is stopped, and joins. */
typedef struct parent {
	child *c;
	/* Waits for it before the join, ignoring its result; NULL: joins at once. */
	fl_event *first;
	int joined;
} parent;

static int starts_and_joins(void *arg)
{
	parent *p = arg;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(of_members);
	begin(&g, runs, p->c);
	if (p->first)
		FL_IGNORE(fl_event_wait(p->first));
	p->joined = fl_test_group_error(&g);
	return p->joined;
}

FL_MEMBERS_TEST(group_join_cancelled_waits_for_the_members)
{
	fl_event cleanup = FL_EVENT_INIT;
	child c = {.cleanup = &cleanup};
	parent p = {.c = &c, .joined = 77};
	int result = 77;
	fl_fiber *f = fl_test_start(starts_and_joins, &p);
	fl_test_settle();
	fl_fiber_cancel(f);
	fl_test_settle();
	FL_CHECK(c.cancelled && !c.ended && fl_fiber_is_alive(f)); /* it still waits */
	fl_event_set(&cleanup);
	FL_CHECK(fl_fiber_join(f, &result) == 0 && result == -ECANCELED && p.joined == -ECANCELED);
}

/* A fiber that is cancelled when it waits: its result. */
static int cancelled_in_its_wait(fl_fiber_function *function, void *arg)
{
	fl_fiber *f = fl_test_start(function, arg);
	fl_test_settle();
	fl_fiber_cancel(f);
	return fl_test_join(f);
}

FL_MEMBERS_TEST(group_join_after_the_cancel)
{
	fl_event never = FL_EVENT_INIT, gate = FL_EVENT_INIT;
	child cut = {.rc = 0}, done = {.start = &gate};
	parent p[] = {{.c = &cut, .first = &never}, {.c = &done, .first = &never}};
	fl_event_set(&gate);
	FL_EACH (i, p)
		FL_CHECK(cancelled_in_its_wait(starts_and_joins, &p[i]) == p[i].joined);
	FL_CHECK(cut.cancelled && p[0].joined == -ECANCELED);
	FL_CHECK(!done.cancelled && p[1].joined == 0); /* there was nothing left to cancel */
}

/* The owner cancels its group, and another context cancels the owner: the join tells of members alone. */
static int cancels_then_waits(void *arg)
{
	child *c = arg;
	fl_group g = FL_GROUP_INIT(of_members);
	fl_event never = FL_EVENT_INIT;
	begin(&g, runs, c);
	fl_test_settle();
	fl_group_cancel(&g);
	FL_RC(fl_event_wait(&never), -ECANCELED);
	return fl_group_join(&g);
}

FL_MEMBERS_TEST(group_cancelled_by_the_owner_and_from_above)
{
	child c = {.rc = 0};
	FL_CHECK(cancelled_in_its_wait(cancels_then_waits, &c) == 0 && c.cancelled);
}

/* That the work was cut short is forgotten with the join. */
FL_MEMBERS_TEST(group_join_when_all_have_ended)
{
	int ends = 0;
	begin(g, until_cancelled, &ends);
	fl_group_cancel(g);
	FL_CHECK(fl_group_join(g) == 0 && ends == are_fibers());
	begin(g, returns, RC(0));
	fl_test_settle();
	/* An operation that can succeed at once succeeds. */
	FL_OK(fl_group_join_until(g, FL_FOREVER, fl_test_requested));
}

/* try_join and join_until also report that the work was cancelled. */
static int polls(void *arg)
{
	child *c = arg;
	fl_group g = FL_GROUP_INIT(of_members);
	fl_event never = FL_EVENT_INIT;
	begin(&g, runs, c);
	FL_RC(fl_event_wait(&never), -ECANCELED);
	FL_JOINED(fl_group_join_until(&g, FL_FOREVER, FL_SHIELDED), &g, -ECANCELED);
	FL_CHECK(fl_group_count(&g) == 0 && fl_group_join_until(&g, FL_FOREVER, FL_SHIELDED) == 0);
	return 0;
}

FL_MEMBERS_TEST(group_join_shielded_tells_of_the_cancel)
{
	child c = {.rc = 0};
	FL_CHECK(cancelled_in_its_wait(polls, &c) == 0 && c.cancelled);
}

/* The join is cancelled by a scope that the group is not under. */
FL_MEMBERS_TEST(group_join_cancelled_by_an_inner_scope)
{
	fl_cancel_token stop;
	child c = {.rc = 0};
	begin(g, runs, &c);
	fl_test_settle(); /* a task runs only if it begins before the deadline */
	fl_cancel_token_init(&stop, NULL, fl_after(FL_MS(1)));
	{
		FL_CANCEL_SCOPE(&stop);
		FL_GROUP_FAILED(g, -ECANCELED);
	}
	FL_CHECK(c.cancelled && c.ended && fl_group_count(g) == 0);
	fl_cancel_token_destroy(&stop);
}

/*
 * The result of a cancelled member: an error counts, and comes before the cancel; 0 does not count.
 */
FL_MEMBERS_TEST(group_error_after_the_cancel)
{
	child c = {.rc = -EIO};
	parent p = {.c = &c};
	TOLD();
	begin(g, runs, &c);
	fl_test_settle();
	fl_group_cancel(g);
	FL_GROUP_FAILED(g, -EIO);
	FL_CHECK(fl_group_failed_name(g) != NULL);
	FL_CHECK(cancelled_in_its_wait(starts_and_joins, &p) == -EIO && p.joined == -EIO && told.count == 0);
}

static int swallows(void *unused)
{
	fl_event never = FL_EVENT_INIT;
	FL_RC(fl_event_wait(&never), -ECANCELED);
	return 0;
}

FL_MEMBERS_TEST(group_member_that_swallows_its_cancel)
{
	begin(g, swallows, NULL);
	fl_group_cancel(g);
	FL_OK(fl_group_join(g));
	begin(g, swallows, NULL);
	begin(g, returns, RC(-EIO));
	FL_GROUP_FAILED(g, -EIO);
}

/* Nested groups. */

typedef struct nest {
	int depth, code;   /* the innermost child returns that, or waits */
	int *ends, *outer; /* of the cancelled ones; the results of the groups' joins, by depth */
} nest;

static int nests(void *arg)
{
	const nest *n = arg;
	if (n->depth == 0)
		return n->code != 0 ? n->code : until_cancelled(n->ends);
	nest inner = *n;
	inner.depth--;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(of_members);
	begin(&g, until_cancelled, n->ends);
	begin(&g, nests, &inner);
	return n->outer[n->depth] = fl_test_group_error(&g);
}

FL_MEMBERS_TEST(group_nested_error_goes_outward)
{
	int ends = 0, outer[4] = {0};
	nest n = {3, -EIO, &ends, outer};
	TOLD();
	FL_CHECK(nests(&n) == -EIO && ends == 3 && told.count == 0);
	FL_CHECK(outer[1] == -EIO && outer[2] == -EIO && outer[3] == -EIO);
}

FL_MEMBERS_TEST(group_nested_cancel_goes_inward)
{
	int ends = 0, outer[4] = {0};
	nest n = {3, 0, &ends, outer};
	begin(g, nests, &n);
	fl_test_settle();
	FL_CHECK(ends == 0);
	fl_group_cancel(g);
	FL_CHECK(fl_group_join(g) == 0 && ends == 4);
	FL_CHECK(outer[1] == -ECANCELED && outer[2] == -ECANCELED && outer[3] == -ECANCELED);
}

/* An error of the inner group that its owner handles leaves the outer one alone. */
static int handles_it(void *unused)
{
	FL_SCOPED(fl_group) inner = FL_GROUP_INIT(of_members);
	begin(&inner, returns, RC(-EIO));
	FL_GROUP_FAILED(&inner, -EIO);
	return 0;
}

FL_MEMBERS_TEST(group_nested_error_that_is_handled)
{
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	begin(g, runs, &c);
	begin(g, handles_it, NULL);
	fl_test_settle();
	FL_CHECK(fl_group_count(g) == 1);
	fl_event_set(&gate);
	FL_CHECK(fl_group_join(g) == 0 && !c.cancelled);
}

/* The outer group fails while the inner one joins children that take their time. */
FL_MEMBERS_TEST(group_nested_outer_fails_while_the_inner_joins)
{
	fl_event gate = FL_EVENT_INIT, cleanup = FL_EVENT_INIT;
	child late = {.start = &gate, .rc = -EPIPE}, slow = {.cleanup = &cleanup, .rc = -EIO};
	parent p = {.c = &slow};
	TOLD();
	begin(g, starts_and_joins, &p);
	begin(g, runs, &late);
	fl_test_settle();
	begin(g, returns, RC(-EBADF));
	fl_test_settle();
	FL_CHECK(slow.cancelled && !slow.ended && fl_group_count(g) == 1);
	fl_event_set(&cleanup);
	FL_GROUP_FAILED(g, -EBADF);
	FL_CHECK(fl_group_failed_index(g) == 2);
	/* -EPIPE, -EIO: nothing is lost. */
	FL_CHECK(p.joined == -EIO && late.ended && told.count == 2);
}

/* Deadlines. */

FL_MEMBERS_TEST(group_under_a_timeout)
{
	int ends = 0;
	fl_timeout t = FL_TIMEOUT_INIT;
	FL_FAULTS();
	fl_test_clock_ours();
	fl_timeout_begin(&t, fl_after(FL_S(3600)));
	for (int i = 0; i < 3; i++)
		begin(g, until_cancelled, &ends);
	fl_test_settle();
	FL_CHECK(ends == 0);
	fl__store_relaxed(&fl_test_ahead, FL_S(3600)); /* relaxed: this thread's own */
	FL_RC(start(g, until_cancelled, &ends), -ECANCELED);
	FL_CHECK(fl_timeout_end(&t, fl_test_group_error(g)) == -ETIMEDOUT && ends == 3);
}

FL_MEMBERS_TEST(group_with_a_deadline)
{
	int ends = 0;
	FL_FAULTS();
	fl_test_clock_ours();
	*g = (fl_group)FL_GROUP_INIT_UNTIL(of_members, fl_after(FL_S(3600)));
	begin(g, until_cancelled, &ends);
	begin(g, returns, NULL);
	fl_test_settle();
	fl__store_relaxed(&fl_test_ahead, FL_S(3600)); /* relaxed: this thread's own */
	FL_RC(start(g, until_cancelled, &ends), -ECANCELED);
	FL_GROUP_FAILED(g, -ETIMEDOUT);
	FL_CHECK(ends == 1 && fl_group_failed_name(g) == NULL);
	FL_RC(start(g, until_cancelled, &ends), -ECANCELED);
	FL_OK(fl_group_join(g));
}

/* A group that its deadline or its scope has cut is joined. */
static void joined_after_a_cut(fl_group *g, int rc, int error)
{
	FL_JOINED(rc, g, error);
	FL_CHECK(strcmp(fl_group_message(g), fl_error_text(error)) == 0 && fl_group_failed_name(g) == NULL);
	FL_CHECK(fl_group_count(g) == 0 && fl_group_join(g) == 0);
}

FL_MEMBERS_TEST(group_cut_by_its_deadline_and_joined)
{
	FL_FAULTS();
	fl_test_clock_ours();
	for (int tries = 0; tries < 2; tries++) {
		int ends = 0;
		*g = (fl_group)FL_GROUP_INIT_UNTIL(of_members, fl_after(FL_S(3600)));
		begin(g, until_cancelled, &ends);
		fl_test_settle();
		fl__add_relaxed(&fl_test_ahead, FL_S(3600)); /* relaxed: this thread's own */
		int rc = fl_group_join_until(g, tries ? FL_NO_WAIT : FL_FOREVER, FL_SHIELDED);
		if (tries) {
			FL_RC(rc, -ETIMEDOUT);
			FL_OK(FL_WAIT_ANY(FL_ON_GROUP(g)));
			rc = fl_group_try_join(g);
		}
		joined_after_a_cut(g, rc, -ETIMEDOUT);
		FL_CHECK(ends == 1);
	}
}

FL_MEMBERS_TEST(group_cut_by_its_scope_and_joined)
{
	for (int tries = 0; tries < 2; tries++) {
		int ends = 0;
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		FL_CANCEL_SCOPE(&stop);
		begin(g, until_cancelled, &ends);
		fl_test_settle();
		fl_cancel_token_request(&stop);
		FL_RC(fl_group_join_until(g, FL_FOREVER, NULL), -ECANCELED);
		fl_test_settle();
		FL_CHECK(ends == 1 && fl_group_message(g) == NULL && fl_group_count(g) == 0);
		const int rc = tries ? fl_group_try_join(g) : fl_group_join_until(g, FL_FOREVER, NULL);
		joined_after_a_cut(g, rc, -ECANCELED);
	}
	begin(g, returns, RC(0));
	FL_CHECK(fl_group_message(g) == NULL);
	FL_OK(fl_group_join_until(g, FL_FOREVER, NULL));
	FL_CHECK(fl_group_message(g) == NULL);
}

/* A member that joins a group that contains it. */

typedef struct inside {
	fl_group *outer;
	int inner, shielded;
} inside;

static int joins_the_outer(void *arg)
{
	inside *in = arg;
	in->inner = fl_group_join(in->outer);
	FL_CANCEL_SCOPE(FL_SHIELDED); /* hides nothing */
	in->shielded = fl_group_join_until(in->outer, FL_FOREVER, NULL);
	return 0;
}

static int has_a_group(void *arg)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(of_members);
	begin(&g, joins_the_outer, arg);
	return fl_group_join(&g);
}

FL_MEMBERS_TEST(group_joined_by_a_member_of_a_group_inside)
{
	inside in = {.outer = g};
	begin(g, has_a_group, &in);
	FL_CHECK(fl_group_join(g) == 0 && in.inner == -EDEADLK && in.shielded == -EDEADLK);
}

/* The group's token. */

FL_MEMBERS_TEST(group_token_interrupts_the_owner)
{
	fl_event never = FL_EVENT_INIT;
	fl_cancel_token *before = fl_cancel_scope_current();
	int ends = 0;
	begin(g, returns, RC(-EIO));
	FL_RC(fl_event_wait_until(&never, FL_FOREVER, fl_group_token(g)), -ECANCELED);
	FL_GROUP_FAILED(g, -EIO);
	{
		FL_CANCEL_SCOPE(fl_group_token(g));
		begin(g, returns, RC(-EPIPE));
		FL_RC(fl_event_wait(&never), -ECANCELED);
		FL_JOINED(fl_group_join_until(g, FL_FOREVER, NULL), g, -EPIPE);
		FL_CHECK(fl_cancel_scope_current() == before);
	}
	{
		FL_CANCEL_SCOPE(fl_group_token(g));
		fl_group_cancel(g);
		FL_RC(fl_event_wait(&never), -ECANCELED);
		FL_CHECK(fl_group_join(g) == 0 && fl_cancel_scope_current() == before);
		FL_OK(fl_sleep(0));
	}
	/* its own cancel is not one of the join */
	for (int i = 0; i < 2; i++) {
		FL_CANCEL_SCOPE(fl_group_token(g));
		begin(g, until_cancelled, &ends);
		fl_test_settle();
		fl_group_cancel(g);
		FL_CHECK((i ? fl_group_join_until(g, FL_FOREVER, NULL) : fl_group_join(g)) == 0 && ends == i + 1);
	}
	{
		FL_CANCEL_SCOPE(FL_SHIELDED);
		FL_CANCEL_SCOPE(fl_group_token(g));
		begin(g, until_cancelled, &ends);
		fl_test_settle();
		fl_group_cancel(g);
		FL_CHECK(fl_group_join(g) == 0 && fl_cancel_scope_current() == NULL && ends == 3);
	}
}

/* Under the group's own token, the owner is still cancelled from above. */
static int joins_under_its_token(void *unused)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(of_members);
	int ends = 0;
	FL_CANCEL_SCOPE(fl_group_token(&g));
	begin(&g, until_cancelled, &ends);
	int rc = fl_test_group_error(&g);
	FL_CHECK(ends == 1);
	return rc;
}

FL_MEMBERS_TEST(group_token_as_the_scope_of_the_join)
{
	FL_RC(cancelled_in_its_wait(joins_under_its_token, NULL), -ECANCELED);
}

/* Cancelled from the inside. */

static int cancels_its_own(void *g)
{
	fl_group_cancel(g);
	FL_RC(fl_sleep(0), -ECANCELED);
	FL_RC(start(g, returns, NULL), -ECANCELED);
	return 0;
}

static void cancels_in_a_callback(void *g)
{
	fl_group_cancel(g);
}

FL_MEMBERS_TEST(group_cancel_by_a_member_and_a_callback)
{
	int ends = 0;
	begin(g, until_cancelled, &ends);
	begin(g, cancels_its_own, g);
	FL_CHECK(fl_group_join(g) == 0 && ends == 1);
	begin(g, until_cancelled, &ends);
	fl_test_settle();
	FL_OK(fl_loop_post(fl_loop_current(), cancels_in_a_callback, g));
	FL_CHECK(fl_group_join(g) == 0 && ends == 2);
}

/* The loop cancels the remaining members. */

static int *ends_of_main;

static int main_that_leaves(void *unused)
{
	static fl_fiber *f;
	static nest n;
	static int outer[3];
	n = (nest){2, 0, ends_of_main, outer};
	FL_OK(fl_fiber_start(&f, nests, &n, NULL));
	fl_fiber_detach(f);
	fl_test_settle();
	FL_CHECK(*ends_of_main == 0);
	return 0;
}

FL_TEST(group_fibers_cancelled_by_the_end_of_the_loop)
{
	int ends = 0;
	ends_of_main = &ends;
	fl_test_in_loop(main_that_leaves, NULL);
	assert_int_equal(ends, 3);
}
