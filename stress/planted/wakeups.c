/* SPDX-License-Identifier: BSD-2-Clause */
/* Wakeups that are lost on any machine. */
#include "planted.h"

/*
 * cv_signal_stealing: two who wait for different things sleep on one word, and the wake of one reaches the other, who looks,
 * finds nothing and sleeps again. Mended by waking all. (fixed)
 */
struct cv_signal_stealing__lost_wakeup {
	atomic_uint seq, flag[2];
};

static void await_flag(struct cv_signal_stealing__lost_wakeup *s, int i)
{
	unsigned seq = LOAD(&s->seq, ACQ);
	while (!LOAD(&s->flag[i], ACQ)) {
		SLEEP(&s->seq, seq);
		seq = LOAD(&s->seq, ACQ);
	}
}

static void set_flag(struct cv_signal_stealing__lost_wakeup *s, int i)
{
	STORE(&s->flag[i], 1, REL);
	ADD(&s->seq, 1, REL);
	WAKE(&s->seq, 1);
}

FL_STRESS_ACTOR(cv_signal_stealing__lost_wakeup, first)
{
	await_flag(s, 0);
}

FL_STRESS_ACTOR(cv_signal_stealing__lost_wakeup, second)
{
	await_flag(s, 1);
	set_flag(s, 0);
}

FL_STRESS_ACTOR(cv_signal_stealing__lost_wakeup, setter)
{
	set_flag(s, 1);
}

FL_STRESS(cv_signal_stealing__lost_wakeup, first, second, setter)
{
	FL_ACCEPTABLE(1, "all through");
}

/*
 * sem_two_posts_one_wake (libc++ 47013): a release wakes only when there was no permit; of two with two sleepers, the second
 * finds the permit that the first one's sleeper has not taken yet. Mended by waking for each permit. (fixed)
 */
struct sem_two_posts_one_wake__lost_wakeup {
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

FL_STRESS_ACTOR(sem_two_posts_one_wake__lost_wakeup, one)
{
	take_permit(&s->permits);
}

FL_STRESS_ACTOR(sem_two_posts_one_wake__lost_wakeup, two)
{
	take_permit(&s->permits);
}

FL_STRESS_ACTOR(sem_two_posts_one_wake__lost_wakeup, releaser)
{
	for (int i = 0; i < 2; i++)
		if (ADD(&s->permits, 1, REL) == 0)
			WAKE(&s->permits, 1);
}

FL_STRESS(sem_two_posts_one_wake__lost_wakeup, one, two, releaser)
{
	FL_ACCEPTABLE(1, "both got one");
}

/*
 * sem_stale_waiters (musl 159d1f6c): the waiters bit goes with whoever takes a permit, while another still sleeps; the next
 * release wakes nobody. Mended by leaving the bit, as long as anybody may sleep. (fixed)
 */
struct sem_stale_waiters__lost_wakeup {
	atomic_uint word;
};

static void take_below_bit(atomic_uint *word)
{
	for (;;) {
		unsigned seen = LOAD(word, RLX);
		if ((seen & 0xff) && CAS(word, &seen, (seen & 0xff) - 1, ACQ))
			return;
		if (!(seen & 0xff) && (seen == 0x100 || CAS(word, &seen, 0x100, RLX)))
			SLEEP(word, 0x100);
	}
}

FL_STRESS_ACTOR(sem_stale_waiters__lost_wakeup, one)
{
	take_below_bit(&s->word);
}

FL_STRESS_ACTOR(sem_stale_waiters__lost_wakeup, two)
{
	take_below_bit(&s->word);
}

FL_STRESS_ACTOR(sem_stale_waiters__lost_wakeup, releaser)
{
	for (int i = 0; i < 2; i++)
		if (ADD(&s->word, 1, REL) & 0x100)
			WAKE(&s->word, 1);
}

FL_STRESS(sem_stale_waiters__lost_wakeup, one, two, releaser)
{
	FL_ACCEPTABLE(1, "both got one");
}

/*
 * lost_wakeup_dekker: the producer looks for sleepers before it changes the word that they compare; who lies down between
 * the two is not seen. Mended by looking afterwards (and a full fence between, on both sides). (fixed)
 */
struct lost_wakeup_dekker__lost_wakeup {
	atomic_uint seq, item, sleepers;
};

FL_STRESS_ACTOR(lost_wakeup_dekker__lost_wakeup, consumer)
{
	unsigned seq = LOAD(&s->seq, ACQ);
	STORE(&s->sleepers, 1, SEQ);
	while (!LOAD(&s->item, SEQ)) {
		SLEEP(&s->seq, seq);
		seq = LOAD(&s->seq, ACQ);
	}
}

FL_STRESS_ACTOR(lost_wakeup_dekker__lost_wakeup, producer)
{
	unsigned sleepers = LOAD(&s->sleepers, SEQ);
	STORE(&s->item, 1, SEQ);
	ADD(&s->seq, 1, SEQ);
	if (sleepers)
		WAKE(&s->seq, 1);
}

FL_STRESS(lost_wakeup_dekker__lost_wakeup, consumer, producer)
{
	FL_ACCEPTABLE(1, "got it");
}

/* close_misses_waiter (cpython #117531): a close wakes one. Mended by waking all. (fixed) */
struct close_misses_waiter__lost_wakeup {
	atomic_uint closed;
};

static void await_close(atomic_uint *closed)
{
	while (!LOAD(closed, ACQ))
		SLEEP(closed, 0);
}

FL_STRESS_ACTOR(close_misses_waiter__lost_wakeup, one)
{
	await_close(&s->closed);
}

FL_STRESS_ACTOR(close_misses_waiter__lost_wakeup, two)
{
	await_close(&s->closed);
}

FL_STRESS_ACTOR(close_misses_waiter__lost_wakeup, closer)
{
	STORE(&s->closed, 1, REL);
	WAKE(&s->closed, 1);
}

FL_STRESS(close_misses_waiter__lost_wakeup, one, two, closer)
{
	FL_ACCEPTABLE(1, "both saw it closed");
}
