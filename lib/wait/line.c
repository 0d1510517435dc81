/* SPDX-License-Identifier: BSD-2-Clause */
/* A wait queue that its owner's lock guards (line.h). */
#include "line.h"
#include "../base/atomic.h"

/* Empties the queue in a forked child: its waiters are threads of the parent. */
static void forget_parents(struct fl__line *line)
{
	const uint32_t count = fl__load_relaxed(&fl__fork_count); /* as in fl__is_forked() */
	if (__builtin_expect(line->fork_count != count, 0)) {
		line->first = NULL;
		line->fork_count = count;
	}
}

bool fl__line_is_waited(struct fl__line *line)
{
	forget_parents(line);
	return line->first != NULL;
}

void fl__line_add(struct fl__line *line, struct fl__node *node)
{
	forget_parents(line);
	struct fl__node *first = line->first;
	node->key = line;
	node->queued = true;
	if (!first) {
		node->next = node->prev = node;
		line->first = node;
		return;
	}
	node->next = first;
	node->prev = first->prev;
	first->prev->next = node;
	first->prev = node;
}

void fl__line_add_first(struct fl__line *line, struct fl__node *node)
{
	fl__line_add(line, node); /* last is before the first: the queue is a ring */
	line->first = node;
}

void fl__line_remove(struct fl__line *line, struct fl__node *node)
{
	if (!node->queued)
		return;
	node->queued = false;
	if (node->next == node) {
		line->first = NULL;
		return;
	}
	if (line->first == node)
		line->first = node->next;
	node->next->prev = node->prev;
	node->prev->next = node->next;
}

size_t fl__line_wake(struct fl__line *line, size_t max)
{
	size_t woken = 0;
	forget_parents(line);
	for (struct fl__node *node; woken < max && (node = line->first) != NULL;) {
		const bool counts = !node->observer; /* read now: a woken node may be gone */
		fl__line_remove(line, node);
		if (fl__node_wake(node))
			woken += counts;
	}
	return woken;
}
