/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_MEET_H
#define FL_MEET_H

/*
 * One context waits, another wakes it: a fiber for a thread, a thread for a fiber, a fiber for a
 * fiber of its loop. A third context proves that a fiber's wait does not block its thread: it must
 * have ticked before the wake.
 *
 *     static int acquire(void *sem) { return fl_sem_acquire(sem); }
 *     static void release(void *sem) { fl_sem_release(sem); }
 *
 *     FL_MEET(.object = &sem, .wait = acquire, .wake = release);
 */
#include "fl_in_loop.h"

#include "core/base/sys.h"

typedef struct fl_test_meeting {
	void *object;
	void (*begin)(void *object); /* before all else, and */
	void (*end)(void *object);   /* after all else, by a fiber; NULL: nothing */
	void (*hold)(void *object);  /* by the waker, before the waiter comes; NULL: nothing */
	int (*wait)(void *object);   /* until woken: 0 */
	void (*wake)(void *object);
	/* The state of one meeting. */
	int64_t pace; /* the ticker's: 0, or so small that the loop does sleep, again and again */
	uint32_t ticks, held, waiting, returned, stop;
} fl_test_meeting;

#define FL_MEET(...) fl_test_meet(&(fl_test_meeting){__VA_ARGS__})

static inline int fl_test_meet_tick(void *arg)
{
	fl_test_meeting *m = arg;
	while (!fl__load_relaxed(&m->stop)) {
		fl__add_relaxed(&m->ticks, 1);
		FL_OK(fl_sleep(m->pace));
	}
	return 0;
}

static inline int fl_test_meet_wait(void *arg)
{
	fl_test_meeting *m = arg;
	while (!fl__load_acquire(&m->held)) {
		fl_fiber_yield();
		fl__sys.yield();
	}
	fl__store_release(&m->waiting, 1);
	FL_CHECK(m->wait(m->object) == 0);
	fl__store_release(&m->returned, 1);
	return 0;
}

/*
 * Waits until it has ticked since the begin of the wait: then the waiter is suspended, if it is a
 * fiber of the same loop.
 */
static inline int fl_test_meet_wake(void *arg)
{
	fl_test_meeting *m = arg;
	int64_t end = fl_test_wait_begin();
	if (m->hold)
		m->hold(m->object);
	fl__store_release(&m->held, 1);
	uint32_t before = 0;
	for (bool seen = false; !seen || fl__load_relaxed(&m->ticks) - before < 3;) {
		if (!seen && fl__load_acquire(&m->waiting)) {
			seen = true;
			before = fl__load_relaxed(&m->ticks);
		}
		fl_fiber_yield();
		fl_test_wait_on(end, "the ticker has ticked", __FILE__, __LINE__);
	}
	FL_CHECK(!fl__load_acquire(&m->returned));
	m->wake(m->object);
	return 0;
}

static inline void fl_test_meet_once(fl_test_meeting *m, bool wait_on_thread, bool wake_on_thread)
{
	fl_thread thread = {NULL};
	fl_fiber *waiter = NULL, *waker = NULL;
	int rc = 0;
	m->ticks = m->held = m->waiting = m->returned = m->stop = 0;
	if (m->begin)
		m->begin(m->object);
	fl_fiber *ticker = fl_test_start(fl_test_meet_tick, m);
	if (wait_on_thread || wake_on_thread)
		FL_OK(fl_thread_start(&thread, wait_on_thread ? fl_test_meet_wait : fl_test_meet_wake, m, NULL));
	if (!wait_on_thread)
		waiter = fl_test_start(fl_test_meet_wait, m);
	if (!wake_on_thread)
		waker = fl_test_start(fl_test_meet_wake, m);
	FL_CHECK(!waiter || fl_test_join(waiter) == 0);
	FL_CHECK(!waker || fl_test_join(waker) == 0);
	if (wait_on_thread || wake_on_thread)
		FL_CHECK(fl_thread_join(&thread, &rc) == 0 && rc == 0); /* also a fiber's wait */
	fl__store_relaxed(&m->stop, 1);
	FL_OK(fl_test_join(ticker));
	if (m->end)
		m->end(m->object);
}

static inline int fl_test_meet_all(void *arg)
{
	static const int64_t paces[] = {0, FL_US(20)};
	fl_test_meeting *m = arg;
	FL_EACH (i, paces) {
		m->pace = paces[i];
		fl_test_meet_once(m, false, true);
		fl_test_meet_once(m, true, false);
		fl_test_meet_once(m, false, false);
	}
	return 0;
}

/* All three ways, in a loop of its own. */
static inline void fl_test_meet(fl_test_meeting *m)
{
	fl_test_in_loop(fl_test_meet_all, m);
}

#endif
