/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_queued.h"

static void arrive(fl_test_caller *c, fl_barrier *b, fl_time deadline, fl_cancel_token *cancel)
{
	fl_test_call_queued(c, fl_test_arrive, b, b, deadline, cancel);
}

static size_t gates_held(void)
{
	size_t held = 0;
	for (size_t i = 0; i < FL__GATES; i++)
		held += (fl__load_relaxed(fl__lot_gate(i)) & FL__GATE_HELD) != 0;
	return held;
}

FL_TEST(barrier_init_takes_1_to_int_max)
{
	fl_barrier b, fixed = FL_BARRIER_INIT(3);
	FL_RC(fl_barrier_init(&b, 0), -EINVAL);
	FL_RC(fl_barrier_init(&b, (uint32_t)INT_MAX + 1), -EINVAL);
	FL_RC(fl_barrier_init_with_action(&b, 0, NULL, NULL), -EINVAL);
	FL_RC(fl_barrier_init_with_action(&b, (uint32_t)INT_MAX + 1, NULL, NULL), -EINVAL);
	FL_OK(fl_barrier_init(&b, INT_MAX));
	memset(&b, 0xff, sizeof b);
	FL_OK(fl_barrier_init(&b, 3));
	assert_memory_equal(&b, &fixed, sizeof b);
	assert_int_equal(fl_barrier_waiting(&b), 0);
	assert_false(fl_barrier_is_broken(&b));
}

FL_TEST(barrier_initializer_with_a_wrong_number_panics)
{
	volatile int64_t parties = 0;
	fl_barrier b = FL_BARRIER_INIT(1);
	FL_PANICS_OF("FL_BARRIER_INIT", NULL, b = (fl_barrier)FL_BARRIER_INIT(parties));
	parties = INT_MAX + INT64_C(1);
	FL_PANICS_OF("FL_BARRIER_INIT", NULL, b = (fl_barrier)FL_BARRIER_INIT(parties));
	FL_OK(fl_barrier_wait(&b));
}

FL_TEST(barrier_breaks_when_a_waiter_is_cancelled)
{
	fl_barrier b = FL_BARRIER_INIT(3);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller cancelled, other;
	arrive(&cancelled, &b, FL_FOREVER, &stop);
	arrive(&other, &b, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_test_queued(&stop) == 1);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&cancelled), -ECANCELED);
	FL_RC(fl_test_call_end(&other), -EPIPE);
	assert_true(fl_barrier_is_broken(&b));

	fl_barrier_reset(&b);
	FL_CANCEL_SCOPE(&stop);
	FL_RC(fl_barrier_wait(&b), -ECANCELED);
	assert_true(fl_barrier_is_broken(&b));
	fl_barrier_reset(&b);
	FL_RC(fl_barrier_wait_until(&b, FL_FOREVER, &stop), -ECANCELED);
}

FL_TEST(barrier_abort_sends_all_away)
{
	enum { N = 3 };
	fl_barrier b = FL_BARRIER_INIT(N + 1);
	fl_test_caller callers[N];
	FL_EACH (i, callers)
		arrive(&callers[i], &b, FL_FOREVER, NULL);
	fl_barrier_abort(&b);
	FL_EACH (i, callers)
		FL_RC(fl_test_call_end(&callers[i]), -EPIPE);
	assert_true(fl_barrier_is_broken(&b));
	FL_RC(fl_barrier_wait(&b), -EPIPE);
	fl_barrier_abort(&b);
}

FL_TEST(barrier_reset_makes_it_whole)
{
	fl_barrier b = FL_BARRIER_INIT(2);
	fl_test_caller c;
	arrive(&c, &b, FL_FOREVER, NULL);
	fl_barrier_reset(&b);
	FL_RC(fl_test_call_end(&c), -EPIPE);
	assert_false(fl_barrier_is_broken(&b));
	assert_int_equal(fl_barrier_waiting(&b), 0);
	assert_int_equal(gates_held(), 0);

	fl_barrier_abort(&b);
	fl_barrier_reset(&b);
	assert_false(fl_barrier_is_broken(&b));
	arrive(&c, &b, FL_FOREVER, NULL);
	FL_RC(fl_barrier_wait(&b), 1);
	FL_RC(fl_test_call_end(&c), 0);
}

