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
 * A lazy map runs a task for many arguments, and returns the results one by one. It computes
 * further results meanwhile.
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
 * The arguments come from an array, or from a generator: the function `next` of the config. An
 * argument is in progress from its submit until its result is returned. At most a window of
 * arguments is in progress at a time, so a generator may be endless. Results come in the order of
 * the arguments or, with `unordered`, in the order of completion. The iteration goes on after a
 * failure, with the next chunk.
 *
 * Arguments are copied when they are submitted, and results when they are returned. The arguments
 * of an array stay the caller's, and the array must exist until the iteration has ended or is
 * freed. For an argument of a generator, the type's `drop_arg` runs once: when the result was
 * returned, or is no longer needed. A result that was returned is the caller's; `drop_result` runs
 * for all other results.
 *
 * Only one context at a time may use an iteration. That context may be a task of the same executor.
 */
typedef struct fl_imap fl_imap;

typedef struct fl_imap_config {
	/*
	 * How many arguments one task runs; 0 means 1. A process executor takes fewer if the
	 * results of a task would not fit into 64 KiB. The results of a chunk come together. If an
	 * argument fails, the arguments after it in its chunk are not run, and fail with the same
	 * error and message.
	 */
	size_t chunk;
	/*
	 * The most arguments in progress; a chunk is never larger. 0 means, for each worker of the
	 * executor, as many chunks as have arguments and results of 1 MiB, but at least 2 chunks
	 * and at most 1,024. In all it is at most 16,384 chunks or, with more than 16,384 workers,
	 * one chunk for each worker. Bytes behind an fl_bytes do not count as sizes here, so give a
	 * window where the arguments or the results have many. On the sequential executor one chunk
	 * is in progress.
	 */
	size_t window;
	bool unordered; /* whether results come in the order of completion */
	/*
	 * The generator, in place of an array. It stores the next argument in `*arg` and returns 1,
	 * or returns 0 if there is none. Any other value ends the iteration when the arguments in
	 * progress have ended: a negative value is the error, and a value above 1 becomes -EINVAL.
	 * It is called on the thread that uses the iteration.
	 */
	int (*next)(void *state, void *arg);
	void *state;
	/*
	 * After the deadline, or after a request of the token, the iteration submits no further
	 * argument, and requests the running tasks to stop. It still returns the arguments in
	 * progress. A task that finished normally has its result, or its own error; the others end
	 * with FL_ETASK and the error -ETIMEDOUT (deadline) or -ECANCELED (token). When none is
	 * left, the calls return -ETIMEDOUT or -ECANCELED. With `cancel` NULL there is no token,
	 * and the caller's cancel scope is not observed. The token must outlive the iteration.
	 */
	fl_time deadline;
	fl_cancel_token *cancel;
	uintptr_t more_[4];
} fl_imap_config;

/*
 * Creates an iteration of tasks of `type`, and submits the first chunk of arguments. The arguments
 * are the `n` elements of the array `args`, or those that `config->next` generates (then `args` is
 * NULL and `n` is 0). `config` may be NULL. The executor must outlive the iteration. The call waits
 * only where fl_executor_submit() or `next` does. Returns:
 *   0        `*it` is the new iteration
 *   -ENOMEM  out of memory
 *   -EINVAL  there are both an array and a generator
 *   other    an error of fl_executor_submit() for the first chunk, with the meaning that it has
 *            there
 */
FL_API FL_MUST_CHECK int fl_imap_create(fl_imap **it, fl_executor *e, const fl_task_type *type, const void *args,
                                        size_t n, const fl_imap_config *config);

/*
 * Waits for the next result, copies it to `*result`, and stores the index of its argument in
 * `*index`. `result` may be NULL if the result has no size, and `index` may be NULL. fl_imap_next()
 * and fl_imap_next_until() block the calling context. During the wait, a worker runs tasks of the
 * iteration that are pending in its own executor. When no result of an earlier chunk is left to
 * return, both functions submit the next chunk if the window allows one, and further chunks until a
 * result is ready. Returns:
 *   0           `*result` is the result of argument `*index`
 *   FL_ETASK    the task of argument `*index` failed or was cancelled: see fl_imap_error().
 *               `*result` is unchanged, unless the task has kept its result
 *               (fl_task_keep_result()): then `*result` is that result
 *   -ENODATA    all results were returned
 *   -ECANCELED  this wait was cancelled, and the iteration can go on; or the iteration has ended
 *               because its token was requested
 *   -ETIMEDOUT  the deadline of fl_imap_next_until() passed, and the iteration can go on; or the
 *               iteration has ended because its own deadline passed
 *   other       the error of the config's `next`, which has ended the iteration; or an error of
 *               fl_executor_submit() for the next chunk, after which the next call submits that
 *               chunk again
 *
 * If its deadline, its token or an error of `next` has ended the iteration, the reason is returned
 * when no argument is in progress any more. Every later call returns the same reason. To tell
 * whether -ETIMEDOUT or -ECANCELED ended only this wait or the iteration, call fl_imap_try_next():
 * if the iteration goes on, it returns a result or -EAGAIN.
 *
 * Memory order: the caller sees what the task wrote.
 */
FL_API FL_MUST_CHECK int fl_imap_next_until(fl_imap *it, size_t *index, void *result, fl_time deadline,
                                            fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_imap_next(fl_imap *_it, size_t *_index, void *_result)
{
	return fl_imap_next_until(_it, _index, _result, FL_FOREVER, NULL);
}

/*
 * Returns the next result if it is ready, and never waits for a running task. It copies the result
 * to `*result` and stores the index of its argument in `*index`; both may be NULL where
 * fl_imap_next() allows it. On the sequential executor it runs a task. Returns:
 *   0         `*result` is the result of argument `*index`
 *   FL_ETASK  the task of argument `*index` failed or was cancelled, as with fl_imap_next()
 *   -EAGAIN   there is no result yet; also if fl_executor_submit() has returned -EAGAIN for the
 *             next chunk
 *   -ENODATA  all results were returned
 *   other     the reason why the iteration has ended, or an error of fl_executor_submit() for the
 *             next chunk, as with fl_imap_next()
 */
FL_API FL_MUST_CHECK int fl_imap_try_next(fl_imap *it, size_t *index, void *result);

/*
 * Returns the error of the task for which FL_ETASK was last returned. The values are those of
 * fl_future_error(). It returns 0 if FL_ETASK was not returned yet.
 */
FL_API int fl_imap_error(const fl_imap *it);

/*
 * Returns the message of the task for which FL_ETASK was last returned. It is "" if there is none,
 * and is valid until `it` is used again.
 */
FL_API const char *fl_imap_message(const fl_imap *it);

/*
 * Frees the iteration, and ends it if tasks are left: tasks that have not started are cancelled,
 * and running tasks are requested to stop. The call does not wait for a running task. The task goes
 * on with its copy of the argument, and its hooks run later.
 */
FL_API void fl_imap_free(fl_imap *it);

FL__SCOPED(fl_imap, fl_imap_free)

FL_END_DECLS

#endif
