/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of fibers, and of tasks on a loop: cancelled by their owner, from above, by a deadline;
 * nested groups.
 */
#include "fl_faults.h"
#include "fl_members.h"

static int absorbs(void *unused)
{
	fl_group g = FL_GROUP_INIT(of_members);
	int ends = 0;
	for (int i = 0; i < 5; i++)
		FL_CHECK(start(&g, until_cancelled, &ends) == 0);
	fl_test_settle();
	fl_group_cancel(&g);
	fl_group_cancel(&g);
	FL_CHECK(ends == 0 && start(&g, until_cancelled, &ends) == -ECANCELED);
	FL_CHECK(fl_group_join(&g) == 0 && ends == 5 && fl_group_failed_name(&g) == NULL);
	return 0;
}

FL_MEMBERS_TEST(group_cancel_is_absorbed, absorbs)

static int before_start(void *unused)
{
	fl_group g = FL_GROUP_INIT(of_members);
	int ends = 0;
	fl_group_cancel(&g);
	for (int i = 0; i < 2; i++)
		FL_CHECK(start(&g, until_cancelled, &ends) == -ECANCELED);
	FL_CHECK(fl_cancel_token_is_requested(fl_group_token(&g)));
	FL_CHECK(fl_group_join(&g) == 0 && ends == 0);
	FL_CHECK(start(&g, returns, RC(0)) == 0 && fl_group_join(&g) == 0);
	return 0;
}

FL_MEMBERS_TEST(group_cancel_before_the_start, before_start)

/*
 * A fiber that is cancelled before its first turn runs, since it owns its argument. A task does not
 * run.
 */
static int before_its_turn(void *unused)
{
	fl_group g = FL_GROUP_INIT(of_members);
	int ends = 0;
	FL_CHECK(start(&g, until_cancelled, &ends) == 0);
	fl_group_cancel(&g);
	FL_CHECK(fl_group_join(&g) == 0 && ends == are_fibers());
	return 0;
}

FL_MEMBERS_TEST(group_cancel_before_the_members_first_turn, before_its_turn)

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
	FL_CHECK(start(&g, runs, p->c) == 0);
	if (p->first)
		FL_IGNORE(fl_event_wait(p->first));
	p->joined = fl_group_join(&g);
	return p->joined;
}

static int while_it_joins(void *unused)
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
	return 0;
}

FL_MEMBERS_TEST(group_join_cancelled_waits_for_the_members, while_it_joins)

static int before_it_joins(void *unused)
{
	fl_event never = FL_EVENT_INIT, gate = FL_EVENT_INIT;
	child cut = {.rc = 0}, done = {.start = &gate};
	parent p[] = {{.c = &cut, .first = &never}, {.c = &done, .first = &never}};
	fl_event_set(&gate);
	for (int i = 0; i < 2; i++) {
		fl_fiber *f = fl_test_start(starts_and_joins, &p[i]);
		fl_test_settle();
		fl_fiber_cancel(f);
		FL_CHECK(fl_test_join(f) == p[i].joined);
	}
	FL_CHECK(cut.cancelled && p[0].joined == -ECANCELED);
	FL_CHECK(!done.cancelled && p[1].joined == 0); /* there was nothing left to cancel */
	return 0;
}

FL_MEMBERS_TEST(group_join_after_the_cancel, before_it_joins)

/* The owner cancels its group, and another context cancels the owner: the owner sees that. */
static int cancels_then_waits(void *arg)
{
	child *c = arg;
	fl_group g = FL_GROUP_INIT(of_members);
	fl_event never = FL_EVENT_INIT;
	FL_CHECK(start(&g, runs, c) == 0);
	fl_test_settle();
	fl_group_cancel(&g);
	FL_CHECK(fl_event_wait(&never) == -ECANCELED);
	return fl_group_join(&g);
}

static int both(void *unused)
{
	child c = {.rc = 0};
	fl_fiber *f = fl_test_start(cancels_then_waits, &c);
	fl_test_settle();
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == -ECANCELED && c.cancelled);
	return 0;
}

FL_MEMBERS_TEST(group_cancelled_by_the_owner_and_from_above, both)

/* That the work was cut short is forgotten with the join. */
static int cut_once(void *unused)
{
	fl_group g = FL_GROUP_INIT(of_members);
	int ends = 0;
	FL_CHECK(start(&g, until_cancelled, &ends) == 0);
	fl_group_cancel(&g);
	FL_CHECK(fl_group_join(&g) == 0 && ends == are_fibers());
	FL_CHECK(start(&g, returns, RC(0)) == 0);
	fl_test_settle();
	/* An operation that can succeed at once succeeds. */
	FL_CHECK(fl_group_join_until(&g, FL_FOREVER, fl_test_requested) == 0);
	return 0;
}

