/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: a heap of those that are to be called, and a thread that calls them.
 *
 *   a timer is    when                                         leaves that
 *   idle          its place is in no heap                      start
 *   pending       its place is in `pending`                    withdraw(), make_call()
 *   running       it is call.timer, of call.start; may be        the end of its function
 *                 pending again
 *
 * Invariants
 *   1. All variables here and the fields of timers are read and written under `lock`. Functions run without it.
 *   2. No lost wake: `wakes_at` is set in the section in which the thread goes to sleep, and says until when it may sleep. Who adds
 *      an earlier deadline wakes it; who cancels does not, so that it may wake in vain. `awake` is before all: the thread looks at the heap before it sleeps.
 *   3. From the moment its function is called nobody here touches a timer for that call's sake: what is known of it stands in `call`;
 *      a periodic one has its next place before. So the function may free it, and whoever waits for the end of a call waits for
 *      its number, and may free it then.
 *   4. While a timer is pending there is a thread, unless the process exits. It takes its end in the section in which it finds
 *      nothing to wait for; who starts a timer after that starts another thread.
 *   5. A forked child has neither timers nor thread. A place in the heap counts only with the number of the fork in which it
 *      was taken: those of the parent are never followed.
 *
 * Linearization: called or cancelled, whichever takes the timer out of the heap.
 * Progress: blocking, on `lock`, for an operation of the heap, or once for the start of a thread.
 */
#include "../base/sys.h"
#include "../fiber/timers.h"
#include "../sync/helper.h"
#include "../wait/context.h"
#include <errno.h>
#include <fairlead/cond.h>
#include <fairlead/eventcount.h>
#include <fairlead/mutex.h>
#include <fairlead/timer.h>
#include <pthread.h>

_Static_assert(sizeof(struct fl__timer) <= sizeof((fl_timer *)0)->heap_, "fl_timer has room for a place in a heap");

static const int64_t linger = FL_S(10); /* how long the thread waits for a timer, when there is none */
static const int64_t awake = INT64_MIN;

static fl_mutex lock = FL_MUTEX_INIT;
static fl_cond earlier = FL_COND_INIT;             /* the thread sleeps here */
static fl_eventcount settled = FL_EVENTCOUNT_INIT; /* a timer that was pending or running is not */
static struct fl__timers pending;
static int64_t wakes_at;
static bool has_thread;
static uint32_t starts; /* so many were made; wraps */
static struct {
	const fl_timer *timer; /* whose function runs; NULL: none. It may be gone, and another there: */
	uint32_t start;        /* its last */
	uint64_t number;       /* of this call, or of the last */
	uint64_t context;      /* that makes it */
	bool stopped;          /* somebody waits for its end, to have the timer for himself */
} call;

static struct fl__timer *place_of(const fl_timer *t)
{
	return (struct fl__timer *)(void *)t->heap_;
}

static fl_timer *timer_at(struct fl__timer *place)
{
	return (fl_timer *)(void *)((char *)place - offsetof(fl_timer, heap_));
}

static bool is_pending(const fl_timer *t)
{
	return place_of(t)->back && !fl__is_forked(t->fork_);
}

/* Whether its function runs. */
static bool is_called(const fl_timer *t)
{
	return call.timer == t && call.start == t->start_;
}

static bool is_idle(const fl_timer *t)
{
	return !is_pending(t) && !is_called(t);
}

/* Whether a timer's function calls. */
static bool in_a_call(void)
{
	return call.timer && call.context == fl__ctx_get()->id;
}

static void wake_thread(void)
{
	wakes_at = awake; /* it is told */
	fl_cond_signal(&earlier);
}

/* Takes `t` out of the heap; false: it was not there. */
static bool withdraw(fl_timer *t)
{
	if (!is_pending(t))
		return false;
	fl__timers_remove(&pending, place_of(t));
	fl_eventcount_notify_all(&settled);
	if (!pending.first && wakes_at == FL_FOREVER)
		wake_thread(); /* else it would never find that it is idle */
	return true;
}

/* The thread. All of it but the functions is under the lock. */

/* The place of the next call of a periodic timer, behind those whose time has passed. */
static void await_next(fl_timer *t, int64_t deadline, int64_t now)
{
	const int64_t late = now - deadline;
	t->missed_ += (uint64_t)(late / t->period_);
	fl__timers_add(&pending, place_of(t), fl__later(now - late % t->period_, t->period_));
}

static void make_call(fl_timer *t, int64_t now)
{
	fl_timer_callback *const function = t->function_;
	void *const arg = t->arg_;
	const int64_t deadline = place_of(t)->deadline;
	fl__timers_remove(&pending, place_of(t));
	if (t->period_ > 0)
		await_next(t, deadline, now);
	call.timer = t;
	call.start = t->start_;
	call.number++;
	call.context = fl__ctx_get()->id;
	call.stopped = false;
	const uint32_t fork = fl__fork_count;
	fl_mutex_unlock(&lock);
	function(arg);
	fl_mutex_lock(&lock);
	if (fl__is_forked(fork))
		return; /* the function has forked: in the child the call is not known */
	call.timer = NULL;
	fl_eventcount_notify_all(&settled);
}

/* Sleeps until the first deadline, or an earlier one is there. False: there is nothing to wait for any more. */
static bool sleep_on(int64_t now)
{
	const bool idle = !pending.first;
	wakes_at = idle ? fl__later(now, linger) : pending.first->deadline;
	const bool timed_out = fl_cond_wait_until(&earlier, &lock, wakes_at, FL_SHIELDED) != 0;
	wakes_at = awake;
	return !(idle && timed_out && !pending.first);
}

