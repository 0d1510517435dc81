/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_kinds.h"

/* Wakes for an earlier owner of the sleeper's word. */
FL_TEST(stray_wakes_end_no_wait)
{
	FL_EACH_KIND(kind)
	{
		const void *key = kind->key ? kind->key : fl_kind_key;
		fl_test_caller c;
		fl_kind_begin(&c, kind, FL_FOREVER, NULL);
		FL_WAIT_FOR(fl_kind_sleeps(kind));
		const uint32_t *word = fl_test_queue_with(key, 0).word;
		for (int woken = 0; woken < 20;) {
			int n = fl__sys.futex_wake(word, 1);
			FL_IN_RANGE(n, 0, 1);
			woken += n;
		}
		assert_int_equal(fl_test_queued(key), 1);
		kind->finish();
		FL_RC(fl_test_call_end(&c), kind->done);
	}
}

/* Without memory and without threads: an error, and nothing has happened. */
static int thread_create_rc;

FL_TEST_THREAD_CREATE(no_thread)
{
	return thread_create_rc;
}

FL_TEST(thread_that_the_system_refuses)
{
	static const int refusals[] = {-EAGAIN, -ENOMEM, -EINVAL, -EPERM};
	FL_FAULTS();
	fl__sys.thread_create = no_thread;
	fl_test_count_allocs();
	size_t before = fl_thread_enumerate(NULL, NULL);
	FL_EACH (i, refusals) {
		fl_thread *t = NULL;
		thread_create_rc = refusals[i];
		FL_RC(fl_thread_start(&t, kind_run_once, NULL, NULL), refusals[i]);
		assert_null(t);
		assert_int_equal(fl_thread_enumerate(NULL, NULL), before);
		assert_int_equal(fl_test_live, 0);
	}
}

FL_TEST(local_without_memory)
{
	static fl_local local = FL_LOCAL_INIT(NULL);
	static fl_local distant[64];
	int value = 0;
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_local_set(&local, &value), -ENOMEM);
		assert_null(fl_local_get(&local));
	}
	FL_OK(fl_local_set(&local, &value));
	assert_ptr_equal(fl_local_get(&local), &value);
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		int rc = 0;
		for (int i = 0; i < 64 && rc == 0; i++)
			rc = fl_local_set(&distant[i], &value);
		FL_RC(rc, -ENOMEM);
		assert_ptr_equal(fl_local_get(&local), &value);
	}
	FL_OK(fl_local_set(&local, NULL));
}
