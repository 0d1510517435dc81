/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mutex: a word, and a wait queue in the wait table (wait/lot.h). A transaction, from
 * fl__lot_open() to fl__lot_close(), holds the queue lock.
 *
 *   bit      meaning                        set by                        cleared by
 *   LOCKED   the mutex is held              lock: CAS; look(), with HAND  unlock: subtraction
 *   WAITERS  an unlock must call look():    under the queue lock: the     under the queue lock:
 *            the wait queue is not empty    first waiter, before it       look(), settled(), and a
 *                                           sleeps; a new owner that      waiter that leaves the
 *                                           leaves waiters; look();       queue empty
 *                                           see_to()
 *   HAND     with LOCKED: handed over to    look(), under the queue lock  the first waiter, which
 *            the first waiter, which has                                  becomes the owner
 *            yet to run
 *   WATCHED  debugging knows the owner:     the owner, in a slow lock     a slow unlock, after it
 *            an unlock tells debugging,                                   tells debugging; until
 *            then frees the mutex                                         then the mutex is held
 *
 * An unlock that finds WAITERS wakes only the first waiter. The woken waiter stays first in the
 * queue while it tries to take the lock. WAITERS is then clear, so other threads lock and unlock at
 * full speed. After a bounded time the waiter sets WAITERS and sleeps again. A call of look() a
 * millisecond or more after the waiter's first wake hands the mutex over, whether the waiter runs
 * or not. So threads take turns of a millisecond, and n threads wait about n milliseconds. Go's and
 * WebKit's mutexes also hand over after a millisecond. nsync, too, has one designated waker.
 *
 * An unlock by a fiber leaves WAITERS set until the woken waiter runs, so that the fiber's next
 * lock yields in give_way().
 *
 * A woken thread may wait for the CPU of the waking thread, for a whole time slice if the waking
 * thread locks the mutex again and again. So the waking thread keeps the mutex in `flight`. Until
 * the woken waiter runs, every 64th unlock of this mutex by the waking thread calls look().
 *
 * Invariants
 *   1. Linearization: lock, the CAS that sets LOCKED, or the access that clears HAND; unlock, the
 *      subtraction. The subtraction is an unlock's last access to the mutex, unless look() finds a
 *      waiter of a mutex in the queue. Then the mutex exists while the queue is locked. (The
 *      address may hold a new mutex. look() is correct for any mutex.)
 *   2. If the queue is not empty, the first waiter is awake, or the end of the transaction wakes
 *      it; or WAITERS and LOCKED are set, so a later unlock calls look(); or an unlock is about to
 *      call look().
 *   3. WAITERS changes only under the queue lock, and is set only while the queue is not empty.
 *   4. look() sets HAND only for a first waiter that is awake. Only this waiter clears HAND. A
 *      waiter that gave up is not awake (lot.c, invariant 2), and look() skips it.
 *
 * A forked child inherits the word, but its queue is empty. A new owner clears a stale WAITERS, in
 * settled(). A mutex with HAND stays locked in the child, like any mutex that another thread of the
 * parent holds.
 *
 * Fairness: the queue is FIFO. A running thread may overtake the first waiter for a millisecond. A
 * fiber first yields to the other fibers of its thread: give_way().
 */
#include "mutex.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../debug/debug.h"
#include <errno.h>
#include <fairlead/time.h>

enum { LOCKED = 1, WAITERS = 2, HAND = 4, WATCHED = 8, HELD = LOCKED | WATCHED };
static const int64_t PATIENCE = FL_MS(1), TRIES = FL_US(20);

/* The mutex of the waiter that this thread woke last; forgotten once the waiter runs. */
static _Thread_local struct {
	uint32_t plain;    /* an unlock is done if the word had this value; NEVER: no value */
	unsigned unlocks;  /* of `mutex`, since the last look() */
	const void *mutex; /* only compared, never dereferenced */
} flight __attribute__((tls_model("initial-exec"))) = {LOCKED, 0, NULL};
enum { NEVER = HAND, UNLOCKS_A_LOOK = 64 };

/* Takes the lock if it is free. */
static bool take_if_free(fl_mutex *m)
{
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: the CAS decides */
	while (!(seen & HELD))
		/* acquire: pairs with the release in unlock */
		if (fl__cas_weak_acquire(&m->word_, &seen, seen | LOCKED))
			return true;
	return false;
}

/*
 * Spins for about a microsecond, or until the word shows a waiter: an owner on another CPU usually
 * unlocks soon. The pauses double, since each load takes the cache line away from the owner.
 */
static bool take_spinning(fl_mutex *m)
{
	enum { LOOKS = 4, PAUSES = 4 };
	for (unsigned i = 0; i < LOOKS; i++) {
		if (take_if_free(m))
			return true;
		if (fl__load_relaxed(&m->word_) & (WAITERS | HAND)) /* relaxed: a hint */
			return false;
		fl__pause((unsigned)PAUSES << i);
	}
	return false;
}

