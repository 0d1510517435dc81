/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers are in a heap, and one thread calls their functions.
 *
 *   state     meaning                                       left by
 *   idle      neither pending nor running                   timer_start()
 *   pending   its node is in `timer_heap`                   timer_withdraw(), timer_make_call()
 *   running   timer_call has it; it may be pending again    the end of its function
 *
 * Invariants
 *   1. `timer_lock` guards all variables here and the fields of timers. Functions run without it.
 *   2. No wake is lost. `timer_wakes_at` is the time until which the thread may sleep, which the
 *      thread sets in the section in which it goes to sleep. A context that adds an earlier
 *      deadline wakes the thread, and so does the end of this copy. A cancel wakes it only if it
 *      sleeps without a deadline and no timer is left. While the thread is awake, `timer_wakes_at`
 *      is `timer_awake`, which is before all deadlines, and the thread checks the heap before it
 *      sleeps.
 *   3. Once a timer's function runs, the thread no longer accesses the timer, because `timer_call`
 *      has what is known of it, and a periodic timer is back in the heap. So the function may free
 *      a timer that is not pending.
 *   4. While a timer is pending there is a thread, unless this copy of the library ends. The thread
 *      ends in the section in which it finds nothing to wait for. A later start starts another
 *      thread.
 *   5. A join enqueues itself under `timer_lock`, in the wait queue that its timer has in the
 *      parking lot. A context that makes a timer idle takes all waiters of that queue under
 *      `timer_lock`, and unparks them after the unlock. The queue's key is made from the address of
 *      the timer as a number, because a function may have freed its timer. Another timer may then
 *      have the same key, and so a join of that timer checks again.
 *
 * Calling a timer's function and cancelling linearize at the step that takes the timer out of the
 * heap. All functions block on `timer_lock`, which is held for an operation of the heap, for a
 * transaction of the parking lot if contexts join timers, or for the start of a thread.
 *
 * A timer needs neither a thread nor an allocation, because its heap entry is in the caller's
 * struct. A start wakes the thread only if its timer is earlier than all others, and a cancel only
 * in the case of invariant 2. So a timeout that is started and cancelled again, as most timeouts
 * are, seldom wakes the thread. A cancelled timer may be freed at once, unless its function runs
 * and uses it. If another context cancels a timer, this also prevents a running function from
 * starting its timer again, so that a join after the cancel ends with that call. A periodic timer
 * keeps to the times of its start: it counts the calls that it missed, and does not make up for
 * them. A timer has no executor, because a submit can fail, and the timer's function is the place
 * to handle that.
 */
#include "../base/anew.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../base/timer_heap.h"
#include "../hooks.h"
#include "../wait/context.h"
#include "helper.h"
#include "mutex.h"
#include <fairlead/timer.h>

_Static_assert(sizeof(struct fl__timer) <= sizeof((fl_timer *)0)->heap_, "a heap node fits into fl_timer");

/* The thread ends if it has had no timer to wait for during this time. */
static const int64_t timer_linger = FL_S(10);
static const int64_t timer_awake = INT64_MIN;

static fl_mutex timer_lock = FL_MUTEX_INIT;
static fl_cond timer_earlier = FL_COND_INIT;             /* on which the thread sleeps */
static unsigned timer_joiners FL_GUARDED_BY(timer_lock); /* how many contexts wait in a join */
static struct fl__timers timer_heap FL_GUARDED_BY(timer_lock);
static int64_t timer_wakes_at FL_GUARDED_BY(timer_lock);
/*
 * The function of the timer until whose deadline the thread sleeps, or NULL if there is none or it
 * was cancelled. Only reports read it without the lock, so its stores are atomic, and relaxed.
 */
static fl_timer_callback *timer_due;
static bool timer_has_thread FL_GUARDED_BY(timer_lock);
static uint32_t timer_starts FL_GUARDED_BY(timer_lock); /* the number of starts; it wraps */
static struct {
	/* The timer whose function runs, and may have freed it; or NULL. */
	const fl_timer *timer;
	/* The start_ of that timer, because another timer may be at the address by now. */
	uint32_t start;
	uint64_t context; /* the id of the context that makes the call */
	bool pending;     /* the timer is pending again */
	bool cancelled;   /* another context has cancelled it, so the function cannot start it again */
} timer_call FL_GUARDED_BY(timer_lock);

static struct fl__timer *timer_node_of(const fl_timer *t)
{
	return (struct fl__timer *)(void *)t->heap_;
}

static fl_timer *timer_of_node(struct fl__timer *place)
{
	return FL__CONTAINER_OF(place, fl_timer, heap_);
}

static bool timer_is_pending(const fl_timer *t)
{
	return timer_node_of(t)->back != NULL;
}

static bool timer_is_called(const fl_timer *t) FL_REQUIRES(timer_lock)
{
	return timer_call.timer == t && timer_call.start == t->start_;
}

