/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/list.h"
#include "../wait/cancel.h"
#include <fairlead/error.h>
#include <fairlead/event.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>
#include <stdarg.h>
#include <string.h>

/*
 * What makes and ends futures. future.c explains the states.
 *
 *     fl__future_init(f, &ops, type, ...);           // two references: producer's and consumer's
 *     if (fl__future_claim(f) == FL__CLAIM_RUN) {
 *             error = type->run(...);
 *             fl__future_finish(f, error, NULL);      // published, its callbacks have run
 *             fl_future_free(f);                      // the producer's reference
 *     }
 */

struct fl__callback {
	struct fl__callback *next, **link;
	fl_future_callback *call;
	void *arg;
};

/* The operations of a future's producer. */
struct fl__future_ops {
	/*
	 * Called by a context other than the producer. Claims `f` for a cancel, and removes it from
	 * its executor's queue, except that the block stays in a local queue of the thread
	 * executor. Returns false if `f` was claimed or has started.
	 */
	bool (*claim_cancel)(fl_future *f);
	/* Called by a context other than the producer that has ended `f`. May be NULL. */
	void (*ended)(fl_future *f);
	/*
	 * Tells the producer that the token was cancelled. NULL if the producer checks the token
	 * itself.
	 */
	void (*requested)(fl_future *f);
	/*
	 * Returns whether an unclaimed `f` has started. NULL if started futures are always claimed.
	 */
	bool (*has_started)(const fl_future *f);
	/*
	 * Called before a wait for `f` (or `or_event`). Runs the work of `f` here as long as that
	 * pays. May be NULL.
	 */
	void (*advance)(fl_future *f, const fl_event *or_event, fl_time deadline, const fl_cancel_token *cancel);
	/* Frees the memory after the last reference. */
	void (*release)(fl_future *f);
};

struct fl_future {
	uint32_t state; /* also the reference count; future.c has the table of its bits */
	uint32_t lock;  /* an fl__lock; future_try_publish() says when the end takes it */
	int error;      /* written before the end is published; until then, the statistics' stamp */
	uint32_t count; /* of arguments and results; the producer's */
	const fl_task_type *type;
	void *arg, *result; /* in the producer's block, or NULL for size 0 */
	const struct fl__future_ops *ops;
	/*
	 * Unless the token is alone, it leaves its tree under `lock`, just before the end is
	 * published.
	 */
	fl_cancel_token token;
	/* newest first; fl__future_init() zeroes this and the members below */
	struct fl__callback *callbacks;
	char *message; /* from fl__message_format(), written at the end, or NULL */
};

static inline fl_future *fl__future_of_token(fl_cancel_token *token)
{
	return FL__CONTAINER_OF(token, fl_future, token);
}

/* The bits of `state`: future.c has their table. */
enum {
	FL__FUTURE_CLAIMED = 1,
	FL__FUTURE_CANCELLED = 2,
	FL__FUTURE_ENDED = 4,
	FL__FUTURE_WAITERS = 8,
	FL__FUTURE_GUARDED = 16,
	FL__FUTURE_KEPT = 32,
	FL__FUTURE_EXPIRED = 64,
	FL__FUTURE_REGISTERED = 128,
	FL__FUTURE_LEFT = 256,
	FL__FUTURE_REF = 512 /* a reference */
};

/*
 * Initializes a pending future, whose token is a child of `parent` unless that is NULL. The caller
 * sets `arg` and `result`.
 */
static inline void fl__future_init(fl_future *f, const struct fl__future_ops *ops, const fl_task_type *type,
                                   uint32_t refs, fl_cancel_token *parent, fl_time deadline)
{
	f->lock = 0;
	f->error = 0;
	f->ops = ops;
	f->type = type;
	memset(&f->callbacks, 0, sizeof *f - offsetof(fl_future, callbacks)); /* with one store */
	fl__cancel_init(&f->token, parent ? parent : FL_SHIELDED, deadline);
	fl__store_relaxed(&f->state, refs * FL__FUTURE_REF); /* relaxed: the caller publishes the future */
}

/* Frees a future that no other thread has seen, and its memory, without calling a drop hook. */
void fl__future_discard(fl_future *f);

enum fl__claim { FL__CLAIM_LOST, FL__CLAIM_RUN, FL__CLAIM_CANCEL, FL__CLAIM_BREAK };

