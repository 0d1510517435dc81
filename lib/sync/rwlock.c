/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The readers-writer lock: a word that all go through, and a line in the lot for those who must sleep, readers and writers in one.
 * Readers come and go by an addition, which two cores can do at once without failing (a loop of CAS cannot); whoever finds that
 * it should not have come takes itself back.
 *
 *   bit        meaning                            set by                                  cleared by
 *   COUNT      how many read, and how many are    read lock: + 1                          read unlock, back_out(): - 1
 *              there by mistake and on the way
 *              out; under WRITER those alone
 *   AWAKE      one was called out of the line,    serve_in(), under the lot               that one, under the lot, when it takes
 *              and has neither taken the lock                                             the lock or goes back in line
 *              nor gone back
 *   WAITERS    somebody stands in line, or is     line_up(), upgrade, under the lot       under the lot, by who takes the lock or
 *              awake                                                                      leaves the line, or passes over the
 *                                                                                         last there, and finds it empty
 *   CLOSED     the first in line has waited its   close_in_time(), under the lot          that one, when it takes the lock; who
 *              time: nobody overtakes                                                     leaves the line empty
 *   UPGRADER   a reader, still counted, waits     upgrade, under the lot                  serve_in() as it hands WRITER over; the
 *              until it is the only one                                                   upgrader, when it gives up
 *   WRITER     somebody writes                    write lock: CAS; serve_in()             write unlock, downgrade: subtraction
 *
 *   turn_      lower half: when the first in line, or who is awake, became that, in ticks of 2^17 ns; upper half: the count of
 *              forks of the process that the bits of the line (AWAKE, WAITERS, CLOSED, UPGRADER) are of. Changed under the lot.
 *
 * Invariants
 *   1. Linearization: lock, the addition or CAS that found nothing in its way; for those who are handed it, the change of the word
 *      by who hands it over, under the lot. Unlock: its subtraction, which is its last access to the lock, but for 2.
 *   2. Who has freed the lock and saw WAITERS looks at the line, and touches the lock only if somebody stands there who waits
 *      for such a lock at that address: who is inside a call keeps the memory there. It may even be another lock than the one
 *      that was freed: serve_in() asks the word anew, and does what is right for any lock at any time. Nodes tell by their
 *      value what they wait for, since a lock's memory may have become a semaphore's.
 *   3. AWAKE: at most one is on its way, and while it is nobody else is called. It takes the lock, and frees it later; or goes back
 *      in line, as the first, in a CAS that saw the lock barred to it, so that whoever unbars it sees WAITERS without AWAKE.
 *   4. So while the lock is not barred to the first in line, one is awake, or whoever unbarred it has yet to serve the line.
 *      A reader that came by mistake bars the lock to writers while it is there, and therefore serves, too, as it goes.
 *   5. UPGRADER bars the lock to all others. Its reader stands first in line. So there is one, and it waits for readers only.
 *   6. Who leaves the line without the lock serves it: those behind it may have waited for nobody else. Who is passed over as it
 *      leaves was taken out by one who serves it.
 *
 * Fairness: the line is FIFO; who has waited CLOSE_AFTER as the first closes the door to all who are not called. Fibers never
 * overtake. A reader that was called takes the readers right behind it along.
 *
 * Upgrade has one winner, rather than a third mode in which one reader keeps out others that may upgrade (parking_lot): that mode
 * must be asked for beforehand, costs its own words in each function, and serializes readers that only might write.
 *
 * A forked child inherits the word, but not those who waited: heal().
 *
 * Safe mistake: WAITERS without a line sends one unlock to the lot.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../debug/debug.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/rwlock.h>
#include <fairlead/time.h>

#define READER 1u
#define MOST FL__RWLOCK_MOST
#define COUNT (2 * MOST - 1)
#define AWAKE (1u << 27)
#define WAITERS (1u << 28)
#define CLOSED (1u << 29)
#define UPGRADER (1u << 30)
#define WRITER FL__RWLOCK_WRITER

/* Of a node: what it waits for, a number that no other primitive's nodes have; or, once it was taken, what it got. */
#define READS 0xf2776c31u
#define WRITES (READS + 1)
#define UPGRADES (READS + 2)
enum { CALLED, GRANTED };

