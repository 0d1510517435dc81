/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fairlead/fiber.h: the tasks of a loop.
 */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_order.h"

FL_LOOP_TEST(fiber_public_starts_in_order_on_a_later_turn)
{
	static char letters[] = "abcde";
	fl_fiber *f[5];
	note_nothing();
	FL_EACH (i, f)
		f[i] = fl_test_start(note_it, &letters[i]);
	NOTED(""); /* in a later turn */
	fl_fiber_yield();
	NOTED("abcde"); /* first come, first run */
	for (int i = 4; i >= 0; i--)
		FL_OK(fl_test_join(f[i]));
}

FL_TEST(fiber_public_start_without_a_loop)
{
	fl_fiber *f;
	FL_RC(fl_fiber_start(&f, fl_test_sleep_long, NULL, NULL), -ENOTSUP);
	assert_null(fl_fiber_current());
	fl_fiber_yield(); /* does nothing */
	fl_fiber_free(NULL);
}

/* fl_fiber_start() gives -ENOMEM, and nothing has happened. */
FL_LOOP_TEST(fiber_public_start_without_memory)
{
	fl_fiber *f[256], *last = NULL;
	int n = 0, rc;
	FL_FAULTS();
	fl__sys.map = fl_test_no_memory;
	while ((rc = fl_fiber_start(&f[n], fl_test_sleep_long, NULL, NULL)) == 0)
		FL_CHECK(++n < 256); /* those of the slab that is there */
	FL_CHECK(rc == -ENOMEM);
	(void)fl_test_faults_end();
	FL_OK(fl_fiber_start(&last, fl_test_sleep_long, NULL, NULL));
	fl_fiber_free(last);
	while (n > 0)
		fl_fiber_free(f[--n]);
}

FL_LOOP_TEST(fiber_public_join_answers)
{
	int number = 7, result = 0;
	fl_event go = FL_EVENT_INIT;
	fl_fiber *self = fl_fiber_current();
	FL_RC(fl_fiber_join_until(self, NULL, FL_NO_WAIT, NULL), -EDEADLK);
	FL_RC(fl_fiber_try_join(self, NULL), -EAGAIN);

	fl_fiber *f = fl_test_start(fl_test_wait_event, &go);
	FL_CHECK(fl_fiber_is_alive(f));
	FL_RC(fl_fiber_try_join(f, &result), -EAGAIN);
	FL_RC(fl_fiber_join_until(f, &result, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_fiber_join_until(f, &result, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_fiber_join_until(f, &result, FL_FOREVER, fl_test_requested), -ECANCELED);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_fiber_join(f, &result), -ECANCELED); /* it goes on */
	}
	FL_CHECK(fl_fiber_is_alive(f));
	fl_event_set(&go);
	FL_CHECK(fl_fiber_join(f, &result) == 0 && result == 0);

	f = fl_test_start(fl_test_return_int, &number);
	fl_fiber_yield();
	FL_CHECK(!fl_fiber_is_alive(f));
	FL_CHECK(fl_fiber_try_join(f, &result) == 0 && result == 7);
	f = fl_test_start(fl_test_return_int, &number);
	FL_OK(fl_fiber_join(f, NULL));
}

typedef struct outsider {
	fl_fiber *f;
	int join, try_join;
	bool current;
	uint32_t done;
} outsider;

static void join_outside(void *arg)
{
	outsider *o = arg;
	o->join = fl_fiber_join(o->f, NULL);
	o->try_join = fl_fiber_try_join(o->f, NULL);
	o->current = fl_fiber_current() != NULL;
	fl_fiber_yield();
	o->done = 1;
}

/* fl_fiber_join in a callback would never end: -EDEADLK. */
FL_LOOP_TEST(fiber_public_callbacks_do_not_join)
{
	fl_loop *l = fl_loop_current();
	outsider called = {fl_fiber_current(), 0, 0, true, 0}, timed = called;
	fl_loop_timer t = {0};
	FL_OK(fl_loop_post(l, join_outside, &called));
	fl_loop_timer_start(l, &t, FL_NO_WAIT, join_outside, &timed);
	while (!called.done || !timed.done)
		fl_fiber_yield();
	FL_CHECK(called.join == -EDEADLK && called.try_join == -EAGAIN && !called.current);
	FL_CHECK(timed.join == -EDEADLK && timed.try_join == -EAGAIN && !timed.current);
}

