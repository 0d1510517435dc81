/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "backtrace.h"
#include "core/hooks.h"
#include "core/wait/context.h"

/*
 * The records of contexts, held locks, the lock order, and sites. One lock guards all, from
 * fl__debug_enter() to fl__debug_leave(). A record is a slot of a pool of equal slots. Under the
 * table's lock the log handler is not called.
 *
 * All memory of debugging comes from fl__sys.map(), never from the user's allocator: the hooks run
 * with the locks of their caller held, and one of these may be the lock of the allocator.
 */
enum { FL__DEBUG_NAME = 32 };

/* An acquisition that has not ended. */
struct fl__held {
	struct fl__held *next;                         /* in the bucket */
	struct fl__held *next_of_mine, **link_of_mine; /* of the holder, newest first */
	struct fl__holder *holder;
	struct fl__site *site; /* contention; NULL: not measured */
	const void *lock;
	int64_t since; /* contention */
	uint32_t weight;
	uint8_t kind, how;
	struct fl__backtrace stack;
};

/* A context that holds a lock or waits. */
struct fl__holder {
	struct fl__holder *next, **link; /* in the bucket */
	uint64_t id;                     /* the context's */
	char name[FL__DEBUG_NAME];
	struct fl__held *held;
	unsigned n_held;
	/*
	 * The context waits for `lock`, of kind `kind`; or for the context `joins`, if not 0; or,
	 * if `asleep`, as `awaited` says.
	 */
	const void *lock;
	const void *cond; /* waited for before `lock`, its mutex; NULL: none */
	/* With `cond`: the key of the waiter's node, which a signal sets to `lock`. */
	const void *const *key;
	uint32_t forks; /* fl__fork_count at the start of the wait */
	uint64_t joins;
	bool asleep;
	uint8_t kind, how;
	struct fl__awaited awaited; /* while `asleep`, as the next two */
	fl_time deadline;           /* without that of a token */
	int64_t since;
	struct fl__backtrace stack;  /* where it waits */
	char joined[FL__DEBUG_NAME]; /* the name of the context `joins` */
	/* For a search of the wait graph (waits.c). */
	uint64_t walk;
	struct fl__holder *from, *then;
	struct fl__held *by;
};

/*
 * What a context holds or wants: the object `lock`, or, with kind FL__DEBUG_JOIN, the end of the
 * context `id`, `name`. `how`: FL__DEBUG_READ or 0. `stack`: where.
 */
struct fl__report_end {
	const void *lock;
	uint64_t id;
	uint8_t kind, how;
	struct fl__backtrace stack;
	char name[FL__DEBUG_NAME];
};

/* A context that holds one object and wants the next. */
struct fl__report_step {
	char name[FL__DEBUG_NAME];
	uint64_t id;
	struct fl__report_end held, wanted;
};

/* An edge of the lock order (order.c). */
struct fl__order_edge {
	struct fl__order_edge *next, **link; /* in the bucket */
	struct fl__order_edge *next_out, **link_out, *next_in, **link_in;
	struct fl__order_node *from, *to;
	struct fl__report_step step;
	bool searched; /* since `from` was written */
	/* In a search: the edge before it on the way; the edge after it in the queue. */
	struct fl__order_edge *by, *then;
};

struct fl__order_node {
	struct fl__order_node *next, **link; /* in the bucket */
	const void *lock;
	struct fl__order_edge *out, *in;
	bool written;  /* a context has wanted exclusive use: readers wait behind writers */
	bool searched; /* as are all edges from here, since then */
	/* [0]: the last search that reached it for exclusive use, [FL__DEBUG_READ]: for reading. */
	uint64_t search[2];
};

enum { FL__SITE_FRAMES = 12 };

/* Where a context locks or waits, and the kind of the object (contention.c). */
struct fl__site {
	struct fl__site *next; /* in the bucket */
	uintptr_t at[FL__SITE_FRAMES];
	uint8_t kind;
	uint64_t times, waits; /* `times` is an estimate */
	struct fl__site_time {
		int64_t sum, most;
	} waited, held;
};

union fl__table_slot {
	union fl__table_slot *next_free;
	struct fl__held held;
	struct fl__holder holder;
	struct fl__order_edge edge;
	struct fl__order_node node;
	struct fl__site site;
};

