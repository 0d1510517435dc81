/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sharded readers-writer lock: counters of readers in rows, one cache line each. A reader adds
 * to the row of its thread. A writer blocks the rows one by one, and waits until the readers that
 * it found have left. (Hsieh and Weihl, 1992; Linux's percpu-rwsem.) BLOCKED is a bit of the row
 * itself, so one CAS both counts the reader and checks for the writer. No Dekker between two words
 * is needed, hence no fence, and a reader reads nothing that other threads write.
 *
 *   word      bit       meaning                    set by                  cleared by
 *   a row     BLOCKED   a writer has the lock, or  sharded_block(), by     sharded_unblock(), under
 *                       waits for readers to       addition, with turn_    the queue lock
 *                       leave                      held
 *             the rest  2 for each reader; only    read lock: CAS,         read unlock: CAS; with
 *                       the sum over all rows      without BLOCKED; for    BLOCKED, under the queue
 *                       counts, modulo 2^32:       queued readers,         lock
 *                       another thread may unlock  sharded_unblock()
 *   turn_               a mutex: its owner is the  write lock              write unlock
 *                       writer
 *   pending_            2 for each reader that     sharded_block(): + the  under the queue lock: a
 *                       the writer found and that  sum over the rows       read unlock, if BLOCKED,
 *                       has not left                                       - 2; sharded_unblock()
 *   left_               the rows are open, and     sharded_unblock(),      the next owner of turn_
 *                       turn_ is or will soon be   under the queue lock
 *                       free
 *
 * Invariants
 *   1. Linearization: read lock, the CAS of its row, or the dequeue by sharded_unblock(); read
 *      unlock, the CAS of the row, or the subtraction from pending_; write lock, the moment when
 *      pending_ is 0 with all rows blocked; write unlock, sharded_unblock().
 *   2. If a reader's CAS precedes the block of its row, sharded_block() counts the reader. A later
 *      reader enters the wait queue. A reader that leaves before its row is blocked is not in the
 *      sum of sharded_block(), or is subtracted in it. A reader that leaves later subtracts itself
 *      from pending_. So pending_ is 0 once all have left, whichever rows they used. Before
 *      sharded_block() has added the sum, pending_ may be below 0, but is 0 only if no reader has
 *      left.
 *   3. BLOCKED is cleared only under the queue lock. So a reader that finds BLOCKED under the queue
 *      lock may enqueue, or subtract itself from pending_, and the current writer covers the
 *      reader.
 *   4. The queue holds readers, and at most one writer, the owner of turn_. sharded_unblock() lets
 *      all queued readers in, so they run between two writers.
 *
 * Fairness: among writers as in a mutex: a running writer may overtake for a millisecond. The owner
 * of turn_ then waits up to a millisecond for a moment without readers, while readers come and go:
 * sharded_await_gap().
 *
 * Lifetime: a read unlock is one CAS. With BLOCKED, a read unlock locks the queue before it changes
 * the lock, and its last access is the subtraction from pending_. To wake a queued writer, the read
 * unlock then touches only the queue. A write unlock opens the rows one by one, so a reader may
 * come and go in between. But the write unlock holds the queue lock, which destroy() needs, too.
 * The last access of a write unlock is the unlock of turn_. While left_ tells that this unlock is
 * still to come, destroy() waits.
 */
#include "sharded_rwlock.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/cpu.h>
#include <fairlead/sharded_rwlock.h>
#include <fairlead/time.h>
#include <stddef.h>

enum { SHARDED_BLOCKED = 1, SHARDED_READER = 2 };
#define SHARDED_GAP_TIME FL_MS(1)

/* The value of a node: DRAINS for the writer; for a reader, READS + its row. */
enum { SHARDED_DRAINS = 0x62726c00, SHARDED_READS };

uint32_t fl__sharded_rwlock_rows;

__attribute__((noinline, cold)) static uint32_t sharded_choose_rows(void)
{
	uint32_t rows = 1, none = 0;
	while (rows < FL_SHARDED_RWLOCK_ROWS && rows < 4 * fl_cpu_count())
		rows *= 2;
	/* relaxed: a plain number; all threads use the first value stored */
	return fl__cas_relaxed(&fl__sharded_rwlock_rows, &none, rows) ? rows : none;
}

static uint32_t sharded_rows(void)
{
	/* relaxed: never changes again */
	uint32_t rows = fl__load_relaxed(&fl__sharded_rwlock_rows);
	return __builtin_expect(rows != 0, 1) ? rows : sharded_choose_rows();
}

/* The row of the calling thread, as its offset in the lock; 0: not chosen yet. */
static _Thread_local uint32_t sharded_row_offset FL__INITIAL_EXEC;

__attribute__((noinline, cold)) static uint32_t sharded_choose_row(void)
{
	const uint32_t i = (uint32_t)fl__ctx_get()->id & (sharded_rows() - 1);
	sharded_row_offset = (uint32_t)(offsetof(fl_sharded_rwlock, rows_) + i * sizeof(struct fl__sharded_rwlock_row));
	return sharded_row_offset;
}

static inline uint32_t *sharded_own_row(fl_sharded_rwlock *l)
{
	uint32_t at = sharded_row_offset;
	if (__builtin_expect(at == 0, 0))
		at = sharded_choose_row();
	return &((struct fl__sharded_rwlock_row *)(void *)((char *)l + at))->word_;
}

/* Readers. */

/* The first CAS guesses 0. A load would have to wait for the previous atomic access to the row. */
static inline bool sharded_try_enter(uint32_t *row)
{
	uint32_t seen = 0;
	do
		/* acquire: pairs with the release in sharded_unblock() */
		if (__builtin_expect(fl__cas_weak_acquire(row, &seen, seen + SHARDED_READER), 1))
			return true;
	while (!(seen & SHARDED_BLOCKED));
	return false;
}

/*
 * The pauses double, as in mutex.c. While a row is blocked, only leaving readers write to the row.
 */
static bool sharded_enter_spinning(uint32_t *row)
{
	enum { POLLS = 8 };
	for (int i = 0; i < POLLS; i++) {
		/* relaxed: sharded_try_enter() acquires */
		if (!(fl__load_relaxed(row) & SHARDED_BLOCKED) && sharded_try_enter(row))
			return true;
		fl__pause(1u << i);
	}
	return false;
}

static bool sharded_enqueue_reader(fl_sharded_rwlock *l, uint32_t *row, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	bool waits = !sharded_try_enter(row);
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	return waits;
}

__attribute__((noinline, cold)) static int sharded_read_slow(fl_sharded_rwlock *l, uint32_t *row, int64_t deadline,
                                                             fl_cancel_token *cancel)
{
	if (!fl__ctx_get()->ops->yield && sharded_enter_spinning(row))
		return 0;
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_SHARDED_READ, l);
	struct fl__node node = FL__NODE(&wait);
	node.value = SHARDED_READS + (uint32_t)((sharded_row_offset - offsetof(fl_sharded_rwlock, rows_)) /
	                                        sizeof(struct fl__sharded_rwlock_row));
	if (!sharded_enqueue_reader(l, row, &node))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

int fl_sharded_rwlock_read_lock_until(fl_sharded_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	uint32_t *row = sharded_own_row(l);
	return __builtin_expect(sharded_try_enter(row), 1) ? 0 : sharded_read_slow(l, row, deadline, cancel);
}

void fl_sharded_rwlock_read_lock(fl_sharded_rwlock *l)
{
	uint32_t *row = sharded_own_row(l);
	if (__builtin_expect(!sharded_try_enter(row), 0))
		(void)sharded_read_slow(l, row, FL_FOREVER, FL_SHIELDED); /* always 0 */
}

int fl_sharded_rwlock_try_read_lock(fl_sharded_rwlock *l)
{
	return sharded_try_enter(sharded_own_row(l)) ? 0 : -EBUSY;
}

/* Leaves the row, unless it is blocked. */
static inline bool sharded_try_leave(uint32_t *row)
{
	uint32_t seen = SHARDED_READER;
	do
		/* release: pairs with the acquire in sharded_block(). The last access. */
		if (__builtin_expect(fl__cas_weak_release(row, &seen, seen - SHARDED_READER), 1))
			return true;
	while (!(seen & SHARDED_BLOCKED));
	return false;
}

/* Leaves a blocked row: the writer may wait for this reader. */
__attribute__((noinline, cold)) static void sharded_leave_blocked(fl_sharded_rwlock *l, uint32_t *row)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (!sharded_try_leave(row)) {
		/* relaxed: the writer waits for pending_ */
		fl__add_relaxed(row, -(uint32_t)SHARDED_READER);
		/*
		 * release: pairs with the acquire in sharded_block() and sharded_is_drained(). The
		 * last access.
		 */
		uint32_t seen = fl__sub_release(&l->pending_, SHARDED_READER);
		struct fl__node *first = fl__lot_first(&lot);
		if (seen == SHARDED_READER && first && first->value == SHARDED_DRAINS)
			(void)fl__lot_take_node(&lot, first, 0);
	}
	fl__lot_close(&lot);
}

