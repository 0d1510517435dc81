/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_queued.h"
#include "fl_test.h"

static void arrive(fl_test_caller *c, fl_barrier *b, int64_t deadline, fl_cancel_token *cancel)
{
	fl_test_call_queued(c, fl_test_arrive, b, b, deadline, cancel);
}

FL_TEST(barrier_init_takes_1_to_int_max)
{
	fl_barrier b, fixed = FL_BARRIER_INIT(3);
	FL_RC(fl_barrier_init(&b, 0), -EINVAL);
	FL_RC(fl_barrier_init(&b, (uint32_t)INT_MAX + 1), -EINVAL);
	FL_OK(fl_barrier_init(&b, INT_MAX));
	memset(&b, 0xff, sizeof b);
	FL_OK(fl_barrier_init(&b, 3));
	assert_memory_equal(&b, &fixed, sizeof b);
	assert_int_equal(fl_barrier_waiting(&b), 0);
	assert_false(fl_barrier_is_broken(&b));
	FL_OK(fl_barrier_destroy(&b));
}

FL_TEST(barrier_of_one_never_waits)
{
	fl_barrier b = FL_BARRIER_INIT(1);
	FL_RC(fl_barrier_wait(&b), 0);
	FL_RC(fl_barrier_try_wait(&b), 0);
	FL_RC(fl_barrier_wait_until(&b, 0, NULL), 0);
}

FL_TEST(barrier_numbers_its_parties)
{
	enum { N = 4 };
	fl_barrier b = FL_BARRIER_INIT(N);
	fl_test_caller callers[N - 1];
	for (int turn = 0; turn < 3; turn++) {
		for (unsigned i = 0; i < N - 1; i++) {
			assert_int_equal(fl_barrier_waiting(&b), i);
			FL_RC(fl_barrier_try_wait(&b), -EAGAIN);
			arrive(&callers[i], &b, FL_FOREVER, NULL);
		}
		FL_RC(fl_barrier_destroy(&b), -EBUSY);
		if (turn % 2)
			FL_RC(fl_barrier_try_wait(&b), N - 1);
		else
			FL_RC(fl_barrier_wait(&b), N - 1);
		assert_int_equal(fl_barrier_waiting(&b), 0);
		for (int i = 0; i < N - 1; i++)
			FL_RC(fl_test_call_end(&callers[i]), i);
		FL_OK(fl_barrier_destroy(&b));
	}
}

