/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_LANE_H
#define FL_PROCESS_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A lane: what a process executor and one of its workers share. Two pieces of memory: *orders*, which the parent alone writes
 * and the worker has read-only; *replies*, which the worker writes. Nobody else has either. lane.c has the protocol.
 *
 *     seq = fl__lane_place(lane);                     // the parent: a slot; fill in orders->order[...] and its arena
 *     fl__lane_post(lane);  ...  fl__lane_flush(lane);
 *     while (fl__lane_look(lane, &reply) == FL__LANE_ENDED) { take the result; fl__lane_pass(lane); }
 *
 *     while ((order = fl__lane_take(w)) != NULL) {    // the worker
 *             run it; write its result
 *             fl__lane_end(w, error, flags, done);
 *     }
 *
 * Sequence numbers count a worker's orders and go round; order `seq` has the slot seq % FL__LANE_DEPTH.
 */
enum {
	FL__LANE_DEPTH = 16,
	FL__LANE_SMALL = 32,             /* bytes of argument and of result that stand in the slot */
	FL__LANE_ARENA = 256 << 10,      /* bytes for larger ones, in each of the two */
	FL__LANE_INLINE_MOST = 64 << 10, /* what is larger has memory of its own, whose descriptor goes over a socket */
	FL__LANE_MESSAGE = 256,
};

/* What an order says about itself. */
enum {
	FL__ORDER_ARG_APART = 1,    /* the argument is a descriptor, on the socket */
	FL__ORDER_RESULT_APART = 2, /* the result is to be one */
	FL__ORDER_DEADLINE = 4,     /* deadline[] counts */
	FL__ORDER_TIMED = 8,        /* the reply is to say when it began */
	FL__ORDER_LEAVE = 16,       /* no task: the worker is to end */
	FL__ORDER_INITIALIZE = 32,  /* the initializer: when it fails, the worker is to end */
};

/* And a reply. */
enum {
	FL__REPLY_SKIPPED = 1, /* not run: revoked, or asked to stop, or its deadline had passed */
	FL__REPLY_MESSAGE = 2, /* message[] has one */
	FL__REPLY_APART = 4,   /* the result is a descriptor, on the socket */
	FL__REPLY_KEPT = 8,    /* the order has failed; the element that failed has kept its result */
};

struct fl__order {
	uint32_t seq; /* written last: the order is there; the worker sleeps on it */
	uint16_t flags, reserved;
	uint32_t count;       /* arguments, one after the other */
	uint32_t check;       /* of the whole identity of the task's type */
	uint64_t task;        /* its id: identity.h */
	uint32_t arg, result; /* offsets in the arenas, of what is not `small` */
	_Alignas(FL__LANE_SMALL) unsigned char small[FL__LANE_SMALL];
};
_Static_assert(sizeof(struct fl__order) == 64, "a cache line");

struct fl__orders {
	uint64_t magic;
	uint32_t size;                  /* of this struct */
	_Alignas(64) uint32_t bell;     /* not 0: the parent's collector sleeps, for the bell-th time */
	_Alignas(64) uint32_t asks;     /* counts requests to stop; the worker's listener sleeps on it */
	uint32_t asked[FL__LANE_DEPTH]; /* the order that is to stop */
	_Alignas(64) int64_t deadline[FL__LANE_DEPTH];
	_Alignas(64) struct fl__order order[FL__LANE_DEPTH];
	_Alignas(4096) unsigned char arena[FL__LANE_ARENA];
};

struct fl__reply {
	uint32_t done; /* written last: this order has ended */
	int32_t error;
	uint32_t flags;
	uint32_t count; /* arguments whose task succeeded */
	int64_t began;
	uint32_t progress; /* of an order with several arguments that runs: so many have ended */
	uint32_t reserved;
	_Alignas(FL__LANE_SMALL) unsigned char small[FL__LANE_SMALL];
};
_Static_assert(sizeof(struct fl__reply) == 64, "a cache line");

enum fl__lane_state { FL__LANE_STARTS, FL__LANE_READY, FL__LANE_UNFIT };

struct fl__replies {
	uint32_t state; /* enum fl__lane_state; UNFIT: it could not begin, because of */
	int32_t error;
	/* Not 0: the worker sleeps, or is about to, on the slot before that number; in the midst of what is posted at once, too. */
	_Alignas(64) uint32_t asleep;
	_Alignas(64) uint32_t claim[FL__LANE_DEPTH];
	_Alignas(64) struct fl__reply reply[FL__LANE_DEPTH];
	char message[FL__LANE_DEPTH][FL__LANE_MESSAGE];
	_Alignas(4096) unsigned char arena[FL__LANE_ARENA];
};

