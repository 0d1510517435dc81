/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The big-reader lock: a count of readers in rows, a line of memory each. A reader adds to the row of its context; a writer blocks
 * the rows one after the other, and waits until the readers that it found have left. (Hsieh and Weihl, 1992; Linux's
 * percpu-rwsem.) The bit that blocks stands in the row itself, so that one CAS both counts the reader and looks for the
 * writer: no Dekker between two words, hence no fence, and a reader looks at nothing that others write.
 *
 *   word       bit         meaning                              set by                           cleared by
 *   a row      BLOCKED     a writer has it, or waits for        block(), by addition, by who     open_up(), under the lot
 *                          readers to leave                     has the turn
 *              the rest    2 for each reader; the sum over      read lock: CAS, without BLOCKED; read unlock: CAS, without
 *                          the rows counts, modulo 2^32:        open_up() for those in line      BLOCKED; else under the lot
 *                          another context may unlock
 *   turn_      0, 1        a writer has the turn, and blocks    write lock, under the lot        open_up(), when no writer waits
 *                          the rows or will
 *   pending_               2 for each reader that the writer    block(): + the sum that it       read unlock under BLOCKED: - 2,
 *                          found and that has not left          found                            under the lot; 0: open_up()
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
 *   4. turn_ passes under the lot: to the first writer in line, or to nobody. So there is one writer at a time, first come, first
 *      served; and between two of them all readers in line come in.
 *
 * Lifetime. A read unlock is one CAS. Under BLOCKED it opens the lot before it touches the lock, and the subtraction from
 * pending_ is its last access; the writer's node that it then finds in line has been there since before. A write unlock
 * opens the rows one after the other, so that a reader may come and go meanwhile; but it has the lot, and so does destroy().
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

enum { BLOCKED = 1, READER = 2 };

/* Of a node: what it waits for. */
enum { READS = 0x62726c31, WRITES, DRAINS };

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

static uint32_t *row_of(fl_brlock *l, const struct fl__ctx *ctx)
{
	return &l->rows_[(uint32_t)ctx->id & (rows_used() - 1)].word_;
}

static uint32_t *row_of_caller(fl_brlock *l)
{
	return row_of(l, fl__ctx_get());
}

/* Readers. */

static bool try_enter(uint32_t *row)
{
	uint32_t seen = fl__load_relaxed(row); /* relaxed: the CAS decides */
	while (!(seen & BLOCKED))
		if (fl__cas_weak_acquire(row, &seen, seen + READER)) /* pairs with the release in open_up() */
			return true;
	return false;
}

/* The pauses double: see mutex.c. Nothing else writes to the row while it is blocked, but readers that leave. */
static bool enter_spinning(uint32_t *row)
{
	enum { LOOKS = 8 };
	for (int i = 0; i < LOOKS; i++) {
		if (try_enter(row))
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
	node.value = READS;
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
static bool try_leave(uint32_t *row)
{
	uint32_t seen = fl__load_relaxed(row); /* relaxed: the CAS decides */
	while (!(seen & BLOCKED))
		if (fl__cas_weak_release(row, &seen,
		                         seen - READER)) /* pairs with the acquire in block(); the last access */
			return true;
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

/* Takes the turn, or goes in line for it: true when it waits. */
static bool line_up_to_write(fl_brlock *l, struct fl__node *node)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l);
	bool waits = fl__load_relaxed(&l->turn_) != 0; /* relaxed: it changes under the lot alone */
	if (!waits)
		fl__store_relaxed(&l->turn_, 1);
	else if (node)
		fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	return waits;
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
		next = fl__lot_behind(node);
		if (node->value == READS && fl__lot_take_this(lot, node, 0))
			/* relaxed: the unpark tells it of the writer */
			fl__add_relaxed(row_of(l, node->wait->ctx), READER);
	}
}

/* Under the lot, with readers out of the line: the next writer has the turn. */
static void pass_turn(fl_brlock *l, struct fl__lot *lot)
{
	if (fl__lot_take(lot, 1, 0) == 0)
		fl__store_relaxed(&l->turn_, 0); /* relaxed: it is looked at under the lot */
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
	pass_turn(l, &lot);
	for (uint32_t i = 0, rows = rows_used(); i < rows; i++)
		fl__sub_release(&l->rows_[i].word_, BLOCKED); /* pairs with the acquire in try_enter() */
	fl__lot_close(&lot);
}

static int write_slow(fl_brlock *l, int64_t deadline, fl_cancel *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	node.value = WRITES;
	if (line_up_to_write(l, &node)) {
		int rc = fl__wait_sleep(&wait, deadline, cancel);
		if (rc != 0) {
			fl__lot_leave(&node);
			return rc;
		}
		fl__wait_begin(&wait);
		node = FL__NODE(&wait);
	}
	if (block(l) || (!wait.ctx->ops->yield && drain_spinning(l)))
		return 0;
	node.value = DRAINS;
	if (!line_up_to_drain(l, &node))
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		open_up(l, &node);
	return rc;
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
	if (fl_brlock_is_read_locked(l) || line_up_to_write(l, NULL))
		return -EBUSY;
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

int fl_brlock_destroy(fl_brlock *l)
{
	struct fl__lot lot;
	fl__lot_open(&lot, l); /* and waits for an unlock that is on its way out */
	/* relaxed: under the lot */
	bool busy = fl__load_relaxed(&l->turn_) != 0 || fl__lot_more(&lot);
	uint32_t readers = 0;
	for (uint32_t i = 0; i < FL_BRLOCK_ROWS; i++)
		readers += fl__load_acquire(&l->rows_[i].word_); /* pairs with the release in try_leave() */
	fl__lot_close(&lot);
	return busy || readers != 0 ? -EBUSY : 0;
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

void fl_brlock_assert_read_held(const fl_brlock *l)
{
	/* Row by row: the sum is of no moment when others come and go. */
	for (uint32_t i = 0; i < FL_BRLOCK_ROWS; i++)
		if (fl__load_relaxed(&l->rows_[i].word_) & ~(uint32_t)BLOCKED) /* relaxed: no message */
			return;
	if (!fl_brlock_is_write_locked(l))
		fl__panic("fl_brlock_assert_read_held", l, "not locked");
}

void fl_brlock_assert_write_held(const fl_brlock *l)
{
	if (!fl_brlock_is_write_locked(l))
		fl__panic("fl_brlock_assert_write_held", l, "nobody writes");
}
