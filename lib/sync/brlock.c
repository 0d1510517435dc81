/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The big-reader lock: a count of readers in rows, a line of memory each. A reader adds to the row of its thread; a writer blocks
 * the rows one after the other, and waits until the readers that it found have left. (Hsieh and Weihl, 1992; Linux's
 * percpu-rwsem.) The bit that blocks stands in the row itself, so that one CAS both counts the reader and looks for the
 * writer: no Dekker between two words, hence no fence, and a reader looks at nothing that others write.
 *
 *   word       bit         meaning                              set by                           cleared by
 *   a row      BLOCKED     a writer has it, or waits for        block(), by addition, by who     open_up(), under the lot
 *                          readers to leave                     has the turn
 *              the rest    2 for each reader; the sum over      read lock: CAS, without BLOCKED; read unlock: CAS, without
 *                          the rows counts, modulo 2^32:        open_up() for those in line      BLOCKED; else under the lot
 *                          another thread may unlock
 *   turn_                  a mutex: who has it blocks the       write lock                       write unlock
 *                          rows, or will
 *   pending_               2 for each reader that the writer    block(): + the sum that it       read unlock under BLOCKED: - 2,
 *                          found and that has not left          found                            under the lot; 0: open_up()
 *   left_                  the rows are open, and turn_ is or   open_up(), under the lot         who has got turn_
 *                          is about to be free
 *
 * Invariants
 *   1. Linearization: read lock, the CAS of its row, or the taking out of the line by open_up(); read unlock, the CAS of the row,
 *      or the subtraction from pending_. Write lock: the moment when pending_ is 0 with all rows blocked; write unlock,
 *      open_up().
 *   2. A reader whose CAS came before the row was blocked is in the sum that block() found; one that comes later waits in line.
 *      A reader that leaves before the row is blocked is not in the sum, or taken off it; one that leaves later takes itself off
 *      pending_. So pending_ ends at 0 when they all have left, whichever rows they used; before block() has added the sum it may
 *      be below 0, but not 0 unless nobody has left.
 *   3. BLOCKED is cleared under the lot alone. So under the lot a reader that finds it may go in line, or take itself off
 *      pending_, and belongs to the writer that is there.
 *   4. In the line stand readers, and at most one writer, who has the turn. When the rows are opened all readers in line come in;
 *      so between two writers they do.
 *
 * Fairness. Writers take turns as those who lock a mutex do: a running one may overtake for a millisecond. With the turn a writer
 * first waits for a moment without readers, while they come and go, for up to a millisecond more: await_gap().
 *
 * Lifetime. A read unlock is one CAS. Under BLOCKED it opens the lot before it touches the lock, and the subtraction from
 * pending_ is its last access; the writer's node that it then finds in line has been there since before. A write unlock
 * opens the rows one after the other, so that a reader may come and go meanwhile; but it has the lot, and so does destroy().
 * The unlock of turn_ is its last access: destroy() waits for it, a moment, when left_ says that it is to come.
 */
#include "brlock.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/brlock.h>
#include <fairlead/cpu.h>
#include <fairlead/time.h>
#include <stddef.h>

enum { BLOCKED = 1, READER = 2 };
static const int64_t PATIENCE = FL_MS(1);

/* Of a node: what it waits for; to read, + the row where it is to be counted. */
enum { DRAINS = 0x62726c00, READS };

uint32_t fl__brlock_rows;

__attribute__((noinline, cold)) static uint32_t choose_rows(void)
{
	uint32_t rows = 1, none = 0;
	while (rows < FL_BRLOCK_ROWS && rows < 4 * fl_cpu_count())
		rows *= 2;
	/* relaxed: a number; all use the first one that is there */
	return fl__cas_relaxed(&fl__brlock_rows, &none, rows) ? rows : none;
}

static uint32_t rows_used(void)
{
	uint32_t rows = fl__load_relaxed(&fl__brlock_rows); /* relaxed: does not change */
	return __builtin_expect(rows != 0, 1) ? rows : choose_rows();
}

/* The row of the calling thread, as a distance from the lock; 0: not known yet. */
static _Thread_local uint32_t place __attribute__((tls_model("initial-exec")));

