/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"

enum { LAST_DEPTH = UINT32_MAX - 1 };

FL_CALL(lock_and_unlock)
{
	int rc = fl_rmutex_lock_until(object, deadline, cancel);
	if (rc == 0)
		fl_rmutex_unlock(object);
	return rc;
}

FL_CALL(try_once)
{
	FL_CHECK(!fl_rmutex_depth(object));
	return fl_rmutex_try_lock(object);
}

static int tried_elsewhere(fl_rmutex *m)
{
	fl_test_caller c;
	fl_test_call_start(&c, try_once, m, FL_NO_WAIT, NULL);
	return fl_test_call_end(&c);
}

FL_TEST(rmutex_is_locked_as_often_as_unlocked)
{
	fl_rmutex m = FL_RMUTEX_INIT;
	fl_rmutex_lock(&m);
	FL_OK(fl_rmutex_try_lock(&m));
	FL_OK(fl_rmutex_lock_until(&m, FL_NO_WAIT, NULL));
	fl_rmutex_lock(&m);
	for (int i = 4; i > 0; i--) {
		assert_int_equal(fl_rmutex_depth(&m), i);
		FL_RC(tried_elsewhere(&m), -EAGAIN);
		fl_rmutex_unlock(&m);
	}
	assert_int_equal(fl_rmutex_depth(&m), 0);
	FL_OK(fl_rmutex_try_lock(&m));
	fl_rmutex_unlock(&m);
	FL_OK(fl_rmutex_lock_until(&m, FL_FOREVER, NULL));
	fl_rmutex_unlock(&m);
}

FL_TEST(rmutex_of_another_is_waited_for)
{
	fl_rmutex m = FL_RMUTEX_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller brief, cancelled, patient;
	fl_rmutex_lock(&m);
	fl_rmutex_lock(&m);
	fl_test_call_start(&brief, lock_and_unlock, &m, fl_test_soon(), NULL);
	FL_RC(fl_test_call_end(&brief), -ETIMEDOUT); /* fl_rmutex_lock_until */
	fl_test_call_queued(&cancelled, lock_and_unlock, &m, &m.mutex_, FL_FOREVER, &stop);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&cancelled), -ECANCELED); /* fl_rmutex_lock_until */
	fl_test_call_queued(&patient, lock_and_unlock, &m, &m.mutex_, FL_FOREVER, NULL);
	fl_rmutex_unlock(&m);
	assert_int_equal(fl_test_queued(&m.mutex_), 1);
	FL_CHECK(fl__mutex_is_busy(&m.mutex_));
	fl_rmutex_unlock(&m);
	FL_OK(fl_test_call_end(&patient));
}

FL_TEST(rmutex_deepest_lock)
{
	fl_rmutex m = FL_RMUTEX_INIT;
	fl_rmutex_lock(&m);
	m.depth_ = LAST_DEPTH - 1;
	FL_OK(fl_rmutex_try_lock(&m));
	FL_RC(fl_rmutex_try_lock(&m), -EOVERFLOW);
	FL_RC(fl_rmutex_lock_until(&m, FL_FOREVER, NULL), -EOVERFLOW);
	FL_RC(fl_rmutex_lock_until(&m, FL_NO_WAIT, NULL), -EOVERFLOW);
	FL_PANICS_OF("fl_rmutex_lock", &m, fl_rmutex_lock(&m));
	assert_int_equal(m.depth_, LAST_DEPTH);
	fl_rmutex_unlock(&m);
	assert_int_equal(m.depth_, LAST_DEPTH - 1);
	m.depth_ = 0;
	fl_rmutex_unlock(&m);
	assert_false(fl_rmutex_depth(&m));
}

FL_TEST(rmutex_unlock_without_ownership_panics)
{
	fl_rmutex m = FL_RMUTEX_INIT;
	FL_PANICS_OF("fl_rmutex_unlock", &m, fl_rmutex_unlock(&m));
	fl_rmutex_lock(&m);
	fl_rmutex_unlock(&m);
	FL_PANICS(fl_rmutex_unlock(&m));
}

typedef struct holding {
	fl_rmutex m;
	fl_event held, release;
} holding;

static int hold(void *arg)
{
	holding *h = arg;
	fl_rmutex_lock(&h->m);
	fl_event_set(&h->held);
	FL_OK(fl_event_wait(&h->release));
	fl_rmutex_unlock(&h->m);
	return 0;
}

FL_TEST(rmutex_unlock_of_anothers_panics)
{
	holding h = {FL_RMUTEX_INIT, FL_EVENT_INIT, FL_EVENT_INIT};
	fl_thread *t;
	fl_test_go(&t, hold, &h);
	FL_OK(fl_event_wait(&h.held));
	assert_false(fl_rmutex_depth(&h.m));
	FL_RC(fl_rmutex_try_lock(&h.m), -EAGAIN);
	FL_PANICS(fl_rmutex_unlock(&h.m));
	FL_RC(fl_rmutex_try_lock(&h.m), -EAGAIN); /* as it was before */
	fl_event_set(&h.release);
	fl_test_end(t);
	FL_OK(fl_rmutex_try_lock(&h.m));
	fl_rmutex_unlock(&h.m);
}

/*
 * The owner has ended with its lock held; other threads come, at the same address, and sooner or
 * later with the same kernel id. None of them is the owner.
 */
static int lock_and_leave(void *m)
{
	fl_rmutex_lock(m);
	return 0;
}

static int not_mine(void *m)
{
	FL_CHECK(!fl_rmutex_depth(m));
	FL_RC(fl_rmutex_try_lock(m), -EAGAIN);
	FL_RC(fl_rmutex_lock_until(m, FL_NO_WAIT, NULL), -ETIMEDOUT);
	return 0;
}

FL_TEST(tid_reuse_owner)
{
	fl_rmutex m = FL_RMUTEX_INIT;
	fl_thread *t;
	fl_test_go(&t, lock_and_leave, &m);
	const uintptr_t owner = (uintptr_t)t;
	fl_test_end(t);
	unsigned same = 0;
	for (int i = 0; i < 50; i++) {
		fl_test_go(&t, not_mine, &m);
		same += (uintptr_t)t == owner;
		fl_test_end(t);
	}
	print_message("%u of 50 threads stood where the owner had been\n", same);
	FL_RC(fl_rmutex_try_lock(&m), -EAGAIN);
}
