/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_QUEUE_RING_H
#define FL_SHM_QUEUE_RING_H

#include "line.h"
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The queue in shared memory, as a piece of plain memory: queue_ring.c has its words and its protocol; queue.c has what the
 * user holds, and where the memory comes from.
 *
 * Two forms: items of one size, whose positions count items, and frames of any size (item_size 0), whose positions count
 * bytes. A frame takes its bytes and FL__SHM_FRAME_HEADER more.
 */
struct fl__shm_ring {
	/* One cache line: what every operation reads and writes. */
	struct fl__shm_lock lock;
	uint64_t in, out;
	uint32_t dones, closed;

	struct fl__shm_line items, space, done;

	/* Written once. */
	uint64_t item_size;
	uint32_t size; /* of the ring: items, or bytes */
	uint32_t version;
	uint32_t magic; /* last */
	uint8_t pad[28];
};
_Static_assert(sizeof(struct fl__shm_ring) == 256, "the data behind it begin a cache line");
_Static_assert(offsetof(struct fl__shm_ring, items) == 64, "the lock and what it guards share a cache line");

enum { FL__SHM_RING_ALIGN = 64, FL__SHM_FRAME_HEADER = 4 };
enum { FL__SHM_RING_MOST = INT32_MAX }; /* positions are below twice the size */
enum { FL__SHM_OPEN = 0, FL__SHM_CLOSED = 1, FL__SHM_DROPPED = 2 };

/* A process' own view: nothing of it is read from shared memory after the check. */
struct fl__shm_view {
	struct fl__shm_ring *ring;
	unsigned char *data;
	size_t item_size; /* 0: frames */
	uint32_t size;
};

/* The bytes of a ring in *bytes: 0, -EINVAL (size 0), -EOVERFLOW. */
FL_MUST_CHECK int fl__shm_ring_bytes(size_t item_size, size_t size, size_t *bytes);

/*
 * Makes one in `memory` (aligned, of fl__shm_ring_bytes()), and *view. Its counts begin at `start`, for tests of what happens
 * when they come round. Nobody else uses the memory. A check elsewhere fails until it is all made.
 */
void fl__shm_ring_make(struct fl__shm_view *view, void *memory, size_t item_size, uint32_t size, uint32_t start);

/* Looks at what is said to be one, in at least its own struct's room: 0, -EBADMSG (it is not), -EPROTONOSUPPORT (of another version). */
FL_MUST_CHECK int fl__shm_ring_check(struct fl__shm_view *view, void *memory);

/* What it takes, with its data; whoever checks one makes sure that there is so much. */
size_t fl__shm_view_bytes(const struct fl__shm_view *view);

/* Makes it no queue any more: a check fails. */
void fl__shm_ring_unmake(struct fl__shm_view *view);

/*
 * The operations. Results as in fairlead/shm_queue.h, with -EBADMSG for words that no queue can have. A deadline of
 * FL__SHM_TRY is one try: -EAGAIN when it would have to wait, -EBUSY when a process that is stopped has the lock.
 */
#define FL__SHM_TRY INT64_MIN

/* Puts or gets at least one and up to n items, by one commit; *count says how many, and is set on success alone. */
FL_MUST_CHECK int fl__shm_ring_put(struct fl__shm_view *view, const void *items, size_t n, size_t *count,
                                   int64_t deadline, fl_cancel *cancel);
FL_MUST_CHECK int fl__shm_ring_get(struct fl__shm_view *view, void *items, size_t n, size_t *count, int64_t deadline,
                                   fl_cancel *cancel);
FL_MUST_CHECK int fl__shm_ring_put_frame(struct fl__shm_view *view, const void *frame, size_t size, int64_t deadline,
                                         fl_cancel *cancel);
FL_MUST_CHECK int fl__shm_ring_get_frame(struct fl__shm_view *view, void *frame, size_t room, size_t *size,
                                         int64_t deadline, fl_cancel *cancel);

/* Closes, or closes and drops; *dropped says how many. */
FL_MUST_CHECK int fl__shm_ring_close(struct fl__shm_view *view, bool drop, size_t *dropped);
FL_MUST_CHECK int fl__shm_ring_task_done(struct fl__shm_view *view);
FL_MUST_CHECK int fl__shm_ring_join(struct fl__shm_view *view, int64_t deadline, fl_cancel *cancel);

size_t fl__shm_ring_length(const struct fl__shm_view *view);
bool fl__shm_ring_is_closed(const struct fl__shm_view *view);

/* For fl_wait_any: of the line of items, or of that of space. */
bool fl__shm_ring_ready(struct fl__shm_view *view, bool space);
bool fl__shm_ring_arm(struct fl__shm_view *view, bool space, struct fl__node *node);

#endif