void fl_sharded_rwlock_read_unlock(fl_sharded_rwlock *l)
{
	uint32_t *row = sharded_own_row(l);
	if (__builtin_expect(!sharded_try_leave(row), 0))
		sharded_leave_blocked(l, row);
}

/* Writers. */

static bool sharded_seems_free(const fl_sharded_rwlock *l)
{
	uint32_t found = 0;
	for (uint32_t i = 0, rows = sharded_rows(); i < rows; i++)
		/* relaxed: sharded_block() adds up again, and acquires */
		found += fl__load_relaxed(&l->rows_[i].word_);
	return found == 0;
}

/*
 * With turn_ held: waits for a bounded time for a moment without readers. A preempted reader may
 * hold the lock for a time slice. If the rows were blocked for that time, all other readers would
 * sleep and need a wake.
 */
static void sharded_await_gap(const fl_sharded_rwlock *l, const struct fl__ctx *ctx, int64_t deadline)
{
	if (ctx->ops->yield || sharded_seems_free(l))
		return;
	enum { PAUSED_POLLS = 4, PAUSES = 16 };
	const int64_t end = fl__min_deadline(fl__sys.now() + SHARDED_GAP_TIME, deadline);
	for (unsigned i = 0; !sharded_seems_free(l) && fl__sys.now() < end; i++) {
		if (i < PAUSED_POLLS)
			fl__pause((unsigned)PAUSES << i);
		else
			(void)fl__sys.give_way(fl__sys.now());
	}
}

