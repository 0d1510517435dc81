/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fairlead/loop.h: running, calls from other threads, ending.
 */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_order.h"
#include "fl_queued.h"

#include "loop/loop.h"

FL_TEST(loop_run_returns_what_its_function_returned)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	int number = 42, error = -EIO;
	assert_int_equal(fl_loop_run(fl_test_return_int, &number), 42);
	FL_RC(fl_loop_run(fl_test_return_int, &error), -EIO);
	assert_null(fl_loop_current());
}

FL_TEST(loop_run_on_again_and_again)
{
	fl_loop *l = fl_test_loop();
	for (int i = 0; i < 100; i++)
		assert_int_equal(fl_loop_run_on(l, fl_test_return_int, &i), i);
	fl_loop_free(l);
	fl_loop_free(NULL);
	FL_SCOPED(fl_loop) *never_run = NULL;
	FL_OK(fl_loop_create(&never_run, &(fl_loop_config){.stack_size = 0}));
}

/* In a fiber and in callbacks of a loop there is no other. */
typedef struct nested {
	fl_loop *other;
	unsigned done;
} nested;

static void run_nested(void *arg)
{
	nested *n = arg;
	int number = 1;
	fl_time deadline;
	FL_RC(fl_loop_run(fl_test_return_int, &number), -EALREADY);
	FL_RC(fl_loop_run_on(n->other, fl_test_return_int, &number), -EALREADY);
	FL_RC(fl_loop_run_on(fl_loop_current(), fl_test_return_int, &number), -EALREADY);
	FL_RC(fl_loop_run_once(n->other, &deadline), -EALREADY);
	FL_RC(fl_loop_run_once(fl_loop_current(), &deadline), -EALREADY);
	n->done++;
}

static void run_in_watch(fl_loop_watch *w, int fd, unsigned events, void *arg)
{
	fl_loop_watch_cancel(w);
	run_nested(arg);
}

static int run_in_all_places(void *arg)
{
	nested *n = arg;
	fl_loop *l = fl_loop_current();
	fl_loop_timer t = {0};
	fl_loop_watch w = {0};
	int ends[2];
	run_nested(n);
	FL_OK(fl_loop_post(l, run_nested, n));
	fl_loop_timer_start(l, &t, FL_NO_WAIT, run_nested, n);
	FL_OK(pipe(ends));
	FL_OK(fl_loop_watch_start(l, &w, ends[1], FL_FD_OUT, run_in_watch, n));
	while (n->done < 4)
		fl_fiber_yield();
	fl_test_close_two(ends);
	return 0;
}

FL_TEST(loop_run_inside_of_a_loop)
{
	nested n = {NULL, 0};
	FL_OK(fl_loop_create(&n.other, NULL));
	fl_test_in_loop(run_in_all_places, &n);
	fl_loop_free(n.other);
}

static void free_here(void *l)
{
	(void)fl_panic_set_handler(NULL);
	fl_loop_free(l);
}

static int free_elsewhere(void *l)
{
	free_here(l);
	return 0;
}

static void run_then_free_elsewhere(void *unused)
{
	int number = 0;
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_run_on(l, fl_test_return_int, &number));
	fl_test_on_thread(free_elsewhere, l);
}

static int free_inside(void *l)
{
	free_here(l ? l : fl_loop_current());
	return 0;
}

static void run_and_free_inside(void *l)
{
	FL_IGNORE(fl_loop_run(free_inside, l));
}

static void free_another_inside(void *unused)
{
	fl_loop *l = fl_test_loop();
	run_and_free_inside(l);
}

/* Before the cases with threads: after those TSan allows no child that starts some. */
FL_TEST(loop_free_where_it_may_not)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	void (*const cases[])(void *) = {run_then_free_elsewhere, run_and_free_inside, free_another_inside};
	FL_EACH (i, cases)
		fl_test_child_dies(cases[i], NULL, SIGABRT, "fl_loop_free");
}

static int run_elsewhere(void *l)
{
	int number = 1;
	fl_time deadline;
	FL_RC(fl_loop_run_on(l, fl_test_return_int, &number), -EPERM);
	FL_RC(fl_loop_run_once(l, &deadline), -EPERM);
	return 0;
}

FL_TEST(loop_stays_on_its_thread)
{
	int number = 1;
	fl_loop *l = fl_test_loop();
	assert_int_equal(fl_loop_run_on(l, fl_test_return_int, &number), 1);
	fl_test_on_thread(run_elsewhere, l);
	fl_loop_free(l);
}

/*
 * Fibers that remain when the first fiber returns are cancelled and waited for, with those that
 * they start.
 */
static unsigned ended;

