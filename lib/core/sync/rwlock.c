/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A readers-writer lock consists of two words, `word_` and `turn_`. Readers and writers wait in the
 * same wait queue of the parking lot (wait/lot.h). A running context may overtake the waiters, but
 * only for a bounded time, which turn.h explains.
 *
 * The lock is *barred* to a context if a holder excludes the context, or if the context must not
 * overtake the queue. Usually a reader locks and unlocks by an addition, which cannot fail when
 * several readers do it at once. If its addition finds the lock barred, it subtracts itself again.
 * There are three exceptions. A try, and a reader that has found the lock barred, lock by a CAS. A
 * reader that is queued right behind an awake reader is granted the lock. A reader of a biased lock
 * uses a slot (reader_bias.h).
 *
 * A serve is a call of rwlock_serve_queue(), which wakes the first waiter if the lock is not barred
 * to it. The woken waiter is called the awake waiter, until it takes the lock or goes back to the
 * queue.
 *
 *   RWLOCK_   meaning                     set by                       cleared by
 *   COUNT     the number of readers that  read lock, downgrade: + 1;   read unlock, a barred
 *             have no slot, and of        a grant: + the readers       reader: - 1; the end of a
 *             barred readers on their     granted; the start and the   bias: see reader_bias.h
 *             way out; BIAS_UNITS more    end of a bias: see
 *             while there is a bias       reader_bias.h
 *   BIAS      readers may lock without    (the table in reader_bias.h)
 *             the word, in a slot
 *   WAITERS   an unlock must serve the    a waiter that enqueues       a serve, when it wakes a
 *             queue                       while none is awake; the     thread, or the queue is
 *                                         awake waiter, when it goes   empty; the awake waiter,
 *                                         back, or leaves waiters      when it takes the lock and
 *                                                                      leaves no waiters
 *   CLOSED    no context may overtake:    an overtaker; a serve, when  the awake waiter, when it
 *             the turn has lasted for     it wakes; the awake waiter,  takes the lock; a serve,
 *             one FL__TURN (1 ms)         when it goes back            when the queue is empty
 *   WRITER    a writer holds the lock     write lock: CAS              write unlock, downgrade:
 *                                                                      subtraction
 *
 *   turn_     meaning                     set by                       cleared by
 *   bit 0-14  when the turn began, in     rwlock_begin_turn()          -
 *             ticks of 2^17 ns
 *   AWAKE     there is an awake waiter    a serve                      the awake waiter, when it
 *                                                                      takes the lock or goes back
 *
 * Invariants
 *   1. A call that locks linearizes at the addition or CAS by which it finds the lock not barred to
 *      it, and a grant at its addition under the queue lock. An unlock linearizes at its
 *      subtraction, which is its last access to the lock, except in invariant 2. reader_bias.h
 *      describes where the calls of a biased reader linearize.
 *   2. An unlock that saw WAITERS touches the lock again only if the first waiter of this address
 *      waits for an rwlock, which the value of the waiter's node tells. Until that waiter's call
 *      ends, the memory is valid. The address may hold a new rwlock by then, but that is harmless,
 *      because a serve reads the word again, and is correct for any rwlock at any time.
 *   3. At most one waiter is awake. It either takes the lock and later frees it, or goes back to
 *      the head of the queue. Before it goes back, it finds WAITERS set in a word that bars the
 *      lock to it, or sets WAITERS in such a word by a CAS or an addition. So the context that
 *      unbars the lock serves the queue.
 *   4. If the queue is not empty, a waiter is awake or WAITERS is set. So while the lock is not
 *      barred to the first waiter, a waiter is awake, or the context that unbarred the lock has yet
 *      to serve the queue. That context may be a reader that backs out.
 *   5. A waiter that gives up serves the queue, because the next waiters may have waited only for
 *      it. If a serve has dequeued this waiter, that serve has gone on with the next waiters.
 *   6. WAITERS, CLOSED and turn_ change under the queue lock. Therefore relaxed accesses to them
 *      suffice: the queue lock orders them, and a value that is read without the lock is a hint. If
 *      a waiter has set a bit, and then finds that the lock has become free, it clears that bit
 *      again in the same section.
 *
 * When an awake reader takes the lock, the readers right behind it in the queue get the lock as
 * well. While the awake waiter is a fiber, WAITERS stays set. This bars other fibers, which may
 * share that fiber's thread, except in the try functions.
 *
 * What overtaking costs. While a thread is the awake waiter, WAITERS is clear, and only the thread
 * that woke it reads the clock, at each 64th lock. If WAITERS stayed set, each reader would read
 * the clock, which in a measurement cost twice as much as the lock. While the first waiter sleeps
 * or is a fiber, WAITERS is set, and each context that overtakes reads the clock.
 * docs/decisions/reader-bias.md says why a lock may be biased for its readers.
 */
