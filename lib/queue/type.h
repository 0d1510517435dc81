/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_TYPE_H
#define FL_QUEUE_TYPE_H

#include <fairlead/queue.h>

/*
 * What holds the items of a queue: one table of operations for each kind, which never wait. All that blocks is above
 * (queue.c, side.c). Any thread calls any of them at any time, but for init and fini.
 */
enum fl__queue_side { FL__GETTERS, FL__PUTTERS }; /* who sleeps: for items, for space */
struct fl__node;

struct fl__queue_type {
	size_t size; /* of its state, which stands behind the struct fl_queue, as aligned as malloc makes it */

	/* 0, -EINVAL, -EOVERFLOW, -ENOMEM. `config` has been checked, and its capacity is not 0. */
	int (*init)(void *state, size_t item_size, const fl_queue_config *config);
	void (*fini)(void *state);

	/*
	 * Put and get up to `n` items, at least 1: 0, with how many in `*count`; -EAGAIN (full, empty); -EBUSY: another call is in the
	 * middle of what this one needs, and needs only to run on; -EPIPE (closed; closed and empty); a put also -ENOMEM. Whatever
	 * the result, `*owes_wake` is set where the mark of sleepers was taken off.
	 */
	int (*put)(void *state, const void *items, size_t n, size_t *count, bool *owes_wake);
	int (*get)(void *state, void *items, size_t n, size_t *count, bool *owes_wake);
	/*
	 * Of a queue that is closed, or that nobody uses: takes items, as many as it can at once, calls `drop` (which may be NULL) where
	 * each lies, in the order in which they would be got, and after each fl__queue_done(). Results as of get.
	 */
	int (*discard)(struct fl_queue *q, size_t *count, bool *owes_wake);

	/* What a get, and a put, would return. */
	int (*can[2])(void *state);

	/*
	 * NULL, or for who looks again and again before it sleeps, instead of the above: whether that may be another result than -EAGAIN,
	 * found out without keeping anybody else from anything. The answer may be out of date, but not for ever.
	 */
	bool (*seems[2])(void *state);

	/*
	 * For who is about to sleep, with the lot open: marks that a getter (a putter) sleeps, if there is no item (no space)
	 * at that moment, nobody is in the middle of a put (a get), and it is not closed; returns whether it is marked. The next
	 * put (get) takes the mark off and owes a wake.
	 */
	bool (*mark[2])(void *state);
	/*
	 * NULL, but for what holds nothing, so that a get has its item from a put that waits, and a put leaves it to a get: instead of
	 * a mark. Has `node` stand in line, that of a struct fl__offer with all that are with it, or an observer; false: there may be
	 * somebody to meet, or it is closed. Whoever meets an offer makes its call for it: its node gets FL__HANDED_OVER, and it
	 * counts no more among those inside.
	 */
	bool (*line_up)(struct fl_queue *q, enum fl__queue_side side, struct fl__node *node);

	void (*close)(void *state);
	bool (*is_closed)(void *state);
	size_t (*length)(void *state);
	size_t (*capacity)(const void *state);
	uint64_t (*puts)(void *state); /* how many items were put so far */
	bool puts_shrink; /* they count some that are being put, and may come to nothing; never less than were put */
};

/* Bounded: FIFO, without locks; LIFO and by priority, which may also be without bounds, under one; the last that were put, under one. */
extern const struct fl__queue_type fl__queue_ring, fl__queue_heap, fl__queue_window;
/* FIFO, for one producer and one consumer. */
extern const struct fl__queue_type fl__queue_pair;
/* Without room; FIFO without bounds, and without locks; the same for one consumer. */
extern const struct fl__queue_type fl__queue_rendezvous, fl__queue_unbounded, fl__queue_inbox;

#endif
