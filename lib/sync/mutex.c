/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mutex: a word, and a line in the lot for those who must sleep.
 *
 *   bit       meaning                                 set by                                  cleared by
 *   LOCKED    somebody holds it                       lock: CAS; with HAND, by an unlock      unlock: subtraction
 *   WAITERS   an unlock has to look at the line,      who stands in line as the first and     look(), and who leaves the line
 *             which is not empty                      sleeps; who takes the lock and leaves   empty
 *                                                     others there; look(); under the lot
 *   HAND      with LOCKED: it has been handed to the  look(), under the lot                   the first in line: it owns it
 *             first in line, which has yet to come
 *   WATCHED   debugging was told who holds it: an     lock, slow: its owner                   unlock, slow, when it has
 *             unlock has to tell it, and frees the                                            told; without LOCKED this is
 *             mutex only then                                                                 still held
 *
 * The first in line, once it has been roused, is awake: it tries to take the lock, and stays the first meanwhile. Nobody
 * else is woken. So whoever locks and unlocks again and again while it tries finds none of these bits, and pays for
 * nothing. When it has tried for a while it sleeps again, and says so (WAITERS). An unlock that meets it a millisecond or
 * more after it was first roused hands the lock over, whether it runs or not. So turns are a millisecond long when threads
 * want more than there is, and n threads wait about n milliseconds. After Go's and WebKit's mutexes, which also hand over
 * after a millisecond, and nsync's, with its one designated waker.
 *
 * (A fiber leaves WAITERS set, so that it comes to give_way() when it locks again.)
 *
 * A thread that was woken may wait for the processor of its waker, who holds the lock again and again: it would sit there for
 * a time slice. So who roused it remembers that, in its own thread's `flight`, and every so many unlocks looks whether it has
 * come, until it has.
 *
 * Invariants
 *   1. Linearization: lock, the CAS that sets LOCKED, or the taking of HAND; unlock, the subtraction. An unlock's last access
 *      to the mutex is that, unless the lot has somebody in its line who waits for a mutex: then the mutex is there, and
 *      stays there while the lot is open. (It may be another mutex by then, in the same place: what look() does is right
 *      for any.)
 *   2. Somebody stands in line => the first of them is awake (roused, or about to be when the transaction ends); or WAITERS is
 *      set, and the mutex is LOCKED, so that an unlock is to come that will look, or an unlock is about to.
 *   3. WAITERS is set and cleared under the lot, and only while the line is not empty.
 *   4. HAND is set only for a first in line that is awake, and it alone clears HAND. A waiter that has given up is not awake
 *      (lot.c, invariant 2), and is passed over.
 *
 * A forked child inherits the word, but no line: who finds WAITERS when it takes the lock sees to that, in settled(). A mutex that
 * had been handed over is another's there, as one that another has locked.
 *
 * Fairness: the line is FIFO; a running thread may overtake the first in line, for a millisecond. A fiber first lets the
 * others of its thread run: give_way().
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

/* The waiter that this thread roused last, as long as it is not known to have come. */
static _Thread_local struct {
	uint32_t plain;    /* the word before an unlock that has nothing else to do; NEVER: look here first */
	unsigned unlocks;  /* of `mutex` since the last look */
	const void *mutex; /* that it waits for; only compared */
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
 * A holder on another CPU is about to unlock, more often than not: looks a few times, for about a microsecond, as long as nobody
 * stands in line as far as the word tells. The pauses double, since each look takes the cache line of the word away from the
 * holder, who needs it.
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
 * A fiber that unlocks, locks again, and holds the mutex while it waits for other things, would always come before the one that
 * it has roused, which shares its thread: so that comes first.
 */
static void give_way(const fl_mutex *m)
{
	/* relaxed: a hint. Free, and WAITERS: a fiber has unlocked it, and the one that it has roused has yet to come */
	if ((fl__load_relaxed(&m->word_) & (LOCKED | WAITERS)) != WAITERS)
		return;
	const struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->ops->yield)
		ctx->ops->yield();
}

/* Under the lot, by whoever uses the mutex: WAITERS as it should be when nobody is about to look. */
static void say_who_waits(fl_mutex *m, const struct fl__lot *lot)
{
	if (fl__lot_more(lot))
		fl__or_relaxed(&m->word_,
		               WAITERS); /* relaxed: whose unlock finds it goes to the lot, which orders all else */
	else
		fl__and_relaxed(&m->word_, ~(uint32_t)WAITERS); /* relaxed: as above */
}

/* Under the lot: sets WAITERS; or takes the lock, if it has become free: false. */
static bool mark_or_take(fl_mutex *m)
{
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: the CAS decides */
	for (;;) {
		const uint32_t next = seen & HELD ? seen | WAITERS : seen | LOCKED;
		/* acquire: if it takes the lock; pairs with the release in unlock */
		if (fl__cas_weak_acquire(&m->word_, &seen, next))
			return seen & HELD;
	}
}