enum { TICK_LOG2 = 17, CLOSE_AFTER = 8 };

struct mode {
	uint32_t unit; /* added to the word by who takes the lock */
	uint32_t bars; /* what must not be there */
	uint32_t kind;
};

static const struct mode reading = {READER, WRITER | UPGRADER, READS};
static const struct mode writing = {WRITER, WRITER | UPGRADER | COUNT, WRITES};

static uint32_t ticks(void)
{
	return (uint32_t)(fl__sys.now() >> TICK_LOG2) & 0xffff;
}

static uint32_t forks(void)
{
	return fl__load_relaxed(&fl__fork_count) << 16; /* relaxed: changes in a child alone, before it has threads */
}

/* Under the lot: the first in line begins to wait as the first. */
static void begin_turn(fl_rwlock *l)
{
	fl__store_relaxed(&l->turn_, forks() | ticks()); /* relaxed: a hint where it is read without the lot */
}

static bool is_inherited(const fl_rwlock *l)
{
	return (fl__load_relaxed(&l->turn_) ^ forks()) >> 16; /* relaxed: of another process; this one stores it once */
}

/* In a forked child: the line did not come along, so its bits go. */
static void heal(fl_rwlock *l)
{
	if (__builtin_expect(!is_inherited(l), 1))
		return;
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (is_inherited(l)) {
		fl__and_relaxed(&l->word_, ~(AWAKE | WAITERS | CLOSED | UPGRADER)); /* relaxed: no message */
		begin_turn(l);
	}
	fl__lot_close(&lot);
}

/* For who has overtaken the line: closes the door when the first there has waited its time. */
static void close_in_time(fl_rwlock *l)
{
	/* relaxed: a hint; the lot has the truth */
	if (((ticks() - fl__load_relaxed(&l->turn_)) & 0xffff) < CLOSE_AFTER)
		return;
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	/* relaxed: they change under the lot alone */
	if ((fl__load_relaxed(&l->word_) & WAITERS) &&
	    ((ticks() - fl__load_relaxed(&l->turn_)) & 0xffff) >= CLOSE_AFTER)
		fl__or_relaxed(&l->word_, CLOSED); /* relaxed: a mark, no message */
	fl__lot_close(&lot);
}

/* The word with one more reader. */
static uint32_t with(const fl_rwlock *l, const struct mode *mode, uint32_t word)
{
	if (mode == &reading && (word & COUNT) >= MOST)
		fl__panic("fl_rwlock_read", l, "too many readers");
	return word + mode->unit;
}

/* Takes the lock if nothing bars it, and overtakes who waits. */
static bool take_if_open(fl_rwlock *l, const struct mode *mode)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: the CAS decides */
	while (!(seen & (mode->bars | CLOSED))) {
		/* acquire: pairs with the release in the unlocks */
		if (!fl__cas_weak_acquire(&l->word_, &seen, with(l, mode, seen)))
			continue;
		if (seen & WAITERS)
			close_in_time(l);
		return true;
	}
	return false;
}

/*
 * Under the lot, with somebody in line (invariant 2): calls the first if nothing bars the lock to it, or hands it to the reader
 * that upgrades. Passes over who has given up.
 */
static void serve_in(fl_rwlock *l, struct fl__lot *lot)
{
	struct fl__node *first;
	while ((first = fl__lot_first(lot)) != NULL) {
		uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: who takes the lock acquires */
		if (first->value == UPGRADES) {
			if ((seen & COUNT) != 1)
				return;
			if (!fl__lot_take_this(lot, first, GRANTED))
				continue;
			/* acquire, for the upgrader: pairs with the release in fl_rwlock_read_unlock() */
			(void)fl__add_acquire(&l->word_, WRITER - UPGRADER - READER);
			if (fl__lot_more(lot))
				return;
			break;
		}
		if (seen & (AWAKE | (first->value == READS ? reading.bars : writing.bars)))
			return;
		if (fl__lot_take_this(lot, first, CALLED)) {
			fl__or_relaxed(&l->word_, AWAKE); /* relaxed: a mark; who was called looks under the lot */
			return;
		}
	}
	if (!(fl__load_relaxed(&l->word_) & AWAKE))              /* relaxed: it changes under the lot alone */
		fl__and_relaxed(&l->word_, ~(WAITERS | CLOSED)); /* relaxed: marks */
}

