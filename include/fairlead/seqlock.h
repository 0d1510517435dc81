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
 * Sequence lock: guards a value that is read often and written seldom. Readers write nothing to memory, so any number of them
 * go on at the speed of their own caches, and no reader ever holds up a writer. A reader copies the value out, and copies again if
 * a writer came between. 16 bytes, valid when all-zero; the value is elsewhere, of any size and alignment.
 *
 *     static fl_seqlock lock = FL_SEQLOCK_INIT;
 *     static struct prices shared;
 *     fl_seqlock_write(&lock, &shared, &new_prices, sizeof shared);
 *     fl_seqlock_read(&lock, &mine, &shared, sizeof mine);             // mine is one of the values that were written, whole
 *
 * By hand, for values in several places, and for writers who change a part. Every access to the value goes through
 * fl_seqlock_load() and fl_seqlock_store(), which copy by relaxed atomics: plain ones would be data races.
 *
 *     fl_seqlock_write_begin(&lock);                                   // writers exclude each other, here
 *     fl_seqlock_store(&shared.high, &high, sizeof high);
 *     fl_seqlock_write_end(&lock);
 *
 *     do {
 *             seen = fl_seqlock_read_begin(&lock);
 *             fl_seqlock_load(&high, &shared.high, sizeof high);       // may be torn: use nothing of it before the retry
 *     } while (fl_seqlock_read_retry(&lock, seen));
 *
 * A pointer in the value may lead to what is freed already; where readers follow one, that is for reclamation, or fl_mutex. A
 * reader waits while a write is under way: it looks for a moment, lets others run, then sleeps until the writer is done, so that
 * a writer that has lost its CPU gets it back. Writers that write all the time can hold up a reader without end. Between the
 * begin and the end of a write the writer does not read, begin again, or wait.
 *
 * Memory order: a read that is whole acquires what came before the end of the write that it sees; a write begun, what came
 * before the end of the one before.
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

/* Makes `l` a lock that nobody writes under; the same as FL_SEQLOCK_INIT. Requires that nobody uses it. Never waits. */
FL_INLINE void fl_seqlock_init(fl_seqlock *l);

/* Returns 0 when nobody writes, and nobody waits for that; else -EBUSY. Readers that run are not seen. Never waits. */
FL_API FL_MUST_CHECK int fl_seqlock_destroy(fl_seqlock *l);

/* Copies the shared `src` to the caller's `dst`, whole. Blocks the calling context while it is written; never cancelled. */
FL_API void fl_seqlock_read(fl_seqlock *l, void *dst, const void *src, size_t size);

/* Returns 0 when it has copied `src` whole, -EBUSY when a writer was in the way: `dst` then has anything. Never waits. */
FL_API FL_MUST_CHECK int fl_seqlock_try_read(const fl_seqlock *l, void *dst, const void *src, size_t size);

/* As fl_seqlock_read and 0; or -ETIMEDOUT, -ECANCELED, and `dst` has anything. Blocks the calling context. */
FL_API FL_MUST_CHECK int fl_seqlock_read_until(fl_seqlock *l, void *dst, const void *src, size_t size, int64_t deadline,
                                               fl_cancel_token *cancel);

/* Copies the caller's `src` to the shared `dst`. Blocks the calling context while another writes; never cancelled. */
FL_API void fl_seqlock_write(fl_seqlock *l, void *dst, const void *src, size_t size);

/* Begins a write. Blocks the calling context while another writes; never cancelled. */
FL_API void fl_seqlock_write_begin(fl_seqlock *l);

/* Returns 0 when it began a write, -EBUSY when another writes. Never waits. */
FL_API FL_MUST_CHECK int fl_seqlock_try_write_begin(fl_seqlock *l);

/* Returns 0 when it began a write; or -ETIMEDOUT, -ECANCELED. Blocks the calling context while another writes. */
FL_API FL_MUST_CHECK int fl_seqlock_write_begin_until(fl_seqlock *l, int64_t deadline, fl_cancel_token *cancel);

/* Ends a write, and wakes who waits for that. Never waits. Panics when none was begun. */
FL_API void fl_seqlock_write_end(fl_seqlock *l);

/* Begins a read: returns what fl_seqlock_read_retry() wants. Blocks the calling context while it is written; never cancelled. */
FL_API FL_MUST_CHECK uint64_t fl_seqlock_read_begin(fl_seqlock *l);

/* Whether a writer came between the read_begin that returned `seen` and here, so that what was loaded is of no use. Never waits. */
FL_API FL_MUST_CHECK bool fl_seqlock_read_retry(const fl_seqlock *l, uint64_t seen);

/* Copies from the shared `src` by relaxed atomic accesses, of words where its alignment allows. Never waits. */
FL_API void fl_seqlock_load(void *dst, const void *src, size_t size);

/* Copies to the shared `dst` likewise. Never waits. */
FL_API void fl_seqlock_store(void *dst, const void *src, size_t size);

/* The inline functions. */

FL_INLINE void fl_seqlock_init(fl_seqlock *_l)
{
	const fl_seqlock _value = FL_SEQLOCK_INIT;
	*_l = _value;
}

FL_END_DECLS

#endif
