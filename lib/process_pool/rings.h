/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_LANE_H
#define FL_PROCESS_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A lane connects a process executor (the parent) with one worker. It is a pair of rings, each in
 * shared memory that no third process has. *Orders* is the submission ring: the parent writes it,
 * and the worker has it read-only. *Replies* is the completion ring: the worker writes it. lane.c
 * has the protocol. The "bell" is the parent's doorbell; the "collector" is the parent's manager
 * thread.
 *
 *     order = fl__lane_place(lane);                   // the parent: fill in slot and arena
 *     fl__lane_post(lane);  ...  fl__lane_flush(lane);
 *     while (fl__lane_look(lane, &reply) == FL__LANE_ENDED) {
 *             take the result
 *             fl__lane_pass(lane);
 *     }
 *
 *     while ((order = fl__lane_take(w)) != NULL) {    // the worker
 *             run it; write its result
 *             fl__lane_end(w, error, flags, done);
 *     }
 *
 * Sequence numbers count a worker's orders and wrap. Order `seq` has slot `seq % FL__LANE_DEPTH`.
 */
enum {
	FL__LANE_DEPTH = 16,
	FL__LANE_SMALL = 32,             /* bytes of argument or result in the slot itself */
	FL__LANE_ARENA = 256 << 10,      /* bytes for larger ones, in each ring */
	FL__LANE_INLINE_MOST = 64 << 10, /* larger ones have memory of their own, on the socket */
	FL__LANE_MESSAGE = 256,
};

/* Flags of an order. */
enum {
	FL__ORDER_ARG_APART = 1,    /* the argument is a descriptor, on the socket */
	FL__ORDER_RESULT_APART = 2, /* the result shall be a descriptor */
	FL__ORDER_DEADLINE = 4,     /* deadline[] is valid */
	FL__ORDER_TIMED = 8,        /* the reply shall say when it began */
	FL__ORDER_LEAVE = 16,       /* no task: the worker shall exit */
	FL__ORDER_INITIALIZE = 32,  /* the initializer: if it fails, the worker shall exit */
};

/* Flags of a reply. */
enum {
	FL__REPLY_SKIPPED = 1, /* not run: revoked, asked to stop, or past its deadline */
	FL__REPLY_MESSAGE = 2, /* message[] is valid */
	FL__REPLY_APART = 4,   /* the result is a descriptor, on the socket */
	FL__REPLY_KEPT = 8,    /* the order failed, and the element that failed kept its result */
};

struct fl__order {
	uint32_t seq; /* written last: publishes the order; the worker sleeps on it */
	uint16_t flags, reserved;
	uint32_t count;       /* arguments, one after the other */
	uint32_t check;       /* of its type's whole identity */
	uint64_t task;        /* its id: identity.h */
	uint32_t arg, result; /* offsets in the arenas, if not in `small` */
	_Alignas(FL__LANE_SMALL) unsigned char small[FL__LANE_SMALL];
};
_Static_assert(sizeof(struct fl__order) == 64, "a cache line");

struct fl__orders {
	uint64_t magic;
	uint32_t size;              /* of this struct */
	_Alignas(64) uint32_t bell; /* not 0: the number of the collector's sleep */
	/* Counts requests to stop; the worker's listener sleeps on it. */
	_Alignas(64) uint32_t asks;
	uint32_t asked[FL__LANE_DEPTH]; /* the order that shall stop */
	_Alignas(64) int64_t deadline[FL__LANE_DEPTH];
	_Alignas(64) struct fl__order order[FL__LANE_DEPTH];
	_Alignas(4096) unsigned char arena[FL__LANE_ARENA];
};

struct fl__reply {
	uint32_t done; /* written last: the order that has ended */
	int32_t error;
	uint32_t flags;
	uint32_t count; /* elements that succeeded */
	int64_t began;
	uint32_t progress; /* elements that ended, while an order of several runs */
	uint32_t reserved;
	_Alignas(FL__LANE_SMALL) unsigned char small[FL__LANE_SMALL];
};
_Static_assert(sizeof(struct fl__reply) == 64, "a cache line");

enum fl__lane_state { FL__LANE_STARTS, FL__LANE_READY, FL__LANE_UNFIT };

struct fl__replies {
	uint32_t state; /* enum fl__lane_state; UNFIT: `error` says why */
	int32_t error;
	/* Not 0: the worker sleeps, or is about to, on slot `asleep` - 1. */
	_Alignas(64) uint32_t asleep;
	_Alignas(64) uint32_t claim[FL__LANE_DEPTH];
	_Alignas(64) struct fl__reply reply[FL__LANE_DEPTH];
	char message[FL__LANE_DEPTH][FL__LANE_MESSAGE];
	_Alignas(4096) unsigned char arena[FL__LANE_ARENA];
};