/* While all gates are held, a phase needs none. The next phase looks for one again. */
FL_TEST(barrier_needs_no_gate)
{
	enum { WAIT, RESET, ABORT, ENDS };
	fl_barrier b = FL_BARRIER_INIT(2);
	fl_test_caller c;
	for (int i = 0; i < 2 * ENDS; i++) {
		const int end = i / 2, without = i % 2 == 0;
		for (size_t gate = 0; gate < FL__GATES; gate++)
			fl__store_relaxed(fl__lot_gate(gate), without ? FL__GATE_HELD : 0);
		arrive(&c, &b, FL_FOREVER, NULL);
		assert_int_equal(fl_barrier_waiting(&b), 1);
		assert_int_equal(gates_held(), without ? FL__GATES : 1);
		if (end == WAIT)
			FL_RC(fl_barrier_wait(&b), 1);
		else if (end == RESET)
			fl_barrier_reset(&b);
		else
			fl_barrier_abort(&b);
		FL_RC(fl_test_call_end(&c), end == WAIT ? 0 : -EPIPE);
		assert_int_equal(fl_barrier_is_broken(&b), end == ABORT);
		assert_int_equal(gates_held(), without ? FL__GATES : 0);
		if (end == ABORT)
			fl_barrier_reset(&b);
	}
}

FL_TEST(barrier_of_many_needs_no_gate)
{
	fl_barrier b = FL_BARRIER_INIT(512);
	fl_test_caller c;
	arrive(&c, &b, FL_FOREVER, NULL);
	assert_int_equal(gates_held(), 0);
	assert_int_equal(fl_barrier_waiting(&b), 1);
	fl_barrier_reset(&b);
	FL_RC(fl_test_call_end(&c), -EPIPE);
}

FL_TEST(barrier_of_none_panics_in_each_form)
{
	static fl_barrier b;
	FL_PANICS(FL_IGNORE(fl_barrier_wait(&b)));
	assert_ptr_equal(fl_test_panic.object, &b);
	FL_PANICS(FL_IGNORE(fl_barrier_wait_until(&b, FL_NO_WAIT, NULL)));
}

/* With an action. */

typedef struct acting {
	fl_barrier barrier;
	int calls;
	uint32_t waiting; /* enqueued parties, as the action sees them */
	bool aborts, holds;
	fl_event entered, open; /* of an action that waits */
} acting;

static void act(void *arg)
{
	acting *a = arg;
	a->calls++;
	a->waiting = fl_barrier_waiting(&a->barrier);
	if (a->holds) {
		fl_event_set(&a->entered);
		FL_OK(fl_event_wait_until(&a->open, FL_FOREVER, FL_SHIELDED));
	}
	if (a->aborts)
		fl_barrier_abort(&a->barrier);
}

static void acting_init(acting *a, uint32_t parties)
{
	*a = (acting){.calls = 0};
	FL_OK(fl_barrier_init_with_action(&a->barrier, parties, act, a));
}

/* One party is enqueued, as `first`; the other, `last`, runs the action, until it is released. */
static void hold_action(acting *a, fl_test_caller *first, fl_test_caller *last, fl_cancel_token *cancel)
{
	acting_init(a, 2);
	a->holds = true;
	arrive(first, &a->barrier, FL_FOREVER, cancel);
	fl_test_call_start(last, fl_test_arrive, &a->barrier, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_event_is_set(&a->entered));
	a->holds = false; /* the next time */
}

static void release_action(acting *a, fl_test_caller *first, fl_test_caller *last)
{
	fl_event_set(&a->open);
	FL_RC(fl_test_call_end(first), 0);
	FL_RC(fl_test_call_end(last), 1);
}

/*
 * The parties get the numbers of their arrivals, and none passes before the action has run, if any.
 */
