/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SPIN_H
#define FAIRLEAD_SPIN_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Spin lock: a mutex whose unlock is a store, since nobody sleeps until he is woken. 4 bytes, valid when all-zero, not
 * recursive, not owned. For sections of some tens of instructions that wait for nothing, among threads that each have a CPU.
 *
 *     static fl_spin lock = FL_SPIN_INIT;
 *     {
 *             FL_SPIN_LOCKED(&lock);
 *             total += n;
 *     }
 *
 * When not to use it: nearly always. fl_mutex costs a few nanoseconds more when it is free (18 ns against 23 for lock and unlock, on
 * the machine of the bench), spins for as long as that pays, and then sleeps until it is woken, first come, first served. Here a
 * waiter looks, with growing pauses; then lets others have the CPU between looks; then naps. So a lock whose holder has lost its CPU
 * is awaited in naps of 50 us and more (more threads than CPUs, a holder of lower real-time priority, a page fault in the section),
 * nobody is woken, and nothing is fair: one waiter may be overtaken without end. Two threads that took turns at 0.1 us a section
 * for 1.5 s waited at most 290 ms for it, and 24 ms for the mutex. It has no timed form: what may take time is for fl_mutex.
 *
 * In a fiber a waiter lets the other fibers of its thread run instead, and then sleeps likewise; so one that waits for another
 * of the same thread, which should not have waited with the lock held, holds up nothing but itself. A thread that locks what
 * it holds naps for ever.
 *
 * Memory order: a lock acquires what the unlock before it released. An unlock touches the lock for the last time in the store
 * that frees it.
 */
typedef struct fl_spin {
	uint32_t word_;
} fl_spin;
FL__ASSERT_SIZE(fl_spin, 4);

/* clang-format off */
#define FL_SPIN_INIT { 0 }
/* clang-format on */

/* Makes `s` unlocked; the same as FL_SPIN_INIT. Requires that nobody uses it. Never waits. */
FL_API void fl_spin_init(fl_spin *s);

/* Returns 0 when nobody holds `s`, else -EBUSY. Who spins is not seen. Never waits. */
FL_API FL_MUST_CHECK int fl_spin_destroy(fl_spin *s);

/* Locks `s`. Holds up the calling context while another holds it; never cancelled. */
FL_API void fl_spin_lock(fl_spin *s);

/* Returns 0 when it locked `s`, -EBUSY when another holds it. Never waits. */
FL_API FL_MUST_CHECK int fl_spin_try_lock(fl_spin *s);

/* Unlocks `s`. Never waits. Panics when it is not locked. */
FL_API void fl_spin_unlock(fl_spin *s);

/* Panics when nobody holds `s`. For functions whose caller holds it. Never waits. No memory order. */
FL_API void fl_spin_assert_held(const fl_spin *s);

/*
 * FL_SPIN_LOCKED(&s): locks `s` until the end of the block, by whatever way it is left; a declaration. longjmp and
 * pthread_exit out of the block leave it locked.
 */
#define FL_SPIN_LOCKED(s)                                                                                              \
	__attribute__((cleanup(fl__spin_locked_end), unused)) fl_spin *FL__JOIN(fl__spin_locked_, __LINE__) =          \
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
