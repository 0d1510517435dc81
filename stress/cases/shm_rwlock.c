/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared readers-writer lock, with two reader slots, so that the model stays small. */
#include "../../lib/shm/shm_lock.h"
#include "cases.h"
#include <fairlead/shm_rwlock.h>

enum { PLACES = 2 };

/* destroy() returns -EBUSY also for a waiter that has gone; this function does not. */
static bool is_held(fl_shm_rwlock *l)
{
	bool held = *fl__shm_word((struct fl__shm_lock *)(void *)l->writer_) & FL__SHM_TID;
	for (int i = 0; i < PLACES; i++)
		held |= *fl__shm_word((struct fl__shm_lock *)(void *)l->slots_[i].lock_) & FL__SHM_TID;
	return held;
}

/* Two numbers that are equal for readers; writers after a death repair them. */
struct shared {
	fl_shm_rwlock lock;
	int a, b;
	atomic_int told;
};

static void write_once(struct shared *d)
{
	int rc = fl_shm_rwlock_write_lock(&d->lock);
	if (rc == -EOWNERDEAD) {
		COUNT(&d->told);
		d->b = d->a;
		fl_shm_rwlock_recover(&d->lock);
	} else {
		FL_STRESS_CHECK(rc == 0);
	}
	FL_STRESS_CHECK(d->a == d->b);
	d->a++;
	d->b++;
	fl_shm_rwlock_write_unlock(&d->lock);
}

static int read_once(struct shared *d)
{
	int rc = fl_shm_rwlock_read_lock(&d->lock);
	if (rc == -EOWNERDEAD)
		return rc;
	FL_STRESS_CHECK(rc == 0 && d->a == d->b);
	fl_shm_rwlock_read_unlock(&d->lock);
	return 0;
}

struct shm_rwlock_read_write {
	struct shared d;
	int rc;
};

FL_STRESS_SETUP(shm_rwlock_read_write)
{
	s->d.lock.slots_used_ = PLACES;
}

FL_STRESS_ACTOR(shm_rwlock_read_write, reader)
{
	s->rc = read_once(&s->d);
}

FL_STRESS_ACTOR(shm_rwlock_read_write, writer)
{
	write_once(&s->d);
}

FL_STRESS_PROCESSES(shm_rwlock_read_write, reader, writer)
{
	FL_FORBIDDEN(is_held(&s->d.lock), "left locked");
	FL_FORBIDDEN(s->rc == -EOWNERDEAD && !fl_stress_killed("writer"), "told of a death that was not");
	FL_ACCEPTABLE(fl_stress_killed("reader") || fl_stress_killed("writer"), "one was killed");
	FL_ACCEPTABLE(s->d.a == 1, "written");
	FL_FORBIDDEN(1, "a change was lost");
}

struct shm_rwlock_two_writers {
	struct shared d;
};

FL_STRESS_SETUP(shm_rwlock_two_writers)
{
	s->d.lock.slots_used_ = PLACES;
}

FL_STRESS_ACTOR(shm_rwlock_two_writers, one)
{
	write_once(&s->d);
}

FL_STRESS_ACTOR(shm_rwlock_two_writers, two)
{
	write_once(&s->d);
}

FL_STRESS_PROCESSES(shm_rwlock_two_writers, one, two)
{
	bool killed = fl_stress_killed("one") || fl_stress_killed("two");
	FL_FORBIDDEN(is_held(&s->d.lock), "left locked");
	FL_FORBIDDEN(LOOK(&s->d.told) > killed, "told of a death that was not");
	FL_ACCEPTABLE(killed, "one was killed");
	FL_ACCEPTABLE(s->d.a == 2, "both wrote");
	FL_FORBIDDEN(1, "a change was lost");
}

/* More readers than slots, and a writer: all get through, at any kill. */
struct shm_rwlock_crowd {
	struct shared d;
};

FL_STRESS_SETUP(shm_rwlock_crowd)
{
	s->d.lock.slots_used_ = 1;
}

FL_STRESS_ACTOR(shm_rwlock_crowd, one)
{
	(void)read_once(&s->d);
}

FL_STRESS_ACTOR(shm_rwlock_crowd, two)
{
	(void)read_once(&s->d);
}

FL_STRESS_ACTOR(shm_rwlock_crowd, writer)
{
	write_once(&s->d);
}