static int end_slowly(void *unused)
{
	int rc = fl_sleep(FL_S(3600));
	for (int i = 0; i < 3; i++)
		fl_fiber_yield();
	FL_OK(fl_sleep_until(fl_after(FL_US(10)), FL_SHIELDED));
	ended++;
	return rc;
}

static int start_another_at_the_end(void *unused)
{
	int rc = fl_sleep(FL_S(3600));
	fl_fiber_detach(fl_test_start(end_slowly, unused));
	fl_fiber *f = fl_test_start(fl_test_sleep_long, NULL);
	FL_OK(fl_fiber_join_until(f, NULL, FL_FOREVER, FL_SHIELDED)); /* born cancelled */
	ended++;
	return rc;
}

static int leave_some(void *unused)
{
	for (int i = 0; i < 10; i++)
		fl_fiber_detach(fl_test_start(end_slowly, unused));
	fl_fiber_detach(fl_test_start(start_another_at_the_end, unused));
	fl_fiber_yield();
	return 7;
}

FL_TEST(loop_run_cancels_what_is_left_and_waits)
{
	fl_loop *l = fl_test_loop();
	for (int i = 0; i < 3; i++) {
		ended = 0;
		assert_int_equal(fl_loop_run_on(l, leave_some, NULL), 7);
		assert_int_equal(ended, 12);
	}
	fl_loop_free(l);
}

static int start_and_forget(void *unused)
{
	(void)fl_test_start(fl_test_sleep_long, NULL);
	return 0;
}

static void run_and_forget(void *unused)
{
	(void)fl_panic_set_handler(NULL);
	FL_IGNORE(fl_loop_run(start_and_forget, NULL));
}

FL_TEST(loop_run_panics_about_a_forgotten_fiber)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	fl_test_child_dies(run_and_forget, NULL, SIGABRT, "neither joined nor detached");
}

/* fl_loop_cancel: of all fibers that exist now. */
static int cancel_loop(void *l)
{
	fl_loop_cancel(l);
	return 0;
}

static int be_cancelled(void *unused)
{
	fl_loop *l = fl_loop_current();
	fl_thread *t;
	fl_fiber *f = fl_test_start(fl_test_sleep_long, NULL);
	fl_fiber_yield();
	fl_test_go(&t, cancel_loop, l);
	FL_RC(fl_sleep(FL_S(3600)), -ECANCELED);
	FL_RC(fl_test_join(f), -ECANCELED);
	fl_test_end(t);
	f = fl_test_start(fl_test_sleep_long, NULL); /* later, so it is not concerned */
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f));
	fl_loop_cancel(l);
	FL_RC(fl_test_join(f), -ECANCELED);
	return 0;
}

FL_TEST(loop_cancel_reaches_existing_fibers)
{
	int number = 3;
	fl_loop *l = fl_test_loop();
	fl_loop_cancel(l); /* none */
	FL_OK(fl_loop_run_on(l, be_cancelled, NULL));
	assert_int_equal(fl_loop_run_on(l, fl_test_return_int, &number), 3);
	fl_loop_free(l);
}

/* Calls. */
static char letters[] = "abcdef";

static void call_again(void *l)
{
	note('f');
	FL_OK(fl_loop_post(l, call_note, &letters[4]));
	note('d');
}

static int call_some(void *unused)
{
	fl_loop *l = fl_loop_current();
	NOTED("a"); /* of the loop that did not run yet */
	FL_OK(fl_loop_post(l, call_note, &letters[1]));
	FL_OK(fl_loop_post(l, call_again, l));
	FL_OK(fl_loop_post(l, call_note, &letters[2]));
	NOTED("a"); /* in a later turn */
	while (strlen(order) < 6)
		fl_fiber_yield();
	NOTED("abfdce");
	return 0;
}

FL_TEST(loop_call_in_order_on_a_later_turn)
{
	note_nothing();
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_post(l, call_note, &letters[0]));
	FL_OK(fl_loop_run_on(l, call_some, NULL));
	fl_loop_free(l);
}

/* A call that calls itself for ever starves no fiber. */
typedef struct self_caller {
	fl_loop *l;
	unsigned calls;
	bool stop;
} self_caller;

static void call_itself(void *arg)
{
	self_caller *c = arg;
	c->calls++;
	if (!c->stop)
		FL_OK(fl_loop_post(c->l, call_itself, c));
}

FL_LOOP_TEST(loop_call_that_calls_itself)
{
	self_caller c = {fl_loop_current(), 0, false};
	fl_loop_timer t = {0};
	call_itself(&c);
	for (unsigned i = 0; i < 10; i++)
		fl_fiber_yield();
	FL_CHECK(c.calls >= 5 && c.calls <= 12);
	fl_loop_timer_start(c.l, &t, fl_test_soon(), fl_test_set_flag, &c.stop);
	while (!c.stop)
		fl_fiber_yield();
	fl_test_settle(); /* the last one */
}

