/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"
#include "fl_shm_child.h"

FL_CALL(wait_for)
{
	return fl_shm_event_wait_until(object, deadline, cancel);
}

/* Whether a context sleeps, or is about to. */
static bool is_waited_for(const fl_shm_event *e)
{
	return fl__load_acquire(&((const struct fl__shm_wait_queue *)(const void *)e->waiters_)->waiting);
}

static uint32_t *monitor(fl_shm_event *e)
{
	return fl__shm_word((struct fl__shm_lock *)(void *)e->lock_);
}

FL_TEST(shm_event_stays_set_until_it_is_reset)
{
	fl_shm_event e;
	fl_shm_event_init(&e);
	for (int i = 0; i < 2; i++) {
		FL_RC(fl_shm_event_wait_until(&e, FL_NO_WAIT, NULL), -ETIMEDOUT);
		FL_OK(fl_shm_event_set(&e));
		FL_OK(fl_shm_event_set(&e));
		assert_true(fl_shm_event_is_set(&e));
		FL_OK(fl_shm_event_wait(&e));
		FL_OK(fl_shm_event_wait_until(&e, FL_NO_WAIT, NULL));
		fl_shm_event_reset(&e);
		fl_shm_event_reset(&e);
		assert_false(fl_shm_event_is_set(&e));
	}
}

FL_TEST(shm_event_wait_gives_up)
{
	FL_TEST_SHARED(fl_shm_event, e);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	FL_RC(fl_shm_event_wait_until(e, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_time deadline = fl_test_soon();
	FL_RC(fl_shm_event_wait_until(e, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	FL_RC(fl_shm_event_wait_until(e, fl_test_soon(), &stop), -ETIMEDOUT);
	fl_test_caller c;
	fl_test_call_start(&c, wait_for, e, FL_FOREVER, &stop);
	FL_WAIT_FOR(is_waited_for(e));
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&c), -ECANCELED);
	FL_CANCEL_SCOPE(&stop);
	FL_RC(fl_shm_event_wait(e), -ECANCELED);
	FL_OK(fl_shm_event_set(e));
	FL_OK(fl_shm_event_wait(e));
}

/* The monitor is ours, says the memory, and it is not. */
FL_TEST(shm_event_damaged_memory)
{
	fl_shm_event e;
	fl_shm_event_init(&e);
	*monitor(&e) = fl__sys.thread_id();
	FL_RC(fl_shm_event_wait_until(&e, FL_FOREVER, NULL), -EBADMSG);
	e.word_ = 2; /* the waiters' bit */
	FL_RC(fl_shm_event_set(&e), -EBADMSG);
	assert_false(fl_shm_event_is_set(&e));
	*monitor(&e) = 1; /* a stopped owner */
	FL_RC(fl_shm_event_wait_until(&e, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(FL_WAIT_ANY_UNTIL(fl_test_soon(), NULL, FL_ON_SHM_EVENT(&e)), -ETIMEDOUT);
}

/* A waiter is woken even if the event is reset at once. */
FL_TEST(shm_event_set_and_reset_at_once_wakes_all_that_waited)
{
	enum { N = 6 };
	FL_TEST_SHARED(fl_shm_event, e);
	for (unsigned round = 0; round < fl_test_scaled(100); round++) {
		fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
		fl_test_caller callers[N];
		FL_EACH (i, callers) {
			uint32_t *changes = &((struct fl__shm_wait_queue *)(void *)e->waiters_)->waiting;
			/* No other thread runs in between: they sleep. */
			fl__store_relaxed(changes, 0);
			fl_test_call_start(&callers[i], wait_for, e, FL_FOREVER, i % 2 ? &token : NULL);
			FL_WAIT_FOR(is_waited_for(e));
		}
		FL_OK(fl_shm_event_set(e));
		fl_shm_event_reset(e);
		FL_EACH (i, callers)
			FL_OK(fl_test_call_end(&callers[i]));
		assert_false(fl_shm_event_is_set(e));
		FL_RC(fl_shm_event_wait_until(e, fl_after(FL_US(10)), NULL), -ETIMEDOUT);
		FL_OK(fl_shm_event_set(e));
		fl_shm_event_reset(e);
	}
}

typedef struct things {
	fl_shm_event a, b;
	fl_event mine;
} things;

FL_CALL(wait_any)
{
	things *t = object;
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_SHM_EVENT(&t->a), FL_ON_EVENT(&t->mine),
	                         FL_ON_SHM_EVENT(&t->b));
}

FL_TEST(shm_event_wait_any)
{
	FL_TEST_SHARED(things, t);
	for (int i = 0; i < 3; i++) {
		fl_test_caller c;
		FL_RC(wait_any(t, fl_after(FL_US(50)), NULL), -ETIMEDOUT);
		fl_test_call_start(&c, wait_any, t, FL_FOREVER, NULL);
		FL_WAIT_FOR(is_waited_for(&t->b));
		if (i == 1)
			fl_event_set(&t->mine);
		else
			FL_OK(fl_shm_event_set(i == 0 ? &t->a : &t->b));
		FL_RC(fl_test_call_end(&c), i);
		fl_shm_event_reset(&t->a);
		fl_event_reset(&t->mine);
		fl_shm_event_reset(&t->b);
	}
}
