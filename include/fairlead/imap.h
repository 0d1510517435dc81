/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_IMAP_H
#define FAIRLEAD_IMAP_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * A lazy map runs a task for many arguments, and returns results while it computes further ones.
 *
 *     FL_SCOPED(fl_imap) *it = NULL;
 *     rc = count_primes_imap(pool, parts, 64, &it, NULL);             // check
 *     while ((rc = count_primes_imap_next(it, &index, &count)) == 0 || rc == FL_ETASK)
 *             if (rc == 0)
 *                     printf("part %zu: %d\n", index, count);
 *             else
 *                     printf("part %zu: %s\n", index, fl_imap_message(it));
 *     if (rc != -ENODATA) // after the last result it is -ENODATA
 *             return rc;
 *
 * The arguments come from an array or from a generator (`next` in the config), which may be
 * endless. At most a window of arguments is in progress: submitted, but not returned. Results come
 * in the order of the arguments or, with `unordered`, of completion. After a failure the iteration
 * goes on with the next chunk.
 *
 * Arguments are copied when they are submitted. An array must exist until the iteration has ended
 * or is freed, and its elements stay yours; for an argument of a generator, `drop_arg` runs once. A
 * returned result is yours; for the others `drop_result` runs.
 *
 * Only one context at a time may use an iteration, and that may be a task of the same executor.
 */
typedef struct fl_imap fl_imap;

typedef struct fl_imap_config {
	/*
	 * How many arguments one task runs; 0 means 1. Their results come together. After a
	 * failure, the rest of the chunk is not run, and fails with the same error and message. A
	 * process executor takes smaller chunks if the results would not fit into 64 KiB.
	 */
	size_t chunk;
	/*
	 * The most arguments in progress; a chunk is never larger. 0 means 1 MiB of arguments and
	 * results for each worker, but 2 to 1,024 chunks for each, and at most 16,384 in all. The
	 * contents of an fl_bytes do not count, so set a window if they are large.
	 */
	size_t window;
	bool unordered; /* results come in the order of completion */
	/*
	 * The generator, in place of an array. It stores the next argument in `*arg` and returns 1,
	 * or returns 0 at the end. A negative value ends the iteration with this error after the
	 * arguments in progress, and a value above 1 with -EINVAL. It is called on the thread that
	 * uses the iteration.
	 */
	int (*next)(void *state, void *arg);
	void *state;
	/*
	 * After the deadline, or a cancel of the token, the iteration submits nothing more, and
	 * asks running tasks to stop. It still returns the arguments in progress: if their tasks
	 * did not finish normally, FL_ETASK with the error -ETIMEDOUT (deadline) or -ECANCELED
	 * (token). Then the calls return that error. The token must outlive the iteration; NULL
	 * means none, not the caller's scope.
	 */
	fl_time deadline;
	fl_cancel_token *cancel;
	uintptr_t more_[4];
} fl_imap_config;

/*
 * Creates an iteration of tasks of `type`, and submits the first chunk. The arguments are the `n`
 * elements of the array `args`, or those of `config->next`, with `args` NULL and `n` 0. The
 * executor must outlive the iteration. Waits only where fl_executor_submit() or `next` does.
 * Returns 0, -ENOMEM, or:
 *   -EINVAL  there are both an array and a generator
 *   other    an error of fl_executor_submit() for the first chunk
 */
FL_API FL_MUST_CHECK int fl_imap_create(fl_imap **it, fl_executor *e, const fl_task_type *type, const void *args,
                                        size_t n, const fl_imap_config *config);

/*
 * Waits for the next result, copies it to `*result`, which may be NULL if results have no size, and
 * stores the index of its argument in `*index`, which may be NULL. Submits further chunks if no
 * result of earlier ones is left.
 *
 * fl_imap_next() and fl_imap_next_until() block the calling context; a worker of the executor
 * meanwhile runs pending tasks of the iteration. fl_imap_try_next() never waits for a running task,
 * but on the sequential executor it runs one. Returns 0, or:
 *   FL_ETASK    the task of argument `*index` failed or was cancelled: see fl_imap_error().
 *               `*result` is unchanged, except after fl_task_keep_result()
 *   -ENODATA    all results were returned
 *   -EAGAIN     only fl_imap_try_next(): there is no result yet, or a submit has returned -EAGAIN
 *   -ECANCELED  this wait was cancelled, or the iteration was, by its token
 *   -ETIMEDOUT  the deadline of fl_imap_next_until() passed, or that of the iteration
 *   other       the error of `next`; or of fl_executor_submit() for the next chunk, which the next
 *               call submits again
 *
 * When its deadline, its token or `next` has ended the iteration, all later calls return the
 * reason. After another error it can go on: after -ETIMEDOUT or -ECANCELED of only this wait,
 * fl_imap_try_next() returns a result or -EAGAIN.
 *
 * Memory order: the task happens before the return of its result.
 */
FL_API FL_MUST_CHECK int fl_imap_next_until(fl_imap *it, size_t *index, void *result, fl_time deadline,
                                            fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_imap_next(fl_imap *_it, size_t *_index, void *_result)
{
	return fl_imap_next_until(_it, _index, _result, FL_FOREVER, NULL);
}
FL_API FL_MUST_CHECK int fl_imap_try_next(fl_imap *it, size_t *index, void *result);

/*
 * Returns the error, as fl_future_error() does, of the task for which FL_ETASK was last returned
 * (0: none yet).
 */
FL_API int fl_imap_error(const fl_imap *it);

/* Returns the message of that task, or "" if there is none, until `it` is used again. */
FL_API const char *fl_imap_message(const fl_imap *it);

/*
 * Frees the iteration, without waiting. Pending tasks are cancelled, and running tasks asked to
 * stop.
 */
FL_API void fl_imap_free(fl_imap *it);

FL__SCOPED(fl_imap, fl_imap_free)

FL_END_DECLS

#endif
