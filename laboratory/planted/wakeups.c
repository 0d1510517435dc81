/* SPDX-License-Identifier: BSD-2-Clause */
/* Wakeups that are lost on any machine. */
#include "planted.h"

/*
 * cv_signal_stealing: two waiters for different things sleep on one word. The wake for one reaches
 * the other, which finds nothing and sleeps again. The fix is to wake all.
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

TEST(cv_signal_stealing, first, second, setter)
{
	FL_ACCEPTABLE(1, "all through");
}

/*
 * sem_two_posts_one_wake (libc++ 47013): a release wakes only if there was no permit. Of two
 * releases with two sleepers, the second finds the first one's permit, which the woken sleeper has
 * not taken yet. The fix is a wake for each permit.
 */
#define sem_two_posts_one_wake NAME(sem_two_posts_one_wake, lost_wakeup)
struct sem_two_posts_one_wake {
	atomic_uint permits;
};

static void take_permit(atomic_uint *permits)
{
	for (;;) {
		unsigned seen = LOAD(permits, RLX);
		if (seen == 0)
			SLEEP(permits, 0);
		else if (CAS(permits, &seen, seen - 1, ACQ))
			return;
	}
}

ACTOR(sem_two_posts_one_wake, taker)
{
	take_permit(&s->permits);
}

ACTOR(sem_two_posts_one_wake, releaser)
{
	for (int i = 0; i < 2; i++)
		if (ADD(&s->permits, 1, REL) == 0 || BUG(false, true))
			WAKE(&s->permits, 1);
}

TEST(sem_two_posts_one_wake, taker, taker, releaser)
{
	FL_ACCEPTABLE(1, "both got one");
}

/*
 * sem_stale_waiters (musl 159d1f6c): a thread that takes a permit clears the waiters bit while
 * another thread still sleeps. So the next release wakes no thread. The fix is to leave the bit as
 * long as a thread may sleep.
 */
#define sem_stale_waiters NAME(sem_stale_waiters, lost_wakeup)
struct sem_stale_waiters {
	atomic_uint word;
};

static void take_below_bit(atomic_uint *word)
{
	for (;;) {
		unsigned seen = LOAD(word, RLX);
		if ((seen & 0xff) && CAS(word, &seen, (seen & BUG(0xff, ~0u)) - 1, ACQ))
			return;
		if (!(seen & 0xff) && (seen == 0x100 || CAS(word, &seen, 0x100, RLX)))
			SLEEP(word, 0x100);
	}
}

ACTOR(sem_stale_waiters, taker)
{
	take_below_bit(&s->word);
}

ACTOR(sem_stale_waiters, releaser)
{
	for (int i = 0; i < 2; i++)
		if (ADD(&s->word, 1, REL) & 0x100)
			WAKE(&s->word, 1);
}

TEST(sem_stale_waiters, taker, taker, releaser)
{
	FL_ACCEPTABLE(1, "both got one");
}

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

TEST(lost_wakeup_dekker, consumer, producer)
{
	FL_ACCEPTABLE(1, "got it");
}

/* close_misses_waiter (cpython #117531): a close wakes one waiter. The fix is to wake all. */
#define close_misses_waiter NAME(close_misses_waiter, lost_wakeup)
struct close_misses_waiter {
	atomic_uint closed;
};

static void await_close(atomic_uint *closed)
{
	while (!LOAD(closed, ACQ))
		SLEEP(closed, 0);
}

ACTOR(close_misses_waiter, waiter)
{
	await_close(&s->closed);
}

ACTOR(close_misses_waiter, closer)
{
	STORE(&s->closed, 1, REL);
	WAKE(&s->closed, BUG(1, INT32_MAX));
}

TEST(close_misses_waiter, waiter, waiter, closer)
{
	FL_ACCEPTABLE(1, "both saw it closed");
}
