/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPIN_H
#define FAIRLEAD_SPIN_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Spin lock: a mutex with an unlock that is one store, since waiters poll and need no wake. 4
 * bytes, valid when all-zero, not recursive, not owned. For sections of some tens of instructions
 * that wait for nothing, among threads that each have a CPU.
 *
 *     static fl_spin lock = FL_SPIN_INIT;
 *     {
 *             FL_SPIN_LOCKED(&lock);
 *             total += n;
 *     }
 *
 * Nearly always use fl_mutex instead. An uncontended fl_mutex costs a few nanoseconds more (23 ns
 * against 18 ns for lock and unlock), spins as long as that pays, then sleeps until it is woken, in
 * FIFO order. A waiter of the spin lock polls with growing pauses, then yields the CPU between
 * polls, then sleeps 50 us or more between polls. So this waiter sees the unlock late when the
 * holder has lost its CPU: with more threads than CPUs, a holder of lower real-time priority, or a
 * page fault in the section. Nothing is fair: a waiter may be overtaken without end. There is no
 * timed form.
 *
 * A fiber that waits yields to the other fibers of its thread, then sleeps. So if another fiber of
 * its thread holds the lock, the waiting fiber delays only itself. (A holder should not wait.)
 * A thread that locks what it holds waits for ever.
 *
 * Memory order: a lock acquires what the previous unlock released. The last access of an unlock to
 * the lock is the store that frees it.
 */
typedef struct fl_spin {
	uint32_t word_;
} fl_spin;
FL__ASSERT_SIZE(fl_spin, 4);

/* clang-format off */
#define FL_SPIN_INIT { 0 }
/* clang-format on */

/*
 * Makes `s` an unlocked lock, as FL_SPIN_INIT does. Requires that no context uses `s`. Never waits.
 */
FL_API void fl_spin_init(fl_spin *s);

/* Returns 0 when no context holds `s`, else -EBUSY. Does not see waiters. Never waits. */
FL_API FL_MUST_CHECK int fl_spin_destroy(fl_spin *s);

/* Locks `s`. Blocks the calling context while another context holds `s`. Never cancelled. */
FL_API void fl_spin_lock(fl_spin *s);

/* Locks `s` and returns 0. Returns -EBUSY when a context holds it. Never waits. */
FL_API FL_MUST_CHECK int fl_spin_try_lock(fl_spin *s);

/* Unlocks `s`. Never waits. Panics when `s` is not locked. */
FL_API void fl_spin_unlock(fl_spin *s);

/*
 * Panics when no context holds `s`. While debugging is on, also panics when the calling context did
 * not lock `s`. For functions that require `s` locked. Never waits. No memory order.
 */
FL_API void fl_spin_assert_held(const fl_spin *s);

/* FL_SPIN_LOCKED(&s): locks `s` until the end of the block, as FL_LOCKED does for a mutex. */
#define FL_SPIN_LOCKED(s)                                                                                              \
	__attribute__((cleanup(fl__spin_locked_end), unused)) fl_spin *FL__UNIQUE(fl__spin_locked_) =                  \
	    fl__spin_locked_begin(s)

static inline fl_spin *fl__spin_locked_begin(fl_spin *_s)
{
	fl_spin_lock(_s);
	return _s;
}

static inline void fl__spin_locked_end(fl_spin **_s)
{
	fl_spin_unlock(*_s);
}

FL_END_DECLS

#endif
