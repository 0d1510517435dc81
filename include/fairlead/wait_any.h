/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_WAIT_ANY_H
#define FAIRLEAD_WAIT_ANY_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * Waits until one of several objects is ready.
 *
 *     switch (FL_WAIT_ANY_UNTIL(fl_after(FL_S(1)), NULL, FL_ON_EVENT(&stop), FL_ON_QUEUE(jobs))) {
 *     case 0: ...                    // the event is set
 *     case 1: ...                    // the queue has an item, or is closed
 *     case -ETIMEDOUT: ...
 *     }
 *
 * The wait consumes nothing, neither an item nor a permit. Call the object's try form afterwards,
 * which fails if another context was faster.
 *
 * Limit: an item or a permit may wake all contexts that wait for it here, because the woken one may
 * not take it. So it costs time in proportion to their number.
 *
 * These macros, each in the header of its object, name an object: FL_ON_EVENT, FL_ON_SEM,
 * FL_ON_LATCH, FL_ON_THREAD, FL_ON_FIBER, FL_ON_GROUP, FL_ON_QUEUE, FL_ON_QUEUE_SPACE,
 * FL_ON_FUTURE, FL_ON_PROCESS, FL_ON_PIPE, FL_ON_PIPE_SPACE, FL_ON_SHM_EVENT, FL_ON_SHM_SEM,
 * FL_ON_SHM_QUEUE, FL_ON_SHM_QUEUE_SPACE and, in this header, FL_ON_CANCEL_TOKEN. For anything
 * else, such as an endpoint, a signal, a stream or a descriptor, let a fiber or a thread wait for
 * it and set an event.
 */
struct fl__node;

/* The operations of a kind of object. They are private. */
typedef struct fl_on_type {
	bool (*ready)(void *object);
	bool (*arm)(void *object, struct fl__node *node);
	void (*disarm)(void *object, struct fl__node *node);
	fl_time (*deadline)(void *object);
	bool by_tasks;
} fl_on_type;

typedef struct fl_on {
	const fl_on_type *type;
	void *object;
	uintptr_t node_[18];
} fl_on;

/* clang-format off */
#define FL__ON(type, object) { &(type), (object), { 0 } }
#define FL_ON_CANCEL_TOKEN(c) FL__ON(fl__on_cancel_token, (c))
/* clang-format on */
FL_API extern const fl_on_type fl__on_cancel_token;

/*
 * Waits until one of the `n` objects of the array `on` is ready. Blocks the calling context. A
 * token is ready when it is cancelled or its deadline has passed. Returns -ETIMEDOUT, -ECANCELED,
 * or:
 *   0 or more  the smallest index of a ready object
 *   -EINVAL    `n` is 0 or above INT_MAX
 */
FL_API FL_MUST_CHECK int fl_wait_any_until(fl_on *on, size_t n, fl_time deadline, fl_cancel_token *cancel);

FL_END_DECLS

/*
 * FL_WAIT_ANY() and FL_WAIT_ANY_UNTIL() call fl_wait_any_until() with a list of FL_ON_...()
 * objects.
 *
 *     int i = FL_WAIT_ANY(FL_ON_FUTURE(f), FL_ON_CANCEL_TOKEN(&stop));
 *     if (i == 0)
 *             rc = fl_future_get(f, &n, sizeof n);
 */
#ifdef __cplusplus
template <size_t _n>
static inline FL_MUST_CHECK int fl__wait_any_list(fl_on (&&_on)[_n], fl_time _deadline, fl_cancel_token *_cancel)
{
	return fl_wait_any_until(_on, _n, _deadline, _cancel);
}
#define FL_WAIT_ANY_UNTIL(deadline, cancel, ...) fl__wait_any_list({__VA_ARGS__}, deadline, cancel)
#else
#define FL_WAIT_ANY_UNTIL(deadline, cancel, ...)                                                                       \
	fl_wait_any_until((fl_on[]){__VA_ARGS__}, sizeof((fl_on[]){__VA_ARGS__}) / sizeof(fl_on), deadline, cancel)
#endif
#define FL_WAIT_ANY(...) FL_WAIT_ANY_UNTIL(FL_FOREVER, NULL, __VA_ARGS__)

#endif