static bool waits_for_rwlock(const struct fl__node *node)
{
	return node && node->value >= READS && node->value <= UPGRADES;
}

/* For who has just freed the lock, which may be gone: invariant 2. */
__attribute__((noinline)) static void serve(fl_rwlock *l)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (waits_for_rwlock(fl__lot_first(&lot)))
		serve_in(l, &lot);
	fl__lot_close(&lot);
}

/* Behind the subtraction of a reader, which found `seen`. */
static void reader_left(fl_rwlock *l, uint32_t seen)
{
	const uint32_t left = (seen & COUNT) - 1;
	if (!(seen & WAITERS))
		return;
	if ((left == 0 && !(seen & (AWAKE | WRITER))) || (left == 1 && (seen & UPGRADER)))
		serve(l);
}

/* A reader that the lock was barred to. */
static void back_out(fl_rwlock *l)
{
	reader_left(l, fl__add_relaxed(&l->word_, -READER)); /* relaxed: it has held nothing */
}

/* As take_spinning() of mutex.c. */
static bool take_spinning(fl_rwlock *l, const struct mode *mode)
{
	enum { LOOKS = 7 };
	for (int i = 0; i < LOOKS; i++) {
		if (take_if_open(l, mode))
			return true;
		if (fl__load_relaxed(&l->word_) & WAITERS) /* relaxed: a hint */
			return false;
		fl__pause(1u << i);
	}
	return false;
}

/* The same for who was called: waits a moment until nothing bars the lock. */
static void spin_called(const fl_rwlock *l, const struct mode *mode)
{
	enum { LOOKS = 7 };
	/* relaxed: a hint */
	for (int i = 0; i < LOOKS && (fl__load_relaxed(&l->word_) & mode->bars); i++)
		fl__pause(1u << i);
}

/* Under the lot, for a reader that was called and has the lock: the readers right behind it have it, too. */
static void take_along(fl_rwlock *l, struct fl__lot *lot)
{
	struct fl__node *first;
	uint32_t n = 0;
	while ((first = fl__lot_first(lot)) != NULL && first->value == READS)
		n += fl__lot_take_this(lot, first, GRANTED);
	if (n > 0) /* relaxed: the reader has acquired; its unparks pass that on */
		fl__add_relaxed(&l->word_, n * READER);
}

/* Under the lot: who was called has the lock; what the word says of the line follows. */
static void end_turn(fl_rwlock *l, struct fl__lot *lot, const struct mode *mode)
{
	if (mode == &reading)
		take_along(l, lot);
	if (fl__lot_more(lot))
		begin_turn(l);
	else
		fl__and_relaxed(&l->word_, ~WAITERS); /* relaxed: a mark */
}

/* The place of who was called and goes back: before all but the upgrader. */
static struct fl__node *front(struct fl__lot *lot)
{
	struct fl__node *first = fl__lot_first(lot);
	return first && first->value == UPGRADES ? fl__lot_behind(first) : first;
}

/*
 * Goes in line; false when it has taken the lock instead. `clears` is AWAKE | CLOSED for who was called, whom CLOSED does not bar;
 * else `bars` has it.
 */
static bool line_up(fl_rwlock *l, const struct mode *mode, struct fl__node *node, uint32_t bars, bool called)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: the CAS decides */
	bool waits, done = false;
	do {
		waits = seen & bars;
		if (waits) /* relaxed: the lot's lock orders it before the look of who frees the lock */
			done = fl__cas_weak_relaxed(&l->word_, &seen, (seen | WAITERS) & ~(called ? AWAKE : 0));
		else /* acquire: pairs with the release in the unlocks */
			done = fl__cas_weak_acquire(&l->word_, &seen,
			                            with(l, mode, seen) & ~(called ? AWAKE | CLOSED : 0));
	} while (!done);
	if (waits && !called && !(seen & AWAKE) && !fl__lot_more(&lot))
		begin_turn(l);
	if (waits)
		fl__lot_insert(&lot, node, called ? front(&lot) : NULL);
	else if (called)
		end_turn(l, &lot, mode);
	fl__lot_close(&lot); /* from here on the node is a waker's: it may be taken already */
	if (!waits && !called && (seen & WAITERS))
		close_in_time(l);
	return waits;
}