/*
 * Claims a pending future. The claimer alone may end the future, and must do so. Linearizes with
 * fl_future_cancel().
 *
 *   FL__CLAIM_RUN      the caller must run the task
 *   FL__CLAIM_CANCEL   the token is cancelled: the caller must end the future as cancelled
 *   FL__CLAIM_LOST     another context has claimed the future
 *
 * This function never returns FL__CLAIM_BREAK, which means that the task was claimed to run, but
 * ends with its executor's error because the executor has broken.
 *
 * The claim also sets the bit `leaves`: LEFT if the task stays in its executor's backlog, otherwise
 * 0.
 */
enum fl__claim fl__future_claim_leaving(fl_future *f, uint32_t leaves);
static inline enum fl__claim fl__future_claim(fl_future *f)
{
	return fl__future_claim_leaving(f, 0);
}

/*
 * The context that has claimed `f` to run its task calls this to turn the claim into one for a
 * cancel. It must then end `f` as cancelled.
 */
void fl__future_cancel_claimed(fl_future *f);

/*
 * Return whether a context has claimed `f`, and whether it was for a cancel. Neither orders memory.
 */
bool fl__future_is_claimed(const fl_future *f);
bool fl__future_is_cancelled(const fl_future *f);

/*
 * Once the deadline has passed, it counts as the reason for a cancel, even if the token was
 * cancelled earlier, because often the code that sees a deadline pass cancels the token.
 */
static inline bool fl__future_is_late(const fl_future *f)
{
	return fl__is_expired(f->token.deadline_);
}

/*
 * Claims `f` for a cancel. Returns false if another context has claimed `f`. `leaves` is as in
 * fl__future_claim_leaving().
 */
bool fl__future_claim_cancel_leaving(fl_future *f, uint32_t leaves);
static inline bool fl__future_claim_cancel(fl_future *f)
{
	return fl__future_claim_cancel_leaving(f, 0);
}

/*
 * Claims `f` for a cancel, and takes over the reason (cancel or deadline) for which `before` ended.
 */
bool fl__future_claim_cancel_as(fl_future *f, const fl_future *before);

/*
 * Returns whether `f` has ended because of its deadline: it was cancelled before its task started,
 * or the task returned -ECANCELED, and the deadline had passed by then.
 */
bool fl__future_has_expired(const fl_future *f);

/*
 * Claims a future that other code ends (a promise, a remote task), even if its token is cancelled.
 * Returns false if another context has claimed `f`.
 */
bool fl__future_claim_ended(fl_future *f);

/*
 * Ends a claimed future: drops the argument, publishes the end, and runs the callbacks. If the
 * future was claimed for a cancel, ignores `error` and `message`. -ECANCELED after the deadline
 * becomes -ETIMEDOUT. Takes ownership of `message`. The caller must still free the producer's
 * reference.
 */
void fl__future_finish(fl_future *f, int error, char *message);

/* Makes the result count although `f` will end with an error. Must be called before the end. */
void fl__future_keep_result(fl_future *f);

bool fl__future_keeps_result(const fl_future *f);

/*
 * The steps of fl__future_finish(), except that the second or third step also frees the producer's
 * reference. The first and third step call drop hooks.
 */
void fl__future_set_end(fl_future *f, int error, char *message);
/*
 * Publishes the end, and runs no user code. Returns true if it has also freed the producer's
 * reference. Otherwise the caller must call fl__future_end_rest(), which frees it after the
 * callbacks.
 */
bool fl__future_publish_end(fl_future *f, struct fl__callback **callbacks);
void fl__future_end_rest(fl_future *f, struct fl__callback *callbacks);

/*
 * Called after fl__future_finish() by a context other than the producer. Notifies the producer, and
 * frees its reference.
 */
void fl__future_end_foreign(fl_future *f);

/* The first half of fl__future_set_end(): sets error and message. May be called repeatedly. */
void fl__future_set_error(fl_future *f, int error, char *message);

/*
 * Does what fl__future_finish() does after fl__future_set_error(), for a context that must not run
 * user code. If there is user code to run, returns false, and the caller has nothing to undo.
 * `prompt` is a callback that is not user code, or NULL.
 */
bool fl__future_try_finish(fl_future *f, fl_future_callback *prompt);

void fl__future_request_stop(fl_future *f);

/*
 * Makes the end take `lock`, so that the caller may cancel the token or add a callback. If the
 * future has ended, returns false, and the caller sees what the end published.
 */
bool fl__future_guard(fl_future *f);

/* Called before a wait. Runs the task on this context, if that is allowed. */
void fl__future_help(fl_future *f, fl_time deadline, const fl_cancel_token *cancel);