#include "rwlock.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include "reader_bias.h"
#include "turn.h"

#define RWLOCK_READER 1u
#define RWLOCK_MOST (1u << 26)
#define RWLOCK_COUNT (2 * RWLOCK_MOST - 1)
#define RWLOCK_WAITERS (1u << 28)
#define RWLOCK_CLOSED FL__BIAS_CLOSED
#define RWLOCK_WRITER (1u << 31)

/* The values of a queued node, which no other primitive uses. */
#define RWLOCK_READS 0xf2776c31u
#define RWLOCK_WRITES (RWLOCK_READS + 1)
/* The values of a dequeued node. */
enum { RWLOCK_WOKEN, RWLOCK_GRANTED };

static const struct fl__rwlock_mode rwlock_reading = {RWLOCK_READER, RWLOCK_WRITER, RWLOCK_READS};
const struct fl__rwlock_mode fl__rwlock_writing = {RWLOCK_WRITER, RWLOCK_WRITER | RWLOCK_COUNT, RWLOCK_WRITES};

static _Thread_local struct fl__last_wake rwlock_last_wake FL__INITIAL_EXEC;

/* The fields of turn_. */
enum {
	RWLOCK_TICK_LOG2 = 17,
	RWLOCK_TURN = 8, /* the number of ticks in FL__TURN */
	RWLOCK_TICK_MASK = 0x7fff,
	RWLOCK_AWAKE = 0x8000
};

static uint32_t rwlock_ticks(void)
{
	return (uint32_t)(fl__sys.now() >> RWLOCK_TICK_LOG2) & RWLOCK_TICK_MASK;
}

/* Begins a turn, under the queue lock, when no waiter is awake. */
static void rwlock_begin_turn(fl_rwlock *l)
{
	/* relaxed: invariant 6 */
	fl__store_relaxed(&l->turn_, rwlock_ticks());
}

static bool rwlock_has_awake(const fl_rwlock *l)
{
	/* relaxed: invariant 6 */
	return fl__load_relaxed(&l->turn_) & RWLOCK_AWAKE;
}

static void rwlock_set_awake(fl_rwlock *l)
{
	/* relaxed: invariant 6 */
	fl__store_relaxed(&l->turn_, fl__load_relaxed(&l->turn_) | RWLOCK_AWAKE);
}

static void rwlock_clear_awake(fl_rwlock *l)
{
	/* relaxed: invariant 6 */
	fl__store_relaxed(&l->turn_, fl__load_relaxed(&l->turn_) & ~(uint32_t)RWLOCK_AWAKE);
}

static bool rwlock_is_late(const fl_rwlock *l)
{
	/* relaxed: invariant 6 */
	return ((rwlock_ticks() - fl__load_relaxed(&l->turn_)) & RWLOCK_TICK_MASK) >= RWLOCK_TURN;
}

/*
 * Called by a context that has overtaken the queue, or is about to. If the first waiter's turn is
 * over, sets CLOSED.
 */
static void rwlock_close_if_late(fl_rwlock *l)
{
	if (!rwlock_is_late(l))
		return;
	FL__LOT(lot, l);
	if (rwlock_is_late(l) && (rwlock_has_awake(l) || fl__lot_has_waiters(&lot)))
		fl__or_relaxed(&l->word_, RWLOCK_CLOSED); /* relaxed: the bit publishes nothing */
}

