/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user's handle of a queue in shared memory. The handle is private memory, and refers to a ring
 * (queue_ring.c) in a region. The handle holds a view of the ring, so that the ring's place and
 * size are not read from shared memory again.
 */
#include "../base/sys.h"
#include "shm_queue_ring.h"
#include <errno.h>
#include <fairlead/shm_queue.h>

enum { CAPACITY_DEFAULT = 1024 };

struct fl_shm_queue {
	struct fl__shm_view view;
	fl_shm *region;
	fl_shm_offset offset;
};

/* Creation and destruction. */

/* The ring's size according to `config`, in items or bytes. 0: the config is invalid. */
static size_t ring_size(const fl_shm_queue_config *config)
{
	if (!config || (config->item_size == 0) == (config->frame_bytes == 0))
		return 0;
	if (config->frame_bytes > 0)
		return config->capacity == 0 ? config->frame_bytes : 0;
	return config->capacity ? config->capacity : CAPACITY_DEFAULT;
}

int fl_shm_queue_create(fl_shm_queue **made, fl_shm *region, const fl_shm_queue_config *config)
{
	size_t size = ring_size(config);
	size_t bytes;
	if (size == 0)
		return -EINVAL;
	int rc = fl__shm_ring_bytes(config->item_size, size, &bytes);
	if (rc != 0)
		return rc;
	if (!fl_shm_is_writable(region))
		return -EROFS;
	fl_shm_queue *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	void *memory = fl_shm_alloc_raw(region, bytes);
	if (!memory) {
		fl__free(q);
		return -ENOMEM;
	}
	q->region = region;
	q->offset = fl_shm_offset_of(region, memory);
	fl__shm_ring_make(&q->view, memory, config->item_size, (uint32_t)size, 0);
	*made = q;
	return 0;
}

int fl_shm_queue_open(fl_shm_queue **made, fl_shm *region, fl_shm_offset offset)
{
	struct fl__shm_view view;
	if (!fl_shm_is_writable(region))
		return -EROFS;
	void *memory = fl_shm_at(region, offset, sizeof(struct fl__shm_ring));
	if (!memory)
		return -EBADMSG;
	int rc = fl__shm_ring_check(&view, memory);
	if (rc != 0)
		return rc;
	if (!fl_shm_at(region, offset, fl__shm_view_bytes(&view)))
		return -EBADMSG;
	fl_shm_queue *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	*q = (fl_shm_queue){view, region, offset};
	*made = q;
	return 0;
}

fl_shm_offset fl_shm_queue_offset(const fl_shm_queue *q)
{
	return q->offset;
}

void fl_shm_queue_free(fl_shm_queue *q)
{
	fl__free(q);
}

void fl_shm_queue_destroy(fl_shm_queue *q)
{
	if (!q)
		return;
	fl__shm_ring_unmake(&q->view);
	fl_shm_dealloc(q->region, q->view.ring);
	fl__free(q);
}

/* Items. */

int fl_shm_queue_put_until(fl_shm_queue *q, const void *item, int64_t deadline, fl_cancel_token *cancel)
{
	size_t one;
	return fl__shm_ring_put(&q->view, item, 1, &one, deadline, cancel);
}

int fl_shm_queue_get_until(fl_shm_queue *q, void *item, int64_t deadline, fl_cancel_token *cancel)
{
	size_t one;
	return fl__shm_ring_get(&q->view, item, 1, &one, deadline, cancel);
}

/* Several items. */

int fl_shm_queue_put_many_until(fl_shm_queue *q, const void *items, size_t n, size_t *count, int64_t deadline,
                                fl_cancel_token *cancel)
{
	const unsigned char *next = items;
	int rc = 0;
	size_t put;
	for (*count = 0; rc == 0 && *count < n; *count += put) {
		put = 0;
		rc = fl__shm_ring_put(&q->view, next + *count * q->view.item_size, n - *count, &put, deadline, cancel);
	}
	return rc;
}

int fl_shm_queue_get_many_until(fl_shm_queue *q, void *items, size_t n, size_t *count, int64_t deadline,
                                fl_cancel_token *cancel)
{
	*count = 0;
	return n > 0 ? fl__shm_ring_get(&q->view, items, n, count, deadline, cancel) : 0;
}

/* Frames. */

int fl_shm_queue_put_frame_until(fl_shm_queue *q, const void *frame, size_t size, int64_t deadline,
                                 fl_cancel_token *cancel)
{
	return fl__shm_ring_put_frame(&q->view, frame, size, deadline, cancel);
}

int fl_shm_queue_get_frame_until(fl_shm_queue *q, void *buffer, size_t room, size_t *size, int64_t deadline,
                                 fl_cancel_token *cancel)
{
	return fl__shm_ring_get_frame(&q->view, buffer, room, size, deadline, cancel);
}

/* Closing and joining. */

int fl_shm_queue_close(fl_shm_queue *q)
{
	size_t none;
	return fl__shm_ring_close(&q->view, false, &none);
}

int fl_shm_queue_close_now(fl_shm_queue *q, size_t *dropped)
{
	size_t ignored;
	return fl__shm_ring_close(&q->view, true, dropped ? dropped : &ignored);
}

int fl_shm_queue_task_done(fl_shm_queue *q)
{
	return fl__shm_ring_task_done(&q->view);
}

int fl_shm_queue_join_until(fl_shm_queue *q, int64_t deadline, fl_cancel_token *cancel)
{
	return fl__shm_ring_join(&q->view, deadline, cancel);
}

/* State. */

size_t fl_shm_queue_length(const fl_shm_queue *q)
{
	return fl__shm_ring_length(&q->view);
}

size_t fl_shm_queue_capacity(const fl_shm_queue *q)
{
	return q->view.size;
}

size_t fl_shm_queue_item_size(const fl_shm_queue *q)
{
	return q->view.item_size;
}

bool fl_shm_queue_is_closed(const fl_shm_queue *q)
{
	return fl__shm_ring_is_closed(&q->view);
}

static bool items_ready(void *object)
{
	fl_shm_queue *q = object;
	return fl__shm_ring_ready(&q->view, false);
}

static bool items_arm(void *object, struct fl__node *node)
{
	fl_shm_queue *q = object;
	return fl__shm_ring_arm(&q->view, false, node);
}

static bool space_ready(void *object)
{
	fl_shm_queue *q = object;
	return fl__shm_ring_ready(&q->view, true);
}

static bool space_arm(void *object, struct fl__node *node)
{
	fl_shm_queue *q = object;
	return fl__shm_ring_arm(&q->view, true, node);
}

static void disarm(__attribute__((unused)) void *object, struct fl__node *node)
{
	fl__shm_line_disarm(node);
}

const fl_on_type fl__on_shm_queue = {items_ready, items_arm, disarm, NULL};
const fl_on_type fl__on_shm_queue_space = {space_ready, space_arm, disarm, NULL};
