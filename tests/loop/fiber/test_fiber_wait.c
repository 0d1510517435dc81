/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library's ordinary primitives, waited for by fibers and threads alike.
 */
#include "fl_faults.h"
#include "fl_fiber.h"
#include "fl_queued.h"

/* There and back through two semaphores. */
typedef struct pingpong {
	fl_sem ping, pong;
	unsigned rounds;
} pingpong;

static int play_ping(void *arg)
{
	pingpong *p = arg;
	for (unsigned i = 0; i < p->rounds; i++) {
		fl_sem_release(&p->ping);
		FL_OK(fl_sem_acquire(&p->pong));
	}
	return 0;
}

static int play_pong(void *arg)
{
	pingpong *p = arg;
	for (unsigned i = 0; i < p->rounds; i++) {
		FL_OK(fl_sem_acquire(&p->ping));
		fl_sem_release(&p->pong);
	}
	return 0;
}

FL_TEST(fiber_sem_between_two_schedulers)
{
	pingpong p = {FL_SEM_INIT(0), FL_SEM_INIT(0), fl_test_scaled(5000)};
	fl_test_fibers other;
	fl_test_fibers_begin(&other, play_pong, &p, 0, 1);
	fl_test_fibers_here(play_ping, &p, 0, 1);
	fl_test_fibers_end(&other);
}

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

/*
 * The scheduler may be freed as soon as its last fiber was woken, by a thread that is still inside
 * of the wake.
 */
static int wait_once(void *sem)
{
	return fl_sem_acquire(sem);
}

typedef struct release_loop {
	fl_sem *sems;
	unsigned rounds;
} release_loop;

static int release_each(void *arg)
{
	const release_loop *r = arg;
	for (unsigned i = 0; i < r->rounds; i++) {
		FL_WAIT_FOR(fl_test_queued(&r->sems[i]) == 1);
		fl_sem_release(&r->sems[i]);
	}
	return 0;
}

FL_TEST(fiber_scheduler_ends_right_after_a_wake)
{
	release_loop r = {NULL, fl_test_scaled(2000)};
	r.sems = calloc(r.rounds, sizeof r.sems[0]);
	assert_non_null(r.sems);
	fl_thread t;
	fl_test_go(&t, release_each, &r);
	for (unsigned i = 0; i < r.rounds; i++)
		fl_test_fibers_here(wait_once, &r.sems[i], 0, 1);
	fl_test_end(&t);
	free(r.sems);
}
