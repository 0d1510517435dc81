/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the semaphore. Permits are conserved when waits give up, and each permit carries
 * what was written before its release.
 */
#include "../cases.h"
#include <fairlead/sem.h>

/* sem_two_posts_one_wake (libc++ 47013): two releases wake two waiters. */
struct sem_post_storm {
	fl_sem permits;
	atomic_int got;
};

FL_STRESS_ACTOR(sem_post_storm, take_one)
{
	OK(fl_sem_acquire(&s->permits));
	COUNT(&s->got);
}

FL_STRESS_ACTOR(sem_post_storm, releaser)
{
	fl_sem_release(&s->permits);
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_post_storm, take_one, take_one, releaser)
{
	FL_ACCEPTABLE(LOOK(&s->got) == 2 && fl_sem_value(&s->permits) == 0, "both got one");
}

/*
 * Releases come from two sides at once, beside one waiter that takes both permits. One of them may
 * be handed over, while the other one stays.
 */
struct sem_two_releasers {
	fl_sem permits;
	int data[2], rc;
};

static void write_and_release(struct sem_two_releasers *s, int i)
{
	s->data[i] = 1;
	fl_sem_release(&s->permits);
}

TWO_ACTORS(sem_two_releasers, write_and_release)

FL_STRESS_ACTOR(sem_two_releasers, taker)
{
	OK(fl_sem_acquire(&s->permits));
	OK(fl_sem_acquire(&s->permits));
	FL_STRESS_CHECK(s->data[0] + s->data[1] == 2);
}

FL_STRESS(sem_two_releasers, one, two, taker)
{
	FL_ACCEPTABLE(fl_sem_value(&s->permits) == 0, "both taken");
}

/*
 * sem_stale_waiters (musl 159d1f6c): one waiter gives up while another one stays. The release
 * reaches the one that stays.
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

/* A semaphore is used as a lock. Each holder sees what the previous one wrote. */
struct sem_as_lock {
	fl_sem permits;
	int count;
};

FL_STRESS_SETUP(sem_as_lock)
{
	OK(fl_sem_init(&s->permits, 1));
}

FL_STRESS_ACTOR(sem_as_lock, count_under)
{
	OK(fl_sem_acquire(&s->permits));
	s->count++;
	fl_sem_release(&s->permits);
}

FL_STRESS(sem_as_lock, count_under, count_under, count_under)
{
	FL_ACCEPTABLE(s->count == 3 && fl_sem_value(&s->permits) == 1, "all counted");
}

/*
 * A wait for any of several objects sees the permit, and what came before its release. It takes
 * nothing.
 */
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
}

/*
 * Three permits are acquired at once, and come from two sides. The waiter gets all of them, with
 * what came before each. One may come from a handler; then the other release hands it over.
 */
struct sem_several {
	fl_sem permits;
	int data[2];
};

FL_STRESS_ACTOR(sem_several, left)
{
	const bool in_handler = fl_stress_choose(2);
	s->data[0] = 1;
	if (in_handler)
		fl_sem_release_in_handler(&s->permits);
	else
		fl_sem_release(&s->permits);
}

FL_STRESS_ACTOR(sem_several, right)
{
	s->data[1] = 1;
	fl_sem_release_n(&s->permits, 2);
}

FL_STRESS_ACTOR(sem_several, taker)
{
	OK(fl_sem_acquire_n_until(&s->permits, 3, FL_FOREVER, NULL));
	FL_STRESS_CHECK(s->data[0] + s->data[1] == 2);
}

FL_STRESS(sem_several, taker, left, right)
{
	FL_FORBIDDEN(fl__lot_has_waiters_at(&s->permits), "left in the queue");
	FL_ACCEPTABLE(fl_sem_value(&s->permits) == 0, "all taken");
}

/* A waiter for two permits gives up, and leaves the available permit to the waiter behind it. */
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
	FL_FORBIDDEN(s->rc == 0 || fl__lot_has_waiters_at(&s->permits), "two of one, or left in the queue");
	FL_ACCEPTABLE(fl_sem_value(&s->permits) == 0, "the small one had it");
}
