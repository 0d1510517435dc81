/* SPDX-License-Identifier: BSD-2-Clause */
/* The first waiter of a semaphore, awake, and contexts that overtake it. */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

static fl_sem s;

FL_CALL(acquire)
{
	return fl_sem_acquire_until(&s, deadline, cancel);
}

FL_CALL(acquire_two)
{
	return fl_sem_acquire_n_until(&s, 2, deadline, cancel);
}

static void queue_up(fl_test_caller *c, fl_test_call *call)
{
	fl_test_call_queued(c, call, NULL, &s, FL_FOREVER, NULL);
}

/*
 * Each thread has a clock of its own, which advances by a microsecond at each read: the test's
 * clock decides how long a woken waiter has waited.
 */
static _Thread_local int64_t ticks;

static int64_t own_clock(void)
{
	ticks += FL_US(1);
	return FL_S(1000) + ticks;
}

/* A woken waiter does not continue before the gate is open. */
/* Behind: threads that sleep there, were woken, or are about to sleep. */
static uint32_t gate, behind;

FL_TEST_FUTEX_WAIT(sleep_behind_the_gate)
{
	/* Of lib/core/wait/thread_parker.c; other words are locks of the library, not waits. */
	enum { ASLEEP = 3 };
	if (expected != ASLEEP)
		return fl_test_real_sys.futex_wait(word, expected, deadline);
	/* Pairs with the acquire in close_behind(); so does the other release. */
	fl__add_release(&behind, 1);
	const int rc = fl_test_real_sys.futex_wait(word, expected, deadline);
	while (fl__load_acquire(&gate))
		fl_test_real_sys.yield();
	fl__add_release(&behind, -1u);
	return rc;
}

/* Closes it; returns when so many are behind it, and there they stay. */
static void close_behind(uint32_t n)
{
	fl__store_release(&gate, 1);
	FL_WAIT_FOR(fl__load_acquire(&behind) == n);
}

static void begin(void)
{
	ticks = 0;
	FL_OK(fl_sem_init(&s, 0));
	fl__sys.now = own_clock;
	fl__sys.futex_wait = sleep_behind_the_gate;
}

/* The first of `n` waiters is woken, and a running thread takes the permit first. */
static void release_and_overtake(uint32_t n)
{
	close_behind(n);
	fl_sem_release(&s);
	assert_int_equal(fl__load_relaxed(&s.word_), 1); /* free for any context */
	FL_CHECK(fl__lot_has_waiters_at(&s));
	FL_OK(fl_sem_try_acquire(&s));
	fl__store_release(&gate, 0);
	/* It has passed the gate, and marks again that it sleeps. */
	FL_WAIT_FOR(fl__load_relaxed(&s.word_) != 0);
	FL_RC(fl_sem_try_acquire(&s), -EAGAIN);
}

FL_TEST(sem_waiter_is_overtaken_for_a_millisecond)
{
	FL_FAULTS();
	begin();
	fl_test_caller c;
	queue_up(&c, acquire);
	release_and_overtake(1);
	ticks += FL_US(900);
	release_and_overtake(1);
	ticks += FL_US(100);
	close_behind(1);
	fl_sem_release(&s);
	assert_int_equal(s.word_, 0); /* handed over: no other context can take it */
	FL_RC(fl_sem_try_acquire(&s), -EAGAIN);
	FL_CHECK(!fl__lot_has_waiters_at(&s));
	fl__store_release(&gate, 0);
	FL_OK(fl_test_call_end(&c));
}

/* Its millisecond begins when it is first woken, however long it has slept. */
FL_TEST(sem_waiter_is_patient_until_it_was_woken)
{
	FL_FAULTS();
	begin();
	fl_test_caller first, second;
	queue_up(&first, acquire);
	queue_up(&second, acquire);
	ticks += FL_S(1);
	release_and_overtake(2);
	fl_sem_release(&s);
	FL_OK(fl_test_call_end(&first));
	ticks += FL_S(1);
	release_and_overtake(1);
	fl_sem_release(&s);
	FL_OK(fl_test_call_end(&second));
	assert_int_equal(s.word_, 0);
}

/* Releases of one permit each: the first waiter wakes the next, if there is more than it takes. */
FL_TEST(sem_waiter_serves_the_next)
{
	FL_FAULTS();
	begin();
	fl_test_caller callers[4];
	FL_EACH (i, callers)
		queue_up(&callers[i], acquire);
	close_behind(4);
	for (uint32_t i = 1; i <= 4; i++) {
		fl_sem_release(&s);
		assert_int_equal(s.word_, i);
	}
	fl__store_release(&gate, 0);
	fl_test_calls_end(callers, 4);
	assert_int_equal(s.word_, 0);
}

/*
 * Of several permits all but the last are handed over; a waiter for several is given them, and no
 * other comes between.
 */
FL_TEST(sem_release_of_several_hands_over)
{
	FL_FAULTS();
	begin();
	fl_test_caller one, two, three;
	queue_up(&one, acquire);
	queue_up(&two, acquire_two);
	queue_up(&three, acquire);
	close_behind(3);
	fl_sem_release_n(&s, 4);
	assert_int_equal(s.word_, 1);
	assert_int_equal(fl_test_queued(&s), 1);
	FL_OK(fl_sem_try_acquire(&s));
	fl__store_release(&gate, 0);
	FL_OK(fl_test_call_end(&one));
	FL_OK(fl_test_call_end(&two));
	fl_sem_release(&s);
	FL_OK(fl_test_call_end(&three));
	assert_int_equal(s.word_, 0);

	queue_up(&two, acquire_two);
	close_behind(1);
	fl_sem_release(&s);
	FL_RC(fl_sem_try_acquire(&s), -EAGAIN);
	fl_sem_release(&s);
	assert_int_equal(s.word_, 0);
	fl__store_release(&gate, 0);
	FL_OK(fl_test_call_end(&two));
}

/*
 * While the first waiter competes, a new context may take what it needs, and otherwise enqueues
 * behind it.
 */
FL_TEST(sem_competitors_want_several)
{
	FL_FAULTS();
	begin();
	fl_test_caller one, two;
	queue_up(&one, acquire);
	close_behind(1);
	fl_sem_release(&s);
	fl_sem_release(&s);
	FL_OK(fl_sem_acquire_n_until(&s, 2, FL_NO_WAIT, NULL));
	fl_sem_release(&s);
	assert_int_equal(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, NULL, FL_ON_SEM(&s)), 0);
	queue_up(&two, acquire_two);
	assert_int_equal(s.word_, 1);
	fl__store_release(&gate, 0);
	FL_OK(fl_test_call_end(&one));
	fl_sem_release_n(&s, 2);
	FL_OK(fl_test_call_end(&two));
	assert_int_equal(s.word_, 0);
}

/* A fiber is handed its permit: the thread that has it may release for ever without a switch. */
static int acquire_in_fiber(void *unused)
{
	return fl_sem_acquire(&s);
}

static int release_to_fiber(void *unused)
{
	fl_fiber *f = fl_test_start(acquire_in_fiber, NULL);
	FL_WAIT_FOR(fl_test_queued(&s) == 1 || (fl_fiber_yield(), false));
	fl_sem_release(&s);
	FL_CHECK(fl_sem_try_acquire(&s) == -EAGAIN && fl_test_queued(&s) == 0);
	FL_OK(fl_test_join(f));
	return 0;
}

FL_TEST(sem_hands_over_to_fibers)
{
	FL_OK(fl_sem_init(&s, 0));
	fl_test_in_loop(release_to_fiber, NULL);
	assert_int_equal(s.word_, 0);
}
