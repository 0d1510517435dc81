/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "shm_wait_queue.h"
#include <fairlead/defs.h>
#include <fairlead/shm_queue.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The ring of a queue in shared memory (shm_queue.c). In a ring of items, positions count items. In
 * a ring of frames (item_size is 0), positions count bytes, and a frame begins with
 * FL__SHM_FRAME_HEADER bytes.
 */
struct fl__shm_ring {
	/* The cache line that every operation uses. */
	struct fl__shm_lock lock;
	FL__WORD64 uint64_t in, out;
	uint32_t dones, closed;

	struct fl__shm_wait_queue items, space, done;

	/*
	 * Written when the ring is made, and never changed, except that a destroy clears `magic`.
	 */
	FL__WORD64 uint64_t item_size;
	uint32_t size; /* the size of the ring, in items or bytes */
	uint32_t version;
	uint32_t magic; /* written last */
	uint8_t pad[28];
};
_Static_assert(sizeof(struct fl__shm_ring) == 256, "the data behind it begin a cache line");
_Static_assert(offsetof(struct fl__shm_ring, items) == 64, "the lock and what it guards share a cache line");

enum { FL__SHM_RING_ALIGN = 64, FL__SHM_FRAME_HEADER = 4 };
enum { FL__SHM_RING_MOST = INT32_MAX }; /* positions are below twice the size */
enum { FL__SHM_OPEN = 0, FL__SHM_CLOSED = 1, FL__SHM_DROPPED = 2 };

/* A process's private handle. Its numbers are not read from shared memory again. */
struct fl_shm_queue {
	struct fl__shm_ring *ring;
	unsigned char *data;
	size_t item_size; /* 0 for a ring of frames */
	uint32_t size;
	fl_shm *region; /* NULL in tests, whose ring is in other memory */
};

/*
 * Stores the size of a ring with its data in *bytes. Returns 0, -EINVAL if `size` is 0, or
 * -EOVERFLOW.
 */
FL_MUST_CHECK int fl__shm_queue_bytes(size_t item_size, size_t size, size_t *bytes);

/*
 * Makes a ring in `memory`, which is aligned, is as large as fl__shm_queue_bytes() says, and is
 * used by no other process. The counts begin at `start`, so that tests can make them wrap.
 */
fl_shm_queue fl__shm_queue_make(void *memory, size_t item_size, uint32_t size, uint32_t start);

/*
 * Checks that `memory`, of at least sizeof(struct fl__shm_ring), is a ring, and fills in *q. The
 * caller must then check that the ring and its data, *bytes long, are inside the region. Returns
 *   0                *q and *bytes are filled in
 *   -EBADMSG         the memory is not a ring
 *   -EPROTONOSUPPORT the ring has another version
 */
FL_MUST_CHECK int fl__shm_queue_find(fl_shm_queue *q, void *memory, size_t *bytes);

/*
 * Puts 1 to `n` items by one commit, and stores their number in *count. Otherwise like
 * fl_shm_queue_put_many_until().
 */
FL_MUST_CHECK int fl__shm_queue_put_some(fl_shm_queue *q, const void *items, size_t n, size_t *count, fl_time deadline,
                                         fl_cancel_token *cancel);
