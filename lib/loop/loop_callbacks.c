/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The callbacks of a loop: calls, timers, and watches of descriptors. The fiber callback_fiber
 * makes all these calls. When it is resumed, it runs before all other fibers, so that the reported
 * events are not stale.
 *
 * While a callback waits, the loop mutes each watch that is ready. When the callback returns, the
 * events in the list `fired` may be stale. So before the loop calls the callback of a watch in the
 * list, it asks the system for the watch's events again, and unmutes the watch. While a watch is in
 * the list, it is muted once and asked for once, however many callbacks wait.
 *
 * fl_loop_watch.pending_ is 0 while the watch is not in the list `fired`. In the list:
 *
 *   bit            meaning                       set by                   cleared by
 *   FL_FD_...      events for the callback       loop_watch_fire()        loop_watch_fire(), with
 *                                                                         WATCH_MUTED
 *   WATCH_MUTED    the poller does not report    loop_watch_fire(),       loop_watch_unmuted()
 *                  the watch                     while a callback waits
 *   WATCH_STALE    a callback has waited since   loop_make_stale(),       loop_watch_fire(), with
 *                  the events came               loop_watch_unmuted()     WATCH_MUTED
 *
 * loop_watch_unfire() clears all bits.
 *
 * Why a fiber runs the callbacks: if they ran on the thread's own stack, a callback that waits for
 * a mutex would block the fiber that holds the mutex. Why the loop mutes watches: while a callback
 * waits, a watch that stays ready would be reported again and again.
 */
#include "core/base/list.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "linger.h"
#include "poller.h"
#include <errno.h>

enum { WATCH_MUTED = 1 << 8, WATCH_STALE = 1 << 9 };

/* Calls. */

struct loop_call {
	struct fl__post post;
	fl_loop *loop;
	fl_loop_callback *function;
	void *arg;
};

static void loop_make_calls(fl_loop *l)
{
	struct fl__post *first = l->calls;
	l->calls = NULL;
	FL__EACH_SAFE (struct fl__post, post, first) {
		struct loop_call *call = (struct loop_call *)(void *)post;
		fl_loop_callback *const function = call->function;
		void *const arg = call->arg;
		fl__free(post);
		function(arg);
	}
}

static void loop_enqueue_call(struct fl__post *post)
{
	fl_loop *l = ((struct loop_call *)(void *)post)->loop;
	FL__APPEND(l->calls, l->calls_last, post, next);
	if (!l->calling)
		fl__fiber_resume(l->callback_fiber);
}

void fl__loop_free_calls(fl_loop *l)
{
	fl__sched_take_inbox(l->sched);
	FL__EACH_SAFE (struct fl__post, post, l->calls)
		fl__free(post);
}

int fl_loop_post(fl_loop *l, fl_loop_callback *function, void *arg)
{
	fl__loop_check(l, "fl_loop_post");
	struct loop_call *call = fl__alloc(1, sizeof *call);
	if (!call)
		return -ENOMEM;
	call->post.function = loop_enqueue_call;
	call->loop = l;
	call->function = function;
	call->arg = arg;
	fl__sched_post(l->sched, &call->post);
	if (fl_loop_current() == l)
		/* so that the call does not wait for the end of the batch */
		fl__sched_take_inbox(l->sched);
	return 0;
}

/* Timers. */

_Static_assert(sizeof(struct fl__timer) <= sizeof((fl_loop_timer *)0)->heap_,
               "fl_loop_timer has room for struct fl__timer");

static struct fl__timer *loop_timer_place(fl_loop_timer *t)
{
	return (struct fl__timer *)(void *)t->heap_;
}

static fl_loop_timer *loop_timer_of(struct fl__timer *place)
{
	return FL__CONTAINER_OF(place, fl_loop_timer, heap_);
}

static void loop_timer_add(fl_loop *l, fl_loop_timer *t, fl_time deadline)
{
	/* a timer that is started while timers are fired is due in the next iteration */
	fl__timers_add(&l->timers, loop_timer_place(t), FL__MAX(deadline.ns, l->firing + 1));
}

