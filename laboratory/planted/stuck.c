/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlocks and livelocks. */
#include "planted.h"

/* A correct lock, for scenarios that use it wrongly. */
static void lock(atomic_uint *word)
{
	unsigned expected = 0;
	if (CAS(word, &expected, 1, ACQ))
		return;
	while (SWAP(word, 2, ACQ))
		SLEEP(word, 2);
}

static void unlock(atomic_uint *word)
{
	if (SWAP(word, 0, REL) == 2)
		WAKE(word, 1);
}

static void lock_both(atomic_uint *first, atomic_uint *second)
{
	lock(first);
	lock(second);
	unlock(second);
	unlock(first);
}

/* Two locks are taken in both orders. The fix is one order. */
#define lock_inversion NAME(lock_inversion, deadlock)
struct lock_inversion {
	atomic_uint a, b;
};

ACTOR(lock_inversion, one)
{
	lock_both(&s->a, &s->b);
}

ACTOR(lock_inversion, two)
{
	lock_both(&s->BUG(b, a), &s->BUG(a, b));
}

TEST_OF_NO_OUTCOME(lock_inversion, one, two)

/*
 * A ticket lock draws its tickets by a load and a store. Two threads may get the same number, and a
 * number is skipped. The fix is a single add.
 */
#define ticket_drawn_twice NAME(ticket_drawn_twice, livelock)
struct ticket_drawn_twice {
	atomic_uint next, serving;
};

ACTOR(ticket_drawn_twice, draw_and_wait)
{
	unsigned ticket = BUG(LOAD(&s->next, RLX), ADD(&s->next, 1, RLX));
	BUG(STORE(&s->next, ticket + 1, RLX), );
	while (LOAD(&s->serving, ACQ) != ticket)
		fl_stress_relax();
	ADD(&s->serving, 1, REL);
}

TEST_OF_NO_OUTCOME(ticket_drawn_twice, draw_and_wait, draw_and_wait)

#ifndef FIXED

/*
 * Each thread clears its own word as soon as it sees the other's, and tries again. The fix is that
 * one of the threads does not give way.
 */
struct after_you__step_limit {
	atomic_uint wants[2];
};

static void enter_politely(struct after_you__step_limit *s, int me)
{
	for (;;) {
		STORE(&s->wants[me], 1, SEQ);
		fl_stress_relax();
		if (!LOAD(&s->wants[!me], SEQ))
			break;
		STORE(&s->wants[me], 0, SEQ);
	}
	STORE(&s->wants[me], 0, SEQ);
}

ONE_AND_TWO(after_you__step_limit, enter_politely)

TEST_OF_NO_OUTCOME(after_you__step_limit, one, two)

#endif