/* Detached, and the error handler. */
static char failed_name[32];
static int failed_with;
static unsigned failures;

static void note_failure(const char *name, int error)
{
	failures++;
	failed_with = error;
	FL_TEXT(failed_name, "%s", name);
}

static int detach_in_every_way(void *unused)
{
	int error = -EIO, canceled = -ECANCELED, none = 0;
	fl_fiber *f;
	FL_OK(fl_fiber_start(&f, fl_test_return_int, &error, &(fl_fiber_config){.name = "early"}));
	fl_fiber_detach(f);
	fl_fiber_yield();
	FL_CHECK(failures == 1 && failed_with == -EIO && strcmp(failed_name, "early") == 0);
	FL_OK(fl_fiber_start(&f, fl_test_return_int, &error, &(fl_fiber_config){.name = "late"}));
	fl_fiber_yield();
	FL_CHECK(failures == 1); /* a caller may ask */
	fl_fiber_detach(f);
	FL_CHECK(failures == 2 && strcmp(failed_name, "late") == 0);
	fl_fiber_detach(fl_test_start(fl_test_return_int, &none));
	fl_fiber_yield();
	FL_CHECK(failures == 2);
	fl_fiber_detach(fl_test_start(fl_test_return_int, &canceled)); /* it was not cancelled */
	fl_fiber_yield();
	FL_CHECK(failures == 3 && failed_with == -ECANCELED);
	f = fl_test_start(fl_test_sleep_long, NULL);
	fl_fiber_yield();
	fl_fiber_cancel(f);
	fl_fiber_detach(f); /* its -ECANCELED is an answer */
	fl_test_settle();
	FL_CHECK(failures == 3);
	f = fl_test_start(fl_test_sleep_long, NULL);
	fl_fiber_yield();
	fl_fiber_cancel(f);
	fl_fiber_yield();
	FL_CHECK(!fl_fiber_is_alive(f));
	fl_fiber_detach(f);
	FL_CHECK(failures == 3);
	fl_fiber_detach(fl_test_start(fl_test_sleep_long, NULL)); /* the end of the loop cancels it */
	return 0;
}

FL_TEST(fiber_public_detached_tells_the_handler)
{
	failures = 0;
	fl_fiber_error_handler *before = fl_fiber_set_error_handler(note_failure);
	fl_test_in_loop(detach_in_every_way, NULL);
	assert_ptr_equal(fl_fiber_set_error_handler(NULL), note_failure);
	assert_ptr_equal(fl_fiber_set_error_handler(before), before); /* the default */
	assert_int_equal(failures, 3);
}

static int fail_alone(void *unused)
{
	static int errors[] = {-EPIPE, EPIPE};
	FL_EACH (i, errors) {
		fl_fiber *f;
		FL_OK(fl_fiber_start(&f, fl_test_return_int, &errors[i], &(fl_fiber_config){.name = "worker"}));
		fl_fiber_detach(f);
	}
	fl_fiber_yield();
	return 0;
}

static void fail_unheard(void *unused)
{
	FL_OK(fl_loop_run(fail_alone, NULL));
}

FL_TEST(fiber_public_errors_are_logged)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	char text[512];
	fl_test_stderr(fail_unheard, NULL, text, sizeof text);
	fl_test_contains(text, "fiber worker failed");
	fl_test_contains(text, fl_error_text(-EPIPE));
	fl_test_contains(text, "its error: 32: an error is a negative errno (-EPIPE)");
}

/* Free: cancelled and waited for, in a scope that is cancelled itself. */
static int end_slowly(void *ended)
{
	int rc = fl_sleep(FL_S(3600));
	for (int i = 0; i < 5; i++)
		fl_fiber_yield();
	++*(int *)ended;
	return rc;
}

FL_LOOP_TEST(fiber_public_free_cancels_and_waits)
{
	int ended = 0, number = 1;
	fl_fiber *f = fl_test_start(end_slowly, &ended);
	fl_fiber_yield();
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		fl_fiber_free(f);
	}
	FL_CHECK(ended == 1);
	f = fl_test_start(fl_test_return_int, &number);
	fl_fiber_yield();
	fl_fiber_free(f); /* it has ended */
	{
		FL_SCOPED(fl_fiber) *scoped = fl_test_start(end_slowly, &ended);
		fl_fiber_yield();
	}
	FL_CHECK(ended == 2);
	FL_SCOPED(fl_fiber) *none = NULL;
}

