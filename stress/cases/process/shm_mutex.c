/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the mutex in shared memory: which lock reports a death, and a mutex that is not
 * recovered.
 */
#include "../cases.h"
#include "process/shm/shm_lock.h"
#include <fairlead/shm_mutex.h>

/* Makes the state that the kernel leaves when the owner of the mutex has died. */
static void died(fl_shm_mutex *m)
{
	*fl__shm_word((struct fl__shm_lock *)(void *)m->lock_) = FL__SHM_DIED;
}

/*
 * owner_dead_once: one of the contexts after a death gets the report. If this context dies before
 * it recovers the mutex, the next one gets it.
 */
struct shm_mutex_told_once {
	fl_shm_mutex m;
	atomic_int told;
};

FL_STRESS_SETUP(shm_mutex_told_once)
{
	died(&s->m);
}

FL_STRESS_ACTOR(shm_mutex_told_once, lock_told)
{
	int rc = fl_shm_mutex_lock(&s->m);
	FL_STRESS_CHECK(rc == 0 || rc == -EOWNERDEAD);
	if (rc == -EOWNERDEAD) {
		COUNT(&s->told);
		fl_shm_mutex_recover(&s->m);
	}
	fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_PROCESSES(shm_mutex_told_once, lock_told, lock_told)
{
	bool killed = fl_stress_killed("lock_told");
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_FORBIDDEN(LOOK(&s->told) > 1 + killed, "told twice of one death");
	FL_FORBIDDEN(LOOK(&s->told) == 0 && !killed, "none was told");
	FL_ACCEPTABLE(1, "told");
}

/*
 * If an owner does not recover the mutex, the mutex is lost for all contexts. All locks return,
 * even if one of the contexts that pass on the mutex is killed.
 */
struct shm_mutex_lost {
	fl_shm_mutex m;
	atomic_int owners, lost;
};

FL_STRESS_SETUP(shm_mutex_lost)
{
	died(&s->m);
}

FL_STRESS_ACTOR(shm_mutex_lost, lock_lost)
{
	int rc = fl_shm_mutex_lock(&s->m);
	FL_STRESS_CHECK(rc == -EOWNERDEAD || rc == -ENOTRECOVERABLE);
	COUNT(rc == -EOWNERDEAD ? &s->owners : &s->lost);
	if (rc == -EOWNERDEAD)
		fl_shm_mutex_unlock(&s->m);
}

FL_STRESS_PROCESSES(shm_mutex_lost, lock_lost, lock_lost, lock_lost)
{
	bool killed = fl_stress_killed("lock_lost");
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_FORBIDDEN(LOOK(&s->owners) > 1 + killed, "two were told of one death");
	FL_ACCEPTABLE(killed, "one was killed");
	FL_ACCEPTABLE(LOOK(&s->owners) == 1 && LOOK(&s->lost) == 2, "lost");
}

/*
 * A lock that returns -ENOTRECOVERABLE does not hold the mutex, and the next lock returns this
 * error, too.
 */
struct shm_mutex_lost_again {
	fl_shm_mutex m;
};

FL_STRESS_SETUP(shm_mutex_lost_again)
{
	died(&s->m);
}

FL_STRESS_ACTOR(shm_mutex_lost_again, lock_twice)
{
	for (int i = 0; i < 2; i++) {
		int rc = fl_shm_mutex_lock(&s->m);
		FL_STRESS_CHECK(rc == -ENOTRECOVERABLE || (i == 0 && rc == -EOWNERDEAD));
		if (rc == -EOWNERDEAD)
			fl_shm_mutex_unlock(&s->m);
	}
}

FL_STRESS_PROCESSES(shm_mutex_lost_again, lock_twice, lock_twice)
{
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_ACCEPTABLE(1, "lost");
}
