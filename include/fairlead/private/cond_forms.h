/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_COND_FORMS_H
#define FAIRLEAD_COND_FORMS_H

#include <fairlead/cancel.h>
#include <fairlead/time.h>

/*
 * This header is private. It makes the waits of a condition that have no deadline, and the waits
 * for a predicate, from the wait until a deadline.
 */
#define FL__COND_FORMS(cond, mutex)                                                                                    \
	FL_INLINE int cond##_wait(cond *_c, mutex *_m)                                                                 \
	{                                                                                                              \
		return cond##_wait_until(_c, _m, FL_FOREVER, NULL);                                                    \
	}                                                                                                              \
	FL_INLINE int cond##_wait_for_until(cond *_c, mutex *_m, bool (*_predicate)(void *), void *_arg,               \
	                                    fl_time _deadline, fl_cancel_token *_cancel)                               \
	{                                                                                                              \
		int _rc = 0;                                                                                           \
		while (!_predicate(_arg)) {                                                                            \
			if (_rc != 0)                                                                                  \
				return _rc;                                                                            \
			_rc = cond##_wait_until(_c, _m, _deadline, _cancel);                                           \
			/* the caller may not have the mutex, or must recover it */                                    \
			if (_rc != 0 && _rc != -ETIMEDOUT && _rc != -ECANCELED)                                        \
				return _rc;                                                                            \
		}                                                                                                      \
		return 0;                                                                                              \
	}                                                                                                              \
	FL_INLINE int cond##_wait_for(cond *_c, mutex *_m, bool (*_predicate)(void *), void *_arg)                     \
	{                                                                                                              \
		return cond##_wait_for_until(_c, _m, _predicate, _arg, FL_FOREVER, NULL);                              \
	}

#endif