/* The handler may leave by longjmp(), so the fiber must be as before: not cancelled. */
FL_LOOP_TEST(fiber_public_free_of_itself_panics)
{
	fl_fiber *self = fl_fiber_current();
	FL_PANICS_OF("fl_fiber_free", self, fl_fiber_free(self));
	FL_CHECK(!fl_cancel_token_is_requested(NULL));
}

/* Names, and the calling fiber. */
static int look_at_self(void *expected)
{
	const fl_fiber *self = fl_fiber_current();
	FL_CHECK(self != NULL && fl_fiber_is_alive(self));
	FL_CHECK(strcmp(fl_fiber_name(self), expected) == 0);
	FL_CHECK(strcmp(fl_thread_current_name(), expected) == 0);
	fl_fiber_yield();
	FL_CHECK(fl_fiber_current() == self);
	return 0;
}

static int name_some(void *unused)
{
	char name[] = "a name that is longer than it may be, which is cut", plain[] = "fiber";
	char cut[] = "a name that is longer than it m";
	fl_fiber *f;
	FL_CHECK(strcmp(fl_fiber_name(fl_fiber_current()), "main") == 0);
	FL_OK(fl_fiber_start(&f, look_at_self, cut, &(fl_fiber_config){.name = name}));
	name[0] = '?';
	FL_OK(fl_test_join(f));
	FL_OK(fl_test_join(fl_test_start(look_at_self, plain)));
	FL_OK(fl_fiber_start(&f, look_at_self, plain, &(fl_fiber_config){.name = NULL}));
	return fl_test_join(f);
}

FL_TEST(fiber_public_has_a_name)
{
	const uint64_t own = fl_thread_current_id();
	fl_test_in_loop(name_some, NULL);
	assert_null(fl_fiber_current());
	assert_true(fl_thread_current_id() == own);
}

/* What belongs to a fiber. */
static unsigned destroyed;

static void destroy_value(void *value)
{
	FL_CHECK(fl_fiber_current() != NULL);
	fl_fiber_yield(); /* it may wait */
	FL_OK(fl_sleep(1));
	destroyed += *(unsigned *)value;
}

static fl_local local = FL_LOCAL_INIT(destroy_value);

static int keep_own_things(void *value)
{
	FL_CHECK(fl_local_get(&local) == NULL && errno == 0);
	FL_OK(fl_local_set(&local, value));
	errno = (int)*(unsigned *)value;
	FL_CHECK(fl_cancel_scope_current() != NULL && !fl_cancel_token_is_requested(NULL));
	const fl_cancel_token *own = fl_cancel_scope_current();
	const uint64_t id = fl_thread_current_id();
	for (int i = 0; i < 3; i++) {
		fl_fiber_yield();
		FL_CHECK(errno == (int)*(unsigned *)value && fl_thread_current_id() == id);
		FL_CHECK(fl_local_get(&local) == value);
		FL_CHECK(fl_cancel_scope_current() == own);
	}
	return 0;
}

FL_LOOP_TEST(fiber_public_locals_errno_and_scope_are_its_own)
{
	unsigned values[] = {1, 10, 100, 1000};
	fl_fiber *f[4];
	destroyed = 0;
	FL_EACH (i, f)
		f[i] = fl_test_start(keep_own_things, &values[i]);
	fl_fiber_detach(f[3]);
	errno = 77;
	for (int i = 0; i < 3; i++)
		FL_OK(fl_test_join(f[i]));
	while (destroyed != 1111)
		fl_fiber_yield();
	FL_CHECK(errno == 77 && fl_local_get(&local) == NULL);
}