/* Called before this thread locks the object of its last wake (invariant 4 of turn.h). */
FL__SLOW_PATH static void rwlock_recheck_wake(fl_rwlock *l)
{
	if (!fl__last_wake_is_due(&rwlock_last_wake, l))
		return;
	if (rwlock_has_awake(l)) /* a hint, because the queue is not locked */
		rwlock_close_if_late(l);
	else
		rwlock_last_wake.object = NULL;
}

/* Returns the word with one more holder. Panics if there are too many readers. */
static uint32_t rwlock_add_holder(const fl_rwlock *l, const struct fl__rwlock_mode *mode, uint32_t word)
{
	if (mode == &rwlock_reading && (word & RWLOCK_COUNT) >= RWLOCK_MOST)
		fl__panic("fl_rwlock_read_lock", l, "too many readers");
	return word + mode->unit;
}

/* Wakes `first`, to which the lock is not barred. Returns false if that waiter gave up. */
static bool rwlock_wake(fl_rwlock *l, struct fl__lot *lot, struct fl__node *first)
{
	const bool is_fiber = first->wait->ctx->ops->yield != NULL, late = rwlock_is_late(l);
	if (!fl__lot_take_node(lot, first, RWLOCK_WOKEN))
		return false;
	rwlock_set_awake(l);
	if (late)
		fl__or_relaxed(&l->word_, RWLOCK_CLOSED); /* relaxed: the bit publishes nothing */
	if (!is_fiber) {
		/* relaxed: the bit publishes nothing, and the awake waiter will lock the queue */
		fl__and_relaxed(&l->word_, ~RWLOCK_WAITERS);
		rwlock_last_wake = (struct fl__last_wake){.object = l};
	}
	return true;
}

/*
 * Serves the queue: wakes the first waiter if the lock is not barred to it and no waiter is awake.
 * Dequeues waiters that gave up. The memory of the lock is valid, because the lock has a waiter or
 * the caller knows that it exists.
 */
static void rwlock_serve_queue(fl_rwlock *l, struct fl__lot *lot)
{
	struct fl__node *first;
	while ((first = fl__lot_next(lot)) != NULL) {
		/* relaxed: the woken waiter acquires when it takes the lock */
		const uint32_t seen = fl__load_relaxed(&l->word_);
		const struct fl__rwlock_mode *mode =
		    first->value == RWLOCK_READS ? &rwlock_reading : &fl__rwlock_writing;
		if (rwlock_has_awake(l) || (seen & mode->bars) || rwlock_wake(l, lot, first))
			return;
	}
	if (!rwlock_has_awake(l))
		/* relaxed: invariant 6 */
		fl__and_relaxed(&l->word_, ~(RWLOCK_WAITERS | RWLOCK_CLOSED));
}

static bool rwlock_is_waiter(const struct fl__node *node)
{
	return node && node->value >= RWLOCK_READS && node->value <= RWLOCK_WRITES;
}

/* Serves the queue of an address at which the lock may already be freed (invariant 2). */
FL__NOINLINE static void rwlock_serve(fl_rwlock *l)
{
	FL__LOT(lot, l);
	if (rwlock_is_waiter(fl__lot_first(&lot)))
		rwlock_serve_queue(l, &lot);
}

/*
 * Called when readers have left the word: after a read unlock, after a reader backed out, or after
 * the bias ended. `seen` is the word before the caller subtracted `units`. Serves the queue if the
 * lock has become free.
 */
static void rwlock_readers_left(fl_rwlock *l, uint32_t seen, uint32_t units)
{
	if ((seen & RWLOCK_WAITERS) && (seen & (RWLOCK_COUNT | RWLOCK_WRITER)) == units)
		rwlock_serve(l);
}

static void rwlock_settle(fl_rwlock *l)
{
	const uint32_t seen = fl__bias_settle(l);
	if ((seen & RWLOCK_COUNT) < FL__BIAS_UNITS)
		fl__panic("fl_rwlock_read_unlock", l, "not locked for reading");
	rwlock_readers_left(l, seen, FL__BIAS_UNITS);
}