/*
 * Lets a woken fiber of the same thread lock first. Otherwise a fiber that locks again at once, and
 * holds the mutex while it waits for something else, would always overtake the woken fiber.
 */
static void give_way(const fl_mutex *m)
{
	/*
	 * relaxed: a hint. WAITERS without LOCKED: a fiber unlocked, and the waiter has yet to run.
	 */
	if ((fl__load_relaxed(&m->word_) & (LOCKED | WAITERS)) != WAITERS)
		return;
	const struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->ops->yield)
		ctx->ops->yield();
}

/* Under the queue lock: sets WAITERS if the queue is not empty, else clears WAITERS. */
static void say_who_waits(fl_mutex *m, const struct fl__lot *lot)
{
	if (fl__lot_more(lot))
		/* relaxed: an unlock that finds WAITERS locks the queue, which orders all else */
		fl__or_relaxed(&m->word_, WAITERS);
	else
		fl__and_relaxed(&m->word_, ~(uint32_t)WAITERS); /* relaxed: as above */
}

/*
 * Under the queue lock: sets WAITERS if the mutex is held: true. Else takes the lock: false.
 */
static bool mark_or_take(fl_mutex *m)
{
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: the CAS decides */
	for (;;) {
		const uint32_t next = seen & HELD ? seen | WAITERS : seen | LOCKED;
		/* acquire: if the CAS takes the lock; pairs with the release in unlock */
		if (fl__cas_weak_acquire(&m->word_, &seen, next))
			return seen & HELD;
	}
}

/* Enqueues `node`: true. If the queue is empty and the mutex is free, takes the lock: false. */
static bool line_up(fl_mutex *m, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	const bool first = !fl__lot_more(&lot);
	const bool waits = !first || mark_or_take(m);
	node->wait->patient = !first;
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	return waits;
}

/*
 * Under the queue lock: dequeues a waiter. look() may have dequeued a waiter that gave up. Then
 * fl_mutex_destroy() ignores this waiter, so the mutex may already be freed.
 */
static void leave_open_line(fl_mutex *m, struct fl__lot *lot, struct fl__node *node, bool owns)
{
	const bool passed_over = !node->queued;
	fl__lot_remove(lot, node);
	if (owns || (!passed_over && !fl__lot_more(lot)))
		say_who_waits(m, lot);
}

/* Called by a waiter that has become the owner (`owns`) or given up. */
static void leave_line(fl_mutex *m, struct fl__node *node, bool owns)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	leave_open_line(m, &lot, node, owns);
	fl__lot_close(&lot);
}

/* Called by the first waiter, awake. Takes the lock if the mutex is free or handed over. */
static bool take_as_first(fl_mutex *m)
{
	/* relaxed: take_if_free() or the next access acquires */
	if (!(fl__load_relaxed(&m->word_) & HAND))
		return take_if_free(m);
	/* pairs with the release of the unlock before look() */
	(void)fl__and_acquire(&m->word_, ~(uint32_t)HAND);
	return true;
}

/*
 * Called by the first waiter, awake. Tries for a bounded time: true when the caller owns the mutex
 * and has left the queue. The pauses are long, because an owner that locks again and again is
 * faster undisturbed. The bound is short, because the owner may wait for this CPU.
 */
static bool try_as_first(fl_mutex *m, struct fl__mutex_node *place)
{
	enum { LOOKS = 6, PAUSES = 64 };
	const bool spins = place->node.wait->ctx->ops->yield == NULL;
	const int64_t end = spins ? fl__sys.now() + TRIES : 0;
	fl__store_relaxed(&place->is_here, true); /* relaxed: publishes nothing else; see look() */
	for (unsigned i = 0;; i++) {
		if (take_as_first(m)) {
			leave_line(m, &place->node, true);
			return true;
		}
		if (!spins || i == LOOKS || fl__sys.now() >= end)
			return false;
		fl__pause((unsigned)PAUSES << i);
	}
}

/*
 * Called by the first waiter, awake. Sets WAITERS: true, the waiter sleeps again. If the mutex is
 * free or handed over, takes the lock and leaves the queue: false.
 */
static bool sleep_again(fl_mutex *m, struct fl__mutex_node *place)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	/* relaxed: HAND is set under the queue lock */
	const bool waits = !(fl__load_relaxed(&m->word_) & HAND) && mark_or_take(m);
	if (waits) {
		fl__wait_begin(place->node.wait);
		place->is_here = false;
	}
	fl__lot_close(&lot);
	if (!waits) {
		/* after a hand-off, as in take_as_first() */
		(void)fl__and_acquire(&m->word_, ~(uint32_t)HAND);
		leave_line(m, &place->node, true);
	}
	return waits;
}

