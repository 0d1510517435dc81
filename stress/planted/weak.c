/* SPDX-License-Identifier: BSD-2-Clause */
/* Bugs that only a weakly ordered machine, or a model of one, shows. */
#include "planted.h"

/* weak_order: a message is published without release. Fix: release and acquire. (fixed) */
struct weak_order__forbidden {
	atomic_int data, flag;
	int seen, value;
};

FL_STRESS_ACTOR(weak_order__forbidden, writer)
{
	STORE(&s->data, 1, RLX);
	STORE(&s->flag, 1, RLX);
}

FL_STRESS_ACTOR(weak_order__forbidden, reader)
{
	s->seen = LOAD(&s->flag, ACQ);
	s->value = LOAD(&s->data, RLX);
}

FL_STRESS(weak_order__forbidden, writer, reader)
{
	FL_FORBIDDEN(s->seen && !s->value, "the flag without the data");
	FL_ACCEPTABLE(s->seen, "both");
	FL_ACCEPTABLE(!s->seen, "too early");
}

/*
 * waiter_flag_dekker (oneTBB #2136, libc++ #109290): between the change and the check for waiters
 * is an atomic read-modify-write, which is no full fence on aarch64. Fix: sequentially consistent
 * fences on both sides. (fixed)
 */
struct waiter_flag_dekker__lost_wakeup {
	atomic_uint seq, waiters;
};

FL_STRESS_ACTOR(waiter_flag_dekker__lost_wakeup, waiter)
{
	STORE(&s->waiters, 1, REL);
	while (LOAD(&s->seq, ACQ) == 0)
		SLEEP(&s->seq, 0);
}

FL_STRESS_ACTOR(waiter_flag_dekker__lost_wakeup, waker)
{
	ADD(&s->seq, 1, ACQ_REL);
	if (LOAD(&s->waiters, ACQ))
		WAKE(&s->seq, 1);
}

FL_STRESS(waiter_flag_dekker__lost_wakeup, waiter, waker)
{
	FL_ACCEPTABLE(1, "woken");
}

/*
 * A sequence lock with a reader that has no fence between the data and its second check. Fix: an
 * acquire fence. (fixed)
 */
struct seqlock_fences__forbidden {
	atomic_uint seq;
	atomic_int a, b;
	int seen_a, seen_b;
	bool whole;
};

FL_STRESS_ACTOR(seqlock_fences__forbidden, writer)
{
	STORE(&s->seq, 1, RLX);
	atomic_thread_fence(memory_order_release);
	STORE(&s->a, 1, RLX);
	STORE(&s->b, 1, RLX);
	STORE(&s->seq, 2, REL);
}

FL_STRESS_ACTOR(seqlock_fences__forbidden, reader)
{
	unsigned before = LOAD(&s->seq, ACQ);
	s->seen_a = LOAD(&s->a, RLX);
	s->seen_b = LOAD(&s->b, RLX);
	s->whole = before % 2 == 0 && LOAD(&s->seq, RLX) == before;
}

FL_STRESS(seqlock_fences__forbidden, writer, reader)
{
	FL_FORBIDDEN(s->whole && s->seen_a != s->seen_b, "torn");
	FL_ACCEPTABLE(s->whole, "whole");
	FL_ACCEPTABLE(!s->whole, "again");
}

/*
 * The last reference is dropped without order: the accesses of other threads race with its end.
 * Fix: acq_rel. (fixed)
 */
struct refcount_relaxed__race {
	struct {
		atomic_int refs;
		int used[2];
	} * object;
};

FL_STRESS_SETUP(refcount_relaxed__race)
{
	s->object = calloc(1, sizeof *s->object);
	STORE(&s->object->refs, 2, RLX);
}

static void use_and_drop(struct refcount_relaxed__race *s, int i)
{
	s->object->used[i] = 1;
	if (ADD(&s->object->refs, -1, RLX) != 1)
		return;
	s->object->used[0] = s->object->used[1] = 0; /* taken apart, then freed */
	free(s->object);
}

FL_STRESS_ACTOR(refcount_relaxed__race, one)
{
	use_and_drop(s, 0);
}

FL_STRESS_ACTOR(refcount_relaxed__race, two)
{
	use_and_drop(s, 1);
}

FL_STRESS(refcount_relaxed__race, one, two)
{
	FL_ACCEPTABLE(1, "freed once");
}

/*
 * block_reuse_ordering (moodycamel 0d54c67, oneTBB #782): the consumer returns a block without
 * release, so that the producer's next use overtakes its last read. Fix: release.
 */
struct block_reuse_ordering__race {
	atomic_int full;
	int block, got;
};

FL_STRESS_SETUP(block_reuse_ordering__race)
{
	s->block = 1;
	STORE(&s->full, 1, RLX);
}

FL_STRESS_ACTOR(block_reuse_ordering__race, consumer)
{
	if (!LOAD(&s->full, ACQ))
		return;
	s->got = s->block;
	STORE(&s->full, 0, RLX);
}

FL_STRESS_ACTOR(block_reuse_ordering__race, producer)
{
	if (LOAD(&s->full, ACQ))
		return;
	s->block = 2;
	STORE(&s->full, 1, REL);
}

FL_STRESS(block_reuse_ordering__race, consumer, producer)
{
	FL_FORBIDDEN(s->got == 2, "got the next one's");
	FL_ACCEPTABLE(1, "got its own");
}

/*
 * Peterson's lock with acquire and release only: both may enter. Fix: sequential consistency.
 * (fixed)
 */
struct peterson_no_fence__race {
	atomic_int wants[2], turn;
	int count;
};

static void enter(struct peterson_no_fence__race *s, int me)
{
	STORE(&s->wants[me], 1, REL);
	STORE(&s->turn, !me, REL);
	while (LOAD(&s->wants[!me], ACQ) && LOAD(&s->turn, ACQ) == !me)
		fl_stress_relax();
	s->count++;
	STORE(&s->wants[me], 0, REL);
}

FL_STRESS_ACTOR(peterson_no_fence__race, one)
{
	enter(s, 0);
}

FL_STRESS_ACTOR(peterson_no_fence__race, two)
{
	enter(s, 1);
}

FL_STRESS(peterson_no_fence__race, one, two)
{
	FL_FORBIDDEN(s->count != 2, "a count was lost");
	FL_ACCEPTABLE(1, "both counted");
}
