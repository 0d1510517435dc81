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

struct fl_executor;
struct fl_task_type;

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
 * one reference. Its owner frees it once, at any time. A worker that waits for a pending task of
 * its own executor runs that task itself; in its other sleeps another stands in
 * (fairlead/blocking.h).
 *
 * In a forked child no task of the parent's executors runs: until the child cancels its future, or
 * a chain behind it (fl_future_then()), all forms of get and wait return -EOWNERDEAD. A promise of
 * the parent may be set in the child, unless another thread may have been inside of a call on its
 * future at the fork (fairlead/defs.h, Fork).
 *
 * Memory order: a context that sees a future done or cancelled sees what its task wrote.
 */
typedef struct fl_future fl_future;

typedef enum fl_future_state { FL_PENDING, FL_RUNNING, FL_DONE, FL_CANCELLED } fl_future_state;

/*
 * Makes another reference, which must be freed, too. Returns `f`. Panics above 16,777,215, which
 * includes those of the library.
 */
FL_API fl_future *fl_future_ref(fl_future *f);

/* Frees a reference. The task runs on. */
FL_API void fl_future_free(fl_future *f);

/*
 * Waits for the end of the task and copies its result, of `size` bytes (`result` may be NULL if
 * that is 0). Blocks the calling context. Returns 0, -ECANCELED, or:
 *   FL_ETASK     the task failed or was cancelled (see fl_future_error()). `*result` is untouched,
 *                or gets the kept result (fl_task_keep_result()).
 *   -EINVAL      `size` is not that of the result type
 *   -EOWNERDEAD  in a forked child, of a task that the parent's executor has not ended
 */
