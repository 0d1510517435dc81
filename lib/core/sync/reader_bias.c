/* SPDX-License-Identifier: BSD-2-Clause */
/* The bias of a readers-writer lock. reader_bias.h has the tables and the invariants. */
#include "reader_bias.h"
#include "../base/anew.h"
#include "../hooks.h"
#include "rwlock.h"
#include <string.h>

struct fl__bias_slot fl__bias_slots[FL__BIAS_SLOTS];
_Thread_local struct fl__bias_thread fl__bias_mine FL__INITIAL_EXEC;

/* When a lock may be biased again. Locks with the same hash share an entry. */
static struct bias_rest {
	FL__WORD64 int64_t begun; /* when the last bias began */
	FL__WORD64 int64_t until; /* no bias begins before this time */
} bias_rests[64];

static uint32_t bias_threads;

static void bias_make_anew(void)
{
	memset(fl__bias_slots, 0, sizeof fl__bias_slots);
}

FL__MAKES_ANEW(bias_make_anew)

void fl__bias_note(const fl_rwlock *l)
{
	if (fl__bias_mine.index == 0)
		fl__bias_mine.index = fl__add_relaxed(&bias_threads, 1) + 1; /* relaxed: the number publishes nothing */
	fl__bias_mine.noted |= (uint64_t)1 << fl__bias_hash(l);
}

static struct fl__bias_slot *bias_slot(const fl_rwlock *l)
{
	return &fl__bias_slots[(fl__bias_mine.index + fl__bias_hash(l)) % FL__BIAS_SLOTS];
}

/*
 * Returns true if the caller cleared the slot. If another context already did, returns false, and
 * that clearing happens before the return.
 */
static bool bias_clear(struct fl__bias_slot *slot, const fl_rwlock *l)
{
	/*
	 * release: pairs with the loads that find the slot empty. There is nothing to acquire. If
	 * another reader used the slot earlier, the current reader has acquired that reader's
	 * unlock by its own CAS, and passes it on by its own unlock.
	 */
	if (fl__cas_release(&slot->lock, &l, NULL))
		return true;
	(void)fl__load_acquire(&slot->lock); /* acquire: pairs with the CAS that cleared the slot */
	return false;
}

static bool bias_is_open(uint32_t word)
{
	return (word & (FL__BIAS | FL__BIAS_CLOSED)) == FL__BIAS;
}

bool fl__bias_read(fl_rwlock *l)
{
	struct fl__bias_slot *slot = bias_slot(l);
	const fl_rwlock *seen = fl__load_relaxed(&slot->lock); /* relaxed: the CAS below checks it */
	/* relaxed: the word is loaded again after the CAS */
	const bool open = bias_is_open(fl__load_relaxed(&l->word_));
	if (!open && !seen)
		fl__bias_mine.noted &= ~((uint64_t)1 << fl__bias_hash(l));
	/*
	 * A fiber uses no slot, because a lock has one slot for a thread, but the thread has many
	 * fibers.
	 */
	if (!open || seen || fl__ctx_get()->ops->yield || fl__hooks_on(FL__HOOKS_DEBUG))
		return false;
	if (!fl__cas_weak_seq_cst(&slot->lock, &seen, l)) /* seq_cst: invariant 3 */
		return false;
	if (fl__likely(bias_is_open(fl__load_seq_cst(&l->word_)))) /* seq_cst: invariant 3 */
		return true;
	return !bias_clear(slot, l); /* invariant 4 */
}

bool fl__bias_unlock(const fl_rwlock *l)
{
	struct fl__bias_slot *slot = bias_slot(l);
	/* relaxed: bias_clear() checks it */
	return fl__load_relaxed(&slot->lock) == l && bias_clear(slot, l);
}

void fl__bias_begin(fl_rwlock *l)
{
	struct bias_rest *rest = &bias_rests[fl__bias_hash(l)];
	const int64_t now = fl__sys.now();
	/* relaxed: a stale time only makes a worse guess */
	if (now < fl__load_relaxed(&rest->until))
		return;
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: the CAS below checks it */
	do {
		if (seen >= FL__BIAS)
			return;
		/* relaxed: the CAS publishes it */
		fl__store_relaxed(&rest->begun, now);
		/*
		 * release: pairs with the CAS that clears BIAS, in fl__bias_end() or
		 * rwlock_take_or_mark(), for `begun`. What writers have released needs no release
		 * here, because all changes of the word are read-modify-writes.
		 */
	} while (!fl__cas_weak_release(&l->word_, &seen, seen + FL__BIAS + FL__BIAS_UNITS));
	fl__bias_note(l);
}

bool fl__bias_end(fl_rwlock *l)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: the CAS below checks it */
	while (seen & FL__BIAS)
		if (fl__cas_weak_seq_cst(&l->word_, &seen, seen - FL__BIAS)) /* seq_cst: invariant 3 */
			return true;
	return false;
}

static void bias_begin_rest(const fl_rwlock *l, int64_t ended)
{
	enum { PAYS = 64, PAID = 9, UNPAID = 512 };
	struct bias_rest *rest = &bias_rests[fl__bias_hash(l)];
	const int64_t now = fl__sys.now(), cost = now - ended;
	/* relaxed: stale times only make a worse guess */
	const bool paid = ended - fl__load_relaxed(&rest->begun) > PAYS * cost;
	/* The cost is bounded, because the context may have been preempted meanwhile. */
	fl__store_relaxed(&rest->until, now + FL__MIN(cost, FL_US(200)) * (paid ? PAID : UNPAID));
}

uint32_t fl__bias_settle(fl_rwlock *l)
{
	const int64_t ended = fl__sys.now();
	for (struct fl__bias_slot *slot = fl__bias_slots; slot < fl__bias_slots + FL__BIAS_SLOTS; slot++) {
		/*
		 * seq_cst: invariant 3. This also acquires from the unlock that cleared the slot.
		 */
		if (fl__load_seq_cst(&slot->lock) != l)
			continue;
		/*
		 * Adds first (invariant 4). relaxed, also the subtraction: BIAS_UNITS bar writers
		 * until the end of this function
		 */
		fl__add_relaxed(&l->word_, 1);
		if (!bias_clear(slot, l))
			fl__sub_relaxed(&l->word_, 1);
	}
	bias_begin_rest(l, ended);
	/* release: pairs with the acquire of write locks, for the readers whose slots were empty */
	return fl__sub_release(&l->word_, FL__BIAS_UNITS);
}

uint32_t fl__bias_slots_of(const fl_rwlock *l)
{
	uint32_t n = 0;
	for (unsigned i = 0; i < FL__BIAS_SLOTS; i++)
		/*
		 * acquire: the caller's next load of the word is no older than what cleared the
		 * slot
		 */
		n += fl__load_acquire(&fl__bias_slots[i].lock) == l;
	return n;
}
