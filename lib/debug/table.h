/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_TABLE_H
#define FL_DEBUG_TABLE_H

#include "../wait/context.h"
#include "debug.h"

/*
 * What is known while debugging is on: of contexts, of what they hold, of the order of locks, of the places that lock. All of it is
 * guarded by one lock, fl__debug_enter() to fl__debug_leave(), and lives in cells of one size from one pool. Nothing is
 * allocated and nothing called under that lock: the user's allocator may use locks of ours, and so may the log handler.
 */
enum { FL__DEBUG_NAME = 32 };

/* An acquisition that has not been undone. */
struct fl__held {
	struct fl__held *next;         /* of the locks of one bucket */
	struct fl__held *next_of_mine; /* of its holder; the youngest first */
	struct fl__holder *holder;
	struct fl__site *site; /* contention; NULL: not measured */
	const void *lock;
	int64_t since; /* contention */
	uint32_t weight;
	uint8_t kind, how;
	struct fl__stack_trace stack;
};

/* A context that holds something or waits. */
struct fl__holder {
	struct fl__holder *next; /* of its bucket */
	uint64_t id;             /* the context's */
	char name[FL__DEBUG_NAME];
	struct fl__held *held;
	unsigned n_held;
	/*
	 * What it waits for: a lock or something else of that kind; or, `joins` not 0, a context;
	 * or, `asleep`, anything.
	 */
	const void *lock;
	const void *cond; /* before `lock`, its mutex; NULL: none */
	/*
	 * With `cond`: the key of the waiter's node, which is `lock` once the condition was
	 * signalled; and fl__fork_count then.
	 */
	const void *const *key;
	uint32_t forks;
	uint64_t joins;
	bool asleep;
	uint8_t kind, how;
	int64_t since;
	struct fl__stack_trace stack; /* where it waits */
	/* A walk along who waits for whom (waits.c). */
	uint64_t walk;
	struct fl__holder *from, *then;
	struct fl__held *by;
};

/* One lock in the order of locks, and an edge (order.c). */
struct fl__order_edge {
	struct fl__order_edge *next; /* of its bucket */
	struct fl__order_edge *next_out, **prev_out, *next_in, **prev_in;
	struct fl__order_node *from, *to;
	uint8_t held, wanted; /* FL__DEBUG_READ or 0 */
	char name[FL__DEBUG_NAME];
	uint64_t id;
	struct fl__stack_trace held_at, wanted_at;
};

struct fl__order_node {
	struct fl__order_node *next; /* of its bucket */
	const void *lock;
	struct fl__order_edge *out, *in;
	uint8_t kind;
	bool written; /* somebody wants it alone: readers wait behind that one */
	/* A search: as reached by an edge that wants it alone, and by one that wants to read. */
	uint64_t search[2];
	struct fl__order_edge *by[2];
	uint8_t by_mode[2];
	struct fl__order_node *then[2];
	uint8_t then_mode[2];
};

enum { FL__SITE_FRAMES = 12 };

/* A place that locks, or waits, and for what kind of thing (contention.c). */
struct fl__site {
	struct fl__site *next; /* of its bucket */
	uintptr_t at[FL__SITE_FRAMES];
	uint8_t kind;
	uint64_t times, waits; /* the first is an estimate */
	int64_t waited, waited_most, held, held_most;
};

union fl__cell {
	union fl__cell *next_free;
	struct fl__held held;
	struct fl__holder holder;
	struct fl__order_edge edge;
	struct fl__order_node node;
	struct fl__site site;
};

/*
 * Locks the table, with `cells` free ones in the pool, and marks the current context as being here, so that what it calls from here
 * is not recorded: true. False, and nothing locked: it is marked already, debugging has been switched off, or there is no memory,
 * for which debugging is switched off.
 */
bool fl__debug_enter(size_t cells);
void fl__debug_leave(void);

/* Unlocks the table; the context stays marked, to report. Ends with fl__debug_done(). */
void fl__debug_unlock(void);
void fl__debug_relock(void);
void fl__debug_done(void);

/* For a signal handler, which may have interrupted whoever holds it: after some attempts, false. */
bool fl__debug_try_enter(void);
void fl__debug_try_leave(void);

/* A zeroed cell, one of those that enter() has seen to; and back. */
void *fl__cell_take(void);
void fl__cell_give(void *cell);

/* The first whose hash is that of `key` (no more than that). */
enum { FL__DEBUG_BUCKETS = 4096 };
size_t fl__debug_bucket(uintptr_t key);

/* The context of that id; NULL: it neither holds nor waits. */
struct fl__holder *fl__holder_find(uint64_t id);

/* The current context's; made, from one cell, where there is none. */
struct fl__holder *fl__holder_mine(void);

/* Forgets it if it neither holds nor waits. */
void fl__holder_settle(struct fl__holder *h);

/* The n-th holder of bucket `i`, for those who look at all of them; NULL: there are no more. */
struct fl__holder *fl__holder_nth(size_t i, size_t n);

/* Whether anybody may be known to hold `lock`: for whoever unlocks it, outside of the table. */
bool fl__held_is_known(const void *lock);

/* Who holds `lock`: the next after `last`, NULL for the first. */
struct fl__held *fl__held_next(const void *lock, const struct fl__held *last);
struct fl__held *fl__held_add(struct fl__holder *h, const struct fl__debug_op *op);
void fl__held_remove(struct fl__held *held);

/* Forgets all: by whoever has switched debugging off. */
void fl__table_forget(void);

/* fl_debug_enable() (debug.c): what was on before. */
unsigned fl__debug_switch(unsigned modes);

/* As fl__table_forget(), for the parts. Under the table's lock. */
void fl__order_forget(void);
void fl__contention_forget(void);

#endif
