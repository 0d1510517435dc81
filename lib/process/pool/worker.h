/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_POOL_WORKER_H
#define FL_PROCESS_POOL_WORKER_H

#include "rings.h"
#include <fairlead/process.h>

/*
 * The task that each worker process of a process pool runs all its life. Exit codes of the process:
 *
 *   0   the worker was told to exit, or its initializer failed
 *   1   the worker cannot use what it was handed (then its state is FL__WORKER_UNFIT); or a task
 *       closed the doorbell, or ended the main thread
 */
extern const fl_task_type fl__worker_task;

/* Its argument. */
struct fl__worker_start {
	uint32_t n_regions;
};

/* The descriptors that the worker is handed, in this order; the regions follow. */
enum {
	FL__WORKER_SUBMISSIONS, /* struct fl__submission_ring, read-only */
	FL__WORKER_COMPLETIONS, /* struct fl__completion_ring */
	FL__WORKER_CHANNEL,     /* a socket: carries arguments and results that are memfds */
	FL__WORKER_DOORBELL,    /* an eventfd */
	FL__WORKER_FDS,
};

/* Where an argument or a result is stored, with all elements of a chunk together. */
enum fl__place {
	FL__PLACE_SLOT,  /* in `small` of the submission or completion */
	FL__PLACE_ARENA, /* in the arena of its ring, at the submission's offset, aligned */
	FL__PLACE_MEMFD, /* in a memfd of its own, sent through the channel */
};

static inline enum fl__place fl__place_of(size_t bytes, size_t align)
{
	if (bytes <= FL__RINGS_SMALL && align <= FL__RINGS_SMALL)
		return FL__PLACE_SLOT;
	return bytes <= FL__RINGS_INLINE_MOST ? FL__PLACE_ARENA : FL__PLACE_MEMFD;
}

/*
 * A packet of the channel, with one descriptor: a sealed memfd of `size` bytes, an argument or a
 * result. The sender sends an argument before it posts the submission, and a result before it posts
 * the completion. So the receiver finds the packet without waiting. The worker closes arguments of
 * revoked or skipped submissions. A result comes if the completion has FL__COMPLETION_MEMFD. A
 * failed submission with `count` 0 may lack its result; one with FL__COMPLETION_KEPT has its
 * result.
 */
struct fl__memfd_packet {
	uint32_t magic;
	uint32_t seq; /* of the submission */
	uint64_t size;
};
#define FL__MEMFD_MAGIC 0x31505041u /* "APP1" */

/*
 * A worker's first packet, without a descriptor, says that the worker is ready. Unlike the word in
 * its memory, a sent packet cannot be changed.
 */
#define FL__READY_MAGIC 0x31594452u /* "RDY1" */

/*
 * Sets the size of a memfd and allocates all its memory, zeroed: no access raises SIGBUS. Returns
 * 0; -ENOMEM; or another error of the system.
 */
int fl__memfd_allocate(int fd, size_t size);

/*
 * Finds the lowest address to which nested submits may use the calling thread's stack. Returns 0,
 * or an error.
 */
int fl__worker_find_stack_low(uintptr_t *low);

#endif
