/* SPDX-License-Identifier: BSD-2-Clause */
/* Wakeups that are lost on any machine. */
#include "planted.h"

/*
 * cv_signal_stealing: two waiters for different things sleep on one word. The wake for one waiter
 * reaches the other, which finds nothing and sleeps again. The fix is to wake all.
 */
#define cv_signal_stealing NAME(cv_signal_stealing, lost_wakeup)
struct cv_signal_stealing {
	atomic_uint seq, flag[2];
};

static void await_flag(struct cv_signal_stealing *s, int i)
{
	unsigned seq = LOAD(&s->seq, ACQ);
	while (!LOAD(&s->flag[i], ACQ)) {
		SLEEP(&s->seq, seq);
		seq = LOAD(&s->seq, ACQ);
	}
}

static void set_flag(struct cv_signal_stealing *s, int i)
{
	STORE(&s->flag[i], 1, REL);
	ADD(&s->seq, 1, REL);
	WAKE(&s->seq, BUG(1, INT32_MAX));
}

ACTOR(cv_signal_stealing, first)
{
	await_flag(s, 0);
}

ACTOR(cv_signal_stealing, second)
{
	await_flag(s, 1);
	set_flag(s, 0);
}

ACTOR(cv_signal_stealing, setter)
{
	set_flag(s, 1);
}

TEST_OF_NO_OUTCOME(cv_signal_stealing, first, second, setter)

/*
 * sem_stale_waiters (musl 159d1f6c): a thread that takes a permit clears the waiters bit while
 * another thread still sleeps. So the next release wakes no thread. The fix is to leave the bit as
 * long as a thread may sleep.
 */
#define sem_stale_waiters NAME(sem_stale_waiters, lost_wakeup)
struct sem_stale_waiters {
	atomic_uint word;
};

ACTOR(sem_stale_waiters, taker)
{
	for (;;) {
		unsigned seen = LOAD(&s->word, RLX);
		if ((seen & 0xff) && CAS(&s->word, &seen, (seen & BUG(0xff, ~0u)) - 1, ACQ))
			return;
		if (!(seen & 0xff) && (seen == 0x100 || CAS(&s->word, &seen, 0x100, RLX)))
			SLEEP(&s->word, 0x100);
	}
}

ACTOR(sem_stale_waiters, releaser)
{
	for (int i = 0; i < 2; i++)
		if (ADD(&s->word, 1, REL) & 0x100)
			WAKE(&s->word, 1);
}

TEST_OF_NO_OUTCOME(sem_stale_waiters, taker, taker, releaser)

/*
 * lost_wakeup_dekker: the producer checks for sleepers before it changes the word that they
 * compare. It does not see a thread that goes to sleep between the two. The fix is to check
 * afterwards, with a full fence in between, on both sides.
 */
#define lost_wakeup_dekker NAME(lost_wakeup_dekker, lost_wakeup)
struct lost_wakeup_dekker {
	atomic_uint seq, item, sleepers;
};

ACTOR(lost_wakeup_dekker, consumer)
{
	unsigned seq = LOAD(&s->seq, ACQ);
	STORE(&s->sleepers, 1, SEQ);
	while (!LOAD(&s->item, SEQ)) {
		SLEEP(&s->seq, seq);
		seq = LOAD(&s->seq, ACQ);
	}
}

ACTOR(lost_wakeup_dekker, producer)
{
	unsigned sleepers = LOAD(&s->sleepers, SEQ);
	STORE(&s->item, 1, SEQ);
	ADD(&s->seq, 1, SEQ);
	if (sleepers || BUG(0, LOAD(&s->sleepers, SEQ)))
		WAKE(&s->seq, 1);
}

TEST_OF_NO_OUTCOME(lost_wakeup_dekker, consumer, producer)
