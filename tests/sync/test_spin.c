/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"
#include "fl_test.h"

FL_TEST(spin_all_zero_is_unlocked)
{
	fl_spin s = FL_SPIN_INIT, zero, made;
	memset(&zero, 0, sizeof zero);
	memset(&made, 0xff, sizeof made);
	fl_spin_init(&made);
	assert_memory_equal(&s, &zero, sizeof s);
	assert_memory_equal(&made, &zero, sizeof made);
	FL_OK(fl_spin_destroy(&s));
}

FL_TEST(spin_try_lock_answers_busy)
{
	fl_spin s = FL_SPIN_INIT;
	FL_OK(fl_spin_try_lock(&s));
	FL_RC(fl_spin_try_lock(&s), -EBUSY);
	FL_RC(fl_spin_destroy(&s), -EBUSY);
	fl_spin_unlock(&s);
	fl_spin_lock(&s);
	FL_RC(fl_spin_try_lock(&s), -EBUSY);
	fl_spin_unlock(&s);
	FL_OK(fl_spin_destroy(&s));
}

FL_TEST(spin_unlock_of_an_unlocked_one_panics)
{
	fl_spin s = FL_SPIN_INIT;
	FL_PANICS(fl_spin_unlock(&s));
	assert_string_equal(fl_test_panic.function, "fl_spin_unlock");
	assert_ptr_equal(fl_test_panic.object, &s);
	FL_OK(fl_spin_destroy(&s));
}

FL_TEST(spin_assert_held_panics_when_it_is_not)
{
	fl_spin s = FL_SPIN_INIT;
	FL_PANICS(fl_spin_assert_held(&s));
	assert_string_equal(fl_test_panic.function, "fl_spin_assert_held");
	assert_ptr_equal(fl_test_panic.object, &s);
	fl_spin_lock(&s);
	fl_spin_assert_held(&s);
	fl_spin_unlock(&s);
}

static int leave_block(fl_spin *s, int way)
{
	for (;;) {
		FL_SPIN_LOCKED(s);
		fl_spin_assert_held(s);
		if (way == 0)
			break;
		if (way == 1)
			return 1;
		way = 0;
	}
	return 0;
}

FL_TEST(spin_locked_ends_with_its_block)
{
	fl_spin s = FL_SPIN_INIT;
	for (int way = 0; way < 3; way++) {
		assert_int_equal(leave_block(&s, way), way == 1);
		FL_OK(fl_spin_destroy(&s));
	}
}

typedef struct counter {
	fl_spin lock;
	unsigned count, rounds;
} counter;

static int count(void *arg)
{
	counter *c = arg;
	for (unsigned i = 0; i < c->rounds; i++) {
		FL_SPIN_LOCKED(&c->lock);
		c->count++;
	}
	return 0;
}

FL_TEST(spin_excludes)
{
	enum { THREADS = 4 };
	counter c = {.rounds = fl_test_scaled(100000)};
	fl_thread threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		fl_test_go(&threads[i], count, &c);
	for (int i = 0; i < THREADS; i++)
		fl_test_end(&threads[i]);
	assert_int_equal(c.count, THREADS * c.rounds);
}

/*
 * fifo_rt_one_core: a spinning thread does not keep the holder from its CPU for ever. The holder
 * continues only after the waiter has slept, which the table of system calls sees.
 */
static uint32_t sleeps;

static int count_sleep(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	(void)fl__add_relaxed(&sleeps, 1);
	return fl_test_real_sys.futex_wait(word, expected, deadline);
}

static void no_yield(void)
{
}

static int lock_and_unlock(void *arg)
{
	fl_spin_lock(arg);
	fl_spin_unlock(arg);
	return 0;
}

FL_TEST(spin_sleeps_in_the_end)
{
	fl_spin s = FL_SPIN_INIT;
	fl_thread t;
	FL_FAULTS();
	sleeps = 0;
	fl__sys.yield = no_yield;
	fl__sys.futex_wait = count_sleep;
	fl_spin_lock(&s);
	fl_test_go(&t, lock_and_unlock, &s);
	FL_WAIT_FOR(fl__load_relaxed(&sleeps) > 2);
	fl_spin_unlock(&s);
	fl_test_end(&t);
}

/* A fiber that waits for another one of its thread lets it run. */
static int hold_for_a_while(void *arg)
{
	fl_spin_lock(arg);
	fl_test_look(); /* a wait with the lock held, which is wrong in a program */
	fl_spin_unlock(arg);
	return 0;
}

static int in_fibers(void *arg)
{
	fl_fiber *holder = fl_test_start(hold_for_a_while, arg);
	fl_fiber_yield();
	fl_spin_assert_held(arg);
	fl_fiber *waiter = fl_test_start(lock_and_unlock, arg);
	FL_CHECK(fl_test_join(waiter) == 0 && fl_test_join(holder) == 0);
	return 0;
}

FL_TEST(spin_among_fibers_of_one_thread_ends)
{
	fl_spin s = FL_SPIN_INIT;
	fl_test_in_loop(in_fibers, &s);
	FL_OK(fl_spin_destroy(&s));
}