static bool timer_is_idle(const fl_timer *t) FL_REQUIRES(timer_lock)
{
	return !timer_is_pending(t) && !timer_is_called(t);
}

static bool timer_in_a_call(void) FL_REQUIRES(timer_lock)
{
	return timer_call.timer && timer_call.context == fl__ctx_get()->id;
}

static void timer_wake_thread(void) FL_REQUIRES(timer_lock)
{
	timer_wakes_at = timer_awake; /* so that no other context wakes the thread as well */
	fl_cond_signal(&timer_earlier);
}

static const void *timer_queue_of(const fl_timer *t)
{
	return fl__lot_key(t, FL__KEY_OF_CALLBACKS);
}

/*
 * Called under the lock when `t` has become idle. Takes the contexts that join `t`. The caller
 * unparks them without the lock.
 */
static void timer_take_joiners(const fl_timer *t, struct fl__lot *joiners) FL_REQUIRES(timer_lock)
{
	if (timer_joiners == 0)
		return;
	fl__lot_open(joiners, timer_queue_of(t));
	(void)fl__lot_take(joiners, FL__ALL, 0);
	fl__lot_unlock(joiners);
}

/*
 * Takes `t` out of the heap, and takes its joiners if it is idle then. Returns false if it was not
 * pending.
 */
static bool timer_withdraw(fl_timer *t, struct fl__lot *joiners) FL_REQUIRES(timer_lock)
{
	if (!timer_is_pending(t))
		return false;
	if (timer_heap.first == timer_node_of(t))
		fl__store_relaxed(&timer_due, NULL);
	fl__timers_remove(&timer_heap, timer_node_of(t));
	if (timer_is_called(t))
		timer_call.pending = false;
	else
		timer_take_joiners(t, joiners);
	if (!timer_heap.first && timer_wakes_at == FL__NEVER)
		timer_wake_thread(); /* the thread must notice that it is idle */
	return true;
}

/*
 * The functions from here to timer_sleep() are called under the lock, but unlock it while a timer's
 * function runs, and while the thread sleeps.
 */

/*
 * Adds a periodic timer again, for its next call that is not past. Counts the calls that it skips.
 */
static void timer_add_next(fl_timer *t, int64_t deadline, int64_t now) FL_REQUIRES(timer_lock)
{
	const int64_t late = now - deadline;
	t->missed_ += (uint64_t)(late / t->period_);
	fl__timers_add(&timer_heap, timer_node_of(t), fl__later(now - late % t->period_, t->period_));
}

static void timer_make_call(fl_timer *t, int64_t now) FL_REQUIRES(timer_lock)
{
	fl_timer_callback *const function = t->function_;
	void *const arg = t->arg_;
	const int64_t deadline = timer_node_of(t)->deadline;
	fl__timers_remove(&timer_heap, timer_node_of(t));
	if (t->period_ > 0)
		timer_add_next(t, deadline, now);
	timer_call.timer = t;
	timer_call.start = t->start_;
	timer_call.context = fl__ctx_get()->id;
	timer_call.pending = t->period_ > 0;
	timer_call.cancelled = false;
	fl_mutex_unlock(&timer_lock);
	function(arg);
	fl__mutex_hold(&timer_lock);
	timer_call.timer = NULL;
	if (timer_call.pending)
		return;
	struct fl__lot joiners = {0};
	timer_take_joiners(t, &joiners);
	if (!joiners.taken)
		return;
	fl_mutex_unlock(&timer_lock);
	fl__lot_unpark(&joiners);
	fl__mutex_hold(&timer_lock);
}

/*
 * Sleeps until the first deadline, or until an earlier one is added. Returns false if the thread
 * has waited for timer_linger and there is no timer.
 */
static bool timer_sleep(int64_t now) FL_REQUIRES(timer_lock)
{
	const bool idle = !timer_heap.first;
	FL__AWAITS(FL__DEBUG_DUE, &timer_due);
	fl__store_relaxed(&timer_due, idle ? NULL : timer_of_node(timer_heap.first)->function_);
	timer_wakes_at = idle ? fl__later(now, timer_linger) : timer_heap.first->deadline;
	const bool timed_out =
	    fl_cond_wait_until(&timer_earlier, &timer_lock, FL__TIME(timer_wakes_at), FL_SHIELDED) != 0;
	timer_wakes_at = timer_awake;
	return !(idle && timed_out && !timer_heap.first);
}

static void timer_serve(void)
{
	bool goes_on = true;
	fl__mutex_hold(&timer_lock);
	while (goes_on && !fl__helper_must_end()) {
		const int64_t now = fl__sys.now();
		if (timer_heap.first && timer_heap.first->deadline <= now)
			timer_make_call(timer_of_node(timer_heap.first), now);
		else
			goes_on = timer_sleep(now);
	}
	timer_has_thread = false;
	fl_mutex_unlock(&timer_lock);
}

/*
 * Wakes the thread when this copy ends. The end does not wait for a function that runs, because the
 * function may have called exit().
 */
