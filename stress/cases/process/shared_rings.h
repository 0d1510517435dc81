/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_SHARED_RINGS_H
#define STRESS_CASES_SHARED_RINGS_H

/*
 * Rings without processes. Both pieces of memory are in the state, with arenas of ARENA bytes.
 * Arguments and results are plain, so that the protocol must order them. The worker's private data
 * are on its stack, as if it were a separate process.
 */
#include "../cases.h"
#include "process/pool/rings.h"

enum { ARENA = 64, ROUND = FL__RINGS_DEPTH, LEAVE = 0 };

struct shared_rings {
	_Alignas(4096) unsigned char submissions[offsetof(struct fl__submission_ring, arena) + ARENA];
	_Alignas(4096) unsigned char completions[offsetof(struct fl__completion_ring, arena) + ARENA];
	struct fl__rings rings;
	uint32_t begin; /* the number of the worker's first submission */
};

/* Stands for an eventfd on which the manager thread sleeps. */
struct doorbell {
	atomic_uint ring_count;
	uint32_t sleeps;
};

static inline void ring(void *arg)
{
	struct doorbell *doorbell = arg;
	COUNT(&doorbell->ring_count);
	(void)fl_stress_futex_wake(&doorbell->ring_count, 1);
}

static inline void begin_rings(struct shared_rings *l, uint32_t begin)
{
	fl__rings_init(&l->rings, (struct fl__submission_ring *)(void *)l->submissions,
	               (struct fl__completion_ring *)(void *)l->completions);
	l->rings.first = l->rings.next = l->rings.flushed = l->begin = begin;
}

static inline void begin_worker(struct fl__worker_rings *w, struct shared_rings *l, struct doorbell *doorbell)
{
	fl__worker_rings_init(w, (const struct fl__submission_ring *)(void *)l->submissions,
	                      (struct fl__completion_ring *)(void *)l->completions);
	w->next = l->begin;
	w->ring = ring;
	w->arg = doorbell;
}

/* The parent. */

/* Posts a submission that doubles `arg`, which is in the arena. */
static inline uint32_t post(struct fl__rings *rings, unsigned arg)
{
	struct fl__submission *order = fl__rings_next_entry(rings);
	order->flags = arg == LEAVE ? FL__SUBMISSION_EXIT : 0;
	order->arg = rings->next % ROUND;
	rings->submissions->arena[order->arg] = (unsigned char)arg;
	return fl__rings_post(rings);
}

static inline void post_and_flush(struct fl__rings *rings, unsigned arg)
{
	(void)post(rings, arg);
	fl__rings_flush(rings);
}

/*
 * Checks the oldest submission, which has this argument. If it has ended, passes it, and returns
 * true.
 */
static inline bool collect(struct fl__rings *rings, unsigned arg)
{
	struct fl__completion reply;
	enum fl__rings_peeked sight = fl__rings_peek(rings, &reply);
	FL_STRESS_CHECK(sight != FL__RINGS_DAMAGED);
	if (sight != FL__RINGS_ENDED)
		return false;
	bool skipped = rings->revoked[rings->first % ROUND];
	FL_STRESS_CHECK(skipped == ((reply.flags & FL__COMPLETION_SKIPPED) != 0));
	if (!skipped) {
		FL_STRESS_CHECK(reply.error == -(int)arg && reply.count == arg);
		FL_STRESS_CHECK(rings->completions->entry[rings->first % ROUND].small[0] == 2 * arg);
	}
	fl__rings_release(rings);
	return true;
}

static inline void collect_spinning(struct fl__rings *rings, unsigned arg)
{
	while (!collect(rings, arg))
		fl_stress_relax();
}

/* Waits as the manager thread does when it sleeps. Returns false if the deadline has passed. */
static inline bool collect_asleep(struct fl__rings *rings, unsigned arg, struct doorbell *doorbell, int64_t deadline)
{
	for (int rc = 0;;) {
		unsigned ring_count = LOOK(&doorbell->ring_count);
		fl__rings_arm(rings, ++doorbell->sleeps);
		bool collected = collect(rings, arg);
		if (!collected)
			rc = fl_stress_futex_wait(&doorbell->ring_count, ring_count, deadline);
		fl__rings_disarm(rings);
		if (collected || rc == -ETIMEDOUT)
			return collected;
	}
}

/* The worker. */

/* Returns the argument of the next submission, or LEAVE. */
static inline unsigned take(struct fl__worker_rings *w)
{
	const struct fl__submission *order = fl__rings_take(w);
	return order->flags & FL__SUBMISSION_EXIT ? LEAVE : w->submissions->arena[order->arg];
}

static inline void end(struct fl__worker_rings *w, unsigned arg)
{
	w->completions->entry[w->next % ROUND].small[0] = (unsigned char)(2 * arg);
	fl__rings_complete(w, -(int)arg, 0, arg);
}

/* Rounds. */

/*
 * Skips the rest of a round after `n` submissions. Both sides call it when all submissions are
 * passed. The next submission then has the slot of the first of the n, with what that has left
 * behind.
 */
static inline void go_round(uint32_t *next, uint32_t n)
{
	*next += ROUND - n;
}

static inline void parent_goes_round(struct fl__rings *rings, uint32_t n)
{
	go_round(&rings->first, n);
	rings->next = rings->flushed = rings->first;
}

enum history { FRESH, RAN, REVOKED, HISTORIES };

/* A setup calls it: makes a pair of rings, whose first slot may be used already. */
static inline void begin_rings_with(struct shared_rings *l, enum history history)
{
	struct fl__worker_rings w;
	begin_rings(l, ROUND);
	if (history == FRESH)
		return;
	begin_worker(&w, l, NULL);
	uint32_t first = post(&l->rings, 1);
	(void)post(&l->rings, 2);
	if (history == REVOKED)
		FL_STRESS_CHECK(fl__rings_revoke(&l->rings, first));
	for (unsigned arg = 0; arg != 2;)
		end(&w, arg = take(&w));
	for (unsigned arg = 1; arg <= 2; arg++)
		FL_STRESS_CHECK(collect(&l->rings, arg));
	parent_goes_round(&l->rings, 2);
	l->begin = l->rings.next;
}

#endif