/*
 * Out of the line, without the lock: invariant 6. `bit` is UPGRADER for who waited with it, and still reads. Any other who was passed
 * over since is nobody that destroy would see: the lock may be gone.
 */
static void leave(fl_rwlock *l, struct fl__node *node, uint32_t bit)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	const bool passed_over = !node->queued;
	fl__lot_remove(&lot, node);
	if (!passed_over || bit) {
		fl__and_relaxed(&l->word_, ~bit); /* relaxed: a mark */
		serve_in(l, &lot);
	}
	fl__lot_close(&lot);
}

static int lock_anyhow(fl_rwlock *l, const struct mode *mode, int64_t deadline, fl_cancel *cancel,
                       struct fl__debug_op *op)
{
	const bool spins = !fl__ctx_get()->ops->yield;
	heal(l);
	if (spins && take_spinning(l, mode))
		return 0;
	for (bool called = false;; called = true) {
		struct fl__wait wait;
		fl__wait_begin(&wait);
		struct fl__node node = FL__NODE(&wait);
		node.value = mode->kind;
		if (called && spins)
			spin_called(l, mode);
		uint32_t bars = mode->bars | (called ? 0 : spins ? CLOSED : CLOSED | WAITERS);
		if (!line_up(l, mode, &node, bars, called))
			return 0;
		fl__debug_waiting(op);
		int rc = fl__wait_sleep(&wait, deadline, cancel);
		if (rc != 0) {
			leave(l, &node, 0);
			return rc;
		}
		if (node.value == GRANTED)
			return 0;
	}
}

static void begin(struct fl__debug_op *op, const fl_rwlock *l, const struct mode *mode, int64_t deadline)
{
	const unsigned how = (mode == &reading ? FL__DEBUG_READ : 0) | (deadline == FL_FOREVER ? 0 : FL__DEBUG_TRY);
	fl__debug_locking(op, l, FL__DEBUG_RWLOCK, how);
}

__attribute__((noinline, cold)) static int write_slow(fl_rwlock *l, int64_t deadline, fl_cancel *cancel)
{
	struct fl__debug_op op;
	begin(&op, l, &writing, deadline);
	const int rc = lock_anyhow(l, &writing, deadline, cancel, &op);
	fl__debug_locked(&op, rc == 0);
	return rc;
}

__attribute__((noinline, cold)) static int try_slow(fl_rwlock *l, const struct mode *mode)
{
	struct fl__debug_op op;
	begin(&op, l, mode, 0);
	heal(l);
	const bool locked = take_if_open(l, mode);
	fl__debug_locked(&op, locked);
	return locked ? 0 : -EBUSY;
}

/* Whether a reader, whose addition found `seen`, may stay. */
static bool may_stay(fl_rwlock *l, uint32_t seen)
{
	if ((seen & COUNT) >= MOST && !(seen & WRITER)) {
		back_out(l);
		fl__panic("fl_rwlock_read", l, "too many readers");
	}
	const bool fiber = fl__ctx_get()->ops->yield != NULL;
	if (!(seen & (reading.bars | CLOSED | (fiber ? WAITERS : 0)))) {
		if (seen & WAITERS)
			close_in_time(l);
		return true;
	}
	back_out(l);
	return false;
}

/* Behind the addition of a reader, which found `seen`. */
__attribute__((noinline, cold)) static int read_slow(fl_rwlock *l, uint32_t seen, int64_t deadline, fl_cancel *cancel)
{
	const bool stays = may_stay(l, seen);
	struct fl__debug_op op;
	begin(&op, l, &reading, deadline);
	const int rc = stays ? 0 : lock_anyhow(l, &reading, deadline, cancel, &op);
	fl__debug_locked(&op, rc == 0);
	return rc;
}

void fl_rwlock_init(fl_rwlock *l)
{
	l->word_ = 0;
	l->turn_ = 0;
	fl__debug_forget(l, NULL);
}