/* Goes in line, unless the mutex has become free: then it is taken, and the result is false. */
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

/* Under the lot. One who was passed over since is nobody that destroy would see: the mutex may be gone. */
static void leave_open_line(fl_mutex *m, struct fl__lot *lot, struct fl__node *node, bool owns)
{
	const bool passed_over = !node->queued;
	fl__lot_remove(lot, node);
	if (owns || (!passed_over && !fl__lot_more(lot)))
		say_who_waits(m, lot);
}

/* By whoever has become the owner, or has given up. */
static void leave_line(fl_mutex *m, struct fl__node *node, bool owns)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	leave_open_line(m, &lot, node, owns);
	fl__lot_close(&lot);
}

/* The first in line, awake, takes the lock if it is free or handed over. */
static bool take_as_first(fl_mutex *m)
{
	if (!(fl__load_relaxed(&m->word_) & HAND)) /* relaxed: take_if_free() or the next access acquires */
		return take_if_free(m);
	(void)fl__and_acquire(&m->word_, ~(uint32_t)HAND); /* pairs with the release of the unlock before look() */
	return true;
}

/*
 * The first in line tries for a while: true, owning the lock, and out of the line. The pauses are long from the start: whoever
 * holds it may be about to lock it again and again, and does so faster alone. A holder may also wait for this processor, so it
 * does not take long.
 */
static bool try_as_first(fl_mutex *m, struct fl__mutex_node *place)
{
	enum { LOOKS = 6, PAUSES = 64 };
	const bool spins = place->node.wait->ctx->ops->yield == NULL;
	const int64_t end = spins ? fl__sys.now() + TRIES : 0;
	fl__store_relaxed(&place->is_here, true); /* relaxed: tells nothing else; see look() */
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

/* The first in line is to sleep again: true; or false, owning the lock and out of the line. */
static bool sleep_again(fl_mutex *m, struct fl__mutex_node *place)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	const bool waits = !(fl__load_relaxed(&m->word_) & HAND) && mark_or_take(m); /* relaxed: set under the lot */
	if (waits) {
		fl__wait_begin(place->node.wait);
		place->is_here = false;
	}
	fl__lot_close(&lot);
	if (!waits) {
		(void)fl__and_acquire(&m->word_, ~(uint32_t)HAND); /* as in take_as_first(), if it was handed over */
		leave_line(m, &place->node, true);
	}
	return waits;
}

/* From its place in line to the lock: 0; or -ETIMEDOUT, -ECANCELED, out of the line. */
static int await(fl_mutex *m, struct fl__mutex_node *place, int64_t deadline, fl_cancel *cancel)
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

/* After the lock was taken with WAITERS set: those may be the parents of a forked child. */
static int settled(fl_mutex *m)
{
	struct fl__lot lot;
	if (!(fl__load_relaxed(&m->word_) & WAITERS)) /* relaxed: a hint; here it changes under the lot alone */
		return 0;
	fl__lot_open(&lot, m);
	if (!fl__lot_more(&lot))
		say_who_waits(m, &lot);
	fl__lot_close(&lot);
	return 0;
}

static int lock_anyhow(fl_mutex *m, int64_t deadline, fl_cancel *cancel, struct fl__debug_op *op)
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

/* Tells debugging how it ended; a new owner has its unlock do so, too. */
static int told(fl_mutex *m, int rc, struct fl__debug_op *op)
{
	if (op->on && rc == 0)
		fl__or_relaxed(&m->word_, WATCHED); /* relaxed: the owner's own */
	fl__debug_locked(op, rc == 0);
	return rc;
}

__attribute__((noinline, cold)) static int lock_slow(fl_mutex *m, int64_t deadline, fl_cancel *cancel)
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

/* Under the lot, with the first in line awake: whether it has waited for long enough to be given the lock. */
static bool is_due(struct fl__mutex_node *first)
{
	const int64_t now = fl__sys.now();
	if (first->since == 0)
		first->since = now;
	return now - first->since >= PATIENCE;
}

/* Under the lot: hands the mutex to the first in line, which is awake; if somebody was faster, the next unlock is to look. */
static void hand_over(fl_mutex *m)
{
	uint32_t seen = fl__load_relaxed(&m->word_), next; /* relaxed: the CAS decides */
	do
		next = seen & HELD ? seen | WAITERS : LOCKED | HAND;
	/* relaxed: it continues the release sequence of the unlock that has freed it */
	while (!fl__cas_weak_relaxed(&m->word_, &seen, next));
}