FL_TEST(loop_call_without_memory)
{
	FL_FAULTS();
	note_nothing();
	fl_loop *l = fl_test_loop();
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_loop_post(l, call_note, &letters[0]), -ENOMEM);
	FL_OK(fl_test_faults_end());
	fl_loop_free(l);
	NOTED("");
}

/* Calls that are pending when the loop is freed are made. */
FL_TEST(loop_free_makes_the_calls_that_are_pending)
{
	note_nothing();
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_post(l, call_note, &letters[0]));
	FL_OK(fl_loop_post(l, call_note, &letters[1]));
	fl_loop_free(l);
	NOTED("ab");
}

static void call_that_sleeps(void *unused)
{
	FL_OK(fl_sleep_until(fl_after(FL_MS(5)), FL_SHIELDED));
}

static int post_when_cancelled(void *unused)
{
	int rc = fl_sleep(FL_S(3600));
	FL_OK(fl_loop_post(fl_loop_current(), call_note, &letters[0]));
	return rc;
}

static int leave_both(void *unused)
{
	fl_fiber_detach(fl_test_start(post_when_cancelled, NULL));
	FL_OK(fl_loop_post(fl_loop_current(), call_that_sleeps, NULL));
	fl_fiber_yield();
	return 0;
}

FL_TEST(loop_free_makes_the_calls_of_ending_fibers_while_another_waits)
{
	note_nothing();
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_run_on(l, leave_both, NULL));
	fl_loop_free(l);
	NOTED("a");
}

/*
 * A thread that has called, and so ends a wait, does not touch the loop any more: the loop ends at
 * once, repeatedly.
 */
static void end_wait(void *event)
{
	fl_event_set(event);
}

typedef struct last_call {
	fl_loop *l;
	fl_event event;
} last_call;

static int make_last_call(void *arg)
{
	last_call *c = arg;
	FL_OK(fl_loop_post(c->l, end_wait, &c->event));
	return 0;
}

static int wait_for_last_call(void *thread)
{
	last_call c = {fl_loop_current(), FL_EVENT_INIT};
	fl_test_go(thread, make_last_call, &c);
	return fl_event_wait(&c.event);
}

FL_TEST(loop_ends_right_after_a_call)
{
	for (unsigned i = 0; i < fl_test_scaled(500); i++) {
		fl_thread *t;
		fl_test_in_loop(wait_for_last_call, &t);
		fl_test_end(t);
	}
}

/* A callback waits for a lock of a fiber, which another thread cancels. */
typedef struct lock_holder {
	fl_mutex m;
	fl_event never;
	fl_fiber *f;
	bool holds, called;
} lock_holder;

static int hold_lock(void *arg)
{
	lock_holder *h = arg;
	FL_LOCKED(&h->m);
	h->holds = true;
	return fl_event_wait(&h->never);
}

static void want_lock(void *arg)
{
	lock_holder *h = arg;
	FL_LOCKED(&h->m);
	h->called = true;
}

static int cancel_holder(void *arg)
{
	lock_holder *h = arg;
	FL_WAIT_FOR(fl_test_queued(&h->m) == 1);
	fl_fiber_cancel(h->f);
	return 0;
}

FL_LOOP_TEST(loop_call_that_waits_for_a_lock_holds_up_no_cancel)
{
	lock_holder h = {FL_MUTEX_INIT, FL_EVENT_INIT, NULL, false, false};
	fl_thread *t;
	h.f = fl_test_start(hold_lock, &h);
	while (!h.holds)
		fl_fiber_yield();
	FL_OK(fl_loop_post(fl_loop_current(), want_lock, &h));
	fl_test_go(&t, cancel_holder, &h);
	FL_RC(fl_test_join(h.f), -ECANCELED);
	while (!h.called)
		fl_fiber_yield();
	fl_test_end(t);
}

/* A loop that is freed while a callback waits sleeps until that can go on. */
static fl_event callback_goes_on;

static void wait_in_callback(void *called)
{
	FL_OK(fl_event_wait(&callback_goes_on));
	*(bool *)called = true;
}

FL_TEST_POLLER_WAIT(let_callback_go_on)
{
	if (deadline == 0)
		return fl_test_real_poller.wait(poller, events, n, deadline);
	fl_event_set(&callback_goes_on); /* the loop is about to sleep */
	return 0;
}