/*
 * Called by an enqueued waiter, which leaves the queue: 0 as the owner, -ETIMEDOUT or -ECANCELED.
 */
static int await(fl_mutex *m, struct fl__mutex_node *place, int64_t deadline, fl_cancel_token *cancel)
{
	do {
		const int rc = fl__wait_sleep(place->node.wait, deadline, cancel);
		if (rc != 0) {
			leave_line(m, &place->node, false);
			return rc;
		}
	} while (!try_as_first(m, place) && sleep_again(m, place));
	return 0;
}

/* Called by a new owner: clears a stale WAITERS, which a forked child inherits. */
static int settled(fl_mutex *m)
{
	struct fl__lot lot;
	/* relaxed: a hint; WAITERS changes only under the queue lock */
	if (!(fl__load_relaxed(&m->word_) & WAITERS))
		return 0;
	fl__lot_open(&lot, m);
	if (!fl__lot_more(&lot))
		say_who_waits(m, &lot);
	fl__lot_close(&lot);
	return 0;
}

static int lock_anyhow(fl_mutex *m, int64_t deadline, fl_cancel_token *cancel, struct fl__debug_op *op)
{
	give_way(m);
	if (take_spinning(m))
		return settled(m);
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__mutex_node place = FL__MUTEX_NODE(m, &wait);
	if (!line_up(m, &place.node))
		return 0;
	fl__debug_waiting(op);
	return await(m, &place, deadline, cancel);
}

/* Tells debugging the result of a lock. WATCHED makes the owner's unlock tell debugging, too. */
static int told(fl_mutex *m, int rc, struct fl__debug_op *op)
{
	if (op->on && rc == 0)
		fl__or_relaxed(&m->word_, WATCHED); /* relaxed: set and cleared by the owner */
	fl__debug_locked(op, rc == 0);
	return rc;
}

__attribute__((noinline, cold)) static int lock_slow(fl_mutex *m, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__debug_op op;
	fl__debug_locking(&op, m, FL__DEBUG_MUTEX, deadline == FL_FOREVER ? 0 : FL__DEBUG_TRY);
	return told(m, lock_anyhow(m, deadline, cancel, &op), &op);
}

__attribute__((noinline, cold)) static int try_lock_slow(fl_mutex *m)
{
	struct fl__debug_op op;
	fl__debug_locking(&op, m, FL__DEBUG_MUTEX, FL__DEBUG_TRY);
	return told(m, take_if_free(m) ? settled(m) : -EBUSY, &op);
}

/* Under the queue lock: whether the first waiter, awake, was first woken PATIENCE ago. */
static bool is_due(struct fl__mutex_node *first)
{
	const int64_t now = fl__sys.now();
	if (first->since == 0)
		first->since = now;
	return now - first->since >= PATIENCE;
}

/*
 * Under the queue lock: hands the mutex to the first waiter, which is awake. If a running thread
 * was faster, sets WAITERS, so that its unlock calls look().
 */
static void hand_over(fl_mutex *m)
{
	uint32_t seen = fl__load_relaxed(&m->word_), next; /* relaxed: the CAS decides */
	do
		next = seen & HELD ? seen | WAITERS : LOCKED | HAND;
	/* relaxed: the CAS continues the release sequence of the unlock that freed the mutex */
	while (!fl__cas_weak_relaxed(&m->word_, &seen, next));
}

static void remember(const fl_mutex *m)
{
	flight.plain = m ? NEVER : LOCKED;
	flight.unlocks = 0;
	flight.mutex = m;
}

/*
 * Called after an unlock, when the mutex may already be freed (invariant 1). Wakes the first
 * waiter, or hands over.
 */
static void look(fl_mutex *m)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	struct fl__node *there = fl__lot_first(&lot);
	struct fl__mutex_node *first = NULL;
	if (there && there->wants_mutex && fl__mutex_node_of(there)->mutex == m)
		first = fl__mutex_node_of(fl__lot_rouse(&lot));
	if (there && !fl__lot_more(&lot))
		/* all gave up, so leave_open_line() does not clear WAITERS */
		say_who_waits(m, &lot);
	/* relaxed: a stale value costs one more look() */
	const bool is_here = first && fl__load_relaxed(&first->is_here);
	if (first && is_due(first))
		hand_over(m);
	else if (first && (is_here || !fl__ctx_get()->ops->yield))
		/* relaxed: the queue lock orders it */
		fl__and_relaxed(&m->word_, ~(uint32_t)WAITERS);
	remember(first && !is_here ? m : NULL);
	fl__lot_close(&lot);
}

