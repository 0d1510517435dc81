/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded backlog's permits are those of a semaphore. executor.h says when they are taken and
 * returned.
 *
 * A submit from a task of the same executor never waits: it may wait for its own worker. The submit
 * runs its task as a call. A task that submits the next task, and so on, would nest such calls
 * without end while the backlog stays full. At nesting depth DEPTH a submit ignores the bound, one
 * task for each return from that depth.
 *
 * FL_BACKLOG_NONE: a submit may get a permit only while a worker is free. So give() pays what is
 * owed before it releases a permit, and owe() owes only if there is no permit. Both run under
 * `owes`: a release between the failed acquire of owe() and its count would leave a permit beside a
 * debt. A submit takes its permit without `owes`: while there is a permit nothing is owed.
 */
#include "../exec/executor.h"
#include "../wait/lock.h"
#include <errno.h>

enum { DEPTH = 64 };

static bool is_none(const struct fl__places *places)
{
	return places->bound == FL_BACKLOG_NONE;
}

int fl__places_init(struct fl__places *places, const fl_executor_config *config, unsigned workers)
{
	places->bound = config->backlog;
	places->when_full = config->when_full;
	if ((config->backlog > FL_BACKLOG_MAX && !is_none(places)) || (unsigned)config->when_full > FL_FULL_RUN)
		return -EINVAL;
	return fl_sem_init(&places->free, is_none(places) ? workers : config->backlog);
}

/* Under `owes`. */
static void owe(struct fl__places *places)
{
	if (fl_sem_try_acquire(&places->free) != 0)
		places->owed++;
}

static void give(struct fl__places *places)
{
	if (places->owed > 0)
		places->owed--;
	else
		fl_sem_release(&places->free);
}

enum fl__admission fl__place_beyond(fl_executor *e)
{
	struct fl__places *places = &e->places;
	if (!is_none(places))
		return FL__NO_PLACE;
	fl__lock(&places->owes);
	owe(places);
	(void)fl__unlock(&places->owes);
	return FL__WORKER;
}

int fl__place_take(fl_executor *e, int64_t deadline, fl_cancel_token *cancel, enum fl__admission *place)
{
	struct fl__places *places = &e->places;
	*place = is_none(places) ? FL__WORKER : FL__PLACE;
	if (fl_sem_try_acquire(&places->free) == 0)
		return 0;
	if (places->when_full == FL_FULL_REFUSE)
		return -ENOBUFS;
	if (places->when_full == FL_FULL_WAIT && !fl__run_serves(e))
		return fl_sem_acquire_until(&places->free, deadline != 0 ? deadline : FL_FOREVER, cancel);
	*place = fl__run_depth(e) < DEPTH ? FL__HERE : fl__place_beyond(e);
	return 0;
}

void fl__place_give(fl_executor *e, enum fl__admission place)
{
	struct fl__places *places = &e->places;
	if (place == FL__PLACE)
		fl_sem_release(&places->free);
	if (place != FL__WORKER)
		return;
	fl__lock(&places->owes);
	give(places);
	(void)fl__unlock(&places->owes);
}

void fl__places_resize(fl_executor *e, unsigned before, unsigned now)
{
	struct fl__places *places = &e->places;
	if (!is_none(places))
		return;
	fl__lock(&places->owes);
	for (; before < now; before++)
		give(places);
	for (; before > now; before--)
		owe(places);
	(void)fl__unlock(&places->owes);
}

void fl__places_give_up(fl_executor *e)
{
	if (e->places.given_up)
		return;
	e->places.given_up = true;
	fl_sem_release_n(&e->places.free, FL_BACKLOG_MAX);
}
