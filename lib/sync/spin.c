/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spin lock: test and test-and-set.
 *
 *   SPIN_        meaning                      set by                  cleared by
 *   FREE (0)     the lock is free             fl_spin_unlock()        -
 *   HELD (1)     the lock is held             lock, try: CAS          fl_spin_unlock()
 *   WATCHED (3)  held, and debugging knows    lock, try: CAS, slow    fl_spin_unlock(), slow
 *
 * Linearization: lock, the CAS that found FREE; unlock, its store, which is the last access.
 *
 * Progress: blocking. A waiter polls the word POLLS times with pauses that double, some
 * microseconds in all, because each poll takes the word's cache line away from the holder. Then the
 * waiter yields between YIELDS polls, and then sleeps NAP ns between polls. So a preempted holder
 * gets its CPU back, even from a waiter of higher real-time priority (test fifo_rt_one_core), and
 * the contexts that share the waiter's thread run.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../debug/debug.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/spin.h>
#include <fairlead/time.h>

enum { SPIN_FREE = 0, SPIN_HELD = 1, SPIN_WATCHED = 3 };
enum { SPIN_POLLS = 10, SPIN_DOUBLINGS = 6, SPIN_YIELDS = 16 };
#define SPIN_NAP FL_US(50)

static bool spin_take(fl_spin *s, uint32_t value)
{
	uint32_t free = SPIN_FREE;
	/*
	 * relaxed: avoids a CAS on a held lock, which would take the cache line from the holder.
	 * acquire: pairs with fl_spin_unlock()
	 */
	return fl__load_relaxed(&s->word_) == SPIN_FREE && fl__cas_acquire(&s->word_, &free, value);
}

/* Lets other fibers of the thread run; or, without fibers, other threads. */
static void spin_yield(void)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->ops->yield)
		ctx->ops->yield();
	else
		(void)fl__sys.give_way(fl__sys.now());
}

/* The pause before poll number `poll`. */
static void spin_back_off(int poll)
{
	if (poll < SPIN_POLLS) {
		fl__pause(1u << (poll < SPIN_DOUBLINGS ? poll : SPIN_DOUBLINGS));
	} else if (poll < SPIN_POLLS + SPIN_YIELDS) {
		spin_yield();
	} else {
		struct fl__wait wait;
		fl__wait_begin(&wait, FL__DEBUG_SPIN, NULL);
		/* in no queue: only the deadline ends the sleep */
		(void)fl__wait_sleep(&wait, fl_after(SPIN_NAP), FL_SHIELDED);
	}
}

__attribute__((noinline, cold)) static void spin_lock_slow(fl_spin *s)
{
	struct fl__debug_op op;
	fl__debug_locking(&op, s, FL__DEBUG_SPIN, 0);
	for (int poll = 0; !spin_take(s, op.on ? SPIN_WATCHED : SPIN_HELD); poll += poll < SPIN_POLLS + SPIN_YIELDS) {
		fl__debug_waiting(&op);
		spin_back_off(poll);
	}
	fl__debug_locked(&op, true);
}

__attribute__((noinline, cold)) static int spin_try_lock_slow(fl_spin *s)
{
	struct fl__debug_op op;
	fl__debug_locking(&op, s, FL__DEBUG_SPIN, FL__DEBUG_TRY);
	const bool locked = spin_take(s, op.on ? SPIN_WATCHED : SPIN_HELD);
	fl__debug_locked(&op, locked);
	return locked ? 0 : -EBUSY;
}

__attribute__((noinline, cold)) static void spin_unlock_slow(fl_spin *s)
{
	if (fl__load_relaxed(&s->word_) == SPIN_FREE) /* relaxed: the caller holds the lock */
		fl__panic("fl_spin_unlock", s, "not locked");
	fl__debug_unlocking(s, 0);
	fl__store_release(&s->word_, SPIN_FREE); /* pairs with spin_take(). The last access. */
}

void fl_spin_init(fl_spin *s)
{
	s->word_ = SPIN_FREE;
	fl__debug_forget(s, NULL);
}

int fl_spin_destroy(fl_spin *s)
{
	/* pairs with the store in fl_spin_unlock() */
	const bool busy = fl__load_acquire(&s->word_) != SPIN_FREE;
	fl__debug_forget(s, busy ? "fl_spin_destroy" : NULL);
	return busy ? -EBUSY : 0;
}

void fl_spin_lock(fl_spin *s)
{
	uint32_t expected = fl__debug_word(&fl__debug_free);
	/* acquire: pairs with fl_spin_unlock(). weak: the slow path tries again */
	if (__builtin_expect(!fl__cas_weak_acquire(&s->word_, &expected, SPIN_HELD), 0))
		spin_lock_slow(s);
}

int fl_spin_try_lock(fl_spin *s)
{
	return fl__debug_is_on() ? spin_try_lock_slow(s) : spin_take(s, SPIN_HELD) ? 0 : -EBUSY;
}

void fl_spin_unlock(fl_spin *s)
{
	/* relaxed: the caller holds the lock */
	if (__builtin_expect(fl__load_relaxed(&s->word_) == SPIN_HELD, 1))
		fl__store_release(&s->word_, SPIN_FREE); /* pairs with spin_take(). The last access. */
	else
		spin_unlock_slow(s);
}

void fl_spin_assert_held(const fl_spin *s)
{
	/* relaxed: a caller that holds the lock wrote the word */
	if (fl__load_relaxed(&s->word_) == SPIN_FREE)
		fl__panic("fl_spin_assert_held", s, "not locked");
	fl__debug_assert_held(s, "fl_spin_assert_held");
}
