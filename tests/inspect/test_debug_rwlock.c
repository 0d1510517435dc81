/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports on readers-writer locks. */
#include "core/sync/reader_bias.h"
#include "fl_debugging.h"

static void read_both(fl_rwlock *first, fl_rwlock *second)
{
	fl_rwlock_read_lock(first);
	fl_rwlock_read_lock(second);
	fl_rwlock_read_unlock(first);
	fl_rwlock_read_unlock(second);
}

static void write_once(fl_rwlock *l)
{
	fl_rwlock_write_lock(l);
	fl_rwlock_write_unlock(l);
}

/* Readers alone wait for no context; behind a waiting writer they do. */
FL_TEST(debug_readers_have_an_order_beside_a_writer)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_rwlock l[2] = {FL_RWLOCK_INIT, FL_RWLOCK_INIT};
	read_both(&l[0], &l[1]);
	read_both(&l[1], &l[0]);
	HEARD("\n", 0);
	write_once(&l[0]);
	HEARD("\n", 0); /* the other lock has only readers */
	write_once(&l[1]);
	HEARD("potential deadlock", 1);
	HEARD("(to read)", 4);
}

/*
 * The bias for readers hides nothing: a slot that a thread used before is no lock that debugging
 * has seen.
 */
FL_TEST(debug_follows_biased_readers)
{
	fl_rwlock l[2] = {{FL__BIAS + FL__BIAS_UNITS, 0}, {FL__BIAS + FL__BIAS_UNITS, 0}};
	fl__bias_note(&l[0]);
	fl_rwlock_read_lock(&l[0]);
	assert_int_equal(fl__bias_slots_of(&l[0]), 1);
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_rwlock_assert_read_held(&l[0]);
	fl_rwlock_read_unlock(&l[0]);
	assert_int_equal(fl__bias_slots_of(&l[0]), 0);
	read_both(&l[0], &l[1]);
	read_both(&l[1], &l[0]);
	write_once(&l[0]);
	HEARD("\n", 0);
	write_once(&l[1]);
	HEARD("potential deadlock", 1);
}

FL_TEST(debug_a_write_reports_each_cycle)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_rwlock l[4] = {FL_RWLOCK_INIT};
	for (int i = 1; i < 4; i++) {
		read_both(&l[0], &l[i]);
		read_both(&l[i], &l[0]);
		write_once(&l[i]);
	}
	HEARD("\n", 0);
	for (int i = 0; i < 2; i++) {
		write_once(&l[0]);
		HEARD("potential deadlock", 3);
	}
}

FL_TEST(debug_writers_have_an_order)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	fl_rwlock l[2] = {FL_RWLOCK_INIT, FL_RWLOCK_INIT};
	FL_EACH (i, l) {
		fl_rwlock_write_lock(&l[i]);
		fl_rwlock_read_lock(&l[1 - i]);
		fl_rwlock_read_unlock(&l[1 - i]);
		fl_rwlock_write_unlock(&l[i]);
		HEARD("potential deadlock", i);
	}
}

FL_TEST(debug_reading_again_is_a_hazard_beside_a_writer)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_rwlock_read_lock(&l);
	fl_rwlock_read_lock(&l);
	fl_rwlock_read_unlock(&l);
	fl_rwlock_read_unlock(&l);
	HEARD("\n", 0);
	write_once(&l);
	HEARD("potential deadlock", 1);
	HEARD("1 of 1", 1);
}

FL_TEST(debug_downgrade_is_followed)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_rwlock_write_lock(&l);
	HEARD("\n", 0);
	FL_RC(fl_rwlock_read_lock_until(&l, FL_FOREVER, fl_test_requested), -ECANCELED);
	HEARD("deadlock: a context waits for a lock that it holds", 1);
	fl_rwlock_downgrade(&l);
	FL_OK(fl_rwlock_try_read_lock(&l));
	fl_rwlock_read_unlock(&l);
	FL_PANICS_OF("fl_rwlock_destroy", &l, fl_rwlock_destroy(&l));
	HEARD("a held lock is destroyed", 1);
	fl_rwlock_assert_read_held(&l);
	fl_rwlock_read_unlock(&l);
	fl_rwlock_destroy(&l);
	FL_OK(fl_rwlock_try_write_lock(&l));
	FL_RC(fl_rwlock_try_write_lock(&l), -EAGAIN);
	fl_rwlock_write_unlock(&l);
	FL_PANICS(fl_rwlock_write_unlock(&l));
	FL_PANICS(fl_rwlock_read_unlock(&l));
}

static int unlock_other(void *l)
{
	fl_rwlock_write_unlock(l);
	return 0;
}

FL_TEST(debug_write_lock_unlocked_by_another)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	fl_rwlock l[2] = {FL_RWLOCK_INIT, FL_RWLOCK_INIT};
	read_both(&l[0], &l[1]);
	fl_rwlock_write_lock(&l[1]);
	fl_test_on_thread(unlock_other, &l[1]);
	fl_rwlock_write_lock(&l[0]); /* with nothing held */
	fl_rwlock_write_unlock(&l[0]);
	HEARD("\n", 0);
}

static int assert_it(void *l)
{
	fl_rwlock_assert_write_held(l);
	return 0;
}

static uint32_t panics;

static void count_and_leave(const fl_panic_info *info)
{
	FL_CHECK(strcmp(info->function, "fl_rwlock_assert_write_held") == 0);
	(void)fl__add_relaxed(&panics, 1); /* relaxed: joined */
	pthread_exit(NULL);
}

FL_TEST(debug_assert_held_by_another_panics)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_thread *t;
	fl_panic_handler *before = fl_panic_set_handler(count_and_leave);
	fl_rwlock_write_lock(&l);
	fl_rwlock_assert_write_held(&l);
	fl_test_go(&t, assert_it, &l);
	FL_OK(fl_thread_join(t, NULL));
	assert_int_equal(panics, 1);
	HEARD("another context holds the lock", 1);
	fl_rwlock_write_unlock(&l);
	(void)fl_panic_set_handler(before);
}
