/* SPDX-License-Identifier: BSD-2-Clause */
/* Wait queues outside of the parking lot, which wait_queue.h explains. */
#include "wait_queue.h"
#include "../base/atomic.h"
#include "../base/sys.h"

void fl__wait_queue_add_first(struct fl__wait_queue *queue, struct fl__node *node)
{
	node->key = queue;
	node->queued = true;
	/* In a ring, the place before the first node is also the place after the last one. */
	fl__node_link(node, queue->first);
	queue->first = node;
}

void fl__wait_queue_remove(struct fl__wait_queue *queue, struct fl__node *node)
{
	if (!node->queued)
		return;
	node->queued = false;
	if (queue->first == node)
		queue->first = node->next == node ? NULL : node->next;
	fl__node_unlink(node);
}

size_t fl__wait_queue_take(struct fl__wait_queue *queue, size_t max)
{
	size_t woken = 0;
	while (woken < max && queue->first) {
		struct fl__node *node = queue->first;
		fl__wait_queue_remove(queue, node);
		woken += fl__lot_take_node(&queue->taken, node, 0);
	}
	return woken;
}

struct fl__lot fl__wait_queue_taken(struct fl__wait_queue *queue)
{
	const struct fl__lot taken = queue->taken;
	queue->taken = (struct fl__lot){0};
	return taken;
}
