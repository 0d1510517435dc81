/* SPDX-License-Identifier: BSD-2-Clause */
/* The wait queue of the readers-writer lock. rwlock.h has the table and the numbered invariants. */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "rwlock.h"

#define READER FL__RW_READER
#define COUNT FL__RW_COUNT
#define WAITERS FL__RW_WAITERS
#define CLOSED FL__RW_CLOSED
#define UPGRADER FL__RW_UPGRADER
#define WRITER FL__RW_WRITER

/* The fields of turn_. */
enum { TICK_LOG2 = 17, CLOSE_AFTER = 8, TICKS = 0x7fff, AWAKE = 0x8000, FORKS_SHIFT = 16 };

enum { LOCKS_A_LOOK = 64 };

_Thread_local struct fl__rw_flight fl__rw_flight __attribute__((tls_model("initial-exec")));

const struct fl__rw_mode fl__rw_reading = {READER, WRITER | UPGRADER, FL__RW_READS};
const struct fl__rw_mode fl__rw_writing = {WRITER, WRITER | UPGRADER | COUNT, FL__RW_WRITES};

static uint32_t ticks(void)
{
	return (uint32_t)(fl__sys.now() >> TICK_LOG2) & TICKS;
}

static uint32_t forks(void)
{
	/* relaxed: changes only in a forked child, before it starts threads */
	return fl__load_relaxed(&fl__fork_count) << FORKS_SHIFT;
}

/* Under the queue lock: a new first waiter begins its turn, and no waiter is awake. */
static void begin_turn(fl_rwlock *l)
{
	/* relaxed: without the queue lock, turn_ is a hint */
	fl__store_relaxed(&l->turn_, forks() | ticks());
}

/* Without the queue lock, a hint. */
static bool is_awake(const fl_rwlock *l)
{
	return fl__load_relaxed(&l->turn_) & AWAKE; /* relaxed: changes only under the queue lock */
}

/* Under the queue lock: the first waiter has been dequeued and is awake. */
static void begin_awake(fl_rwlock *l)
{
	/* relaxed, both: as in begin_turn() */
	fl__store_relaxed(&l->turn_, fl__load_relaxed(&l->turn_) | AWAKE);
}

/* Under the queue lock: the awake waiter goes back to the queue. */
static void end_awake(fl_rwlock *l)
{
	/* relaxed, both: as above */
	fl__store_relaxed(&l->turn_, fl__load_relaxed(&l->turn_) & ~(uint32_t)AWAKE);
}

/* Whether the first waiter has waited CLOSE_AFTER. Without the queue lock, a hint. */
static bool is_late(const fl_rwlock *l)
{
	/* relaxed: as above */
	return ((ticks() - fl__load_relaxed(&l->turn_)) & TICKS) >= CLOSE_AFTER;
}

static bool is_inherited(const fl_rwlock *l)
{
	/* relaxed: the inherited value is of the parent; the child stores its own count once */
	return (fl__load_relaxed(&l->turn_) ^ forks()) >> FORKS_SHIFT;
}

void fl__rw_heal(fl_rwlock *l)
{
	if (__builtin_expect(!is_inherited(l), 1))
		return;
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (is_inherited(l)) {
		/* relaxed: publishes nothing */
		fl__and_relaxed(&l->word_, ~(WAITERS | CLOSED | UPGRADER));
		begin_turn(l);
	}
	fl__lot_close(&lot);
}

void fl__rw_close_in_time(fl_rwlock *l)
{
	if (!is_late(l))
		return;
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (is_late(l) && (is_awake(l) || fl__lot_more(&lot)))
		fl__or_relaxed(&l->word_, CLOSED); /* relaxed: a flag, publishes nothing */
	fl__lot_close(&lot);
}

__attribute__((noinline, cold)) void fl__rw_look_after(fl_rwlock *l)
{
	if (++fl__rw_flight.locks % LOCKS_A_LOOK != 0)
		return;
	if (is_awake(l)) /* a hint here */
		fl__rw_close_in_time(l);
	else
		fl__rw_flight.lock = NULL;
}

uint32_t fl__rw_with(const fl_rwlock *l, const struct fl__rw_mode *mode, uint32_t word)
{
	if (mode == &fl__rw_reading && (word & COUNT) >= FL__RW_MOST)
		fl__panic("fl_rwlock_read_lock", l, "too many readers");
	return word + mode->unit;
}

/*
 * Under the queue lock: makes the upgrader, the first waiter, the writer: true. False if it gave
 * up.
 */
static bool hand_upgrade(fl_rwlock *l, struct fl__lot *lot, struct fl__node *first)
{
	if (!fl__lot_take_this(lot, first, FL__RW_GRANTED))
		return false;
	/* acquire, for the upgrader: pairs with the release in fl_rwlock_read_unlock() */
	(void)fl__add_acquire(&l->word_, WRITER - UPGRADER - READER);
	return true;
}

/*
 * Under the queue lock: makes `first`, which nothing bars, the awake waiter: true. False if it gave
 * up.
 */
static bool call(fl_rwlock *l, struct fl__lot *lot, struct fl__node *first)
{
	const bool shares = first->wait->ctx->ops->yield != NULL, late = is_late(l);
	if (!fl__lot_take_this(lot, first, FL__RW_CALLED))
		return false;
	begin_awake(l);
	if (late)
		fl__or_relaxed(&l->word_, CLOSED); /* relaxed: a flag, publishes nothing */
	if (!shares) {
		/* relaxed: a flag; the awake waiter locks the queue */
		fl__and_relaxed(&l->word_, ~WAITERS);
		fl__rw_flight = (struct fl__rw_flight){l, 0};
	}
	return true;
}

