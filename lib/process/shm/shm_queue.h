/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_QUEUE_H
#define FL_SHM_QUEUE_H

#include "shm_wait_queue.h"
#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The ring of a queue in shared memory (shm_queue.c). In a ring of items positions count items. In
 * a ring of frames (item_size 0) they count bytes, and a frame takes FL__SHM_FRAME_HEADER bytes
 * more than its own.
 */
struct fl__shm_ring {
	/* The cache line of every operation. */
	struct fl__shm_lock lock;
	uint64_t in, out;
	uint32_t dones, closed;

	struct fl__shm_wait_queue items, space, done;

	/* Written once. */
	uint64_t item_size;
	uint32_t size; /* of the ring: items, or bytes */
	uint32_t version;
	uint32_t magic; /* written last */
	uint8_t pad[28];
};
_Static_assert(sizeof(struct fl__shm_ring) == 256, "the data behind it begin a cache line");
_Static_assert(offsetof(struct fl__shm_ring, items) == 64, "the lock and what it guards share a cache line");

enum { FL__SHM_RING_ALIGN = 64, FL__SHM_FRAME_HEADER = 4 };
enum { FL__SHM_RING_MOST = INT32_MAX }; /* positions are below twice the size */
enum { FL__SHM_OPEN = 0, FL__SHM_CLOSED = 1, FL__SHM_DROPPED = 2 };

/* A process's private view of a ring: after the check, never read from shared memory again. */
struct fl__shm_view {
	struct fl__shm_ring *ring;
	unsigned char *data;
	size_t item_size; /* 0: frames */
	uint32_t size;
};

/* Stores a ring's bytes in *bytes. Returns 0, -EINVAL (size 0), -EOVERFLOW. */
FL_MUST_CHECK int fl__shm_ring_bytes(size_t item_size, size_t size, size_t *bytes);

/*
 * Makes a ring in `memory` (aligned, of fl__shm_ring_bytes()), which no other process uses, and its
 * *view. The counts begin at `start`, so that tests can make them wrap. A check in another process
 * fails until the ring is complete.
 */
void fl__shm_ring_make(struct fl__shm_view *view, void *memory, size_t item_size, uint32_t size, uint32_t start);

/*
 * Checks that `memory`, of at least sizeof(struct fl__shm_ring), is a ring, and fills in *view.
 * Returns
 *   0
 *   -EBADMSG          no ring
 *   -EPROTONOSUPPORT  a ring of another version
 */
FL_MUST_CHECK int fl__shm_ring_check(struct fl__shm_view *view, void *memory);

/* The bytes of a ring and its data: the caller of a check makes sure of them. */
size_t fl__shm_view_bytes(const struct fl__shm_view *view);

/* Makes later checks fail. */
void fl__shm_ring_unmake(struct fl__shm_view *view);

/*
 * The operations. Results as in fairlead/shm_queue.h, and -EBADMSG for words that no queue can
 * have. A deadline of FL__TRY means one attempt, which also returns
 *   -EAGAIN  the operation would have to wait
 *   -EBUSY   a stopped process has the lock
 */

/* Put or get 1 to `n` items, by one commit. Set *count on success. */
FL_MUST_CHECK int fl__shm_ring_put(struct fl__shm_view *view, const void *items, size_t n, size_t *count,
                                   int64_t deadline, fl_cancel_token *cancel);
FL_MUST_CHECK int fl__shm_ring_get(struct fl__shm_view *view, void *items, size_t n, size_t *count, int64_t deadline,
                                   fl_cancel_token *cancel);
FL_MUST_CHECK int fl__shm_ring_put_frame(struct fl__shm_view *view, const void *frame, size_t size, int64_t deadline,
                                         fl_cancel_token *cancel);
FL_MUST_CHECK int fl__shm_ring_get_frame(struct fl__shm_view *view, void *frame, size_t room, size_t *size,
                                         int64_t deadline, fl_cancel_token *cancel);

/* Closes the queue. With `drop`, drops the contents, and sets *dropped to their number. */
FL_MUST_CHECK int fl__shm_ring_close(struct fl__shm_view *view, bool drop, size_t *dropped);
FL_MUST_CHECK int fl__shm_ring_task_done(struct fl__shm_view *view);
FL_MUST_CHECK int fl__shm_ring_join(struct fl__shm_view *view, int64_t deadline, fl_cancel_token *cancel);

size_t fl__shm_ring_length(const struct fl__shm_view *view);
bool fl__shm_ring_is_closed(const struct fl__shm_view *view);

/* For a wait-any: true if a get, or with `space` a put, would not wait. */
bool fl__shm_ring_ready(struct fl__shm_view *view, bool space);

#endif