#define FL__LANE_MAGIC UINT64_C(0x656e616c2d6c66) /* "fl-lane" */

/* The parent's side, private to the parent. */
struct fl__lane {
	struct fl__orders *orders;
	struct fl__replies *replies;
	uint32_t first, next;            /* the oldest order not passed; the next to post */
	uint32_t flushed;                /* the oldest order not flushed */
	bool revoked[FL__LANE_DEPTH];    /* the order in that slot is revoked */
	uint32_t before[FL__LANE_DEPTH]; /* the slot's claim word from the round before */
	uint32_t done[FL__LANE_DEPTH];   /* the slot's `done` from the round before */
};

/* The memory must be zeroed. */
void fl__lane_init(struct fl__lane *lane, struct fl__orders *orders, struct fl__replies *replies);

static inline uint32_t fl__lane_used(const struct fl__lane *lane)
{
	return lane->next - lane->first;
}

/*
 * The slot for the next order; requires fl__lane_used() < FL__LANE_DEPTH. The caller sets all but
 * `seq`.
 */
static inline struct fl__order *fl__lane_place(struct fl__lane *lane)
{
	return &lane->orders->order[lane->next % FL__LANE_DEPTH];
}

/* Publishes the order and returns its number. The next flush wakes the worker. */
uint32_t fl__lane_post(struct fl__lane *lane);

/* After one or more posts: wakes the worker if it sleeps. */
void fl__lane_flush(struct fl__lane *lane);

enum fl__lane_sight {
	FL__LANE_NONE,    /* the oldest order has not ended, or there is none */
	FL__LANE_ENDED,   /* the oldest order has ended: `*reply` */
	FL__LANE_DAMAGED, /* the worker wrote what no worker writes */
};

/* Copies the oldest order's reply, without the result, to `*reply`. Acquires the result. */
enum fl__lane_sight fl__lane_look(const struct fl__lane *lane, struct fl__reply *reply);

/* Frees the slot of the oldest order, which has ended, or which belongs to a dead worker. */
void fl__lane_pass(struct fl__lane *lane);

/* Revokes an order. False: it has started, or ended. */
bool fl__lane_revoke(struct fl__lane *lane, uint32_t seq);

enum fl__lane_fate { FL__LANE_QUEUED, FL__LANE_STARTED };

/*
 * For an order that has not ended. Final if the worker is dead. A damaged word counts as STARTED.
 */
enum fl__lane_fate fl__lane_fate(const struct fl__lane *lane, uint32_t seq);

/*
 * For an order of `count` elements that ran when its worker died: how many elements had ended. The
 * next element was running. `count`: the worker wrote what no worker writes.
 */
uint32_t fl__lane_progress(const struct fl__lane *lane, uint32_t seq, uint32_t count);

/* When an order with FL__ORDER_TIMED began, by the worker's word. */
int64_t fl__lane_began(const struct fl__lane *lane, uint32_t seq);

/* Asks the worker to stop that order, if the worker still has it. */
void fl__lane_ask(struct fl__lane *lane, uint32_t seq);

/*
 * Called before the collector's sleep number `generation`, not 0. Then the collector must look at
 * all lanes again.
 */
void fl__lane_arm(struct fl__lane *lane, uint32_t generation);

/* Called when the collector is awake. */
void fl__lane_disarm(struct fl__lane *lane);

/* The worker's side, private to the worker. */
struct fl__lane_worker {
	const struct fl__orders *orders;
	struct fl__replies *replies;
	uint32_t next;   /* the next order, or the one that is being run */
	uint32_t rung;   /* the collector's sleep for which it has rung */
	uint32_t shared; /* orders in a row that came while another thread had this CPU */
	void (*ring)(void *arg);
	/* Called for a revoked order before its reply. May be NULL. */
	void (*revoked)(void *arg, const struct fl__order *order);
	void *arg;
};

void fl__lane_worker_init(struct fl__lane_worker *w, const struct fl__orders *orders, struct fl__replies *replies);

/* Waits for an order and claims it. Answers revoked orders. Blocks the calling thread. */
const struct fl__order *fl__lane_take(struct fl__lane_worker *w);

/* Whether the order that was taken shall stop. */
bool fl__lane_is_asked(const struct fl__lane_worker *w);

/* Of the order that was taken, `done` elements have ended, not all. Their results are written. */
void fl__lane_advance(struct fl__lane_worker *w, uint32_t done);

/* Ends the order that was taken. Its result is written. Rings if the collector sleeps. */
void fl__lane_end(struct fl__lane_worker *w, int32_t error, uint32_t flags, uint32_t count);

/* For the listener: sleeps while `asks` has that value. May return spuriously. */
void fl__lane_listen(const struct fl__lane_worker *w, uint32_t asks);

#endif
