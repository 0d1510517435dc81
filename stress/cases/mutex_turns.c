/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mutex that is handed over: a holder that locks again and again, and a first waiter that has
 * waited for a millisecond. At the end the word is 0: no mark stays behind.
 */
#include "../../lib/fiber/fiber.h"
#include "../../lib/sync/mutex.h"
#include "cases.h"

static const int64_t TURN = FL_MS(1);

/* The length of a turn, independent of wakes. */
static void let_a_turn_pass(void)
{
	const uint32_t never = 0;
	const int64_t end = fl_stress_now() + TURN;
	while (fl_stress_now() < end)
		(void)fl_stress_futex_wait(&never, 0, end);
}

/* Enqueues the waiter at its mutex, as a condition does. */
static void put_in_line(const char *elsewhere, struct fl__mutex_node *place)
{
	struct fl__lot from, to;
	fl__lot_open(&from, elsewhere);
	fl__lot_add(&from, &place->node);
	(void)fl__lot_open_also(&from, &to, place->mutex);
	FL_STRESS_CHECK(fl__mutex_requeue(place->mutex, &from, &to, 1) == 1);
	fl__lot_unlock_also(&from, &to);
	fl__lot_close(&from);
}

struct turns {
	fl_mutex m;
	int count;
};

static void hold(struct turns *t, bool long_enough)
{
	FL_LOCKED(&t->m);
	t->count++;
	if (long_enough)
		let_a_turn_pass();
}

/*
 * Meets the first waiter at the end of its first turn, hands over at the end of the second, and
 * enqueues behind it with the third.
 */
static void hold_again_and_again(struct turns *t)
{
	hold(t, true);
	hold(t, true);
	hold(t, false);
}

/* One waiter: it gets the mutex, by hand-over or because it was free. */
struct mutex_hand_over {
	struct turns t;
};

FL_STRESS_ACTOR(mutex_hand_over, holder)
{
	hold_again_and_again(&s->t);
}

FL_STRESS_ACTOR(mutex_hand_over, waiter)
{
	hold(&s->t, false);
}

FL_STRESS(mutex_hand_over, holder, waiter)
{
	FL_FORBIDDEN(s->t.m.word_ != 0 || fl_mutex_destroy(&s->t.m) != 0, "a mark is left");
	FL_ACCEPTABLE(s->t.count == 4, "all had it");
	FL_FORBIDDEN(1, "a count was lost");
}

/* A third context behind the receiver of the hand-over is not forgotten. */
struct mutex_hand_over_three {
	struct turns t;
};

FL_STRESS_ACTOR(mutex_hand_over_three, holder)
{
	hold_again_and_again(&s->t);
}

FL_STRESS_ACTOR(mutex_hand_over_three, waiter)
{
	hold(&s->t, false);
}

FL_STRESS_ACTOR(mutex_hand_over_three, another)
{
	hold(&s->t, false);
}

FL_STRESS(mutex_hand_over_three, holder, waiter, another)
{
	FL_FORBIDDEN(s->t.m.word_ != 0 || fl_mutex_destroy(&s->t.m) != 0, "a mark is left");
	FL_ACCEPTABLE(s->t.count == 5, "all had it");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * The first waiter gives up at the time of the hand-over: it has the mutex or not, and the waiter
 * behind it gets on.
 */
struct mutex_hand_over_timed {
	struct turns t;
	int rc;
};

FL_STRESS_ACTOR(mutex_hand_over_timed, holder)
{
	hold_again_and_again(&s->t);
}

FL_STRESS_ACTOR(mutex_hand_over_timed, timed)
{
	s->rc = fl_mutex_lock_until(&s->t.m, fl_after(TURN), NULL);
	if (s->rc != 0)
		return;
	s->t.count++;
	fl_mutex_unlock(&s->t.m);
}

FL_STRESS_ACTOR(mutex_hand_over_timed, patient)
{
	hold(&s->t, false);
}

FL_STRESS(mutex_hand_over_timed, holder, timed, patient)
{
	FL_FORBIDDEN(s->t.m.word_ != 0 || fl_mutex_destroy(&s->t.m) != 0, "a mark is left");
	FL_ACCEPTABLE(s->rc == 0 && s->t.count == 5, "had it");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->t.count == 4, "gave up");
	FL_FORBIDDEN(1, "a count was lost");
}

