/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FUTURE_H
#define FAIRLEAD_FUTURE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Future: the result of a task that was submitted to an executor.
 *
 *     FL_SCOPED(fl_future) *f = NULL;
 *     rc = count_primes_submit(pool, (struct range){ 1, 100 }, &f);                   // check
 *     rc = count_primes_get_until(f, &n, fl_after(FL_S(5)), NULL);
 *     if (rc == FL_ETASK)
 *             fprintf(stderr, "%s\n", fl_future_message(f));
 *
 * A future is pending, then running, then done; or it is cancelled while pending. Each handle is
 * one reference. Its owner frees it once, at any time; that neither cancels nor waits for the task.
 * A worker of an executor that waits for a pending task of the same executor runs that task itself,
 * so nested waits need no free worker. While the worker sleeps for anything else, another worker
 * stands in for it (fairlead/blocking.h).
 *
 * In a forked child no task of the parent's executors runs. There only a cancel by the child ends a
 * future of such a task. Until then all forms of get and wait return -EOWNERDEAD, and so do
 * fl_futures_wait() and fl_as_completed_next(). The same holds for a chain (fairlead/then.h) behind
 * such a task. A promise of the parent may be set in the child.
 *
 * Memory order: a context that sees a future done or cancelled sees what its task wrote.
 */
typedef struct fl_future fl_future;

typedef enum fl_future_state { FL_PENDING, FL_RUNNING, FL_DONE, FL_CANCELLED } fl_future_state;

/*
 * Makes another reference, to be freed like the first. Returns `f`. Never waits. Panics above
 * 16,777,215 references.
 */
FL_API fl_future *fl_future_ref(fl_future *f);

/* Frees a reference; NULL does nothing. The task runs on. Never waits. */
FL_API void fl_future_free(fl_future *f);

/*
 * Waits for the end of the task and copies its result. `size` is the size of the result type;
 * `result` may be NULL if that is 0. Blocks the calling context. Observes its cancel scope.
 * Returns:
 *
 *   0
 *   FL_ETASK      the task failed or was cancelled (see fl_future_error()). `*result` is untouched,
 *                 unless the task has kept its result (fl_task_keep_result()): then that is copied.
 *   -ECANCELED    this wait was cancelled
 *   -EINVAL       `size` is not that of the result type
 *   -EOWNERDEAD   in a forked child, see above
 */
FL_INLINE FL_MUST_CHECK int fl_future_get(fl_future *f, void *result, size_t size);

/* As fl_future_get(); never waits: -EAGAIN while the task has not ended. */
FL_INLINE FL_MUST_CHECK int fl_future_try_get(fl_future *f, void *result, size_t size);

/* As fl_future_get(); also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_future_get_until(fl_future *f, void *result, size_t size, int64_t deadline,
                                             fl_cancel_token *cancel);

/*
 * Waits until the task has ended, with whatever result. Blocks the calling context. Observes its
 * cancel scope. Returns:
 *
 *   0
 *   -ECANCELED
 *   -EOWNERDEAD   in a forked child, see above
 */
FL_INLINE FL_MUST_CHECK int fl_future_wait(fl_future *f);

/* As fl_future_wait(); never waits: -EAGAIN while the task has not ended. */
FL_API FL_MUST_CHECK int fl_future_try_wait(fl_future *f);

/* As fl_future_wait(); also returns -ETIMEDOUT. */
FL_API FL_MUST_CHECK int fl_future_wait_until(fl_future *f, int64_t deadline, fl_cancel_token *cancel);

/* The present state. Never waits. Acquires if it is FL_DONE or FL_CANCELLED. */
FL_API fl_future_state fl_future_get_state(const fl_future *f);

/*
 * The result in place, valid until `f` is freed. NULL until the task has succeeded, or has failed
 * and kept its result (fl_task_keep_result()); and if the result has no size. Never waits.
 */
FL_API const void *fl_future_result(const fl_future *f);

/*
 * The error of the task: what its function returned, or why it did not run. 0 if it succeeded or
 * has not ended; -ECANCELED if it was cancelled before it started; -ETIMEDOUT if its deadline ended
 * it (fl_submit_config). Never waits.
 */
FL_API int fl_future_error(const fl_future *f);

/*
 * The message of a task that failed, or ""; at most FL_MESSAGE_MAX - 1 bytes, never NULL, valid
 * until `f` is freed. The message says whether the task was cancelled before it started, or ended
 * by its deadline. Never waits.
 */
FL_API const char *fl_future_message(const fl_future *f);
#define FL_MESSAGE_MAX 256

/*
 * Cancels the task if it has not started; requests a running task to stop. Callbacks of a cancelled
 * task run on the calling thread. Never waits. Returns:
 *
 *   0          the task has ended as cancelled, now or before
 *   -EBUSY     the task runs, and fl_task_is_cancelled() is now true for it; or another context is
 *              about to end the task as cancelled
 *   -EALREADY  the task has ended otherwise
 */
FL_API FL_MUST_CHECK int fl_future_cancel(fl_future *f);

/*
 * Cancels the task if it has not started; a running task is left alone. Callbacks of a cancelled
 * task run on the calling thread. Never waits. Returns:
 *
 *   0          the task has ended as cancelled, now or before
 *   -EBUSY     the task runs, and is not requested to stop; or another context is about to end the
 *              task as cancelled, or to submit it (fl_future_then())
 *   -EALREADY  the task has ended otherwise
 */
FL_API FL_MUST_CHECK int fl_future_cancel_pending(fl_future *f);

typedef void fl_future_callback(fl_future *f, void *arg);

/*
 * Registers a callback: `callback(f, arg)` is called once when the task ends, on the thread that
 * ends or cancels the task; if the task has ended, at once, on the calling thread. Callbacks of a
 * future run in the order of registration, without a cancel scope, and each with a copy of the
 * values of the context that registered it (fairlead/context_var.h). A callback may free references
 * to `f`, also that of the fl_future_cancel() or fl_future_cancel_pending() that calls it. It must
 * not block for long, nor wait for the end of the task's executor. A wait for the task may return
 * before the task's callbacks have. Never waits. Returns:
 *
 *   0
 *   -ENOMEM   `callback` will not be called
 */
FL_API FL_MUST_CHECK int fl_future_on_end(fl_future *f, fl_future_callback *callback, void *arg);

/*
 * For FL_WAIT_ANY(): ready when the task has ended. Such a wait does not run the task: another
 * worker must. In a forked child a future for which a wait returns -EOWNERDEAD is not ready.
 */
#define FL_ON_FUTURE(f) FL__ON(fl__on_future, (f))
FL_API extern const fl_on_type fl__on_future;

static inline void fl__scoped_fl_future(fl_future **_f)
{
	fl_future_free(*_f);
}

/* The inline functions. */

FL_INLINE int fl_future_get(fl_future *_f, void *_result, size_t _size)
{
	return fl_future_get_until(_f, _result, _size, FL_FOREVER, NULL);
}

FL_INLINE int fl_future_try_get(fl_future *_f, void *_result, size_t _size)
{
	const int _rc = fl_future_try_wait(_f);
	return _rc == 0 ? fl_future_get_until(_f, _result, _size, 0, FL_SHIELDED) : _rc;
}

FL_INLINE int fl_future_wait(fl_future *_f)
{
	return fl_future_wait_until(_f, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
