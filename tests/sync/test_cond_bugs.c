/* SPDX-License-Identifier: BSD-2-Clause */
/* Bugs that other condition variables had, by the name that they have among us. */
#include "fl_queued.h"
#include "fl_test.h"

typedef struct board {
	fl_mutex mutex;
	fl_cond cond;
	unsigned tokens, done;
	unsigned rounds;
} board;

static int wait_plainly(void *arg, int64_t deadline, fl_cancel_token *cancel)
{
	board *b = arg;
	FL_LOCKED(&b->mutex);
	return fl_cond_wait_until(&b->cond, &b->mutex, deadline, cancel);
}

/* glibc 25847: a signal is for a waiter that waited when it was given, not for a later one. */
FL_TEST(cv_signal_stealing)
{
	for (unsigned i = 0; i < fl_test_scaled(200); i++) {
		board b = {.mutex = FL_MUTEX_INIT};
		fl_test_caller early, late;
		fl_test_call_queued(&early, wait_plainly, &b, &b.cond, FL_FOREVER, NULL);
		fl_cond_signal(&b.cond);
		fl_test_call_queued(&late, wait_plainly, &b, &b.cond, FL_FOREVER, NULL);
		FL_OK(fl_test_call_end(&early));
		assert_int_equal(fl_test_queued(&b.cond), 1);
		fl_cond_signal(&b.cond);
		FL_OK(fl_test_call_end(&late));
	}
}

/*
 * The program of that report, in short: waiters take turns, each round signals once for each
 * waiter, and an incomplete round hangs.
 */
static int take_rounds(void *arg)
{
	board *b = arg;
	for (unsigned i = 0; i < b->rounds; i++) {
		FL_LOCKED(&b->mutex);
		while (b->tokens == 0)
			FL_CHECK(fl_cond_wait(&b->cond, &b->mutex) == 0);
		b->tokens--;
		b->done++;
	}
	return 0;
}

FL_TEST(cv_signal_stealing_under_load)
{
	enum { TAKERS = 4 };
	board b = {.mutex = FL_MUTEX_INIT, .rounds = fl_test_scaled(2500)};
	fl_thread takers[TAKERS];
	for (int i = 0; i < TAKERS; i++)
		fl_test_go(&takers[i], take_rounds, &b);
	for (unsigned i = 0; i < TAKERS * b.rounds; i++) {
		fl_mutex_lock(&b.mutex);
		b.tokens++;
		if (i % 2)
			fl_cond_signal(&b.cond);
		fl_mutex_unlock(&b.mutex);
		if (i % 2 == 0)
			fl_cond_signal(&b.cond);
	}
	for (int i = 0; i < TAKERS; i++)
		fl_test_end(&takers[i]);
	assert_int_equal(b.done, TAKERS * b.rounds);
	assert_int_equal(b.tokens, 0);
}

/*
 * nsync 215217c: a broadcast, or a signal, while the mutex is free must not leave the woken waiters
 * asleep on it.
 */
FL_TEST(cv_requeue_unheld)
{
	enum { N = 6 };
	board b = {.mutex = FL_MUTEX_INIT};
	fl_test_caller callers[N];
	for (int i = 0; i < N; i++)
		fl_test_call_queued(&callers[i], wait_plainly, &b, &b.cond, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_test_asleep(&b.cond) == N && !fl_mutex_is_locked(&b.mutex));
	fl_cond_broadcast(&b.cond);
	for (int i = 0; i < N; i++)
		FL_OK(fl_test_call_end(&callers[i]));
	FL_OK(fl_mutex_destroy(&b.mutex));
}

/*
 * musl 27b2fc9d: a thread that locks the mutex and waits on the condition between a broadcast and
 * the woken waiters must not take the wake that moves them from the mutex to their return.
 */