FL_TEST(barrier_breaks_when_a_waiter_times_out)
{
	fl_barrier b = FL_BARRIER_INIT(3);
	fl_test_caller other;
	arrive(&other, &b, FL_FOREVER, NULL);
	FL_RC(fl_barrier_wait_until(&b, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_test_call_end(&other), -EPIPE);
	assert_true(fl_barrier_is_broken(&b));
	assert_int_equal(fl_barrier_waiting(&b), 0);
	FL_RC(fl_barrier_wait(&b), -EPIPE);
	FL_RC(fl_barrier_try_wait(&b), -EPIPE);
	FL_RC(fl_barrier_wait_until(&b, FL_FOREVER, NULL), -EPIPE);
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
	for (int i = 0; i < N; i++)
		arrive(&callers[i], &b, FL_FOREVER, NULL);
	fl_barrier_abort(&b);
	for (int i = 0; i < N; i++)
		FL_RC(fl_test_call_end(&callers[i]), -EPIPE);
	assert_true(fl_barrier_is_broken(&b));
	FL_RC(fl_barrier_wait(&b), -EPIPE);
	fl_barrier_abort(&b);
	FL_OK(fl_barrier_destroy(&b));
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

	fl_barrier_abort(&b);
	fl_barrier_reset(&b);
	assert_false(fl_barrier_is_broken(&b));
	arrive(&c, &b, FL_FOREVER, NULL);
	FL_RC(fl_barrier_wait(&b), 1);
	FL_RC(fl_test_call_end(&c), 0);
}

/* A wait that is complete stays complete, even if the barrier breaks before its parties run. */
FL_TEST(barrier_complete_wait_stays_complete)
{
	enum { N = 4 };
	fl_barrier b = FL_BARRIER_INIT(N);
	fl_test_caller callers[N - 1];
	for (int i = 0; i < N - 1; i++)
		arrive(&callers[i], &b, FL_FOREVER, NULL);
	FL_RC(fl_barrier_wait(&b), N - 1);
	fl_barrier_abort(&b);
	for (int i = 0; i < N - 1; i++)
		FL_RC(fl_test_call_end(&callers[i]), i);
}

/*
 * Its deadline has passed, and before it can report that the last party lets it through: it has
 * passed. The waiter is held in between, at the wait queue of its token, whose bucket this thread
 * locks.
 */
static bool has_given_up(const void *key)
{
	bool result = false;
	struct fl__wait wait;
	struct fl__lot lot;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	struct fl__node mine = FL__NODE(&wait);
	fl__lot_open(&lot, key);
	fl__lot_add(&lot, &mine);
	if (mine.next != &mine)
		result = fl__load_acquire(&mine.next->wait->decision) == FL__GAVE_UP;
	fl__lot_remove(&lot, &mine);
	fl__lot_close(&lot);
	return result;
}

static struct fl__bucket *bucket_of(const void *key)
{
	struct fl__lot lot;
	fl__lot_open(&lot, key);
	fl__lot_close(&lot);
	return lot.bucket;
}

FL_TEST(barrier_timeout_of_one_that_was_let_through)
{
	FL_FAULTS();
	fl_test_clock_ours();
	fl_barrier b = FL_BARRIER_INIT(2);
	fl_cancel_token tokens[8];
	memset(tokens, 0, sizeof tokens);
	fl_cancel_token *token = tokens;
	while (bucket_of(token) == bucket_of(&b))
		token++;
	fl_test_caller c;
	struct fl__lot held;
	fl_test_call_queued(&c, fl_test_arrive, &b, token, fl_after(FL_S(1000)), token);
	fl__lot_open(&held, token);
	fl__store_relaxed(&fl_test_ahead, FL_S(1000));
	FL_WAIT_FOR(fl_test_nudge(&b) == 1 && has_given_up(&b));
	int mine = fl_barrier_wait(&b);
	fl__lot_close(&held);
	FL_RC(fl_test_call_end(&c), 0);
	assert_int_equal(mine, 1);
	assert_false(fl_barrier_is_broken(&b));
}

FL_TEST(barrier_of_none_panics_in_each_form)
{
	static fl_barrier b;
	FL_PANICS(FL_IGNORE(fl_barrier_wait(&b)));
	assert_ptr_equal(fl_test_panic.object, &b);
	FL_PANICS(FL_IGNORE(fl_barrier_try_wait(&b)));
	FL_PANICS(FL_IGNORE(fl_barrier_wait_until(&b, 0, NULL)));
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

FL_TEST(barrier_action_runs_once_before_any_party_passes)
{
	enum { N = 3 };
	acting a;
	FL_RC(fl_barrier_init_with_action(&a.barrier, 0, act, &a), -EINVAL);
	FL_RC(fl_barrier_init_with_action(&a.barrier, (uint32_t)INT_MAX + 1, act, &a), -EINVAL);
	acting_init(&a, N);
	fl_test_caller callers[N - 1];
	for (int turn = 1; turn <= 4; turn++) {
		for (int i = 0; i < N - 1; i++) {
			arrive(&callers[i], &a.barrier, FL_FOREVER, NULL);
			assert_int_equal(a.calls, turn - 1);
		}
		if (turn % 2)
			FL_RC(fl_barrier_try_wait(&a.barrier), N - 1);
		else
			FL_RC(fl_barrier_wait(&a.barrier), N - 1);
		assert_int_equal(a.calls, turn);
		assert_int_equal(a.waiting, N - 1); /* all other parties were there */
		for (int i = 0; i < N - 1; i++)
			FL_RC(fl_test_call_end(&callers[i]), i);
		assert_int_equal(fl_barrier_waiting(&a.barrier), 0);
		FL_OK(fl_barrier_destroy(&a.barrier));
	}
}

FL_TEST(barrier_action_of_one_party)
{
	acting a;
	acting_init(&a, 1);
	FL_RC(fl_barrier_wait(&a.barrier), 0);
	FL_RC(fl_barrier_try_wait(&a.barrier), 0);
	FL_RC(fl_barrier_wait_until(&a.barrier, 0, NULL), 0);
	assert_int_equal(a.calls, 3);
	assert_int_equal(a.waiting, 0);
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
	fl_thread last = {NULL};
	int result;
	FL_OK(fl_barrier_init_with_action(&b, 2, exit_thread, NULL));
	arrive(&c, &b, FL_FOREVER, NULL);
	fl_test_go(&last, runs_the_action, &b);
	FL_RC(fl_test_call_end(&c), -EPIPE);
	FL_OK(fl_thread_join(&last, &result));
	FL_RC(result, -ECANCELED);
	assert_true(fl_barrier_is_broken(&b));
	FL_OK(fl_barrier_destroy(&b));
}

FL_TEST(barrier_of_one_with_an_aborting_action)
{
	acting a = {.aborts = true};
	FL_OK(fl_barrier_init_with_action(&a.barrier, 1, act, &a));
	FL_RC(fl_barrier_try_wait(&a.barrier), -EPIPE);
	FL_RC(fl_barrier_try_wait(&a.barrier), -EPIPE);
	assert_int_equal(a.calls, 1);
	FL_OK(fl_barrier_destroy(&a.barrier));
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
	FL_RC(fl_barrier_destroy(&a.barrier), -EBUSY);
	assert_false(fl_barrier_is_broken(&a.barrier));
	fl_event_set(&a.open);
	FL_RC(fl_test_call_end(&first), 0);
	FL_RC(fl_test_call_end(&last), 1);
	assert_false(fl_barrier_is_broken(&a.barrier));
	FL_OK(fl_barrier_destroy(&a.barrier));
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
	fl_event_set(&a.open);
	FL_RC(fl_test_call_end(&first), 0);
	FL_RC(fl_test_call_end(&last), 1);
	assert_false(fl_barrier_is_broken(&a.barrier));
}

FL_TEST(barrier_action_is_cut_by_an_abort_or_a_reset)
{
	for (int resets = 0; resets < 2; resets++) {
		acting a;
		fl_test_caller first, last, next;
		hold_action(&a, &first, &last, NULL);
		if (resets)
			fl_barrier_reset(&a.barrier);
		else
			fl_barrier_abort(&a.barrier);
		FL_RC(fl_test_call_end(&first), -EPIPE); /* while the action runs */
		assert_int_equal(fl_barrier_is_broken(&a.barrier), !resets);
		FL_RC(fl_barrier_destroy(&a.barrier), -EBUSY);
		FL_RC(fl_barrier_try_wait(&a.barrier), resets ? -EAGAIN : -EPIPE);
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
		FL_OK(fl_barrier_destroy(&a.barrier));
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
	FL_RC(fl_barrier_try_wait(&a.barrier), -EAGAIN);
	FL_RC(fl_barrier_destroy(&a.barrier), -EBUSY);
	fl_event_set(&a.open);
	FL_RC(fl_test_call_end(&first), 0);
	FL_RC(fl_test_call_end(&last), 1);
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
	FL_RC(fl_barrier_wait_until(&a.barrier, 0, NULL), -EPIPE);
	assert_int_equal(fl_test_queued(&a.barrier), 1);
	fl_event_set(&a.open);
	FL_RC(fl_test_call_end(&first), 0);
	FL_RC(fl_test_call_end(&last), 1);

	fl_barrier_reset(&a.barrier);
	FL_RC(fl_barrier_wait_until(&a.barrier, 0, NULL), -ETIMEDOUT);
	assert_int_equal(a.calls, 1);
}
