/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lanes whose worker is killed. The parent is a thread of the setup's, and is never killed: workers die with their parent. It
 * learns of a death as from a pidfd: after all that the dead one wrote. For that a worker holds a robust lock, its life.
 */
#include "../planted/crash.h"
#include "base/atomic.h"
#include "shared_rings.h"
#include <fairlead/thread.h>

enum { ORDERS = 3 };

/* What became of the order with that argument. */
enum fate { POSTED, BACK, ENDED, LOST, QUEUED };

struct mortal {
	struct shared_lane l;
	struct robust life;
	atomic_int started[ORDERS + 1];
	atomic_uint takes; /* that the worker has begun */
	enum fate fates[ORDERS + 1];
	unsigned collected; /* how many orders */
};

static void live(struct mortal *m, struct bell *bell, unsigned last)
{
	struct fl__lane_worker w;
	(void)robust_take(&m->life, NOTHING);
	begin_worker(&w, &m->l, bell);
	for (unsigned arg = 0; arg != last;) {
		COUNT(&m->takes);
		arg = take(&w);
		if (arg == LEAVE)
			break;
		COUNT(&m->started[arg]);
		end(&w, arg);
	}
}

/* The order that was collected last. */
static void note_collected(struct mortal *m)
{
	unsigned arg = ++m->collected;
	if (m->fates[arg] == POSTED)
		m->fates[arg] = ENDED;
}

/* Of one that is dead. */
static void settle(struct mortal *m, unsigned last)
{
	(void)robust_take(&m->life, NOTHING);
	while (m->collected < last && collect(&m->l.lane, m->collected + 1))
		note_collected(m);
	for (unsigned arg = m->collected + 1; arg <= last; arg++) {
		uint32_t seq = m->l.lane.first + arg - m->collected - 1;
		enum fl__lane_fate fate = fl__lane_fate(&m->l.lane, seq);
		if (m->fates[arg] == POSTED)
			m->fates[arg] = fate == FL__LANE_STARTED ? LOST : QUEUED;
		else
			FL_STRESS_CHECK(fate == FL__LANE_QUEUED);
	}
	robust_give(&m->life, NOTHING);
}

/* Collects the orders up to `last`, or settles them when their worker is dead. */
static void follow(struct mortal *m, struct bell *bell, unsigned last, const char *name)
{
	while (m->collected < last) {
		if (collect_asleep(&m->l.lane, m->collected + 1, bell, fl_after(FL_MS(1)))) {
			note_collected(m);
		} else if (fl_stress_killed(name)) {
			settle(m, last);
			return;
		}
	}
}

static unsigned count_of(const struct mortal *m, enum fate fate)
{
	unsigned n = 0;
	for (unsigned arg = 1; arg <= ORDERS; arg++)
		n += m->fates[arg] == fate;
	return n;
}

static bool adds_up(const struct mortal *m, unsigned arg)
{
	int started = LOOK(&m->started[arg]);
	switch (m->fates[arg]) {
	case ENDED:
		return started == 1;
	case LOST:
		return started <= 1 && LOOK(&m->takes) == count_of(m, ENDED) + 1;
	case BACK:
	case QUEUED:
		return started == 0;
	default:
		return false;
	}
}

/*
 * kill9_worker_task: a worker is killed anywhere, in an order, between two, asleep. What it had ended counts; at most one
 * order is lost with it, which it had taken; the rest never started. Nobody waits for ever.
 */
struct lane_kill9_worker_task {
	struct mortal m;
	struct bell bell;
	fl_thread parent;
};

static int parent_of_one(void *arg)
{
	struct lane_kill9_worker_task *s = arg;
	post_and_flush(&s->m.l.lane, 3);
	if (fl__lane_revoke(&s->m.l.lane, s->m.l.lane.first + 1))
		s->m.fates[2] = BACK;
	follow(&s->m, &s->bell, ORDERS, "worker");
	return 0;
}

FL_STRESS_SETUP(lane_kill9_worker_task)
{
	begin_lane_with(&s->m.l, (enum history)fl_stress_choose(HISTORIES));
	(void)post(&s->m.l.lane, 1);
	(void)post(&s->m.l.lane, 2);
	OK(fl_thread_start(&s->parent, parent_of_one, s, NULL));
}

FL_STRESS_ACTOR(lane_kill9_worker_task, worker)
{
	live(&s->m, &s->bell, ORDERS);
}

FL_STRESS_PROCESSES(lane_kill9_worker_task, worker)
{
	OK(fl_thread_join(&s->parent, NULL));
	for (unsigned arg = 1; arg <= ORDERS; arg++)
		FL_FORBIDDEN(!adds_up(&s->m, arg), "started twice, or lost untaken");
	unsigned lost = count_of(&s->m, LOST), queued = count_of(&s->m, QUEUED);
	FL_FORBIDDEN(lost > 1, "more than one lost");
	FL_ACCEPTABLE(lost + queued == 0, "all ended, or came back");
	FL_FORBIDDEN(!fl_stress_killed("worker"), "not ended, and nobody was killed");
	FL_ACCEPTABLE(lost == 0, "some never started");
	FL_ACCEPTABLE(queued == 0, "one lost");
	FL_ACCEPTABLE(1, "one lost, and some never started");
}

/*
 * kill9_mid_chunk: a worker is killed anywhere in an order with several elements, whose slot was
 * used before. The elements that it says have ended have their results; of the rest it has begun at
 * most the first.
 */
enum { ELEMENTS = 3 };

struct lane_kill9_mid_chunk {
	struct shared_lane l;
	struct robust life;
	struct bell bell;
	fl_thread parent;
	atomic_int begun[ELEMENTS];
	bool ended, started;
	uint32_t progress;
};

