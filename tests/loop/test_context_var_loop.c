/* SPDX-License-Identifier: BSD-2-Clause */
/* Context variables in fibers, posts, timers, watches, and on threads of a loop. */
#include "fl_context_vars.h"
#include "fl_in_loop.h"

FL_ALL_NEED(FL_TEST_EVENTFD)

/* A case in the first fiber of a loop. When the loop is gone, so are all values. */
#define IN_LOOP(name)                                                                                                  \
	static int name##_body(void *unused);                                                                          \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		fl_test_in_loop(name##_body, NULL);                                                                    \
		assert_int_equal(fl_test_values_alive(), 0);                                                           \
	}                                                                                                              \
	static int name##_body(__attribute__((unused)) void *unused)

static bool was_called(const fl_test_seen *seen)
{
	return fl__load_acquire(&seen->calls) > 0; /* pairs with fl_test_see() */
}

static void until_called(const fl_test_seen *seen)
{
	while (!was_called(seen))
		fl_test_look();
}

FL_TEST(context_var_in_the_first_fiber)
{
	fl_test_seen seen = {.number = -1};
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(1, &token);
	FL_OK(fl_loop_run(fl_test_see, &seen));
	assert_int_equal(seen.number, 1);
	assert_int_equal(fl_test_owned_number(), 1);
	fl_context_var_reset(&token);
	assert_int_equal(fl_test_values_alive(), 0);
}

IN_LOOP(context_var_in_fibers)
{
	fl_test_seen started = {.number = -1}, member = {.number = -1};
	fl_group g = FL_GROUP_INIT(NULL);
	fl_test_own(1);
	fl_fiber *f = fl_test_start(fl_test_see, &started);
	FL_OK(fl_group_start(&g, fl_test_see, &member));
	fl_test_own(2); /* not seen there */
	FL_OK(fl_test_join(f));
	FL_OK(fl_group_join(&g));
	FL_CHECK(started.number == 1 && member.number == 1);
	FL_CHECK(fl_test_owned_number() == 2 && fl_test_values_alive() == 1);
	return 0;
}

static int keep_own(void *number)
{
	const int mine = *(int *)number;
	fl_test_own(mine);
	for (int i = 0; i < 5; i++) {
		fl_fiber_yield();
		FL_CHECK(fl_test_owned_number() == mine);
	}
	return 0;
}

IN_LOOP(context_var_fibers_are_isolated)
{
	enum { N = 20 };
	int numbers[N];
	fl_group g = FL_GROUP_INIT(NULL);
	fl_test_own(77);
	for (int i = 0; i < N; i++) {
		numbers[i] = i + 1;
		FL_OK(fl_group_start(&g, keep_own, &numbers[i]));
	}
	FL_OK(fl_group_join(&g));
	FL_CHECK(fl_test_owned_number() == 77 && fl_test_values_alive() == 1);
	return 0;
}

static int wait_for_cancel(void *unused)
{
	return fl_sleep(FL_FOREVER);
}

IN_LOOP(context_var_of_cancelled_fibers)
{
	fl_test_own(1);
	fl_fiber *f = fl_test_start(wait_for_cancel, NULL), *never_ran = fl_test_start(wait_for_cancel, NULL);
	fl_test_own(2);
	fl_fiber_free(f);
	fl_fiber_free(never_ran);
	FL_CHECK(fl_test_values_alive() == 1);
	return 0;
}

IN_LOOP(context_var_in_posts)
{
	fl_test_seen first = {.number = -1}, second = {.number = -1}, without = {.number = -1};
	fl_loop *l = fl_loop_current();
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(1, &token);
	FL_OK(fl_loop_post(l, fl_test_see_in_callback, &first));
	FL_OK(fl_loop_post(l, fl_test_see_in_callback, &second));
	fl_context_var_reset(&token);
	FL_OK(fl_loop_post(l, fl_test_see_in_callback, &without));
	until_called(&without);
	FL_CHECK(first.number == 1 && second.number == 1 && without.number == 0);
	FL_CHECK(fl_test_owned_number() == 0 && fl_test_values_alive() == 0);
	return 0;
}

/* Calls that the loop's end makes or drops. */
static void post_again(void *seen)
{
	FL_OK(fl_loop_post(fl_loop_current(), post_again, seen));
	(void)fl_test_see(seen);
}

FL_TEST(context_var_of_dropped_posts)
{
	fl_test_seen seen = {.number = -1};
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_loop *l = fl_test_loop();
	fl_test_own_scoped(1, &token);
	FL_OK(fl_loop_post(l, post_again, &seen));
	fl_context_var_reset(&token);
	fl_loop_free(l);
	assert_true(was_called(&seen));
	assert_int_equal(fl_test_values_alive(), 0);
}

IN_LOOP(context_var_in_loop_timers)
{
	fl_test_seen first = {.number = -1}, second = {.number = -1};
	fl_loop *l = fl_loop_current();
	fl_loop_timer t = {{0}}, u = {{0}};
	fl_test_own(1);
	fl_loop_timer_start(l, &t, fl_now(), fl_test_see_in_callback, &first);
	fl_test_own(2);
	fl_loop_timer_start(l, &u, fl_now(), fl_test_see_in_callback, &second);
	fl_test_own(3);
	until_called(&first);
	until_called(&second);
	FL_CHECK(first.number == 1 && second.number == 2 && fl_test_owned_number() == 3);
	FL_CHECK(fl_test_values_alive() == 1);
	return 0;
}