/*
 * Locks the table with at least `slots` free slots. Calls of the current context are not recorded
 * until fl__debug_leave(). Returns false, with nothing locked, if they are not already, if
 * debugging is off, or without memory, which switches debugging off.
 */
bool fl__debug_enter(size_t slots);
void fl__debug_leave(void);

/* For a report, after fl__debug_unlock(): the context's calls are not recorded until this. */
void fl__debug_done(void);

/* For a signal handler, which may have interrupted the holder. False: after some tries. */
bool fl__debug_try_enter(void); /* fl__debug_unlock() ends it */

/* Takes a zeroed slot, counted in the argument of fl__debug_enter(); gives a slot back. */
void *fl__table_take_slot(void);
void fl__table_give_slot(void *slot);

/* The index of the bucket for `key`. */
enum { FL__DEBUG_BUCKETS = 4096 };
size_t fl__debug_bucket(uintptr_t key);

/*
 * The fiber that a loop's thread runs, at a place by the loop's address. If two loops have one
 * place, the loop that has switched last is there. Under the table's lock.
 */
extern struct fl__debug_run {
	int64_t since;  /* 0: none */
	uint32_t forks; /* fl__fork_count then */
	char fiber[FL__DEBUG_NAME];
} fl__debug_runs[FL__DEBUG_BUCKETS];

/* The record of context `id`; NULL: the context neither holds nor waits. */
struct fl__holder *fl__holder_find(uint64_t id);

/* The record of the current context. Makes one, from one slot, if there is none. */
struct fl__holder *fl__holder_mine(void);

/* Frees the record if its context neither holds nor waits. */
void fl__holder_settle(struct fl__holder *h);

/* The n-th context of bucket `i`; NULL: none. For loops over all contexts. */
struct fl__holder *fl__holder_nth(size_t i, size_t n);

/* Without the table's lock. */
bool fl__held_is_known(const void *lock);

/* The next record of `lock` after `last`, or the first if `last` is NULL. */
struct fl__held *fl__held_next(const void *lock, const struct fl__held *last);
struct fl__held *fl__held_add(struct fl__holder *h, const struct fl__hook_op *op);
void fl__held_remove(struct fl__held *held);

/* Clears the table. Called after debugging was switched off. */
void fl__table_forget(void);

/* Sets the modes (debug.c). Returns the modes before. */
unsigned fl__debug_switch(unsigned modes);

/*
 * Installs or removes one of the two handlers (debug.c). Does nothing if its signal is 0, or if the
 * program handles or ignores the signal. `who` stands in the warning that it cannot be caught.
 */
struct fl__handler;
void fl__debug_catch(struct fl__handler *h, bool wanted, const char *who);

/* A number in FL_DEBUG or FL_TRACE, up to the next comma. False: `text` begins with none up to `most`. */
bool fl__debug_parse_number(const char *text, unsigned long most, unsigned long *n);

/* executors.c: the lock of the table and of the list of all executors. */
void fl__debug_relock(void);
void fl__debug_unlock(void);

/* The n-th executor; NULL: none. Under that lock. */
struct fl_executor *fl__debug_executor_nth(size_t n);

/* Clear the lock order, and the sites. Under the table's lock. */
void fl__order_forget(void);
void fl__contention_forget(void);

/* order.c. An edge leads from a held lock to a wanted one. */

/* Reports the cycles that the edges of `op` close. Without the table's lock. */
void fl__order_locking(const struct fl__hook_op *op);

/* Removes a lock and its edges. Under the table's lock. */
void fl__order_drop(const void *lock);

/* waits.c: the wait graph. */

/* Reports a deadlock that the wait closes. Without the table's lock. */
void fl__waits_begin(const struct fl__hook_op *op);

/* Removes that record. Under the table's lock. */
void fl__waits_end(struct fl__holder *h);

/*
 * contention.c: where contexts wait, and how long. Of the acquisitions that do not wait, each thread
 * measures one in SAMPLED.
 */
enum { FL__CONTENTION_SAMPLED = 16 };

/* `held`: its record; NULL: the context gave up. Takes at most one slot. Under the table's lock. */
void fl__contention_locked(const struct fl__hook_op *op, struct fl__held *held, int64_t now);

/* Records the end of `held`, which has a site. Under the table's lock. */
void fl__contention_unlocking(const struct fl__held *held, int64_t now);