static void remember(const fl_mutex *m)
{
	flight.plain = m ? NEVER : LOCKED;
	flight.unlocks = 0;
	flight.mutex = m;
}

/* After an unlock, when the mutex may be gone: looks after the first in line. Invariant 1. */
static void look(fl_mutex *m)
{
	struct fl__lot lot;
	fl__lot_open(&lot, m);
	struct fl__node *there = fl__lot_first(&lot);
	struct fl__mutex_node *first = NULL;
	if (there && there->wants_mutex && fl__mutex_node_of(there)->mutex == m)
		first = fl__mutex_node_of(fl__lot_rouse(&lot));
	if (there && !fl__lot_more(&lot))
		say_who_waits(m, &lot); /* all had given up, and leave the mark to this: leave_open_line() */
	/* relaxed: it costs another look when it is out of date */
	const bool is_here = first && fl__load_relaxed(&first->is_here);
	if (first && is_due(first))
		hand_over(m);
	else if (first && (is_here || !fl__ctx_get()->ops->yield))
		fl__and_relaxed(&m->word_, ~(uint32_t)WAITERS); /* relaxed: the lot orders it */
	remember(first && !is_here ? m : NULL);
	fl__lot_close(&lot);
}

/* Debugging is told before the mutex is free. The word as it was then. */
static uint32_t free_watched(fl_mutex *m)
{
	fl__debug_unlocking(m, 0);
	/* release: pairs with the acquire in lock; the last access, but for look() */
	return fl__and_release(&m->word_, ~(uint32_t)WATCHED);
}

__attribute__((noinline, cold)) static void unlock_slow(fl_mutex *m, uint32_t before)
{
	if (!(before & LOCKED) || (before & HAND)) {
		fl__add_relaxed(&m->word_, LOCKED); /* relaxed: as if nothing had been; what follows is the panic */
		fl__panic("fl_mutex_unlock", m, "not locked");
	}
	if (before & WATCHED)
		before = free_watched(m);
	if ((before & WAITERS) || (flight.mutex == m && ++flight.unlocks >= UNLOCKS_A_LOOK))
		look(m);
}

/* Under the lot, with a line that was empty and is no more: invariant 2. */
static void see_to(fl_mutex *m, struct fl__lot *lot)
{
	uint32_t seen = fl__load_relaxed(&m->word_); /* relaxed: the CAS decides */
	while (seen & HELD)
		if (fl__cas_weak_relaxed(&m->word_, &seen,
		                         seen | WAITERS)) /* relaxed: the holder looks under the lot */
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
		(void)await(m, place, FL_FOREVER, FL_SHIELDED); /* 0: neither timed nor cancelled */
	}
	(void)told(m, 0, op);
}

void fl__mutex_lock_announced(fl_mutex *m, struct fl__debug_op *op)
{
	uint32_t expected = 0;
	/* Without a look first, which would fetch the cache line twice. acquire: pairs with the release in unlock */
	if (fl__cas_weak_acquire(&m->word_, &expected, LOCKED))
		(void)told(m, 0, op);
	else
		(void)told(m, lock_anyhow(m, FL_FOREVER, FL_SHIELDED, op), op); /* 0: as above */
}

void fl_mutex_init(fl_mutex *m)
{
	m->word_ = 0;
	fl__debug_forget(m, NULL);
}

int fl_mutex_destroy(fl_mutex *m)
{
	/*
	 * The line first: who leaves it with the lock has set LOCKED before.
	 * acquire: what follows the last unlock; pairs with its release
	 */
	const bool busy = fl__lot_waited(m) || (fl__load_acquire(&m->word_) & HELD);
	fl__debug_forget(m, busy ? "fl_mutex_destroy" : NULL);
	return busy ? -EBUSY : 0;
}

void fl_mutex_lock(fl_mutex *m)
{
	uint32_t expected = fl__debug_word(&fl__debug_free);
	if (__builtin_expect(fl__cas_weak_acquire(&m->word_, &expected, LOCKED),
	                     1)) /* pairs with the release in unlock */
		return;
	(void)lock_slow(m, FL_FOREVER, FL_SHIELDED); /* 0: neither timed nor cancelled */
}

int fl_mutex_try_lock(fl_mutex *m)
{
	if (fl__debug_is_on())
		return try_lock_slow(m);
	return take_if_free(m) ? settled(m) : -EBUSY;
}

int fl_mutex_lock_until(fl_mutex *m, int64_t deadline, fl_cancel *cancel)
{
	uint32_t expected = fl__debug_word(&fl__debug_free);
	if (fl__cas_weak_acquire(&m->word_, &expected, LOCKED)) /* pairs with the release in unlock */
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
	return fl__load_relaxed(&m->word_) & HELD; /* relaxed: out of date when it returns */
}
