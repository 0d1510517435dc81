/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls, timers and watches. The fiber `callbacks` of the loop runs their callbacks. On the
 * thread's own stack a callback that waits for a mutex would block the fiber that must unlock it.
 * In a fiber it blocks only other callbacks. `callbacks` runs before all other fibers, so the
 * events that it reports are not stale.
 *
 * While a callback waits, the poller would report a ready watch again and again. So the loop mutes
 * the watch until the callback returns. By then the events of all watches in `fired` may be stale.
 * So the loop drops them, and the poller reports the watches anew.
 *
 * fl_loop_watch.pending_ is 0 while the watch is not in the list `fired`. In the list:
 *
 *   bit           meaning                          set by                     cleared by
 *   FL_LOOP_...   events for the callback          fl__loop_fire()            renew()
 *   MUTED         the poller does not report       fl__loop_fire(), while a   renew(),
 *                 the watch                        callback waits             fl__loop_unmuted()
 *   PLACE         the watch keeps its place in     renew(),                   -
 *                 the list, even without events    fl__loop_unmuted()
 *
 * fl__loop_unfire() clears all bits. fl__loop_fire() clears the other bits when it sets MUTED.
 * Without PLACE, a watch whose callback waits each time would be called back first each time.
 */
#include "../base/sys.h"
#include "loop.h"
#include <errno.h>

enum { MUTED = 1 << 8, PLACE = 1 << 9 };

/* Calls. */

struct call {
	struct fl__post post;
	fl_loop_callback *function;
	void *arg;
};

static void make_calls(fl_loop *l)
{
	struct fl__post *post;
	while ((post = l->calls) != NULL) {
		const struct call call = *(struct call *)(void *)post;
		l->calls = post->next;
		fl__free(post);
		call.function(call.arg);
	}
}

static void enlist_call(struct fl__post *post)
{
	fl_loop *l = fl_loop_current();
	post->next = NULL;
	*(l->calls ? &l->calls_last->next : &l->calls) = post;
	l->calls_last = post;
	fl__fiber_resume_first(l->callbacks);
}

void fl__loop_free_calls(struct fl__post *posts)
{
	for (struct fl__post *next; posts; posts = next) {
		next = posts->next;
		if (posts->function == enlist_call)
			fl__free(posts);
	}
}

int fl_loop_post(fl_loop *l, fl_loop_callback *function, void *arg)
{
	fl__loop_check(l, "fl_loop_post");
	if (fl__loop_is_forked(l))
		return -EOWNERDEAD;
	struct call *call = fl__alloc(1, sizeof *call);
	if (!call)
		return -ENOMEM;
	*call = (struct call){.post.function = enlist_call, .function = function, .arg = arg};
	fl__loop_post(l, &call->post);
	return 0;
}

/* Timers. */

_Static_assert(sizeof(struct fl__timer) <= sizeof((fl_loop_timer *)0)->heap_,
               "fl_loop_timer has room for a place in a heap");

static struct fl__timer *place_of(fl_loop_timer *t)
{
	return (struct fl__timer *)(void *)t->heap_;
}

void fl_loop_timer_start(fl_loop *l, fl_loop_timer *t, int64_t deadline, fl_loop_callback *function, void *arg)
{
	fl__loop_check(l, "fl_loop_timer_start");
	fl__timers_remove(&l->timers, place_of(t));
	t->function_ = function;
	t->arg_ = arg;
	if (deadline == FL_FOREVER)
		return;
	/* A timer that is started while timers are fired is not due before the next turn. */
	fl__timers_add(&l->timers, place_of(t), deadline > l->firing ? deadline : l->firing + 1);
}

void fl_loop_timer_cancel(fl_loop *l, fl_loop_timer *t)
{
	fl__loop_check(l, "fl_loop_timer_cancel");
	fl__timers_remove(&l->timers, place_of(t));
}

static void fire_timers(fl_loop *l)
{
	struct fl__timer *first = l->timers.first;
	if (!first)
		return;
	l->firing = fl__sys.now();
	while ((first = l->timers.first) != NULL && first->deadline <= l->firing) {
		fl_loop_timer *t = (fl_loop_timer *)(void *)((char *)first - offsetof(fl_loop_timer, heap_));
		fl__timers_remove(&l->timers, first);
		t->function_(t->arg_); /* may free `t` */
	}
	l->firing = 0;
}

/* Watches. */

/* After a callback that waited: has the poller report all watches in the list anew. */
static void renew(fl_loop *l)
{
	for (fl_loop_watch *w = l->fired; w; w = w->next_) {
		if (w->pending_ & MUTED)
			fl__loop_watch_mute(w, false);
		w->pending_ = PLACE;
	}
	l->held_up = false;
}

static void call_watches(fl_loop *l)
{
	fl_loop_watch *w;
	while ((w = l->fired) != NULL && !l->held_up) {
		const unsigned events = w->pending_ & (w->events_ | FL_LOOP_ERR);
		fl__loop_unfire(w);
		if (events != 0) /* 0: the watch has only a place, or was changed since the poll */
			w->function_(w, w->fd_, events, w->arg_);
	}
}

int fl__loop_call_back(void *loop)
{
	fl_loop *l = loop;
	for (;;) {
		int rc = fl__fiber_suspend(FL_FOREVER);
		(void)rc; /* always 0 without a deadline */
		if (l->ending)
			return 0;
		l->calling = true;
		call_watches(l);
		fire_timers(l);
		make_calls(l);
		l->calling = false;
		if (l->held_up)
			renew(l);
	}
}

void fl__loop_fire(fl_loop_watch *w, unsigned events)
{
	fl_loop *l = w->loop_;
	if (events == 0)
		return;
	if (w->pending_ == 0) {
		*(l->fired ? &l->fired_last->next_ : &l->fired) = w;
		l->fired_last = w;
		w->next_ = NULL;
	}
	if (!l->calling) {
		w->pending_ |= events;
		fl__fiber_resume_first(l->callbacks);
	} else if (!(w->pending_ & MUTED)) {
		w->pending_ = MUTED;
		fl__loop_watch_mute(w, true);
	}
}

void fl__loop_unmuted(fl_loop_watch *w)
{
	if (w->pending_ & MUTED)
		w->pending_ = PLACE;
}

void fl__loop_unfire(fl_loop_watch *w)
{
	if (w->pending_ == 0)
		return;
	fl_loop *l = w->loop_;
	fl_loop_watch *before = NULL;
	for (fl_loop_watch *v = l->fired; v != w; v = v->next_)
		before = v;
	*(before ? &before->next_ : &l->fired) = w->next_;
	if (l->fired_last == w)
		l->fired_last = before;
	w->pending_ = 0;
}

/* FL_FOREVER while callbacks run: their fiber then fires the timers itself. */
int64_t fl__loop_next_timer(const fl_loop *l)
{
	return l->timers.first && !l->calling ? l->timers.first->deadline : FL_FOREVER;
}

void fl__loop_look_at_timers(fl_loop *l)
{
	const int64_t next = fl__loop_next_timer(l);
	if (next != FL_FOREVER && next <= fl__sys.now())
		fl__fiber_resume_first(l->callbacks);
}
