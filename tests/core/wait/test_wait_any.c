/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"

static int run_until(void *event)
{
	return fl_event_wait_until(event, FL_FOREVER, FL_SHIELDED);
}

/* One object of each kind on layers 1 and 3. */
typedef struct things {
	fl_sem sem;
	fl_event event;
	fl_latch latch;
	fl_thread *thread;
	fl_cancel_token token;
	fl_event gate; /* of the thread */
} things;

enum { THINGS = 5 };

static void things_init(things *t)
{
	memset(t, 0, sizeof *t);
	FL_OK(fl_latch_init(&t->latch, 1));
	fl_test_go(&t->thread, run_until, &t->gate);
}

static void things_end(things *t)
{
	fl_event_set(&t->gate);
	fl_test_end(t->thread);
	FL_CHECK(!fl__lot_has_waiters_at(&t->sem));
	FL_CHECK(!fl__lot_has_waiters_at(&t->event));
	FL_CHECK(!fl__lot_has_waiters_at(&t->latch));
	assert_int_equal(fl_test_queued(&t->token), 0);
	fl_cancel_token_destroy(&t->token);
}

static void make_ready(things *t, int thing)
{
	switch (thing) {
	case 0:
		fl_sem_release(&t->sem);
		break;
	case 1:
		fl_event_set(&t->event);
		break;
	case 2:
		fl_latch_count_down(&t->latch, 1);
		break;
	case 3:
		fl_event_set(&t->gate);
		break;
	default:
		fl_cancel_token_request(&t->token);
	}
}

FL_CALL(any_of)
{
	things *t = object;
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_SEM(&t->sem), FL_ON_EVENT(&t->event), FL_ON_LATCH(&t->latch),
	                         FL_ON_THREAD(t->thread), FL_ON_CANCEL_TOKEN(&t->token));
}

FL_TEST(wait_any_wakes_for_each_kind)
{
	for (int thing = 0; thing < THINGS; thing++) {
		things t;
		fl_test_caller c;
		things_init(&t);
		/* The last to be armed. */
		fl_test_call_queued(&c, any_of, &t, &t.token, FL_FOREVER, NULL);
		make_ready(&t, thing);
		FL_RC(fl_test_call_end(&c), thing);
		things_end(&t);
	}
}

FL_TEST(wait_any_sees_what_is_ready)
{
	for (int thing = 0; thing < THINGS; thing++) {
		things t;
		things_init(&t);
		make_ready(&t, thing);
		if (thing == 3)
			FL_WAIT_FOR(!fl_thread_is_alive(t.thread));
		FL_RC(any_of(&t, FL_NO_WAIT, NULL), thing);
		FL_RC(any_of(&t, FL__TRY, fl_test_requested), thing);
		FL_RC(any_of(&t, FL_FOREVER, fl_test_requested), thing);
		things_end(&t);
	}
}

FL_TEST(wait_any_returns_the_smallest_index)
{
	for (int least = THINGS - 1; least >= 0; least--) {
		things t;
		things_init(&t);
		for (int thing = THINGS - 1; thing >= least; thing--)
			make_ready(&t, thing);
		if (least <= 3)
			FL_WAIT_FOR(!fl_thread_is_alive(t.thread));
		FL_RC(any_of(&t, FL_FOREVER, NULL), least);
		things_end(&t);
	}
}

FL_TEST(wait_any_gives_up)
{
	things t;
	things_init(&t);
	FL_RC(any_of(&t, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(any_of(&t, fl_test_soon(), NULL), -ETIMEDOUT);          /* fl_wait_any_until */
	FL_RC(any_of(&t, FL_FOREVER, fl_test_requested), -ECANCELED); /* fl_wait_any_until */
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(any_of(&t, FL_FOREVER, NULL), -ECANCELED);
		FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&t.event)), -ECANCELED);
	}
	fl_test_caller c;
	fl_cancel_token later = FL_CANCEL_TOKEN_INIT;
	fl_test_call_queued(&c, any_of, &t, &later, FL_FOREVER, &later);
	fl_cancel_token_request(&later);
	FL_RC(fl_test_call_end(&c), -ECANCELED);
	things_end(&t);
}