__attribute__((noinline, cold)) static uint32_t choose_place(void)
{
	const uint32_t i = (uint32_t)fl__ctx_get()->id & (rows_used() - 1);
	place = (uint32_t)(offsetof(fl_brlock, rows_) + i * sizeof(struct fl__brlock_row));
	return place;
}

static inline uint32_t *row_of_caller(fl_brlock *l)
{
	uint32_t at = place;
	if (__builtin_expect(at == 0, 0))
		at = choose_place();
	return &((struct fl__brlock_row *)(void *)((char *)l + at))->word_;
}

/* Readers. */

/* Begins with a guess rather than a look, which would have to wait for the instruction that locked before. */
static inline bool try_enter(uint32_t *row)
{
	uint32_t seen = 0;
	do
		if (__builtin_expect(fl__cas_weak_acquire(row, &seen, seen + READER),
		                     1)) /* pairs with the release in open_up() */
			return true;
	while (!(seen & BLOCKED));
	return false;
}

/* The pauses double: see mutex.c. Nothing else writes to the row while it is blocked, but readers that leave. */
static bool enter_spinning(uint32_t *row)
{
	enum { LOOKS = 8 };
	for (int i = 0; i < LOOKS; i++) {
		if (!(fl__load_relaxed(row) & BLOCKED) && try_enter(row)) /* relaxed: try_enter() acquires */
			return true;
		fl__pause(1u << i);
	}
	return false;
}

static bool line_up_to_read(fl_brlock *l, uint32_t *row, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	bool waits = !try_enter(row);
	if (waits)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	return waits;
}

__attribute__((noinline, cold)) static int read_slow(fl_brlock *l, uint32_t *row, int64_t deadline, fl_cancel *cancel)
{
	if (!fl__ctx_get()->ops->yield && enter_spinning(row))
		return 0;
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	node.value = READS + (uint32_t)((place - offsetof(fl_brlock, rows_)) / sizeof(struct fl__brlock_row));
	if (!line_up_to_read(l, row, &node))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

int fl_brlock_read_until(fl_brlock *l, int64_t deadline, fl_cancel *cancel)
{
	uint32_t *row = row_of_caller(l);
	return __builtin_expect(try_enter(row), 1) ? 0 : read_slow(l, row, deadline, cancel);
}

void fl_brlock_read(fl_brlock *l)
{
	uint32_t *row = row_of_caller(l);
	if (__builtin_expect(!try_enter(row), 0))
		(void)read_slow(l, row, FL_FOREVER, FL_SHIELDED); /* 0: neither timed nor cancelled */
}

int fl_brlock_try_read(fl_brlock *l)
{
	return try_enter(row_of_caller(l)) ? 0 : -EBUSY;
}

/* Leaves the row before it is blocked. */
static inline bool try_leave(uint32_t *row)
{
	uint32_t seen = READER;
	do
		if (__builtin_expect(fl__cas_weak_release(row, &seen, seen - READER),
		                     1)) /* pairs with the acquire in block(); the last access */
			return true;
	while (!(seen & BLOCKED));
	return false;
}

/* With the row blocked: the writer waits for this reader, among others. */
__attribute__((noinline, cold)) static void leave_writer(fl_brlock *l, uint32_t *row)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (!try_leave(row)) {
		fl__add_relaxed(row, -(uint32_t)READER); /* relaxed: pending_ tells the writer */
		/* release: pairs with the acquire in block() and is_drained(); the last access */
		uint32_t seen = fl__sub_release(&l->pending_, READER);
		struct fl__node *first = fl__lot_first(&lot);
		if (seen == READER && first && first->value == DRAINS)
			(void)fl__lot_take_this(&lot, first, 0);
	}
	fl__lot_close(&lot);
}

void fl_brlock_read_unlock(fl_brlock *l)
{
	uint32_t *row = row_of_caller(l);
	if (__builtin_expect(!try_leave(row), 0))
		leave_writer(l, row);
}

/* Writers. */

static bool seems_free(const fl_brlock *l)
{
	uint32_t found = 0;
	for (uint32_t i = 0, rows = rows_used(); i < rows; i++)
		found += fl__load_relaxed(&l->rows_[i].word_); /* relaxed: block() looks again, and acquires */
	return found == 0;
}

