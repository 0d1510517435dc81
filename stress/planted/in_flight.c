/* SPDX-License-Identifier: BSD-2-Clause */
/* Wakes that reach a thread without use for them, and wakes that are saved once too often. */
#include "planted.h"

/*
 * wakeup_stranded (tylertreat/chan #11): a consumer that is woken for an item leaves without it,
 * since it was asked to stop, and does not pass the wake on. Fix: it wakes the next when it leaves.
 */
struct wakeup_stranded__lost_wakeup {
	atomic_uint items, stop;
};

FL_STRESS_ACTOR(wakeup_stranded__lost_wakeup, stoppable)
{
	while (!LOAD(&s->items, ACQ) && !LOAD(&s->stop, RLX))
		SLEEP(&s->items, 0);
}

FL_STRESS_ACTOR(wakeup_stranded__lost_wakeup, consumer)
{
	while (!LOAD(&s->items, ACQ))
		SLEEP(&s->items, 0);
}

FL_STRESS_ACTOR(wakeup_stranded__lost_wakeup, producer)
{
	STORE(&s->stop, 1, RLX);
	STORE(&s->items, 1, REL);
	WAKE(&s->items, 1);
}

FL_STRESS(wakeup_stranded__lost_wakeup, stoppable, consumer, producer)
{
	FL_ACCEPTABLE(1, "all through");
}

/*
 * wake_in_flight_stuck: a flag says that a wake is under way, and saves further wakes; but it may
 * be set after the last sleeper has left, and then it is never cleared. Fix: a sleeper clears it
 * after it has counted itself, before its last check. (fixed)
 */
struct wake_in_flight_stuck__lost_wakeup {
	atomic_uint items, sleepers, in_flight;
};

static void get_item(struct wake_in_flight_stuck__lost_wakeup *s)
{
	for (;;) {
		unsigned seen = LOAD(&s->items, SEQ);
		if (seen && CAS(&s->items, &seen, seen - 1, SEQ))
			return;
		ADD(&s->sleepers, 1, SEQ);
		if (LOAD(&s->items, SEQ) == 0) {
			SLEEP(&s->items, 0);
			STORE(&s->in_flight, 0, SEQ);
		}
		ADD(&s->sleepers, -1, SEQ);
	}
}

FL_STRESS_ACTOR(wake_in_flight_stuck__lost_wakeup, consumer)
{
	get_item(s);
	get_item(s);
}

FL_STRESS_ACTOR(wake_in_flight_stuck__lost_wakeup, producer)
{
	for (int i = 0; i < 2; i++) {
		ADD(&s->items, 1, SEQ);
		if (LOAD(&s->sleepers, SEQ) && !SWAP(&s->in_flight, 1, SEQ))
			WAKE(&s->items, 1);
	}
}

FL_STRESS(wake_in_flight_stuck__lost_wakeup, consumer, producer)
{
	FL_ACCEPTABLE(1, "both got");
}

/*
 * rw_readers_only_deadlock (rust #121949): a writer announces itself, gives up, and clears its bit
 * without a wake: the reader that slept because of it sleeps on, with readers only. Fix: wake all
 * when the bit is cleared. (fixed)
 */
struct rw_readers_only_deadlock__lost_wakeup {
	atomic_uint word; /* 1: a reader, 0x100: a writer waits */
};

FL_STRESS_SETUP(rw_readers_only_deadlock__lost_wakeup)
{
	STORE(&s->word, 1, RLX);
}

FL_STRESS_ACTOR(rw_readers_only_deadlock__lost_wakeup, writer)
{
	(void)atomic_fetch_or(&s->word, 0x100);
	(void)atomic_fetch_and(&s->word, 0xff);
}

FL_STRESS_ACTOR(rw_readers_only_deadlock__lost_wakeup, reader)
{
	for (;;) {
		unsigned seen = LOAD(&s->word, RLX);
		if (seen & 0x100)
			SLEEP(&s->word, seen);
		else if (CAS(&s->word, &seen, seen + 1, ACQ))
			return;
	}
}

FL_STRESS(rw_readers_only_deadlock__lost_wakeup, writer, reader)
{
	FL_ACCEPTABLE(LOAD(&s->word, RLX) == 2, "two readers");
}

/*
 * eagain_is_not_timeout (llvm #203574): every error is taken for a timeout. Fix: check again.
 * (fixed)
 */
struct eagain_is_not_timeout__forbidden {
	atomic_uint set;
	bool timed_out;
};

FL_STRESS_ACTOR(eagain_is_not_timeout__forbidden, waiter)
{
	while (!s->timed_out && !LOAD(&s->set, ACQ))
		s->timed_out = fl_stress_futex_wait(&s->set, 0, INT64_MAX) != 0;
}

FL_STRESS_ACTOR(eagain_is_not_timeout__forbidden, setter)
{
	STORE(&s->set, 1, REL);
	WAKE(&s->set, 1);
}

FL_STRESS(eagain_is_not_timeout__forbidden, waiter, setter)
{
	FL_FORBIDDEN(s->timed_out, "timed out before the end of time");
	FL_ACCEPTABLE(1, "woken");
}
