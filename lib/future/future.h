/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FUTURE_FUTURE_H
#define FL_FUTURE_FUTURE_H

#include <fairlead/cancel.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The inside of a future, for those that make and end one. future.c has its states.
 *
 *     fl__future_init(f, &home, type, ...);           // two references: the producer's and the consumer's
 *     if (fl__future_claim(f) == FL__CLAIM_RUN) {
 *             error = type->run(...);
 *             fl__future_finish(f, error, NULL);      // published, its callbacks have run
 *             fl_future_free(f);                      // the producer's reference
 *     }
 */
struct fl__callback {
	struct fl__callback *next;
	fl_future_callback *call;
	void *arg;
	bool owned; /* by the list: freed when it has run */
};

/* What a future's maker does for it. */
struct fl__future_home {
	/*
	 * For a context that is not the maker's own: claims `f`, if it has not started, to cancel it, and takes it out of all
	 * queues. False: another has claimed it, or it has started.
	 */
	bool (*claim_cancel)(fl_future *f);
	/*
	 * That context has ended it, its callbacks have run, and it makes no more use of it: gives back the producer's reference,
	 * now or when whoever has it comes upon it.
	 */
	void (*ended)(fl_future *f);
	/* Its token was requested: tells whoever runs it, where that cannot see the token. NULL: it can. */
	void (*asked)(fl_future *f);
	/* Whether an unclaimed `f` has started elsewhere; NULL: what has started is claimed. */
	bool (*has_started)(const fl_future *f);
	/*
	 * In a forked child: whether a thread of the parent was to end `f`, which has not ended.
	 * NULL: never.
	 */
	bool (*is_parents)(const fl_future *f);
	/* In place of running its task, which there is none of: helps with what it depends on. NULL: it is a task. */
	void (*help)(fl_future *f, int64_t deadline, const fl_cancel *cancel);
	/* Before a wait: furthers `f` on the calling context for as long as that pays. NULL: nothing to be done. */
	void (*attend)(fl_future *f, int64_t deadline, const fl_cancel *cancel);
	/* Nobody refers to it any more: give back its memory. */
	void (*release)(fl_future *f);
};

struct fl_future {
	uint32_t state; /* with the references: see the table in future.c */
	uint32_t lock;  /* an fl__lock: see GUARDED there */
	int error;      /* written before the end is published */
	uint32_t count; /* of arguments, and results: the maker's */
	const fl_task_type *type;
	void *arg, *result; /* in the maker's block; NULL when of no size */
	const struct fl__future_home *home;
	fl_cancel token;                /* of the task; ends under `lock`, just before the end is published */
	struct fl__callback *callbacks; /* newest first */
	char *message;                  /* NULL: none; else from fl__message_new() */
};

/*
 * Makes a pending future with `refs` references. `parent`: of its token; NULL: none. `arg` and `result` are set before or
 * later, the rest here.
 */
void fl__future_init(fl_future *f, const struct fl__future_home *home, const fl_task_type *type, uint32_t refs,
                     fl_cancel *parent, int64_t deadline);

/* Undoes fl__future_init() of a future that nobody else has seen: no hook and no callback runs. */
void fl__future_discard(fl_future *f);

enum fl__claim { FL__CLAIM_LOST, FL__CLAIM_RUN, FL__CLAIM_CANCEL };

/*
 * Takes the right, and the duty, to end a pending future. FL__CLAIM_RUN: run the task; FL__CLAIM_CANCEL: its token is
 * requested, so it ends cancelled and is not run; FL__CLAIM_LOST: another has it. Linearizes with fl_future_cancel().
 */
enum fl__claim fl__future_claim(fl_future *f);

/* Whether somebody has taken that right; a look, without any order. */
bool fl__future_is_claimed(const fl_future *f);

/* Takes the same right, to cancel: false when another has it. */
bool fl__future_claim_cancel(fl_future *f);

/* Takes the same right for a task that has run elsewhere, whatever its token says: false when another has it. */
bool fl__future_claim_ended(fl_future *f);

/*
 * Ends a claimed future: drops the argument, publishes the end, runs the callbacks. When it was claimed to be cancelled,
 * `error` and `message` do not count. Takes over `message`. The producer's reference is still the caller's to free.
 */
void fl__future_finish(fl_future *f, int error, char *message);

/*
 * Called by the context that is to end `f` with an error, before that: the result counts. It has no
 * effect when `f` ends as cancelled, or without an error.
 */
void fl__future_keep_result(fl_future *f);

/* Of a future that has ended with an error: whether its result counts. */
bool fl__future_keeps_result(const fl_future *f);

/* fl__future_finish(), and frees the producer's reference. */
void fl__future_end(fl_future *f, int error, char *message);

/*
 * fl__future_finish() for a context that may run no code of the user's; `error` and `message` of the future are set. False, and nothing
 * happened, when there is some to be run.
 */
bool fl__future_try_finish(fl_future *f);

/* Asks the task to stop, if it has not ended: requests its token. */
void fl__future_ask(fl_future *f);

/* Before a wait: has the context run the task itself, where it may and where that wait would not answer at once. */
void fl__future_help(fl_future *f, int64_t deadline, const fl_cancel *cancel);

/* Whether it has ended. Acquires. */
bool fl__future_has_ended(const fl_future *f);

/*
 * Whether it has not ended, and nothing but a cancel will end it, since this process is a forked
 * child.
 */
bool fl__future_is_parents(const fl_future *f);

/*
 * A reference for who has none, but knows that the memory is that of a future that was made, now or before: when it is claimed, and has
 * not ended. False: it is not.
 */
bool fl__future_ref_running(fl_future *f);

/* Whether it has ended, and the caller's reference is the only one, so that nobody can make another. */
bool fl__future_is_alone(const fl_future *f);

/* Frees a reference, unless it is the last: then it returns false. For who may run no hook. */
bool fl__future_free_shared(fl_future *f);

/* fl_future_free(), but for the home's release(): true when that is the caller's to call. So that long rows of futures need no stack. */
bool fl__future_drop(fl_future *f);

/* A future whose callbacks are being run: those that are left. */
struct fl__ending {
	fl_future *future;
	struct fl__callback *left; /* the oldest first */
	struct fl__ending *outer;  /* a callback of that future has ended this one */
};

/* On the stack of the context that runs callbacks. */
struct fl__calling {
	struct fl__ending *innermost;
	struct fl__calling *outer;
};

/*
 * fl__future_end() for a callback of another future that calls this as its last step, and whose
 * caller is its own future's end: the callbacks of `f` run when that callback has returned, before
 * those that were registered behind it, and without more stack. So they run in the order in which
 * they would if one end were made within the other. `room` must stay as long as `f`.
 */
void fl__future_end_after(fl_future *f, int error, char *message, struct fl__ending *room);

/* Whether the calling context is in a callback of `f`. */
bool fl__future_is_calling(const fl_future *f);

/*
 * fl_future_on_end() with memory of the caller's, which stays until the callback is called: it
 * cannot fail.
 */
void fl__future_attach(fl_future *f, struct fl__callback *node, fl_future_callback *callback, void *arg);

/* Registers a callback on a future that nobody else has seen; `node` is the caller's, and stays as long as the future. */
void fl__future_register(fl_future *f, struct fl__callback *node, fl_future_callback *callback, void *arg);

/* A message of FL_MESSAGE_MAX bytes to be written; never NULL: without memory a fixed text, see fl__message_lost(). */
char *fl__message_new(void);
bool fl__message_lost(const char *message);
void fl__message_free(char *message);

#endif
