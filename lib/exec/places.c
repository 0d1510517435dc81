/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded backlog: its places are the permits of a semaphore. executor.h says who takes and gives them.
 *
 * A submit from a task of the same executor never waits: the worker that it would wait for may be its own. It is run as a call. A
 * task that submits the next one, and so on, would nest such calls without end while the backlog stays full: beyond a
 * depth they go into the backlog, bound or not, one for each return from that depth.
 */
#include "executor.h"
#include <errno.h>

enum { DEPTH = 64 };

int fl__places_init(struct fl__places *places, const fl_executor_config *config)
{
	if (config->backlog > FL_BACKLOG_MAX || (unsigned)config->when_full > FL_FULL_RUN)
		return -EINVAL;
	places->bound = config->backlog;
	places->when_full = config->when_full;
	return fl_sem_init(&places->free, config->backlog);
}

int fl__place_take(fl_executor *e, int64_t deadline, fl_cancel *cancel, enum fl__admission *place)
{
	struct fl__places *places = &e->places;
	*place = FL__PLACE;
	if (fl_sem_try_acquire(&places->free) == 0)
		return 0;
	if (places->when_full == FL_FULL_REFUSE)
		return -ENOBUFS;
	if (places->when_full == FL_FULL_WAIT && !fl__run_serves(e))
		return fl_sem_acquire_until(&places->free, deadline != 0 ? deadline : FL_FOREVER, cancel);
	*place = fl__run_depth(e) < DEPTH ? FL__HERE : FL__NO_PLACE;
	return 0;
}

void fl__place_give(fl_executor *e, enum fl__admission place)
{
	if (place == FL__PLACE)
		fl_sem_release(&e->places.free);
}

void fl__places_give_up(fl_executor *e)
{
	if (e->places.given_up)
		return;
	e->places.given_up = true;
	fl_sem_release_n(&e->places.free, FL_BACKLOG_MAX);
}
