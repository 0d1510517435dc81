/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_kinds.h"
#include "fl_test.h"

FL_TEST(deadline_is_not_early)
{
	FL_EACH_KIND(kind)
	{
		int64_t deadline = fl_after(FL_MS(2));
		FL_RC(kind->wait(NULL, deadline, NULL), -ETIMEDOUT);
		assert_true(fl_now() >= deadline);
	}
}

FL_TEST(cancel_before_the_wait)
{
	FL_EACH_KIND(kind)
	{
		FL_RC(kind->wait(NULL, FL_FOREVER, fl_test_requested), -ECANCELED);
		FL_RC(kind->wait(NULL, 0, fl_test_requested), -ECANCELED);
		FL_RC(kind->wait(NULL, FL_FOREVER, fl_test_requested), -ECANCELED); /* again: it is a level */
		if (!kind->at_once)
			continue;
		kind->finish();
		/* An operation that can succeed at once succeeds. */
		FL_RC(kind->wait(NULL, FL_FOREVER, fl_test_requested), kind->done);
	}
}

FL_TEST(cancel_wakes_the_wait)
{
	FL_EACH_KIND(kind)
	{
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		fl_kind_begin(&c, kind, FL_FOREVER, &stop);
		FL_WAIT_FOR(fl_test_queued(&stop) == 1);
		fl_cancel_token_request(&stop);
		FL_RC(fl_test_call_end(&c), -ECANCELED);
		assert_int_equal(fl_test_queued(&stop), 0);
		fl_cancel_token_destroy(&stop);
	}
}

FL_TEST(cancel_wakes_the_sleeper)
{
	FL_EACH_KIND(kind)
	{
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		fl_kind_begin(&c, kind, fl_after(FL_S(1000)), &stop);
		FL_WAIT_FOR(fl_kind_sleeps(kind));
		fl_cancel_token_request(&stop);
		FL_RC(fl_test_call_end(&c), -ECANCELED);
		fl_cancel_token_destroy(&stop);
	}
}

FL_TEST(cancel_consumes_nothing)
{
	FL_EACH_KIND(kind)
	{
		if (!kind->many)
			continue;
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
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
		fl_cancel_token_destroy(&stop);
	}
}

/* In the scope of the token `cancel`; NULL means that scope. */
static int scoped_wait(void *kind, int64_t deadline, fl_cancel_token *cancel)
{
	FL_CANCEL_SCOPE(cancel);
	return ((const fl_kind *)kind)->wait(NULL, deadline, NULL);
}

static int shielded_wait(void *kind, int64_t deadline, fl_cancel_token *cancel)
{
	FL_CANCEL_SCOPE(cancel);
	return ((const fl_kind *)kind)->wait(NULL, deadline, FL_SHIELDED);
}

FL_TEST(cancel_null_means_the_scope)
{
	FL_EACH_KIND(kind)
	{
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		fl_test_call_queued(&c, scoped_wait, (void *)kind, &stop, FL_FOREVER, &stop);
		fl_cancel_token_request(&stop);
		FL_RC(fl_test_call_end(&c), -ECANCELED);
		fl_cancel_token_destroy(&stop);
	}
}

FL_TEST(cancel_shielded_means_none)
{
	FL_EACH_KIND(kind)
	{
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		fl_test_caller c;
		const void *key = kind->key ? kind->key : fl_kind_key;
		fl_test_call_queued(&c, shielded_wait, (void *)kind, key, FL_FOREVER, &stop);
		fl_cancel_token_request(&stop);
		assert_int_equal(fl_test_queued(key), 1);
		kind->finish();
		FL_RC(fl_test_call_end(&c), kind->done);
		fl_cancel_token_destroy(&stop);
	}
}

FL_TEST(cancel_by_deadline_is_not_a_timeout)
{
	fl_cancel_token early, late;
	FL_EACH_KIND(kind)
	{
		fl_cancel_token_init(&early, NULL, fl_after(FL_MS(2)));
		FL_RC(kind->wait(NULL, FL_FOREVER, &early), -ECANCELED);
		assert_true(fl_now() >= fl_cancel_token_deadline(&early));
		fl_cancel_token_destroy(&early);

		fl_cancel_token_init(&late, NULL, fl_after(FL_S(1000)));
		FL_RC(kind->wait(NULL, fl_after(FL_MS(2)), &late), -ETIMEDOUT);
		fl_cancel_token_destroy(&late);
	}
}