#define FL__LANE_MAGIC UINT64_C(0x656e616c2d6c66) /* "fl-lane" */

/* The parent's side; private to it. */
struct fl__lane {
	struct fl__orders *orders;
	struct fl__replies *replies;
	uint32_t first, next;            /* the oldest order that is not passed; the one that comes next */
	uint32_t flushed;                /* the oldest for which the worker was not woken yet */
	bool revoked[FL__LANE_DEPTH];    /* of the orders under way */
	uint32_t before[FL__LANE_DEPTH]; /* the claim word that the worker left, or the parent, before this round */
	uint32_t done[FL__LANE_DEPTH];   /* the number in `done` from the round before */
};

/* Of zeroed memory. */
void fl__lane_init(struct fl__lane *lane, struct fl__orders *orders, struct fl__replies *replies);

static inline uint32_t fl__lane_used(const struct fl__lane *lane)
{
	return lane->next - lane->first;
}

/* The slot for the next order; requires that there is one (fl__lane_used() < FL__LANE_DEPTH). All but `seq` is the caller's. */
static inline struct fl__order *fl__lane_place(struct fl__lane *lane)
{
	return &lane->orders->order[lane->next % FL__LANE_DEPTH];
}

/* Publishes it. Returns its number. The worker is woken by the flush that follows. */
uint32_t fl__lane_post(struct fl__lane *lane);

/* After one or more posts: wakes the worker if it sleeps. */
void fl__lane_flush(struct fl__lane *lane);

enum fl__lane_sight {
	FL__LANE_NONE,    /* the oldest order has not ended, or there is none */
	FL__LANE_ENDED,   /* it has: `*reply` */
	FL__LANE_DAMAGED, /* its worker has written what none writes */
};

/* Looks at the oldest order. `*reply` is the parent's own copy, without the result. Acquires the result. */
enum fl__lane_sight fl__lane_look(const struct fl__lane *lane, struct fl__reply *reply);

/* Passes over the oldest order, which has ended, or whose worker is dead. */
void fl__lane_pass(struct fl__lane *lane);

/* Takes an order back. False: it has started, or ended. */
bool fl__lane_revoke(struct fl__lane *lane, uint32_t seq);

enum fl__lane_fate { FL__LANE_QUEUED, FL__LANE_STARTED };

/* Of an order that has not ended. A dead worker's are final; of what it has damaged the answer is STARTED. */
enum fl__lane_fate fl__lane_fate(const struct fl__lane *lane, uint32_t seq);

/*
 * Of an order of `count` elements that was running when its worker died: how many had ended. The
 * element after those was running. `count`: the worker has written what no worker writes.
 */
uint32_t fl__lane_progress(const struct fl__lane *lane, uint32_t seq, uint32_t count);

/* When it began, if it was to say so (FL__ORDER_TIMED): as good as the worker's word. */
int64_t fl__lane_began(const struct fl__lane *lane, uint32_t seq);

/* Asks the worker to stop that order, if it is still at it. */
void fl__lane_ask(struct fl__lane *lane, uint32_t seq);

/* Before the collector sleeps, for the generation-th time (not 0): it must look at all its lanes once more after this. */
void fl__lane_arm(struct fl__lane *lane, uint32_t generation);

/* It is awake. */
void fl__lane_disarm(struct fl__lane *lane);

/* The worker's side; private to it. */
struct fl__lane_worker {
	const struct fl__orders *orders;
	struct fl__replies *replies;
	uint32_t next;   /* the order that comes next, or that is being run */
	uint32_t rung;   /* the collector's sleep for which it has rung */
	uint32_t shared; /* orders in a row that came while another had this CPU */
	void (*ring)(void *arg);
	void (*revoked)(void *arg,
	                const struct fl__order *order); /* it is not run; before it is answered. NULL: nothing */
	void *arg;
};

void fl__lane_worker_init(struct fl__lane_worker *w, const struct fl__orders *orders, struct fl__replies *replies);

/* Waits for an order, and claims it; those that were revoked are answered here. Blocks the calling thread. */
const struct fl__order *fl__lane_take(struct fl__lane_worker *w);

/* Whether the order that was taken is to stop. */
bool fl__lane_is_asked(const struct fl__lane_worker *w);

/* Of the order that was taken, `done` elements have ended, but not all; their results are written. */
void fl__lane_advance(struct fl__lane_worker *w, uint32_t done);

/* Ends the order that was taken; its result is written. Rings if the collector sleeps. */
void fl__lane_end(struct fl__lane_worker *w, int32_t error, uint32_t flags, uint32_t count);

/* For the listener: sleeps while `asks` is what it was; any return may be without reason. */
void fl__lane_listen(const struct fl__lane_worker *w, uint32_t asks);

#endif
