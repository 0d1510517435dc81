/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TIME_H
#define FAIRLEAD_TIME_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Points in time, durations and deadlines.
 *
 *     rc = fl_sem_acquire_until(&slots, fl_after(FL_MS(5)), NULL);    // gives up after 5 ms
 *
 * An fl_time is a time of CLOCK_MONOTONIC in nanoseconds, an fl_duration a number of nanoseconds. A
 * deadline is an fl_time, so a duration in its place does not compile.
 *
 * The all-zero time is FL_FOREVER: later than every other time, and no deadline. A deadline in the
 * past, such as FL_NO_WAIT, makes a call try once.
 *
 * A deadline only ends waits, so a call that can succeed at once does so even after it. A loop that
 * must end at a deadline therefore looks at the clock, too:
 *
 *     while (!fl_time_is_past(end) && fl_sem_acquire_until(&slots, end, NULL) == 0)
 *
 * A process that this library starts with a task, such as a worker, has the same clock, even in a
 * time namespace of its own (time_namespaces(7)). To any other process, pass durations.
 *
 * The value INT64_MIN is reserved. C does not allow FL_FOREVER in the initializer of a static
 * object; leave the deadline out instead.
 */
typedef struct fl_time {
	int64_t ns;
} fl_time;
typedef int64_t fl_duration;

#define FL_US(n) (FL__CAST(fl_duration, n) * 1000)
#define FL_MS(n) (FL__CAST(fl_duration, n) * 1000000)
#define FL_S(n) (FL__CAST(fl_duration, n) * 1000000000)
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

/* Returns the time now. Async-signal-safe. */
FL_API fl_time fl_now(void);

/*
 * Returns the time that is `d` after `t`: FL_FOREVER if `t` is, or if the sum is too large, and
 * FL_NO_WAIT if the sum is too small. Async-signal-safe.
 */
FL_INLINE fl_time fl_time_add(fl_time _t, fl_duration _d)
{
	int64_t _ns;
	if (_t.ns == 0 || __builtin_add_overflow(_t.ns, _d, &_ns) || _ns == INT64_MIN)
		return _t.ns < 0 ? FL_NO_WAIT : FL_FOREVER;
	return FL__TIME(_ns ? _ns : -1);
}

/*
 * Returns the time that is `d` from now, to use as a deadline. If `d` is too large, it is
 * FL_FOREVER. Async-signal-safe.
 *
 *     const fl_time end = fl_after(FL_MS(500));       // one deadline for both waits
 *     rc = fl_queue_get_until(q, &item, end, NULL);
 *     rc = fl_event_wait_until(&ready, end, NULL);
 */
FL_INLINE fl_time fl_after(fl_duration _d)
{
	return fl_time_add(fl_now(), _d);
}

/*
 * Returns by how much `a` is later than `b`: negative if it is earlier. A difference too large for
 * an fl_duration becomes FL_DURATION_MAX or -FL_DURATION_MAX. Async-signal-safe.
 */
FL_INLINE fl_duration fl_time_diff(fl_time _a, fl_time _b)
{
	const int64_t _to = _a.ns ? _a.ns : INT64_MAX, _from = _b.ns ? _b.ns : INT64_MAX;
	fl_duration _d;
	if (__builtin_sub_overflow(_to, _from, &_d))
		return _to < 0 ? -FL_DURATION_MAX : FL_DURATION_MAX;
	return _d;
}

/* Returns whether the time `t` has been reached, which FL_FOREVER never is. Async-signal-safe. */
FL_INLINE bool fl_time_is_past(fl_time _t)
{
	return _t.ns != 0 && _t.ns <= fl_now().ns;
}

/*
 * Sleeps for the duration `d` or, with fl_sleep_until(), until the time `deadline`, which then
 * returns 0, not -ETIMEDOUT. Blocks the calling context.
 *
 * A sleep of a fiber, however short, lets the other runnable fibers of its thread run at least
 * once, unless it is cancelled before. With a duration of 0 or less, the fiber lets them run before
 * it observes a cancel, and a thread returns 0 at once. Returns 0, or -ECANCELED if a cancel ended
 * the sleep.
 */
FL_INLINE FL_MUST_CHECK int fl_sleep(fl_duration d);
FL_API FL_MUST_CHECK int fl_sleep_until(fl_time deadline, struct fl_cancel_token *cancel);

FL_INLINE int fl_sleep(fl_duration _d)
{
	return fl_sleep_until(fl_after(_d), NULL);
}

FL_END_DECLS

#endif
