/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_IMAP_H
#define FL_EXEC_IMAP_H

#include "map.h"
#include <fairlead/event.h>
#include <fairlead/imap.h>

/*
 * The lazy map: imap.c is what its user calls, imap_batch.c its batches.
 *
 * Arguments are taken from their source in chunks (map.h), each of which is a task, and a *batch* as long as it is
 * under way: it is in one of these places, one after the other:
 *
 *   free        in `free`
 *   under way   between `oldest` and `newest`, in the order of submission; when it is over, it can become
 *   current     its results are given out, one at each call; then it is free
 *
 * One context at a time uses an iteration, and all of it is that context's, but for what callbacks touch: `done`,
 * `bell`, `refs`.
 *
 *   in order     The oldest batch becomes current when its future has ended. Who waits, waits for that future: a worker runs
 *                it on the spot where the executor is its own, and results of processes are fetched by the wait.
 *   unordered    A callback of the future puts its batch on the stack `done` and rings; who waits takes all of the stack and
 *                turns it round. Before it sleeps it helps with the oldest batch, as above. That is enough for progress: if
 *                the oldest is not run here it runs elsewhere, or is over.
 *
 * Futures have that callback in order, too, when something must be done after their end: when the type has hooks, which
 * run for each element, or is a copy of ours. Exactly one side sees to it. Either the callback gets the batch on the
 * stack, and the iteration takes care; or it finds the stack closed by the free, and does so itself. That one word
 * decides, so a free waits for nothing, and each callback holds a reference to the memory.
 *
 * A chunk ends with its first failure. The rest, which nobody has begun, becomes a task again, at the old place. For
 * that there is a batch more than the window needs.
 */
struct fl__batch {
	struct fl__batch *next, *prev; /* under way; `next` alone: in `free` */
	struct fl__batch *next_done;   /* in `done`, and then in `ready` */
	fl_imap *it;
	fl_future *f;  /* NULL: it was refused, with `error` */
	size_t index;  /* of its first argument */
	size_t count;  /* arguments */
	size_t given;  /* results, or failures, that were given out */
	size_t good;   /* of a current one: so many have succeeded, from the first */
	size_t kept;   /* of a current one: so many have a result that counts, from the first */
	int error;     /* of a current one: what became of those that have not succeeded */
	bool returned; /* its callback was there */
};

/* Where arguments come from: an array, or a generator. */
struct fl__source {
	const void *args;
	size_t n;
	int (*make)(void *state, void *arg); /* NULL: it is an array */
	void *state;
	void *memory; /* of a generator's arguments: a chunk of them, */
	void *made;   /* aligned; */
	size_t held;  /* and so many are there, and not submitted */
	size_t taken; /* arguments that were submitted */
	int end;      /* why no more are taken; 0: there are more */
};

struct fl_imap {
	fl_executor *executor;
	const fl_task_type *type, *sent; /* the caller's, and what is submitted for it */
	struct fl__chunk_type room;
	struct fl__source source;
	size_t chunk;
	bool unordered;
	bool calls;            /* futures have the callback */
	int stopped;           /* by `deadline` or `cancel`: as what; 0: it is not */
	int64_t deadline;      /* FL_FOREVER: none */
	fl_cancel *cancel;     /* NULL: none */
	fl_cancel *waiting;    /* a submit waits for room until this is requested, or */
	int64_t waiting_until; /* this passes; NULL: it does not wait */
	/* Batches. */
	struct fl__batch *free, *oldest, *newest, *current;
	struct fl__batch *ready, *ready_last; /* unordered: those under way that are over */
	size_t used, most;                    /* batches that are not free; in the window */
	/* The last failure. */
	int error;
	char message[FL_MESSAGE_MAX];
	/* For the callbacks. */
	uint32_t refs;
	struct fl__batch *done;
	fl_event bell;
	struct fl__batch batches[];
};

/*
 * A zeroed iteration with so many batches; NULL: no memory. Given back by fl__imap_release(), with the last reference.
 */
fl_imap *fl__imap_new(size_t batches);
void fl__imap_release(fl_imap *it);

/* Closes the stack: from here on, callbacks see to what is under way. */
void fl__imap_close(fl_imap *it);

/* Runs `drop_arg` for those of the arguments at `first`, if they are the iteration's. */
void fl__imap_drop_args(const fl_imap *it, void *first, size_t begin, size_t end);

/* Submits `count` arguments as the newest batch: 0, or an error, and nothing happened. */
int fl__batch_submit(fl_imap *it, const void *args, size_t index, size_t count);

/* Takes what the callbacks have brought. Acquires what the tasks wrote. */
void fl__batch_collect(fl_imap *it);

/* A batch that is over and whose turn it is; NULL: none. */
struct fl__batch *fl__batch_over(fl_imap *it);

/* Makes it current. */
void fl__batch_begin(fl_imap *it, struct fl__batch *b);

/* The current one has served. */
void fl__batch_retire(fl_imap *it);

/* Forgets one under way, and all of its results. */
void fl__batch_forget(fl_imap *it, struct fl__batch *b);

#endif