FL_MEMBERS_TEST(group_join_when_all_have_ended, cut_once)

/* try_join and join_until also report that the work was cancelled. */
static int polls(void *arg)
{
	child *c = arg;
	fl_group g = FL_GROUP_INIT(of_members);
	fl_event never = FL_EVENT_INIT;
	FL_CHECK(start(&g, runs, c) == 0);
	FL_CHECK(fl_event_wait(&never) == -ECANCELED);
	FL_CHECK(fl_group_join_until(&g, FL_FOREVER, FL_SHIELDED) == -ECANCELED);
	FL_CHECK(fl_group_count(&g) == 0 && fl_group_join_until(&g, FL_FOREVER, FL_SHIELDED) == 0);
	return 0;
}

static int cut_short(void *unused)
{
	child c = {.rc = 0};
	fl_fiber *f = fl_test_start(polls, &c);
	fl_test_settle();
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == 0 && c.cancelled);
	return 0;
}

FL_MEMBERS_TEST(group_join_shielded_tells_of_the_cancel, cut_short)

/* The join is cancelled by a scope that the group is not under. */
static int by_an_inner_scope(void *unused)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(of_members);
	fl_cancel_token stop;
	child c = {.rc = 0};
	FL_CHECK(start(&g, runs, &c) == 0);
	fl_cancel_token_init(&stop, NULL, fl_after(FL_MS(1)));
	{
		FL_CANCEL_SCOPE(&stop);
		FL_CHECK(fl_group_join(&g) == -ECANCELED);
	}
	FL_CHECK(c.cancelled && c.ended && fl_group_count(&g) == 0);
	fl_cancel_token_destroy(&stop);
	return 0;
}

FL_MEMBERS_TEST(group_join_cancelled_by_an_inner_scope, by_an_inner_scope)

/*
 * The result of a cancelled member: an error counts, and comes before the cancel; 0 does not count.
 */
static int errors_after_cancel(void *unused)
{
	child c = {.rc = -EIO};
	parent p = {.c = &c};
	fl_group g = FL_GROUP_INIT(of_members);
	TOLD();
	FL_CHECK(start(&g, runs, &c) == 0);
	fl_test_settle();
	fl_group_cancel(&g);
	FL_CHECK(fl_group_join(&g) == -EIO && fl_group_failed_name(&g) != NULL);
	fl_fiber *f = fl_test_start(starts_and_joins, &p);
	fl_test_settle();
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == -EIO && p.joined == -EIO && told.count == 0);
	return 0;
}

FL_MEMBERS_TEST(group_error_after_the_cancel, errors_after_cancel)

static int swallows(void *unused)
{
	fl_event never = FL_EVENT_INIT;
	FL_CHECK(fl_event_wait(&never) == -ECANCELED);
	return 0;
}

static int swallowed(void *unused)
{
	fl_group g = FL_GROUP_INIT(of_members);
	FL_CHECK(start(&g, swallows, NULL) == 0);
	fl_group_cancel(&g);
	FL_CHECK(fl_group_join(&g) == 0);
	FL_CHECK(start(&g, swallows, NULL) == 0);
	FL_CHECK(start(&g, returns, RC(-EIO)) == 0);
	FL_CHECK(fl_group_join(&g) == -EIO);
	return 0;
}

FL_MEMBERS_TEST(group_member_that_swallows_its_cancel, swallowed)

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
	FL_CHECK(start(&g, until_cancelled, n->ends) == 0);
	FL_CHECK(start(&g, nests, &inner) == 0);
	return n->outer[n->depth] = fl_group_join(&g);
}

static int inner_error(void *unused)
{
	int ends = 0, outer[4] = {0};
	nest n = {3, -EIO, &ends, outer};
	TOLD();
	FL_CHECK(nests(&n) == -EIO && ends == 3 && told.count == 0);
	FL_CHECK(outer[1] == -EIO && outer[2] == -EIO && outer[3] == -EIO);
	return 0;
}

FL_MEMBERS_TEST(group_nested_error_goes_outward, inner_error)

static int outer_cancel(void *unused)
{
	int ends = 0, outer[4] = {0};
	nest n = {3, 0, &ends, outer};
	fl_group g = FL_GROUP_INIT(of_members);
	FL_CHECK(start(&g, nests, &n) == 0);
	fl_test_settle();
	FL_CHECK(ends == 0);
	fl_group_cancel(&g);
	FL_CHECK(fl_group_join(&g) == 0 && ends == 4);
	FL_CHECK(outer[1] == -ECANCELED && outer[2] == -ECANCELED && outer[3] == -ECANCELED);
	return 0;
}

