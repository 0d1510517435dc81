/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_COND_H
#define FAIRLEAD_COND_H

#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Condition: waits, under a mutex, until another context says that something changed. The size of a pointer; valid
 * when all-zero.
 *
 *     FL_LOCKED(&lock);
 *     while (!ready)
 *             if ((rc = fl_cond_wait(&changed, &lock)) != 0)
 *                     return rc;
 *
 * Exact: a signal wakes one context that waited when it was given, FIFO, and nobody else; a waiter that times out or is
 * cancelled has not consumed a signal. There are no spurious wakes from the library; check the predicate all the same,
 * since another context may lock first. All waiters at one time must use the same mutex.
 *
 * Every wait returns with the mutex locked, whatever its result; taking it again is neither timed nor cancelled.
 * A condition may be destroyed as soon as all its waiters are woken, even before they return.
 */
typedef struct fl_cond {
	uintptr_t word_;
} fl_cond;
FL__ASSERT_SIZE(fl_cond, sizeof(void *));

/* clang-format off */
#define FL_COND_INIT { 0 }
/* clang-format on */

/* Makes `c` a condition without waiters. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_cond_init(fl_cond *c);

/* Returns 0 when nobody waits on `c`, else -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_cond_destroy(fl_cond *c);

/*
 * Unlocks `m`, waits to be woken, locks `m`. Unlocking and beginning to wait are one step for every signaller.
 * Blocks the calling context. Observes its cancel scope. Panics when `m` is not locked. Returns 0 when woken,
 * -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_cond_wait(fl_cond *c, fl_mutex *m);

/* As fl_cond_wait; also returns -ETIMEDOUT at `deadline`. */
FL_API FL_MUST_CHECK int fl_cond_wait_until(fl_cond *c, fl_mutex *m, int64_t deadline, fl_cancel_token *cancel);

/*
 * Waits until `predicate(arg)` holds; it is called with `m` locked, first at once. Returns 0 when it holds (also when it
 * came to hold at the moment of a timeout or cancel), else -ECANCELED.
 */
FL_INLINE FL_MUST_CHECK int fl_cond_wait_for(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg);

/* As fl_cond_wait_for; also returns -ETIMEDOUT at `deadline`. */
FL_INLINE FL_MUST_CHECK int fl_cond_wait_for_until(fl_cond *c, fl_mutex *m, bool (*predicate)(void *arg), void *arg,
                                                   int64_t deadline, fl_cancel_token *cancel);

/* Wakes the context that has waited longest, if any. With or without the mutex held. Never waits. */
FL_API void fl_cond_signal(fl_cond *c);

/* Wakes all that wait now. With or without the mutex held. Never waits. */
FL_API void fl_cond_broadcast(fl_cond *c);

/* The inline functions. */

FL_INLINE void fl_cond_init(fl_cond *_c)
{
	_c->word_ = 0;
}

FL_INLINE int fl_cond_wait(fl_cond *_c, fl_mutex *_m)
{
	return fl_cond_wait_until(_c, _m, FL_FOREVER, NULL);
}

FL_INLINE int fl_cond_wait_for(fl_cond *_c, fl_mutex *_m, bool (*_predicate)(void *), void *_arg)
{
	return fl_cond_wait_for_until(_c, _m, _predicate, _arg, FL_FOREVER, NULL);
}

FL_INLINE int fl_cond_wait_for_until(fl_cond *_c, fl_mutex *_m, bool (*_predicate)(void *), void *_arg,
                                     int64_t _deadline, fl_cancel_token *_cancel)
{
	int _rc = 0;
	while (!_predicate(_arg)) {
		if (_rc != 0)
			return _rc;
		_rc = fl_cond_wait_until(_c, _m, _deadline, _cancel);
	}
	return 0;
}

FL_END_DECLS

#endif
