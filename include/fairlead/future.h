/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FUTURE_H
#define FAIRLEAD_FUTURE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>

FL_BEGIN_DECLS

struct fl_executor;
struct fl_task_type;

/*
 * A future is the result of a task that was submitted to an executor.
 *
 *     FL_SCOPED(fl_future) *f = NULL;
 *     rc = count_primes_submit(pool, (struct range){ 1, 100 }, &f);                   // check
 *     rc = count_primes_get_until(f, &n, fl_after(FL_S(5)), NULL);
 *     if (rc == FL_ETASK)
 *             fprintf(stderr, "%s\n", fl_future_message(f));
 *
 * A future is pending, then running, then done; or cancelled, if its task is cancelled before it
 * starts. A context that sees a future done or cancelled sees what its task wrote. Each handle is
 * one reference, to be freed once, at any time.
 */
typedef struct fl_future fl_future;

typedef enum fl_task_state { FL_PENDING, FL_RUNNING, FL_DONE, FL_CANCELLED } fl_task_state;

/*
 * Returns `f`, with another reference, which you must free, too. Panics above 8,388,607 references.
 */
FL_API fl_future *fl_future_ref(fl_future *f);

/* Frees a reference. The task goes on. */
FL_API void fl_future_free(fl_future *f);

/*
 * Waits until the task has succeeded, has failed, or was cancelled. Blocks the calling context,
 * except fl_future_try_wait(). If the wait fails, the task goes on.
 *
 *     rc = fl_future_wait_until(f, fl_after(FL_S(5)), NULL);
 *     if (rc == -ETIMEDOUT)
 *             FL_IGNORE(fl_future_cancel(f));         // its result is no longer needed
 *
 * Returns 0, -ETIMEDOUT or -ECANCELED. fl_future_try_wait() returns 0, or -EAGAIN if the task has
 * not ended.
 */
