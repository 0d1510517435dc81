/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TIME_H
#define FAIRLEAD_TIME_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * An fl_time is a point of CLOCK_MONOTONIC, in nanoseconds. An fl_duration is a number of
 * nanoseconds. A deadline is an fl_time, so a duration in its place does not compile:
 *
 *     rc = fl_sem_acquire_until(&slots, fl_after(FL_MS(5)), NULL);
 *
 * The all-zero time is FL_FOREVER. It is later than each other time, and a wait with it for a
 * deadline has no deadline. That is so for the deadline of a call, of a config, of a cancel token
 * and of a group. With a deadline in the past, such as FL_NO_WAIT, a call tries once.
 *
 * A deadline ends a wait. A call that can succeed at once does so, also after its deadline, as with
 * pthreads. So a loop of calls looks at the clock, too:
 *
 *     while (!fl_time_is_past(end) && fl_sem_acquire_until(&slots, end, NULL) == 0)
 *
 * A time reaches 292 years. INT64_MIN is reserved. In an initializer of a static object, leave the
 * deadline out for FL_FOREVER: the C standard has no constant of a structure.
 */
typedef struct fl_time {
	int64_t ns;
} fl_time;
typedef int64_t fl_duration;

#define FL_US(n) ((fl_duration)(n)*1000)
#define FL_MS(n) ((fl_duration)(n)*1000000)
#define FL_S(n) ((fl_duration)(n)*1000000000)
#define FL_DURATION_MAX INT64_MAX /* fl_after(FL_DURATION_MAX) is FL_FOREVER */

#ifdef __cplusplus
#define FL__TIME(ns) (fl_time{ns})
#else
#define FL__TIME(ns) ((fl_time){ns})
#endif
#define FL_FOREVER FL__TIME(0)
#define FL_NO_WAIT FL__TIME(-INT64_MAX)
#define FL__TRY FL__TIME(INT64_MIN) /* private, as a deadline: one attempt, with the result of the try form */

struct fl_cancel_token;

/* The time now. Async-signal-safe. */
FL_API fl_time fl_now(void);

/*
 * Returns the time `d` after `t`; a nanosecond earlier if the sum is 0. Returns FL_FOREVER if `t` is
 * FL_FOREVER or the sum is too large, and FL_NO_WAIT if it is too small. Async-signal-safe.
 */
FL_INLINE fl_time fl_time_add(fl_time _t, fl_duration _d)
{
	int64_t _ns;
	if (_t.ns == 0 || __builtin_add_overflow(_t.ns, _d, &_ns) || _ns == INT64_MIN)
		return _t.ns < 0 ? FL_NO_WAIT : FL_FOREVER;
	return FL__TIME(_ns ? _ns : -1);
}

/* Returns the time `d` from now, as fl_time_add() does. Async-signal-safe. */
FL_INLINE fl_time fl_after(fl_duration _d)
{
	return fl_time_add(fl_now(), _d);
}

/*
 * Returns how much later `a` is than `b`: negative if `a` is earlier, and 0 if the times are the
 * same. A result that overflows is FL_DURATION_MAX or its negative. Async-signal-safe.
 */
FL_INLINE fl_duration fl_time_diff(fl_time _a, fl_time _b)
{
	const int64_t _to = _a.ns ? _a.ns : INT64_MAX, _from = _b.ns ? _b.ns : INT64_MAX;
	fl_duration _d;
	if (__builtin_sub_overflow(_to, _from, &_d))
		return _to < 0 ? -FL_DURATION_MAX : FL_DURATION_MAX;
	return _d;
}

/* Whether `t` has been reached; never for FL_FOREVER. Async-signal-safe. */
FL_INLINE bool fl_time_is_past(fl_time _t)
{
	return _t.ns != 0 && _t.ns <= fl_now().ns;
}

/*
 * Sleeps for the duration `d`. Blocks the calling context. A fiber lets the other runnable fibers of
 * its thread run at least once, however short the duration is, unless it is cancelled before. With 0
 * or less, a fiber observes a cancel only after that, and a thread does nothing. Returns 0, or
 * -ECANCELED if a cancel ended the sleep.
 */
FL_INLINE FL_MUST_CHECK int fl_sleep(fl_duration d);

/* As fl_sleep(), until `deadline`. `cancel`: NULL is the context's scope, FL_SHIELDED no token. */
FL_API FL_MUST_CHECK int fl_sleep_until(fl_time deadline, struct fl_cancel_token *cancel);

FL_INLINE int fl_sleep(fl_duration _d)
{
	return fl_sleep_until(fl_after(_d), NULL);
}

FL_END_DECLS

#endif
