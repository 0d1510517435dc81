/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_QUEUE_H
#define FL_QUEUE_QUEUE_H

#include "../base/list.h"
#include "../wait/lot.h"
#include "mpmc.h"
#include <fairlead/private/queue_spsc.h>
#include <fairlead/queue.h>
#include <stdalign.h>

/*
 * The blocking queue consists of a backend, which holds the items, and queue.c, which waits. The
 * operations of a backend wait neither for items nor for space. Some of them wait for a lock or for
 * a call in progress, as the file of each backend says.
 *
 * Consumers wait for items, and producers for space. Each side has its wait queue. Joiners have a
 * third one.
 */
enum fl__queue_side { FL__CONSUMERS, FL__PRODUCERS };
enum { FL__JOINERS = FL__PRODUCERS + 1 };

/*
 * The operations of a backend. Except init and fini, any thread may call them at any time, unless
 * `one_producer` or `one_consumer` forbids it. `state` is the memory at the end of struct fl_queue.
 */
struct fl__queue_backend {
	size_t size; /* bytes of the state, which is aligned as by malloc() */

	/*
	 * Returns 0, -EINVAL, -EOVERFLOW or -ENOMEM. The caller has checked `config`, and its
	 * capacity is not 0.
	 */
	int (*init)(void *state, size_t item_size, const fl_queue_config *config);
	void (*fini)(void *state);

	/*
	 * Put or get up to `n` items, where `n` is at least 1. If a call clears a mark, it sets
	 * `*owes_wake`, whatever its result.
	 *
	 *   0        the call has put or got `*count` items
	 *   -EAGAIN  the queue is full (put) or empty (get)
	 *   -EBUSY   another call is in the middle of what this call needs: try again
	 *   -EPIPE   the queue is closed (put), or closed and empty (get)
	 *   -ENOMEM  a put is out of memory
	 *
	 * If the queue is never full, because it is unbounded or overwrites, a put that returns
	 * -EPIPE or -ENOMEM may have put `*count` items before.
	 */
	int (*put)(void *state, const void *items, size_t n, size_t *count, bool *owes_wake);
	int (*get)(void *state, void *items, size_t n, size_t *count, bool *owes_wake);
	/*
	 * A quick put (get) of one item, which also makes the wake that it owes. Returns false if
	 * it has put (got) nothing; then the caller calls `put` (`get`) for the result. NULL if
	 * there is no quicker way than `put` (`get`).
	 */
	bool (*put_one)(struct fl_queue *q, const void *item);
	bool (*get_one)(struct fl_queue *q, void *item);
	/*
	 * Called when the queue is closed or no longer used. Removes as many items as it can at
	 * once, and calls fl__queue_drop() on each of them in place, in the order of gets. Returns
	 * what a get returns.
	 */
	int (*discard)(struct fl_queue *q, size_t *count, bool *owes_wake);

	/* Returns what a get (FL__CONSUMERS) or a put (FL__PRODUCERS) would return now. */
	int (*can)(void *state, enum fl__queue_side side);

	/*
	 * Returns, without a lock, whether `can` may return something other than -EAGAIN. For a
	 * caller that spins. The answer may be out of date, but not forever. NULL if `can` is as
	 * cheap.
	 */
	bool (*may_be_ready)(void *state, enum fl__queue_side side);

	/*
	 * Called by a context that is about to sleep, in a transaction of the parking lot. If at
	 * that moment there is no item (no space), no put (no get) is in progress, and the queue is
	 * open, sets the mark "a context of `side` waits" and returns true. The next put (get)
	 * clears the mark and owes a wake. Otherwise returns false.
	 */
	bool (*mark)(void *state, enum fl__queue_side side);
	/*
	 * Only the rendezvous implements this function, instead of marks. In the other backends it
	 * is NULL. Enqueues `node`, which is an observer or part of a struct fl__offer. With an
	 * offer, it also enqueues all offers that `same_step` links. Returns false if there may be
	 * a partner or the queue is closed.
	 *
	 * A call that meets an offer makes the offer's call, gives the offer's node the value
	 * FL__HANDED_OFF, and removes the offer's context from `inside`.
	 */
	bool (*enqueue)(struct fl_queue *q, enum fl__queue_side side, struct fl__node *node);

	void (*close)(void *state);
	size_t (*length)(void *state);
	uint64_t (*puts)(void *state); /* returns how many items were put so far */
	/*
	 * Whether puts() also counts puts in progress, which may still fail. Then its result may be
	 * too large for a time, and decreases later. It is never too small.
	 */
	bool puts_decrease;
};

/*
 * fl__backend_mpmc             bounded FIFO, lock-free: mpmc.c
 * fl__backend_spsc             bounded FIFO for one producer and one consumer: queue_spsc.c
 * fl__backend_unbounded        unbounded FIFO, lock-free: mpmc_unbounded.c
 * fl__backend_rendezvous       holds no items: rendezvous.c
 * fl__backend_priority         LIFO or priority, bounded or not: queue_locked.c
 * fl__backend_overwrite        overwrites the oldest item when full: queue_locked.c
 */