void fl_loop_timer_start(fl_loop *l, fl_loop_timer *t, fl_time deadline, fl_loop_callback *function, void *arg)
{
	fl__loop_check(l, "fl_loop_timer_start");
	fl__timers_remove(&l->timers, loop_timer_place(t));
	t->function_ = function;
	t->arg_ = arg;
	if (!fl__is_forever(deadline))
		loop_timer_add(l, t, deadline);
}

int fl_loop_timer_cancel(fl_loop *l, fl_loop_timer *t)
{
	fl__loop_check(l, "fl_loop_timer_cancel");
	struct fl__timer *timer = loop_timer_place(t);
	if (!timer->back)
		return -EALREADY;
	fl__timers_remove(&l->timers, timer);
	return 0;
}

static void loop_fire_timers(fl_loop *l)
{
	struct fl__timer *first = l->timers.first;
	if (!first)
		return;
	l->firing = fl__sys.now();
	while ((first = l->timers.first) != NULL && first->deadline <= l->firing) {
		fl_loop_timer *t = loop_timer_of(first);
		fl__timers_remove(&l->timers, first);
		t->function_(t->arg_); /* may free `t` */
	}
	l->firing = 0;
}

/* Watches. */

/* Returns -EINVAL for bits other than FL_FD_IN and FL_FD_OUT. */
static int loop_watch_bits(unsigned events, uint32_t *bits)
{
	if (events & ~(unsigned)(FL_FD_IN | FL_FD_OUT))
		return -EINVAL;
	*bits =
	    (events & FL_FD_IN ? (uint32_t)(EPOLLIN | EPOLLRDHUP) : 0) | (events & FL_FD_OUT ? (uint32_t)EPOLLOUT : 0);
	return 0;
}

static struct fl__poller_source *loop_watch_source(fl_loop_watch *w)
{
	return (struct fl__poller_source *)(void *)w;
}

/*
 * Mutes or unmutes a watch. The poller may report a muted watch once more, since it always reports
 * errors and hang-ups.
 */
static void loop_watch_mute(fl_loop_watch *w, bool mute)
{
	uint32_t bits = EPOLLONESHOT;
	int rc = mute ? 0 : loop_watch_bits(w->events_, &bits);
	if (rc == 0)
		rc = fl__loop_modify(w->loop_, w->fd_, bits, loop_watch_source(w));
	(void)rc; /* the result is always 0, since the descriptor is registered */
}

/*
 * Adds the watch to the list `fired`. Its callback will get those of `events` that the watch still
 * asks for when the callback runs.
 */
static void loop_watch_fire(fl_loop_watch *w, unsigned events)
{
	fl_loop *l = w->loop_;
	if (events == 0)
		return;
	if (w->pending_ == 0)
		FL__QUEUE_ADD_AT(l->fired, l->fired_last, w, next_, prev_);
	if (!l->calling) {
		w->pending_ |= events;
		fl__fiber_resume(l->callback_fiber);
	} else if (!(w->pending_ & WATCH_MUTED)) {
		w->pending_ = WATCH_MUTED;
		loop_watch_mute(w, true);
	}
}

static void loop_watch_unmuted(fl_loop_watch *w)
{
	if (w->pending_ & WATCH_MUTED)
		w->pending_ = WATCH_STALE;
}

static void loop_watch_unfire(fl_loop_watch *w)
{
	if (w->pending_ == 0)
		return;
	fl_loop *l = w->loop_;
	FL__QUEUE_REMOVE_AT(l->fired, l->fired_last, w, next_, prev_);
	w->pending_ = 0;
}

/* Returns the events for the callback. `bits` is what the system reports. */
static unsigned loop_watch_events(const fl_loop_watch *w, uint32_t bits)
{
	const uint32_t broken = EPOLLERR | EPOLLHUP;
	unsigned events = 0;
	if (bits & (EPOLLIN | EPOLLRDHUP | broken))
		events |= w->events_ & FL_FD_IN;
	if (bits & (EPOLLOUT | broken))
		events |= w->events_ & FL_FD_OUT;
	if (bits & broken)
		events |= FL_FD_ERR;
	return events;
}

