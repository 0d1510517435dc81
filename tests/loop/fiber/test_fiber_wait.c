/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library's ordinary primitives, waited for by fibers and threads alike.
 */
#include "fl_fiber.h"

/* Conditions, barriers, recursive mutexes, waiting for any. */
typedef struct meeting {
	fl_mutex lock;
	fl_cond changed;
	fl_barrier barrier;
	fl_rmutex recursive;
	unsigned here;
} meeting;

static bool all_here(void *arg)
{
	const meeting *m = arg;
	return m->here == 8;
}

static int meet(void *arg)
{
	meeting *m = arg;
	fl_mutex_lock(&m->lock);
	m->here++;
	fl_cond_broadcast(&m->changed);
	FL_OK(fl_cond_wait_for(&m->changed, &m->lock, all_here, m));
	fl_mutex_unlock(&m->lock);
	for (int i = 0; i < 50; i++) {
		int rc = fl_barrier_wait(&m->barrier);
		FL_CHECK(rc >= 0);
	}
	for (int i = 0; i < 20; i++) {
		fl_rmutex_lock(&m->recursive);
		fl_rmutex_lock(&m->recursive);
		if (fl__fiber_self())
			fl__fiber_yield(); /* the owner is the fiber, not the thread */
		fl_rmutex_unlock(&m->recursive);
		fl_rmutex_unlock(&m->recursive);
	}
	return 0;
}

FL_TEST(fiber_meets_threads)
{
	meeting m = {FL_MUTEX_INIT, FL_COND_INIT, FL_BARRIER_INIT(8), FL_RMUTEX_INIT, 0};
	fl_test_fibers group;
	fl_thread threads[2];
	fl_test_fibers_begin(&group, meet, &m, 0, 6);
	FL_EACH (i, threads)
		fl_test_go(&threads[i], meet, &m);
	fl_test_fibers_end(&group);
	FL_EACH (i, threads)
		fl_test_end(&threads[i]);
}