extern const struct fl__queue_backend fl__backend_mpmc, fl__backend_spsc, fl__backend_unbounded, fl__backend_rendezvous,
    fl__backend_priority, fl__backend_overwrite;

struct fl_queue {
	/*
	 * For queue_of.h: if the backend is one of these two rings, the pointer of that ring points
	 * to the state. Otherwise both pointers are NULL.
	 */
	struct fl_mpmc *mpmc;
	struct fl__queue_spsc *spsc;
	/* copies of the backend's members, which may be NULL */
	bool (*put_one)(struct fl_queue *q, const void *item);
	bool (*get_one)(struct fl_queue *q, void *item);
	const struct fl__queue_backend *backend;
	size_t item_size, capacity;
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	FL__WORD64 uint64_t done; /* items that are done: "Joining" in queue.c */
	/*
	 * how many contexts sleep in a put, a get or a select, or are returning from such a sleep
	 */
	uint32_t inside;
	/*
	 * The figures of fl_queue_stats(). `apart` keeps them out of the state's first cache line,
	 * wherever malloc() has put the struct.
	 */
	alignas(max_align_t) size_t waits[2];
	size_t refusals;
	unsigned char apart[64 - sizeof(size_t)];
	alignas(max_align_t) unsigned char state[];
};

_Static_assert(offsetof(struct fl_queue, get_one) == offsetof(struct fl__queue_begin, get_one), "it begins so");

/*
 * Returns the key of a wait queue in the parking lot. A late wake may use the key after the queue
 * is freed. By then only another queue can have the same key (fl__lot_key()), and the calls of a
 * queue tolerate spurious wakeups.
 */
static inline const void *fl__queue_wait_key(const fl_queue *q, int side)
{
	return fl__lot_key(q, 4 * side + FL__KEY_OF_QUEUE);
}

/* Called in a transaction in which a context enqueues itself to wait. */
static inline void fl__queue_count_wait(fl_queue *q, int side)
{
	/* relaxed: a figure, written only in a transaction */
	fl__store_relaxed(&q->waits[side], q->waits[side] + 1);
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
 * Called by a get (a put) that may wait. Pauses if there is no item (no space) and several items
 * have passed since a call of this side last found none, so that the opposite side gets some cache
 * lines ahead.
 */
void fl__queue_spsc_back_off(struct fl__queue_spsc *q, enum fl__queue_side side);

/* A put or a get in a wait queue. At a rendezvous, the opposite side copies its one item. */
struct fl__offer {
	struct fl__node node; /* the first member: rendezvous_offer() */
	const void *from;     /* of a put, or NULL */
	void *to;             /* of a get, or NULL */
	/* The next offer of the same select on this queue, enqueued in the same step, or NULL. */
	struct fl__offer *same_step;
};

/*
 * Values of a node that was woken. FL__BATON: the waiter holds the baton ("How calls wait" in
 * queue.c). FL__HANDED_OFF: the waking thread has made the waiter's call.
 */
enum { FL__BATON = 1, FL__HANDED_OFF };

/*
 * Count the calling context in `inside`. It enters before its sleep, and leaves when it no longer
 * uses the queue or is about to make a call after which the queue may be freed.
 */
void fl__queue_enter(fl_queue *q);
void fl__queue_leave(fl_queue *q);

/*
 * Sets the mark of `side`, enqueues `node`, and returns true. If there may be an item (space) by
 * now or the queue is closed, does nothing and returns false. With `baton`, enqueues `node` at the
 * front, and the caller gives up the baton.
 */
bool fl__queue_enqueue(fl_queue *q, enum fl__queue_side side, struct fl__node *node, bool baton);

/*
 * Called by the holder of the baton after its call. Touches the queue only if a waiter is enqueued,
 * because only such a waiter keeps the queue alive.
 */
void fl__queue_pass_baton(fl_queue *q, enum fl__queue_side side);

/* A put or a get that may wait. */
struct fl__queue_call {
	enum fl__queue_side side;
	const void *from; /* of a put, or NULL */
	void *to;         /* of a get, or NULL */
	size_t n, count;  /* how many items the caller wants; how many were put or got */
};

/* Pauses before a call that got -EBUSY is tried again. `round` counts the pauses from 0. */
void fl__queue_pause(unsigned round);

/* Calls the backend until the result is not -EBUSY. Makes the wake that the call owes. */
int fl__queue_call_now(fl_queue *q, struct fl__queue_call *call);

/* Calls the user's `drop`, if there is one, on an item, and counts the item as done. */
void fl__queue_drop(fl_queue *q, void *item);

/*
 * Called after an item was counted as done, or after puts() has decreased. Wakes the joiners if all
 * items are done.
 */
void fl__queue_recheck_join(fl_queue *q);

#endif