static void rwlock_end_bias(fl_rwlock *l)
{
	if (fl__bias_end(l))
		rwlock_settle(l);
}

/* Grants the lock to the readers at the front of the queue, after an awake reader has taken it. */
static void rwlock_grant_readers(fl_rwlock *l, struct fl__lot *lot)
{
	struct fl__node *first;
	uint32_t n = 0;
	while ((first = fl__lot_first(lot)) != NULL && first->value == RWLOCK_READS)
		n += fl__lot_take_node(lot, first, RWLOCK_GRANTED);
	if (n > 0)
		/* relaxed: the awake reader has acquired, and the unparks pass that on */
		fl__add_relaxed(&l->word_, n * RWLOCK_READER);
}

/* Ends the turn of the awake waiter, which has taken the lock. */
static void rwlock_end_turn(fl_rwlock *l, struct fl__lot *lot, const struct fl__rwlock_mode *mode)
{
	if (mode == &rwlock_reading)
		rwlock_grant_readers(l, lot);
	rwlock_begin_turn(l);
	/* relaxed, both: invariant 6 */
	if (fl__lot_has_waiters(lot))
		fl__or_relaxed(&l->word_, RWLOCK_WAITERS);
	else
		fl__and_relaxed(&l->word_, ~RWLOCK_WAITERS);
}

/*
 * Takes the lock or, if a bit of `bars` is set, sets `marks` and clears BIAS. Returns the word
 * before the CAS that took the lock or cleared BIAS; or, if there was no such CAS, the word with
 * the marks. The caller holds the queue lock.
 */
static uint32_t rwlock_take_or_mark(fl_rwlock *l, const struct fl__rwlock_mode *mode, uint32_t bars, uint32_t marks,
                                    bool awake)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: a stale value only makes the CAS fail */
	for (;;) {
		const uint32_t missing = marks & ~seen;
		if (!(seen & bars)) {
			/*
			 * acquire: pairs with the releases in fl_rwlock_write_unlock(),
			 * fl_rwlock_downgrade() and read unlocks
			 */
			if (fl__cas_weak_acquire(&l->word_, &seen,
			                         rwlock_add_holder(l, mode, seen) & ~(awake ? RWLOCK_CLOSED : 0)))
				return seen;
		} else if (seen & FL__BIAS) { /* seq_cst: invariant 3 of reader_bias.h */
			if (fl__cas_weak_seq_cst(&l->word_, &seen, (seen | marks) & ~FL__BIAS))
				return seen;
		} else if (missing) {
			/*
			 * relaxed, both: a serve holds the queue lock after this section, so it
			 * sees the bits
			 */
			seen = fl__add_relaxed(&l->word_, missing) + missing;
			if (!(seen & bars & ~missing)) /* the lock is free: undo the addition */
				seen = fl__sub_relaxed(&l->word_, missing) - missing;
		} else {
			return seen;
		}
	}
}

static void rwlock_insert(fl_rwlock *l, struct fl__lot *lot, struct fl__node *node, bool awake)
{
	if (awake)
		rwlock_clear_awake(l);
	else if (!rwlock_has_awake(l) && !fl__lot_has_waiters(lot))
		rwlock_begin_turn(l);
	fl__lot_insert(lot, node, awake ? fl__lot_first(lot) : NULL);
}

bool fl__rwlock_enqueue(fl_rwlock *l, const struct fl__rwlock_mode *mode, struct fl__node *node, uint32_t bars,
                        bool awake)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	const uint32_t marks =
	    (awake || !rwlock_has_awake(l) ? RWLOCK_WAITERS : 0) | (awake && rwlock_is_late(l) ? RWLOCK_CLOSED : 0);
	const uint32_t seen = rwlock_take_or_mark(l, mode, bars, marks, awake);
	const bool waits = seen & bars;
	if (waits)
		rwlock_insert(l, &lot, node, awake);
	else if (awake)
		rwlock_end_turn(l, &lot, mode);
	/* After fl__lot_close(), another thread may dequeue the node at any time. */
	fl__lot_close(&lot);
	/*
	 * The bias ends here in two cases. A context that has cleared BIAS and waits must settle
	 * it. And an awake reader that has taken the lock ends the bias, because a biased reader
	 * would not serve the waiters behind the awake one.
	 */
	if (waits ? seen & FL__BIAS : awake && fl__bias_end(l))
		rwlock_settle(l);
	if (!waits && !awake && (seen & RWLOCK_WAITERS))
		rwlock_close_if_late(l);
	return waits;
}

