/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_WORKER_H
#define FL_PROCESS_WORKER_H

#include "rings.h"
#include <fairlead/process.h>

/*
 * The worker of a process executor: a process that runs this one task all its life. Exit code 0:
 * the worker was told to leave, or its initializer failed. 1, and FL__LANE_UNFIT: it cannot use
 * what it was handed.
 */
extern const fl_task_type fl__worker_task;

/* Its argument. */
struct fl__worker_start {
	uint32_t n_regions;
};

/* The descriptors that it is handed, in this order; the regions follow. */
enum {
	FL__WORKER_ORDERS,  /* struct fl__orders, read-only */
	FL__WORKER_REPLIES, /* struct fl__replies */
	FL__WORKER_CHANNEL, /* carries arguments and results that are descriptors */
	FL__WORKER_BELL,    /* an eventfd */
	FL__WORKER_FDS,
};

/* Where an argument or a result is stored, with all elements of a chunk together. */
enum fl__place {
	FL__PLACE_SLOT,  /* in `small` of the order or reply */
	FL__PLACE_ARENA, /* in the arena of its ring, at the order's offset, aligned */
	FL__PLACE_APART, /* in memory of its own; the order has a flag for it */
};

static inline enum fl__place fl__place_of(size_t bytes, size_t align)
{
	if (bytes <= FL__LANE_SMALL && align <= FL__LANE_SMALL)
		return FL__PLACE_SLOT;
	return bytes <= FL__LANE_INLINE_MOST ? FL__PLACE_ARENA : FL__PLACE_APART;
}

/*
 * A packet of the channel, with one descriptor: sealed memory of `size` bytes, an argument or a
 * result. The argument is sent before its order is posted, and the result before its order ends. So
 * a receiver finds the packet without waiting. The worker closes arguments of revoked or skipped
 * orders. A result comes if the reply has FL__REPLY_APART. A failed order may lack its result, and
 * then has the `count` 0. A reply with FL__REPLY_KEPT has its result.
 */
struct fl__apart {
	uint32_t magic;
	uint32_t seq; /* of the order */
	uint64_t size;
};
#define FL__APART_MAGIC 0x31505041u /* "APP1" */

/*
 * A worker's first packet, without a descriptor: it was ready. Unlike the word in its memory, the
 * packet cannot be changed later.
 */
#define FL__READY_MAGIC 0x31594452u /* "RDY1" */

#endif
