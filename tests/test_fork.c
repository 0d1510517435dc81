/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a forked child inherits: words that speak of waiters who are not there.
 */
#include "fl_child.h"
#include "fl_line.h"
#include "sync/local.h"

static int wait_at(void *barrier, int64_t deadline, fl_cancel *cancel)
{
	return fl_barrier_wait_until(barrier, deadline, cancel);
}

static int lock_it(void *mutex, int64_t deadline, fl_cancel *cancel)
{
	int rc = fl_mutex_lock_until(mutex, deadline, cancel);
	if (rc == 0)
		fl_mutex_unlock(mutex);
	return rc;
}

static void unlock_for_a_new_waiter(void *arg)
{
	fl_mutex *m = arg;
	fl_test_caller c;
	fl_test_call_in_line(&c, lock_it, m, m, FL_FOREVER, NULL);
	fl_mutex_unlock(m);
	FL_CHECK(fl_test_call_end(&c) == 0);
	FL_CHECK(fl_mutex_destroy(m) == 0);
}

/* The parent forks while it holds the mutex and a waiter is awake for it: in the child nobody is. */
FL_TEST(fork_mutex_with_a_waiter_awake)
{
	enum { LOCKED = 1, AWAKE_UNIT = 8 }; /* lib/sync/mutex.c */
	fl_mutex m = {LOCKED | (fl__fork_count + 1) * AWAKE_UNIT};
	FL_OK(fl_test_child(unlock_for_a_new_waiter, &m, NULL, 0));
	fl_mutex_unlock(&m);
	FL_RC(fl_mutex_destroy(&m), -EBUSY); /* here the waiter that is awake still counts */
}

static void is_not_the_last(void *barrier)
{
	FL_CHECK(fl_barrier_try_wait(barrier) == -EAGAIN);
	FL_CHECK(fl_barrier_wait_until(barrier, fl_after(FL_MS(1)), NULL) == -ETIMEDOUT);
}

FL_TEST(fork_barrier_forgets_who_had_arrived)
{
	fl_barrier b = FL_BARRIER_INIT(3);
	fl_test_caller callers[2];
	for (int i = 0; i < 2; i++)
		fl_test_call_in_line(&callers[i], wait_at, &b, &b, FL_FOREVER, NULL);
	FL_OK(fl_test_child(is_not_the_last, &b, NULL, 0));
	FL_RC(fl_barrier_wait(&b), 2);
	for (int i = 0; i < 2; i++)
		FL_RC(fl_test_call_end(&callers[i]), i);
}

static fl_local local;

static void use_locals(void *arg)
{
	FL_CHECK(fl_local_get(&local) == arg); /* the forking thread keeps its own */
	fl_local other = FL_LOCAL_INIT(NULL);
	FL_CHECK(fl_local_set(&other, arg) == 0);
	FL_CHECK(fl_local_get(&other) == arg);
}

FL_TEST(fork_keeps_locals)
{
	int value;
	FL_OK(fl_local_set(&local, &value));
	FL_OK(fl_test_child(use_locals, &value, NULL, 0));
	FL_OK(fl_local_set(&local, NULL));
}

static int wait_for(void *event)
{
	return fl_event_wait(event);
}

static void has_lost(void *arg)
{
	fl_thread *threads = arg;
	int result = 7;
	FL_CHECK(fl_thread_join(&threads[0], &result) == -EOWNERDEAD && result == 7);
	FL_CHECK(!fl_thread_is_alive(&threads[0]));
	FL_CHECK(fl_thread_join(&threads[1], &result) == 0 && result == 0); /* it had ended before the fork */
	FL_CHECK(fl_thread_enumerate(NULL, NULL) == 0);
	FL_CHECK(fl_thread_detach(&threads[0]) == 0);
}

FL_TEST(fork_loses_running_threads)
{
	static fl_event never, at_once;
	fl_thread threads[2];
	fl_event_set(&at_once);
	FL_OK(fl_thread_start(&threads[0], wait_for, &never, NULL));
	FL_OK(fl_thread_start(&threads[1], wait_for, &at_once, NULL));
	FL_WAIT_FOR(!fl_thread_is_alive(&threads[1]) && fl_test_in_line(&never) == 1);
	FL_OK(fl_test_child(has_lost, threads, NULL, 0));
	fl_event_set(&never);
	fl_test_end(&threads[0]);
	fl_test_end(&threads[1]);
}
