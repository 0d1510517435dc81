/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_in_loop.h"
#include "fl_shm_child.h"

typedef struct board {
	fl_shm_mutex mutex;
	uint32_t held;
	unsigned inside, count;
} board;

#define BOARD(b)                                                                                                       \
	FL_TEST_SHARED(board, b);                                                                                      \
	fl_shm_mutex_init_recursive(&(b)->mutex)

static int hold_thrice(void *arg)
{
	board *b = arg;
	int rc = fl_shm_mutex_lock(&b->mutex);
	FL_OK_OR(rc, -EOWNERDEAD);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_OK(fl_shm_mutex_try_lock(&b->mutex));
	fl__add_release(&b->held, 1);
	fl_test_rest();
}

static pid_t begin_holder(board *b)
{
	uint32_t before = fl__load_acquire(&b->held);
	pid_t pid = fl_test_fork(hold_thrice, b);
	FL_WAIT_FOR(fl__load_acquire(&b->held) == before + 1);
	return pid;
}

FL_TEST(shm_recursive_init)
{
	fl_shm_mutex m = FL_SHM_MUTEX_RECURSIVE_INIT, made;
	memset(&made, 0xff, sizeof made);
	fl_shm_mutex_init_recursive(&made);
	assert_memory_equal(&made, &m, sizeof m);
}

FL_TEST(shm_recursive_nests)
{
	fl_shm_mutex m = FL_SHM_MUTEX_RECURSIVE_INIT;
	FL_OK(fl_shm_mutex_lock(&m));
	FL_OK(fl_shm_mutex_try_lock(&m));
	FL_OK(fl_shm_mutex_lock_until(&m, FL_NO_WAIT, NULL));
	for (int i = 3; i > 0; i--) {
		assert_int_equal(fl_shm_mutex_depth(&m), i);
		fl_shm_mutex_unlock(&m);
	}
	assert_int_equal(fl_shm_mutex_depth(&m), 0);
	FL_PANICS(fl_shm_mutex_unlock(&m));
	assert_string_equal(fl_test_panic.function, "fl_shm_mutex_unlock");
	FL_PANICS(fl_shm_mutex_recover(&m));
}

/* recursive_overflow */
FL_TEST(shm_recursive_recursive_overflow)
{
	fl_shm_mutex m = FL_SHM_MUTEX_RECURSIVE_INIT;
	FL_OK(fl_shm_mutex_lock(&m));
	fl__shm_latest_hold()->depth = UINT32_MAX - 1;
	FL_RC(fl_shm_mutex_try_lock(&m), -EOVERFLOW);
	FL_RC(fl_shm_mutex_lock_until(&m, FL_NO_WAIT, NULL), -EOVERFLOW);
	fl__shm_latest_hold()->depth = 0;
	fl_shm_mutex_unlock(&m);
}

FL_TEST(shm_recursive_others_are_refused)
{
	BOARD(b);
	pid_t pid = begin_holder(b);
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -EAGAIN);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_PANICS(fl_shm_mutex_unlock(&b->mutex));
	fl_test_kill(pid);
}

FL_TEST(shm_recursive_tells_of_a_death_and_begins_anew)
{
	FL_TEST_NEEDS_DEATHS();
	BOARD(b);
	for (int form = 0; form < 3; form++) {
		fl_test_kill(begin_holder(b));
		FL_RC(fl_test_lock_by(&b->mutex, form), -EOWNERDEAD);
		fl_test_locks(&b->mutex);
		fl_shm_mutex_recover(&b->mutex);
		assert_int_equal(fl_shm_mutex_depth(&b->mutex), 1); /* also of an owner that died with more */
		fl_shm_mutex_unlock(&b->mutex);
		assert_int_equal(fl_shm_mutex_depth(&b->mutex), 0);
	}
	fl_test_kill(begin_holder(b));
	fl_test_kill(begin_holder(b)); /* which had the report */
	FL_RC(fl_shm_mutex_lock(&b->mutex), -EOWNERDEAD);
	fl_shm_mutex_unlock(&b->mutex);
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -ENOTRECOVERABLE);
	FL_RC(fl_shm_mutex_lock_until(&b->mutex, FL_NO_WAIT, NULL), -ENOTRECOVERABLE);
	assert_false(fl_shm_mutex_depth(&b->mutex));
}

static int count_nested(void *arg)
{
	board *b = arg;
	for (int i = 0; i < 50; i++) {
		FL_OK(fl_shm_mutex_lock(&b->mutex));
		FL_CHECK(b->inside == 0);
		b->inside = 1;
		FL_OK(fl_shm_mutex_lock_until(&b->mutex, FL_NO_WAIT, NULL));
		fl__fiber_yield();
		fl_shm_mutex_unlock(&b->mutex);
		b->inside = 0;
		b->count++;
		fl_shm_mutex_unlock(&b->mutex);
	}
	return 0;
}

/* Two fibers of one thread are two owners. */
FL_TEST(shm_recursive_fibers_are_owners)
{
	BOARD(b);
	fl_test_fibers_here(count_nested, b, 0, 3);
	assert_int_equal(b->count, 150);
}

static int child_owns_nothing(void *arg)
{
	board *b = arg;
	FL_CHECK(!fl_shm_mutex_depth(&b->mutex));
	FL_RC(fl_shm_mutex_try_lock(&b->mutex), -EAGAIN);
	return 0;
}

FL_TEST(shm_recursive_fork_while_holding)
{
	BOARD(b);
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	FL_OK(fl_shm_mutex_lock(&b->mutex));
	fl_test_reap(fl_test_fork(child_owns_nothing, b));
	fl_shm_mutex_unlock(&b->mutex);
	assert_true(fl_shm_mutex_depth(&b->mutex));
	fl_shm_mutex_unlock(&b->mutex);
}