FL_MEMBERS_TEST(group_nested_cancel_goes_inward, outer_cancel)

/* An error of the inner group that its owner handles leaves the outer one alone. */
static int handles_it(void *unused)
{
	FL_SCOPED(fl_group) inner = FL_GROUP_INIT(of_members);
	FL_CHECK(start(&inner, returns, RC(-EIO)) == 0);
	FL_CHECK(fl_group_join(&inner) == -EIO);
	return 0;
}

static int inner_handled(void *unused)
{
	fl_group g = FL_GROUP_INIT(of_members);
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	FL_CHECK(start(&g, runs, &c) == 0);
	FL_CHECK(start(&g, handles_it, NULL) == 0);
	fl_test_settle();
	FL_CHECK(fl_group_count(&g) == 1);
	fl_event_set(&gate);
	FL_CHECK(fl_group_join(&g) == 0 && !c.cancelled);
	return 0;
}

FL_MEMBERS_TEST(group_nested_error_that_is_handled, inner_handled)

/* The outer group fails while the inner one joins children that take their time. */
static int outer_error(void *unused)
{
	fl_event gate = FL_EVENT_INIT, cleanup = FL_EVENT_INIT;
	child late = {.start = &gate, .rc = -EPIPE}, slow = {.cleanup = &cleanup, .rc = -EIO};
	parent p = {.c = &slow};
	fl_group g = FL_GROUP_INIT(of_members);
	TOLD();
	FL_CHECK(start(&g, starts_and_joins, &p) == 0);
	FL_CHECK(start(&g, runs, &late) == 0);
	fl_test_settle();
	FL_CHECK(start(&g, returns, RC(-EBADF)) == 0);
	fl_test_settle();
	FL_CHECK(slow.cancelled && !slow.ended && fl_group_count(&g) == 1);
	fl_event_set(&cleanup);
	FL_CHECK(fl_group_join(&g) == -EBADF && fl_group_failed_index(&g) == 2);
	/* -EPIPE, -EIO: nothing is lost. */
	FL_CHECK(p.joined == -EIO && late.ended && told.count == 2);
	return 0;
}

FL_MEMBERS_TEST(group_nested_outer_fails_while_the_inner_joins, outer_error)

/* Deadlines. */

static int has_a_deadline(void *unused)
{
	int ends = 0;
	fl_timeout t = FL_TIMEOUT_INIT;
	fl_group g = FL_GROUP_INIT(of_members);
	FL_FAULTS();
	fl_test_clock_ours();
	fl_timeout_begin(&t, fl_after(FL_S(3600)));
	for (int i = 0; i < 3; i++)
		FL_CHECK(start(&g, until_cancelled, &ends) == 0);
	fl_test_settle();
	FL_CHECK(ends == 0);
	fl__store_relaxed(&fl_test_ahead, FL_S(3600)); /* relaxed: this thread's own */
	FL_CHECK(start(&g, until_cancelled, &ends) == -ECANCELED);
	FL_CHECK(fl_timeout_end(&t, fl_group_join(&g)) == -ETIMEDOUT && ends == 3);
	return 0;
}

FL_MEMBERS_TEST(group_under_a_timeout, has_a_deadline)

static int has_its_own_deadline(void *unused)
{
	int ends = 0;
	fl_group g;
	FL_FAULTS();
	fl_test_clock_ours();
	g = (fl_group)FL_GROUP_INIT_UNTIL(of_members, fl_after(FL_S(3600)));
	FL_CHECK(start(&g, until_cancelled, &ends) == 0);
	FL_CHECK(start(&g, returns, NULL) == 0);
	fl_test_settle();
	fl__store_relaxed(&fl_test_ahead, FL_S(3600)); /* relaxed: this thread's own */
	FL_CHECK(start(&g, until_cancelled, &ends) == -ECANCELED);
	FL_CHECK(fl_group_join(&g) == -ETIMEDOUT && ends == 1 && fl_group_message(&g) == NULL);
	FL_CHECK(start(&g, until_cancelled, &ends) == -ECANCELED && fl_group_join(&g) == 0);
	return 0;
}

FL_MEMBERS_TEST(group_with_a_deadline, has_its_own_deadline)

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
	FL_CHECK(start(&g, joins_the_outer, arg) == 0);
	return fl_group_join(&g);
}

