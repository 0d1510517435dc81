/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PROMISE_H
#define FAIRLEAD_PROMISE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/future.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Promise: ends a future by hand. For results that come from no executor: a reply that comes in, a
 * library that calls back.
 *
 *     FL_PROMISE_OF(struct reply, reply_promise)              // at file scope: the typed calls
 *
 *     rc = reply_promise_create(&p, NULL, &f);                // check; p is the producer's,
 *                                                             // f the consumer's
 *
 *     rc = reply_promise_set(p, reply);                       // 0; or -ECANCELED: the future
 *                                                             // was cancelled
 *     fl_promise_free(p);
 *
 *     rc = reply_promise_get(f, &reply);
 *
 * The future is pending until the promise is set, failed, or freed unfulfilled. The first of these
 * counts. fl_future_cancel() cancels a pending future: until fl_promise_start(), if that is called.
 * A worker that waits for the future cannot help with it.
 *
 * Several contexts may use a promise at a time; the free must be the last use. Callbacks of the
 * future run in the call that ends it.
 */
typedef struct fl_promise fl_promise;

/*
 * Creates a promise of a result of `size` bytes, aligned like memory of malloc(), and its future.
 * When the future is freed, `drop` is called with a result that was set, or that came with a
 * failure; NULL: no call. Never waits. Returns:
 *
 *   0
 *   -ENOMEM
 *   -E2BIG    `size` is above FL_TASK_SIZE_MAX
 */
FL_API FL_MUST_CHECK int fl_promise_create(fl_promise **p, size_t size, void (*drop)(void *result), fl_future **f);

/*
 * Makes the future running, so that a cancel only requests the promise's token. Optional. Never
 * waits. Returns:
 *
 *   0
 *   -ECANCELED   the future was cancelled
 *   -EALREADY    the promise was started before, or is fulfilled
 */
FL_API FL_MUST_CHECK int fl_promise_start(fl_promise *p);

/*
 * Ends the future with a copy of `*value`, of the promise's size (NULL if that is 0). Never waits,
 * but calls the callbacks. Returns:
 *
 *   0
 *   -ECANCELED   the future was cancelled
 *   -EALREADY    the promise was set or failed before; the first result stays
 *
 * On an error the value is still the caller's. Memory order: a context that sees the future done
 * sees what was written before.
 */
FL_API FL_MUST_CHECK int fl_promise_set(fl_promise *p, const void *value);

/*
 * Ends the future as failed, with `error` (0 becomes -EINVAL) and a message, printf-like, cut at
 * FL_MESSAGE_MAX - 1 bytes. Otherwise as fl_promise_set().
 */
FL_API FL_MUST_CHECK int fl_promise_fail(fl_promise *p, int error, const char *format, ...) FL_PRINTF(3, 4);

/*
 * As fl_promise_fail(), with a copy of `*value`, of the promise's size (NULL if that is 0), as of a
 * task that has kept its result (fl_task_keep_result()). fl_future_get() copies the value and
 * returns FL_ETASK; `drop` is called with it. On an error the value is still the caller's.
 */
FL_API FL_MUST_CHECK int fl_promise_fail_with(fl_promise *p, const void *value, int error, const char *format, ...)
    FL_PRINTF(4, 5);

/*
 * A token that is requested when the future is cancelled, or when a started promise is requested to
 * stop: for waits and callbacks of the producer. Valid until the promise is freed. Never waits.
 */
FL_API fl_cancel_token *fl_promise_token(fl_promise *p);

/*
 * Frees the promise; the future stays. If the promise was not fulfilled, the future ends as failed,
 * with -EOWNERDEAD and the message "broken promise"; callbacks run. Requires that the promise's
 * token is not used any more. NULL does nothing. Never waits.
 */
FL_API void fl_promise_free(fl_promise *p);

static inline void fl__scoped_fl_promise(fl_promise **_p)
{
	fl_promise_free(*_p);
}

FL_END_DECLS

/*
 * FL_PROMISE_OF(struct reply, reply_promise) defines reply_promise_create(&p, drop, &f),
 * reply_promise_set(p, reply), reply_promise_get(f, &reply), _try_get and _get_until. At file
 * scope; C and C++. The handles stay fl_promise and fl_future.
 */
#define FL__PROMISE_FN __attribute__((unused)) static inline FL_MUST_CHECK int
#define FL_PROMISE_OF(type, name)                                                                                      \
	FL__PROMISE_FN name##_create(fl_promise **_p, void (*_drop)(void *_result), fl_future **_f)                    \
	{                                                                                                              \
		return fl_promise_create(_p, sizeof(type), _drop, _f);                                                 \
	}                                                                                                              \
	FL__PROMISE_FN name##_set(fl_promise *_p, type _value)                                                         \
	{                                                                                                              \
		return fl_promise_set(_p, &_value);                                                                    \
	}                                                                                                              \
	FL__PROMISE_FN name##_get(fl_future *_f, type *_result)                                                        \
	{                                                                                                              \
		return fl_future_get(_f, _result, sizeof *_result);                                                    \
	}                                                                                                              \
	FL__PROMISE_FN name##_try_get(fl_future *_f, type *_result)                                                    \
	{                                                                                                              \
		return fl_future_try_get(_f, _result, sizeof *_result);                                                \
	}                                                                                                              \
	FL__PROMISE_FN name##_get_until(fl_future *_f, type *_result, int64_t _deadline, fl_cancel_token *_cancel)     \
	{                                                                                                              \
		return fl_future_get_until(_f, _result, sizeof *_result, _deadline, _cancel);                          \
	}

#endif
