/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_COND_FORMS_H
#define FAIRLEAD_COND_FORMS_H

#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/time.h>
#include <stdbool.h>

/*
 * Private: the waits of a condition without a deadline, and for a predicate, by the wait until a
 * deadline. `of`: what their names have of the mutex.
 */
#define FL__COND_FORMS(cond, mutex, of)                                                                                \
	FL_INLINE int cond##_wait##of(cond *_c, mutex *_m)                                                             \
	{                                                                                                              \
		return cond##_wait##of##_until(_c, _m, FL_FOREVER, NULL);                                              \
	}                                                                                                              \
	FL_INLINE int cond##_wait_for##of##_until(cond *_c, mutex *_m, bool (*_predicate)(void *), void *_arg,         \
	                                          int64_t _deadline, fl_cancel_token *_cancel)                         \
	{                                                                                                              \
		int _rc = 0;                                                                                           \
		while (!_predicate(_arg)) {                                                                            \
			if (_rc != 0)                                                                                  \
				return _rc;                                                                            \
			_rc = cond##_wait##of##_until(_c, _m, _deadline, _cancel);                                     \
			/* the caller may not have the mutex, or must recover it */                                    \
			if (_rc != 0 && _rc != -ETIMEDOUT && _rc != -ECANCELED)                                        \
				return _rc;                                                                            \
		}                                                                                                      \
		return 0;                                                                                              \
	}                                                                                                              \
	FL_INLINE int cond##_wait_for##of(cond *_c, mutex *_m, bool (*_predicate)(void *), void *_arg)                 \
	{                                                                                                              \
		return cond##_wait_for##of##_until(_c, _m, _predicate, _arg, FL_FOREVER, NULL);                        \
	}

#endif
