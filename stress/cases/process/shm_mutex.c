/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared mutex: which lock reports a death, and a mutex that is not recovered. */
#include "../cases.h"
#include "process/shm/shm_lock.h"
#include <fairlead/shm_mutex.h>

/* Its owner has died: the state that the kernel leaves. */
static void died(fl_shm_mutex *m)
{
	*fl__shm_word((struct fl__shm_lock *)(void *)m->lock_) = FL__SHM_DIED;
}

/*
 * owner_dead_once: one of the contexts after a death gets the report; if it dies before it
 * recovers, the next one.
 */
struct shm_mutex_told_once {
	fl_shm_mutex m;
	atomic_int told;
};

FL_STRESS_SETUP(shm_mutex_told_once)
{
	died(&s->m);
}

static void lock_told(struct shm_mutex_told_once *s)
{
	int rc = fl_shm_mutex_lock(&s->m);
	FL_STRESS_CHECK(rc == 0 || rc == -EOWNERDEAD);
	if (rc == -EOWNERDEAD) {
		COUNT(&s->told);
		fl_shm_mutex_recover(&s->m);
	}
	fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(shm_mutex_told_once, one)
{
	lock_told(s);
}

FL_STRESS_ACTOR(shm_mutex_told_once, two)
{
	lock_told(s);
}

FL_STRESS_PROCESSES(shm_mutex_told_once, one, two)
{
	bool killed = fl_stress_killed("one") || fl_stress_killed("two");
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_FORBIDDEN(LOOK(&s->told) > 1 + killed, "told twice of one death");
	FL_FORBIDDEN(LOOK(&s->told) == 0 && !killed, "none was told");
	FL_ACCEPTABLE(1, "told");
}

/*
 * An owner that does not recover loses the mutex for all, and all return, even if one of those that
 * pass it on is killed.
 */
struct shm_mutex_lost {
	fl_shm_mutex m;
	atomic_int owners, lost;
};

FL_STRESS_SETUP(shm_mutex_lost)
{
	died(&s->m);
}

static void lock_lost(struct shm_mutex_lost *s)
{
	int rc = fl_shm_mutex_lock(&s->m);
	FL_STRESS_CHECK(rc == -EOWNERDEAD || rc == -ENOTRECOVERABLE);
	COUNT(rc == -EOWNERDEAD ? &s->owners : &s->lost);
	if (rc == -EOWNERDEAD)
		fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(shm_mutex_lost, one)
{
	lock_lost(s);
}

FL_STRESS_ACTOR(shm_mutex_lost, two)
{
	lock_lost(s);
}

FL_STRESS_ACTOR(shm_mutex_lost, three)
{
	lock_lost(s);
}

FL_STRESS_PROCESSES(shm_mutex_lost, one, two, three)
{
	bool killed = fl_stress_killed("one") || fl_stress_killed("two") || fl_stress_killed("three");
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_FORBIDDEN(LOOK(&s->owners) > 1 + killed, "two were told of one death");
	FL_ACCEPTABLE(killed, "one was killed");
	FL_ACCEPTABLE(LOOK(&s->owners) == 1 && LOOK(&s->lost) == 2, "lost");
}

/* A lock that returns -ENOTRECOVERABLE does not hold it, and the next one returns it, too. */
struct shm_mutex_lost_again {
	fl_shm_mutex m;
};

FL_STRESS_SETUP(shm_mutex_lost_again)
{
	died(&s->m);
}

static void lock_twice(struct shm_mutex_lost_again *s)
{
	for (int i = 0; i < 2; i++) {
		int rc = fl_shm_mutex_lock(&s->m);
		FL_STRESS_CHECK(rc == -ENOTRECOVERABLE || (i == 0 && rc == -EOWNERDEAD));
		if (rc == -EOWNERDEAD)
			fl_shm_mutex_unlock(&s->m);
	}
}

FL_STRESS_ACTOR(shm_mutex_lost_again, one)
{
	lock_twice(s);
}

FL_STRESS_ACTOR(shm_mutex_lost_again, two)
{
	lock_twice(s);
}

FL_STRESS_PROCESSES(shm_mutex_lost_again, one, two)
{
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_ACCEPTABLE(1, "lost");
}

/* A context has seen the mutex locked; its destroy returns 0: then it has seen the last unlock. */
struct shm_mutex_destroy_acquires {
	fl_shm_mutex m;
	int data, rc;
};

FL_STRESS_ACTOR(shm_mutex_destroy_acquires, holder)
{
	OK(fl_shm_mutex_lock(&s->m));
	s->data = 1;
	fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(shm_mutex_destroy_acquires, destroyer)
{
	s->rc = -EAGAIN;
	if (!fl_shm_mutex_is_locked(&s->m))
		return;
	s->rc = fl_shm_mutex_destroy(&s->m);
	if (s->rc == 0)
		s->data = 2;
}

FL_STRESS(shm_mutex_destroy_acquires, holder, destroyer)
{
	FL_FORBIDDEN(s->rc == 0 && s->data != 2, "destroyed while it was held");
	FL_ACCEPTABLE(s->rc == 0, "destroyed");
	FL_ACCEPTABLE(s->rc == -EBUSY, "busy");
	FL_ACCEPTABLE(s->rc == -EAGAIN, "too early");
}