int fl_rwlock_destroy(fl_rwlock *l)
{
	heal(l);
	/* acquire: what follows the last unlock; pairs with its release */
	const bool busy = (fl__load_acquire(&l->word_) & (COUNT | AWAKE | WRITER)) || fl__lot_waited(l);
	fl__debug_forget(l, busy ? "fl_rwlock_destroy" : NULL);
	return busy ? -EBUSY : 0;
}

int fl_rwlock_read_until(fl_rwlock *l, int64_t deadline, fl_cancel *cancel)
{
	uint32_t seen = fl__add_acquire(&l->word_, READER); /* pairs with the release in fl_rwlock_write_unlock() */
	return __builtin_expect(seen < fl__debug_word(&fl__debug_readers), 1) ? 0
	                                                                      : read_slow(l, seen, deadline, cancel);
}

void fl_rwlock_read(fl_rwlock *l)
{
	uint32_t seen = fl__add_acquire(&l->word_, READER); /* pairs with the release in fl_rwlock_write_unlock() */
	if (__builtin_expect(seen >= fl__debug_word(&fl__debug_readers), 0))
		(void)read_slow(l, seen, FL_FOREVER, FL_SHIELDED); /* 0: neither timed nor cancelled */
}

int fl_rwlock_try_read(fl_rwlock *l)
{
	return !fl__debug_is_on() && take_if_open(l, &reading) ? 0 : try_slow(l, &reading);
}

__attribute__((noinline, cold)) static void read_unlock_slow(fl_rwlock *l, uint32_t seen)
{
	if (seen & COUNT) {
		fl__debug_unlocking(l, FL__DEBUG_READ);
		reader_left(l, seen);
		return;
	}
	fl__add_relaxed(&l->word_, READER); /* relaxed: as it was */
	fl__panic("fl_rwlock_read_unlock", l, "nobody reads");
}

void fl_rwlock_read_unlock(fl_rwlock *l)
{
	/* release: pairs with the acquire in the write locks; the last access */
	uint32_t seen = fl__sub_release(&l->word_, READER);
	if (__builtin_expect(seen - READER >= fl__debug_word(&fl__debug_readers), 0))
		read_unlock_slow(l, seen);
}

int fl_rwlock_write_until(fl_rwlock *l, int64_t deadline, fl_cancel *cancel)
{
	uint32_t expected = fl__debug_word(&fl__debug_free);
	if (__builtin_expect(fl__cas_weak_acquire(&l->word_, &expected, WRITER),
	                     1)) /* pairs with the release in the unlocks */
		return 0;
	return write_slow(l, deadline, cancel);
}

void fl_rwlock_write(fl_rwlock *l)
{
	uint32_t expected = fl__debug_word(&fl__debug_free);
	if (__builtin_expect(fl__cas_weak_acquire(&l->word_, &expected, WRITER),
	                     1)) /* pairs with the release in the unlocks */
		return;
	(void)write_slow(l, FL_FOREVER, FL_SHIELDED); /* 0: neither timed nor cancelled */
}

int fl_rwlock_try_write(fl_rwlock *l)
{
	return !fl__debug_is_on() && take_if_open(l, &writing) ? 0 : try_slow(l, &writing);
}

/* Behind the subtraction of `taken` by a writer that goes, or goes on as a reader; it found `seen`. */
__attribute__((noinline, cold)) static void writer_left(fl_rwlock *l, uint32_t seen, uint32_t taken,
                                                        const char *function)
{
	if (!(seen & WRITER)) {
		fl__add_relaxed(&l->word_, taken); /* relaxed: as it was */
		fl__panic(function, l, "nobody writes");
	}
	if (taken == WRITER)
		fl__debug_unlocking(l, 0);
	else
		fl__debug_downgraded(l);
	if ((seen & WAITERS) && !(seen & AWAKE))
		serve(l);
}

void fl_rwlock_write_unlock(fl_rwlock *l)
{
	uint32_t seen = fl__sub_release(&l->word_, WRITER); /* pairs with the acquire in the locks; the last access */
	if (__builtin_expect(seen != fl__debug_word(&fl__debug_writer), 0))
		writer_left(l, seen, WRITER, "fl_rwlock_write_unlock");
}