/*
 * Called by a waiter that gives up (invariant 5). If a serve has dequeued the waiter, the memory of
 * the lock may be gone, so the function does not access the lock.
 */
static void rwlock_leave(fl_rwlock *l, struct fl__node *node)
{
	FL__LOT(lot, l);
	const bool dequeued_before = !node->queued;
	fl__lot_remove(&lot, node);
	if (!dequeued_before)
		rwlock_serve_queue(l, &lot);
}

bool fl__rwlock_is_busy(fl_rwlock *l)
{
	/*
	 * A waiter moves from the queue to being awake or to a grant, and from being awake to the
	 * lock or back to the queue. Because each move happens under the queue lock, which this
	 * function holds, the waiter is found in exactly one of these places.
	 */
	FL__LOT(lot, l);
	return fl__lot_has_waiters(&lot) || rwlock_has_awake(l) || fl__rwlock_is_read_locked(l) ||
	       fl__rwlock_is_write_locked(l);
}

static inline void rwlock_check_wake(fl_rwlock *l)
{
	if (fl__unlikely(rwlock_last_wake.object == l))
		rwlock_recheck_wake(l);
}

static inline bool rwlock_read_biased(fl_rwlock *l)
{
	rwlock_check_wake(l);
	return fl__unlikely(fl__bias_is_noted(l)) && fl__bias_read(l);
}

/* Tries to take the lock. The caller may overtake the queue. Returns whether it took the lock. */
static bool rwlock_take(fl_rwlock *l, const struct fl__rwlock_mode *mode)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: a stale value only makes the CAS fail */
	while (!(seen & (mode->bars | RWLOCK_CLOSED))) {
		/*
		 * acquire: pairs with the releases in fl_rwlock_write_unlock(),
		 * fl_rwlock_downgrade() and read unlocks
		 */
		if (!fl__cas_weak_acquire(&l->word_, &seen, rwlock_add_holder(l, mode, seen)))
			continue;
		if (seen & RWLOCK_WAITERS)
			rwlock_close_if_late(l);
		return true;
	}
	return false;
}

static void rwlock_back_out(fl_rwlock *l)
{
	/* relaxed: the caller did not hold the lock, so it has nothing to publish */
	rwlock_readers_left(l, fl__add_relaxed(&l->word_, -RWLOCK_READER), RWLOCK_READER);
}

/*
 * Tries to take the lock for a few microseconds, or until it has a waiter. Because each access
 * takes the cache line from the holder, the first pause is 8 spin-loop hints long, which suits
 * sections of about 100 ns, and each further pause is twice as long. While polling is off, tries
 * once.
 */
static bool rwlock_spin(fl_rwlock *l, const struct fl__rwlock_mode *mode)
{
	for (unsigned pauses = 8; pauses <= 64; pauses *= 2) {
		if (rwlock_take(l, mode))
			return true;
		if ((fl__load_relaxed(&l->word_) & RWLOCK_WAITERS) || !fl__may_poll()) /* relaxed: a hint */
			return false;
		fl__pause(pauses);
	}
	return false;
}

/* The awake waiter spins for a bounded time, unless polling is off. */
static void rwlock_spin_awake(const fl_rwlock *l, const struct fl__rwlock_mode *mode)
{
	enum { POLLS = 7 };
	/* relaxed: a hint that the lock may be free */
	for (int i = 0; i < POLLS && (fl__load_relaxed(&l->word_) & mode->bars) && fl__may_poll(); i++)
		fl__pause(1u << i);
}

/*
 * Locks a contended lock. Each round goes to the queue and sleeps. A waiter that was woken without
 * a grant is the awake waiter in the next round. Returns 0, -ETIMEDOUT or -ECANCELED.
 */
