/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_WORKER_H
#define FL_PROCESS_WORKER_H

#include "lane.h"
#include <fairlead/process.h>

/*
 * The worker of a process executor: a process that runs one task, this one, for as long as it lives. It ends with exit code 0
 * when it is told to leave; with 1, and FL__LANE_UNFIT, when what it was handed is of no use to it.
 */
extern const fl_task_type fl__worker_task;

/* Its argument. */
struct fl__worker_start {
	uint32_t n_regions;
};

/* What it is handed, in this order; then the regions. */
enum {
	FL__WORKER_ORDERS,  /* struct fl__orders, read-only */
	FL__WORKER_REPLIES, /* struct fl__replies */
	FL__WORKER_CHANNEL, /* for arguments and results that are descriptors */
	FL__WORKER_BELL,    /* an eventfd */
	FL__WORKER_FDS,
};

/* Where an argument, or a result, stands; all elements of a chunk together. */
enum fl__place {
	FL__PLACE_SLOT,  /* in `small` of the order, or of the reply */
	FL__PLACE_ARENA, /* in the arena of its side, where the order says, at a multiple of its alignment */
	FL__PLACE_APART, /* in memory of its own; the order's flags say so, too */
};

static inline enum fl__place fl__place_of(size_t bytes, size_t align)
{
	if (bytes <= FL__LANE_SMALL && align <= FL__LANE_SMALL)
		return FL__PLACE_SLOT;
	return bytes <= FL__LANE_INLINE_MOST ? FL__PLACE_ARENA : FL__PLACE_APART;
}

/*
 * What goes over the channel, with one descriptor: memory that is sealed, of this many bytes, an argument or a result. The
 * argument is sent before its order is posted, the result before its order has ended: who looks for one finds it, and waits
 * for none. The worker passes over arguments of other orders: these were revoked, or skipped. A result comes along when the
 * flags of the reply have FL__REPLY_APART; of an order that ended with an error it may be missing, and then its `count` is 0.
 * A reply with FL__REPLY_KEPT has its result.
 */
struct fl__apart {
	uint32_t magic;
	uint32_t seq; /* of the order */
	uint64_t size;
};
#define FL__APART_MAGIC 0x31505041u /* "APP1" */

/* The first packet of a worker, without a descriptor, has this: it was ready. Unlike a word in its memory it stays said. */
#define FL__READY_MAGIC 0x31594452u /* "RDY1" */

#endif
