/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "map.h"
#include <fairlead/event.h>
#include <fairlead/imap.h>

/*
 * The lazy map. Its source, window and waits are in imap.c, its batches in imap_batch.c. The map by
 * copy (map.c) uses both files.
 *
 * The iteration takes arguments from their source in chunks (map.h), and submits each chunk as one
 * task. A *batch* keeps track of a chunk from its submit until its results were returned. A batch
 * passes through these states:
 *
 *   free        in `free`
 *   under way   between `oldest` and `newest`, in the order of submission
 *   current     ended; each call returns one of its results; then the batch is free again
 *
 * One context at a time uses an iteration and owns all of it, except `done`, `batch_ended` and
 * `refs`, which callbacks also use.
 *
 *   in order    The oldest batch becomes current when its future has ended. The consumer waits for
 *               that future. If the consumer is a worker, it may run the task itself; if the task
 *               runs in another process, the wait fetches the results.
 *   unordered   A callback of the future pushes the batch on the stack `done` and sets
 *               `batch_ended`. The consumer takes and reverses the whole stack. Before it sleeps,
 *               the consumer tries to run the oldest batch itself; afterwards that batch has
 *               ended, or another context runs it.
 *
 * Futures of an ordered iteration also have that callback if their type is `type_copy`
 * (fl__chunk_type()). Each element's hooks run exactly once. If the callback can push the batch,
 * the iteration runs them; if fl_imap_free() has closed the stack, the callback does. The word
 * `done` decides which, so fl_imap_free() never waits. Each callback holds a reference to the
 * iteration's memory.
 *
 * A chunk ends at its first failure. The elements after that were not run, and get the same error.
 */
struct fl__imap_batch {
	struct fl__imap_batch *next, *prev; /* links under way; `next` also links free batches */
	struct fl__imap_batch *next_done;   /* link in `done`, then in `ready` */
	fl_imap *it;
	fl_future *f;
	size_t index;             /* of the first argument */
	size_t count;             /* arguments */
	size_t given;             /* results and failures that the consumer has got */
	struct fl__chunk_end end; /* valid while the batch is current */
	bool returned;            /* the callback has pushed the batch, and the iteration has taken it */
	bool ended_first;         /* the batch ended before the iteration was stopped */
};

struct fl__imap_source {
	const void *args;
	size_t n;
	int (*make)(void *state, void *arg); /* NULL for an array */
	void *state;
	void *memory; /* for a chunk of arguments that the generator makes */
	void *made;   /* `memory`, aligned */
	size_t held;  /* arguments in `made`, not yet submitted */
	size_t taken; /* arguments submitted */
	int end;      /* why the source ended; 0: it goes on */
};

struct fl_imap {
	fl_executor *executor;
	const fl_task_type *type, *sent; /* the caller's type, and the type that is submitted */
	struct fl__chunk_type type_copy;
	struct fl__imap_source source;
	size_t chunk;
	bool unordered;
	bool calls;  /* futures have the callback */
	int stopped; /* -ETIMEDOUT or -ECANCELED; 0: goes on */
	fl_time deadline;
	fl_cancel_token *cancel; /* FL_SHIELDED: none */
	/* how long a submit may wait for a permit while nothing is under way; NULL: not at all */
	const struct fl__patience *patience;
	struct fl__imap_batch *free, *oldest, *newest, *current;
	struct fl__imap_batch *ready, *ready_last; /* unordered: batches under way that have ended */
	/* the number of batches that are not free, and the size of the window in batches */
	size_t used, most;
	int error;
	char message[FL_MESSAGE_MAX];
	/* Callbacks also use these three. */
	uint32_t refs;
	struct fl__imap_batch *done;
	fl_event batch_ended;
	struct fl__imap_batch batches[];
};

/*
 * Cancels the batches under way, and prevents further submits. The cancelled batches can still be
 * taken.
 */
void fl__imap_stop(fl_imap *it, int why);

/*
 * Makes a batch current. Returns 0, or the reason why there is none, as fl_imap_next_until() does.
 */
int fl__imap_take(fl_imap *it, fl_time deadline, fl_cancel_token *cancel);

/* The rest is in imap_batch.c. */

/* The callback of futures without drop hooks. It runs no user code, and never waits. */
void fl__imap_on_end(fl_future *f, void *arg);

/* Drops elements of the array `first`, if the iteration owns its arguments. */
void fl__imap_drop_args(const fl_imap *it, void *first, size_t begin, size_t end);

/* Submits `count` arguments as a batch. After an error nothing has changed. */
int fl__imap_batch_add(fl_imap *it, const void *args, size_t index, size_t count);

/* Takes the batches that the callbacks have pushed. The caller then sees what the tasks wrote. */
void fl__imap_collect(fl_imap *it);

/* Returns the batch that becomes current next, or NULL if it has not ended or there is none. */
struct fl__imap_batch *fl__imap_next_ended(fl_imap *it);

void fl__imap_batch_make_current(fl_imap *it, struct fl__imap_batch *b);

/* Makes the current batch free, after the consumer has got its results. */
void fl__imap_batch_retire(fl_imap *it);

/*
 * Called by fl_imap_free(). From now on callbacks clean up after batches under way. Does not wait
 * for any batch.
 */
void fl__imap_close(fl_imap *it);
void fl__imap_batch_abandon(fl_imap *it, struct fl__imap_batch *b);
void fl__imap_release(fl_imap *it);