FL_API FL_MUST_CHECK int fl_future_wait_until(fl_future *f, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_future_wait(fl_future *_f)
{
	return fl_future_wait_until(_f, FL_FOREVER, NULL);
}
FL_API FL_MUST_CHECK int fl_future_try_wait(fl_future *f);

/*
 * Waits as fl_future_wait() does, and copies the result of the task, of `size` bytes, to `*result`.
 * If `size` is 0, `result` may be NULL. fl_future_try_get() does not wait. Returns 0, -ETIMEDOUT,
 * -ECANCELED, or:
 *   FL_ETASK  the task has failed or was cancelled. `*result` is unchanged, except after
 *             fl_task_keep_result() or fl_promise_fail_with()
 *   -EAGAIN   only fl_future_try_get(): the task has not ended
 *   -EINVAL   `size` is not the size of the result type
 *   -ENOMEM   no memory to copy the bytes of an fl_bytes
 */
FL_API FL_MUST_CHECK int fl_future_get_until(fl_future *f, void *result, size_t size, fl_time deadline,
                                             fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_future_get(fl_future *_f, void *_result, size_t _size)
{
	return fl_future_get_until(_f, _result, _size, FL_FOREVER, NULL);
}
FL_INLINE FL_MUST_CHECK int fl_future_try_get(fl_future *_f, void *_result, size_t _size)
{
	const int _rc = fl_future_try_wait(_f);
	return _rc == 0 ? fl_future_get_until(_f, _result, _size, FL_NO_WAIT, FL_SHIELDED) : _rc;
}

/* Returns the state of `f`. */
FL_API fl_task_state fl_future_state(const fl_future *f);

/*
 * Returns the result inside the future, which is valid until `f` is freed; NULL if the task has not
 * ended, was cancelled, has failed without keeping its result, or has none.
 */
FL_API const void *fl_future_result(const fl_future *f);

/*
 * Returns whether and why the task has failed:
 *   0             the task has succeeded
 *   -EINPROGRESS  the task has not ended
 *   -ECANCELED    the task was cancelled, or its function returned -ECANCELED
 *   -ETIMEDOUT    a deadline ended the task (fl_submit_config), or its function returned -ETIMEDOUT
 *   other         the error that the task's function returned, or, for example, -EOWNERDEAD if its
 *                 worker died
 */
FL_API int fl_future_error(const fl_future *f);

/*
 * Returns the message of a task that has failed or was cancelled, or "" if there is none. It is
 * shorter than FL_MESSAGE_MAX bytes, and lasts as long as `f`.
 */
FL_API const char *fl_future_message(const fl_future *f);
#define FL_MESSAGE_MAX 256

/*
 * Cancels the task, without waiting. If it has not started, it ends at once, and its callbacks run
 * on the calling thread. A running task is asked to stop, which it may ignore;
 * fl_future_cancel_pending() leaves it alone.
 *
 *     rc = fl_future_cancel(f);
 *     if (rc == -EINPROGRESS)                         // it runs: wait until it has stopped
 *             rc = fl_future_wait(f);
 *
 * Returns:
 *   0             the task has ended as cancelled, now or before
 *   -EINPROGRESS  the task runs, or another context is just cancelling or submitting it
 *   -EALREADY     the task has ended in another way
 */
FL_API FL_MUST_CHECK int fl_future_cancel(fl_future *f);
FL_API FL_MUST_CHECK int fl_future_cancel_pending(fl_future *f);

typedef void fl_future_callback(fl_future *f, void *arg);

/*
 * Registers a callback. The thread that ends or cancels the task calls `callback(f, arg)`; if the
 * task has ended already, this call does. Callbacks run in the order of registration, and a wait
 * for the task may return before they do. A callback has no cancel scope. It may free references to
 * `f`, but must not block for long, or wait for the end of the task's executor. Returns 0 or
 * -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_future_on_end(fl_future *f, fl_future_callback *callback, void *arg);

/* FL_ON_FUTURE(f) is an object for FL_WAIT_ANY(), ready when the task has ended. */
#define FL_ON_FUTURE(f) FL__ON(fl__on_future, (f))
FL_API extern const fl_on_type fl__on_future;

FL__SCOPED(fl_future, fl_future_free)

/*
 * Chains a task of `type` to `f`. When `f` has succeeded, the task is submitted to `e`, with the
 * result of `f` as its argument. Stores its future in `*next`, unless `next` is NULL.
 *
 *     rc = fetch_submit(pool, url, &page);                    // check; its result is a struct page
 *     rc = fl_future_then(page, cpus, &parse, &tree);         // check; parse takes a struct page
 *     fl_future_free(page);
 *     rc = parse_get(tree, &result);
 *
 * If `f` fails or is cancelled, `*next` ends in the same way, with the same error and message. If
 * the submit fails, so does `*next`, with the submit's error, such as -EPIPE if `e` is closed or
 * freed by then. To stop both, cancel `f`: a cancel of `*next` leaves `f` alone.
 *
 * The thread that ends `f` submits the task, or this call does, if `f` has ended already. `*next`
 * holds a reference to `f`, so the result of `f` lasts at least as long as `*next`; the `drop_arg`
 * of `type` does not run. Returns 0, -ENOMEM, -EOWNERDEAD, or:
 *   -EINVAL  the type's argument does not have the size of the result of `f`, or only one of them
 *            is an fl_bytes
 */
FL_API FL_MUST_CHECK int fl_future_then(fl_future *f, struct fl_executor *e, const struct fl_task_type *type,
                                        fl_future **next);

/*
 * A promise ends a future by hand, for results that come from no executor.
 *
 *     FL_PROMISE_OF(struct reply, reply_promise)              // at file scope: the typed calls
 *
 *     rc = reply_promise_create(&p, NULL, &f);              // check
 *     rc = reply_promise_set(p, reply);                     // the producer; -ECANCELED: cancelled
 *     fl_promise_free(p);
 *     rc = reply_promise_get(f, &reply);                    // the consumer
 *
 * Until the promise is started, set, failed or freed, fl_future_cancel() can cancel the future.
 */
typedef struct fl_promise fl_promise;

/*
 * Creates a promise and its future, for results of `size` bytes. Free both. When a future that has
 * a result is freed, drop(result) is called; `drop` may be NULL. Returns 0, -ENOMEM, or:
 *   -E2BIG   `size` is above FL_TASK_SIZE_MAX
 *   -EINVAL  `drop` is FL_BYTES_DROP, and `size` is below that of an fl_bytes
 */
FL_API FL_MUST_CHECK int fl_promise_create(fl_promise **p, size_t size, void (*drop)(void *result), fl_future **f);

/*
 * Makes the future running. From then on a cancel of the future does not end it, but only cancels
 * the promise's token. A promise need not be started. Returns 0; -ECANCELED if the future was
 * cancelled before; or -EALREADY if the promise was started, set or failed before.
 */
FL_API FL_MUST_CHECK int fl_promise_start(fl_promise *p);

/*
 * Ends the future. fl_promise_set() gives it a copy of `*value` as its result; `value` may be NULL
 * if results are 0 bytes. fl_promise_fail() makes the future fail, with the error `error` (0
 * becomes -EINVAL) and a printf() message. fl_promise_fail_with() does the same, but the failed
 * future also keeps a copy of `*value` as its result. Returns 0, or:
 *   -ECANCELED  the future was cancelled before
 *   -EALREADY   the promise was set or failed before
 */
FL_API FL_MUST_CHECK int fl_promise_set(fl_promise *p, const void *value);
FL_API FL_MUST_CHECK int fl_promise_fail(fl_promise *p, int error, const char *message, ...) FL_PRINTF(3, 4);
FL_API FL_MUST_CHECK int fl_promise_fail_with(fl_promise *p, const void *value, int error, const char *message, ...)
    FL_PRINTF(4, 5);

/*
 * Returns the promise's token, which is cancelled when the future is cancelled or asked to stop,
 * and lasts as long as the promise.
 */
FL_API fl_cancel_token *fl_promise_token(fl_promise *p);

/*
 * Frees the promise. If the future has not ended, it fails with -EOWNERDEAD and the message "broken
 * promise".
 */
FL_API void fl_promise_free(fl_promise *p);

FL__SCOPED(fl_promise, fl_promise_free)

/*
 * An iteration over futures in the order in which they end. Only one context at a time may use it.
 *
 *     rc = fl_as_completed_create(&done, f, n);          // check
 *     while ((rc = fl_as_completed_next_until(done, &i, deadline, NULL)) == 0)
 *             ...                                             // f[i] has ended
 */
typedef struct fl_as_completed fl_as_completed;

/*
 * Creates an iteration over the `n` futures of the array `f`, with references of its own. A future
 * that is in the array twice is returned once, with its first index. Futures that have ended
 * already come first, in the order of the array. Returns 0 or -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_as_completed_create(fl_as_completed **c, fl_future *const *f, size_t n);

/*
 * Waits until the next future has ended, and stores its index in the array in `*index`. Both
 * functions block the calling context. Returns 0, -ETIMEDOUT, -ECANCELED, or -ENODATA if all
 * futures were returned.
 */
FL_API FL_MUST_CHECK int fl_as_completed_next_until(fl_as_completed *c, size_t *index, fl_time deadline,
                                                    fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_as_completed_next(fl_as_completed *_c, size_t *_index)
{
	return fl_as_completed_next_until(_c, _index, FL_FOREVER, NULL);
}

/* Frees the iteration. The futures are not affected. */
FL_API void fl_as_completed_free(fl_as_completed *c);

FL__SCOPED(fl_as_completed, fl_as_completed_free)

FL_END_DECLS

/* Becomes `a` if the type is the word void, otherwise `b`. */
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

/* The parameter for a result, after a comma, or nothing if `type` is void. */
#define FL__TASK_RESULT(type) FL__IF_VOID(type, FL__TASK_NOTHING, FL__TASK_COMMA)(__typeof__(type) *_result)
#define FL__TASK_COMMA(...) , __VA_ARGS__
#define FL__TASK_NOTHING(...)

/* `result` is the parameter, after a comma. `value` is the argument made from it. */
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
 * FL_PROMISE_OF(struct reply, reply_promise), at file scope, makes the typed calls of a promise:
 * reply_promise_create(&p, drop, &f), reply_promise_set(p, reply), reply_promise_get(f, &reply),
 * reply_promise_try_get() and reply_promise_get_until().
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
