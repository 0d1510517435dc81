/* SPDX-License-Identifier: BSD-2-Clause */
/* A pairing heap. Invariant: no timer is before its parent. */
#include "timer_heap.h"

static bool timer_heap_is_before(const struct fl__timer *a, const struct fl__timer *b)
{
	return a->deadline != b->deadline ? a->deadline < b->deadline : a->number < b->number;
}

/* Melds two heaps. The root with the later deadline becomes the first child of the other root. */
static struct fl__timer *timer_heap_meld(struct fl__timer *a, struct fl__timer *b)
{
	if (timer_heap_is_before(b, a)) {
		struct fl__timer *earlier = b;
		b = a;
		a = earlier;
	}
	b->next = a->child;
	if (b->next)
		b->next->back = b;
	b->back = a;
	a->child = b;
	return a;
}

/*
 * Melds `child` and its later siblings: first in pairs from left to right, and then the pairs from
 * right to left.
 */
static struct fl__timer *timer_heap_meld_children(struct fl__timer *child)
{
	struct fl__timer *pairs = NULL; /* the melded pairs, linked by `next`, the last pair first */
	while (child) {
		struct fl__timer *a = child, *b = a->next;
		child = b ? b->next : NULL;
		a->next = NULL;
		if (b) {
			b->next = NULL;
			a = timer_heap_meld(a, b);
		}
		a->next = pairs;
		pairs = a;
	}
	struct fl__timer *heap = pairs;
	if (!heap)
		return NULL;
	pairs = heap->next;
	heap->next = NULL;
	while (pairs) {
		struct fl__timer *pair = pairs;
		pairs = pair->next;
		pair->next = NULL;
		heap = timer_heap_meld(heap, pair);
	}
	return heap;
}

static void timer_heap_set_first(struct fl__timers *timers, struct fl__timer *first)
{
	timers->first = first;
	if (first)
		first->back = first;
}

void fl__timers_add(struct fl__timers *timers, struct fl__timer *timer, int64_t deadline)
{
	*timer = (struct fl__timer){.deadline = deadline, .number = timers->added++};
	timer_heap_set_first(timers, timers->first ? timer_heap_meld(timers->first, timer) : timer);
}

void fl__timers_remove(struct fl__timers *timers, struct fl__timer *timer)
{
	if (!timer->back)
		return;
	struct fl__timer *children = timer_heap_meld_children(timer->child);
	if (timer == timers->first) {
		timer_heap_set_first(timers, children);
	} else {
		if (timer->back->child == timer)
			timer->back->child = timer->next;
		else
			timer->back->next = timer->next;
		if (timer->next)
			timer->next->back = timer->back;
		if (children)
			timer_heap_set_first(timers, timer_heap_meld(timers->first, children));
	}
	*timer = (struct fl__timer){0};
}