static void loop_watch_on_events(void *watch, uint32_t bits)
{
	loop_watch_fire(watch, loop_watch_events(watch, bits));
}

int fl_loop_watch_start(fl_loop *l, fl_loop_watch *w, int fd, unsigned events, fl_loop_watch_callback *function,
                        void *arg)
{
	uint32_t bits;
	fl__loop_check(l, "fl_loop_watch_start");
	int rc = loop_watch_bits(events, &bits);
	if (rc == 0)
		rc = fl__loop_add(l, fd, bits, loop_watch_source(w));
	if (rc != 0)
		return rc;
	*w = (fl_loop_watch){.fire_ = loop_watch_on_events,
	                     .loop_ = l,
	                     .function_ = function,
	                     .arg_ = arg,
	                     .fd_ = fd,
	                     .events_ = events};
	return 0;
}

int fl_loop_watch_change(fl_loop_watch *w, unsigned events)
{
	uint32_t bits;
	if (!w->loop_)
		return -EINVAL;
	int rc = loop_watch_bits(events, &bits);
	if (rc == 0)
		rc = fl__loop_modify(w->loop_, w->fd_, bits, loop_watch_source(w));
	if (rc != 0)
		return rc;
	w->events_ = events;
	loop_watch_unmuted(w);
	return 0;
}

int fl_loop_watch_cancel(fl_loop_watch *w)
{
	if (!w->loop_)
		return -EALREADY;
	fl__loop_remove(w->loop_, w->fd_, loop_watch_source(w));
	loop_watch_unfire(w);
	w->loop_ = NULL;
	return 0;
}

static void loop_make_stale(fl_loop *l)
{
	for (fl_loop_watch *w = l->fired; w; w = w->next_)
		w->pending_ |= WATCH_STALE;
	l->held_up = false;
}

/* Takes a watch out of the list. Returns the events for its callback. */
static unsigned loop_watch_take(fl_loop_watch *w)
{
	const unsigned pending = w->pending_;
	uint32_t bits = 0;
	loop_watch_unfire(w);
	if (pending & WATCH_MUTED)
		loop_watch_mute(w, false);
	if (!(pending & WATCH_STALE))
		return pending & (w->events_ | FL_FD_ERR);
	(void)loop_watch_bits(w->events_, &bits); /* 0: they were checked before */
	return loop_watch_events(w, fl__poller_sys.look(w->fd_, bits));
}

static void loop_call_watches(fl_loop *l)
{
	fl_loop_watch *w;
	while ((w = l->fired) != NULL && !l->held_up) {
		const unsigned events = loop_watch_take(w);
		/* events is 0 if the watch is not ready any more, or was changed since the poll */
		if (events != 0)
			w->function_(w, w->fd_, events, w->arg_);
	}
}

int fl__loop_run_callbacks(void *loop)
{
	fl_loop *l = loop;
	for (;;) {
		if (!l->calls && !l->fired)
			fl__fiber_suspend();
		if (l->ending) {
			/* makes the calls that were posted while a callback waited */
			loop_make_calls(l);
			return 0;
		}
		l->calling = true;
		loop_call_watches(l);
		loop_fire_timers(l);
		loop_make_calls(l);
		l->calling = false;
		if (l->held_up)
			loop_make_stale(l);
		if (l->calls || l->fired)
			/*
			 * yields, so that a call that posts calls does not starve fibers or waiting
			 * watches
			 */
			fl__fiber_yield();
	}
}

/*
 * Returns FL__NEVER while callbacks run, since due timers wait until the callbacks have returned.
 */
static int64_t loop_next_callback(const fl_loop *l)
{
	return l->timers.first && !l->calling ? l->timers.first->deadline : FL__NEVER;
}

int64_t fl__loop_next_timer(const fl_loop *l)
{
	return fl__min_deadline(loop_next_callback(l), fl__linger_deadline(l));
}

void fl__loop_check_timers(fl_loop *l)
{
	const int64_t next = loop_next_callback(l);
	if (next != FL__NEVER && next <= fl__sys.now())
		fl__fiber_resume(l->callback_fiber);
	fl__linger_check(l);
}