/* The same with a cancel request, by a waiter behind it or a later one. */
struct mutex_hand_over_cancel {
	struct turns t;
	fl_cancel_token stop;
	int rc;
};

FL_STRESS_ACTOR(mutex_hand_over_cancel, holder)
{
	hold_again_and_again(&s->t);
}

FL_STRESS_ACTOR(mutex_hand_over_cancel, waiter)
{
	s->rc = fl_mutex_lock_until(&s->t.m, FL_FOREVER, &s->stop);
	if (s->rc != 0)
		return;
	s->t.count++;
	fl_mutex_unlock(&s->t.m);
}

FL_STRESS_ACTOR(mutex_hand_over_cancel, canceller)
{
	fl_cancel_token_request(&s->stop);
	hold(&s->t, false);
}

FL_STRESS(mutex_hand_over_cancel, holder, waiter, canceller)
{
	FL_FORBIDDEN(s->t.m.word_ != 0 || fl_mutex_destroy(&s->t.m) != 0, "a mark is left");
	FL_ACCEPTABLE(s->rc == 0 && s->t.count == 5, "had it");
	FL_ACCEPTABLE(s->rc == -ECANCELED && s->t.count == 4, "cancelled");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * A late check of an unlock hands the mutex to a waiter that has been awake for long enough. A
 * third context has held it in the meantime, and its writes are visible, whether the first waiter
 * finds itself the owner when it tries, the mutex free, or the mutex handed over when it goes to
 * sleep again.
 */
struct mutex_hand_over_late {
	fl_mutex m;
	char elsewhere;
	struct fl__ctx ctx;
	struct fl__wait wait;
	struct fl__mutex_node place;
	int count, rc;
};

static void is_awake(struct fl__wait *wait)
{
	(void)wait;
}

static void do_not_yield(void)
{
}

static const struct fl__ctx_ops tries_once = {.unpark = is_awake, .yield = do_not_yield};

FL_STRESS_SETUP(mutex_hand_over_late)
{
	struct fl__lot lot;
	s->ctx.ops = &tries_once;
	s->wait.ctx = &s->ctx;
	s->place = FL__MUTEX_NODE(&s->m, &s->wait);
	s->place.since = 1;
	fl_mutex_lock(&s->m);
	put_in_line(&s->elsewhere, &s->place);
	fl__lot_open(&lot, &s->m);
	(void)fl__lot_wake_first(&lot);
	fl__lot_close(&lot);
}

FL_STRESS_ACTOR(mutex_hand_over_late, holder)
{
	s->count++;
	fl_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(mutex_hand_over_late, waiter)
{
	struct fl__debug_op op;
	fl__debug_locking(&op, &s->m, FL__DEBUG_MUTEX, 0);
	fl__mutex_relock_requeued(&s->place, &op);
	s->count++;
	fl_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(mutex_hand_over_late, third)
{
	s->rc = fl_mutex_try_lock(&s->m);
	if (s->rc != 0)
		return;
	s->count++;
	fl_mutex_unlock(&s->m);
}

FL_STRESS(mutex_hand_over_late, waiter, holder, third)
{
	FL_FORBIDDEN(s->m.word_ != 0 || fl_mutex_destroy(&s->m) != 0, "a mark is left");
	FL_ACCEPTABLE(s->rc == 0 && s->count == 3, "all had it");
	FL_ACCEPTABLE(s->rc == -EBUSY && s->count == 2, "the third did not get it");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * A waiter that does not run, because it waits for its waker's CPU: it is not handed the mutex
 * before its time, and then it is, though no unlock finds a mark: the waker remembers the waiter.
 */
struct mutex_waiter_in_flight {
	fl_mutex m;
	char elsewhere;
};

static void never_unpark(struct fl__wait *wait)
{
	wait->park_word = 1;
}

/* The number of locks and unlocks before the hand-over; up to `most`. */
static unsigned lock_and_unlock(fl_mutex *m, unsigned most)
{
	unsigned n = 0;
	for (; n < most && fl_mutex_try_lock(m) == 0; n++)
		fl_mutex_unlock(m);
	return n;
}

FL_STRESS_ACTOR(mutex_waiter_in_flight, holder)
{
	enum { SOME = 100 };
	const struct fl__ctx_ops ops = {.unpark = never_unpark};
	struct fl__ctx ctx = {.ops = &ops};
	struct fl__wait wait = {.ctx = &ctx};
	struct fl__mutex_node place = FL__MUTEX_NODE(&s->m, &wait);
	struct fl__debug_op op;
	fl_mutex_lock(&s->m);
	put_in_line(&s->elsewhere, &place);
	const int64_t begin = fl_stress_now();
	fl_mutex_unlock(&s->m);
	FL_STRESS_CHECK(wait.park_word == 1);
	FL_STRESS_CHECK(fl_mutex_destroy(&s->m) == -EBUSY); /* it is free, and awaited */
	if (lock_and_unlock(&s->m, SOME) < SOME)
		FL_STRESS_CHECK(fl_stress_now() - begin >= TURN);
	let_a_turn_pass();
	FL_STRESS_CHECK(lock_and_unlock(&s->m, SOME) < SOME);
	FL_STRESS_CHECK(fl_mutex_is_locked(&s->m));
	fl__debug_locking(&op, &s->m, FL__DEBUG_MUTEX, 0);
	fl__mutex_relock_requeued(&place, &op);
	fl_mutex_unlock(&s->m);
}

FL_STRESS(mutex_waiter_in_flight, holder)
{
	FL_FORBIDDEN(s->m.word_ != 0 || fl_mutex_destroy(&s->m) != 0, "a mark is left");
	FL_ACCEPTABLE(1, "handed over");
}

/*
 * Two fibers: a fiber that unlocks and locks again does not overtake the one that it has woken,
 * which shares its thread.
 */
struct mutex_gives_way {
	fl_mutex m;
	bool locked, served;
};

static int lock_twice(void *arg)
{
	struct mutex_gives_way *s = arg;
	fl_mutex_lock(&s->m);
	s->locked = true;
	fl__fiber_yield();
	fl_mutex_unlock(&s->m);
	fl_mutex_lock(&s->m);
	FL_STRESS_CHECK(s->served);
	fl_mutex_unlock(&s->m);
	return 0;
}

static int lock_once(void *arg)
{
	struct mutex_gives_way *s = arg;
	FL_STRESS_CHECK(s->locked);
	fl_mutex_lock(&s->m);
	s->served = true;
	fl_mutex_unlock(&s->m);
	return 0;
}

FL_STRESS_ACTOR(mutex_gives_way, loop)
{
	struct fl__sched *sched;
	struct fl__fiber *f[2];
	OK(fl__sched_create(&sched, NULL));
	OK(fl__fiber_create(sched, &f[0], lock_twice, s, "twice"));
	OK(fl__fiber_create(sched, &f[1], lock_once, s, "once"));
	OK(fl__sched_run(sched));
	for (int i = 0; i < 2; i++) {
		int result;
		OK(fl__fiber_join(f[i], &result, 0, FL_SHIELDED));
	}
	fl__sched_destroy(sched);
}

FL_STRESS(mutex_gives_way, loop)
{
	FL_ACCEPTABLE(s->served && s->m.word_ == 0, "both had it");
	FL_FORBIDDEN(1, "a mark is left");
}
