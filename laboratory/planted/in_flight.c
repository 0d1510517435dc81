/* SPDX-License-Identifier: BSD-2-Clause */
/* Wakes that reach a thread which has no use for them, and wakes that are saved once too often. */
#include "planted.h"
#include <errno.h>

/*
 * wakeup_stranded (tylertreat/chan #11): a consumer is woken for an item. It leaves without the
 * item, since it was asked to stop, and does not pass the wake on. The fix is that each consumer
 * wakes the next when it leaves.
 */
#define wakeup_stranded NAME(wakeup_stranded, lost_wakeup)
struct wakeup_stranded {
	atomic_uint items, stop;
};

ACTOR(wakeup_stranded, stoppable)
{
	while (!LOAD(&s->items, ACQ) && !LOAD(&s->stop, RLX))
		SLEEP(&s->items, 0);
	BUG(, WAKE(&s->items, 1));
}

ACTOR(wakeup_stranded, consumer)
{
	while (!LOAD(&s->items, ACQ))
		SLEEP(&s->items, 0);
	BUG(, WAKE(&s->items, 1));
}

ACTOR(wakeup_stranded, producer)
{
	STORE(&s->stop, 1, RLX);
	STORE(&s->items, 1, REL);
	WAKE(&s->items, 1);
}

TEST_OF_NO_OUTCOME(wakeup_stranded, stoppable, consumer, producer)

/*
 * wake_in_flight_stuck: a flag says that a wake is under way, and saves further wakes. But the flag
 * may be set after the last sleeper has left, and then it is never cleared. The fix is to have no
 * flag: each put that sees a sleeper wakes.
 */
#define wake_in_flight_stuck NAME(wake_in_flight_stuck, lost_wakeup)
struct wake_in_flight_stuck {
	atomic_uint items, sleepers, in_flight;
};

static void get_item(struct wake_in_flight_stuck *s)
{
	for (;;) {
		unsigned seen = LOAD(&s->items, SEQ);
		if (seen && CAS(&s->items, &seen, seen - 1, SEQ))
			return;
		ADD(&s->sleepers, 1, SEQ);
		if (LOAD(&s->items, SEQ) == 0) {
			SLEEP(&s->items, 0);
			BUG(STORE(&s->in_flight, 0, SEQ), );
		}
		ADD(&s->sleepers, -1, SEQ);
	}
}

ACTOR(wake_in_flight_stuck, consumer)
{
	get_item(s);
	get_item(s);
}

ACTOR(wake_in_flight_stuck, producer)
{
	for (int i = 0; i < 2; i++) {
		ADD(&s->items, 1, SEQ);
		if (LOAD(&s->sleepers, SEQ) BUG(&&!SWAP(&s->in_flight, 1, SEQ), ))
			WAKE(&s->items, 1);
	}
}

TEST_OF_NO_OUTCOME(wake_in_flight_stuck, consumer, producer)

/*
 * rw_readers_only_deadlock (rust #121949): a writer announces itself, gives up, and clears its bit
 * without a wake. The reader that sleeps because of the bit sleeps on, with readers only. The fix
 * is to wake all when the bit is cleared.
 */
#define rw_readers_only_deadlock NAME(rw_readers_only_deadlock, lost_wakeup)
struct rw_readers_only_deadlock {
	atomic_uint word; /* 1: a reader; 0x100: a writer waits */
};

SETUP(rw_readers_only_deadlock)
{
	STORE(&s->word, 1, RLX);
}

ACTOR(rw_readers_only_deadlock, writer)
{
	(void)atomic_fetch_or(&s->word, 0x100);
	(void)atomic_fetch_and(&s->word, 0xff);
	BUG(, WAKE(&s->word, INT32_MAX));
}

ACTOR(rw_readers_only_deadlock, reader)
{
	for (;;) {
		unsigned seen = LOAD(&s->word, RLX);
		if (seen & 0x100)
			SLEEP(&s->word, seen);
		else if (CAS(&s->word, &seen, seen + 1, ACQ))
			return;
	}
}

TEST(rw_readers_only_deadlock, writer, reader)
{
	FL_ACCEPTABLE(LOAD(&s->word, RLX) == 2, "two readers");
}

/*
 * eagain_is_not_timeout (llvm #203574): every error is taken for a timeout. The fix is to check
 * again.
 */
#define eagain_is_not_timeout NAME(eagain_is_not_timeout, forbidden)
struct eagain_is_not_timeout {
	atomic_uint set;
	bool timed_out;
};

ACTOR(eagain_is_not_timeout, waiter)
{
	while (!s->timed_out && !LOAD(&s->set, ACQ))
		s->timed_out = fl_stress_futex_wait(&s->set, 0, INT64_MAX) BUG(!= 0, == -ETIMEDOUT);
}

ACTOR(eagain_is_not_timeout, setter)
{
	STORE(&s->set, 1, REL);
	WAKE(&s->set, 1);
}

TEST(eagain_is_not_timeout, waiter, setter)
{
	FL_FORBIDDEN(s->timed_out, "timed out before the end of time");
	FL_ACCEPTABLE(1, "woken");
}
