/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SEM_H
#define FAIRLEAD_SEM_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/wait_any.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Counting semaphore: a number of permits. 4 bytes; all-zero is a semaphore without permits.
 *
 *     static fl_sem slots = FL_SEM_INIT(3);
 *     rc = fl_sem_acquire(&slots);            // check
 *     use_one();
 *     fl_sem_release(&slots);
 *
 * Waiters are FIFO, and a release hands its permit to the first of them: it cannot be lost between the two, and a waiter
 * that times out or is cancelled holds none. Limit: FL_SEM_MAX permits.
 *
 * Memory order: an acquire sees what was written before the release of its permit. A release touches the semaphore for
 * the last time in the instruction that makes the permit available.
 */
typedef struct fl_sem {
	uint32_t word_;
} fl_sem;
FL__ASSERT_SIZE(fl_sem, 4);

#define FL_SEM_MAX 0x7fffffffu
/* clang-format off */
#define FL_SEM_INIT(permits) { (uint32_t)(permits) }
/* clang-format on */

/* Makes `s` a semaphore of `permits`. Requires that nobody uses it. Returns 0, -EINVAL above FL_SEM_MAX. Never waits. */
FL_API FL_MUST_CHECK int fl_sem_init(fl_sem *s, uint32_t permits);

/* Returns 0 when nobody waits on `s`, else -EBUSY. Never waits. */
FL_API FL_MUST_CHECK int fl_sem_destroy(fl_sem *s);

/* Takes a permit. Blocks the calling context. Observes its cancel scope. Returns 0, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_sem_acquire(fl_sem *s);

/* Takes a permit that is free now: 0, else -EAGAIN. Never waits. */
FL_API FL_MUST_CHECK int fl_sem_try_acquire(fl_sem *s);

/* Takes a permit. Blocks the calling context. Returns 0, -ETIMEDOUT, -ECANCELED. */
FL_API FL_MUST_CHECK int fl_sem_acquire_until(fl_sem *s, int64_t deadline, fl_cancel *cancel);

/* Gives a permit. Never waits. Panics above FL_SEM_MAX. */
FL_API void fl_sem_release(fl_sem *s);

/* Gives `n` permits at once; 0 does nothing. Never waits. Panics above FL_SEM_MAX. */
FL_API void fl_sem_release_n(fl_sem *s, uint32_t n);

/* The permits that are free now: for reports and assertions. Never waits. No memory order. */
FL_API uint32_t fl_sem_value(const fl_sem *s);

/* For fl_wait_any: ready while a permit is free. */
#define FL_ON_SEM(s) FL__ON(fl__on_sem, (s))
FL_API extern const fl_on_type fl__on_sem;

FL_END_DECLS

#endif
