/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of a fiber that waits for a readers-writer lock, which a thread unlocks at that moment.
 * WAITERS is the bit of the lock that says that contexts wait. Unlike a thread, a fiber is also
 * barred by WAITERS. However, the fiber sets WAITERS itself, and must not wait because of its own
 * bit.
 */
#include "loops.h"

struct loop_rw {
	struct loop_world world;
	fl_rwlock lock;
	int count;
};

static int rw_write(void *arg)
{
	struct loop_rw *s = arg;
	fl_rwlock_write_lock(&s->lock);
	s->count++;
	fl_rwlock_write_unlock(&s->lock);
	return 0;
}

static int rw_read(void *arg)
{
	struct loop_rw *s = arg;
	fl_rwlock_read_lock(&s->lock);
	FL_STRESS_CHECK(s->count <= 1);
	fl_rwlock_read_unlock(&s->lock);
	return 0;
}

#define LOOP_RW(test, function, holder_lock, holder_unlock, n)                                                         \
	struct test {                                                                                                  \
		struct loop_rw t;                                                                                      \
	};                                                                                                             \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		loop_begin(&s->t.world, 0);                                                                            \
	}                                                                                                              \
	FL_STRESS_ACTOR(test, loop)                                                                                    \
	{                                                                                                              \
		OK(loop_run(&s->t.world, function, &s->t));                                                            \
	}                                                                                                              \
	FL_STRESS_ACTOR(test, other)                                                                                   \
	{                                                                                                              \
		holder_lock(&s->t.lock);                                                                               \
		holder_unlock(&s->t.lock);                                                                             \
	}                                                                                                              \
	FL_STRESS(test, loop, other)                                                                                   \
	{                                                                                                              \
		loop_end(&s->t.world);                                                                                 \
		FL_FORBIDDEN(s->t.count != (n) || s->t.lock.word_ != 0, "left locked or awaited, or not written");     \
		FL_ACCEPTABLE(1, "had the lock");                                                                      \
	}

LOOP_RW(loop_rw_write_behind_writer, rw_write, fl_rwlock_write_lock, fl_rwlock_write_unlock, 1)
LOOP_RW(loop_rw_read_behind_writer, rw_read, fl_rwlock_write_lock, fl_rwlock_write_unlock, 0)
LOOP_RW(loop_rw_write_behind_reader, rw_write, fl_rwlock_read_lock, fl_rwlock_read_unlock, 1)
