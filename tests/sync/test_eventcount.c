/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"
#include "fl_test.h"

static int wait_for(void *ec, int64_t deadline, fl_cancel_token *cancel)
{
	fl_eventcount_key key = fl_eventcount_prepare(ec);
	return fl_eventcount_wait_until(ec, key, deadline, cancel);
}

FL_TEST(eventcount_all_zero_is_valid)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT, zero, made;
	memset(&zero, 0, sizeof zero);
	memset(&made, 0xff, sizeof made);
	fl_eventcount_init(&made);
	assert_memory_equal(&ec, &zero, sizeof ec);
	assert_memory_equal(&made, &zero, sizeof made);
	FL_OK(fl_eventcount_destroy(&ec));
}

FL_TEST(eventcount_wait_is_over_after_a_notification)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	for (int i = 0; i < 3; i++) {
		fl_eventcount_key key = fl_eventcount_prepare(&ec);
		FL_RC(fl_eventcount_try_wait(&ec, key), -EAGAIN);
		if (i == 1)
			fl_eventcount_notify_all(&ec);
		else
			fl_eventcount_notify(&ec);
		FL_OK(fl_eventcount_try_wait(&ec, key));
		FL_OK(fl_eventcount_wait(&ec, key));
		FL_OK(fl_eventcount_wait_until(&ec, key, 0, NULL));
		FL_OK(fl_eventcount_try_wait(&ec, key));
	}
}

FL_TEST(eventcount_notification_before_the_prepare_does_not_count)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_eventcount_notify(&ec);
	fl_eventcount_key key = fl_eventcount_prepare(&ec);
	FL_RC(fl_eventcount_try_wait(&ec, key), -EAGAIN);
	fl_eventcount_notify(&ec);
	key = fl_eventcount_prepare(&ec);
	FL_RC(fl_eventcount_try_wait(&ec, key), -EAGAIN);
}

FL_TEST(eventcount_without_waiters_is_not_written)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT, zero = FL_EVENTCOUNT_INIT;
	fl_eventcount_notify(&ec);
	fl_eventcount_notify_all(&ec);
	assert_memory_equal(&ec, &zero, sizeof ec);
	(void)(fl_eventcount_prepare(&ec) == 0); /* an unused key costs one slow notification */
	fl_eventcount_notify(&ec);
	fl_eventcount after = ec;
	fl_eventcount_notify(&ec);
	assert_memory_equal(&ec, &after, sizeof ec);
}

FL_TEST(eventcount_wait_gives_up)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	fl_eventcount_key key = fl_eventcount_prepare(&ec);
	FL_RC(fl_eventcount_wait_until(&ec, key, 0, NULL), -ETIMEDOUT);
	int64_t deadline = fl_after(FL_MS(1));
	FL_RC(fl_eventcount_wait_until(&ec, key, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	FL_RC(fl_eventcount_wait_until(&ec, key, FL_FOREVER, &stop), -ECANCELED);
	FL_CANCEL_SCOPE(&stop);
	FL_RC(fl_eventcount_wait(&ec, key), -ECANCELED);
	assert_int_equal(fl_test_queued(&ec), 0);
	fl_eventcount_notify(&ec);
	FL_OK(fl_eventcount_wait(&ec, key));
}

FL_TEST(eventcount_notify_wakes_the_first)
{
	enum { N = 3 };
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_test_caller callers[N];
	for (int i = 0; i < N; i++)
		fl_test_call_queued(&callers[i], wait_for, &ec, &ec, FL_FOREVER, NULL);
	for (int i = 0; i < N; i++) {
		assert_int_equal(fl_test_queued(&ec), N - i);
		fl_eventcount_notify(&ec);
		FL_OK(fl_test_call_end(&callers[i]));
	}
	FL_OK(fl_eventcount_destroy(&ec));
}

FL_TEST(eventcount_notify_all_wakes_all)
{
	enum { N = 5 };
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_test_caller callers[N];
	for (int i = 0; i < N; i++)
		fl_test_call_queued(&callers[i], wait_for, &ec, &ec, FL_FOREVER, NULL);
	fl_eventcount_notify_all(&ec);
	assert_int_equal(fl_test_queued(&ec), 0);
	for (int i = 0; i < N; i++)
		FL_OK(fl_test_call_end(&callers[i]));
}

FL_TEST(eventcount_notify_skips_a_waiter_that_gave_up)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller first, second;
	fl_test_call_queued(&first, wait_for, &ec, &ec, FL_FOREVER, &stop);
	fl_test_call_queued(&second, wait_for, &ec, &ec, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_test_queued(&stop) == 1); /* or the notification might be for it */
	fl_cancel_token_request(&stop);
	fl_eventcount_notify(&ec);
	FL_RC(fl_test_call_end(&first), -ECANCELED);
	FL_OK(fl_test_call_end(&second));
}

