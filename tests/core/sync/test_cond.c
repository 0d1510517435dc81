/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_queued.h"

enum { APART = 4 }; /* lib/core/sync/cond.c */

typedef struct board {
	fl_mutex mutex;
	fl_cond cond;
	unsigned tokens;
	unsigned order[16], woken;
} board;

FL_CALL(wait_on)
{
	board *b = object;
	FL_LOCKED(&b->mutex);
	int rc = fl_cond_wait_until(&b->cond, &b->mutex, deadline, cancel);
	FL_CHECK(fl_mutex_is_locked(&b->mutex));
	return rc;
}

static int wait_in_turn(void *arg, fl_time number, fl_cancel_token *cancel)
{
	board *b = arg;
	FL_LOCKED(&b->mutex);
	int rc = fl_cond_wait(&b->cond, &b->mutex);
	b->order[b->woken++] = (unsigned)number.ns;
	return rc;
}

/* They wait in their order. */
static void queue_up(fl_test_caller *callers, int n, board *b)
{
	for (int i = 0; i < n; i++)
		fl_test_call_queued(&callers[i], wait_in_turn, b, &b->cond, FL__TIME(i), NULL);
}

static void signal_locked(board *b)
{
	FL_LOCKED(&b->mutex);
	fl_cond_signal(&b->cond);
}

FL_TEST(cond_signal_wakes_one_in_order)
{
	enum { N = 5 };
	board b = {.mutex = FL_MUTEX_INIT};
	fl_test_caller callers[N];
	queue_up(callers, N, &b);
	FL_EACH (i, callers) {
		if (i % 2)
			signal_locked(&b);
		else
			fl_cond_signal(&b.cond); /* without the mutex is as good */
		FL_OK(fl_test_call_end(&callers[i]));
		assert_int_equal(fl_test_queued(&b.cond), N - 1 - i);
		assert_int_equal(b.woken, i + 1);
		assert_int_equal(b.order[i], i);
	}
	assert_int_equal(b.cond.word_, APART);
}

FL_TEST(cond_signal_n_wakes_at_most_n_in_order)
{
	enum { N = 7 };
	static const size_t signals[] = {0, 2, 1, 3, 5};
	board b = {.mutex = FL_MUTEX_INIT};
	fl_test_caller callers[N];
	queue_up(callers, N, &b);
	unsigned woken = 0;
	FL_EACH (i, signals) {
		const unsigned before = woken;
		fl_cond_signal_n(&b.cond, signals[i]);
		woken += signals[i] < N - woken ? (unsigned)signals[i] : N - woken;
		assert_int_equal(fl_test_queued(&b.cond), N - woken);
		for (unsigned each = before; each < woken; each++) {
			FL_OK(fl_test_call_end(&callers[each]));
			assert_int_equal(b.order[each], each);
		}
	}
	assert_int_equal(woken, N);
	assert_int_equal(b.cond.word_, APART);
	fl_cond_signal_n(&b.cond, 1); /* no context waits */
}