/* With turn_ held: blocks all rows. True when the lock has no readers left. */
static bool sharded_block(fl_sharded_rwlock *l)
{
	uint32_t found = 0;
	for (uint32_t i = 0, rows = sharded_rows(); i < rows; i++)
		/* pairs with the release in sharded_try_leave() */
		found += fl__add_acquire(&l->rows_[i].word_, SHARDED_BLOCKED);
	/* acquire: pairs with the release in sharded_leave_blocked() */
	return fl__add_acquire(&l->pending_, found) + found == 0;
}

static bool sharded_is_drained(const fl_sharded_rwlock *l)
{
	/* pairs with the release in sharded_leave_blocked() */
	return fl__load_acquire(&l->pending_) == 0;
}

static bool sharded_drain_spinning(const fl_sharded_rwlock *l)
{
	enum { POLLS = 8 };
	for (int i = 0; i < POLLS; i++) {
		if (sharded_is_drained(l))
			return true;
		fl__pause(1u << i);
	}
	return false;
}

/* Enqueues the writer before all readers: true. If all readers have left: false. */
static bool sharded_enqueue_writer(fl_sharded_rwlock *l, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	/* relaxed: the last subtraction is under the queue lock, too */
	bool waits = fl__load_relaxed(&l->pending_) != 0;
	if (waits)
		fl__lot_insert(&lot, node, fl__lot_first(&lot));
	fl__lot_close(&lot);
	return waits;
}

/*
 * Under the queue lock: dequeues all readers, and counts each in its row. The readers hold the lock
 * when the transaction closes.
 */
static void sharded_admit_readers(fl_sharded_rwlock *l, struct fl__lot *lot)
{
	for (struct fl__node *node = fl__lot_first(lot), *next; node; node = next) {
		const uint32_t row = node->value - SHARDED_READS;
		next = fl__lot_node_after(node);
		if (row < FL_SHARDED_RWLOCK_ROWS && fl__lot_take_node(lot, node, 0))
			/* relaxed: the unpark publishes the writer's writes to the reader */
			fl__add_relaxed(&l->rows_[row].word_, SHARDED_READER);
	}
}

/*
 * Ends a write lock, or the wait of a writer that gave up: that writer's `node` may still be
 * queued.
 */
static void sharded_unblock(fl_sharded_rwlock *l, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (node)
		fl__lot_remove(&lot, node);
	sharded_admit_readers(l, &lot);
	/* relaxed: changes under the queue lock, until the next sharded_block() */
	fl__store_relaxed(&l->pending_, 0);
	fl__store_relaxed(&l->left_, 1); /* relaxed: read under the queue lock */
	for (uint32_t i = 0, rows = sharded_rows(); i < rows; i++)
		/* pairs with the acquire in sharded_try_enter() */
		fl__sub_release(&l->rows_[i].word_, SHARDED_BLOCKED);
	fl__lot_close(&lot);
	fl_mutex_unlock(&l->turn_);
}

/* With turn_ held. */
static int sharded_drain(fl_sharded_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_SHARDED_WRITE, l);
	fl__store_relaxed(&l->left_, 0); /* relaxed: see sharded_is_busy() */
	sharded_await_gap(l, wait.ctx, deadline);
	if (sharded_block(l) || (!wait.ctx->ops->yield && sharded_drain_spinning(l)))
		return 0;
	struct fl__node node = FL__NODE(&wait);
	node.value = SHARDED_DRAINS;
	if (!sharded_enqueue_writer(l, &node))
		return 0;
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		sharded_unblock(l, &node);
	return rc;
}