FL_TEST(wait_any_of_nothing_or_too_much)
{
	fl_event e = FL_EVENT_INIT;
	fl_on on = FL_ON_EVENT(&e);
	FL_RC(fl_wait_any_until(&on, 0, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_wait_any_until(NULL, 0, FL_NO_WAIT, NULL), -EINVAL);
	FL_RC(fl_wait_any_until(&on, (size_t)INT_MAX + 1, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_wait_any_until(&on, SIZE_MAX, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_wait_any_until(&on, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_event_set(&e);
	FL_RC(fl_wait_any_until(&on, 1, FL_FOREVER, NULL), 0);
}

FL_TEST(wait_any_of_many)
{
	enum { N = 200 };
	static fl_event events[N];
	fl_on on[N];
	FL_EACH (i, on)
		on[i] = (fl_on)FL_ON_EVENT(&events[i]);
	FL_RC(fl_wait_any_until(on, N, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_event_set(&events[N - 1]);
	FL_RC(fl_wait_any_until(on, N, FL_FOREVER, NULL), N - 1);
	fl_event_set(&events[N / 2]);
	FL_RC(fl_wait_any_until(on, N, FL_FOREVER, NULL), N / 2);
	FL_EACH (i, events)
		FL_CHECK(!fl__lot_has_waiters_at(&events[i]));
}

FL_CALL(twice)
{
	fl_event none = FL_EVENT_INIT;
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_EVENT(&none), FL_ON_EVENT(object), FL_ON_EVENT(object));
}

FL_TEST(wait_any_may_name_a_thing_twice)
{
	fl_event e = FL_EVENT_INIT;
	fl_test_caller c;
	fl_test_call_start(&c, twice, &e, FL_FOREVER, NULL);
	FL_WAIT_FOR(fl_test_queued(&e) == 2);
	fl_event_set(&e);
	FL_RC(fl_test_call_end(&c), 1);
	assert_int_equal(fl_test_queued(&e), 0);
}

/* An object that becomes ready between the check and the enqueue: it is reported, and unchanged. */
FL_TEST(wait_any_arm_of_a_ready_thing_takes_nothing)
{
	things t;
	fl_on_type const *types[] = {&fl__on_sem, &fl__on_event, &fl__on_latch, &fl__on_thread, &fl__on_cancel_token};
	things_init(&t);
	void *objects[] = {&t.sem, &t.event, &t.latch, t.thread, &t.token};
	for (int i = 0; i < THINGS; i++)
		make_ready(&t, i);
	FL_WAIT_FOR(!fl_thread_is_alive(t.thread));
	for (int i = 0; i < THINGS; i++) {
		struct fl__wait wait;
		fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
		struct fl__node node = FL__NODE(&wait);
		assert_true(types[i]->ready(objects[i]));
		assert_false(types[i]->arm(objects[i], &node));
		assert_false(node.queued);
		assert_true(types[i]->ready(objects[i]));
	}
	assert_int_equal(fl_sem_value(&t.sem), 1);
	things_end(&t);
}

/* Tokens among the objects. */
FL_TEST(wait_any_token_becomes_ready_by_its_deadline)
{
	fl_event e = FL_EVENT_INIT;
	fl_cancel_token late, early;
	fl_cancel_token_init(&late, FL_SHIELDED, fl_after(FL_S(1000)));
	fl_cancel_token_init(&early, FL_SHIELDED, fl_after(FL_MS(2)));
	FL_RC(FL_WAIT_ANY(FL_ON_EVENT(&e), FL_ON_CANCEL_TOKEN(&late), FL_ON_CANCEL_TOKEN(&early)), 2);
	assert_true(fl_time_is_past(fl_cancel_token_deadline(&early)));
	FL_RC(FL_WAIT_ANY_UNTIL(fl_after(FL_S(500)), NULL, FL_ON_CANCEL_TOKEN(&late), FL_ON_CANCEL_TOKEN(&early)), 1);
	FL_RC(FL_WAIT_ANY_UNTIL(fl_test_soon(), NULL, FL_ON_EVENT(&e), FL_ON_CANCEL_TOKEN(&late)), -ETIMEDOUT);
	fl_cancel_token_destroy(&late);
	fl_cancel_token_destroy(&early);
}

FL_TEST(wait_any_token_beside_the_same_token)
{
	fl_event e = FL_EVENT_INIT;
	FL_RC(FL_WAIT_ANY_UNTIL(FL_FOREVER, fl_test_requested, FL_ON_EVENT(&e), FL_ON_CANCEL_TOKEN(fl_test_requested)),
	      1);
	FL_RC(FL_WAIT_ANY_UNTIL(FL_FOREVER, fl_test_requested, FL_ON_EVENT(&e)), -ECANCELED);
}

/* An event that is set and reset at once may be missed, but never hangs nor returns as ready. */
FL_TEST(wait_any_goes_on_when_it_is_too_late)
{
	fl_event flash = FL_EVENT_INIT;
	fl_sem s = FL_SEM_INIT(0);
	fl_on on[] = {FL_ON_EVENT(&flash), FL_ON_SEM(&s)};
	for (int i = 0; i < 3; i++) {
		fl_event_set(&flash);
		fl_event_reset(&flash);
		FL_RC(fl_wait_any_until(on, 2, fl_test_soon(), NULL), -ETIMEDOUT);
	}
	fl_sem_release(&s);
	FL_RC(fl_wait_any_until(on, 2, FL_FOREVER, NULL), 1);
}
