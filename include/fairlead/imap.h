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
 * Lazy map: returns results one by one, while the rest is being computed.
 *
 *     FL_SCOPED(fl_imap) *it = NULL;
 *     rc = count_primes_imap(pool, parts, 64, &it, NULL);             // check
 *     while ((rc = count_primes_imap_next(it, &index, &count)) == 0 || rc == FL_ETASK)
 *             if (rc == 0)
 *                     printf("part %zu: %d\n", index, count);
 *             else
 *                     printf("part %zu: %s\n", index, fl_imap_message(it));
 *                                             // now rc is -ENODATA: that was all; else check
 *
 * At most a window of arguments is under way at a time, so a generator (`next` of the config) may
 * be endless. Results come in the order of the arguments; or, `unordered`, of completion. The
 * iteration goes on after a failure.
 *
 * Arguments are copied when they are submitted, results when they are returned. Arguments of an
 * array stay the caller's; the array must stay until the end, or the free. For an argument of a
 * generator the type's `drop_arg` runs once, when its result was returned or is not needed any
 * more. A returned result is the caller's; `drop_result` runs for the others.
 *
 * One context at a time uses an iteration; it may be a task of the same executor.
 */
typedef struct fl_imap fl_imap;

typedef struct fl_imap_config {
	/*
	 * Arguments for each task; 0: 1. Process executors take fewer, so that the results of a
	 * task fit into 64 KiB. The results of a chunk come together. A worker that dies fails the
	 * one argument that it ran; the arguments after it are submitted again.
	 */
	size_t chunk;
	size_t window;  /* the most arguments under way; 0: chosen from the workers and the sizes */
	bool unordered; /* results in the order of completion */
	/*
	 * A generator, in place of an array: stores the next argument in `*arg` and returns 1; 0:
	 * there is none; an error (< 0, else -EINVAL) ends the iteration after the arguments under
	 * way. Called on the thread that uses the iteration.
	 */
	int (*next)(void *state, void *arg);
	void *state;
	/*
	 * After the deadline, or a request of the token (NULL: none; the scope is not
	 * observed), no argument is submitted, and running tasks are requested to stop. What is
	 * under way is still returned, as a result, or as FL_ETASK with -ETIMEDOUT after a
	 * deadline, else -ECANCELED; then the calls return -ETIMEDOUT or -ECANCELED. The token must
	 * outlive the iteration.
	 */
	fl_time deadline;
	fl_cancel_token *cancel;
	uintptr_t more_[4];
} fl_imap_config;

/*
 * Creates an iteration of `type` over the `n` elements of the array `args`, or over the arguments
 * of `config->next` (`args` NULL, `n` 0), and submits the first chunk. The executor must outlive
 * the iteration. Waits only as fl_submit() and `next` do. Returns 0, -ENOMEM, or:
 *   -EINVAL  both an array and a generator
 * or the error of fl_submit() for the first chunk.
 */
FL_API FL_MUST_CHECK int fl_imap_create(fl_imap **it, fl_executor *e, const fl_task_type *type, const void *args,
                                        size_t n, const fl_imap_config *config);

/*
 * Copies the next result to `*result` (NULL if it has no size), and stores the index of its
 * argument in `*index` (may be NULL). Submits the next chunk if the window has room, and more until
 * a result is ready. Blocks the calling context, and helps like fl_future_wait(). Returns 0, or:
 *   FL_ETASK    the task of argument `*index` failed or was cancelled (see fl_imap_error()).
 *               `*result` is untouched, or gets the kept result (fl_task_keep_result()).
 *   -ENODATA    all were returned
 *   -ECANCELED  this wait was cancelled, and may be called again, as after its deadline
 *
 * or, once nothing is under way, the reason for an early end: -ETIMEDOUT, -ECANCELED, or the error
 * of the config's `next`. Every later call returns that reason, too. So after -ETIMEDOUT or
 * -ECANCELED, fl_imap_try_next() tells whether this wait has ended or the iteration: it returns a
 * result or -EAGAIN, or else the reason again. After an error of fl_submit() for the next chunk,
 * the next call submits that chunk again. Memory order: the caller sees what the task wrote.
 */
FL_API FL_MUST_CHECK int fl_imap_next_until(fl_imap *it, size_t *index, void *result, fl_time deadline,
                                            fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_imap_next(fl_imap *_it, size_t *_index, void *_result)
{
	return fl_imap_next_until(_it, _index, _result, FL_FOREVER, NULL);
}

/*
 * As fl_imap_next(). Never waits: returns -EAGAIN while there is no result, also if that is because
 * fl_submit() has returned -EAGAIN for the next chunk. The sequential executor runs a task.
 */
FL_API FL_MUST_CHECK int fl_imap_try_next(fl_imap *it, size_t *index, void *result);

/* The error of the task for which FL_ETASK was last returned, as fl_future_error(); 0: none. */
FL_API int fl_imap_error(const fl_imap *it);

/* The message of that failure, as fl_future_message(). Valid until `it` is used again. */
FL_API const char *fl_imap_message(const fl_imap *it);

/*
 * Ends the iteration: cancels the tasks that have not started, requests running ones to stop, and
 * frees `it`. A running task may go on, with its copy of the argument, and runs its hooks.
 */
FL_API void fl_imap_free(fl_imap *it);

FL__SCOPED(fl_imap, fl_imap_free)

FL_END_DECLS

#endif