static void serve(void)
{
	const uint32_t fork = fl__fork_count;
	bool goes_on = true;
	fl_mutex_lock(&lock);
	while (goes_on && !fl__helper_must_end() && !fl__is_forked(fork)) {
		const int64_t now = fl__sys.now();
		if (pending.first && pending.first->deadline <= now)
			make_call(timer_at(pending.first), now);
		else
			goes_on = sleep_on(now);
	}
	if (!fl__is_forked(fork))
		has_thread = false;
	fl_mutex_unlock(&lock);
}

/* A function that runs is not waited for: it may never end, or be the one that exits. */
static unsigned end_thread(void)
{
	FL_LOCKED(&lock);
	wake_thread();
	return call.timer ? 1 : 0;
}

static int begin_thread(void)
{
	static struct fl__helper helper = {.name = "timers", .function = serve, .end = end_thread};
	if (has_thread)
		return 0;
	wakes_at = awake;
	const int rc = fl__helper_start(&helper);
	has_thread = rc == 0;
	return rc;
}

/* The forking thread alone goes on; where a function forks, that is this one, which ends when the function has returned. */
static void after_fork_in_child(void)
{
	fl_mutex_init(&lock);
	fl_cond_init(&earlier);
	fl_eventcount_init(&settled);
	pending.first = NULL;
	has_thread = false;
	call.timer = NULL;
}

FL__AT_START static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, after_fork_in_child); /* see lib/wait/context.c */
}

/* Calls of users. */

void fl_timer_init(fl_timer *t)
{
	*t = (fl_timer)FL_TIMER_INIT;
}

static int start(fl_timer *t, int64_t deadline, int64_t period, fl_timer_callback *function, void *arg)
{
	const int64_t now = fl__sys.now();
	if (deadline < now)
		deadline = now;
	FL_LOCKED(&lock);
	if (is_pending(t))
		return -EBUSY;
	const bool runs = is_called(t);
	if (runs && call.stopped)
		return -ECANCELED;
	int rc = begin_thread();
	if (rc != 0)
		return rc;
	starts += starts == UINT32_MAX ? 2 : 1; /* not 0: that is one which was never started */
	*t = (fl_timer){
	    .period_ = period, .function_ = function, .arg_ = arg, .fork_ = fl__fork_count, .start_ = starts};
	if (runs)
		call.start = starts;
	fl__timers_add(&pending, place_of(t), deadline);
	if (deadline < wakes_at)
		wake_thread();
	return 0;
}

int fl_timer_start(fl_timer *t, int64_t deadline, fl_timer_callback *function, void *arg)
{
	return start(t, deadline, 0, function, arg);
}

int fl_timer_start_every(fl_timer *t, int64_t first, int64_t period, fl_timer_callback *function, void *arg)
{
	return period > 0 ? start(t, first, period, function, arg) : -EINVAL;
}

uint64_t fl_timer_missed(const fl_timer *t)
{
	FL_LOCKED(&lock);
	return t->missed_;
}

int fl_timer_cancel(fl_timer *t)
{
	FL_LOCKED(&lock);
	const bool withdrawn = withdraw(t);
	if (is_called(t) && !in_a_call())
		return -EBUSY;
	return withdrawn ? 0 : -EALREADY;
}

/* Without the lock meanwhile: until any timer that was pending or running is not. */
static int wait_for_any(int64_t deadline, fl_cancel *cancel)
{
	const fl_eventcount_key key = fl_eventcount_prepare(&settled);
	fl_mutex_unlock(&lock);
	const int rc = fl_eventcount_wait_until(&settled, key, deadline, cancel);
	fl_mutex_lock(&lock);
	return rc;
}

static bool is_made(uint64_t number)
{
	return call.timer && call.number == number;
}

/* Waits for the end of the call that is made now. */
static int wait_for_call(int64_t deadline, fl_cancel *cancel)
{
	const uint64_t number = call.number;
	int rc = 0;
	while (rc == 0 && is_made(number))
		rc = wait_for_any(deadline, cancel);
	return is_made(number) ? rc : 0;
}

int fl_timer_stop_until(fl_timer *t, int64_t deadline, fl_cancel *cancel)
{
	FL_LOCKED(&lock);
	(void)withdraw(t);
	if (!is_called(t))
		return 0;
	if (in_a_call())
		return -EDEADLK;
	call.stopped = true;
	return wait_for_call(deadline, cancel);
}

int fl_timer_stop(fl_timer *t)
{
	return fl_timer_stop_until(t, FL_FOREVER, FL_SHIELDED);
}

int fl_timer_join_until(fl_timer *t, int64_t deadline, fl_cancel *cancel)
{
	FL_LOCKED(&lock);
	if (!is_idle(t) && in_a_call())
		return -EDEADLK;
	int rc = 0;
	while (rc == 0 && !is_idle(t))
		rc = wait_for_any(deadline, cancel);
	return is_idle(t) ? 0 : rc;
}

int fl_timer_join(fl_timer *t)
{
	return fl_timer_join_until(t, FL_FOREVER, NULL);
}

int fl_timer_try_join(fl_timer *t)
{
	FL_LOCKED(&lock);
	return is_idle(t) ? 0 : -EBUSY;
}

int fl_timer_destroy(fl_timer *t)
{
	return fl_timer_try_join(t);
}