/*
 * Under the queue lock, with waiters in the queue (invariant 2): wakes the first waiter if nothing
 * bars the lock to it, or hands the lock to the upgrader. Dequeues waiters that have given up.
 */
static void serve_in(fl_rwlock *l, struct fl__lot *lot)
{
	struct fl__node *first;
	while ((first = fl__lot_first(lot)) != NULL) {
		/* relaxed: the next lock acquires */
		const uint32_t seen = fl__load_relaxed(&l->word_);
		if (first->value == FL__RW_UPGRADES) {
			if ((seen & COUNT) != 1)
				return;
			if (!hand_upgrade(l, lot, first))
				continue;
			if (fl__lot_more(lot))
				return;
			break;
		}
		const struct fl__rw_mode *mode = first->value == FL__RW_READS ? &fl__rw_reading : &fl__rw_writing;
		if (is_awake(l) || (seen & mode->bars) || call(l, lot, first))
			return;
	}
	if (!is_awake(l))
		fl__and_relaxed(&l->word_, ~(WAITERS | CLOSED)); /* relaxed: flags */
}

static bool waits_for_rwlock(const struct fl__node *node)
{
	return node && node->value >= FL__RW_READS && node->value <= FL__RW_UPGRADES;
}

__attribute__((noinline)) void fl__rw_serve(fl_rwlock *l)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (waits_for_rwlock(fl__lot_first(&lot)))
		serve_in(l, &lot);
	fl__lot_close(&lot);
}

/*
 * Under the queue lock: an awake reader has taken the lock. Grants it to the readers right behind,
 * too.
 */
static void take_along(fl_rwlock *l, struct fl__lot *lot)
{
	struct fl__node *first;
	uint32_t n = 0;
	while ((first = fl__lot_first(lot)) != NULL && first->value == FL__RW_READS)
		n += fl__lot_take_this(lot, first, FL__RW_GRANTED);
	if (n > 0)
		/* relaxed: the awake reader has acquired; its unparks pass that on */
		fl__add_relaxed(&l->word_, n * READER);
}

/*
 * Under the queue lock: the awake waiter has taken the lock. Updates turn_ and WAITERS before its
 * unlock.
 */
static void end_turn(fl_rwlock *l, struct fl__lot *lot, const struct fl__rw_mode *mode)
{
	if (mode == &fl__rw_reading)
		take_along(l, lot);
	begin_turn(l);
	if (fl__lot_more(lot))
		fl__or_relaxed(&l->word_, WAITERS); /* relaxed: a flag */
	else
		fl__and_relaxed(&l->word_, ~WAITERS); /* relaxed: a flag */
}

/* The awake waiter goes back before this node: before all but the upgrader. */
static struct fl__node *front(struct fl__lot *lot)
{
	struct fl__node *first = fl__lot_first(lot);
	return first && first->value == FL__RW_UPGRADES ? fl__lot_behind(first) : first;
}

/*
 * Under the queue lock: takes the lock, or sets `marks` if a bit of `bars` is set. Returns the word
 * before that.
 */
static uint32_t take_or_mark(fl_rwlock *l, const struct fl__rw_mode *mode, uint32_t bars, uint32_t marks, bool called)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: the CAS decides */
	for (bool done = false; !done;) {
		if (seen & bars)
			/* relaxed: the queue lock orders the CAS before the serve of an unlock */
			done = fl__cas_weak_relaxed(&l->word_, &seen, seen | marks);
		else
			/* acquire: pairs with the release in the unlocks */
			done =
			    fl__cas_weak_acquire(&l->word_, &seen, fl__rw_with(l, mode, seen) & ~(called ? CLOSED : 0));
	}
	return seen;
}

/* Under the queue lock. */
static void go_in_line(fl_rwlock *l, struct fl__lot *lot, struct fl__node *node, bool called)
{
	if (called)
		end_awake(l);
	else if (!is_awake(l) && !fl__lot_more(lot))
		begin_turn(l);
	fl__lot_insert(lot, node, called ? front(lot) : NULL);
}

bool fl__rw_line_up(fl_rwlock *l, const struct fl__rw_mode *mode, struct fl__node *node, uint32_t bars, bool called)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	const uint32_t marks = (called || !is_awake(l) ? WAITERS : 0) | (called && is_late(l) ? CLOSED : 0);
	const uint32_t seen = take_or_mark(l, mode, bars, marks, called);
	const bool waits = seen & bars;
	if (waits)
		go_in_line(l, &lot, node, called);
	else if (called)
		end_turn(l, &lot, mode);
	/* From here on, a waking thread may have dequeued the node. */
	fl__lot_close(&lot);
	if (!waits && !called && (seen & WAITERS))
		fl__rw_close_in_time(l);
	return waits;
}

void fl__rw_leave(fl_rwlock *l, struct fl__node *node, uint32_t bit)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	const bool passed_over = !node->queued;
	fl__lot_remove(&lot, node);
	if (!passed_over || bit) {
		fl__and_relaxed(&l->word_, ~bit); /* relaxed: a flag */
		serve_in(l, &lot);
	}
	fl__lot_close(&lot);
}

bool fl__rw_is_busy(fl_rwlock *l)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l); /* a waiter leaves the queue and takes the lock in one transaction */
	/* acquire: pairs with the release of the last unlock */
	const bool busy = fl__lot_more(&lot) || is_awake(l) || (fl__load_acquire(&l->word_) & (COUNT | WRITER));
	fl__lot_close(&lot);
	return busy;
}
