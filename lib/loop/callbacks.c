/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers and watches. They call back in a fiber of the loop's own. On the thread's own stack a callback that met a lock would hold
 * up the very fibers that are to give it back; here it holds up other callbacks alone. It runs before the others: so what it is told
 * of is not stale.
 */
#include "../base/sys.h"
#include "loop.h"

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
	/* Not again in this turn. */
	fl__timers_add(&l->timers, place_of(t), deadline > l->firing ? deadline : l->firing + 1);
}

void fl_loop_timer_stop(fl_loop *l, fl_loop_timer *t)
{
	fl__loop_check(l, "fl_loop_timer_stop");
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
		t->function_(t->arg_); /* which may free it */
	}
	l->firing = 0;
}

static void call_watches(fl_loop *l)
{
	fl_loop_watch *w;
	while ((w = l->fired) != NULL) {
		const unsigned events = w->pending_ & (w->events_ | FL_LOOP_ERR);
		fl__loop_unfire(w);
		if (events != 0) /* or it was changed since the poller was asked */
			w->function_(w, w->fd_, events, w->arg_);
	}
}

int fl__loop_call_back(void *loop)
{
	fl_loop *l = loop;
	for (;;) {
		int rc = fl__fiber_suspend(FL_FOREVER);
		(void)rc; /* without a deadline it is 0 */
		if (l->ending)
			return 0;
		l->calling = true;
		call_watches(l);
		fire_timers(l);
		l->calling = false;
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
		fl__fiber_resume_first(l->callbacks);
	}
	w->pending_ |= events;
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

/* While it calls back, it sees to the timers itself. */
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
