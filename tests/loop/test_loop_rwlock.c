/* SPDX-License-Identifier: BSD-2-Clause */
/* The readers-writer locks in the fibers of a loop; test_loop_locks.c has the other kinds. */
#include "fl_in_loop.h"

static fl_rwlock rwlock;

static void hold_write(void *l)
{
	fl_rwlock_write_lock(l);
}

static void leave_write(void *l)
{
	fl_rwlock_write_unlock(l);
}

static int pass_read(void *l)
{
	fl_rwlock_read_lock(l);
	fl_rwlock_read_unlock(l);
	return 0;
}

FL_TEST(loop_rwlock_read)
{
	FL_MEET(.object = &rwlock, .hold = hold_write, .wait = pass_read, .wake = leave_write);
}

static void hold_read(void *l)
{
	fl_rwlock_read_lock(l);
}

static void leave_read(void *l)
{
	fl_rwlock_read_unlock(l);
}

static int pass_write(void *l)
{
	int rc = fl_rwlock_write_lock_until(l, fl_after(FL_S(3600)), NULL);
	if (rc == 0)
		fl_rwlock_write_unlock(l);
	return rc;
}

FL_TEST(loop_rwlock_write)
{
	FL_MEET(.object = &rwlock, .hold = hold_read, .wait = pass_write, .wake = leave_read);
}

/*
 * Fibers do not overtake: a fiber that reads over and over, and sleeps with the lock held, lets a
 * writer of its loop in.
 */
typedef struct turns {
	fl_rwlock lock;
	unsigned reads;
	bool wrote;
} turns;

static int read_until_written(void *arg)
{
	turns *t = arg;
	while (!t->wrote) {
		FL_READ_LOCKED(&t->lock);
		t->reads++;
		FL_OK(fl_sleep(0));
	}
	return 0;
}

static int write_once(void *arg)
{
	turns *t = arg;
	FL_WRITE_LOCKED(&t->lock);
	t->wrote = true;
	return 0;
}

static int take_turns(void *arg)
{
	fl_fiber *readers[3];
	FL_EACH (i, readers)
		readers[i] = fl_test_start(read_until_written, arg);
	fl_fiber *writer = fl_test_start(write_once, arg);
	FL_EACH (i, readers)
		FL_OK(fl_test_join(readers[i]));
	FL_OK(fl_test_join(writer));
	return 0;
}

FL_TEST(loop_rwlock_fibers_do_not_overtake)
{
	turns t = {.reads = 0};
	fl_test_in_loop(take_turns, &t);
	assert_true(t.wrote && t.reads < 20);
}
