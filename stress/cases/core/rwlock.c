/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The readers-writer lock. Plain fields: only the lock orders them. rwlock_downgrade.c has
 * downgrades and waits that give up, turns.c has the hand-over.
 */
#include "../cases.h"
#include "rwlocks.h"
#include <fairlead/latch.h>

/* Writers exclude each other and readers; a reader sees all that a writer wrote, or nothing. */
struct rw_excl {
	fl_rwlock l;
	int a, b, saw_a, saw_b;
};

FL_STRESS_SETUP(rw_excl)
{
	of_this_process(&s->l);
}

FL_STRESS_ACTOR(rw_excl, write_both)
{
	FL_WRITE_LOCKED(&s->l);
	s->a++;
	s->b++;
}

FL_STRESS_ACTOR(rw_excl, reader)
{
	OK(fl_rwlock_read_lock_until(&s->l, FL_FOREVER, NULL));
	s->saw_a = s->a;
	s->saw_b = s->b;
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(rw_excl, write_both, write_both, reader)
{
	RW_IS_FREE(&s->l);
	FL_FORBIDDEN(s->a != 2 || s->b != 2, "a count was lost");
	FL_FORBIDDEN(s->saw_a != s->saw_b, "saw half of it");
	FL_ACCEPTABLE(1, "in order");
}

/*
 * Several readers wait for one writer: all get in. Fails if the first woken reader takes no other
 * along.
 */
struct rw_batch {
	fl_rwlock l;
	int data;
	fl_latch inside;
};

FL_STRESS_SETUP(rw_batch)
{
	of_this_process(&s->l);
	OK(fl_latch_init(&s->inside, 2));
	fl_rwlock_write_lock(&s->l);
}

FL_STRESS_ACTOR(rw_batch, writer)
{
	s->data = 1;
	fl_rwlock_write_unlock(&s->l);
}

FL_STRESS_ACTOR(rw_batch, come_in_together)
{
	fl_rwlock_read_lock(&s->l);
	FL_STRESS_CHECK(s->data == 1);
	fl_latch_count_down(&s->inside, 1);
	OK(fl_latch_wait(&s->inside));
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(rw_batch, writer, come_in_together, come_in_together)
{
	FL_ACCEPTABLE(!fl__rwlock_is_busy(&s->l), "free at the end");
}

/* rw_readers_only_deadlock (rust #121949): readers alone never wait for each other. */
struct rw_readers_only_deadlock {
	fl_rwlock l;
	fl_latch inside;
};

FL_STRESS_SETUP(rw_readers_only_deadlock)
{
	of_this_process(&s->l);
	OK(fl_latch_init(&s->inside, 3));
}

FL_STRESS_ACTOR(rw_readers_only_deadlock, meet_inside)
{
	fl_rwlock_read_lock(&s->l);
	fl_latch_count_down(&s->inside, 1);
	OK(fl_latch_wait(&s->inside));
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(rw_readers_only_deadlock, meet_inside, meet_inside, meet_inside)
{
	FL_ACCEPTABLE(!fl__rwlock_is_busy(&s->l), "free at the end");
}

/*
 * rw_try_stall (glibc 23844), rw_prefer_writer_stall (23861): tries beside waiters leave no context
 * asleep.
 */
struct rw_try_stall {
	fl_rwlock l;
	int count;
};

FL_STRESS_SETUP(rw_try_stall)
{
	of_this_process(&s->l);
}

FL_STRESS_ACTOR(rw_try_stall, tryer)
{
	if (fl_rwlock_try_read_lock(&s->l) == 0)
		fl_rwlock_read_unlock(&s->l);
	if (fl_rwlock_try_write_lock(&s->l) == 0) {
		s->count += 10;
		fl_rwlock_write_unlock(&s->l);
	}
}

FL_STRESS_ACTOR(rw_try_stall, reader)
{
	FL_READ_LOCKED(&s->l);
	FL_STRESS_CHECK(s->count <= 11);
}

FL_STRESS_ACTOR(rw_try_stall, writer)
{
	FL_WRITE_LOCKED(&s->l);
	s->count++;
}

FL_STRESS(rw_try_stall, tryer, reader, writer)
{
	RW_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->count == 1 || s->count == 11, "counted");
}

/* rw_3_4_writers_aba (folly b927c055): a fourth writer comes while a third leaves. */
struct rw_3_4_writers_aba {
	fl_rwlock l;
	int count;
};

FL_STRESS_SETUP(rw_3_4_writers_aba)
{
	of_this_process(&s->l);
}

FL_STRESS_ACTOR(rw_3_4_writers_aba, write_aba)
{
	FL_WRITE_LOCKED(&s->l);
	s->count++;
}

FL_STRESS(rw_3_4_writers_aba, write_aba, write_aba, write_aba, write_aba)
{
	RW_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->count == 4, "all counted");
}

static void let_go(struct counted_lock *object, bool reads)
{
	if (reads) {
		fl_rwlock_read_lock(&object->l);
		fl_rwlock_read_unlock(&object->l);
	}
	fl_rwlock_write_lock(&object->l);
	bool last = --object->refs == 0;
	fl_rwlock_write_unlock(&object->l);
	if (!last)
		return;
	FL_STRESS_CHECK(!fl__rwlock_is_busy(&object->l));
	free(object);
}

/*
 * The last reader owes a check of the wait queue. At the same time a writer overtakes and serves
 * the queue itself, and the context that it wakes frees the lock. Fails if the check begins with
 * the lock rather than with the queue.
 */
struct rw_late_look {
	struct counted_lock *object;
};

FL_STRESS_SETUP(rw_late_look)
{
	s->object = make(sizeof *s->object);
	of_this_process(&s->object->l);
	s->object->refs = 2;
	fl_rwlock_read_lock(&s->object->l);
}

FL_STRESS_ACTOR(rw_late_look, reader)
{
	fl_rwlock_read_unlock(&s->object->l);
}

FL_STRESS_ACTOR(rw_late_look, holder)
{
	let_go(s->object, false);
}

FL_STRESS(rw_late_look, reader, holder, holder)
{
	FL_ACCEPTABLE(1, "freed once");
}
