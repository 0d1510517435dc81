/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fibers that use an object of the library while another fiber of their loop is blocked outside of
 * the library: that fiber waits until plain threads, which use the same object, have made their
 * calls. No call may wait for a fiber that cannot run now.
 */
#include "fl_in_loop.h"

#include "core/base/atomic.h"

static const int64_t blocked_round = FL_MS(3); /* longer than a mutex lets its first waiter wait */

static struct {
	unsigned done;
} blocked;

/*
 * A condition of the program: a signalled fiber is not in the queue of the mutex before it runs. So
 * the mutex is not handed over to it.
 */
static fl_mutex lock = FL_MUTEX_INIT;
static fl_cond changed = FL_COND_INIT;
static unsigned changes;

static int wait_for_change(void *unused)
{
	(void)unused;
	FL_LOCKED(&lock);
	while (changes == 0)
		FL_OK(fl_cond_wait(&changed, &lock));
	return 0;
}

static int change_for_long(void *unused)
{
	(void)unused;
	for (const int64_t end = fl_after(blocked_round); fl_now() < end;) {
		FL_LOCKED(&lock);
		changes++;
		fl_cond_broadcast(&changed);
	}
	fl__store_release(&blocked.done, 1); /* pairs with loop_blocked_cond() */
	return 0;
}

FL_TEST_WITH(loop_blocked_cond, fl_test_body_in_loop, void)
{
	fl_thread t;
	fl_fiber *f = fl_test_start(wait_for_change, NULL);
	fl_fiber_yield();
	fl__store_relaxed(&blocked.done, 0);
	fl_test_go(&t, change_for_long, NULL);
	FL_WAIT_FOR(fl__load_acquire(&blocked.done));
	FL_OK(fl_test_join(f));
	fl_test_end(&t);
}
