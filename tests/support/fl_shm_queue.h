/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_SHM_QUEUE_H
#define FL_TEST_SHM_QUEUE_H

/* For the tests of queues in shared memory. */
#include "fl_shm_child.h"

#include "core/base/atomic.h"
#include "process/shm/shm_queue.h"

#define SHM_FN __attribute__((unused)) static

SHM_FN fl_shm_queue *items_in(fl_shm *region, size_t item_size, size_t capacity)
{
	fl_shm_queue *q = NULL;
	FL_OK(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.item_size = item_size, .capacity = capacity}));
	return q;
}

SHM_FN fl_shm_queue *frames_in(fl_shm *region, size_t bytes)
{
	fl_shm_queue *q = NULL;
	FL_OK(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.frame_bytes = bytes}));
	return q;
}

/* A region and a queue in it, until the end of the block: of items, or of frames. */
#define SHM_ITEMS(region, q, item_size, capacity)                                                                      \
	FL_SCOPED(fl_shm) *region = region_of(4096);                                                                   \
	FL_SCOPED(fl_shm_queue) *q = items_in(region, item_size, capacity)
#define SHM_FRAMES(region, q, bytes)                                                                                   \
	FL_SCOPED(fl_shm) *region = region_of(4096);                                                                   \
	FL_SCOPED(fl_shm_queue) *q = frames_in(region, bytes)

/* The ring behind a handle. */
SHM_FN struct fl__shm_ring *ring_in(fl_shm *region, fl_shm_queue *q)
{
	return fl_shm_at(region, fl_shm_queue_offset(q), sizeof(struct fl__shm_ring));
}

/* True if a process sleeps in the queue, or is about to. */
SHM_FN bool is_awaited(struct fl__shm_wait_queue *queue)
{
	return fl__load_relaxed(&queue->waiting) != 0;
}

#endif
