/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_QUEUE_H
#define FL_QUEUE_QUEUE_H

#include "../wait/lot.h"
#include "mpmc.h"
#include "type.h"
#include <fairlead/private/queue_spsc.h>
#include <stdalign.h>
#include <stddef.h>

struct fl_queue {
	/*
	 * For the inline functions of queue_of.h: the backend if it is fl__backend_mpmc or
	 * fl__backend_spsc, else NULL.
	 */
	struct fl__mpmc *mpmc;
	struct fl__queue_spsc *spsc;
	const struct fl__queue_backend *backend;
	size_t item_size;
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	uint64_t done;   /* items that are dealt with: see join.c */
	uint32_t inside; /* contexts that sleep on the queue, or are returning from such a sleep */
	/* fl__fork_count when `inside` was counted: a forked child has none of those contexts */
	uint32_t forks;
	char wait_keys[6]; /* the keys of the wait queues: fl__queue_wait_key() */
	alignas(max_align_t) unsigned char state[];
};

_Static_assert(offsetof(struct fl_queue, wait_keys) % 2 == 0, "or its lines have even addresses");

enum { FL__JOINERS = FL__PRODUCERS + 1 }; /* the third wait queue, beside those of the two sides */

/*
 * Returns the key of a wait queue in the wait table (lot.h): an odd address. A late wake may use
 * the key after the queue is freed. If the memory then holds a mutex, the wake does not reach its
 * waiters: their key is aligned to a word. Only another queue at the same address has the same key,
 * and a queue tolerates a spurious wakeup.
 */
static inline const void *fl__queue_wait_key(const fl_queue *q, int side)
{
	return &q->wait_keys[2 * side + 1];
}

static inline struct fl__mpmc *fl__queue_as_mpmc(fl_queue *q)
{
	return (struct fl__mpmc *)(void *)q->state;
}

/*
 * Before a call of `side` that may wait: in a stream of items, pauses to stay off the cache line
 * that the opposite side uses.
 */
void fl__queue_spsc_back_off(struct fl__queue_spsc *q, enum fl__queue_side side);

static inline struct fl__queue_spsc *fl__queue_as_spsc(fl_queue *q)
{
	return (struct fl__queue_spsc *)(void *)q->state;
}

static inline fl_queue *fl__queue_of_state(void *state)
{
	return (fl_queue *)(void *)((unsigned char *)state - offsetof(fl_queue, state));
}

/*
 * A put or a get in a wait queue. At a rendezvous, the opposite side copies one item from or to its
 * memory.
 */
struct fl__offer {
	struct fl__node node; /* first */
	const void *from;     /* of a put */
	void *to;             /* of a get */
	/*
	 * The next offer of the same select on the same queue, which is enqueued in the same step;
	 * NULL: none.
	 */
	struct fl__offer *same_step;
};

/*
 * Values of a woken node. FL__BATON: the waiter has the baton (side.c). FL__HANDED_OFF: the
 * waker has made the waiter's call.
 */
enum { FL__BATON = 1, FL__HANDED_OFF };

/*
 * Counts the calling context in `inside`: in before it sleeps, out when it touches the queue no
 * more.
 */
void fl__queue_enter(fl_queue *q);
void fl__queue_leave(fl_queue *q);

/* Returns what a call of that side would return now. Waits while that is -EBUSY. */
int fl__queue_can(fl_queue *q, enum fl__queue_side side);

/*
 * Sets the mark of `side` and enqueues `node`; the holder of the baton goes to the front, and the
 * mark replaces the baton. Returns false, and enqueues nothing, if there may be an item (space) by
 * now.
 */
bool fl__queue_enqueue(fl_queue *q, enum fl__queue_side side, struct fl__node *node, bool baton);

/*
 * Called by the holder of the baton when its call has ended. Wakes the next waiter if there is more
 * to have, else sets the mark. Touches the queue only if a waiter is enqueued: then it exists.
 */
void fl__queue_pass_baton(fl_queue *q, enum fl__queue_side side);

void fl__queue_wake_all(fl_queue *q);

/*
 * Returns true if a context waits on the queue, or is returning from a wait for an item or space.
 */
bool fl__queue_has_waiters(fl_queue *q);

/* A put or a get that may have to wait. */
struct fl__queue_call {
	enum fl__queue_side side;
	const void *from; /* of a put */
	void *to;         /* of a get */
	size_t n, count;
};

/*
 * Pauses before a call that got -EBUSY is tried again, so that the call in progress can go on.
 * `round` counts the pauses from 0.
 */
void fl__queue_pause(unsigned round);

/*
 * Makes the call by the backend's operation, again while that returns -EBUSY. Wakes a waiter of the
 * opposite side if the call owes a wake.
 */
int fl__queue_call_now(fl_queue *q, struct fl__queue_call *call);

/*
 * Makes the call, and waits until it can be made. Returns:
 *
 *   0            the call is made, and its count is set
 *   -EPIPE       closed
 *   -ENOMEM      out of memory
 *   -ETIMEDOUT   the deadline has passed, and a last try failed
 *   -ECANCELED   a wait was cancelled; the call is not tried after that
 */
int fl__queue_call_until(fl_queue *q, struct fl__queue_call *call, int64_t deadline, fl_cancel_token *cancel);

/*
 * Counts one more item as dealt with. Returns false if all items that were put are dealt with
 * already. The queue may be freed after that, unless it has items.
 */
bool fl__queue_done(fl_queue *q);

/* Called when the count of puts has become smaller: wakes the joiners if all are dealt with. */
void fl__queue_recheck_join(fl_queue *q);

#endif