FL_TEST(eventcount_destroy_of_a_busy_one)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_test_caller c;
	fl_test_call_queued(&c, wait_for, &ec, &ec, FL_FOREVER, NULL);
	FL_RC(fl_eventcount_destroy(&ec), -EBUSY);
	fl_eventcount_notify(&ec);
	FL_OK(fl_test_call_end(&c));
	FL_OK(fl_eventcount_destroy(&ec));
}

/* So many notifications between prepare and wait that a counter of 32 bits is back at the key. */
FL_TEST(eventcount_wrap_loses_nothing)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_eventcount_key key = fl_eventcount_prepare(&ec);
	fl_eventcount_notify(&ec);
	for (int i = 31; i < 64; i++) {
		ec.word_ = key + ((uint64_t)1 << i);
		FL_OK(fl_eventcount_try_wait(&ec, key));
		FL_OK(fl_eventcount_wait(&ec, key));
	}
	/* At the end of its 63 bits it goes on from 0. */
	ec.word_ = UINT64_MAX;
	key = fl_eventcount_prepare(&ec);
	FL_RC(fl_eventcount_try_wait(&ec, key), -EAGAIN);
	fl_eventcount_notify(&ec);
	assert_true(ec.word_ == 0);
	FL_OK(fl_eventcount_wait(&ec, key));
}

static int watch_it(void *arg, int64_t deadline, fl_cancel_token *cancel)
{
	fl_eventcount_watch *w = arg;
	fl_event never = FL_EVENT_INIT;
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_EVENT(&never), FL_ON_EVENTCOUNT(w));
}

FL_TEST(eventcount_for_wait_any)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_eventcount_watch w = {&ec, fl_eventcount_prepare(&ec)};
	FL_RC(watch_it(&w, 0, NULL), -ETIMEDOUT);
	fl_test_caller watcher, waiter;
	fl_test_call_queued(&watcher, watch_it, &w, &ec, FL_FOREVER, NULL);
	fl_test_call_queued(&waiter, wait_for, &ec, &ec, FL_FOREVER, NULL);
	fl_eventcount_notify(&ec); /* one notification for the waiter: the watcher takes nothing */
	assert_int_equal(fl_test_call_end(&watcher), 1);
	FL_OK(fl_test_call_end(&waiter));
	assert_int_equal(watch_it(&w, FL_FOREVER, NULL), 1); /* it stays ready */
}

/* Items go round between threads through a counter that is relaxed; a lost notification hangs. */
typedef struct shop {
	fl_eventcount filled;
	uint32_t items, rounds;
} shop;

static bool take_item(shop *s)
{
	uint32_t seen = fl__load_relaxed(&s->items);
	while (seen > 0)
		if (fl__cas_weak_relaxed(&s->items, &seen, seen - 1))
			return true;
	return false;
}

static int consume(void *arg)
{
	shop *s = arg;
	for (uint32_t i = 0; i < s->rounds; i++)
		while (!take_item(s)) {
			fl_eventcount_key key = fl_eventcount_prepare(&s->filled);
			if (take_item(s))
				break;
			FL_CHECK(fl_eventcount_wait_until(&s->filled, key, fl_after(FL_S(60)), NULL) == 0);
		}
	return 0;
}

static int produce(void *arg)
{
	shop *s = arg;
	for (uint32_t i = 0; i < s->rounds; i++) {
		(void)fl__add_relaxed(&s->items, 1);
		fl_eventcount_notify(&s->filled);
	}
	return 0;
}

static void no_yield(void)
{
}

/*
 * waiter_flag_dekker, with as many sleeps as possible; the laboratory's model tests it with weak
 * memory.
 */
FL_TEST(eventcount_dekker)
{
	enum { PAIRS = 2 };
	FL_FAULTS();
	fl__sys.yield = no_yield;
	shop s = {.rounds = fl_test_scaled(20000)};
	fl_thread threads[2 * PAIRS];
	for (int i = 0; i < 2 * PAIRS; i++)
		fl_test_go(&threads[i], i % 2 ? produce : consume, &s);
	for (int i = 0; i < 2 * PAIRS; i++)
		fl_test_end(&threads[i]);
	assert_int_equal(s.items, 0);
	FL_OK(fl_eventcount_destroy(&s.filled));
}

static int wait_once(void *arg)
{
	return wait_for(arg, FL_FOREVER, NULL);
}

static int in_fibers(void *arg)
{
	fl_eventcount *ec = arg;
	fl_fiber *waiters[] = {fl_test_start(wait_once, ec), fl_test_start(wait_once, ec)};
	fl_test_settle();
	for (size_t i = 0; i < 2; i++) {
		FL_CHECK(fl_test_queued(ec) == 2 - i);
		fl_eventcount_notify(ec);
		FL_CHECK(fl_test_join(waiters[i]) == 0);
	}
	return 0;
}

FL_TEST(eventcount_among_fibers)
{
	fl_eventcount ec = FL_EVENTCOUNT_INIT;
	fl_test_in_loop(in_fibers, &ec);
}
