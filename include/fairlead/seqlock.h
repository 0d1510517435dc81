/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SEQLOCK_H
#define FAIRLEAD_SEQLOCK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/mutex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Sequence lock: guards a value that is read often and written seldom. Readers write nothing to
 * memory, so they do not slow each other down, and no reader delays a writer. A reader copies the
 * value, and copies again if a writer came between. 16 bytes, valid when all-zero. The value is
 * stored elsewhere, with any size and alignment.
 *
 *     static fl_seqlock lock = FL_SEQLOCK_INIT;
 *     static struct prices shared;
 *     fl_seqlock_write(&lock, &shared, &new_prices, sizeof shared);
 *     fl_seqlock_read(&lock, &mine, &shared, sizeof mine);    // mine is one written value, whole
 *
 * For a value in several places, or writers that change a part, call the steps yourself. Every
 * access to the value is by fl_seqlock_load() and fl_seqlock_store(), which copy by relaxed
 * atomics: plain accesses would be data races.
 *
 *     fl_seqlock_write_begin(&lock);                          // excludes other writers
 *     fl_seqlock_store(&shared.high, &high, sizeof high);
 *     fl_seqlock_write_end(&lock);
 *
 *     do {
 *             seen = fl_seqlock_read_begin(&lock);
 *             fl_seqlock_load(&high, &shared.high, sizeof high);    // may be torn until the retry
 *     } while (fl_seqlock_read_retry(&lock, seen));
 *
 * A pointer in the value may lead to freed memory. Where readers follow pointers, use memory
 * reclamation or fl_mutex.
 *
 * A reader waits while a write is under way: it polls, then yields, then sleeps until the write
 * ends, so that a preempted writer gets its CPU. A writer that writes without pause can delay a
 * reader without end. Between the begin and the end of a write, the writer must not read, begin
 * again, or wait.
 *
 * Memory order: a successful read acquires what the end of its write released. The begin of a write
 * acquires what the end of the previous write released.
 */
typedef struct fl_seqlock {
	uint64_t sequence_;
	fl_mutex writers_;
	uint32_t unused_;
} fl_seqlock;
FL__ASSERT_SIZE(fl_seqlock, 16);

/* clang-format off */
#define FL_SEQLOCK_INIT { 0, FL_MUTEX_INIT, 0 }
/* clang-format on */

/*
 * Makes `l` a lock without a writer, as FL_SEQLOCK_INIT does. Requires that no context uses `l`.
 * Never waits.
 */
FL_INLINE void fl_seqlock_init(fl_seqlock *l);

/*
 * Returns 0 when no context writes or sleeps, else -EBUSY. Does not see running readers. Never
 * waits.
 */
FL_API FL_MUST_CHECK int fl_seqlock_destroy(fl_seqlock *l);

/*
 * Copies the shared `src` to the caller's `dst`, whole. Blocks the calling context during a write.
 * Never cancelled.
 */
FL_API void fl_seqlock_read(fl_seqlock *l, void *dst, const void *src, size_t size);

/*
 * Copies the shared `src` to the caller's `dst`. Never waits. Returns:
 *
 *   0       copied whole
 *   -EBUSY  a write interfered; `dst` is undefined
 */
FL_API FL_MUST_CHECK int fl_seqlock_try_read(const fl_seqlock *l, void *dst, const void *src, size_t size);

/*
 * As fl_seqlock_read(), and returns 0. Also -ETIMEDOUT, -ECANCELED: then `dst` is undefined. Blocks
 * the calling context.
 */
FL_API FL_MUST_CHECK int fl_seqlock_read_until(fl_seqlock *l, void *dst, const void *src, size_t size, int64_t deadline,
                                               fl_cancel_token *cancel);

/*
 * Copies the caller's `src` to the shared `dst`. Blocks the calling context while another writes.
 * Never cancelled.
 */
FL_API void fl_seqlock_write(fl_seqlock *l, void *dst, const void *src, size_t size);

/* Begins a write. Blocks the calling context while another writes. Never cancelled. */
FL_API void fl_seqlock_write_begin(fl_seqlock *l);

/* Begins a write and returns 0. Returns -EBUSY when another context writes. Never waits. */
FL_API FL_MUST_CHECK int fl_seqlock_try_write_begin(fl_seqlock *l);

/*
 * Begins a write and returns 0. Else -ETIMEDOUT, -ECANCELED. Blocks the calling context while
 * another writes.
 */
FL_API FL_MUST_CHECK int fl_seqlock_write_begin_until(fl_seqlock *l, int64_t deadline, fl_cancel_token *cancel);

/* Ends a write, and wakes waiters. Never waits. Panics when no write was begun. */
FL_API void fl_seqlock_write_end(fl_seqlock *l);

/*
 * Begins a read, and returns the argument for fl_seqlock_read_retry(). Blocks the calling context
 * during a write. Never cancelled.
 */
FL_API FL_MUST_CHECK uint64_t fl_seqlock_read_begin(fl_seqlock *l);

/*
 * Whether a write came since the fl_seqlock_read_begin() that returned `seen`. Then the caller must
 * discard what it loaded. Never waits.
 */
FL_API FL_MUST_CHECK bool fl_seqlock_read_retry(const fl_seqlock *l, uint64_t seen);

/*
 * Copies from the shared `src` by relaxed atomic accesses, by words where the alignment allows.
 * Never waits.
 */
FL_API void fl_seqlock_load(void *dst, const void *src, size_t size);

/* Copies to the shared `dst`, as fl_seqlock_load() does. Never waits. */
FL_API void fl_seqlock_store(void *dst, const void *src, size_t size);

/* The inline functions. */

FL_INLINE void fl_seqlock_init(fl_seqlock *_l)
{
	const fl_seqlock _value = FL_SEQLOCK_INIT;
	*_l = _value;
}

FL_END_DECLS

#endif