/*
 * With the turn: lets readers come and go for a while, until a moment without any. A reader that was preempted may hold the lock for
 * a time slice; if the rows were blocked all that time, all other readers would have to sleep, and be woken.
 */
static void await_gap(const fl_brlock *l, const struct fl__ctx *ctx, int64_t deadline)
{
	if (ctx->ops->yield || seems_free(l))
		return;
	enum { PAUSED_LOOKS = 4, PAUSES = 16 };
	const int64_t end = fl__min_deadline(fl__sys.now() + PATIENCE, deadline);
	for (unsigned i = 0; !seems_free(l) && fl__sys.now() < end; i++) {
		if (i < PAUSED_LOOKS)
			fl__pause((unsigned)PAUSES << i);
		else
			(void)fl__sys.give_way(fl__sys.now());
	}
}

/* With the turn: blocks all rows. True when no reader was there. */
static bool block(fl_brlock *l)
{
	uint32_t found = 0;
	for (uint32_t i = 0, rows = rows_used(); i < rows; i++)
		found += fl__add_acquire(&l->rows_[i].word_, BLOCKED); /* pairs with the release in try_leave() */
	/* acquire: pairs with the release in leave_writer() */
	return fl__add_acquire(&l->pending_, found) + found == 0;
}

static bool is_drained(const fl_brlock *l)
{
	return fl__load_acquire(&l->pending_) == 0; /* pairs with the release in leave_writer() */
}

static bool drain_spinning(const fl_brlock *l)
{
	enum { LOOKS = 8 };
	for (int i = 0; i < LOOKS; i++) {
		if (is_drained(l))
			return true;
		fl__pause(1u << i);
	}
	return false;
}

/* Goes in line, before all, until the readers have left. */
static bool line_up_to_drain(fl_brlock *l, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	bool waits = fl__load_relaxed(&l->pending_) != 0; /* relaxed: under the lot, as the last subtraction */
	if (waits)
		fl__lot_insert(&lot, node, fl__lot_first(&lot));
	fl__lot_close(&lot);
	return waits;
}

/* Under the lot: takes all readers out of the line, each counted in its row, who have the lock as soon as it is closed. */
static void let_readers_in(fl_brlock *l, struct fl__lot *lot)
{
	for (struct fl__node *node = fl__lot_first(lot), *next; node; node = next) {
		const uint32_t row = node->value - READS;
		next = fl__lot_behind(node);
		if (row < FL_BRLOCK_ROWS && fl__lot_take_this(lot, node, 0))
			fl__add_relaxed(&l->rows_[row].word_, READER); /* relaxed: the unpark tells it of the writer */
	}
}

/* The end of a write lock, or of the wait for one, whose `node` may still be in line. */
static void open_up(fl_brlock *l, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	if (node)
		fl__lot_remove(&lot, node);
	let_readers_in(l, &lot);
	fl__store_relaxed(&l->pending_, 0); /* relaxed: it changes under the lot, until the next writer adds to it */
	fl__store_relaxed(&l->left_, 1);    /* relaxed: looked at under the lot */
	for (uint32_t i = 0, rows = rows_used(); i < rows; i++)
		fl__sub_release(&l->rows_[i].word_, BLOCKED); /* pairs with the acquire in try_enter() */
	fl__lot_close(&lot);
	fl_mutex_unlock(&l->turn_);
}

/* With the turn. */
static int drive_readers_out(fl_brlock *l, int64_t deadline, fl_cancel *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	fl__store_relaxed(&l->left_, 0); /* relaxed: see fl_brlock_destroy() */
	await_gap(l, wait.ctx, deadline);
	if (block(l) || (!wait.ctx->ops->yield && drain_spinning(l)))
		return 0;
	struct fl__node node = FL__NODE(&wait);
	node.value = DRAINS;
	if (!line_up_to_drain(l, &node))
		return 0;
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		open_up(l, &node);
	return rc;
}

static int write_slow(fl_brlock *l, int64_t deadline, fl_cancel *cancel)
{
	const int rc = fl_mutex_lock_until(&l->turn_, deadline, cancel);
	return rc == 0 ? drive_readers_out(l, deadline, cancel) : rc;
}