static int parent_of_chunk(void *arg)
{
	struct lane_kill9_mid_chunk *s = arg;
	struct fl__lane *lane = &s->l.lane;
	struct fl__reply reply;
	while (fl__lane_look(lane, &reply) == FL__LANE_NONE && !fl_stress_killed("worker"))
		fl_stress_relax();
	(void)robust_take(&s->life, NOTHING); /* it is dead, or done */
	s->ended = fl__lane_look(lane, &reply) == FL__LANE_ENDED;
	s->started = fl__lane_fate(lane, lane->first) == FL__LANE_STARTED;
	s->progress = s->ended ? reply.count : fl__lane_progress(lane, lane->first, ELEMENTS);
	robust_give(&s->life, NOTHING);
	return 0;
}

FL_STRESS_SETUP(lane_kill9_mid_chunk)
{
	begin_lane_with(&s->l, (enum history)fl_stress_choose(HISTORIES));
	fl__lane_place(&s->l.lane)->count = ELEMENTS;
	const uint32_t seq = post(&s->l.lane, 1);
	s->l.lane.replies->reply[seq % ROUND].progress = ELEMENTS - 1; /* left over */
	OK(fl_thread_start(&s->parent, parent_of_chunk, s, NULL));
}

FL_STRESS_ACTOR(lane_kill9_mid_chunk, worker)
{
	struct fl__lane_worker w;
	(void)robust_take(&s->life, NOTHING);
	begin_worker(&w, &s->l, &s->bell);
	unsigned char *results = w.replies->reply[w.next % ROUND].small;
	FL_STRESS_CHECK(take(&w) == 1);
	for (unsigned i = 0; i < ELEMENTS; i++) {
		if (i > 0)
			fl__lane_advance(&w, i);
		COUNT(&s->begun[i]);
		results[i] = (unsigned char)(i + 1);
	}
	fl__lane_end(&w, 0, 0, ELEMENTS);
	robust_give(&s->life, NOTHING);
}

FL_STRESS_PROCESSES(lane_kill9_mid_chunk, worker)
{
	OK(fl_thread_join(&s->parent, NULL));
	const unsigned char *results = s->l.lane.replies->reply[s->l.lane.first % ROUND].small;
	FL_FORBIDDEN(!s->ended && !fl_stress_killed("worker"), "not ended, and nobody was killed");
	FL_FORBIDDEN((s->progress == ELEMENTS) != s->ended, "more than there is, or less");
	for (unsigned i = 0; s->started && i < ELEMENTS; i++) {
		FL_FORBIDDEN(i < s->progress && results[i] != i + 1, "ended without its result");
		FL_FORBIDDEN(i < s->progress && LOOK(&s->begun[i]) != 1, "ended and not begun");
		FL_FORBIDDEN(i > s->progress && LOOK(&s->begun[i]) != 0, "begun behind the one that ran");
	}
	FL_ACCEPTABLE(s->ended, "all ended");
	FL_ACCEPTABLE(!s->started, "none began");
	FL_ACCEPTABLE(s->progress == 0, "the first ran, or was about to");
	FL_ACCEPTABLE(1, "a later one ran");
}

/*
 * pid_reuse: another worker takes the place of a dead one, and shares its bell. It gets what that had not started, in a lane of
 * its own: nothing of the old one's counts there, and no order starts twice.
 */
struct lane_pid_reuse {
	struct mortal old, new;
	struct bell bell;
	fl_thread parent;
};

/* The orders that the old one had not started, with the numbers from 1 on in the new one's lane. */
static unsigned hand_on(struct lane_pid_reuse *s)
{
	unsigned n = 0;
	for (unsigned arg = 1; arg <= 2; arg++)
		if (s->old.fates[arg] == QUEUED)
			(void)post(&s->new.l.lane, ++n);
	(void)post(&s->new.l.lane, LEAVE);
	fl__lane_flush(&s->new.l.lane);
	return n;
}

static int parent_of_two(void *arg)
{
	struct lane_pid_reuse *s = arg;
	follow(&s->old, &s->bell, 2, "old");
	follow(&s->new, &s->bell, hand_on(s), "new");
	return 0;
}

FL_STRESS_SETUP(lane_pid_reuse)
{
	begin_lane(&s->old.l, ROUND);
	begin_lane(&s->new.l, ROUND);
	(void)post(&s->old.l.lane, 1);
	(void)post(&s->old.l.lane, 2);
	OK(fl_thread_start(&s->parent, parent_of_two, s, NULL));
}

FL_STRESS_ACTOR(lane_pid_reuse, old)
{
	live(&s->old, &s->bell, 2);
}

FL_STRESS_ACTOR(lane_pid_reuse, new)
{
	live(&s->new, &s->bell, ORDERS);
}

FL_STRESS_PROCESSES(lane_pid_reuse, old, new)
{
	OK(fl_thread_join(&s->parent, NULL));
	unsigned queued = count_of(&s->old, QUEUED);
	for (unsigned arg = 1; arg <= 2; arg++) {
		FL_FORBIDDEN(!adds_up(&s->old, arg), "the old one started twice, or lost untaken");
		FL_FORBIDDEN(arg <= queued && !adds_up(&s->new, arg), "the new one started twice, or lost untaken");
	}
	FL_ACCEPTABLE(!fl_stress_killed("old"), "the old one did all");
	FL_FORBIDDEN(count_of(&s->new, ENDED) != queued && !fl_stress_killed("new"),
	             "not ended, and nobody was killed");
	FL_ACCEPTABLE(queued == 0, "the old one had started all");
	FL_ACCEPTABLE(1, "the new one did the rest");
}
