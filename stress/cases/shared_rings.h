/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_LANES_H
#define STRESS_CASES_LANES_H

/*
 * Lanes without processes: both pieces of memory stand in the state, with arenas of ARENA bytes. Arguments and results are
 * plain, so that the protocol must order them. A worker's own side stands on its stack, as if in a process of its own.
 */
#include "cases.h"
#include "process_pool/rings.h"

enum { ARENA = 64, ROUND = FL__LANE_DEPTH, LEAVE = 0 };

struct shared_lane {
	_Alignas(4096) unsigned char orders[offsetof(struct fl__orders, arena) + ARENA];
	_Alignas(4096) unsigned char replies[offsetof(struct fl__replies, arena) + ARENA];
	struct fl__lane lane;
	uint32_t begin; /* the number of the worker's first order */
};

/* An eventfd, that the collector sleeps on. */
struct bell {
	atomic_uint rings;
	uint32_t sleeps;
};

static inline void ring(void *arg)
{
	struct bell *bell = arg;
	COUNT(&bell->rings);
	(void)fl_stress_futex_wake(&bell->rings, 1);
}

static inline void begin_lane(struct shared_lane *l, uint32_t begin)
{
	fl__lane_init(&l->lane, (struct fl__orders *)(void *)l->orders, (struct fl__replies *)(void *)l->replies);
	l->lane.first = l->lane.next = l->lane.flushed = l->begin = begin;
}

static inline void begin_worker(struct fl__lane_worker *w, struct shared_lane *l, struct bell *bell)
{
	fl__lane_worker_init(w, (const struct fl__orders *)(void *)l->orders, (struct fl__replies *)(void *)l->replies);
	w->next = l->begin;
	w->ring = ring;
	w->arg = bell;
}

/* --- the parent --- */

/* Posts an order to double `arg`, which stands in the arena. */
static inline uint32_t post(struct fl__lane *lane, unsigned arg)
{
	struct fl__order *order = fl__lane_place(lane);
	order->flags = arg == LEAVE ? FL__ORDER_LEAVE : 0;
	order->arg = lane->next % ROUND;
	lane->orders->arena[order->arg] = (unsigned char)arg;
	return fl__lane_post(lane);
}

static inline void post_and_flush(struct fl__lane *lane, unsigned arg)
{
	(void)post(lane, arg);
	fl__lane_flush(lane);
}

/* Looks at the oldest order, which has this argument, and passes over it if it has ended. */
static inline bool collect(struct fl__lane *lane, unsigned arg)
{
	struct fl__reply reply;
	enum fl__lane_sight sight = fl__lane_look(lane, &reply);
	FL_STRESS_CHECK(sight != FL__LANE_DAMAGED);
	if (sight != FL__LANE_ENDED)
		return false;
	bool skipped = lane->revoked[lane->first % ROUND];
	FL_STRESS_CHECK(skipped == ((reply.flags & FL__REPLY_SKIPPED) != 0));
	if (!skipped) {
		FL_STRESS_CHECK(reply.error == -(int)arg && reply.count == arg);
		FL_STRESS_CHECK(lane->replies->reply[lane->first % ROUND].small[0] == 2 * arg);
	}
	fl__lane_pass(lane);
	return true;
}

static inline void collect_spinning(struct fl__lane *lane, unsigned arg)
{
	while (!collect(lane, arg))
		fl_stress_relax();
}

/* As the keeper does it, which sleeps. False: the deadline has passed. */
static inline bool collect_asleep(struct fl__lane *lane, unsigned arg, struct bell *bell, int64_t deadline)
{
	for (int rc = 0;;) {
		unsigned rings = LOOK(&bell->rings);
		fl__lane_arm(lane, ++bell->sleeps);
		bool collected = collect(lane, arg);
		if (!collected)
			rc = fl_stress_futex_wait(&bell->rings, rings, deadline);
		fl__lane_disarm(lane);
		if (collected || rc == -ETIMEDOUT)
			return collected;
	}
}

/* --- the worker --- */

/* The argument of the order that comes next, or LEAVE. */
static inline unsigned take(struct fl__lane_worker *w)
{
	const struct fl__order *order = fl__lane_take(w);
	return order->flags & FL__ORDER_LEAVE ? LEAVE : w->orders->arena[order->arg];
}

static inline void end(struct fl__lane_worker *w, unsigned arg)
{
	w->replies->reply[w->next % ROUND].small[0] = (unsigned char)(2 * arg);
	fl__lane_end(w, -(int)arg, 0, arg);
}

/* --- rounds --- */

/*
 * Both sides, when all is passed: leave out what is left of a round after `n` orders. Those would have other slots; what comes
 * next has that of the first of the n, with all that it left there.
 */
static inline void go_round(uint32_t *next, uint32_t n)
{
	*next += ROUND - n;
}

static inline void parent_goes_round(struct fl__lane *lane, uint32_t n)
{
	go_round(&lane->first, n);
	lane->next = lane->flushed = lane->first;
}

enum history { FRESH, RAN, REVOKED, HISTORIES };

/* For the setup: a lane whose first slot has seen that. */
static inline void begin_lane_with(struct shared_lane *l, enum history history)
{
	struct fl__lane_worker w;
	begin_lane(l, ROUND);
	if (history == FRESH)
		return;
	begin_worker(&w, l, NULL);
	uint32_t first = post(&l->lane, 1);
	(void)post(&l->lane, 2);
	if (history == REVOKED)
		FL_STRESS_CHECK(fl__lane_revoke(&l->lane, first));
	for (unsigned arg = 0; arg != 2;)
		end(&w, arg = take(&w));
	for (unsigned arg = 1; arg <= 2; arg++)
		FL_STRESS_CHECK(collect(&l->lane, arg));
	parent_goes_round(&l->lane, 2);
	l->begin = l->lane.next;
}

#endif