static int rwlock_lock_contended(fl_rwlock *l, const struct fl__rwlock_mode *mode, fl_time deadline,
                                 fl_cancel_token *cancel, struct fl__hook_op *op)
{
	const bool spins = !fl__ctx_get()->ops->yield;
	if (mode == &fl__rwlock_writing)
		rwlock_end_bias(l);
	if (spins && rwlock_spin(l, mode))
		return 0;
	for (bool awake = false;; awake = true) {
		FL__WAIT(wait, node, FL__DEBUG_RWLOCK, l);
		node.value = mode->kind;
		if (awake && spins)
			rwlock_spin_awake(l, mode);
		const uint32_t bars = mode->bars | (awake ? 0 : spins ? RWLOCK_CLOSED : RWLOCK_CLOSED | RWLOCK_WAITERS);
		if (!fl__rwlock_enqueue(l, mode, &node, bars, awake))
			return 0;
		fl__hook_waiting(op);
		int rc = fl__wait_sleep(&wait, deadline, cancel);
		if (rc != 0) {
			rwlock_leave(l, &node);
			return rc;
		}
		if (node.value == RWLOCK_GRANTED)
			return 0;
	}
}

static void rwlock_debug_begin(struct fl__hook_op *op, const fl_rwlock *l, const struct fl__rwlock_mode *mode,
                               fl_time deadline)
{
	const unsigned how =
	    (mode == &rwlock_reading ? FL__DEBUG_READ : 0) | (fl__is_forever(deadline) ? 0 : FL__DEBUG_TRY);
	fl__hook_locking(op, l, FL__DEBUG_RWLOCK, how);
}

/*
 * Locks the lock, and reports that to debugging. If `locked` is true, the caller already holds the
 * lock, and the call only reports.
 */
FL__SLOW_PATH static int rwlock_lock_slow(fl_rwlock *l, const struct fl__rwlock_mode *mode, bool locked,
                                          fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__hook_op op;
	rwlock_debug_begin(&op, l, mode, deadline);
	const int rc = locked ? 0 : rwlock_lock_contended(l, mode, deadline, cancel, &op);
	fl__hook_locked(&op, rc == 0);
	return rc;
}

FL__SLOW_PATH static int rwlock_try_slow(fl_rwlock *l, const struct fl__rwlock_mode *mode)
{
	struct fl__hook_op op;
	rwlock_debug_begin(&op, l, mode, FL_NO_WAIT);
	if (mode == &fl__rwlock_writing)
		rwlock_end_bias(l);
	const bool locked = rwlock_take(l, mode);
	fl__hook_locked(&op, locked);
	return locked ? 0 : -EAGAIN;
}

/*
 * Called by a reader that has added itself to the word, which was `seen` before. Returns true if it
 * has the lock. Otherwise it has backed out.
 */
static bool rwlock_may_stay(fl_rwlock *l, uint32_t seen)
{
	if ((seen & RWLOCK_COUNT) >= RWLOCK_MOST && !(seen & RWLOCK_WRITER)) {
		rwlock_back_out(l);
		fl__panic("fl_rwlock_read_lock", l, "too many readers");
	}
	const bool fiber = fl__ctx_get()->ops->yield != NULL;
	if (!(seen & (rwlock_reading.bars | RWLOCK_CLOSED | (fiber ? RWLOCK_WAITERS : 0)))) {
		if (seen & RWLOCK_WAITERS)
			rwlock_close_if_late(l);
		if (seen & FL__BIAS)
			fl__bias_note(l); /* the next read lock of this thread checks its slot */
		return true;
	}
	rwlock_back_out(l);
	return false;
}

FL__SLOW_PATH static int rwlock_read_slow(fl_rwlock *l, uint32_t seen, fl_time deadline, fl_cancel_token *cancel)
{
	if (seen < RWLOCK_MOST && !fl__hooks_on(FL__HOOKS_DEBUG)) {
		fl__bias_meet(l);
		return 0;
	}
	const bool stays = rwlock_may_stay(l, seen);
	return rwlock_lock_slow(l, &rwlock_reading, stays, deadline, cancel);
}