FL_TEST(loop_free_sleeps_while_a_callback_waits)
{
	FL_POLLER_FAULTS();
	bool called = false;
	fl_event_init(&callback_goes_on);
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_post(l, wait_in_callback, &called));
	fl__poller_sys.wait = let_callback_go_on;
	fl_loop_free(l);
	assert_true(called);
}

/* A forked child runs a loop of its own, also if a fiber has forked it. */
static void run_in_child(void *unused)
{
	int number = 3;
	FL_CHECK(fl_loop_current() == NULL && fl_fiber_current() == NULL);
	FL_RC(fl_loop_run(fl_test_return_int, &number), 3);
	FL_OK(fl_sleep(FL_MS(1)));
}

FL_TEST(loop_in_a_forked_child)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	FL_IN_CHILD(run_in_child, NULL);
}

FL_LOOP_TEST(loop_forked_by_a_fiber)
{
	fl_fiber *f = fl_test_start(fl_test_sleep_long, NULL);
	fl_fiber_yield();
	FL_IN_CHILD(run_in_child, NULL);
	FL_CHECK(fl_fiber_is_alive(f));
	fl_fiber_free(f);
}

/* Faults: each step of create fails in turn. Nothing is left behind. */
static long allocs_left;
static int fail_with;

static void *some_memory(size_t size)
{
	return allocs_left-- > 0 ? fl_test_real_sys.alloc(size) : NULL;
}

static int no_create(void)
{
	return fail_with;
}

FL_TEST_POLLER_CONTROL(no_control)
{
	return fail_with;
}

FL_TEST(loop_create_fails_whole)
{
	static const int errors[] = {-EINVAL, -EMFILE, -ENFILE, -ENODEV, -ENOMEM, -ENOSPC};
	int number = 1;
	fl_loop *l = NULL;
	unsigned fds = fl_test_fds();
	FL_EACH (i, errors) {
		FL_POLLER_FAULTS();
		fail_with = errors[i];
		fl__poller_sys.create = no_create;
		FL_RC(fl_loop_create(&l, NULL), fail_with);
		FL_RC(fl_loop_run(fl_test_return_int, &number), fail_with);
		(void)fl_test_poller_end();
		fl__poller_sys.bell = no_create;
		FL_RC(fl_loop_create(&l, NULL), fail_with);
		(void)fl_test_poller_end();
		fl__poller_sys.control = no_control;
		FL_RC(fl_loop_create(&l, NULL), fail_with);
		assert_null(l);
		assert_int_equal(fl_test_fds(), fds);
	}
	FL_FAULTS();
	fl__sys.alloc = some_memory;
	int failed = 0;
	for (long n = 0;; n++) {
		allocs_left = n;
		int rc = fl_loop_create(&l, NULL);
		if (rc == 0)
			break;
		FL_RC(rc, -ENOMEM); /* of fl_loop_create; -ENOTSUP is that of machines with a shadow stack */
		assert_int_equal(fl_test_fds(), fds);
		failed++;
	}
	assert_true(failed >= 3);
	fl_loop_free(l);
	(void)fl_test_faults_end();
	fl__sys.map = fl_test_no_memory;
	FL_RC(fl_loop_create(&l, NULL), -ENOMEM);
	FL_RC(fl_loop_run(fl_test_return_int, &number), -ENOMEM);
	assert_int_equal(fl_test_fds(), fds);
}

/*
 * A thread without a signal stack needs memory for one when it first runs a loop; to free the loop
 * it needs none.
 */
static void *without_a_signal_stack(void *unused)
{
	int number = 4;
	stack_t none = {.ss_flags = SS_DISABLE}, before;
	FL_OK(sigaltstack(&none, &before)); /* of a sanitizer */
	note_nothing();
	FL_FAULTS();
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_post(l, call_note, &letters[0]));
	fl__sys.map = fl_test_no_memory;
	FL_RC(fl_loop_run_on(l, fl_test_return_int, &number), -ENOMEM);
	fl_time deadline;
	FL_RC(fl_loop_run_once(l, &deadline), -ENOMEM);
	fl_loop_free(l); /* the call is lost */
	NOTED("");
	(void)fl_test_faults_end();
	FL_OK(fl_loop_create(&l, NULL));
	FL_CHECK(fl_loop_run_on(l, fl_test_return_int, &number) == 4);
	fl__sys.map = fl_test_no_memory;
	FL_CHECK(fl_loop_run_on(l, fl_test_return_int, &number) == 4);
	fl_loop_free(l);
	FL_OK(sigaltstack(&before, NULL));
	return NULL;
}

FL_TEST(loop_without_memory_for_a_signal_stack)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	(void)fl_test_foreign(without_a_signal_stack, NULL);
}
