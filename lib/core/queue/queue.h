/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_QUEUE_H
#define FL_QUEUE_QUEUE_H

#include "../base/list.h"
#include "../wait/lot.h"
#include "mpmc.h"
#include <fairlead/private/queue_spsc.h>
#include <fairlead/queue.h>
#include <stdalign.h>

/* The blocking queue. A backend holds the items, and never waits; queue.c waits. */
enum fl__queue_side { FL__CONSUMERS, FL__PRODUCERS }; /* waiting for an item, for space */
enum { FL__JOINERS = FL__PRODUCERS + 1 };             /* the third wait queue */

/* The operations of a backend, for any thread, except init and fini. `state` follows fl_queue. */
struct fl__queue_backend {
	size_t size; /* of the state, which is aligned as by malloc() */

	/* 0, -EINVAL, -EOVERFLOW, -ENOMEM. `config` is valid, and its capacity is not 0. */
	int (*init)(void *state, size_t item_size, const fl_queue_config *config);
	void (*fini)(void *state);

	/*
	 * Put and get up to `n` items, at least 1. Set `*owes_wake`, with any result, if they clear
	 * a mark.
	 *
	 *   0         done, with `*count` items
	 *   -EAGAIN   full (put), empty (get)
	 *   -EBUSY    another call is in the middle of what this call needs: to be tried again
	 *   -EOWNERDEAD   in a forked child: a thread of the parent was in the middle of a call
	 *   -EPIPE    closed (put), closed and empty (get)
	 *   -ENOMEM   out of memory (put only)
	 */
	int (*put)(void *state, const void *items, size_t n, size_t *count, bool *owes_wake);
	int (*get)(void *state, void *items, size_t n, size_t *count, bool *owes_wake);
	/* NULL, or a put (get) of one item, with the owed wake. False: `put` (`get`) says why. */
	bool (*put_one)(struct fl_queue *q, const void *item);
	bool (*get_one)(struct fl_queue *q, void *item);
	/*
	 * While the queue is closed, or no longer used: takes as many items as it can at once. For
	 * each, in the order of gets, calls fl__queue_drop() on the item in place. Returns as get
	 * does.
	 */
	int (*discard)(struct fl_queue *q, size_t *count, bool *owes_wake);

	/* What a get (FL__CONSUMERS), or a put, would return; -EPIPE of a put: closed. */
	int (*can)(void *state, enum fl__queue_side side);

	/*
	 * NULL, or a cheaper `can` without a lock, for a caller that spins: whether `can` may
	 * return something else than -EAGAIN. May be out of date, but not for ever.
	 */
	bool (*may_be_ready)(void *state, enum fl__queue_side side);

	/*
	 * Called by a context that is about to sleep, in a transaction of the parking lot. Sets the
	 * mark of `side`, waiting consumers (producers): true, if at that moment there is no item
	 * (no space), no put (no get) is in progress, and the queue is open. The next put (get)
	 * clears the mark and owes a wake.
	 */
	bool (*mark)(void *state, enum fl__queue_side side);
	/*
	 * Only of the rendezvous, which has no marks; else NULL. Enqueues `node`, which is an
	 * observer, or a struct fl__offer with all offers that its `same_step` links. False: there
	 * may be a partner, or the queue is closed. A call that meets an offer makes the offer's
	 * call, gives its node the value FL__HANDED_OFF, and takes its context out of `inside`.
	 */
	bool (*enqueue)(struct fl_queue *q, enum fl__queue_side side, struct fl__node *node);

	void (*close)(void *state);
	size_t (*length)(void *state);
	uint64_t (*puts)(void *state); /* items put so far */
	/* puts() counts puts in progress, which may still fail, but never too few. */
	bool puts_decrease;
};

/*
 * fl__backend_mpmc             bounded FIFO, lock-free: mpmc.c
 * fl__backend_spsc             the same for one producer and one consumer: queue_spsc.c
 * fl__backend_unbounded        unbounded FIFO, lock-free: mpmc_unbounded.c
 * fl__backend_rendezvous       holds no items: rendezvous.c
 * fl__backend_priority         LIFO or priority, bounded or not: queue_locked.c
 * fl__backend_overwrite        overwrites the oldest item when full: queue_locked.c
 */
extern const struct fl__queue_backend fl__backend_mpmc, fl__backend_spsc, fl__backend_unbounded, fl__backend_rendezvous,
    fl__backend_priority, fl__backend_overwrite;