FL_TEST(barrier_numbers_its_parties)
{
	enum { N = 4 };
	FL_BOTH (acts) {
		acting a = {.calls = 0};
		fl_test_caller callers[N - 1];
		FL_OK(fl_barrier_init_with_action(&a.barrier, N, acts ? act : NULL, &a));
		for (int turn = 1; turn <= 4; turn++) {
			for (unsigned i = 0; i < N - 1; i++) {
				assert_int_equal(fl_barrier_waiting(&a.barrier), i);
				arrive(&callers[i], &a.barrier, FL_FOREVER, NULL);
			}
			assert_int_equal(a.calls, acts * (turn - 1));
			FL_RC(fl_barrier_wait(&a.barrier), N - 1);
			assert_int_equal(a.calls, acts * turn);
			assert_int_equal(a.waiting, acts * (N - 1)); /* all other parties were there */
			assert_int_equal(fl_barrier_waiting(&a.barrier), 0);
			for (int i = 0; i < N - 1; i++)
				FL_RC(fl_test_call_end(&callers[i]), i);
		}
	}
}

FL_TEST(barrier_of_one_never_waits)
{
	FL_BOTH (acts) {
		acting a = {.calls = 0};
		FL_OK(fl_barrier_init_with_action(&a.barrier, 1, acts ? act : NULL, &a));
		FL_RC(fl_barrier_wait(&a.barrier), 0);
		FL_RC(fl_barrier_wait_until(&a.barrier, FL_NO_WAIT, NULL), 0);
		assert_int_equal(a.calls, acts * 2);
		assert_int_equal(a.waiting, 0);
	}
}

FL_TEST(barrier_without_an_action_may_be_made_so)
{
	fl_barrier b, fixed = FL_BARRIER_INIT(1);
	memset(&b, 0xff, sizeof b);
	FL_OK(fl_barrier_init_with_action(&b, 1, NULL, NULL));
	assert_memory_equal(&b, &fixed, sizeof b);
	FL_RC(fl_barrier_wait(&b), 0);
}

FL_TEST(barrier_action_that_aborts_fails_its_phase)
{
	acting a;
	fl_test_caller c;
	acting_init(&a, 2);
	a.aborts = true;
	arrive(&c, &a.barrier, FL_FOREVER, NULL);
	FL_RC(fl_barrier_wait(&a.barrier), -EPIPE);
	FL_RC(fl_test_call_end(&c), -EPIPE);
	assert_true(fl_barrier_is_broken(&a.barrier));
	FL_RC(fl_barrier_wait(&a.barrier), -EPIPE);
	assert_int_equal(a.calls, 1);

	a.aborts = false;
	fl_barrier_reset(&a.barrier);
	arrive(&c, &a.barrier, FL_FOREVER, NULL);
	FL_RC(fl_barrier_wait(&a.barrier), 1);
	FL_RC(fl_test_call_end(&c), 0);
	assert_int_equal(a.calls, 2);
}

static void exit_thread(void *unused)
{
	pthread_exit(NULL);
}

static int runs_the_action(void *b)
{
	return fl_barrier_wait(b);
}

FL_TEST(barrier_action_that_ends_its_thread_fails_its_phase)
{
	fl_barrier b;
	fl_test_caller c;
	fl_thread *last = NULL;
	int result;
	FL_OK(fl_barrier_init_with_action(&b, 2, exit_thread, NULL));
	arrive(&c, &b, FL_FOREVER, NULL);
	fl_test_go(&last, runs_the_action, &b);
	FL_RC(fl_test_call_end(&c), -EPIPE);
	FL_OK(fl_thread_join(last, &result));
	FL_RC(result, -ECANCELED);
	assert_true(fl_barrier_is_broken(&b));
}

FL_TEST(barrier_of_one_with_an_aborting_action)
{
	acting a = {.aborts = true};
	FL_OK(fl_barrier_init_with_action(&a.barrier, 1, act, &a));
	FL_RC(fl_barrier_wait(&a.barrier), -EPIPE);
	FL_RC(fl_barrier_wait(&a.barrier), -EPIPE);
	assert_int_equal(a.calls, 1);
}

