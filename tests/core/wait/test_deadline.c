/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_kinds.h"

FL_TEST(cancel_before_the_wait)
{
	FL_EACH_KIND(kind)
	{
		FL_RC(kind->wait(NULL, FL_FOREVER, fl_test_requested), -ECANCELED);
		FL_RC(kind->wait(NULL, FL_NO_WAIT, fl_test_requested), -ECANCELED);
		FL_RC(kind->wait(NULL, FL_FOREVER, fl_test_requested), -ECANCELED); /* again: it is a level */
		if (!kind->at_once)
			continue;
		kind->finish();
		/* An operation that can succeed at once succeeds. */
		FL_RC(kind->wait(NULL, FL_FOREVER, fl_test_requested), kind->done);
	}
}

/* The plain forms: a request of the scope ends them, unless they can succeed at once. */
FL_TEST(cancel_by_the_scope_before_a_plain_wait)
{
	fl_event e = FL_EVENT_INIT;
	fl_latch l = FL_LATCH_INIT(1);
	fl_sem s = FL_SEM_INIT(0);
	fl_mutex m = FL_MUTEX_INIT;
	fl_cond c = FL_COND_INIT;
	bool holds = false;
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_LOCKED(&m);
	FL_RC(fl_event_wait(&e), -ECANCELED);
	FL_RC(fl_latch_wait(&l), -ECANCELED);
	FL_RC(fl_sem_acquire(&s), -ECANCELED);
	FL_RC(fl_cond_wait(&c, &m), -ECANCELED);
	FL_RC(fl_cond_wait_for(&c, &m, kind_has_changed, &holds), -ECANCELED);
	assert_true(fl_mutex_is_locked(&m));
	assert_int_equal(fl_latch_count(&l), 1); /* the waiters' bit does not count */
	fl_event_set(&e);
	fl_latch_count_down(&l, 1);
	fl_sem_release(&s);
	FL_OK(fl_event_wait(&e));
	FL_OK(fl_latch_wait(&l));
	FL_OK(fl_sem_acquire(&s));
	fl_event_reset(&e);
	FL_RC(fl_event_wait_until(&e, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
}

FL_TEST(cancel_wakes_the_sleeper)
{
	FL_EACH_KIND(kind)
	{
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		fl_kind_begin(&c, kind, fl_after(FL_S(1000)), &stop);
		FL_WAIT_FOR(fl_kind_sleeps(kind));
		fl_cancel_token_request(&stop);
		FL_RC(fl_test_call_end(&c), -ECANCELED);
		assert_int_equal(fl_test_queued(&stop), 0);
	}
}

FL_TEST(cancel_consumes_nothing)
{
	FL_EACH_KIND(kind)
	{
		if (!kind->many)
			continue;
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller cancelled, patient;
		fl_kind_begin(&cancelled, kind, FL_FOREVER, &stop);
		fl_kind_begin(&patient, kind, FL_FOREVER, NULL);
		FL_WAIT_FOR(fl_test_queued(&stop) == 1);
		fl_cancel_token_request(&stop);
		kind->finish(); /* often before the cancelled one has left its queue */
		int rc = fl_test_call_end(&cancelled);
		if (!kind->looks || rc != kind->done)
			FL_RC(rc, -ECANCELED);
		FL_RC(fl_test_call_end(&patient), kind->done);
	}
}

/* In the scope of the token `cancel`; NULL means that scope. */
FL_CALL(scoped_wait)
{
	FL_CANCEL_SCOPE(cancel);
	return ((const fl_kind *)object)->wait(NULL, deadline, NULL);
}

FL_CALL(shielded_wait)
{
	FL_CANCEL_SCOPE(cancel);
	return ((const fl_kind *)object)->wait(NULL, deadline, FL_SHIELDED);
}

FL_TEST(cancel_null_means_the_scope)
{
	FL_EACH_KIND(kind)
	{
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		fl_test_call_queued(&c, scoped_wait, (void *)kind, &stop, FL_FOREVER, &stop);
		fl_cancel_token_request(&stop);
		FL_RC(fl_test_call_end(&c), -ECANCELED);
	}
}

FL_TEST(cancel_shielded_means_none)
{
	FL_EACH_KIND(kind)
	{
		FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		const void *key = kind->key ? kind->key : fl_kind_key;
		fl_test_call_queued(&c, shielded_wait, (void *)kind, key, FL_FOREVER, &stop);
		fl_cancel_token_request(&stop);
		assert_int_equal(fl_test_queued(key), 1);
		kind->finish();
		FL_RC(fl_test_call_end(&c), kind->done);
	}
}

/*
 * Of each kind: fl_mutex_lock_until(), fl_rmutex_lock_until(), fl_cond_wait_until(),
 * fl_cond_wait_for_until(), fl_sem_acquire_until(), fl_event_wait_until(), fl_latch_wait_until(),
 * fl_barrier_wait_until(), fl_once_call_until(), fl_thread_join_until(), fl_future_wait_until().
 */
FL_TEST(cancel_by_deadline_is_not_a_timeout)
{
	fl_cancel_token early, late;
	FL_EACH_KIND(kind)
	{
		fl_cancel_token_init(&early, NULL, fl_after(FL_MS(2)));
		FL_RC(kind->wait(NULL, FL_FOREVER, &early), -ECANCELED);
		assert_true(fl_time_is_past(fl_cancel_token_deadline(&early)));
		fl_cancel_token_destroy(&early);

		fl_cancel_token_init(&late, NULL, fl_after(FL_S(1000)));
		FL_RC(kind->wait(NULL, fl_after(FL_MS(2)), &late), -ETIMEDOUT);
		fl_cancel_token_destroy(&late);
	}
}
