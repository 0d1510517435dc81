/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "backtrace.h"
#include "core/hooks.h"
#include "core/wait/context.h"

/*
 * The table contains the records of contexts, held locks, the lock order, and sites. One lock
 * guards them all, from fl__debug_enter() to fl__debug_leave(). A record is a slot from a pool of
 * equal slots. The log handler is never called under the table's lock.
 *
 * All memory of debugging comes from fl__sys.map(), never from the user's allocator, because a hook
 * runs with its caller's locks held, and one of these may be the allocator's.
 */
enum { FL__DEBUG_NAME = 32 };

/* One acquisition of a lock that its holder has not released yet. */
struct fl__held {
	struct fl__held *next, **link;                 /* the list of the bucket */
	struct fl__held *next_of_mine, **link_of_mine; /* the list of the holder, newest first */
	struct fl__holder *holder;
	struct fl__site *site; /* for contention; NULL if it is not measured */
	const void *lock;
	int64_t since; /* for contention */
	uint32_t weight;
	uint8_t kind, how;
	/*
	 * Used in the lock's newest record. walk[0] is the last search that went from a waiter for
	 * exclusive use to all holders of the lock, and walk[FL__DEBUG_READ] the last one that did
	 * so from a waiter for reading (waits.c).
	 */
	uint64_t walk[2];
	struct fl__backtrace stack;
};

/* A context that holds a lock or waits. */
struct fl__holder {
	struct fl__holder *next, **link; /* the list of the bucket */
	uint64_t id;                     /* the context's id */
	char name[FL__DEBUG_NAME];
	struct fl__held *held;
	unsigned n_held;
	/*
	 * If `lock` is not NULL, the context waits for `lock`, whose kind is `kind`. If `joins` is
	 * not 0, it waits for the context `joins`. If `asleep` is true, it waits for `awaited`.
	 */
	const void *lock;
	/* NULL, or the condition variable that the context waits for with the mutex `lock` */
	const void *cond;
	/*
	 * Valid if `cond` is not NULL. The key of the waiter's node, which a signal sets to `lock`.
	 */
	const void *const *key;
	uint64_t joins;
	bool asleep;
	uint8_t kind, how;
	struct fl__awaited awaited; /* valid, like `deadline`, while `asleep` */
	fl_time deadline;           /* without a token's deadline */
	int64_t since;
	struct fl__backtrace stack;  /* where it waits */
	char joined[FL__DEBUG_NAME]; /* the name of the context `joins` */
	/* The list of the bucket of `lock`, if the context waits for exclusive use (waits.c). */
	struct fl__holder *next_writer, **link_writer;
	/* For a search in the wait graph (waits.c). */
	uint64_t walk;
	struct fl__holder *from, *then;
	struct fl__held *by;
};

/*
 * What a context holds or wants: the object `lock` or, if the kind is FL__DEBUG_JOIN, the end of
 * the context with this `id` and `name`. `how` is FL__DEBUG_READ or 0. `stack` says where.
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
	struct fl__order_edge *next, **link; /* the list of the bucket */
	struct fl__order_edge *next_out, **link_out, *next_in, **link_in;
	struct fl__order_node *from, *to;
	struct fl__report_step step;
	bool searched; /* true if it was searched after from->written was set */
	/*
	 * In a search, `by` is the previous edge on the path, and `then` the next in the search's
	 * queue.
	 */
	struct fl__order_edge *by, *then;
};

struct fl__order_node {
	struct fl__order_node *next, **link; /* the list of the bucket */
	const void *lock;
	struct fl__order_edge *out, *in;
	/* true if a context has wanted exclusive use, so that readers may wait behind writers */
	bool written;
	/* true if all edges from the node were searched after `written` was set */
	bool searched;
	/*
	 * search[0] is the last search that reached the node for exclusive use, and
	 * search[FL__DEBUG_READ] the last one for reading.
	 */
	uint64_t search[2];
};

enum { FL__SITE_FRAMES = 12 };

