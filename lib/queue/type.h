/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_TYPE_H
#define FL_QUEUE_TYPE_H

#include <fairlead/queue.h>

/*
 * The backends of a queue, which hold its items: one table of operations for each kind. No
 * operation waits; queue.c and side.c add the blocking. Any thread calls any operation at any time,
 * except init and fini.
 */
enum fl__queue_side { FL__CONSUMERS, FL__PRODUCERS }; /* waiting for an item, for space */
struct fl__node;

struct fl__queue_backend {
	/* Bytes of the backend's state, which follows struct fl_queue, aligned as by malloc(). */
	size_t size;

	/*
	 * Returns 0, -EINVAL, -EOVERFLOW, or -ENOMEM. `config` is valid, and its capacity is not 0.
	 */
	int (*init)(void *state, size_t item_size, const fl_queue_config *config);
	void (*fini)(void *state);

	/*
	 * Put and get up to `n` items, at least 1. With any result, `*owes_wake` is set if the call
	 * has cleared a mark. Results:
	 *
	 *   0         done, with `*count` items
	 *   -EAGAIN   full (put), empty (get)
	 *   -EBUSY    another call is in the middle of what this call needs, and only has to go on
	 *   -EPIPE    closed (put), closed and empty (get)
	 *   -ENOMEM   out of memory (put only)
	 */
	int (*put)(void *state, const void *items, size_t n, size_t *count, bool *owes_wake);
	int (*get)(void *state, void *items, size_t n, size_t *count, bool *owes_wake);
	/*
	 * Called while the queue is closed, or no longer used. Takes as many items as it can at
	 * once. For each, in the order of gets, calls `drop` (may be NULL) on the item in place,
	 * then fl__queue_done(). Returns as get does.
	 */
	int (*discard)(struct fl_queue *q, size_t *count, bool *owes_wake);

	/* Return what a get, and a put, would return. */
	int (*can[2])(void *state);

	/*
	 * NULL, or a cheaper `can` for a caller that spins before it sleeps. Disturbs no other
	 * call. Returns true if `can` may return something else than -EAGAIN. The answer may be out
	 * of date, but not for ever.
	 */
	bool (*may_be_ready[2])(void *state);

	/*
	 * Called by a context that is about to sleep, inside a transaction of the wait table. Sets
	 * the mark for waiting consumers (producers) and returns true, if at that moment there is
	 * no item (no space), no put (no get) is in progress, and the queue is open. The next put
	 * (get) clears the mark and owes a wake.
	 */
	bool (*mark[2])(void *state);
	/*
	 * NULL, except for the rendezvous, which has it instead of marks: a get takes its item from
	 * a waiting put, and a put gives its item to a waiting get. Enqueues `node`: an observer,
	 * or a struct fl__offer with all offers that it links by `with`. Returns false if there may
	 * be a partner to meet, or the queue is closed. A call that meets an offer makes the
	 * offer's call, gives its node the value FL__HANDED_OFF, and takes its context out of
	 * `inside`.
	 */
	bool (*enqueue)(struct fl_queue *q, enum fl__queue_side side, struct fl__node *node);

	void (*close)(void *state);
	bool (*is_closed)(void *state);
	size_t (*length)(void *state);
	size_t (*capacity)(const void *state);
	uint64_t (*puts)(void *state); /* how many items were put so far */
	/*
	 * puts() counts puts in progress that may still fail. It is never less than the items that
	 * were put.
	 */
	bool puts_decrease;
};

/*
 * fl__backend_mpmc: bounded FIFO, lock-free. fl__backend_priority: LIFO or priority, bounded or not, under
 * a lock. fl__backend_overwrite: the last items that were put, under a lock.
 */
extern const struct fl__queue_backend fl__backend_mpmc, fl__backend_priority, fl__backend_overwrite;
/* Bounded FIFO for one producer and one consumer. */
extern const struct fl__queue_backend fl__backend_spsc;
/*
 * fl__backend_rendezvous: holds nothing. fl__backend_unbounded: unbounded FIFO, lock-free.
 * fl__backend_unbounded_mpsc: the same for one consumer.
 */
extern const struct fl__queue_backend fl__backend_rendezvous, fl__backend_unbounded, fl__backend_unbounded_mpsc;

#endif
