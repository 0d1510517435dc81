/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to stop a posted task.
 *
 * fl_future_cancel() calls fl__crew_ask(). But any thread may request a user's token, without a
 * call into the executor. So a task that was submitted with a token has a *stopper*: while the task
 * is posted, a waiter in the wait queue of the task's token. Its unpark wakes no thread. Instead,
 * it asks the worker, so that the worker sees a request that precedes the task's start; and it
 * wakes the manager, which withdraws a task that has not started.
 *
 * The wait table decides the stopper's wait once. If a request decides first, its unpark may still
 * be under way when the stopper is disarmed. Then the disarm waits for `park_word`, the unpark's
 * last access.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/cancel.h"
#include "crew_sys.h"
#include "process_pool.h"
#include <errno.h>
#include <fairlead/time.h>

struct fl__stopper {
	struct fl__wait wait;
	struct fl__node node;
	struct fl__member *member; /* that has the task; valid while armed */
	uint32_t seq;
	bool armed;
};

static void on_unpark(struct fl__wait *wait)
{
	const struct fl__stopper *s = (const void *)wait; /* its first member */
	fl__lane_ask(&s->member->lane, s->seq);
	fl__crew_sys.ring(s->member->crew->bell);
	/* release: pairs with fl__stopper_disarm(); the last access */
	fl__store_release(&wait->park_word, 1);
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
	fl__lane_ask(&s->member->lane, s->seq); /* already requested */
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
	/* relaxed: as in lib/wait/wait.c */
	if (fl__cas_relaxed(&s->wait.decision, &pending, FL__GAVE_UP))
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
 * When a started task began. The worker's time counts if it lies between the post and the moment
 * when this process first saw the task started; otherwise that moment counts. (For a moment the
 * slot has the time of the round before.)
 */
static int64_t running_since(const struct fl__member *m, struct fl__times *times, uint32_t seq, int64_t now)
{
	if (times->seen == 0)
		times->seen = now;
	int64_t began = fl__lane_began(&m->lane, seq);
	return began >= times->posted && began <= times->seen ? began : times->seen;
}

/* When the task is killed for its deadline, if it has started by then; FL_FOREVER: never. */
static int64_t expired_time(const struct fl__crew *c, const struct fl__cell *cell)
{
	return fl__later(fl_cancel_token_deadline(&cell->future.token), c->deadline_grace);
}

/* The same for any reason: deadline, request, `task_timeout`. */
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
	/* "a task": the worker may have begun another one by now */
	fl__crew_kill(m, "it ran a task past its deadline");
}

/*
 * Passes on a request of the task's token. True: the task had not started. It is withdrawn, and
 * ends in the queue.
 */
static bool pass_on_request(struct fl__crew *c, struct fl__cell *cell)
{
	if (!cell->stopper || cell->asked || !fl_cancel_token_is_requested(&cell->future.token))
		return false;
	if (fl__crew_withdraw(c, cell))
		return true;
	fl__crew_ask(c, cell);
	return false;
}

/* For one worker. */
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