/* FL_ON_FIBER. */
FL_LOOP_TEST(fiber_public_can_be_waited_for)
{
	int number = 3;
	fl_event never = FL_EVENT_INIT;
	fl_fiber *slow = fl_test_start(fl_test_sleep_long, NULL), *fast = fl_test_start(fl_test_return_int, &number);
	FL_CHECK(FL_WAIT_ANY(FL_ON_FIBER(slow), FL_ON_EVENT(&never), FL_ON_FIBER(fast)) == 2);
	FL_CHECK(FL_WAIT_ANY(FL_ON_FIBER(slow), FL_ON_FIBER(fast)) == 1); /* it has ended before */
	FL_CHECK(FL_WAIT_ANY_UNTIL(fl_test_soon(), NULL, FL_ON_FIBER(slow)) == -ETIMEDOUT);
	FL_CHECK(fl_test_join(fast) == 3);
	fl_fiber_cancel(slow);
	FL_CHECK(FL_WAIT_ANY(FL_ON_FIBER(slow)) == 0);
	FL_RC(fl_test_join(slow), -ECANCELED);
}

/* A fiber that is ready has ended completely: its locals are gone, and a join does not wait. */
FL_LOOP_TEST(fiber_public_is_ready_after_its_locals)
{
	unsigned value = 1;
	fl_fiber *f = fl_test_start(keep_own_things, &value);
	destroyed = 0;
	FL_CHECK(FL_WAIT_ANY(FL_ON_FIBER(f)) == 0);
	FL_CHECK(destroyed == 1 && fl_fiber_try_join(f, NULL) == 0);
}

static int await_either(void *fibers)
{
	fl_fiber *const *f = fibers;
	return FL_WAIT_ANY(FL_ON_FIBER(f[0]), FL_ON_FIBER(f[1]));
}

/* An end and a cancel of the waiter in one turn: the first of them decides, and the end stays. */
FL_LOOP_TEST(fiber_public_wait_cancelled_as_one_ends)
{
	FL_BOTH (end_first) {
		fl_event gate = FL_EVENT_INIT;
		fl_fiber *f[] = {fl_test_start(fl_test_sleep_long, NULL), fl_test_start(fl_test_wait_event, &gate)};
		fl_fiber *waiter = fl_test_start(await_either, f);
		fl_test_settle();
		if (!end_first)
			fl_fiber_cancel(waiter);
		fl_event_set(&gate);
		while (fl_fiber_is_alive(f[1]))
			fl_fiber_yield();
		if (end_first)
			fl_fiber_cancel(waiter);
		FL_RC(fl_test_join(waiter), end_first ? 1 : -ECANCELED);
		FL_CHECK(FL_WAIT_ANY(FL_ON_FIBER(f[0]), FL_ON_FIBER(f[1])) == 1);
		FL_OK(fl_test_join(f[1]));
		fl_fiber_free(f[0]);
	}
}

/* A cancelled join leaves the fiber running; a cancel of the joiner does not reach the fiber. */
static int join_it(void *f)
{
	return fl_fiber_join(f, NULL);
}

FL_LOOP_TEST(fiber_public_join_that_is_cancelled)
{
	fl_fiber *f = fl_test_start(fl_test_sleep_long, NULL), *joiner = fl_test_start(join_it, f);
	fl_test_settle();
	fl_test_cancel(joiner);
	FL_CHECK(fl_fiber_is_alive(f));
	fl_fiber_free(f);
}

/* A thousand starts and ends: stacks are used again. */
FL_LOOP_TEST(fiber_public_thousands_come_and_go)
{
	int number = 1;
	for (unsigned i = 0; i < fl_test_scaled(3000); i++) {
		fl_fiber *f = fl_test_start(fl_test_return_int, &number);
		if (i % 3 == 0)
			fl_fiber_free(f);
		else
			FL_CHECK(fl_test_join(f) == 1);
	}
}

/* A second free would touch memory of another owner. */
FL_LOOP_TEST(fiber_public_joined_by_two_panics)
{
	fl_event gate = FL_EVENT_INIT;
	fl_fiber *f = fl_test_start(fl_test_wait_event, &gate);
	fl_fiber *joiner = fl_test_start(join_it, f);
	fl_test_settle();
	FL_RC(fl_fiber_try_join(f, NULL), -EAGAIN);
	FL_PANICS_OF("fl_fiber_join", f, FL_OK(fl_fiber_join(f, NULL)));
	FL_PANICS_OF("fl_fiber_detach", f, fl_fiber_detach(f));
	FL_PANICS_OF("fl_fiber_free", f, fl_fiber_free(f));
	fl_fiber_cancel(joiner);
	FL_RC(fl_test_join(joiner), -ECANCELED); /* then another may */
	fl_event_set(&gate);
	FL_OK(fl_test_join(f));
}
