/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_IMAP_H
#define FAIRLEAD_IMAP_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * The lazy map: results one by one, as they come, while the rest is being computed.
 *
 *     FL_SCOPED(fl_imap) *it = NULL;
 *     rc = count_primes_imap(pool, parts, 64, &it, NULL);             // check
 *     while ((rc = count_primes_imap_next(it, &index, &count)) == 0 || rc == FL_ETASK)
 *             if (rc == 0)
 *                     printf("part %zu: %d\n", index, count);
 *             else
 *                     printf("part %zu: %s\n", index, fl_imap_message(it));
 *                                                                     // now rc is -ENODATA: that was all; else check
 *
 * A window of arguments is under way at a time: submitted, and the result not yet given out. So an array may be of any
 * size, and a generator (`next` of the config) without end. In the order of the arguments; or, `unordered`, of
 * completion. A failure is told in its place, and the iteration goes on after it.
 *
 * Arguments are copied when their turn comes, results when they are given out. Those of an array stay the caller's,
 * with what they point to; the array must stay until the end, or the free. An argument of a generator is the
 * iteration's: the type's `drop_arg` runs once for it, when its result was given out or nobody wants it any more. A
 * result that was given out is the caller's; `drop_result` runs for the others.
 *
 * One context at a time uses an iteration. It may be a task of the same executor, also one with a single worker.
 */
typedef struct fl_imap fl_imap;

typedef struct fl_imap_config {
	/*
	 * Arguments a task; 0: 1. On processes fewer, if their results exceed 64 KiB. Their results
	 * come together. A worker that dies fails the one argument that it ran: those before it
	 * have their results, those after it are submitted again, as after any failure.
	 */
	size_t chunk;
	size_t window;  /* the most arguments under way; 0: chosen from the workers, and little memory */
	bool unordered; /* results in the order of completion */
	/*
	 * In place of an array: stores the next argument in `*arg` and returns 1; 0: there is none; an error (< 0) ends
	 * the iteration, after what is under way. Called when the window has room, on the thread that uses the
	 * iteration.
	 */
	int (*next)(void *state, void *arg);
	void *state;
	/*
	 * From the deadline on (0: none), or a request (NULL: none; the scope is not observed), nothing more is
	 * started, and what runs is asked to stop: seen by whoever uses the iteration. What is
	 * under way is still given out, as a result or as FL_ETASK with -ECANCELED, or with
	 * -ETIMEDOUT if it was killed (processes); then comes the end, with -ETIMEDOUT or
	 * -ECANCELED. The token must outlive the iteration.
	 */
	int64_t deadline;
	fl_cancel_token *cancel;
} fl_imap_config;

/*
 * Begins an iteration of `type` over the `n` elements of the array `args`, or over what `config->next` makes (`args`
 * NULL, `n` 0), and submits the first. `config` may be NULL. The executor must outlive the iteration. Waits no more
 * than fl_submit() and `next` do.
 * Returns 0; -ENOMEM; -EINVAL: both an array and a generator; what fl_submit returned for the first chunk.
 */
FL_API FL_MUST_CHECK int fl_imap_create(fl_imap **it, fl_executor *e, const fl_task_type *type, const void *args,
                                        size_t n, const fl_imap_config *config);

/*
 * Gives out the next result: copies it to `*result` (NULL when it has no size) and stores which argument's it is in
 * `*index` (may be NULL). Submits what the window has room for. Blocks the calling context, and helps like
 * fl_future_wait(). Observes its cancel scope.
 * Returns:
 *
 *   0
 *   FL_ETASK     the task of argument `*index` failed or was cancelled (see fl_imap_error()). `*result` is
 *                untouched, unless the task has kept its result (fl_task_keep_result()): then that is
 *                copied.
 *   -ENODATA     all was given out
 *   -ECANCELED   this wait was cancelled, and may be called again
 *
 * or, with nothing under way, why the iteration ended early: -ETIMEDOUT, -ECANCELED, what `next` of the
 * config returned, again at each call; or what fl_submit() returned for the next chunk, which the next
 * call tries again.
 * Memory order: what the task wrote is seen.
 */
FL_INLINE FL_MUST_CHECK int fl_imap_next(fl_imap *it, size_t *index, void *result);

/* As fl_imap_next; never waits: -EAGAIN while there is no result. The sequential executor runs a task. */
FL_API FL_MUST_CHECK int fl_imap_try_next(fl_imap *it, size_t *index, void *result);

/* As fl_imap_next; also returns -ETIMEDOUT at the call's deadline, and may be called again. */
FL_API FL_MUST_CHECK int fl_imap_next_until(fl_imap *it, size_t *index, void *result, int64_t deadline,
                                            fl_cancel_token *cancel);

/*
 * What the task returned, or what became of it, for which FL_ETASK was the last result; 0: there was none. Never waits.
 */
FL_API int fl_imap_error(const fl_imap *it);

/* Why it failed, or ""; at most FL_MESSAGE_MAX - 1 bytes, never NULL, valid until `it` is used again. Never waits. */
FL_API const char *fl_imap_message(const fl_imap *it);

/*
 * Ends the iteration: cancels what has not started, asks what runs to stop, and frees `it`; NULL does nothing. Never
 * waits: a task that runs on may do so, with its copy of the argument, until the executor is joined; its hooks then run
 * on its thread.
 */
FL_API void fl_imap_free(fl_imap *it);

static inline void fl__scoped_fl_imap(fl_imap **_it)
{
	fl_imap_free(*_it);
}

/* The inline functions. */

FL_INLINE int fl_imap_next(fl_imap *_it, size_t *_index, void *_result)
{
	return fl_imap_next_until(_it, _index, _result, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