int fl_sharded_rwlock_write_lock_until(fl_sharded_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	const int rc = fl_mutex_lock_until(&l->turn_, deadline, cancel);
	return rc == 0 ? sharded_drain(l, deadline, cancel) : rc;
}

void fl_sharded_rwlock_write_lock(fl_sharded_rwlock *l)
{
	const int rc = fl_sharded_rwlock_write_lock_until(l, FL_FOREVER, FL_SHIELDED);
	(void)rc; /* always 0 */
}

int fl_sharded_rwlock_try_write_lock(fl_sharded_rwlock *l)
{
	if (fl_sharded_rwlock_is_read_locked(l) || fl_mutex_try_lock(&l->turn_) != 0)
		return -EBUSY;
	fl__store_relaxed(&l->left_, 0); /* relaxed: see sharded_is_busy() */
	if (sharded_block(l))
		return 0;
	sharded_unblock(l, NULL);
	return -EBUSY;
}

void fl_sharded_rwlock_write_unlock(fl_sharded_rwlock *l)
{
	if (!fl_sharded_rwlock_is_write_locked(l))
		fl__panic("fl_sharded_rwlock_write_unlock", l, "not locked for writing");
	sharded_unblock(l, NULL);
}

/*
 * Whether a context holds or awaits the lock. `*left`: the last writer has opened the rows, and may
 * have yet to unlock turn_.
 */
static bool sharded_is_busy(fl_sharded_rwlock *l, bool *left)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	bool busy = fl__lot_has_waiters(&lot);
	uint32_t readers = 0;
	for (uint32_t i = 0; i < FL_SHARDED_RWLOCK_ROWS; i++)
		/* pairs with the release in sharded_try_leave() */
		readers += fl__load_acquire(&l->rows_[i].word_);
	/* relaxed: set under the queue lock; cleared by a writer that wants the lock */
	*left = fl__load_relaxed(&l->left_);
	fl__lot_close(&lot);
	return busy || readers != 0;
}

int fl_sharded_rwlock_destroy(fl_sharded_rwlock *l)
{
	for (unsigned round = 0;; round++) {
		bool left;
		if (sharded_is_busy(l, &left))
			return -EBUSY;
		if (!left || !fl_mutex_is_locked(&l->turn_))
			return fl_mutex_destroy(&l->turn_);
		fl__back_off(round); /* a writer is about to unlock turn_ */
	}
}

bool fl_sharded_rwlock_is_read_locked(const fl_sharded_rwlock *l)
{
	uint32_t readers = 0;
	for (uint32_t i = 0; i < FL_SHARDED_RWLOCK_ROWS; i++)
		/* relaxed: may be stale */
		readers += fl__load_relaxed(&l->rows_[i].word_) & ~(uint32_t)SHARDED_BLOCKED;
	return readers != 0;
}

bool fl_sharded_rwlock_is_write_locked(const fl_sharded_rwlock *l)
{
	/* relaxed: the result may be stale at once */
	return (fl__load_relaxed(&l->rows_[0].word_) & SHARDED_BLOCKED) && fl__load_relaxed(&l->pending_) == 0;
}

/*
 * Whether the lock had no reader. One pass over the rows can err while readers come and go: a
 * reader that locks in a row already read, and unlocks in a row not yet read, hides another reader.
 * The second pass finds the changed row, unless further readers have changed it back. So a caller
 * that must be sure calls this often.
 */
static bool sharded_has_no_reader(const fl_sharded_rwlock *l)
{
	uint32_t seen[FL_SHARDED_RWLOCK_ROWS], readers = 0;
	for (uint32_t i = 0; i < FL_SHARDED_RWLOCK_ROWS; i++) {
		/* relaxed: publishes nothing */
		seen[i] = fl__load_relaxed(&l->rows_[i].word_) & ~(uint32_t)SHARDED_BLOCKED;
		readers += seen[i];
	}
	for (uint32_t i = 0; i < FL_SHARDED_RWLOCK_ROWS && readers == 0; i++)
		/* relaxed: as above */
		readers += (fl__load_relaxed(&l->rows_[i].word_) & ~(uint32_t)SHARDED_BLOCKED) != seen[i];
	return readers == 0;
}

void fl_sharded_rwlock_assert_read_held(const fl_sharded_rwlock *l)
{
	/* Sixteen times, since one result of sharded_has_no_reader() may be wrong. */
	for (unsigned n = 0; n < 16; n++)
		if (fl_sharded_rwlock_is_write_locked(l) || !sharded_has_no_reader(l))
			return;
	fl__panic("fl_sharded_rwlock_assert_read_held", l, "not locked");
}

void fl_sharded_rwlock_assert_write_held(const fl_sharded_rwlock *l)
{
	if (!fl_sharded_rwlock_is_write_locked(l))
		fl__panic("fl_sharded_rwlock_assert_write_held", l, "not locked for writing");
}
