/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend of an unbounded FIFO queue: the chain of chain.h. No producer waits for space, so
 * that side has no mark. A put or get that meets another call in progress does not wait for it
 * (chain.c, invariant 3), so there is no -EBUSY.
 *
 * The mark of waiting consumers is the chain's. A waiter sets it inside a transaction of the wait
 * table, while the consumers have all existing tickets. The first put that draws another ticket, or
 * appends a segment, clears it. That put wakes a waiter when it ends, whatever its result. A
 * refused put wakes for nothing, and the woken waiter sets the mark again. So a put that finds no
 * mark owes nothing, and a put that finds the mark wakes at most one waiter.
 *
 * puts() counts tickets, less those that came to nothing. While a put is in progress, puts() may be
 * more than was put. It is never less, so a join that finds as many items done is right (join.c).
 * puts() decreases in one place: where a consumer poisons a cell. If the queue is closed then, the
 * cell's put may be refused, and its item is never dealt with. So the consumer makes the joiners
 * look again. A joiner counts inside a transaction of the wait table, and the consumer opens one
 * after it has counted, whether it sees a joiner or not. So the consumer finds the joiner, or the
 * joiner comes later and gets the new count.
 *
 * For one consumer (fl__backend_unbounded_mpsc) only the get differs. The other operations that move the head
 * and retire segments are then the consumer's too: marking, for a wait or for fl_wait_any
 * (fl__queue_enqueue()), and discarding. All others only read, under a hazard pointer.
 *
 * Lifetime: as in side.c. A put's last step is to fill its cell, or to append (fl__unbounded_put()).
 */
#include "chain.h"
#include "queue.h"
#include <errno.h>

/* malloc() aligns to less than the chain needs. */
static struct fl__unbounded *unbounded_of(void *state)
{
	return fl__align_to_line(state);
}

static void unbounded_recheck_join(void *state)
{
	fl__queue_recheck_join(fl__queue_of_state(state));
}

static int unbounded_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct fl__unbounded *c = unbounded_of(state);
	(void)config;
	c->on_poison = unbounded_recheck_join;
	c->of = state;
	return fl__unbounded_init(c, item_size, 0);
}

static void unbounded_fini(void *state)
{
	fl__unbounded_end(unbounded_of(state));
}

static int unbounded_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct fl__unbounded *c = unbounded_of(state);
	int rc = 0;
	if (n == 1) {
		rc = fl__unbounded_put(c, items, owes_wake);
		*count = rc == 0;
	} else {
		*count = fl__unbounded_put_many(c, items, n, &rc, owes_wake);
	}
	return *count > 0 ? 0 : rc;
}

static int unbounded_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	int rc = 0;
	*owes_wake = false;
	*count = fl__unbounded_get_many(unbounded_of(state), items, n, &rc);
	return *count > 0 ? 0 : rc;
}

/* The get of the only consumer, which takes its tickets by plain stores. */
static int unbounded_get_mpsc(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct fl__unbounded *c = unbounded_of(state);
	int rc = 0;
	*owes_wake = false;
	for (*count = 0; *count < n; ++*count) {
		rc = fl__unbounded_get_mpsc(c, (unsigned char *)items + *count * c->item_size);
		if (rc != 0)
			break;
	}
	return *count > 0 ? 0 : rc;
}

static int unbounded_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct fl__unbounded *c = unbounded_of(of->state);
	struct fl__segment *s;
	uint64_t index;
	int rc = 0;
	*count = 0;
	*owes_wake = false;
	size_t k = fl__unbounded_claim_pinned(c, SIZE_MAX, &s, &index, &rc);
	if (k == 0)
		return rc;
	for (; k > 0; k--, index++) {
		void *item = fl__unbounded_item(c, s, index);
		if (!item)
			continue;
		if (of->drop)
			of->drop(item, of->drop_arg);
		(void)fl__queue_done(of); /* false: fl_queue_task_done() came before the get */
		++*count;
	}
	fl__unbounded_unpin(s);
	return 0;
}

static int unbounded_can_get(void *state)
{
	return fl__unbounded_can_get(unbounded_of(state));
}

static int unbounded_can_put(void *state)
{
	return fl__unbounded_is_closed(unbounded_of(state)) ? -EPIPE : 0;
}

static bool unbounded_mark_empty(void *state)
{
	return fl__unbounded_mark_empty(unbounded_of(state)) == 0;
}

static bool unbounded_mark_full(void *state)
{
	(void)state;
	return false;
}

static void unbounded_close(void *state)
{
	fl__unbounded_close(unbounded_of(state));
}

static bool unbounded_is_closed(void *state)
{
	return fl__unbounded_is_closed(unbounded_of(state));
}

static size_t unbounded_length(void *state)
{
	return (size_t)fl__unbounded_length(unbounded_of(state));
}

static size_t unbounded_capacity(const void *state)
{
	(void)state;
	return FL_UNBOUNDED;
}

static uint64_t unbounded_puts(void *state)
{
	return fl__unbounded_puts(unbounded_of(state));
}

#define UNBOUNDED_BACKEND(get_)                                                                                        \
	{                                                                                                              \
		.size = sizeof(struct fl__unbounded) + FL__LINE - 1, .init = unbounded_init, .fini = unbounded_fini,   \
		.put = unbounded_put, .get = (get_), .discard = unbounded_discard,                                     \
		.can = {unbounded_can_get, unbounded_can_put}, .mark = {unbounded_mark_empty, unbounded_mark_full},    \
		.close = unbounded_close, .is_closed = unbounded_is_closed, .length = unbounded_length,                \
		.capacity = unbounded_capacity, .puts = unbounded_puts, .puts_decrease = true,                         \
	}

const struct fl__queue_backend fl__backend_unbounded = UNBOUNDED_BACKEND(unbounded_get);
const struct fl__queue_backend fl__backend_unbounded_mpsc = UNBOUNDED_BACKEND(unbounded_get_mpsc);