FL_TEST(cond_signal_without_waiters_is_forgotten)
{
	board b = {.mutex = FL_MUTEX_INIT};
	fl_cond_signal(&b.cond);
	fl_cond_broadcast(&b.cond);
	FL_LOCKED(&b.mutex);
	FL_RC(fl_cond_wait_until(&b.cond, &b.mutex, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_cond_signal(&b.cond);
	FL_RC(fl_cond_wait_until(&b.cond, &b.mutex, fl_test_soon(), NULL), -ETIMEDOUT);
}

FL_TEST(cond_broadcast_wakes_all_that_wait)
{
	enum { N = 8 };
	FL_BOTH (locked) {
		board b = {.mutex = FL_MUTEX_INIT};
		fl_test_caller callers[N];
		queue_up(callers, N, &b);
		if (locked)
			fl_mutex_lock(&b.mutex);
		fl_cond_broadcast(&b.cond);
		assert_int_equal(fl_test_queued(&b.cond), 0);
		if (locked) {
			assert_int_equal(b.woken, 0);
			fl_mutex_unlock(&b.mutex);
		}
		fl_test_calls_end(callers, N);
		assert_int_equal(b.woken, N);
	}
}

static unsigned wakes; /* system calls of this thread */
static pthread_t waker;

static int count_wakes(const uint32_t *word, int n)
{
	if (pthread_equal(pthread_self(), waker))
		wakes++;
	return fl_test_real_sys.futex_wake(word, n);
}

static void begin_sleeps(fl_test_caller *callers, int n, board *b)
{
	queue_up(callers, n, b);
	FL_WAIT_FOR(fl_test_asleep(&b->cond) == (size_t)n);
	b->woken = 0;
	wakes = 0;
}

/* From the second broadcast on one system call wakes all, once the mutex is free. */
FL_TEST(cond_broadcasts_wake_by_one_call)
{
	enum { N = 5 };
	FL_FAULTS();
	fl__sys.futex_wake = count_wakes;
	waker = pthread_self();
	board b = {.mutex = FL_MUTEX_INIT};
	fl_test_caller callers[N];
	for (int round = 0; round < 4; round++) {
		begin_sleeps(callers, N, &b);
		const bool locked = round % 2;
		if (locked)
			fl_mutex_lock(&b.mutex);
		fl_cond_broadcast(&b.cond);
		if (locked) {
			assert_int_equal(wakes, 0);
			fl_mutex_unlock(&b.mutex);
		}
		assert_int_equal(wakes, 1); /* in the first round, of one waiter */
		fl_test_calls_end(callers, N);
		assert_int_equal(b.woken, N);
		assert_int_equal(fl_test_queued(&b.mutex), 0);
		assert_int_equal(b.mutex.word_, 0);
	}
}

static bool is_shared(void *cond)
{
	struct fl__lot lot;
	fl__lot_open(&lot, cond);
	const struct fl__node *first = fl__lot_first(&lot);
	const bool shared = fl__wait_futex(first->wait) == fl__wait_futex(first->next->wait);
	fl__lot_close(&lot);
	return shared;
}

/* A signal reaches one of those that share a futex; later waiters share none. */
FL_TEST(cond_signal_after_broadcasts_wakes_one)
{
	enum { N = 3 };
	board b = {.mutex = FL_MUTEX_INIT};
	fl_test_caller callers[N];
	for (int round = 0; round < 4; round++) {
		begin_sleeps(callers, N, &b);
		assert_int_equal(is_shared(&b.cond), round == 1 || round == 2);
		if (round < 2) {
			fl_cond_broadcast(&b.cond);
			fl_test_calls_end(callers, N);
			continue;
		}
		FL_EACH (i, callers) {
			fl_cond_signal(&b.cond);
			FL_OK(fl_test_call_end(&callers[i]));
			assert_int_equal(b.woken, i + 1);
			assert_int_equal(fl_test_queued(&b.cond), N - 1 - i);
		}
	}
}

/* Taking the mutex again is neither timed nor cancelled. */
FL_TEST(cond_wait_takes_the_mutex_again_whatever_happens)
{
	FL_FAULTS();
	fl_test_clock_ours();
	board b = {.mutex = FL_MUTEX_INIT};
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller cancelled, late;
	fl_test_call_queued(&cancelled, wait_on, &b, &b.cond, FL_FOREVER, &stop);
	fl_test_call_queued(&late, wait_on, &b, &b.cond, fl_after(FL_S(1000)), NULL);
	fl_mutex_lock(&b.mutex);
	fl_cancel_token_request(&stop);
	fl__store_relaxed(&fl_test_ahead, FL_S(1000));
	FL_WAIT_FOR(fl_test_nudge(&b.cond) == 0 && fl_test_queued(&b.mutex) == 2);
	assert_true(fl_thread_is_alive(cancelled.thread) && fl_thread_is_alive(late.thread));
	fl_mutex_unlock(&b.mutex);
	FL_RC(fl_test_call_end(&cancelled), -ECANCELED);
	FL_RC(fl_test_call_end(&late), -ETIMEDOUT);
}

FL_TEST(cond_destroy_of_a_busy_one)
{
	board b = {.mutex = FL_MUTEX_INIT};
	fl_test_caller c;
	fl_test_call_queued(&c, wait_on, &b, &b.cond, FL_FOREVER, NULL);
	FL_CHECK(fl__cond_is_busy(&b.cond));
	fl_cond_signal(&b.cond);
	FL_CHECK(!fl__cond_is_busy(&b.cond)); /* woken, even if it has not returned */
	FL_OK(fl_test_call_end(&c));
}

/* Detectable misuse; afterwards no waiter is enqueued. */
FL_TEST(cond_wait_without_the_mutex_panics)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_cond c = FL_COND_INIT;
	FL_PANICS(FL_IGNORE(fl_cond_wait(&c, &m)));
	assert_int_equal(fl_test_queued(&c), 0);
	FL_PANICS(FL_IGNORE(fl_cond_wait_until(&c, &m, FL_FOREVER, NULL)));
	assert_int_equal(fl_test_queued(&c), 0);
	FL_CHECK(!fl__cond_is_busy(&c));
	assert_false(fl_mutex_is_locked(&m));
}

/* Predicates. */
static bool has_token(void *arg)
{
	board *b = arg;
	FL_CHECK(fl_mutex_is_locked(&b->mutex));
	b->woken++;
	return b->tokens > 0;
}

FL_CALL(take_token)
{
	board *b = object;
	FL_LOCKED(&b->mutex);
	int rc = fl_cond_wait_for_until(&b->cond, &b->mutex, has_token, b, deadline, cancel);
	if (rc == 0)
		b->tokens--;
	return rc;
}

FL_CALL(take_token_plainly)
{
	board *b = object;
	FL_LOCKED(&b->mutex);
	int rc = fl_cond_wait_for(&b->cond, &b->mutex, has_token, b);
	if (rc == 0)
		b->tokens--;
	return rc;
}

static void put_tokens(board *b, unsigned n)
{
	FL_LOCKED(&b->mutex);
	b->tokens += n;
	fl_cond_broadcast(&b->cond);
}

FL_TEST(cond_wait_for_looks_first)
{
	board b = {.mutex = FL_MUTEX_INIT, .tokens = 1};
	FL_LOCKED(&b.mutex);
	FL_OK(fl_cond_wait_for(&b.cond, &b.mutex, has_token, &b));
	FL_OK(fl_cond_wait_for_until(&b.cond, &b.mutex, has_token, &b, FL_NO_WAIT, fl_test_requested));
	assert_int_equal(b.woken, 2);
}

FL_TEST(cond_wait_for_waits_until_it_holds)
{
	board b = {.mutex = FL_MUTEX_INIT};
	fl_test_caller timed, plain;
	fl_test_call_queued(&plain, take_token_plainly, &b, &b.cond, FL_FOREVER, NULL);
	fl_test_call_queued(&timed, take_token, &b, &b.cond, FL_FOREVER, NULL);
	put_tokens(&b, 0);
	FL_WAIT_FOR(fl_test_queued(&b.cond) == 2); /* woken spuriously, both are back */
	put_tokens(&b, 2);
	FL_OK(fl_test_call_end(&plain));
	FL_OK(fl_test_call_end(&timed));
	assert_int_equal(b.tokens, 0);
	assert_true(b.woken >= 6);
}

/* It came to hold at the moment of the timeout: that is success. */
static bool holds_the_second_time(void *looks)
{
	return ++*(unsigned *)looks == 2;
}

FL_TEST(cond_wait_for_looks_once_more)
{
	board b = {.mutex = FL_MUTEX_INIT};
	unsigned looks = 0;
	FL_LOCKED(&b.mutex);
	FL_OK(fl_cond_wait_for_until(&b.cond, &b.mutex, holds_the_second_time, &looks, FL_NO_WAIT, NULL));
	looks = 0;
	FL_OK(fl_cond_wait_for_until(&b.cond, &b.mutex, holds_the_second_time, &looks, FL_FOREVER, fl_test_requested));
}
