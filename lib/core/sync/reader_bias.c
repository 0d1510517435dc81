/* SPDX-License-Identifier: BSD-2-Clause */
#include "reader_bias.h"
#include "../hooks.h"
#include "rwlock.h"

struct fl__bias_slot fl__bias_slots[FL__BIAS_SLOTS];
_Thread_local struct fl__bias_thread fl__bias_mine FL__INITIAL_EXEC;

/* Locks with one hash share a rest. */
static struct bias_rest {
	int64_t begun; /* the last bias */
	int64_t until;
	uint32_t doubled;
} bias_rests[64];

static uint32_t bias_threads;

void fl__bias_note(const fl_rwlock *l)
{
	if (fl__bias_mine.index == 0)
		fl__bias_mine.index = fl__add_relaxed(&bias_threads, 1) + 1; /* a lone number */
	fl__bias_mine.noted |= (uint64_t)1 << fl__bias_hash(l);
}

static struct fl__bias_slot *bias_slot(const fl_rwlock *l)
{
	return &fl__bias_slots[(fl__bias_mine.index + fl__bias_hash(l)) % FL__BIAS_SLOTS];
}

/* A fiber may go on with another thread, so it uses no slot. */
static bool bias_is_fiber(void)
{
	const struct fl__ctx *ctx = fl__ctx_current;
	return ctx && ctx->ops->yield;
}

/* False: another context has cleared it, which happens before the return. */
static bool bias_clear(struct fl__bias_slot *slot, const fl_rwlock *l)
{
	if (fl__cas_acq_rel(&slot->lock, &l, NULL)) /* pairs with all that clear a slot */
		return true;
	(void)fl__load_acquire(&slot->lock); /* as above: all changes are CASes */
	return false;
}

static bool bias_is_open(uint32_t word)
{
	return (word & (FL__BIAS | FL__BIAS_CLOSED)) == FL__BIAS;
}

bool fl__bias_read(fl_rwlock *l)
{
	struct fl__bias_slot *slot = bias_slot(l);
	const fl_rwlock *seen = fl__load_relaxed(&slot->lock);       /* the CAS decides */
	const bool open = bias_is_open(fl__load_relaxed(&l->word_)); /* a hint here */
	if (!open && !seen)
		fl__bias_mine.noted &= ~((uint64_t)1 << fl__bias_hash(l));
	if (!open || seen || bias_is_fiber() || fl__hooks_on(FL__HOOKS_DEBUG))
		return false;
	if (!fl__cas_weak_seq_cst(&slot->lock, &seen, l)) /* invariant 3 */
		return false;
	if (fl__likely(bias_is_open(fl__load_seq_cst(&l->word_)))) /* invariant 3 */
		return true;
	return !bias_clear(slot, l); /* invariant 4 */
}

bool fl__bias_unlock(const fl_rwlock *l)
{
	struct fl__bias_slot *slot = bias_slot(l);
	/* the load is a hint */
	return fl__load_relaxed(&slot->lock) == l && bias_clear(slot, l);
}

void fl__bias_begin(fl_rwlock *l)
{
	struct bias_rest *rest = &bias_rests[fl__bias_hash(l)];
	const int64_t now = fl__sys.now();
	/* relaxed, here and in fl__bias_settle(): a guess */
	if (now < fl__load_relaxed(&rest->until))
		return;
	uint32_t seen = fl__load_relaxed(&l->word_); /* the CAS decides */
	do
		if (seen >= FL__BIAS)
			return;
	while (
	    !fl__cas_weak_release(&l->word_, &seen, seen + FL__BIAS + FL__BIAS_UNITS)); /* pairs with fl__bias_read() */
	fl__store_relaxed(&rest->begun, now);                                           /* as above */
	fl__bias_note(l);
}

bool fl__bias_end(fl_rwlock *l)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* the CAS decides */
	while (seen & FL__BIAS)
		if (fl__cas_weak_seq_cst(&l->word_, &seen, seen - FL__BIAS)) /* invariant 3 */
			return true;
	return false;
}

static void bias_begin_rest(const fl_rwlock *l, int64_t ended)
{
	enum { PAPER = 9, PAYS = 64, DOUBLED = 30 };
	struct bias_rest *rest = &bias_rests[fl__bias_hash(l)];
	const int64_t now = fl__sys.now(), cost = FL__MAX(now - ended, 1), most = FL_MS(100);
	const bool paid = ended - fl__load_relaxed(&rest->begun) > PAYS * cost;
	const uint32_t doubled = paid ? 0 : FL__MIN(fl__load_relaxed(&rest->doubled) + 1, DOUBLED);
	fl__store_relaxed(&rest->doubled, doubled);
	fl__store_relaxed(&rest->until, now + FL__MIN(FL__MIN(cost, most) * PAPER << doubled, most));
}

uint32_t fl__bias_settle(fl_rwlock *l)
{
	const int64_t ended = fl__sys.now();
	for (struct fl__bias_slot *slot = fl__bias_slots; slot < fl__bias_slots + FL__BIAS_SLOTS; slot++) {
		/* invariant 3; pairs with the unlock that cleared it */
		if (fl__load_seq_cst(&slot->lock) != l)
			continue;
		fl__add_relaxed(&l->word_, 1); /* invariant 4; BIAS_UNITS bar writers */
		if (!bias_clear(slot, l))
			fl__sub_relaxed(&l->word_, 1); /* as above */
	}
	bias_begin_rest(l, ended);
	/* what the readers read that slots showed; pairs with the write locks */
	return fl__sub_release(&l->word_, FL__BIAS_UNITS);
}

uint32_t fl__bias_slots_of(const fl_rwlock *l)
{
	uint32_t n = 0;
	for (unsigned i = 0; i < FL__BIAS_SLOTS; i++)
		/* the next load of the word is no older than what has cleared it */
		n += fl__load_acquire(&fl__bias_slots[i].lock) == l;
	return n;
}

/* A new lock has no past. */
void fl__bias_init(const fl_rwlock *l)
{
	struct bias_rest *rest = &bias_rests[fl__bias_hash(l)];
	/* relaxed: a guess */
	fl__store_relaxed(&rest->until, 0);
	fl__store_relaxed(&rest->doubled, 0);
}
