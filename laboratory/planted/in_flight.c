/* SPDX-License-Identifier: BSD-2-Clause */
/* A wake that is left out once too often, and a wait whose end is taken for a timeout. */
#include "planted.h"
#include <errno.h>

/*
 * wake_in_flight_stuck: a flag says that a wake is under way, so that further wakes can be left
 * out. However, the flag may be set after the last sleeper has left, and then it is never cleared.
 * The fix is to have no flag, so that each put that sees a sleeper wakes it.
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