/*
 * Returns whether `f` has ended. This is an acquire load, so the caller then sees what the end
 * published.
 */
bool fl__future_has_ended(const fl_future *f);

/* Returns whether an ended future has a result: it succeeded, or kept the result of its failure. */
static inline bool fl__future_has_result(const fl_future *f)
{
	/*
	 * acquire: pairs with the ending CAS (invariant 6 of future.c) and, for future_clean(),
	 * with the releases by all contexts that have freed a reference
	 */
	const uint32_t seen = fl__load_acquire(&f->state);
	return (seen & (FL__FUTURE_ENDED | FL__FUTURE_CANCELLED)) == FL__FUTURE_ENDED &&
	       (f->error == 0 || (seen & FL__FUTURE_KEPT));
}

/*
 * Returns whether an ended future was cancelled: before its task started, or the task was told to
 * stop and then returned -ECANCELED. A task that ended because of its deadline was not cancelled.
 */
bool fl__future_was_cancelled(const fl_future *f);

/*
 * For a caller without a reference, who knows only that the memory is or was that of a future.
 * Makes a reference and returns true if the future is claimed and has not ended. Otherwise returns
 * false.
 */
bool fl__future_try_ref(fl_future *f);

/*
 * Frees a reference and returns true, unless it is the last one. For callers that must not run a
 * hook.
 */
bool fl__future_free_shared(fl_future *f);

/*
 * Does what fl_future_free() does, except release(), which the caller must call if this returns
 * true. So freeing a long chain needs no stack.
 */
bool fl__future_drop(fl_future *f);

/* Runs the result's drop hook, and frees the memory. Called when the last reference is freed. */
void fl__future_release(fl_future *f);

/* A future while its callbacks run. */
struct fl__ending {
	fl_future *future;
	struct fl__callback *left; /* the callbacks to run, oldest first */
	struct fl__ending *outer;  /* the future whose callbacks go on after this one's, or NULL */
};

/* The endings of a context that runs callbacks, kept on that context's stack. */
struct fl__calling {
	struct fl__ending *innermost;
	struct fl__calling *outer;
};

/* Visits the futures whose callbacks the calling context runs, innermost first. */
#define FL__EACH_ENDING(ending)                                                                                        \
	for (const struct fl__calling *calling_ = fl__ctx_get()->front.inside.calling; calling_;                       \
	     calling_ = calling_->outer)                                                                               \
		for (const struct fl__ending *ending = calling_->innermost; ending; ending = ending->outer)

/*
 * Called as the last step of a callback of another future. Does what fl__future_finish() does, and
 * frees the producer's reference. The callbacks of `f` run after that callback and before the ones
 * after it, as if the ends were nested, but without using more stack. `storage` must live as long
 * as `f`.
 */
void fl__future_end_after(fl_future *f, int error, char *message, struct fl__ending *storage);

/*
 * Calls the callbacks of `f`, and, innermost first, those of futures that a callback ends by
 * fl__future_end_after().
 */
void fl__future_run_callbacks(fl_future *f, struct fl__callback *list);

/* Adds a callback. Never fails. The caller's `node` must live until the callback is called. */
void fl__future_attach(fl_future *f, struct fl__callback *node, fl_future_callback *callback, void *arg);

/*
 * Makes the end call fl__future_report(f, arg) (as_completed.c) when it unparks the waiters, before
 * the callbacks and whatever they do. If the future has ended, returns false, and no call follows.
 */
bool fl__future_report_end(fl_future *f, struct fl__callback *node, void *arg);

/*
 * Undoes fl__future_attach() or fl__future_report_end(). Returns false if the future has ended;
 * then the call has been made or will be.
 */
bool fl__future_detach(fl_future *f, struct fl__callback *node);
void fl__future_report(fl_future *f, void *arg);

/*
 * Adds a callback to a future that no other thread has seen. `node` must live as long as the
 * future.
 */
void fl__future_register(fl_future *f, struct fl__callback *node, fl_future_callback *callback, void *arg);

/*
 * Makes a printf-like message of at most FL_MESSAGE_MAX - 1 bytes. Never returns NULL: if there is
 * no memory, returns a fixed text.
 */
char *fl__message_format(const char *format, ...) FL_PRINTF(1, 2);
char *fl__message_vformat(const char *format, va_list args) FL_PRINTF(1, 0);
/* Makes the message for the positive number that a task of `type` has wrongly returned. */
char *fl__message_positive(const fl_task_type *type, int error);
void fl__message_free(char *message); /* may be NULL */