/* The phase is complete when the action begins: a cancel that comes then breaks nothing. */
FL_TEST(barrier_action_is_awaited_by_a_cancelled_party)
{
	acting a;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller first, last;
	hold_action(&a, &first, &last, &stop);
	fl_cancel_token_request(&stop);
	FL_WAIT_FOR(fl_test_queued(&stop) == 0); /* it knows */
	assert_false(fl_barrier_is_broken(&a.barrier));
	release_action(&a, &first, &last);
	assert_false(fl_barrier_is_broken(&a.barrier));
}

/* The waiter's deadline passes: it sleeps in the same queue again, without a deadline. */
FL_TEST(barrier_action_is_awaited_by_an_expired_party)
{
	FL_FAULTS();
	fl_test_clock_ours();
	acting a;
	fl_test_caller first, last;
	acting_init(&a, 2);
	a.holds = true;
	arrive(&first, &a.barrier, fl_after(FL_S(1000)), NULL);
	fl_test_call_start(&last, fl_test_arrive, &a.barrier, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_event_is_set(&a.entered));
	fl__store_relaxed(&fl_test_ahead, FL_S(1000));
	for (int i = 0; i < 100; i++) { /* it checks the clock */
		assert_int_equal(fl_test_nudge(&a.barrier), 1);
		fl__sys.yield();
	}
	release_action(&a, &first, &last);
	assert_false(fl_barrier_is_broken(&a.barrier));
}

FL_TEST(barrier_action_is_cut_by_an_abort_or_a_reset)
{
	FL_BOTH (resets) {
		acting a;
		fl_test_caller first, last, next;
		hold_action(&a, &first, &last, NULL);
		if (resets)
			fl_barrier_reset(&a.barrier);
		else
			fl_barrier_abort(&a.barrier);
		FL_RC(fl_test_call_end(&first), -EPIPE); /* while the action runs */
		assert_int_equal(fl_barrier_is_broken(&a.barrier), !resets);
		fl_barrier_reset(&a.barrier);
		/* The next phase does not begin before the action has returned. */
		arrive(&next, &a.barrier, FL_FOREVER, NULL);
		assert_int_equal(fl_barrier_waiting(&a.barrier), 0);
		fl_event_set(&a.open);
		FL_RC(fl_test_call_end(&last), -EPIPE);
		FL_WAIT_FOR(fl_barrier_waiting(&a.barrier) == 1);
		FL_RC(fl_barrier_wait(&a.barrier), 1);
		FL_RC(fl_test_call_end(&next), 0);
		assert_int_equal(a.calls, 2);
	}
}

FL_TEST(barrier_action_keeps_late_ones_for_the_next_phase)
{
	acting a;
	fl_test_caller first, last, late;
	hold_action(&a, &first, &last, NULL);
	arrive(&late, &a.barrier, FL_FOREVER, NULL);
	assert_int_equal(fl_test_queued(&a.barrier), 2);
	assert_int_equal(fl_barrier_waiting(&a.barrier), 1);
	release_action(&a, &first, &last);
	FL_WAIT_FOR(fl_barrier_waiting(&a.barrier) == 1);
	FL_RC(fl_barrier_wait(&a.barrier), 1);
	FL_RC(fl_test_call_end(&late), 0);
	assert_int_equal(a.calls, 2);
}

/* It breaks the next phase, and not the complete one. */
FL_TEST(barrier_action_late_one_that_gives_up)
{
	acting a;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller first, last, late, other;
	hold_action(&a, &first, &last, NULL);
	arrive(&late, &a.barrier, FL_FOREVER, &stop);
	arrive(&other, &a.barrier, FL_FOREVER, NULL);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&late), -ECANCELED);
	FL_RC(fl_test_call_end(&other), -EPIPE);
	assert_true(fl_barrier_is_broken(&a.barrier));
	FL_RC(fl_barrier_wait_until(&a.barrier, FL_NO_WAIT, NULL), -EPIPE);
	assert_int_equal(fl_test_queued(&a.barrier), 1);
	release_action(&a, &first, &last);

	fl_barrier_reset(&a.barrier);
	FL_RC(fl_barrier_wait_until(&a.barrier, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(a.calls, 1);
}
