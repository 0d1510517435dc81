/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A contended semaphore: the first waiter is awake, and others overtake it until it has waited for
 * a millisecond. At the end the word has only the permits: no mark stays behind.
 */
#include "cases.h"
#include <fairlead/sem.h>

static const int64_t TURN = FL_MS(1);

/* The length of a turn, independent of wakes. */
static void let_a_turn_pass(void)
{
	const uint32_t never = 0;
	const int64_t end = fl_stress_now() + TURN;
	while (fl_stress_now() < end)
		(void)fl_stress_futex_wait(&never, 0, end);
}

struct turns {
	fl_sem permits;
	int count; /* guarded by the permit, where there is one */
};

static void hold(struct turns *t, bool long_enough)
{
	OK(fl_sem_acquire(&t->permits));
	t->count++;
	if (long_enough)
		let_a_turn_pass();
	fl_sem_release(&t->permits);
}

/*
 * Wakes the first waiter at the end of its first turn, hands over at the end of the second, and
 * enqueues behind it with the third.
 */
static void hold_again_and_again(struct turns *t)
{
	hold(t, true);
	hold(t, true);
	hold(t, false);
}

static bool is_idle(fl_sem *s, uint32_t permits)
{
	return s->word_ == permits && fl_sem_destroy(s) == 0;
}

/* One waiter: it gets the permit, by hand-over or because it was free. */
struct sem_turns {
	struct turns t;
};

FL_STRESS_SETUP(sem_turns)
{
	OK(fl_sem_init(&s->t.permits, 1));
}

FL_STRESS_ACTOR(sem_turns, holder)
{
	hold_again_and_again(&s->t);
}

FL_STRESS_ACTOR(sem_turns, waiter)
{
	hold(&s->t, false);
}

FL_STRESS(sem_turns, holder, waiter)
{
	FL_FORBIDDEN(!is_idle(&s->t.permits, 1), "a mark is left");
	FL_ACCEPTABLE(s->t.count == 4, "all had it");
	FL_FORBIDDEN(1, "a count was lost");
}

/* A third context behind the receiver of the hand-over is not forgotten. */
struct sem_turns_three {
	struct turns t;
};

FL_STRESS_SETUP(sem_turns_three)
{
	OK(fl_sem_init(&s->t.permits, 1));
}

FL_STRESS_ACTOR(sem_turns_three, holder)
{
	hold_again_and_again(&s->t);
}

FL_STRESS_ACTOR(sem_turns_three, waiter)
{
	hold(&s->t, false);
}

FL_STRESS_ACTOR(sem_turns_three, another)
{
	hold(&s->t, false);
}

FL_STRESS(sem_turns_three, holder, waiter, another)
{
	FL_FORBIDDEN(!is_idle(&s->t.permits, 1), "a mark is left");
	FL_ACCEPTABLE(s->t.count == 5, "all had it");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * The first waiter gives up at the time of the hand-over: it has the permit or not, and the waiter
 * behind it gets on.
 */
struct sem_turns_timed {
	struct turns t;
	int rc;
};

FL_STRESS_SETUP(sem_turns_timed)
{
	OK(fl_sem_init(&s->t.permits, 1));
}

FL_STRESS_ACTOR(sem_turns_timed, holder)
{
	hold_again_and_again(&s->t);
}

FL_STRESS_ACTOR(sem_turns_timed, timed)
{
	s->rc = fl_sem_acquire_until(&s->t.permits, fl_after(TURN), NULL);
	if (s->rc != 0)
		return;
	s->t.count++;
	fl_sem_release(&s->t.permits);
}

FL_STRESS_ACTOR(sem_turns_timed, another)
{
	hold(&s->t, false);
}

FL_STRESS(sem_turns_timed, holder, timed, another)
{
	FL_FORBIDDEN(!is_idle(&s->t.permits, 1), "a mark is left");
	FL_ACCEPTABLE(s->rc == 0 && s->t.count == 5, "all had it");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->t.count == 4, "one gave up");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * A waiter for both permits among waiters for one: it gets them together, and no context sleeps
 * beside the rest.
 */
struct sem_turns_several {
	struct turns t;
};

FL_STRESS_SETUP(sem_turns_several)
{
	OK(fl_sem_init(&s->t.permits, 2));
}

static void take_one_twice(struct sem_turns_several *s)
{
	for (int i = 0; i < 2; i++) {
		OK(fl_sem_acquire(&s->t.permits));
		fl_sem_release(&s->t.permits);
	}
}

FL_STRESS_ACTOR(sem_turns_several, one)
{
	take_one_twice(s);
}

FL_STRESS_ACTOR(sem_turns_several, another)
{
	take_one_twice(s);
}

FL_STRESS_ACTOR(sem_turns_several, both)
{
	OK(fl_sem_acquire_n(&s->t.permits, 2));
	s->t.count++;
	fl_sem_release_n(&s->t.permits, 2);
}

FL_STRESS(sem_turns_several, one, another, both)
{
	FL_FORBIDDEN(!is_idle(&s->t.permits, 2), "a mark is left, or a permit was made or lost");
	FL_ACCEPTABLE(s->t.count == 1, "all had some");
	FL_FORBIDDEN(1, "a count was lost");
}

/* A signal handler releases while the first waiter is awake, sleeps again, or leaves. */
struct sem_turns_handler {
	struct turns t;
};

FL_STRESS_SETUP(sem_turns_handler)
{
	OK(fl_sem_init(&s->t.permits, 0));
}

FL_STRESS_ACTOR(sem_turns_handler, handler)
{
	fl_sem_release_in_handler(&s->t.permits);
	fl_sem_release_in_handler(&s->t.permits);
}

FL_STRESS_ACTOR(sem_turns_handler, one)
{
	OK(fl_sem_acquire(&s->t.permits));
	fl_sem_release(&s->t.permits);
}

FL_STRESS_ACTOR(sem_turns_handler, another)
{
	OK(fl_sem_acquire(&s->t.permits));
	fl_sem_release(&s->t.permits);
}

FL_STRESS(sem_turns_handler, handler, one, another)
{
	FL_ACCEPTABLE(is_idle(&s->t.permits, 2), "both had one");
	FL_FORBIDDEN(1, "a mark is left, or a permit was made or lost");
}

/*
 * A waiter that was woken and overtaken sees, with its permit, what came before both releases of
 * it.
 */
struct sem_turns_data {
	fl_sem permits;
	int data[2];
};

FL_STRESS_ACTOR(sem_turns_data, releaser)
{
	s->data[0] = 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_turns_data, overtaker)
{
	OK(fl_sem_acquire(&s->permits));
	s->data[1] = s->data[0] + 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_turns_data, waiter)
{
	OK(fl_sem_acquire(&s->permits));
	FL_STRESS_CHECK(s->data[0] == 1);
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_turns_data, releaser, overtaker, waiter)
{
	FL_ACCEPTABLE(is_idle(&s->permits, 1) && s->data[1] == 2, "both had it");
	FL_FORBIDDEN(1, "a mark is left, or a permit was made or lost");
}
