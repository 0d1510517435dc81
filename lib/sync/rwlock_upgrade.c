/* SPDX-License-Identifier: BSD-2-Clause */
/* The readers-writer lock: upgrade and downgrade. rwlock.h has the table and the invariants. */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "rwlock.h"
#include <errno.h>
#include <fairlead/time.h>

#define READER FL__RW_READER
#define COUNT FL__RW_COUNT
#define WAITERS FL__RW_WAITERS
#define UPGRADER FL__RW_UPGRADER
#define WRITER FL__RW_WRITER

void fl_rwlock_downgrade(fl_rwlock *l)
{
	if (fl__debug_is_on() && fl_rwlock_is_write_locked(l))
		fl__debug_downgraded(l);
	/* release: pairs with the acquire in the read locks */
	const uint32_t seen = fl__sub_release(&l->word_, WRITER - READER);
	if (__builtin_expect(seen != WRITER, 0))
		fl__rw_writer_left(l, seen, WRITER - READER, "fl_rwlock_downgrade");
}

static void check_reads(const fl_rwlock *l, const char *function)
{
	if (!fl_rwlock_is_read_locked(l))
		fl__panic(function, l, "nobody reads");
}

/* Makes the only reader the writer: 0. With other readers or an upgrader: -EBUSY. */
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

/*
 * Makes the caller the upgrader, or the writer:
 *   1         enqueued as the upgrader, before all waiters
 *   0         the caller was the only reader, and is the writer
 *   -EDEADLK  there is an upgrader already
 */
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
		/* relaxed: flags; the queue lock orders them before the serve of an unlock */
		else if (fl__cas_weak_relaxed(&l->word_, &seen, seen | UPGRADER | WAITERS))
			rc = 1;
	}
	if (rc == 1)
		fl__lot_insert(&lot, node, fl__lot_first(&lot));
	fl__lot_close(&lot);
	return rc;
}

static int upgrade_anyhow(fl_rwlock *l, int64_t deadline, fl_cancel_token *cancel, struct fl__debug_op *op)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	node.value = FL__RW_UPGRADES;
	int rc = line_up_upgrade(l, &node);
	if (rc != 1)
		return rc;
	fl__debug_waiting(op);
	rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__rw_leave(l, &node, UPGRADER);
	return rc;
}

int fl_rwlock_upgrade_until(fl_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	fl__rw_heal(l);
	check_reads(l, "fl_rwlock_upgrade");
	struct fl__debug_op op;
	fl__debug_locking(&op, l, FL__DEBUG_RWLOCK, FL__DEBUG_UPGRADE | (deadline == FL_FOREVER ? 0 : FL__DEBUG_TRY));
	const int rc = upgrade_anyhow(l, deadline, cancel, &op);
	fl__debug_locked(&op, rc == 0);
	return rc;
}