/* Tells debugging, then frees the mutex. Returns the word before that. */
static uint32_t free_watched(fl_mutex *m)
{
	fl__debug_unlocking(m, 0);
	/* release: pairs with the acquire in lock. The last access, except in look(). */
	return fl__and_release(&m->word_, ~(uint32_t)WATCHED);
}

__attribute__((noinline, cold)) static void unlock_slow(fl_mutex *m, uint32_t before)
{
	if (!(before & LOCKED) || (before & HAND)) {
		/* relaxed: undoes the subtraction before the panic */
		fl__add_relaxed(&m->word_, LOCKED);
		fl__panic("fl_mutex_unlock", m, "not locked");
	}
	if (before & WATCHED)
		before = free_watched(m);
	if ((before & WAITERS) || (flight.mutex == m && ++flight.unlocks >= UNLOCKS_A_LOOK))
		look(m);
}

/* Under the queue lock, when the empty queue has received waiters: restores invariant 2. */
static void see_to(fl_mutex *m, struct fl__lot *lot)
{
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: the CAS decides */
	while (seen & HELD)
		/* relaxed: the owner's unlock calls look(), which locks the queue */
		if (fl__cas_weak_relaxed(&m->word_, &seen, seen | WAITERS))
			return;
	(void)fl__lot_rouse(lot);
}

size_t fl__mutex_adopt(fl_mutex *m, struct fl__lot *from, struct fl__lot *to, size_t max)
{
	const bool others = fl__lot_more(to);
	struct fl__node *first;
	size_t moved = 0;
	while (moved < max && (first = fl__lot_first(from)) != NULL && fl__mutex_node_of(first)->mutex == m)
		moved += fl__lot_move(from, to);
	if (!others && moved > 0)
		see_to(m, to);
	return moved;
}

void fl__mutex_give_up(fl_mutex *m, struct fl__lot *lot, struct fl__mutex_node *place)
{
	leave_open_line(m, lot, &place->node, false);
}

void fl__mutex_lock_roused(struct fl__mutex_node *place, struct fl__debug_op *op)
{
	fl_mutex *m = place->mutex;
	if (!try_as_first(m, place) && sleep_again(m, place)) {
		fl__debug_waiting(op);
		(void)await(m, place, FL_FOREVER, FL_SHIELDED); /* always 0 */
	}
	(void)told(m, 0, op);
}

void fl__mutex_lock_announced(fl_mutex *m, struct fl__debug_op *op)
{
	uint32_t expected = 0;
	/*
	 * No load first, which would fetch the cache line twice. acquire: pairs with the release in
	 * unlock
	 */
	if (fl__cas_weak_acquire(&m->word_, &expected, LOCKED))
		(void)told(m, 0, op);
	else
		(void)told(m, lock_anyhow(m, FL_FOREVER, FL_SHIELDED, op), op); /* always 0 */
}

void fl_mutex_init(fl_mutex *m)
{
	m->word_ = 0;
	fl__debug_forget(m, NULL);
}

int fl_mutex_destroy(fl_mutex *m)
{
	/*
	 * The queue before the word: a waiter that leaves the queue as the owner sets LOCKED first.
	 * acquire: pairs with the release of the last unlock
	 */
	const bool busy = fl__lot_waited(m) || (fl__load_acquire(&m->word_) & HELD);
	fl__debug_forget(m, busy ? "fl_mutex_destroy" : NULL);
	return busy ? -EBUSY : 0;
}

void fl_mutex_lock(fl_mutex *m)
{
	uint32_t expected = fl__debug_word(&fl__debug_free);
	/* acquire: pairs with the release in unlock */
	if (__builtin_expect(fl__cas_weak_acquire(&m->word_, &expected, LOCKED), 1))
		return;
	(void)lock_slow(m, FL_FOREVER, FL_SHIELDED); /* always 0: neither timed nor cancelled */
}

int fl_mutex_try_lock(fl_mutex *m)
{
	if (fl__debug_is_on())
		return try_lock_slow(m);
	return take_if_free(m) ? settled(m) : -EBUSY;
}

int fl_mutex_lock_until(fl_mutex *m, int64_t deadline, fl_cancel_token *cancel)
{
	uint32_t expected = fl__debug_word(&fl__debug_free);
	/* pairs with the release in unlock */
	if (fl__cas_weak_acquire(&m->word_, &expected, LOCKED))
		return 0;
	return lock_slow(m, deadline, cancel);
}

void fl_mutex_unlock(fl_mutex *m)
{
	/* release: pairs with the acquire in lock */
	const uint32_t before = fl__sub_release(&m->word_, LOCKED);
	if (__builtin_expect(before == flight.plain, 1))
		return;
	unlock_slow(m, before);
}

bool fl_mutex_is_locked(const fl_mutex *m)
{
	return fl__load_relaxed(&m->word_) & HELD; /* relaxed: the result may be stale at once */
}