FL_TEST(cv_requeue_wake_eaten)
{
	enum { N = 4 };
	for (unsigned round = 0; round < fl_test_scaled(100); round++) {
		board b = {.mutex = FL_MUTEX_INIT};
		fl_test_caller callers[N], again;
		for (int i = 0; i < N; i++)
			fl_test_call_queued(&callers[i], wait_plainly, &b, &b.cond, FL_FOREVER, NULL);
		fl_mutex_lock(&b.mutex);
		fl_cond_broadcast(&b.cond);
		fl_test_call_start(&again, wait_plainly, &b, FL_FOREVER, NULL);
		FL_WAIT_FOR(fl_test_queued(&b.mutex) > 0);
		fl_mutex_unlock(&b.mutex);
		for (int i = 0; i < N; i++)
			FL_OK(fl_test_call_end(&callers[i]));
		FL_WAIT_FOR(fl_test_queued(&b.cond) == 1);
		fl_cond_signal(&b.cond);
		FL_OK(fl_test_call_end(&again));
		FL_OK(fl_mutex_destroy(&b.mutex));
	}
}

/*
 * abseil aac2279f: waiters with deadlines that pass while they are signalled. Each ends, and a
 * signalled token is not left while a waiter waits for it.
 */
static bool has_token(void *arg)
{
	return ((board *)arg)->tokens > 0;
}

static int take_by_deadlines(void *arg)
{
	board *b = arg;
	for (unsigned i = 0, taken = 0; taken < b->rounds; i++) {
		FL_LOCKED(&b->mutex);
		int64_t deadline = fl_after(FL_US(i % 5));
		int rc = fl_cond_wait_for_until(&b->cond, &b->mutex, has_token, b, deadline, NULL);
		FL_CHECK(rc == 0 || rc == -ETIMEDOUT);
		FL_CHECK(rc == 0 || b->tokens == 0);
		if (rc != 0)
			continue;
		b->tokens--;
		taken++;
	}
	return 0;
}

FL_TEST(cv_timeout_vs_signal_livelock)
{
	enum { TAKERS = 3 };
	board b = {.mutex = FL_MUTEX_INIT, .rounds = fl_test_scaled(3000)};
	fl_thread takers[TAKERS];
	for (int i = 0; i < TAKERS; i++)
		fl_test_go(&takers[i], take_by_deadlines, &b);
	for (unsigned i = 0; i < TAKERS * b.rounds; i++) {
		FL_LOCKED(&b.mutex);
		b.tokens++;
		fl_cond_signal(&b.cond);
	}
	for (int i = 0; i < TAKERS; i++)
		fl_test_end(&takers[i]);
	assert_int_equal(b.tokens, 0);
	assert_int_equal(fl_test_queued(&b.cond), 0);
}

/*
 * A waiter that gives up has consumed no signal: of a waiter with a deadline and one without, one
 * signal always frees one.
 */
static int wait_and_tell(void *arg, int64_t deadline, fl_cancel_token *cancel)
{
	board *b = arg;
	FL_LOCKED(&b->mutex);
	fl__add_relaxed(&b->done, 1);
	return fl_cond_wait_until(&b->cond, &b->mutex, deadline, cancel);
}

static bool both_wait_or_have(board *b)
{
	FL_LOCKED(&b->mutex);
	return b->done == 2;
}

FL_TEST(cond_signal_against_timeout_is_never_lost)
{
	for (unsigned i = 0; i < fl_test_scaled(300); i++) {
		board b = {.mutex = FL_MUTEX_INIT};
		fl_test_caller patient, brief;
		int64_t deadline = fl_after(FL_US(200 + i));
		fl_test_call_start(&brief, wait_and_tell, &b, deadline, NULL);
		fl_test_call_start(&patient, wait_and_tell, &b, FL_FOREVER, NULL);
		FL_WAIT_FOR(both_wait_or_have(&b) && fl_now() >= deadline);
		fl_cond_signal(&b.cond);
		int rc = fl_test_call_end(&brief);
		if (rc == 0) {
			assert_int_equal(fl_test_queued(&b.cond), 1);
			fl_cond_signal(&b.cond);
		} else {
			FL_RC(rc, -ETIMEDOUT);
		}
		FL_OK(fl_test_call_end(&patient));
	}
}
