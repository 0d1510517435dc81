/* SPDX-License-Identifier: BSD-2-Clause */
#include "wait_fd.h"
#include "loop.h"
#include <errno.h>

struct waiter {
	struct fl__source source;
	struct fl__wait wait;
	struct fl__node node;
};

static void fire(void *source, uint32_t events)
{
	struct waiter *w = source;
	(void)events;
	(void)fl__node_wake(&w->node); /* `w` exists: a waiter that gives up deregisters it */
}

/*
 * The waiter is on the caller's stack, and registered for one event. -ENOSYS: the descriptor cannot
 * be registered, for instance because the loop watches it already.
 */
int fl__loop_wait_fd(struct fl__sched *s, int fd, short events, int64_t deadline, fl_cancel_token *cancel)
{
	fl_loop *l = fl__sched_user(s);
	struct waiter w = {.source.fire = fire};
	w.node = FL__NODE(&w.wait);
	fl__wait_begin(&w.wait);
	/* poll and epoll have the same bits */
	if (fl__loop_add(l, fd, (uint16_t)events | EPOLLONESHOT, &w.source) != 0)
		return -ENOSYS;
	int rc = fl__wait_sleep(&w.wait, deadline, cancel);
	fl__loop_remove(l, fd, &w.source);
	return rc;
}
