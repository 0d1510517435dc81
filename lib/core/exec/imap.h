/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "map.h"
#include <fairlead/event.h>
#include <fairlead/imap.h>

/*
 * The lazy map has two files. imap.c has the source, the window and the waits, imap_batch.c has the
 * batches. The map by copy (map.c) uses both.
 *
 * The iteration takes arguments from their source in chunks (map.h). A chunk is one task, and a
 * *batch* while it is under way. A batch passes through these states:
 *
 *   free        in `free`
 *   under way   between `oldest` and `newest`, in the order of submission
 *   current     ended; each call returns one of its results; then the batch is free again
 *
 * One context at a time uses an iteration and owns all of it, except `done`, `batch_ended` and
 * `refs`, which callbacks use, too.
 *
 *   in order    The oldest batch becomes current when its future has ended. The consumer waits for
 *               that future: a worker runs the task itself, and the wait fetches results of
 *               processes.
 *   unordered   A callback of the future pushes the batch on the stack `done` and sets
 *               `batch_ended`. The consumer takes and reverses the whole stack. Before it sleeps,
 *               the consumer helps with the oldest batch: that batch runs here, runs elsewhere,
 *               or has ended.
 *
 * Futures of an ordered iteration have that callback, too, if their type is `type_copy`
 * (fl__chunk_type()). Each element's hooks run exactly once: by the iteration, if the callback can
 * push the batch; by the callback, if the free has closed the stack. The word `done` decides which,
 * so a free never waits. Each callback holds a reference to the memory.
 *
 * A chunk ends with its first failure. The elements after it were not run, and get the same error.
 */
struct fl__imap_batch {
	struct fl__imap_batch *next, *prev; /* under way; `next` also in `free` */
	struct fl__imap_batch *next_done;   /* in `done`, then in `ready` */
	fl_imap *it;
	fl_future *f;
	size_t index;             /* of the first argument */
	size_t count;             /* arguments */
	size_t given;             /* results and failures that the consumer has */
	struct fl__chunk_end end; /* if current */
	bool returned;            /* the callback has pushed it, and the iteration has taken it */
	bool ended_first;         /* before the iteration was stopped */
};

struct fl__imap_source {
	const void *args;
	size_t n;
	int (*make)(void *state, void *arg); /* NULL for an array */
	void *state;
	void *memory; /* a generator's: for a chunk of arguments */
	void *made;   /* `memory`, aligned */
	size_t held;  /* in `made`, not submitted */
	size_t taken; /* arguments submitted */
	int end;      /* why the source ended; 0: it goes on */
};

struct fl_imap {
	fl_executor *executor;
	const fl_task_type *type, *sent; /* the caller's, and the one to submit */
	struct fl__chunk_type type_copy;
	struct fl__imap_source source;
	size_t chunk;
	bool unordered;
	bool calls;  /* futures have the callback */
	int stopped; /* -ETIMEDOUT or -ECANCELED; 0: goes on */
	fl_time deadline;
	fl_cancel_token *cancel; /* FL_SHIELDED: none */
	/* of submits while nothing is under way, or NULL */
	const struct fl__patience *patience;
	struct fl__imap_batch *free, *oldest, *newest, *current;
	struct fl__imap_batch *ready, *ready_last; /* unordered: batches under way that have ended */
	/* batches that are not free; the window, in batches */
	size_t used, most;
	int error;
	char message[FL_MESSAGE_MAX];
	/* Used by the callbacks, too. */
	uint32_t refs;
	struct fl__imap_batch *done;
	fl_event batch_ended;
	struct fl__imap_batch batches[];
};

/* Submits nothing more, and cancels the batches under way. These batches can still be taken. */
void fl__imap_stop(fl_imap *it, int why);

/*
 * Makes a batch current. Returns 0, or the reason why there is none, as fl_imap_next_until() does.
 */
int fl__imap_take(fl_imap *it, fl_time deadline, fl_cancel_token *cancel);

/* The rest is in imap_batch.c. */

/* The callback of futures without drop hooks runs no user code, and never waits. */
void fl__imap_on_end(fl_future *f, void *arg);

/* Drops elements of the array `first`, if the iteration owns its arguments. */
void fl__imap_drop_args(const fl_imap *it, void *first, size_t begin, size_t end);

/* Submits `count` arguments. An error changes nothing. */
int fl__imap_batch_add(fl_imap *it, const void *args, size_t index, size_t count);

/* Takes the batches that the callbacks have pushed. Acquires what the tasks wrote. */
void fl__imap_collect(fl_imap *it);

/* Returns the batch that becomes current next, or NULL if it has not ended or there is none. */
struct fl__imap_batch *fl__imap_next_ended(fl_imap *it);

void fl__imap_batch_make_current(fl_imap *it, struct fl__imap_batch *b);

/* Called when the current batch has given its results. Makes the batch free. */
void fl__imap_batch_retire(fl_imap *it);

/*
 * Called by a free. From now on callbacks clean up after batches under way. Does not wait for any
 * batch.
 */
void fl__imap_close(fl_imap *it);
void fl__imap_batch_abandon(fl_imap *it, struct fl__imap_batch *b);
void fl__imap_release(fl_imap *it);