/* Where a context locks or waits, and the kind of the object (contention.c). */
struct fl__site {
	struct fl__site *next; /* the list of the bucket */
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
 * Locks the table with at least `slots` free slots. Until fl__debug_leave() the current context's
 * calls are not recorded. Returns false, without the lock, if the context is already between
 * fl__debug_enter() and fl__debug_leave(), if debugging is off, or if there is no memory. In the
 * last case it switches debugging off.
 */
bool fl__debug_enter(size_t slots);
void fl__debug_leave(void);

/*
 * Ends a report, after fl__debug_unlock(). From this call on, the context's calls are recorded
 * again.
 */
void fl__debug_done(void);

/* For a signal handler, which may have interrupted the holder. Gives up after some tries. */
bool fl__debug_try_enter(void); /* fl__debug_unlock() ends it */

/*
 * fl__table_take_slot() returns one of the slots for which fl__debug_enter() was asked, zeroed.
 * fl__table_give_slot() frees a slot.
 */
void *fl__table_take_slot(void);
void fl__table_give_slot(void *slot);

#ifdef FL__LABORATORY
enum { FL__DEBUG_BUCKETS_LOG2 = 1 }; /* so that a few steps clear the table */
#else
enum { FL__DEBUG_BUCKETS_LOG2 = 12 };
#endif
enum { FL__DEBUG_BUCKETS = 1 << FL__DEBUG_BUCKETS_LOG2 };

/* Returns the index of the bucket for `key`. */
size_t fl__debug_bucket(uintptr_t key);

/*
 * The fiber that a loop's thread runs, at an index computed from the address of the loop's
 * scheduler. If two loops have the same index, the entry belongs to the loop that switched last.
 * The table's lock guards the entries.
 */
extern struct fl__debug_run {
	int64_t since; /* 0 if no fiber runs */
	char fiber[FL__DEBUG_NAME];
} fl__debug_runs[FL__DEBUG_BUCKETS];

/* Returns the record of context `id`, or NULL if the context neither holds nor waits. */
struct fl__holder *fl__holder_find(uint64_t id);

/* Returns the record of the current context. If there is none, makes one from one slot. */
struct fl__holder *fl__holder_mine(void);

/* Frees the record if its context neither holds nor waits. */
void fl__holder_settle(struct fl__holder *h);

/* Returns the n-th context of bucket `i`, or NULL. Used in loops over all contexts. */
struct fl__holder *fl__holder_nth(size_t i, size_t n);

/*
 * Returns true if a record of `lock` exists. May also return true because of another lock's record.
 * Called without the table's lock.
 */
bool fl__held_is_known(const void *lock);

/* Returns the next record of `lock` after `last`, or the first one if `last` is NULL. */
struct fl__held *fl__held_next(const void *lock, const struct fl__held *last);

/*
 * For tests: how many records the searches for one lock have visited. A lock that many contexts
 * hold or want has many records.
 */
extern FL__HIDDEN uint64_t fl__table_steps;
struct fl__held *fl__held_add(struct fl__holder *h, const struct fl__hook_op *op);
void fl__held_remove(struct fl__held *held);

/*
 * Clears the table when debugging is switched off. Called under the table's lock. Returns the
 * memory, which the caller passes to fl__table_unmap() without that lock.
 */
void *fl__table_forget(void);

/* Set under the table's lock when a mode is switched on, and never cleared. */
extern FL__HIDDEN bool fl__table_was_used;

/*
 * Empties the table in a forked child, because another thread of the parent may have left it half
 * changed.
 */
void fl__table_make_anew(void);
void fl__table_unmap(void *chunks);

/* handles.c: forgets all handles. Called after debugging is switched off. */
void fl__handles_forget(void);

/* Sets the modes, but not the signal handler (debug.c). Returns the previous modes. */
unsigned fl__debug_switch(unsigned modes);

/*
 * Guards the modes, the recorder's bit, and the two handlers, so that if two threads switch at
 * once, the handlers are those of the last switch.
 */
extern FL__HIDDEN uint32_t fl__debug_switch_lock;

/*
 * Installs the handler `h` for `signal`, or removes it if `signal` is 0. Installs nothing if the
 * program handles or ignores the signal. Returns false if the system refuses the signal. Called
 * under fl__debug_switch_lock.
 */
struct fl__handler;
bool fl__debug_catch(struct fl__handler *h, int signal);

/*
 * Reads a number in FL_DEBUG or FL_TRACE, up to the next comma or the end. Returns false if there
 * is no such number, or if it exceeds `most`.
 */
bool fl__debug_parse_number(const char *text, unsigned long most, unsigned long *n);

/*
 * Reads the number of a signal, or 0, in the same way. If it returns false, nothing is stored. It
 * also refuses SIGCHLD, which comes with each child, and signals that report a fault of an
 * instruction, because the instruction would fail again forever after the handler returns.
 */
bool fl__debug_parse_signal(const char *text, int *signal);

/* executors.c: the lock of the table and of the list of all executors. */
void fl__debug_relock(void);
void fl__debug_unlock(void);

/* Returns the n-th executor, or NULL. Called under that lock. */
struct fl_executor *fl__debug_executor_nth(size_t n);

/* Clear the lock order, and the sites. Called under the table's lock. */
void fl__order_forget(void);
void fl__contention_forget(void);

/* order.c. An edge leads from a held lock to a wanted one. */

/* Reports the cycles that the edges of `op` close. Called without the table's lock. */
void fl__order_locking(const struct fl__hook_op *op);

/* Removes a lock and its edges. Called under the table's lock. */
void fl__order_drop(const void *lock);

/* waits.c: the wait graph. */

/* Records the wait, and reports a deadlock that it closes. Called without the table's lock. */
void fl__waits_begin(const struct fl__hook_op *op);

/* Ends the wait that fl__waits_begin() has recorded in `h`. Called under the table's lock. */
void fl__waits_end(struct fl__holder *h);

/* Removes all waits and the entries of fl__debug_runs. Called under the table's lock. */
void fl__waits_forget(void);

/*
 * contention.c measures where and how long contexts wait. Of the acquisitions that do not wait,
 * each context measures one in SAMPLED.
 */
enum { FL__CONTENTION_SAMPLED = 16 };

/*
 * Counts an acquisition at its site. `held` is the lock's record, or NULL if the context gave up.
 * Takes at most one slot. Called under the table's lock.
 */
void fl__contention_locked(const struct fl__hook_op *op, struct fl__held *held, int64_t now);

/* Records the end of `held`, which has a site. Called under the table's lock. */
void fl__contention_unlocking(const struct fl__held *held, int64_t now);
