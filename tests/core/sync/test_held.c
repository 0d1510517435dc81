/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"

FL_TEST(mutex_assert_held_panics_when_it_is_not)
{
	fl_mutex m = FL_MUTEX_INIT;
	FL_PANICS_OF("fl_mutex_assert_held", &m, fl_mutex_assert_held(&m));
	FL_LOCKED(&m);
	fl_mutex_assert_held(&m);
}

static int lock_it(void *m)
{
	fl_rmutex_lock(m);
	return 0;
}

FL_TEST(rmutex_assert_held_panics_unless_the_caller_owns_it)
{
	fl_rmutex m = FL_RMUTEX_INIT;
	fl_thread *t;
	FL_PANICS_OF("fl_rmutex_assert_held", &m, fl_rmutex_assert_held(&m));
	{
		FL_RMUTEX_LOCKED(&m);
		fl_rmutex_assert_held(&m);
	}
	fl_test_go(&t, lock_it, &m); /* and ends with it */
	fl_test_end(t);
	FL_RC(fl_rmutex_try_lock(&m), -EAGAIN);
	FL_PANICS(fl_rmutex_assert_held(&m));
}

static int leave_block(fl_rmutex *m, int way)
{
	for (;;) {
		FL_RMUTEX_LOCKED(m);
		FL_RMUTEX_LOCKED(m);
		fl_rmutex_assert_held(m);
		if (way == 0)
			break;
		if (way == 1)
			return 1;
		way = 0;
	}
	return 0;
}

FL_TEST(rmutex_locked_ends_with_its_block)
{
	fl_rmutex m = FL_RMUTEX_INIT;
	for (int way = 0; way < 3; way++) {
		assert_int_equal(leave_block(&m, way), way == 1);
	}
}

static int lock_shared(fl_shm_mutex *m)
{
	FL_SHM_LOCKED(rc, m);
	FL_SHM_LOCKED(again, m);
	FL_CHECK(fl_shm_mutex_depth(m));
	return rc != 0 ? rc : again;
}

FL_TEST(shm_recursive_locked_ends_with_its_block)
{
	fl_shm_mutex m = FL_SHM_MUTEX_RECURSIVE_INIT;
	FL_OK(lock_shared(&m));
	assert_false(fl_shm_mutex_depth(&m));
	assert_false(fl_shm_mutex_is_locked(&m));
}
