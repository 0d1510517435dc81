/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore: permits are conserved when waits give up, and each carries what was written before
 * its release.
 */
#include "../cases.h"
#include <fairlead/sem.h>

/*
 * An acquire, at once, from the queue, or on the way there, sees what came before the release of
 * its permit.
 */
struct sem_data {
	fl_sem permits;
	int data, seen;
};

FL_STRESS_ACTOR(sem_data, releaser)
{
	s->data = 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_data, acquirer)
{
	OK(fl_sem_acquire(&s->permits));
	s->seen = s->data;
}

FL_STRESS(sem_data, releaser, acquirer)
{
	FL_FORBIDDEN(fl_sem_value(&s->permits) != 0, "a permit was made");
	FL_ACCEPTABLE(s->seen, "data seen");
	FL_FORBIDDEN(1, "data missed");
}

/* The same without a wait. */
struct sem_try_data {
	fl_sem permits;
	int data, rc;
};

FL_STRESS_ACTOR(sem_try_data, releaser)
{
	s->data = 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_try_data, tryer)
{
	s->rc = fl_sem_try_acquire(&s->permits);
	if (s->rc == 0)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(sem_try_data, releaser, tryer)
{
	FL_ACCEPTABLE(s->rc == 0 && fl_sem_value(&s->permits) == 0, "taken");
	FL_ACCEPTABLE(s->rc == -EAGAIN && fl_sem_value(&s->permits) == 1, "too early");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/* sem_two_posts_one_wake (libc++ 47013): two releases wake two. */
struct sem_post_storm {
	fl_sem permits;
	atomic_int got;
};

static void take_one(struct sem_post_storm *s)
{
	OK(fl_sem_acquire(&s->permits));
	COUNT(&s->got);
}

FL_STRESS_ACTOR(sem_post_storm, one)
{
	take_one(s);
}

FL_STRESS_ACTOR(sem_post_storm, two)
{
	take_one(s);
}

FL_STRESS_ACTOR(sem_post_storm, releaser)
{
	fl_sem_release(&s->permits);
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_post_storm, one, two, releaser)
{
	FL_ACCEPTABLE(LOOK(&s->got) == 2 && fl_sem_value(&s->permits) == 0, "both got one");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/* Releases from two sides at once, with one waiter: one permit is handed over, the other stays. */
struct sem_two_releasers {
	fl_sem permits;
	int data[2], rc;
};

FL_STRESS_ACTOR(sem_two_releasers, left)
{
	s->data[0] = 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_two_releasers, right)
{
	s->data[1] = 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_two_releasers, taker)
{
	OK(fl_sem_acquire(&s->permits));
	OK(fl_sem_acquire(&s->permits));
	FL_STRESS_CHECK(s->data[0] + s->data[1] == 2);
}

FL_STRESS(sem_two_releasers, left, right, taker)
{
	FL_ACCEPTABLE(fl_sem_value(&s->permits) == 0, "both taken");
	FL_FORBIDDEN(1, "a permit was made");
}

/*
 * The permits of a release that remain after it has served the queue are there for others, with
 * what came before it.
 */
struct sem_leftover {
	fl_sem permits;
	int data, rc;
};

FL_STRESS_ACTOR(sem_leftover, waiter)
{
	OK(fl_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(sem_leftover, releaser)
{
	s->data = 1;
	fl_sem_release_n(&s->permits, 2);
}

FL_STRESS_ACTOR(sem_leftover, tryer)
{
	s->rc = fl_sem_try_acquire(&s->permits);
	if (s->rc == 0)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(sem_leftover, waiter, releaser, tryer)
{
	FL_ACCEPTABLE(s->rc == 0 && fl_sem_value(&s->permits) == 0, "the rest was taken");
	FL_ACCEPTABLE(s->rc == -EAGAIN && fl_sem_value(&s->permits) == 1, "the rest is left");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/*
 * A wait that times out holds no permit; a permit on its way to it stays, or goes to the next one.
 */
struct sem_timeout_vs_release {
	fl_sem permits;
	int rc;
};

FL_STRESS_ACTOR(sem_timeout_vs_release, waiter)
{
	s->rc = fl_sem_acquire_until(&s->permits, soon(), NULL);
}

FL_STRESS_ACTOR(sem_timeout_vs_release, releaser)
{
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_timeout_vs_release, waiter, releaser)
{
	FL_FORBIDDEN(fl_sem_destroy(&s->permits) != 0, "left in the queue");
	FL_ACCEPTABLE(s->rc == 0 && fl_sem_value(&s->permits) == 0, "acquired");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && fl_sem_value(&s->permits) == 1, "timed out");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/*
 * sem_stale_waiters (musl 159d1f6c): one waiter gives up while another stays; the release reaches
 * that one.
 */
struct sem_stale_waiters {
	fl_sem permits;
	int rc;
};

FL_STRESS_ACTOR(sem_stale_waiters, brief)
{
	s->rc = fl_sem_acquire_until(&s->permits, soon(), NULL);
	if (s->rc == 0)
		fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_stale_waiters, patient)
{
	OK(fl_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(sem_stale_waiters, releaser)
{
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_stale_waiters, brief, patient, releaser)
{
	FL_FORBIDDEN(fl_sem_value(&s->permits) != 0, "a permit was made");
	FL_ACCEPTABLE(s->rc == 0, "the brief one had it");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "the brief one gave up");
}

/* A WAITERS mark without waiters costs the next release one check, and no permit. */
struct sem_all_gave_up {
	fl_sem permits;
	int rc;
};

FL_STRESS_ACTOR(sem_all_gave_up, waiter)
{
	s->rc = fl_sem_acquire_until(&s->permits, soon(), NULL);
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_all_gave_up, releaser)
{
	fl_sem_release_n(&s->permits, 2);
}

FL_STRESS(sem_all_gave_up, waiter, releaser)
{
	FL_ACCEPTABLE(s->rc == 0 && fl_sem_value(&s->permits) == 2, "acquired");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && fl_sem_value(&s->permits) == 3, "timed out");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/* A cancelled acquire holds no permit. */
struct sem_cancel_vs_release {
	fl_sem permits;
	fl_cancel_token stop;
	int rc;
};

FL_STRESS_ACTOR(sem_cancel_vs_release, waiter)
{
	s->rc = fl_sem_acquire_until(&s->permits, FL_FOREVER, &s->stop);
}

FL_STRESS_ACTOR(sem_cancel_vs_release, releaser)
{
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_cancel_vs_release, canceller)
{
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(sem_cancel_vs_release, waiter, releaser, canceller)
{
	FL_ACCEPTABLE(s->rc == 0 && fl_sem_value(&s->permits) == 0, "acquired");
	FL_ACCEPTABLE(s->rc == -ECANCELED && fl_sem_value(&s->permits) == 1, "cancelled");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/*
 * sem_destroy: the last use is the acquire; then the memory is freed, while the releaser may still
 * be leaving.
 */
struct sem_free_after_acquire {
	fl_sem *permits;
};

FL_STRESS_SETUP(sem_free_after_acquire)
{
	s->permits = make(sizeof *s->permits);
}

FL_STRESS_ACTOR(sem_free_after_acquire, releaser)
{
	fl_sem_release(s->permits);
}

FL_STRESS_ACTOR(sem_free_after_acquire, acquirer)
{
	OK(fl_sem_acquire(s->permits));
	OK(fl_sem_destroy(s->permits));
	free(s->permits);
}

FL_STRESS(sem_free_after_acquire, releaser, acquirer)
{
	FL_ACCEPTABLE(1, "freed");
}

/* A semaphore as a lock: each holder sees what the previous one wrote. */
struct sem_as_lock {
	fl_sem permits;
	int count;
};

FL_STRESS_SETUP(sem_as_lock)
{
	OK(fl_sem_init(&s->permits, 1));
}

static void count_under(struct sem_as_lock *s)
{
	OK(fl_sem_acquire(&s->permits));
	s->count++;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_as_lock, one)
{
	count_under(s);
}

FL_STRESS_ACTOR(sem_as_lock, two)
{
	count_under(s);
}

FL_STRESS_ACTOR(sem_as_lock, three)
{
	count_under(s);
}

FL_STRESS(sem_as_lock, one, two, three)
{
	FL_ACCEPTABLE(s->count == 3 && fl_sem_value(&s->permits) == 1, "all counted");
	FL_FORBIDDEN(1, "a count or a permit was lost");
}

/* A wait for any of several sees the permit, and what came before its release; it takes nothing. */
struct sem_wait_any {
	fl_sem permits;
	int data, index;
};

FL_STRESS_ACTOR(sem_wait_any, releaser)
{
	s->data = 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_wait_any, looker)
{
	s->index = FL_WAIT_ANY(FL_ON_SEM(&s->permits));
	FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(sem_wait_any, releaser, looker)
{
	FL_ACCEPTABLE(s->index == 0 && fl_sem_value(&s->permits) == 1, "seen, and still there");
	FL_FORBIDDEN(1, "a permit was lost");
}

/* An observer is enqueued before a waiter: a single permit reaches the waiter. */
struct sem_wait_any_steals_nothing {
	fl_sem permits;
	int index;
};

FL_STRESS_ACTOR(sem_wait_any_steals_nothing, looker)
{
	s->index = FL_WAIT_ANY_UNTIL(soon(), NULL, FL_ON_SEM(&s->permits));
}

FL_STRESS_ACTOR(sem_wait_any_steals_nothing, taker)
{
	OK(fl_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(sem_wait_any_steals_nothing, releaser)
{
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_wait_any_steals_nothing, looker, taker, releaser)
{
	FL_FORBIDDEN(fl_sem_value(&s->permits) != 0 || fl_sem_destroy(&s->permits) != 0,
	             "a permit, or a waiter, is left");
	FL_ACCEPTABLE(s->index == 0, "the looker saw it");
	FL_ACCEPTABLE(s->index == -ETIMEDOUT, "the looker saw nothing");
	FL_FORBIDDEN(1, "wrong result");
}

/*
 * Three permits at once, which come singly and from two sides: all, with what came before each of
 * them.
 */
struct sem_several {
	fl_sem permits;
	int data[2];
};

FL_STRESS_ACTOR(sem_several, left)
{
	s->data[0] = 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_several, right)
{
	s->data[1] = 1;
	fl_sem_release_n(&s->permits, 2);
}

FL_STRESS_ACTOR(sem_several, taker)
{
	OK(fl_sem_acquire_n(&s->permits, 3));
	FL_STRESS_CHECK(s->data[0] + s->data[1] == 2);
}

FL_STRESS(sem_several, left, right, taker)
{
	FL_FORBIDDEN(fl_sem_destroy(&s->permits) != 0, "left in the queue");
	FL_ACCEPTABLE(fl_sem_value(&s->permits) == 0, "all taken");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/* A waiter for two that gives up leaves the available permit to the waiter behind it. */
struct sem_several_give_up {
	fl_sem permits;
	int rc;
};

FL_STRESS_ACTOR(sem_several_give_up, big)
{
	s->rc = fl_sem_acquire_n_until(&s->permits, 2, soon(), NULL);
	if (s->rc == 0)
		fl_sem_release_n(&s->permits, 2);
}

FL_STRESS_ACTOR(sem_several_give_up, small)
{
	OK(fl_sem_acquire(&s->permits));
}

FL_STRESS_ACTOR(sem_several_give_up, releaser)
{
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_several_give_up, big, small, releaser)
{
	FL_FORBIDDEN(s->rc == 0 || fl_sem_destroy(&s->permits) != 0, "two of one, or left in the queue");
	FL_ACCEPTABLE(fl_sem_value(&s->permits) == 0, "the small one had it");
	FL_FORBIDDEN(1, "a permit was made or lost");
}

/* The first waiter, awake, is overtaken. */

static bool is_idle(fl_sem *s, uint32_t permits)
{
	return s->word_ == permits && fl_sem_destroy(s) == 0;
}

/*
 * A waiter for both permits among waiters for one: it gets them together, and no context sleeps
 * beside the rest.
 */
struct sem_several_among_single {
	fl_sem permits;
	int count;
};

FL_STRESS_SETUP(sem_several_among_single)
{
	OK(fl_sem_init(&s->permits, 2));
}

static void take_one_twice(struct sem_several_among_single *s)
{
	for (int i = 0; i < 2; i++) {
		OK(fl_sem_acquire(&s->permits));
		fl_sem_release(&s->permits);
	}
}

FL_STRESS_ACTOR(sem_several_among_single, one)
{
	take_one_twice(s);
}

FL_STRESS_ACTOR(sem_several_among_single, another)
{
	take_one_twice(s);
}

FL_STRESS_ACTOR(sem_several_among_single, both)
{
	OK(fl_sem_acquire_n(&s->permits, 2));
	s->count++;
	fl_sem_release_n(&s->permits, 2);
}

FL_STRESS(sem_several_among_single, one, another, both)
{
	FL_FORBIDDEN(!is_idle(&s->permits, 2), "a mark is left, or a permit was made or lost");
	FL_ACCEPTABLE(s->count == 1, "all had some");
	FL_FORBIDDEN(1, "a count was lost");
}

/* A signal handler releases while the first waiter is awake, sleeps again, or leaves. */
struct sem_handler_awake {
	fl_sem permits;
};

FL_STRESS_SETUP(sem_handler_awake)
{
	OK(fl_sem_init(&s->permits, 0));
}

FL_STRESS_ACTOR(sem_handler_awake, handler)
{
	fl_sem_release_in_handler(&s->permits);
	fl_sem_release_in_handler(&s->permits);
}

FL_STRESS_ACTOR(sem_handler_awake, one)
{
	OK(fl_sem_acquire(&s->permits));
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_handler_awake, another)
{
	OK(fl_sem_acquire(&s->permits));
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_handler_awake, handler, one, another)
{
	FL_ACCEPTABLE(is_idle(&s->permits, 2), "both had one");
	FL_FORBIDDEN(1, "a mark is left, or a permit was made or lost");
}

/*
 * A waiter that was woken and overtaken sees, with its permit, what came before both releases of
 * it.
 */
struct sem_overtaken_data {
	fl_sem permits;
	int data[2];
};

FL_STRESS_ACTOR(sem_overtaken_data, releaser)
{
	s->data[0] = 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_overtaken_data, overtaker)
{
	OK(fl_sem_acquire(&s->permits));
	s->data[1] = s->data[0] + 1;
	fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_overtaken_data, waiter)
{
	OK(fl_sem_acquire(&s->permits));
	FL_STRESS_CHECK(s->data[0] == 1);
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_overtaken_data, releaser, overtaker, waiter)
{
	FL_ACCEPTABLE(is_idle(&s->permits, 1) && s->data[1] == 2, "both had it");
	FL_FORBIDDEN(1, "a mark is left, or a permit was made or lost");
}
