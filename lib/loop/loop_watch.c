/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop.h"
#include <errno.h>

/* Translates FL_LOOP_IN and FL_LOOP_OUT to the bits of epoll. -EINVAL: other bits. */
static int translate(unsigned events, uint32_t *bits)
{
	if (events & ~(unsigned)(FL_LOOP_IN | FL_LOOP_OUT))
		return -EINVAL;
	*bits = (events & FL_LOOP_IN ? (uint32_t)(EPOLLIN | EPOLLRDHUP) : 0) |
	        (events & FL_LOOP_OUT ? (uint32_t)EPOLLOUT : 0);
	return 0;
}

static void fire(void *watch, uint32_t bits)
{
	fl_loop_watch *w = watch;
	const uint32_t broken = EPOLLERR | EPOLLHUP;
	unsigned events = 0;
	if (bits & (EPOLLIN | EPOLLRDHUP | broken))
		events |= w->events_ & FL_LOOP_IN;
	if (bits & (EPOLLOUT | broken))
		events |= w->events_ & FL_LOOP_OUT;
	if (bits & broken)
		events |= FL_LOOP_ERR;
	fl__loop_fire(w, events);
}

static struct fl__source *source_of(fl_loop_watch *w)
{
	return (struct fl__source *)(void *)w;
}

/* The poller reports a muted watch at most once more: an error or a hang-up is always reported. */
void fl__loop_watch_mute(fl_loop_watch *w, bool mute)
{
	uint32_t bits = EPOLLONESHOT;
	int rc = mute ? 0 : translate(w->events_, &bits);
	if (rc == 0)
		rc = fl__loop_modify(w->loop_, w->fd_, bits, source_of(w));
	(void)rc; /* always 0: the descriptor is registered */
}

int fl_loop_watch_start(fl_loop *l, fl_loop_watch *w, int fd, unsigned events, fl_loop_watch_callback *function,
                        void *arg)
{
	uint32_t bits;
	fl__loop_check(l, "fl_loop_watch_start");
	int rc = fl__loop_is_forked(l) ? -EOWNERDEAD : translate(events, &bits);
	if (rc == 0)
		rc = fl__loop_add(l, fd, bits, source_of(w));
	if (rc != 0)
		return rc;
	*w = (fl_loop_watch){
	    .fire_ = fire, .loop_ = l, .function_ = function, .arg_ = arg, .fd_ = fd, .events_ = events};
	return 0;
}

int fl_loop_watch_change(fl_loop_watch *w, unsigned events)
{
	uint32_t bits;
	if (!w->loop_)
		return -EINVAL;
	int rc = fl__loop_is_forked(w->loop_) ? -EOWNERDEAD : translate(events, &bits);
	if (rc == 0)
		rc = fl__loop_modify(w->loop_, w->fd_, bits, source_of(w));
	if (rc != 0)
		return rc;
	w->events_ = events;
	fl__loop_unmuted(w);
	return 0;
}

void fl_loop_watch_stop(fl_loop_watch *w)
{
	if (!w->loop_)
		return;
	fl__loop_remove(w->loop_, w->fd_, source_of(w));
	fl__loop_unfire(w);
	w->loop_ = NULL;
}
