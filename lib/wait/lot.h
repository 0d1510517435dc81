/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_LOT_H
#define FL_WAIT_LOT_H

#include "context.h"
#include <fairlead/cancel.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The lot: where every wait on a private word stands in line. lot.c has its invariants. A primitive's slow path is a
 * transaction on the line of its address: between open and close it changes its own words, adds itself, or takes waiters
 * out, and nobody sees a state between.
 *
 *     fl__lot_open(&lot, s);                          // the waiter
 *     if (permit is free) { take it; fl__lot_close(&lot); return 0; }
 *     say in the word that somebody waits
 *     fl__lot_add(&lot, &node);
 *     fl__lot_close(&lot);
 *     rc = fl__wait_sleep(&wait, deadline, cancel);
 *     if (rc != 0)
 *             fl__lot_leave(&node);
 *
 *     fl__lot_open(&lot, s);                          // the waker
 *     n = fl__lot_take(&lot, 1, 0);
 *     publish the new word                            // the last touch of the object
 *     fl__lot_close(&lot);                            // wakes who was taken
 */

/* One blocking operation of one context; lives in its stack frame. */
struct fl__wait {
	struct fl__ctx *ctx;
	uintptr_t
	    decision; /* FL__PENDING, FL__GAVE_UP, FL__CANCELLED, or the struct fl__node * that was woken: see lot.c */
	uint32_t park_word; /* the parker's: of the wait, not of the context, since waits may nest */
	bool patient;       /* it will be long: to sleep at once, without a spin */
	int waker_cpu;      /* the thread parker's: of the thread that unparked it asleep; negative: unknown */
};

#define FL__PENDING ((uintptr_t)0)
#define FL__GAVE_UP ((uintptr_t)1)
#define FL__CANCELLED ((uintptr_t)2)

struct fl__lot;

/* Its place in one line. Guarded by the bucket's lock while it is queued. */
struct fl__node {
	struct fl__node *next, *prev;   /* the line: a ring in FIFO order */
	struct fl__node *above, *below; /* the first of each line of the bucket */
	struct fl__node *then;          /* whoever is unparked next: see struct fl__lot */
	const void *key;
	struct fl__wait *wait;
	/* NULL; or, of primitives that are released in signal handlers, what serves their lines: fl__lot_serve_in_handler() */
	void (*serve)(struct fl__lot *lot);
	uint32_t
	    value; /* until it is taken: of what kind it is, 0 unless its primitive has kinds; then: from whoever took it */
	bool queued;      /* in a line */
	bool first;       /* the first of its line */
	bool wants_mutex; /* part of an fl__mutex_node (lib/sync/mutex.h): says so to an unlock that comes late */
	bool observer;    /* waits for readiness alone: is woken with whoever is, and counts for nothing */
};

struct fl__bucket;

/* A transaction; lives in the stack frame of whoever opened it. */
struct fl__lot {
	struct fl__bucket *bucket;
	const void *key;
	struct fl__node *taken, *taken_last; /* to be unparked at close */
};

#define FL__ALL SIZE_MAX

/* Locks the line of `key`. Until close: no other lot call, nothing that waits, no callback. */
void fl__lot_open(struct fl__lot *lot, const void *key);

/* Adds `node`, whose wait and observer are set (FL__NODE), at the end of the line. */
void fl__lot_add(struct fl__lot *lot, struct fl__node *node);
#define FL__NODE(w) ((struct fl__node){.wait = (w)})

/* Takes up to `max` waiters, oldest first, that have not given up; each gets `value`. Returns how many, observers apart. */
size_t fl__lot_take(struct fl__lot *lot, size_t max, uint32_t value);

/* The same with the first alone, who is there; false when it had given up, or observes. It has left the line in any case. */
bool fl__lot_take_first(struct fl__lot *lot, uint32_t value);

/* Whether anybody is left in the line; and who is the first there, NULL for nobody. */
bool fl__lot_more(const struct fl__lot *lot);
struct fl__node *fl__lot_first(const struct fl__lot *lot);

/*
 * For primitives that choose: the one behind `node`, or NULL; adds `node` before `place`, NULL
 * being the end; takes the one `node`: false when it had given up, and is out of the line all the same.
 */
struct fl__node *fl__lot_behind(const struct fl__node *node);
void fl__lot_insert(struct fl__lot *lot, struct fl__node *node, struct fl__node *place);
bool fl__lot_take_this(struct fl__lot *lot, struct fl__node *node, uint32_t value);

/*
 * The first in line, woken without being taken out, by this call or one before: it stays the first until it leaves by
 * fl__lot_remove(), or begins another wait there, under the open lot. Who has given up is taken out. NULL: nobody is left.
 */
struct fl__node *fl__lot_rouse(struct fl__lot *lot);

/* The same with the first alone, who is there: false when it had given up, and is out of the line. */
bool fl__lot_rouse_first(struct fl__lot *lot);

/* Takes `node` out of the line if it is still in it. */
void fl__lot_remove(struct fl__lot *lot, struct fl__node *node);