FL_API FL_MUST_CHECK int fl_future_get_until(fl_future *f, void *result, size_t size, fl_time deadline,
                                             fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_future_get(fl_future *_f, void *_result, size_t _size)
{
	return fl_future_get_until(_f, _result, _size, FL_FOREVER, NULL);
}

/*
 * Waits for the end of the task. Blocks the calling context. Returns 0, -ECANCELED, or:
 *   -EOWNERDEAD  in a forked child, of a task that the parent's executor has not ended
 */
FL_API FL_MUST_CHECK int fl_future_wait_until(fl_future *f, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_future_wait(fl_future *_f)
{
	return fl_future_wait_until(_f, FL_FOREVER, NULL);
}

/* As fl_future_wait(): -EAGAIN while the task has not ended. */
FL_API FL_MUST_CHECK int fl_future_try_wait(fl_future *f);

/* As fl_future_get(): -EAGAIN while the task has not ended. */
FL_INLINE FL_MUST_CHECK int fl_future_try_get(fl_future *_f, void *_result, size_t _size)
{
	const int _rc = fl_future_try_wait(_f);
	return _rc == 0 ? fl_future_get_until(_f, _result, _size, FL_NO_WAIT, FL_SHIELDED) : _rc;
}

/* The state. Acquires if it is FL_DONE or FL_CANCELLED. */
FL_API fl_future_state fl_future_get_state(const fl_future *f);

/*
 * The result in place, valid until `f` is freed. NULL until the task has succeeded, or has failed
 * and kept its result (fl_task_keep_result()); and if the result has no size.
 */
FL_API const void *fl_future_result(const fl_future *f);

/*
 * What the task's function returned, or why it did not run: -ECANCELED: cancelled; -ETIMEDOUT: its
 * deadline ended it (fl_submit_config). 0 until it has ended.
 */
FL_API int fl_future_error(const fl_future *f);

/* A failed task's message, or "", below FL_MESSAGE_MAX bytes, never NULL; lasts as long as `f`. */
FL_API const char *fl_future_message(const fl_future *f);
#define FL_MESSAGE_MAX 256

/*
 * Cancels the task if it has not started; requests a running task to stop. Callbacks of a cancelled
 * task run on the calling thread. Returns:
 *   0             the task has ended as cancelled, now or before
 *   -EINPROGRESS  the task runs, and fl_task_is_cancelled() is now true for it; or another context
 *                 is about to end the task as cancelled
 *   -EALREADY     the task has ended otherwise
 */
FL_API FL_MUST_CHECK int fl_future_cancel(fl_future *f);

/*
 * As fl_future_cancel(), but a running task is left alone. Returns:
 *   0          the task has ended as cancelled, now or before
 *   -EBUSY     the task is in use: a worker runs it, and it is not requested to stop; or another
 *              context is about to end the task as cancelled, or to submit it (fl_future_then())
 *   -EALREADY  the task has ended otherwise
 */
FL_API FL_MUST_CHECK int fl_future_cancel_pending(fl_future *f);

typedef void fl_future_callback(fl_future *f, void *arg);

/*
 * Has `callback(f, arg)` called once when the task ends, on the thread that ends or cancels the
 * task; if the task has ended, at once, on the calling thread. Callbacks that were registered
 * before the end run in the order of registration. A callback has no cancel scope. It may free
 * references to `f`. It must not block for long, nor wait for the end of the task's executor. A
 * wait for the task may return before the task's callbacks have. Returns 0, or:
 *   -ENOMEM  `callback` will not be called
 */
FL_API FL_MUST_CHECK int fl_future_on_end(fl_future *f, fl_future_callback *callback, void *arg);

/*
 * For FL_WAIT_ANY(): ready when the task has ended. Such a wait does not run the task. In a forked
 * child a future for which a wait returns -EOWNERDEAD is not ready.
 */
#define FL_ON_FUTURE(f) FL__ON(fl__on_future, (f))
FL_API extern const fl_on_type fl__on_future;

FL__SCOPED(fl_future, fl_future_free)

/*
 * Chains: a task that begins when another has succeeded, with its result as the argument.
 *
 *     rc = fetch_submit(pool, url, &page);                    // check; its result is a struct page
 *     rc = fl_future_then(page, cpus, &parse, &tree);         // check; parse takes a struct page
 *     fl_future_free(page);
 *     rc = parse_get(tree, &result);
 *
 * When `f` fails, or is cancelled, so does the next future, with the same error and message. If the
 * submit is refused (-EPIPE: `e` is closed, or freed; -ENOMEM), the next future fails with that
 * error.
 *
 * The next future holds a reference to `f`, whose result is dropped with the last one. No
 * `drop_arg` runs.
 *
 * fl_future_cancel() of the next future leaves `f` alone: to stop both, cancel `f`.
 */

/*
 * Chains a task of `type`, on `e`, to `f`, and stores its future in `*next`, unless `next` is NULL.
 * `e` may be freed before `f` ends, and does not wait for it. The thread that ends `f` submits the
 * task; if `f` has ended, this call does. A worker that waits for the next future may run the task
 * of `f` and the chained task, each under the rules of a wait for that task alone; in a wait for
 * the first of several futures only tasks that are pending when the wait begins.
 *
 * Chains may be as long as memory allows. A wait takes O(log n) steps to find the current stage of
 * n. Waits only if the sequential executor runs the task. Returns 0, or:
 *   -EINVAL  the type's argument size is not the result size of `f`; or one of the two is an
 *            fl_bytes (its hook is FL_BYTES_DROP), and the other is not, even if their sizes agree
 *   -ENOMEM  nothing is chained
 */
FL_API FL_MUST_CHECK int fl_future_then(fl_future *f, struct fl_executor *e, const struct fl_task_type *type,
                                        fl_future **next);

/*
 * Promise: ends a future by hand, for results that come from no executor.
 *
 *     FL_PROMISE_OF(struct reply, reply_promise)              // at file scope: the typed calls
 *
 *     rc = reply_promise_create(&p, NULL, &f);                // check
 *     rc = reply_promise_set(p, reply);                       // the producer; -ECANCELED: cancelled
 *     fl_promise_free(p);
 *     rc = reply_promise_get(f, &reply);                      // the consumer
 *
 * Until the promise is set, failed, freed or started, fl_future_cancel() cancels the future.
 *
 * Callbacks of the future run in the call that ends it.
 */
typedef struct fl_promise fl_promise;

/*
 * Creates a promise of a result of `size` bytes, aligned like memory of malloc(), and its future.
 * The free of the future calls `drop` (may be NULL) with a result that was set, or that came with a
 * failure. Returns 0, -ENOMEM, or:
 *   -E2BIG   `size` is above FL_TASK_SIZE_MAX
 *   -EINVAL  FL_BYTES_DROP, and `size` is below that of an fl_bytes
 */
FL_API FL_MUST_CHECK int fl_promise_create(fl_promise **p, size_t size, void (*drop)(void *result), fl_future **f);

/*
 * Optional: makes the future running, so that a cancel only requests the promise's token. Returns
 * 0, or:
 *   -ECANCELED  the future was cancelled
 *   -EALREADY   the promise was started before, or is fulfilled
 */
FL_API FL_MUST_CHECK int fl_promise_start(fl_promise *p);

/*
 * Ends the future with a copy of `*value` (NULL if the promise's size is 0). Returns 0, or:
 *   -ECANCELED  the future was cancelled
 *   -EALREADY   the promise was set or failed before; the first result stays
 *
 * On an error the value is still the caller's. Memory order: a context that sees the future done
 * sees what was written before.
 */
FL_API FL_MUST_CHECK int fl_promise_set(fl_promise *p, const void *value);

/*
 * Ends the future as failed, with `error` (0 becomes -EINVAL) and a message, printf-like, cut at
 * FL_MESSAGE_MAX - 1 bytes. Otherwise as fl_promise_set().
 */
FL_API FL_MUST_CHECK int fl_promise_fail(fl_promise *p, int error, const char *message, ...) FL_PRINTF(3, 4);

/*
 * As fl_promise_fail(), with a copy of `*value` (NULL if the promise's size is 0), as of a task
 * that has kept its result (fl_task_keep_result()).
 */
FL_API FL_MUST_CHECK int fl_promise_fail_with(fl_promise *p, const void *value, int error, const char *message, ...)
    FL_PRINTF(4, 5);

/*
 * A token that is requested when the future is cancelled, or requested to stop. Valid until the
 * promise is freed.
 */
FL_API fl_cancel_token *fl_promise_token(fl_promise *p);

/* Frees the promise. An unfulfilled future fails with -EOWNERDEAD, "broken promise". */
FL_API void fl_promise_free(fl_promise *p);

FL__SCOPED(fl_promise, fl_promise_free)

/*
 * Waits for several futures, together or in the order of their ends. The waits cancel nothing and
 * free nothing.
 *
 *     rc = fl_futures_wait_until(f, 3, FL_FIRST_ENDED, fl_after(FL_S(1)), NULL);
 *     rc = fl_futures_as_completed_create(&done, f, n);          // check
 *     while ((rc = fl_as_completed_next_until(done, &i, deadline, NULL)) == 0)
 *             ...                                             // f[i] has ended
 *
 * A forked child must neither use nor free an fl_as_completed of its parent.
 */
typedef enum fl_wait_mode {
	FL_ALL_ENDED,
	FL_FIRST_ENDED, /* at least one */
	FL_FIRST_ERROR, /* one with an error, or all; a cancelled task is no error */
} fl_wait_mode;

/*
 * Waits until all of the `n` futures have ended, or the first, or the first with an error. Blocks
 * the calling context. Takes O(n log n) steps at most, however many futures are pending or other
 * contexts wait. A worker runs pending tasks of its own executor, as in
 * fl_future_wait(). Returns how many of the array have ended by then (0 if `n` is 0), -ECANCELED,
 * -ENOMEM, or:
 *   -EINVAL      `n` is above INT_MAX, or `what` is unknown
 *   -EOWNERDEAD  in a forked child, if only futures of the parent's tasks could still end the wait
 *
 * After -ETIMEDOUT, or -ECANCELED, fl_futures_ended() returns how many have ended, and
 * fl_future_try_wait() which.
 */
FL_API FL_MUST_CHECK int fl_futures_wait_until(fl_future *const *f, size_t n, fl_wait_mode what, fl_time deadline,
                                               fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_futures_wait(fl_future *const *_f, size_t _n, fl_wait_mode _what)
{
	return fl_futures_wait_until(_f, _n, _what, FL_FOREVER, NULL);
}

/* The number of the `n` futures that have ended. Acquires, as fl_future_try_wait(). */
FL_INLINE size_t fl_futures_ended(fl_future *const *_f, size_t _n)
{
	size_t _ended = 0, _i;
	for (_i = 0; _i < _n; _i++)
		_ended += fl_future_try_wait(_f[_i]) == 0;
	return _ended;
}

/* An iteration in the order of ends. One context at a time uses it. */
typedef struct fl_as_completed fl_as_completed;

/*
 * Creates an iteration over the `n` futures of the array, with references of its own. A future that
 * is in the array twice is returned once, with its first index. The iteration takes n steps in all;
 * where a worker iterates over chains (fl_future_then()), each call that has to wait looks at all
 * that are left. Returns 0, -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_futures_as_completed_create(fl_as_completed **c, fl_future *const *f, size_t n);

/*
 * Waits until the next future has ended, and stores its index in the array in `*index`. Futures
 * that had ended before the create come first, in the order of the array. Blocks the calling
 * context. A worker first runs the tasks that are pending in its own executor. Returns 0, or:
 *   -ENODATA     all were returned
 *   -ECANCELED   may be called again, as after -ETIMEDOUT. The same deadline in each call limits
 *                the whole iteration.
 *   -EOWNERDEAD  in a forked child, of an iteration that the child made: the rest are futures of
 *                the parent's tasks that had not ended at the create
 */
FL_API FL_MUST_CHECK int fl_as_completed_next_until(fl_as_completed *c, size_t *index, fl_time deadline,
                                                    fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_as_completed_next(fl_as_completed *_c, size_t *_index)
{
	return fl_as_completed_next_until(_c, _index, FL_FOREVER, NULL);
}

/* As fl_as_completed_next(): -EAGAIN while none has ended. */
FL_API FL_MUST_CHECK int fl_as_completed_try_next(fl_as_completed *c, size_t *index);

/* Frees the iteration, which no context uses any more. The futures stay as they are. */
FL_API void fl_as_completed_free(fl_as_completed *c);

FL__SCOPED(fl_as_completed, fl_as_completed_free)

FL_END_DECLS

/* FL__IF_VOID(type, a, b): a when the type is the word void, else b. */
#define FL__VOID_void() ~, 1,
#define FL__SECOND(a, b, ...) b
#define FL__PROBE(...) FL__SECOND(__VA_ARGS__, 0, ~)
#define FL__IF_0(a, b) b
#define FL__IF_1(a, b) a
#define FL__IF_VOID(type, a, b) FL__IF_VOID_(FL__VOID_##type(), a, b)
#define FL__IF_VOID_(probe, a, b) FL__JOIN(FL__IF_, FL__PROBE(probe))(a, b)

/* Typed calls. */
#define FL__TASK_FN FL__MADE_FN FL_MUST_CHECK int
#define FL__TASK_SIZE(type) FL__IF_VOID(type, 0, sizeof(type))
#define FL__TASK_VALUE(type, value) FL__IF_VOID(type, NULL, value)

/* The parameter for a result, with the comma before it. None if the type is void. */
#define FL__TASK_RESULT(type) FL__IF_VOID(type, FL__TASK_NOTHING, FL__TASK_COMMA)(__typeof__(type) *_result)
#define FL__TASK_COMMA(...) , __VA_ARGS__
#define FL__TASK_NOTHING(...)

/* `result`: the parameter, with the comma before it; `value`: what it is passed on as. */
#define FL__FUTURE_GETS(name, result, value, size)                                                                     \
	FL__TASK_FN name##_get(fl_future *_f result)                                                                   \
	{                                                                                                              \
		return fl_future_get(_f, value, size);                                                                 \
	}                                                                                                              \
	FL__TASK_FN name##_try_get(fl_future *_f result)                                                               \
	{                                                                                                              \
		return fl_future_try_get(_f, value, size);                                                             \
	}                                                                                                              \
	FL__TASK_FN name##_get_until(fl_future *_f result, fl_time _deadline, fl_cancel_token *_cancel)                \
	{                                                                                                              \
		return fl_future_get_until(_f, value, size, _deadline, _cancel);                                       \
	}

/*
 * FL_PROMISE_OF(struct reply, reply_promise) defines reply_promise_create(&p, drop, &f),
 * reply_promise_set(p, reply), reply_promise_get(f, &reply), _try_get and _get_until. At file
 * scope; C and C++. The handles stay fl_promise and fl_future.
 */
#define FL_PROMISE_OF(type, name)                                                                                      \
	FL__VALUE(type)                                                                                                \
	FL__TASK_FN name##_create(fl_promise **_p, void (*_drop)(void *_result), fl_future **_f)                       \
	{                                                                                                              \
		return fl_promise_create(_p, sizeof(type), _drop, _f);                                                 \
	}                                                                                                              \
	FL__TASK_FN name##_set(fl_promise *_p, type _value)                                                            \
	{                                                                                                              \
		return fl_promise_set(_p, &_value);                                                                    \
	}                                                                                                              \
	FL__FUTURE_GETS(name, FL__TASK_COMMA(type *_result), _result, sizeof(type))

#endif