int fl_brlock_write_until(fl_brlock *l, int64_t deadline, fl_cancel *cancel)
{
	return write_slow(l, deadline, cancel);
}

void fl_brlock_write(fl_brlock *l)
{
	(void)write_slow(l, FL_FOREVER, FL_SHIELDED); /* 0: neither timed nor cancelled */
}

int fl_brlock_try_write(fl_brlock *l)
{
	if (fl_brlock_is_read_locked(l) || fl_mutex_try_lock(&l->turn_) != 0)
		return -EBUSY;
	fl__store_relaxed(&l->left_, 0); /* relaxed: see fl_brlock_destroy() */
	if (block(l))
		return 0;
	open_up(l, NULL);
	return -EBUSY;
}

void fl_brlock_write_unlock(fl_brlock *l)
{
	if (!fl_brlock_is_write_locked(l))
		fl__panic("fl_brlock_write_unlock", l, "nobody writes");
	open_up(l, NULL);
}

void fl_brlock_init(fl_brlock *l)
{
	__builtin_memset(l, 0, sizeof *l);
}

/* Under the lot: whether the last writer has opened the rows, and may have yet to pass its turn on. */
static bool is_held(fl_brlock *l, bool *left)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	bool busy = fl__lot_more(&lot);
	uint32_t readers = 0;
	for (uint32_t i = 0; i < FL_BRLOCK_ROWS; i++)
		readers += fl__load_acquire(&l->rows_[i].word_); /* pairs with the release in try_leave() */
	*left = fl__load_relaxed(&l->left_); /* relaxed: set under the lot; cleared by one who awaits the lock */
	fl__lot_close(&lot);
	return busy || readers != 0;
}

int fl_brlock_destroy(fl_brlock *l)
{
	for (unsigned round = 0;; round++) {
		bool left;
		if (is_held(l, &left))
			return -EBUSY;
		if (!left || !fl_mutex_is_locked(&l->turn_))
			return fl_mutex_destroy(&l->turn_);
		fl__back_off(round); /* a writer is about to pass its turn on */
	}
}

bool fl_brlock_is_read_locked(const fl_brlock *l)
{
	uint32_t readers = 0;
	for (uint32_t i = 0; i < FL_BRLOCK_ROWS; i++)
		readers += fl__load_relaxed(&l->rows_[i].word_) & ~(uint32_t)BLOCKED; /* relaxed: out of date */
	return readers != 0;
}

bool fl_brlock_is_write_locked(const fl_brlock *l)
{
	/* relaxed: out of date when it returns */
	return (fl__load_relaxed(&l->rows_[0].word_) & BLOCKED) && fl__load_relaxed(&l->pending_) == 0;
}

/*
 * Whether nobody was there to read, for certain. One look at each row is of no moment while others come and go: who locked through
 * a row that was seen, and unlocks through one that was not, hides another reader. Two looks that are alike leave no room for that.
 */
static bool is_not_read_locked(const fl_brlock *l)
{
	uint32_t seen[FL_BRLOCK_ROWS], readers = 0;
	for (uint32_t i = 0; i < FL_BRLOCK_ROWS; i++) {
		seen[i] = fl__load_relaxed(&l->rows_[i].word_) & ~(uint32_t)BLOCKED; /* relaxed: no message */
		readers += seen[i];
	}
	for (uint32_t i = 0; i < FL_BRLOCK_ROWS && readers == 0; i++)
		readers +=
		    (fl__load_relaxed(&l->rows_[i].word_) & ~(uint32_t)BLOCKED) != seen[i]; /* relaxed: as above */
	return readers == 0;
}

void fl_brlock_assert_read_held(const fl_brlock *l)
{
	if (!fl_brlock_is_write_locked(l) && is_not_read_locked(l))
		fl__panic("fl_brlock_assert_read_held", l, "not locked");
}

void fl_brlock_assert_write_held(const fl_brlock *l)
{
	if (!fl_brlock_is_write_locked(l))
		fl__panic("fl_brlock_assert_write_held", l, "nobody writes");
}
