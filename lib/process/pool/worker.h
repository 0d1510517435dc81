/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/sys.h"
#include "pool_bytes.h"
#include <fairlead/executor.h>

/*
 * The task that each worker process runs all its life. Exit codes of the process:
 *
 *   0   the worker was told to exit, its initializer failed, or its memory has passed `memory_max`
 *   1   the worker cannot use what it was handed (its state is FL__WORKER_UNFIT); or a task
 *       closed the doorbell, or ended the main thread
 */
extern const fl_task_type fl__worker_task;

struct fl__worker_start {
	uint64_t bytes_max, memory_max;
	uint32_t n_regions;
	/* the size of the flight recorder's ring behind the completions, or 0 */
	uint32_t trace_size;
};

/* The worker's descriptors. The regions' descriptors follow. */
enum {
	FL__WORKER_SUBMISSIONS, /* struct fl__submission_ring, read-only */
	FL__WORKER_COMPLETIONS, /* struct fl__completion_ring */
	FL__WORKER_CHANNEL,     /* a socket for memfds of arguments and results */
	FL__WORKER_DOORBELL,    /* an eventfd */
	FL__WORKER_FDS,
};

/* Where the argument or result of a submission lies, with all elements of its chunk. */
enum fl__place {
	FL__PLACE_SLOT,  /* in `small` of the submission or completion */
	FL__PLACE_ARENA, /* at the submission's offset in the arena */
	FL__PLACE_MEMFD, /* sent through the channel */
};

static inline enum fl__place fl__place_of(size_t bytes, size_t align)
{
	if (bytes <= FL__RINGS_SMALL && align <= FL__RINGS_SMALL)
		return FL__PLACE_SLOT;
	return bytes <= FL__RINGS_INLINE_MOST ? FL__PLACE_ARENA : FL__PLACE_MEMFD;
}

/* Returns the size of an argument or a result in the arena. The room for its bytes follows it. */
static inline size_t fl__room_begin(size_t size, size_t align)
{
	return fl__place_of(size, align) == FL__PLACE_ARENA ? FL__ROUND_UP(size, FL__BYTES_UNIT) : 0;
}

/*
 * A packet of the channel, with a sealed memfd. For an argument, `size` is the memfd's size; for a
 * result it is 0. An argument is sent before its submission is posted, and a result before its
 * completion, so the receiver does not wait. The worker closes arguments of revoked or skipped
 * submissions. A failed submission with `count` 0 may lack its result, unless it has
 * FL__COMPLETION_KEPT. The memfd with the bytes of results is sent if a handle of an ended element
 * has a place in it; it may be sealed later (pool_bytes.c).
 */
struct fl__memfd_packet {
	uint32_t magic;
	uint32_t seq; /* the number of the submission */
	uint64_t size;
};
#define FL__MEMFD_MAGIC 0x31505041u /* "APP1" */

/*
 * The magic number of a worker's first packet. Unlike the word in the worker's memory, a packet
 * that was sent cannot change.
 */
#define FL__READY_MAGIC 0x31594452u /* "RDY1" */

/*
 * Receives packets up to the memfd of submission `*seq`, and closes the memfds of others. Returns
 * this memfd, and stores the size that its packet names; or returns an error. If `seq` is NULL,
 * receives packets only up to "ready". A call that receives "ready" sets *ready. Does not wait.
 */
int fl__memfd_recv(int channel, const uint32_t *seq, uint64_t *size, bool *ready);
