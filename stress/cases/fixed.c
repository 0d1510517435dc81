/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wrong algorithms of stress/planted, fixed: wakeups. They pass, so the laboratory reports no
 * false failures for them.
 */
#include "../planted/planted.h"

/* A waiter for something else is woken, too. */
struct fixed_cv_signal_stealing {
	atomic_uint seq, flag[2];
};

static void await_flag(struct fixed_cv_signal_stealing *s, int i)
{
	unsigned seq = LOAD(&s->seq, ACQ);
	while (!LOAD(&s->flag[i], ACQ)) {
		SLEEP(&s->seq, seq);
		seq = LOAD(&s->seq, ACQ);
	}
}

static void set_flag(struct fixed_cv_signal_stealing *s, int i)
{
	STORE(&s->flag[i], 1, REL);
	ADD(&s->seq, 1, REL);
	WAKE(&s->seq, INT32_MAX);
}

FL_STRESS_ACTOR(fixed_cv_signal_stealing, first)
{
	await_flag(s, 0);
}

FL_STRESS_ACTOR(fixed_cv_signal_stealing, second)
{
	await_flag(s, 1);
	set_flag(s, 0);
}

FL_STRESS_ACTOR(fixed_cv_signal_stealing, setter)
{
	set_flag(s, 1);
}

FL_STRESS(fixed_cv_signal_stealing, first, second, setter)
{
	FL_ACCEPTABLE(1, "all through");
}

