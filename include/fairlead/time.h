/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TIME_H
#define FAIRLEAD_TIME_H

#include <fairlead/defs.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Time is in nanoseconds of CLOCK_MONOTONIC, as int64_t. A deadline is a time, not a duration.
 *
 *     rc = fl_sem_acquire_until(&slots, fl_after(FL_MS(5)), NULL);
 *
 * A deadline ends a wait. A call that can succeed at once does so, also after its deadline, as with
 * pthreads. So a loop of calls looks at the clock, too:
 *
 *     while (fl_now() < end && fl_sem_acquire_until(&slots, end, NULL) == 0)
 *
 * With a deadline in the past, such as 0 or FL_NO_WAIT, a call tries once. Where 0 means that there
 * is no deadline, as in fl_submit_config, FL_NO_WAIT is still one in the past. Limit: 292 years.
 * INT64_MIN is reserved.
 */
#define FL_US(n) ((int64_t)(n)*1000)
#define FL_MS(n) ((int64_t)(n)*1000000)
#define FL_S(n) ((int64_t)(n)*1000000000)
#define FL_FOREVER INT64_MAX
#define FL_NO_WAIT ((int64_t)-1)
#define FL__TRY INT64_MIN /* private, as a deadline: one attempt, with the result of the try form */

struct fl_cancel_token;

/* The time now. Async-signal-safe. */
FL_API int64_t fl_now(void);

/*
 * The deadline `ns` nanoseconds from now; in the past if `ns` is negative; FL_FOREVER if the sum
 * overflows. Async-signal-safe.
 */
FL_INLINE int64_t fl_after(int64_t _ns)
{
	int64_t _at;
	/* The clock is not negative, so a negative `ns` never overflows. */
	return __builtin_add_overflow(fl_now(), _ns, &_at) ? FL_FOREVER : _at;
}

/*
 * Sleeps for `ns` nanoseconds. Blocks the calling context. With 0 or less, a fiber lets the other
 * runnable fibers of its thread run once, and then observes a cancel; a thread does nothing.
 * Returns 0, or -ECANCELED if a cancel ended the sleep.
 */
FL_INLINE FL_MUST_CHECK int fl_sleep(int64_t ns);

/* As fl_sleep(), until `deadline`. `cancel`: NULL is the context's scope, FL_SHIELDED no token. */
FL_API FL_MUST_CHECK int fl_sleep_until(int64_t deadline, struct fl_cancel_token *cancel);

FL_INLINE int fl_sleep(int64_t _ns)
{
	return fl_sleep_until(fl_after(_ns), NULL);
}

FL_END_DECLS

#endif