void fl_rwlock_init(fl_rwlock *l)
{
	l->word_ = 0;
	l->turn_ = 0;
	fl__hook_forget(l);
}

void fl_rwlock_destroy(fl_rwlock *l)
{
	rwlock_end_bias(l); /* a slot may still contain the lock's address */
	fl__hook_destroy(l, l, fl__rwlock_is_busy(l));
}

int fl_rwlock_read_lock_until(fl_rwlock *l, fl_time deadline, fl_cancel_token *cancel)
{
	if (rwlock_read_biased(l))
		return 0;
	/* acquire: pairs with the release in fl_rwlock_write_unlock() and fl_rwlock_downgrade() */
	uint32_t seen = fl__add_acquire(&l->word_, RWLOCK_READER);
	return fl__likely(seen < fl__hook_word(&fl__hook_readers)) ? 0 : rwlock_read_slow(l, seen, deadline, cancel);
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_rwlock_read_lock(fl_rwlock *l)
{
	if (rwlock_read_biased(l))
		return;
	/* acquire: pairs with the release in fl_rwlock_write_unlock() and fl_rwlock_downgrade() */
	uint32_t seen = fl__add_acquire(&l->word_, RWLOCK_READER);
	if (fl__unlikely(seen >= fl__hook_word(&fl__hook_readers)))
		/* This returns 0, because there is no deadline and no token. */
		(void)rwlock_read_slow(l, seen, FL_FOREVER, FL_SHIELDED);
}

int fl_rwlock_try_read_lock(fl_rwlock *l)
{
	if (rwlock_read_biased(l) || (!fl__hooks_on(FL__HOOKS_DEBUG) && rwlock_take(l, &rwlock_reading)))
		return 0;
	return rwlock_try_slow(l, &rwlock_reading);
}

FL__SLOW_PATH static void rwlock_read_unlock_slow(fl_rwlock *l, uint32_t seen)
{
	if (seen & RWLOCK_COUNT) {
		rwlock_readers_left(l, seen, RWLOCK_READER);
		return;
	}
	fl__add_relaxed(&l->word_, RWLOCK_READER); /* relaxed: it only undoes the subtraction */
	fl__panic("fl_rwlock_read_unlock", l, "not locked for reading");
}

static inline void rwlock_read_unlock(fl_rwlock *l)
{
	if (fl__unlikely(fl__bias_is_noted(l)) && fl__bias_unlock(l))
		return;
	/*
	 * release: pairs with the acquire of write locks. This is the last access to the lock,
	 * unless the slow path runs.
	 */
	const uint32_t seen = fl__sub_release(&l->word_, RWLOCK_READER);
	if (fl__unlikely(seen - RWLOCK_READER >= RWLOCK_MOST))
		rwlock_read_unlock_slow(l, seen);
}

FL__SLOW_PATH static void rwlock_read_unlock_watched(fl_rwlock *l)
{
	if (fl__rwlock_is_read_locked(l))
		fl__hook_unlocking(l, FL__DEBUG_READ);
	rwlock_read_unlock(l);
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_rwlock_read_unlock(fl_rwlock *l)
{
	if (fl__hooks_on(FL__HOOKS_DEBUG))
		rwlock_read_unlock_watched(l);
	else
		rwlock_read_unlock(l);
}

static inline bool rwlock_write_at_once(fl_rwlock *l)
{
	rwlock_check_wake(l);
	uint32_t expected = fl__hook_word(&fl__hook_free);
	/* acquire: pairs with the release in fl_rwlock_write_unlock() and read unlocks */
	return fl__likely(fl__cas_weak_acquire(&l->word_, &expected, RWLOCK_WRITER));
}

int fl_rwlock_write_lock_until(fl_rwlock *l, fl_time deadline, fl_cancel_token *cancel)
{
	return rwlock_write_at_once(l) ? 0 : rwlock_lock_slow(l, &fl__rwlock_writing, false, deadline, cancel);
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_rwlock_write_lock(fl_rwlock *l)
{
	if (!rwlock_write_at_once(l))
		/* This returns 0, because there is no deadline and no token. */
		(void)rwlock_lock_slow(l, &fl__rwlock_writing, false, FL_FOREVER, FL_SHIELDED);
}

int fl_rwlock_try_write_lock(fl_rwlock *l)
{
	rwlock_check_wake(l);
	return !fl__hooks_on(FL__HOOKS_DEBUG) && rwlock_take(l, &fl__rwlock_writing)
	           ? 0
	           : rwlock_try_slow(l, &fl__rwlock_writing);
}

/* The slow end of a write unlock or a downgrade, which found the word `seen`. */
FL__SLOW_PATH static void rwlock_writer_left(fl_rwlock *l, uint32_t seen, uint32_t taken, const char *function)
{
	if (!(seen & RWLOCK_WRITER)) {
		fl__add_relaxed(&l->word_, taken); /* relaxed: it only undoes the subtraction */
		fl__panic(function, l, "not locked for writing");
	}
	if (seen & RWLOCK_WAITERS)
		rwlock_serve(l);
}

static inline void rwlock_write_unlock(fl_rwlock *l)
{
	/*
	 * release: pairs with the acquire of read and write locks. This is the last access to the
	 * lock, unless the slow path runs.
	 */
	const uint32_t seen = fl__sub_release(&l->word_, RWLOCK_WRITER);
	if (fl__unlikely(seen != RWLOCK_WRITER))
		rwlock_writer_left(l, seen, RWLOCK_WRITER, "fl_rwlock_write_unlock");
}

FL__SLOW_PATH static void rwlock_write_unlock_watched(fl_rwlock *l)
{
	if (fl__rwlock_is_write_locked(l))
		fl__hook_unlocking(l, 0);
	rwlock_write_unlock(l);
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_rwlock_write_unlock(fl_rwlock *l)
{
	if (fl__hooks_on(FL__HOOKS_DEBUG))
		rwlock_write_unlock_watched(l);
	else
		rwlock_write_unlock(l);
}

bool fl__rwlock_is_read_locked(const fl_rwlock *l)
{
	for (;;) {
		/*
		 * acquire: the slots are read after the word, so their values are no older than the
		 * word. The answer may be stale at once.
		 */
		const uint32_t seen = fl__load_acquire(&l->word_), count = seen & RWLOCK_COUNT;
		if (!(seen & FL__BIAS))
			return count && !(seen & RWLOCK_WRITER);
		if (count + fl__bias_slots_of(l) > FL__BIAS_UNITS)
			return true;
		/*
		 * relaxed: the loads of the slots acquire. If the word is unchanged, no reader can
		 * have gone from a slot to the word.
		 */
		if (seen == fl__load_relaxed(&l->word_))
			return false;
	}
}

bool fl__rwlock_is_write_locked(const fl_rwlock *l)
{
	return fl__load_relaxed(&l->word_) & RWLOCK_WRITER; /* relaxed: the answer may be stale at once */
}

void fl_rwlock_assert_read_held(const fl_rwlock *l)
{
	if (!fl__rwlock_is_read_locked(l) && !fl__rwlock_is_write_locked(l))
		fl__panic("fl_rwlock_assert_read_held", l, "not locked");
	fl__hook_assert_held(l, "fl_rwlock_assert_read_held");
}

void fl_rwlock_assert_write_held(const fl_rwlock *l)
{
	if (!fl__rwlock_is_write_locked(l))
		fl__panic("fl_rwlock_assert_write_held", l, "not locked for writing");
	fl__hook_assert_held(l, "fl_rwlock_assert_write_held");
}

FL_NO_THREAD_SAFETY_ANALYSIS void fl_rwlock_downgrade(fl_rwlock *l)
{
	if (fl__hooks_on(FL__HOOKS_DEBUG) && fl__rwlock_is_write_locked(l))
		fl__hook_downgraded(l);
	/* release: pairs with the acquire of read locks */
	const uint32_t seen = fl__sub_release(&l->word_, RWLOCK_WRITER - RWLOCK_READER);
	if (fl__unlikely(seen != RWLOCK_WRITER))
		rwlock_writer_left(l, seen, RWLOCK_WRITER - RWLOCK_READER, "fl_rwlock_downgrade");
}
