/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the rings of a worker that is killed. The parent is a thread of the setup, and is
 * never killed, because workers die with their parent. As with a pidfd, it learns of a death after
 * all writes of the dead worker. For this purpose a worker holds a robust lock, its life.
 */
#include "planted/crash.h"
#include "shared_rings.h"
#include <fairlead/thread.h>

enum { ORDERS = 3 };

/* The fate of the submission with that argument. */
enum fate { POSTED, BACK, ENDED, LOST, QUEUED };

struct mortal {
	struct shared_rings l;
	struct robust life;
	atomic_int started[ORDERS + 1];
	atomic_uint takes; /* how many takes the worker has begun */
	enum fate fates[ORDERS + 1];
	unsigned collected; /* how many submissions were collected */
};

static void live(struct mortal *m, struct doorbell *doorbell, unsigned last)
{
	struct fl__worker_rings w;
	(void)robust_take(&m->life, NOTHING);
	begin_worker(&w, &m->l, doorbell);
	for (unsigned arg = 0; arg != last;) {
		COUNT(&m->takes);
		arg = take(&w);
		if (arg == LEAVE)
			break;
		COUNT(&m->started[arg]);
		end(&w, arg);
	}
}

/* Notes the end of the submission that was collected last. */
static void note_collected(struct mortal *m)
{
	unsigned arg = ++m->collected;
	if (m->fates[arg] == POSTED)
		m->fates[arg] = ENDED;
}

/* Decides the fates of the submissions of a dead worker. */
static void settle(struct mortal *m, unsigned last)
{
	(void)robust_take(&m->life, NOTHING);
	while (m->collected < last && collect(&m->l.rings, m->collected + 1))
		note_collected(m);
	for (unsigned arg = m->collected + 1; arg <= last; arg++) {
		uint32_t seq = m->l.rings.first + arg - m->collected - 1;
		const bool started = fl__rings_has_started(&m->l.rings, seq);
		if (m->fates[arg] == POSTED)
			m->fates[arg] = started ? LOST : QUEUED;
		else
			FL_STRESS_CHECK(!started);
	}
	robust_give(&m->life, NOTHING);
}

/* Collects the submissions up to `last`, or settles them when their worker is dead. */
static void follow(struct mortal *m, struct doorbell *doorbell, unsigned last, const char *name)
{
	while (m->collected < last) {
		if (collect_asleep(&m->l.rings, m->collected + 1, doorbell, fl_after(FL_MS(1)).ns)) {
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
 * kill9_worker_task: a worker is killed anywhere: in a submission, between two submissions, or
 * asleep. Ended submissions count. At most one submission, which the worker had taken, is lost. The
 * others never started. No wait hangs.
 */
struct rings_kill9_worker_task {
	struct mortal m;
	struct doorbell doorbell;
	fl_thread *parent;
};

static int parent_of_one(void *arg)
{
	struct rings_kill9_worker_task *s = arg;
	post_and_flush(&s->m.l.rings, 3);
	if (fl__rings_revoke(&s->m.l.rings, s->m.l.rings.first + 1))
		s->m.fates[2] = BACK;
	follow(&s->m, &s->doorbell, ORDERS, "worker");
	return 0;
}

FL_STRESS_SETUP(rings_kill9_worker_task)
{
	begin_rings_with(&s->m.l, (enum history)fl_stress_choose(HISTORIES));
	(void)post(&s->m.l.rings, 1);
	(void)post(&s->m.l.rings, 2);
	OK(fl_thread_start(&s->parent, parent_of_one, s, NULL));
}

FL_STRESS_ACTOR(rings_kill9_worker_task, worker)
{
	live(&s->m, &s->doorbell, ORDERS);
}

FL_STRESS_PROCESSES(rings_kill9_worker_task, worker)
{
	OK(fl_thread_join(s->parent, NULL));
	for (unsigned arg = 1; arg <= ORDERS; arg++)
		FL_FORBIDDEN(!adds_up(&s->m, arg), "started twice, or lost untaken");
	unsigned lost = count_of(&s->m, LOST), queued = count_of(&s->m, QUEUED);
	FL_FORBIDDEN(lost > 1, "more than one lost");
	FL_ACCEPTABLE(lost + queued == 0, "all ended, or came back");
	FL_FORBIDDEN(!fl_stress_killed("worker"), "not ended, without a kill");
	FL_ACCEPTABLE(lost == 0, "some never started");
	FL_ACCEPTABLE(queued == 0, "one lost");
	FL_ACCEPTABLE(1, "one lost, and some never started");
}

/*
 * kill9_mid_chunk: a worker is killed anywhere in a submission with several elements, in a reused
 * slot. The elements that count as ended have their results. Of the others at most the first one
 * has begun.
 */
enum { ELEMENTS = 3 };

struct rings_kill9_mid_chunk {
	struct shared_rings l;
	struct robust life;
	struct doorbell doorbell;
	fl_thread *parent;
	atomic_int begun[ELEMENTS];
	bool ended, started;
	uint32_t progress;
};

static int parent_of_chunk(void *arg)
{
	struct rings_kill9_mid_chunk *s = arg;
	struct fl__rings *rings = &s->l.rings;
	struct fl__completion reply;
	while (fl__rings_peek(rings, &reply) == FL__RINGS_NONE && !fl_stress_killed("worker"))
		fl_stress_relax();
	(void)robust_take(&s->life, NOTHING); /* the worker is dead, or done */
	s->ended = fl__rings_peek(rings, &reply) == FL__RINGS_ENDED;
	s->started = fl__rings_has_started(rings, rings->first);
	s->progress = s->ended ? reply.count : fl__rings_progress(rings, rings->first, ELEMENTS);
	robust_give(&s->life, NOTHING);
	return 0;
}

FL_STRESS_SETUP(rings_kill9_mid_chunk)
{
	begin_rings_with(&s->l, (enum history)fl_stress_choose(HISTORIES));
	fl__rings_next_entry(&s->l.rings)->count = ELEMENTS;
	const uint32_t seq = post(&s->l.rings, 1);
	/* An earlier submission has left this behind. */
	s->l.rings.completions->entry[seq % ROUND].progress = ELEMENTS - 1;
	OK(fl_thread_start(&s->parent, parent_of_chunk, s, NULL));
}

FL_STRESS_ACTOR(rings_kill9_mid_chunk, worker)
{
	struct fl__worker_rings w;
	(void)robust_take(&s->life, NOTHING);
	begin_worker(&w, &s->l, &s->doorbell);
	unsigned char *results = w.completions->entry[w.next % ROUND].small;
	FL_STRESS_CHECK(take(&w) == 1);
	for (unsigned i = 0; i < ELEMENTS; i++) {
		if (i > 0)
			fl__rings_set_progress(&w, i);
		COUNT(&s->begun[i]);
		results[i] = (unsigned char)(i + 1);
	}
	fl__rings_complete(&w, 0, 0, ELEMENTS);
	robust_give(&s->life, NOTHING);
}

FL_STRESS_PROCESSES(rings_kill9_mid_chunk, worker)
{
	OK(fl_thread_join(s->parent, NULL));
	const unsigned char *results = s->l.rings.completions->entry[s->l.rings.first % ROUND].small;
	FL_FORBIDDEN(!s->ended && !fl_stress_killed("worker"), "not ended, without a kill");
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