static int joined_from_within(void *unused)
{
	fl_group g = FL_GROUP_INIT(of_members);
	inside in = {.outer = &g};
	FL_CHECK(start(&g, has_a_group, &in) == 0);
	FL_CHECK(fl_group_join(&g) == 0 && in.inner == -EDEADLK && in.shielded == -EDEADLK);
	return 0;
}

FL_MEMBERS_TEST(group_joined_by_a_member_of_a_group_inside, joined_from_within)

/* The group's token. */

static int interrupted(void *unused)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(of_members);
	fl_event never = FL_EVENT_INIT;
	fl_cancel_token *before = fl_cancel_scope_current();
	int ends = 0;
	FL_CHECK(start(&g, returns, RC(-EIO)) == 0);
	FL_CHECK(fl_event_wait_until(&never, FL_FOREVER, fl_group_token(&g)) == -ECANCELED);
	FL_CHECK(fl_group_join(&g) == -EIO);
	{
		FL_CANCEL_SCOPE(fl_group_token(&g));
		FL_CHECK(start(&g, returns, RC(-EPIPE)) == 0);
		FL_CHECK(fl_event_wait(&never) == -ECANCELED);
		FL_CHECK(fl_group_join_until(&g, FL_FOREVER, NULL) == -EPIPE && fl_cancel_scope_current() == before);
	}
	{
		FL_CANCEL_SCOPE(fl_group_token(&g));
		fl_group_cancel(&g);
		FL_CHECK(fl_event_wait(&never) == -ECANCELED);
		FL_CHECK(fl_group_join(&g) == 0 && fl_cancel_scope_current() == before);
		FL_CHECK(fl_sleep(0) == 0);
	}
	/* its own cancel is not one of the join */
	for (int i = 0; i < 2; i++) {
		FL_CANCEL_SCOPE(fl_group_token(&g));
		FL_CHECK(start(&g, until_cancelled, &ends) == 0);
		fl_test_settle();
		fl_group_cancel(&g);
		FL_CHECK((i ? fl_group_join_until(&g, FL_FOREVER, NULL) : fl_group_join(&g)) == 0 && ends == i + 1);
	}
	{
		FL_CANCEL_SCOPE(FL_SHIELDED);
		FL_CANCEL_SCOPE(fl_group_token(&g));
		FL_CHECK(start(&g, until_cancelled, &ends) == 0);
		fl_test_settle();
		fl_group_cancel(&g);
		FL_CHECK(fl_group_join(&g) == 0 && fl_cancel_scope_current() == NULL && ends == 3);
	}
	return 0;
}

FL_MEMBERS_TEST(group_token_interrupts_the_owner, interrupted)

/* Under the group's own token, the owner is still cancelled from above. */
static int joins_under_its_token(void *unused)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(of_members);
	int ends = 0;
	FL_CANCEL_SCOPE(fl_group_token(&g));
	FL_CHECK(start(&g, until_cancelled, &ends) == 0);
	int rc = fl_group_join(&g);
	FL_CHECK(ends == 1);
	return rc;
}

static int token_from_above(void *unused)
{
	fl_fiber *f = fl_test_start(joins_under_its_token, NULL);
	fl_test_settle();
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == -ECANCELED);
	return 0;
}

FL_MEMBERS_TEST(group_token_as_the_scope_of_the_join, token_from_above)

/* Cancelled from the inside. */

static int cancels_its_own(void *g)
{
	fl_group_cancel(g);
	FL_CHECK(fl_sleep(0) == -ECANCELED);
	FL_CHECK(start(g, returns, NULL) == -ECANCELED);
	return 0;
}

static void cancels_in_a_callback(void *g)
{
	fl_group_cancel(g);
}

static int from_inside(void *unused)
{
	fl_group g = FL_GROUP_INIT(of_members);
	int ends = 0;
	FL_CHECK(start(&g, until_cancelled, &ends) == 0);
	FL_CHECK(start(&g, cancels_its_own, &g) == 0);
	FL_CHECK(fl_group_join(&g) == 0 && ends == 1);
	FL_CHECK(start(&g, until_cancelled, &ends) == 0);
	fl_test_settle();
	FL_CHECK(fl_loop_post(fl_loop_current(), cancels_in_a_callback, &g) == 0);
	FL_CHECK(fl_group_join(&g) == 0 && ends == 2);
	return 0;
}

FL_MEMBERS_TEST(group_cancel_by_a_member_and_a_callback, from_inside)

/* The loop cancels the remaining members. */

static int *ends_of_main;

static int main_that_leaves(void *unused)
{
	static fl_fiber *f;
	static nest n;
	static int outer[3];
	n = (nest){2, 0, ends_of_main, outer};
	FL_CHECK(fl_fiber_start(&f, nests, &n, NULL) == 0);
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