void fl_rwlock_downgrade(fl_rwlock *l)
{
	uint32_t seen = fl__sub_release(&l->word_, WRITER - READER); /* pairs with the acquire in the read locks */
	if (__builtin_expect(seen != fl__debug_word(&fl__debug_writer), 0))
		writer_left(l, seen, WRITER - READER, "fl_rwlock_downgrade");
}

static void check_reads(const fl_rwlock *l, const char *function)
{
	if (!fl_rwlock_is_read_locked(l))
		fl__panic(function, l, "nobody reads");
}

/* The only reader writes: 0; -EBUSY. */
static int upgrade_at_once(fl_rwlock *l)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: the CAS decides */
	while ((seen & (COUNT | UPGRADER)) == 1)
		/* acquire: pairs with the release in fl_rwlock_read_unlock() */
		if (fl__cas_weak_acquire(&l->word_, &seen, seen + WRITER - READER))
			return 0;
	return -EBUSY;
}

int fl_rwlock_try_upgrade(fl_rwlock *l)
{
	check_reads(l, "fl_rwlock_try_upgrade");
	struct fl__debug_op op;
	fl__debug_locking(&op, l, FL__DEBUG_RWLOCK, FL__DEBUG_UPGRADE | FL__DEBUG_TRY);
	const int rc = upgrade_at_once(l);
	fl__debug_locked(&op, rc == 0);
	return rc;
}

/* Goes in line as the upgrader, before all: 1; 0 when it was the only reader, and writes; -EDEADLK. */
static int line_up_upgrade(fl_rwlock *l, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	int rc = upgrade_at_once(l);
	while (rc == -EBUSY) {
		uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: the CAS decides */
		if (seen & UPGRADER)
			rc = -EDEADLK;
		else if ((seen & COUNT) == 1)
			rc = upgrade_at_once(l);
		/* relaxed: marks; the lot's lock orders them before the look of who leaves */
		else if (fl__cas_weak_relaxed(&l->word_, &seen, seen | UPGRADER | WAITERS))
			rc = 1;
	}
	if (rc == 1)
		fl__lot_insert(&lot, node, fl__lot_first(&lot));
	fl__lot_close(&lot);
	return rc;
}

static int upgrade_anyhow(fl_rwlock *l, int64_t deadline, fl_cancel *cancel, struct fl__debug_op *op)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	node.value = UPGRADES;
	int rc = line_up_upgrade(l, &node);
	if (rc != 1)
		return rc;
	fl__debug_waiting(op);
	rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		leave(l, &node, UPGRADER);
	return rc;
}

int fl_rwlock_upgrade_until(fl_rwlock *l, int64_t deadline, fl_cancel *cancel)
{
	heal(l);
	check_reads(l, "fl_rwlock_upgrade");
	struct fl__debug_op op;
	fl__debug_locking(&op, l, FL__DEBUG_RWLOCK, FL__DEBUG_UPGRADE | (deadline == FL_FOREVER ? 0 : FL__DEBUG_TRY));
	const int rc = upgrade_anyhow(l, deadline, cancel, &op);
	fl__debug_locked(&op, rc == 0);
	return rc;
}

int fl_rwlock_upgrade(fl_rwlock *l)
{
	return fl_rwlock_upgrade_until(l, FL_FOREVER, FL_SHIELDED);
}

bool fl_rwlock_is_read_locked(const fl_rwlock *l)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: out of date when it returns */
	return (seen & COUNT) && !(seen & WRITER);
}

bool fl_rwlock_is_write_locked(const fl_rwlock *l)
{
	return fl__load_relaxed(&l->word_) & WRITER; /* relaxed: out of date when it returns */
}

void fl_rwlock_assert_read_held(const fl_rwlock *l)
{
	if (!fl_rwlock_is_read_locked(l) && !fl_rwlock_is_write_locked(l))
		fl__panic("fl_rwlock_assert_read_held", l, "not locked");
	fl__debug_assert_held(l, "fl_rwlock_assert_read_held");
}

void fl_rwlock_assert_write_held(const fl_rwlock *l)
{
	if (!fl_rwlock_is_write_locked(l))
		fl__panic("fl_rwlock_assert_write_held", l, "nobody writes");
	fl__debug_assert_held(l, "fl_rwlock_assert_write_held");
}