IN_LOOP(context_var_cancelled_timer_releases)
{
	fl_test_seen seen = {.number = -1};
	fl_loop *l = fl_loop_current();
	fl_loop_timer t = {{0}};
	for (int way = 0; way < 3; way++) {
		fl_context_token token = FL_CONTEXT_TOKEN_INIT;
		fl_test_own_scoped(1, &token);
		fl_loop_timer_start(l, &t, fl_after(FL_S(3600)), fl_test_see_in_callback, &seen);
		fl_context_var_reset(&token);
		FL_CHECK(fl_test_values_alive() == 1);
		if (way == 0)
			fl_loop_timer_cancel(l, &t);
		else if (way == 1)
			fl_loop_timer_start(l, &t, FL_FOREVER, fl_test_see_in_callback, &seen);
		else
			fl_loop_timer_start(l, &t, fl_after(FL_S(3600)), fl_test_see_in_callback, &seen);
		FL_CHECK(fl_test_values_alive() == 0); /* at once */
	}
	fl_loop_timer_cancel(l, &t);
	FL_CHECK(!was_called(&seen));
	return 0;
}

static fl_loop_timer left_timers[3];

static int leave_timers(void *seen)
{
	for (int i = 0; i < 3; i++) {
		fl_test_own(i + 1);
		fl_loop_timer_start(fl_loop_current(), &left_timers[i], fl_after(FL_S(3600)), fl_test_see_in_callback,
		                    seen);
	}
	return 0;
}

FL_TEST(context_var_of_timers_at_the_loops_end)
{
	fl_test_seen seen = {.number = -1};
	fl_test_in_loop(leave_timers, &seen);
	assert_false(was_called(&seen));
	assert_int_equal(fl_test_values_alive(), 0);
}

FL_TEST(context_var_in_timers)
{
	fl_test_seen seen = {.number = -1}, again = {.number = -1};
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_timer once = FL_TIMER_INIT, every = FL_TIMER_INIT;
	fl_test_own_scoped(1, &token);
	FL_OK(fl_timer_start(&once, 0, fl_test_see_in_callback, &seen));
	FL_OK(fl_timer_start_every(&every, 0, FL_US(100), fl_test_see_in_callback, &again));
	fl_context_var_reset(&token);
	FL_OK(fl_timer_join(&once));
	FL_WAIT_FOR(fl__load_acquire(&again.calls) > 2); /* pairs with fl_test_see() */
	FL_IGNORE(fl_timer_cancel(&every));
	FL_OK(fl_timer_join(&every));
	assert_int_equal(seen.number, 1);
	assert_int_equal(again.number, 1); /* each call: not 99 */
	assert_int_equal(fl_test_values_alive(), 0);
}

/* aiida 4698: a cancelled timer keeps the context until the time at which it would have fired. */
FL_TEST(timer_pins_context)
{
	fl_test_seen seen = {.number = -1};
	for (int way = 0; way < 2; way++) {
		fl_context_token token = FL_CONTEXT_TOKEN_INIT;
		fl_timer t = FL_TIMER_INIT;
		fl_test_own_scoped(1, &token);
		if (way == 0)
			FL_OK(fl_timer_start(&t, fl_after(FL_S(3600)), fl_test_see_in_callback, &seen));
		else
			FL_OK(fl_timer_start_every(&t, fl_after(FL_S(3600)), 1, fl_test_see_in_callback, &seen));
		fl_context_var_reset(&token);
		assert_int_equal(fl_test_values_alive(), 1);
		FL_OK(fl_timer_cancel(&t));
		assert_int_equal(fl_test_values_alive(), 0);
		FL_OK(fl_timer_join(&t));
	}
	assert_false(was_called(&seen));
}

IN_LOOP(context_var_in_to_thread)
{
	fl_test_seen seen = {.number = -1};
	int result = -1;
	fl_test_own(1);
	FL_CHECK(fl_to_thread(fl_test_see, &seen, &result) == 0 && result == 0);
	FL_CHECK(seen.number == 1 && fl_test_owned_number() == 1);
	fl_test_own(2);
	FL_CHECK(fl_to_thread(fl_test_see, &seen, &result) == 0 && seen.number == 2);
	return 0;
}

/* gh-140947: the context that opened a descriptor leaks into the reader that is resumed. */
static void see_in_watch(fl_loop_watch *w, int fd, unsigned events, void *seen)
{
	fl_test_seen *s = seen;
	if (!was_called(s) || s->calls == 1)
		(void)fl_test_see(seen);
	if (s->calls == 2)
		fl_loop_watch_stop(w);
}

static int watch_while_values_change(void *unused)
{
	int fds[2];
	fl_loop_watch w = {NULL};
	fl_test_seen seen = {.number = -1};
	FL_CHECK(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
	fl_test_own(1);
	FL_OK(fl_loop_watch_start(fl_loop_current(), &w, fds[0], FL_LOOP_IN, see_in_watch, &seen));
	fl_test_own(2);
	FL_CHECK(fl_test_values_alive() == 1); /* the watch pins none */
	while (fl__load_acquire(&seen.calls) < 2)
		fl_test_look();
	FL_CHECK(seen.number == 0 && seen.colour == fl_test_white); /* in the second call, too */
	FL_OK(close(fds[0]));
	FL_OK(close(fds[1]));
	return 0;
}

FL_TEST(context_leaks)
{
	fl_test_in_loop(watch_while_values_change, NULL);
	assert_int_equal(fl_test_values_alive(), 0);
}
