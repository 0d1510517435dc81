/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to stop a task that a member has.
 *
 * Who asks for one task (fl_future_cancel) comes here by himself. But a token of the user's may be requested anywhere, and nobody
 * tells: so a task that was submitted with one has a *stopper* in its token's line while it is posted. It is a waiter like any
 * other, but for its unpark, which asks the worker in place of waking a thread: so a request that comes before the task's start
 * is seen there. And it wakes the keeper, which takes back what has not started.
 *
 * The stopper's wait is decided by the lot once. Who was taken out of the line will be unparked, perhaps later: so a disarm
 * that comes in between waits until the unpark has said that it is done; that is its last access.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/cancel.h"
#include "crew.h"
#include "crew_sys.h"
#include <errno.h>
#include <fairlead/time.h>

struct fl__stopper {
	struct fl__wait wait;
	struct fl__node node;
	struct fl__member *member; /* with whom its task is posted, while it is armed */
	uint32_t seq;
	bool armed;
};

static void on_unpark(struct fl__wait *wait)
{
	const struct fl__stopper *s = (const void *)wait; /* its first member */
	fl__lane_ask(&s->member->lane, s->seq);
	fl__crew_sys.ring(s->member->crew->bell);
	fl__store_release(&wait->park_word, 1); /* pairs with fl__stopper_disarm(); the last access */
}

static const struct fl__ctx_ops ops = {.unpark = on_unpark};
static struct fl__ctx ctx = {.ops = &ops, .id = 1, .name = "stopper"};

int fl__stopper_make(struct fl__cell *cell)
{
	if (!cell->future.token.parent_)
		return 0;
	cell->stopper = fl__alloc(1, sizeof *cell->stopper);
	return cell->stopper ? 0 : -ENOMEM;
}

void fl__stopper_free(struct fl__cell *cell)
{
	fl__free(cell->stopper);
	cell->stopper = NULL;
}

void fl__stopper_arm(struct fl__cell *cell)
{
	struct fl__stopper *s = cell->stopper;
	if (!s)
		return;
	s->wait = (struct fl__wait){.ctx = &ctx, .decision = FL__PENDING};
	s->node = FL__NODE(&s->wait);
	s->member = cell->member;
	s->seq = cell->seq;
	s->armed = fl__cancel_arm(&cell->future.token, &s->node);
	if (s->armed)
		return;
	fl__lane_ask(&s->member->lane, s->seq); /* it is requested by now */
	fl__crew_kick(s->member->crew);
}

void fl__stopper_disarm(struct fl__cell *cell)
{
	struct fl__stopper *s = cell->stopper;
	if (!s || !s->armed)
		return;
	s->armed = false;
	fl__lot_leave(&s->node);
	uintptr_t pending = FL__PENDING;
	if (fl__cas_relaxed(&s->wait.decision, &pending, FL__GAVE_UP)) /* relaxed: as in lib/wait/wait.c */
		return;
	for (unsigned round = 0; !fl__load_acquire(&s->wait.park_word); round++) /* pairs with on_unpark() */
		fl__back_off(round);
}

/* Asking. */

void fl__crew_ask(struct fl__crew *c, struct fl__cell *cell)
{
	if (!cell->member || cell->asked)
		return;
	cell->asked = FL__ASKED;
	fl__lane_ask(&cell->member->lane, cell->seq);
	int64_t now = fl__sys.now();
	cell->member->times[cell->seq % FL__LANE_DEPTH].asked = now;
	fl__crew_wake_at(c, fl__later(now, c->request_grace));
}

/*
 * Since when a task runs that has started. The worker says so; but what it says is taken for that only if it can be true. If
 * not (also: the slot has the time of the round before, for a moment), it is since this process first saw it.
 */
static int64_t running_since(const struct fl__member *m, struct fl__times *times, uint32_t seq, int64_t now)
{
	if (times->seen == 0)
		times->seen = now;
	int64_t began = fl__lane_began(&m->lane, seq);
	return began >= times->posted && began <= times->seen ? began : times->seen;
}

/* When the task is killed because of its deadline, if it has started by then; FL_FOREVER: never. */
static int64_t expired_time(const struct fl__crew *c, const struct fl__cell *cell)
{
	return fl__later(fl_cancel_deadline(&cell->future.token), c->deadline_grace);
}

/* The same, for any reason. */
static int64_t kill_time(struct fl__member *m, const struct fl__cell *cell, bool started, int64_t now)
{
	const struct fl__crew *c = m->crew;
	struct fl__times *times = &m->times[cell->seq % FL__LANE_DEPTH];
	int64_t when = expired_time(c, cell);
	if (cell->asked)
		when = fl__min_deadline(when, fl__later(times->asked, c->request_grace));
	if (c->config.task_timeout > 0) {
		int64_t since = started ? running_since(m, times, cell->seq, now) : now;
		when = fl__min_deadline(when, fl__later(since, c->config.task_timeout));
	}
	return when;
}

static void kill_overdue(struct fl__member *m, struct fl__cell *cell, int64_t now)
{
	if (expired_time(m->crew, cell) > now) {
		fl__crew_kill(m, "its task ran for too long");
		return;
	}
	cell->asked = FL__EXPIRED;
	/* The message is also true for a task that the worker has begun since the look. */
	fl__crew_kill(m, "it ran a task past its deadline");
}

/* Whether the task's token was requested; if it was, that is told, or the task is taken back: it ends in the queue. */
static bool pass_on_request(struct fl__crew *c, struct fl__cell *cell)
{
	if (!cell->stopper || cell->asked || !fl_cancel_requested(&cell->future.token))
		return false;
	if (fl__crew_withdraw(c, cell))
		return true;
	fl__crew_ask(c, cell);
	return false;
}

/* Of one member. */
static int64_t watch_member(struct fl__member *m, int64_t now)
{
	int64_t next = FL_FOREVER;
	for (uint32_t seq = m->lane.first; seq != m->lane.next; seq++) {
		struct fl__cell *cell = m->cells[seq % FL__LANE_DEPTH];
		if (!cell || pass_on_request(m->crew, cell))
			continue;
		const bool started = fl__lane_fate(&m->lane, seq) == FL__LANE_STARTED;
		const int64_t when = kill_time(m, cell, started, now);
		if (when > now)
			next = fl__min_deadline(next, when);
		else if (!fl__crew_withdraw(m->crew, cell)) /* the CAS failed: it has started */
			kill_overdue(m, cell, now);
	}
	return next;
}

int64_t fl__crew_watch_tasks(struct fl__crew *c, int64_t now)
{
	int64_t next = FL_FOREVER;
	for (unsigned i = 0; i < c->n_members; i++)
		if (!c->members[i]->why)
			next = fl__min_deadline(next, watch_member(c->members[i], now));
	return next;
}