/* A wake for each permit. */
struct fixed_sem_two_posts {
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

FL_STRESS_ACTOR(fixed_sem_two_posts, one)
{
	take_permit(&s->permits);
}

FL_STRESS_ACTOR(fixed_sem_two_posts, two)
{
	take_permit(&s->permits);
}

FL_STRESS_ACTOR(fixed_sem_two_posts, releaser)
{
	for (int i = 0; i < 2; i++) {
		ADD(&s->permits, 1, REL);
		WAKE(&s->permits, 1);
	}
}

FL_STRESS(fixed_sem_two_posts, one, two, releaser)
{
	FL_ACCEPTABLE(1, "both got one");
}

/* The waiters bit stays when a permit is acquired. */
struct fixed_sem_stale_waiters {
	atomic_uint word;
};

static void take_below_bit(atomic_uint *word)
{
	for (;;) {
		unsigned seen = LOAD(word, RLX);
		if ((seen & 0xff) && CAS(word, &seen, seen - 1, ACQ))
			return;
		if (!(seen & 0xff) && (seen == 0x100 || CAS(word, &seen, 0x100, RLX)))
			SLEEP(word, 0x100);
	}
}

FL_STRESS_ACTOR(fixed_sem_stale_waiters, one)
{
	take_below_bit(&s->word);
}

FL_STRESS_ACTOR(fixed_sem_stale_waiters, two)
{
	take_below_bit(&s->word);
}

FL_STRESS_ACTOR(fixed_sem_stale_waiters, releaser)
{
	for (int i = 0; i < 2; i++)
		if (ADD(&s->word, 1, REL) & 0x100)
			WAKE(&s->word, 1);
}

FL_STRESS(fixed_sem_stale_waiters, one, two, releaser)
{
	FL_ACCEPTABLE(1, "both got one");
}

/* The change first, then the check for sleepers, both sequentially consistent. */
struct fixed_lost_wakeup_dekker {
	atomic_uint seq, item, sleepers;
};

FL_STRESS_ACTOR(fixed_lost_wakeup_dekker, consumer)
{
	unsigned seq = LOAD(&s->seq, ACQ);
	STORE(&s->sleepers, 1, SEQ);
	while (!LOAD(&s->item, SEQ)) {
		SLEEP(&s->seq, seq);
		seq = LOAD(&s->seq, ACQ);
	}
}

FL_STRESS_ACTOR(fixed_lost_wakeup_dekker, producer)
{
	STORE(&s->item, 1, SEQ);
	ADD(&s->seq, 1, SEQ);
	if (LOAD(&s->sleepers, SEQ))
		WAKE(&s->seq, 1);
}

FL_STRESS(fixed_lost_wakeup_dekker, consumer, producer)
{
	FL_ACCEPTABLE(1, "got it");
}

/*
 * A sleeper counts itself, then clears the flag. A wake changes the word that the sleeper compares,
 * which the sleeper read before.
 */
struct fixed_wake_in_flight {
	atomic_uint items, seq, sleepers, in_flight;
};

static void get_item(struct fixed_wake_in_flight *s)
{
	for (;;) {
		unsigned seq = LOAD(&s->seq, SEQ), seen = LOAD(&s->items, SEQ);
		if (seen && CAS(&s->items, &seen, seen - 1, SEQ))
			return;
		ADD(&s->sleepers, 1, SEQ);
		STORE(&s->in_flight, 0, SEQ);
		if (LOAD(&s->items, SEQ) == 0)
			SLEEP(&s->seq, seq);
		ADD(&s->sleepers, -1, SEQ);
	}
}

FL_STRESS_ACTOR(fixed_wake_in_flight, consumer)
{
	get_item(s);
	get_item(s);
}

FL_STRESS_ACTOR(fixed_wake_in_flight, producer)
{
	for (int i = 0; i < 2; i++) {
		ADD(&s->items, 1, SEQ);
		if (LOAD(&s->sleepers, SEQ) && !SWAP(&s->in_flight, 1, SEQ)) {
			ADD(&s->seq, 1, SEQ);
			WAKE(&s->seq, 1);
		}
	}
}

FL_STRESS(fixed_wake_in_flight, consumer, producer)
{
	FL_ACCEPTABLE(1, "both got");
}

/* A context that clears the writer's bit wakes the sleepers that it held up. */
struct fixed_rw_readers_only {
	atomic_uint word; /* 1: a reader, 0x100: a writer waits */
};

FL_STRESS_SETUP(fixed_rw_readers_only)
{
	STORE(&s->word, 1, RLX);
}

FL_STRESS_ACTOR(fixed_rw_readers_only, writer)
{
	(void)atomic_fetch_or(&s->word, 0x100);
	(void)atomic_fetch_and(&s->word, 0xff);
	WAKE(&s->word, INT32_MAX);
}

FL_STRESS_ACTOR(fixed_rw_readers_only, reader)
{
	for (;;) {
		unsigned seen = LOAD(&s->word, RLX);
		if (seen & 0x100)
			SLEEP(&s->word, seen);
		else if (CAS(&s->word, &seen, seen + 1, ACQ))
			return;
	}
}

FL_STRESS(fixed_rw_readers_only, writer, reader)
{
	FL_ACCEPTABLE(LOAD(&s->word, RLX) == 2, "two readers");
}

/* Every result of the futex is a reason to check again. */
struct fixed_eagain {
	atomic_uint set;
	int turns;
};

FL_STRESS_ACTOR(fixed_eagain, waiter)
{
	while (!LOAD(&s->set, ACQ)) {
		SLEEP(&s->set, 0);
		s->turns++;
	}
}

FL_STRESS_ACTOR(fixed_eagain, setter)
{
	STORE(&s->set, 1, REL);
	WAKE(&s->set, 1);
}

FL_STRESS(fixed_eagain, waiter, setter)
{
	FL_ACCEPTABLE(s->turns > 0, "slept");
	FL_ACCEPTABLE(1, "set before");
}

/* Locks in one order. */
struct fixed_lock_inversion {
	atomic_uint a, b;
	int count;
};

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

static void count_under_both(struct fixed_lock_inversion *s)
{
	lock(&s->a);
	lock(&s->b);
	s->count++;
	unlock(&s->b);
	unlock(&s->a);
}

FL_STRESS_ACTOR(fixed_lock_inversion, one)
{
	count_under_both(s);
}

FL_STRESS_ACTOR(fixed_lock_inversion, two)
{
	count_under_both(s);
}

FL_STRESS(fixed_lock_inversion, one, two)
{
	FL_ACCEPTABLE(s->count == 2, "both through");
	FL_FORBIDDEN(1, "a count was lost");
}