FL_STRESS_PROCESSES(shm_rwlock_crowd, one, two, writer)
{
	FL_FORBIDDEN(is_held(&s->d.lock), "left locked");
	FL_ACCEPTABLE(fl_stress_killed("writer"), "the writer was killed");
	FL_ACCEPTABLE(s->d.a == 1 && s->d.b == 1, "written");
	FL_FORBIDDEN(1, "a change was lost");
}

/*
 * Readers after a death get the report until a writer has repaired; a writer that does not repair
 * loses the lock for all.
 */
struct shm_rwlock_lost {
	struct shared d;
	int read, wrote;
};

FL_STRESS_SETUP(shm_rwlock_lost)
{
	s->d.lock.slots_used_ = PLACES;
	s->d.lock.dirty_ = 1; /* a writer died */
}

FL_STRESS_ACTOR(shm_rwlock_lost, loser)
{
	FL_STRESS_CHECK(fl_shm_rwlock_write_lock(&s->d.lock) == -EOWNERDEAD);
	fl_shm_rwlock_write_unlock(&s->d.lock);
}

FL_STRESS_ACTOR(shm_rwlock_lost, reader)
{
	s->read = fl_shm_rwlock_read_lock(&s->d.lock);
	FL_STRESS_CHECK(s->read == -EOWNERDEAD || s->read == -ENOTRECOVERABLE);
}

FL_STRESS_PROCESSES(shm_rwlock_lost, loser, reader)
{
	FL_ACCEPTABLE(fl_stress_killed("loser") || fl_stress_killed("reader"), "one was killed");
	FL_ACCEPTABLE(s->read == -EOWNERDEAD, "told");
	FL_ACCEPTABLE(s->read == -ENOTRECOVERABLE, "lost");
	FL_FORBIDDEN(1, "another result");
}

/* A timed writer that gives up keeps no slot. */
struct shm_rwlock_timed {
	struct shared d;
	int rc;
};

FL_STRESS_SETUP(shm_rwlock_timed)
{
	s->d.lock.slots_used_ = PLACES;
}

FL_STRESS_ACTOR(shm_rwlock_timed, reader)
{
	FL_STRESS_CHECK(read_once(&s->d) == 0 || fl_stress_killed("writer"));
}

FL_STRESS_ACTOR(shm_rwlock_timed, writer)
{
	s->rc = fl_shm_rwlock_write_lock_until(&s->d.lock, soon(), FL_SHIELDED);
	if (s->rc == 0)
		fl_shm_rwlock_write_unlock(&s->d.lock);
}

FL_STRESS_PROCESSES(shm_rwlock_timed, reader, writer)
{
	FL_FORBIDDEN(is_held(&s->d.lock), "left locked");
	FL_ACCEPTABLE(fl_stress_killed("reader") || fl_stress_killed("writer"), "one was killed");
	FL_ACCEPTABLE(s->rc == 0, "it wrote");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "it gave up");
	FL_FORBIDDEN(1, "another result");
}

/* A reader that gets the report of a death has no slot any more: it repairs as a writer. */
struct shm_rwlock_told {
	struct shared d;
	int rc;
};

FL_STRESS_SETUP(shm_rwlock_told)
{
	s->d.lock.slots_used_ = PLACES;
	s->d.lock.dirty_ = 1; /* a writer died */
}

FL_STRESS_ACTOR(shm_rwlock_told, reader)
{
	s->rc = read_once(&s->d);
	if (s->rc == -EOWNERDEAD)
		write_once(&s->d);
}

FL_STRESS_ACTOR(shm_rwlock_told, writer)
{
	write_once(&s->d);
}

FL_STRESS_PROCESSES(shm_rwlock_told, reader, writer)
{
	bool killed = fl_stress_killed("reader") || fl_stress_killed("writer");
	FL_FORBIDDEN(is_held(&s->d.lock), "left locked");
	FL_FORBIDDEN(LOOK(&s->d.told) > 1 + killed, "told twice of one death");
	FL_ACCEPTABLE(killed, "one was killed");
	FL_ACCEPTABLE(s->rc == 0 && s->d.a == 1, "read what the writer had repaired");
	FL_ACCEPTABLE(s->rc == -EOWNERDEAD && s->d.a == 2, "both wrote");
	FL_FORBIDDEN(1, "a change was lost");
}
