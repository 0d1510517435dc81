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
 * Promise: the other side of a future that no executor ends, but your own code: a reply that comes in, a library that calls
 * back.
 *
 *     FL_PROMISE_OF(struct reply, reply_promise)              // at file scope: the typed calls
 *
 *     rc = reply_promise_create(&p, NULL, &f);                // check; p goes to whoever answers, f to whoever asks
 *
 *     rc = reply_promise_set(p, reply);                       // 0; or -ECANCELED: nobody wants it any more
 *     fl_promise_free(p);
 *
 *     rc = reply_promise_get(f, &reply);
 *
 * Its future is pending until somebody sets the promise, fails it, or frees it unfulfilled. The first of these counts. It is
 * cancelled by fl_future_cancel() as long as it is pending: until fl_promise_start(), if that is called. Who waits for the
 * future waits: no worker can help with it.
 *
 * Any context may use a promise, several at once; its free is the last use. Callbacks of the future run in the call that ends it.
 */
typedef struct fl_promise fl_promise;

/*
 * Makes a promise of a result of `size` bytes, aligned as memory of malloc() is, and its future. `drop`
 * is called when the future is freed, with a result that was set, or that came with a failure; NULL:
 * nothing is. Never waits. Returns 0, -ENOMEM, -E2BIG (above FL_TASK_SIZE_MAX).
 */
FL_API FL_MUST_CHECK int fl_promise_create(fl_promise **p, size_t size, void (*drop)(void *result), fl_future **f);

/*
 * Says that the work has begun: the future is running, so that a cancel only asks. Not needed before the others. Never waits.
 * Returns 0; -ECANCELED: the future was cancelled; -EALREADY: it was said before, or the promise is fulfilled.
 */
FL_API FL_MUST_CHECK int fl_promise_start(fl_promise *p);

/*
 * Ends the future with a copy of `*value`, of the promise's size (NULL when that is 0). Never waits, but callbacks run.
 * Returns 0; -ECANCELED: the future was cancelled; -EALREADY: the promise was set or failed before, and that stays. On an error
 * the value is still the caller's. Memory order: who sees the future done sees what was written before.
 */
FL_API FL_MUST_CHECK int fl_promise_set(fl_promise *p, const void *value);

/*
 * Ends the future as failed: with `error`, of which 0 becomes -EINVAL, and a message, printf-like, cut at FL_MESSAGE_MAX - 1
 * bytes. Otherwise as fl_promise_set().
 */
FL_API FL_MUST_CHECK int fl_promise_fail(fl_promise *p, int error, const char *format, ...) FL_PRINTF(3, 4);

/*
 * As fl_promise_fail(); the failure carries a copy of `*value`, of the promise's size (NULL when that is
 * 0), as that of a task that has kept its result (fl_task_keep_result()). fl_future_get() copies the
 * value and returns FL_ETASK; `drop` is called with it. On an error the value is still the caller's.
 */
FL_API FL_MUST_CHECK int fl_promise_fail_with(fl_promise *p, const void *value, int error, const char *format, ...)
    FL_PRINTF(4, 5);

/*
 * A token that is requested when the future is cancelled, or asked to stop once it has started: for waits and callbacks of
 * whoever does the work. Valid until the promise is freed. Never waits.
 */
FL_API fl_cancel_token *fl_promise_token(fl_promise *p);

/*
 * Frees the promise; the future stays. One that was not fulfilled ends its future as failed, with -EOWNERDEAD and the message
 * "broken promise"; callbacks run. Requires that its token is not used any more. NULL does nothing. Never waits.
 */
FL_API void fl_promise_free(fl_promise *p);

static inline void fl__scoped_fl_promise(fl_promise **_p)
{
	fl_promise_free(*_p);
}

FL_END_DECLS

/*
 * FL_PROMISE_OF(struct reply, reply_promise) makes reply_promise_create(&p, drop, &f), reply_promise_set(p, reply),
 * reply_promise_get(f, &reply), and its _try_get and _get_until. At file scope; C and C++. The types are fl_promise and fl_future.
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