struct fl_queue {
	/* For queue_of.h: the state, if the backend is this ring, else NULL. */
	struct fl_mpmc *mpmc;
	struct fl__queue_spsc *spsc;
	/* the backend's; may be NULL */
	bool (*put_one)(struct fl_queue *q, const void *item);
	bool (*get_one)(struct fl_queue *q, void *item);
	const struct fl__queue_backend *backend;
	size_t item_size, capacity;
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	uint64_t done;   /* items: see "Joining" in queue.c */
	uint32_t inside; /* contexts in or after a sleep on the queue */
	/* at creation: a forked child ignores the parent's `inside` */
	uint32_t forks;
	char wait_keys[6]; /* fl__queue_wait_key() */
	/* of fl_queue_get_stats(); a cache line, so that the state lies in its lines as before */
	alignas(max_align_t) size_t waits[2];
	size_t refusals;
	unsigned char apart[64 - sizeof(size_t)];
	alignas(max_align_t) unsigned char state[];
};

_Static_assert(offsetof(struct fl_queue, get_one) == offsetof(struct fl__queue_begin, get_one), "it begins so");
_Static_assert(offsetof(struct fl_queue, wait_keys) % 2 == 0, "or the keys of its wait queues are even addresses");

/*
 * The key of a wait queue in the parking lot: an odd address, since other objects' keys are
 * aligned. A late wake may use the key after the queue is freed: only another queue, which
 * tolerates a spurious wakeup, can have it.
 */
static inline const void *fl__queue_wait_key(const fl_queue *q, int side)
{
	return &q->wait_keys[2 * side + 1];
}

/* Called in a transaction in which a context enqueues itself to wait. */
static inline void fl__queue_count_wait(fl_queue *q, int side)
{
	fl__store_relaxed(&q->waits[side], q->waits[side] + 1); /* for statistics */
}

static inline struct fl_mpmc *fl__queue_as_mpmc(fl_queue *q)
{
	return (struct fl_mpmc *)(void *)q->state;
}

static inline struct fl__queue_spsc *fl__queue_as_spsc(fl_queue *q)
{
	return (struct fl__queue_spsc *)(void *)q->state;
}

static inline fl_queue *fl__queue_of_state(void *state)
{
	return FL__CONTAINER_OF(state, fl_queue, state);
}

/*
 * Called by a call that may wait. If there is no item (no space), pauses, so that the opposite side
 * gets some cache lines ahead; but only if several items have passed since the last pause.
 */
void fl__queue_spsc_back_off(struct fl__queue_spsc *q, enum fl__queue_side side);

/* A put or a get in a wait queue. At a rendezvous, the opposite side copies one item. */
struct fl__offer {
	struct fl__node node; /* first */
	const void *from;     /* of a put */
	void *to;             /* of a get */
	/* The next offer of the same select on this queue, of the same step; NULL: none. */
	struct fl__offer *same_step;
};

/* Values of a woken node: the waiter has the baton (queue.c); the waker made its call. */
enum { FL__BATON = 1, FL__HANDED_OFF };

/* Count the context in `inside`, from before its sleep to its last use of the queue. */
void fl__queue_enter(fl_queue *q);
void fl__queue_leave(fl_queue *q);

/*
 * Sets the mark of `side` and enqueues `node`; with `baton`, which the caller gives up, at the
 * front. False: there may be an item (space) by now, or the queue is closed.
 */
bool fl__queue_enqueue(fl_queue *q, enum fl__queue_side side, struct fl__node *node, bool baton);

/* Called by the baton's holder after its call. Touches the queue only for an enqueued waiter. */
void fl__queue_pass_baton(fl_queue *q, enum fl__queue_side side);

/* A put or a get that may wait. */
struct fl__queue_call {
	enum fl__queue_side side;
	const void *from; /* of a put */
	void *to;         /* of a get */
	size_t n, count;
};

/*
 * Pauses before a call that got -EBUSY is tried again. `round` counts from 0. Returns 0, or
 * -EOWNERDEAD: this is a forked child, and `q` is older. After so many rounds the other call is one
 * of the parent's, which never ends here. (A call of another thread of the child may have been
 * stopped so long: then the error is wrong, and does no harm.)
 */
FL_MUST_CHECK int fl__queue_pause(const fl_queue *q, unsigned round);

/* Calls the backend until the result is not -EBUSY. Makes the owed wake. */
int fl__queue_call_now(fl_queue *q, struct fl__queue_call *call);

/* Calls the user's `drop` (may be NULL) on an item, and counts the item as done. */
void fl__queue_drop(fl_queue *q, void *item);

/* puts() has decreased: wakes the joiners if all items are done. */
void fl__queue_recheck_join(fl_queue *q);

#endif