static unsigned timer_end_thread(void)
{
	FL__HELD(&timer_lock);
	timer_wake_thread();
	return timer_call.timer ? 1 : 0;
}

static int timer_begin_thread(void) FL_REQUIRES(timer_lock)
{
	static struct fl__helper helper = {
	    .name = "timers", .function = timer_serve, .calls_user = true, .end = timer_end_thread};
	if (timer_has_thread)
		return 0;
	timer_wakes_at = timer_awake;
	const int rc = fl__helper_start(&helper);
	timer_has_thread = rc == 0;
	return rc;
}

static int timer_start(fl_timer *t, fl_time deadline, fl_duration period, fl_timer_callback *function, void *arg)
{
	const int64_t due = fl__expiry(deadline), now = fl__sys.now(), at = FL__MAX(due, now);
	FL__HELD(&timer_lock);
	if (timer_is_pending(t))
		return -EBUSY;
	const bool runs = timer_is_called(t);
	if (runs && timer_call.cancelled && timer_in_a_call())
		return -ECANCELED;
	int rc = timer_begin_thread();
	if (rc != 0)
		return rc;
	/* Skips 0, which means that the timer was never started. */
	timer_starts += timer_starts == UINT32_MAX ? 2 : 1;
	*t = (fl_timer){.period_ = period, .function_ = function, .arg_ = arg, .start_ = timer_starts};
	if (runs) {
		timer_call.start = timer_starts;
		timer_call.pending = true;
	}
	fl__timers_add(&timer_heap, timer_node_of(t), at);
	if (at < timer_wakes_at)
		timer_wake_thread();
	return 0;
}

int fl_timer_start(fl_timer *t, fl_time deadline, fl_timer_callback *function, void *arg)
{
	return timer_start(t, deadline, 0, function, arg);
}

int fl_timer_start_every(fl_timer *t, fl_time first, fl_duration period, fl_timer_callback *function, void *arg)
{
	return period > 0 ? timer_start(t, first, period, function, arg) : -EINVAL;
}

uint64_t fl_timer_missed(const fl_timer *t)
{
	FL__HELD(&timer_lock);
	return t->missed_;
}

static int timer_cancel(fl_timer *t, struct fl__lot *joiners)
{
	FL__HELD(&timer_lock);
	const bool withdrawn = timer_withdraw(t, joiners);
	if (timer_is_called(t) && !timer_in_a_call()) {
		timer_call.cancelled = true;
		return -EINPROGRESS;
	}
	return withdrawn ? 0 : -EALREADY;
}

int fl_timer_cancel(fl_timer *t)
{
	struct fl__lot joiners = {0};
	const int rc = timer_cancel(t, &joiners);
	fl__lot_unpark(&joiners);
	return rc;
}

/*
 * Unless the join is over, enqueues `node` and returns -EAGAIN. Otherwise returns the join's
 * result.
 */
static int timer_arm(const fl_timer *t, struct fl__node *node)
{
	FL__HELD(&timer_lock);
	if (timer_is_idle(t))
		return 0;
	if (timer_in_a_call())
		return -EDEADLK;
	FL__LOT(lot, timer_queue_of(t));
	fl__lot_add(&lot, node);
	timer_joiners++;
	return -EAGAIN;
}

/* Called after the sleep of a join. Returns whether `t` is idle. */
static bool timer_disarm(const fl_timer *t)
{
	FL__HELD(&timer_lock);
	timer_joiners--;
	return timer_is_idle(t);
}

int fl_timer_join_until(fl_timer *t, fl_time deadline, fl_cancel_token *cancel)
{
	for (;;) {
		FL__WAIT(wait, node, FL__DEBUG_TIMER, t);
		int rc = timer_arm(t, &node);
		if (rc != -EAGAIN)
			return rc;
		rc = fl__wait_sleep(&wait, deadline, cancel);
		if (rc != 0)
			fl__lot_leave(&node);
		if (timer_disarm(t))
			return 0;
		if (rc != 0)
			return rc;
	}
}

int fl_timer_try_join(fl_timer *t)
{
	FL__HELD(&timer_lock);
	return timer_is_idle(t) ? 0 : -EAGAIN;
}

/* A timer that is not pending is not busy for its own function, which may free it. */
static bool timer_is_busy(const fl_timer *t)
{
	FL__HELD(&timer_lock);
	return timer_is_pending(t) || (timer_is_called(t) && !timer_in_a_call());
}

void fl_timer_destroy(fl_timer *t)
{
	fl__hook_destroy(t, t, timer_is_busy(t));
}

FL_NO_THREAD_SAFETY_ANALYSIS static void timer_make_anew(void)
{
	fl_mutex_init(&timer_lock);
	fl_cond_init(&timer_earlier);
	timer_joiners = 0;
	timer_heap.first = NULL;
	timer_has_thread = false;
	timer_call.timer = NULL;
}

FL__MAKES_ANEW(timer_make_anew)
