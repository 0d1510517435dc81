/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TIME_H
#define FAIRLEAD_TIME_H

#include <fairlead/defs.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Time: int64 nanoseconds of CLOCK_MONOTONIC, so that a step of the wall clock changes nothing. A deadline is a point in
 * time, never a duration: it stays right when a wait is repeated.
 *
 *     rc = fl_sem_acquire_until(&slots, fl_after(FL_MS(5)), NULL);
 *
 * A deadline in the past (zero and negative ones too) means: try once. Limits: 292 years.
 */
#define FL_US(n) ((int64_t)(n)*1000)
#define FL_MS(n) ((int64_t)(n)*1000000)
#define FL_S(n) ((int64_t)(n)*1000000000)
#define FL_FOREVER INT64_MAX
#define FL__TRY INT64_MIN /* private, as a deadline: one attempt, which returns what the try form does */

struct fl_cancel_token;

/* The time now. Never blocks. Safe in a signal handler. */
FL_API int64_t fl_now(void);

/*
 * The deadline `ns` nanoseconds from now. Too large a sum is FL_FOREVER; a negative `ns` is a deadline in the past.
 * Never blocks. Safe in a signal handler.
 */
FL_INLINE int64_t fl_after(int64_t ns);

/*
 * Sleeps for `ns` nanoseconds. Blocks the calling context. Observes the cancel scope of the context. In a task of an event loop
 * 0 and less are one turn of the loop: the others run, and a cancel is seen; on a thread they do nothing.
 * Returns 0, or -ECANCELED when it was woken before its time.
 */
FL_INLINE FL_MUST_CHECK int fl_sleep(int64_t ns);

/* Sleeps until `deadline`, else like fl_sleep. `cancel` as everywhere: NULL is the context's scope, FL_SHIELDED none. */
FL_API FL_MUST_CHECK int fl_sleep_until(int64_t deadline, struct fl_cancel_token *cancel);

/* The inline functions. */

FL_INLINE int64_t fl_after(int64_t _ns)
{
	int64_t _at;
	/* The clock is not negative, so only a sum that is too large overflows. */
	return __builtin_add_overflow(fl_now(), _ns, &_at) ? FL_FOREVER : _at;
}

FL_INLINE int fl_sleep(int64_t _ns)
{
	return fl_sleep_until(fl_after(_ns), NULL);
}

FL_END_DECLS

#endif
