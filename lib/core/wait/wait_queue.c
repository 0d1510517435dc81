/* SPDX-License-Identifier: BSD-2-Clause */
#include "wait_queue.h"
#include "../base/atomic.h"

/* In a forked child: the waiters are threads and fibers of the parent. */
static void wait_queue_forget_parents(struct fl__wait_queue *queue)
{
	const uint32_t count = fl__fork_count;
	if (fl__unlikely(queue->fork_count != count)) {
		queue->first = NULL;
		queue->fork_count = count;
	}
}

void fl__wait_queue_add(struct fl__wait_queue *queue, struct fl__node *node)
{
	wait_queue_forget_parents(queue);
	node->key = queue;
	node->queued = true;
	fl__node_link(node, queue->first);
	if (!queue->first)
		queue->first = node;
}

void fl__wait_queue_add_first(struct fl__wait_queue *queue, struct fl__node *node)
{
	fl__wait_queue_add(queue, node); /* last is before the first: a ring */
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

size_t fl__wait_queue_wake(struct fl__wait_queue *queue, size_t max)
{
	size_t woken = 0;
	wait_queue_forget_parents(queue);
	for (struct fl__node *node; woken < max && (node = queue->first) != NULL;) {
		const bool counts = !node->observer; /* a woken node may be gone */
		fl__wait_queue_remove(queue, node);
		if (fl__node_wake(node))
			woken += counts;
	}
	return woken;
}
