/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A context that waits for something else between the begin of a wait and its sleep, and what a
 * wait does not change.
 */
#include "fl_queued.h"

/*
 * An object with an arm() that has another object of the same fl_wait_any set first, and then waits
 * itself.
 */
struct slow_thing {
	fl_event *other;
	fl_sem permit;
	bool acquired;
};

static bool never_ready(void *object)
{
	return false;
}

static bool arm_slowly(void *object, struct fl__node *node)
{
	struct slow_thing *s = object;
	fl_event_set(s->other); /* decides our wait, and unparks it */
	FL_OK(fl_sem_acquire(&s->permit));
	s->acquired = true;
	struct fl__lot lot;
	fl__lot_open(&lot, s);
	fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	return true;
}

static const fl_on_type slow_type = {never_ready, arm_slowly, fl__node_disarm, NULL};

static int release_when_awaited(void *arg)
{
	fl_sem *s = arg;
	FL_WAIT_FOR(fl_test_queued(s) == 1);
	fl_sem_release(s);
	return 0;
}

/* Neither the inner nor the outer wait may take the other's unpark. */
FL_TEST(wait_any_with_a_waiting_arm)
{
	for (int i = 0; i < 50; i++) {
		fl_event event = FL_EVENT_INIT;
		struct slow_thing slow = {&event, FL_SEM_INIT(0), false};
		fl_thread *helper;
		fl_test_go(&helper, release_when_awaited, &slow.permit);
		fl_on on[] = {FL_ON_EVENT(&event), FL__ON(slow_type, &slow)};
		FL_RC(fl_wait_any_until(on, 2, FL_FOREVER, NULL), 0);
		assert_true(slow.acquired);
		fl_test_end(helper);
		assert_false(fl__lot_has_waiters_at(&event));
		assert_false(fl__lot_has_waiters_at(&slow));
		assert_false(fl__lot_has_waiters_at(&slow.permit));
	}
}

FL_CALL(event_wait)
{
	errno = 1234;
	int rc = fl_event_wait_until(object, deadline, cancel);
	FL_CHECK(errno == 1234);
	return rc;
}

FL_TEST(wait_leaves_errno_alone)
{
	fl_event e = FL_EVENT_INIT;
	FL_RC(event_wait(&e, fl_test_soon(), NULL), -ETIMEDOUT);
	fl_test_caller c;
	fl_test_call_start(&c, event_wait, &e, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_test_asleep(&e) == 1);
	errno = 4321;
	fl_event_set(&e);
	assert_int_equal(errno, 4321);
	FL_OK(fl_test_call_end(&c));
}

static int leave_early(void *arg)
{
	pthread_exit(NULL);
}

/*
 * The function does not return, but the thread ends: its join, its locals, its entry in the list.
 */
FL_TEST(thread_that_leaves_by_pthread_exit)
{
	fl_thread *t;
	size_t before = fl_thread_enumerate(NULL, NULL);
	fl_test_go(&t, leave_early, NULL);
	int result = 0;
	FL_OK(fl_thread_join(t, &result));
	assert_int_equal(result, -ECANCELED);
	assert_int_equal(fl_thread_enumerate(NULL, NULL), before);
}

/* WAITERS is stale: a release that finds so must read the permits again before it adds. */
FL_TEST(sem_overflow_behind_stale_waiters)
{
	fl_sem s = {0x80000000u}; /* lib/core/sync/sem.c: WAITERS without a waiter */
	fl_sem_release_n(&s, 0x40000000u);
	assert_int_equal(fl_sem_value(&s), 0x40000000u);
	FL_PANICS(fl_sem_release_n(&s, 0x40000000u));
	assert_int_equal(fl_sem_value(&s), 0x40000000u);
}