/*
 * A transaction on two lines at once: opens that of `to_key`, too. False: `from` was shut for a moment, so all that was known of
 * its line has to be looked at anew. fl__lot_move() takes the first of `from` that has not given up to the end of `to`, asleep as
 * it is: false when there is none. fl__lot_shut_also() ends it, with `from` still open; who was roused in `to` is unparked when
 * `from` is closed.
 */
bool fl__lot_open_also(struct fl__lot *from, struct fl__lot *to, const void *to_key);
bool fl__lot_move(struct fl__lot *from, struct fl__lot *to);
void fl__lot_shut_also(struct fl__lot *from, struct fl__lot *to);

/* Opens the line in which `node` stands, or stood at last: it may have been moved. Returns its key. */
const void *fl__lot_open_of(struct fl__lot *lot, const struct fl__node *node);

/* Unlocks the line, then unparks who was taken. Touches nothing of the object. */
void fl__lot_close(struct fl__lot *lot);

/*
 * The same in two steps, for transactions on several lines one after the other: shut, open the next with fl__lot_next(),
 * which keeps who was taken, ..., and at last unpark them all.
 */
void fl__lot_shut(struct fl__lot *lot);
void fl__lot_next(struct fl__lot *lot, const void *key);
void fl__lot_unpark(struct fl__lot *lot);

/*
 * For a signal handler, which may have interrupted a transaction of its thread: calls `serve` of the first node of each line in
 * the bucket of `key` that has one, with that line open, now; or has it called by whoever holds the bucket, before he lets go
 * of it. The object is there as long as somebody stands in its line, so it may be gone when this is called. Never waits.
 */
void fl__lot_serve_in_handler(const void *key);

/* Begins a wait of the calling context. */
void fl__wait_begin(struct fl__wait *wait);

/*
 * Looks at a word of the object for a bounded time, before the wait stands in line: whoever makes it ready meanwhile need not
 * visit the lot. True when a look was one. Threads alone do so, with time left and no request to cancel; and when it was in
 * vain, the wait parks without a spin.
 */
bool fl__wait_look(struct fl__wait *wait, bool (*look)(const void *what), const void *what, int64_t deadline,
                   fl_cancel *cancel);

/*
 * Parks until one of the wait's places is taken: 0; -ETIMEDOUT, -ECANCELED when none was. A deadline in the past does not
 * park. `cancel`: NULL is the context's scope, FL_SHIELDED none.
 */
int fl__wait_sleep(struct fl__wait *wait, int64_t deadline, fl_cancel *cancel);

/*
 * Wakes the wait of a node that stands in no line, for things that have one waiter: true; false when it had given up. Whoever
 * calls and whoever waits see to it that the node is there meanwhile.
 */
bool fl__node_wake(struct fl__node *node);

/* Leaves the line for good; needed after every sleep whose result was not this node. */
void fl__lot_leave(struct fl__node *node);

/* Whether anybody stands in the line of `key`: for destroy. */
bool fl__lot_waited(const void *key);

/*
 * Calls `visit` for everybody who stands in a line. Takes no lock: for a laboratory that has stopped all threads, and for the
 * report on a process that hangs, where a wrong answer is better than none.
 */
void fl__lot_visit(void (*visit)(const void *key, const uint32_t *park_word, const char *name, void *arg), void *arg);

/*
 * The same for the report of a live process, from a signal handler, too: copies up to `max` of those who stand in the lines of bucket
 * `i`, from the `skip`-th on. Returns how many; -EBUSY: the bucket was locked, which is not waited for; -ENOENT: there is no such bucket.
 */
struct fl__lot_seen {
	const void *key;
	uint64_t id;
	char name[32];
};
int fl__lot_peek(size_t i, size_t skip, struct fl__lot_seen *seen, int max);

/* In the child of a fork: every waiter belonged to a thread that is not there. */
void fl__lot_forget(void);

/*
 * A wait for a word to become ready: (*word & mask) == value. While somebody waits the word has its `waiters` bit, and
 * whoever makes such a word ready does so under the lot, with fl__lot_take(..., FL__ALL, ...) in the same transaction.
 */
struct fl__word {
	uint32_t mask, value; /* of a ready word */
	uint32_t waiters;
	bool of_future; /* the word is the first member of one: fl__ctx_block() around the sleep */
};

/*
 * Blocks until the word is ready: 0, -ETIMEDOUT, -ECANCELED. Who is woken was waiting when the word became ready; it may
 * have changed again. Acquires.
 */
int fl__word_wait(uint32_t *word, const struct fl__word *ready, int64_t deadline, fl_cancel *cancel);

/* For arm() of fl_wait_any: adds `node` and returns true, unless the word is ready. */
bool fl__word_arm(uint32_t *word, const struct fl__word *ready, struct fl__node *node);

/* The disarm() of everything whose arm() adds the node to a line and nothing else. */
void fl__node_disarm(void *object, struct fl__node *node);

#endif
