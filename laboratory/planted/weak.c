/* SPDX-License-Identifier: BSD-2-Clause */
/* Bugs that show only on a weakly ordered machine, or in a model of one. */
#include "planted.h"

/*
 * waiter_flag_dekker (oneTBB #2136, libc++ #109290): between the change and the check for waiters
 * is an atomic read-modify-write, which is not a full fence on aarch64. The fix is a sequentially
 * consistent fence on both sides.
 */
#define waiter_flag_dekker NAME(waiter_flag_dekker, lost_wakeup)
struct waiter_flag_dekker {
	atomic_uint seq, waiters;
};

ACTOR(waiter_flag_dekker, waiter)
{
	STORE(&s->waiters, 1, REL);
	BUG(, atomic_thread_fence(memory_order_seq_cst));
	while (LOAD(&s->seq, ACQ) == 0)
		SLEEP(&s->seq, 0);
}

ACTOR(waiter_flag_dekker, waker)
{
	ADD(&s->seq, 1, ACQ_REL);
	BUG(, atomic_thread_fence(memory_order_seq_cst));
	if (LOAD(&s->waiters, ACQ))
		WAKE(&s->seq, 1);
}

TEST_OF_NO_OUTCOME(waiter_flag_dekker, waiter, waker)

/*
 * A sequence lock whose reader has no fence between the data and its second check. The fix is an
 * acquire fence.
 */
#define seqlock_fences NAME(seqlock_fences, forbidden)
struct seqlock_fences {
	atomic_uint seq;
	atomic_int a, b;
	int seen_a, seen_b;
	bool whole;
};

ACTOR(seqlock_fences, writer)
{
	STORE(&s->seq, 1, RLX);
	atomic_thread_fence(memory_order_release);
	STORE(&s->a, 1, RLX);
	STORE(&s->b, 1, RLX);
	STORE(&s->seq, 2, REL);
}

ACTOR(seqlock_fences, reader)
{
	unsigned before = LOAD(&s->seq, ACQ);
	s->seen_a = LOAD(&s->a, RLX);
	s->seen_b = LOAD(&s->b, RLX);
	BUG(, atomic_thread_fence(memory_order_acquire));
	s->whole = before % 2 == 0 && LOAD(&s->seq, RLX) == before;
}

TEST(seqlock_fences, writer, reader)
{
	FL_FORBIDDEN(s->whole && s->seen_a != s->seen_b, "torn");
	FL_ACCEPTABLE(s->whole, "whole");
	FL_ACCEPTABLE(!s->whole, "again");
}

/*
 * The last reference is dropped without order, so the accesses of other threads race with the end
 * of the object. The fix is acq_rel.
 */
#define refcount_relaxed NAME(refcount_relaxed, race)
struct refcount_relaxed {
	struct {
		atomic_int refs;
		int used[2];
	} * object;
};

SETUP(refcount_relaxed)
{
	s->object = calloc(1, sizeof *s->object);
	STORE(&s->object->refs, 2, RLX);
}

static void use_and_drop(struct refcount_relaxed *s, int i)
{
	s->object->used[i] = 1;
	if (ADD(&s->object->refs, -1, BUG(RLX, ACQ_REL)) != 1)
		return;
	s->object->used[0] = s->object->used[1] = 0; /* taken apart here, and then freed */
	free(s->object);
}

ONE_AND_TWO(refcount_relaxed, use_and_drop)

TEST_OF_NO_OUTCOME(refcount_relaxed, one, two)

/*
 * Peterson's lock with only acquire and release: both threads may enter. The fix is sequential
 * consistency.
 */
#define peterson_no_fence NAME(peterson_no_fence, race)
struct peterson_no_fence {
	atomic_int wants[2], turn;
	int count;
};

static void enter(struct peterson_no_fence *s, int me)
{
	enum { GET = BUG(ACQ, SEQ), PUT = BUG(REL, SEQ) };
	STORE(&s->wants[me], 1, PUT);
	STORE(&s->turn, !me, PUT);
	while (LOAD(&s->wants[!me], GET) && LOAD(&s->turn, GET) == !me)
		fl_stress_relax();
	s->count++;
	STORE(&s->wants[me], 0, PUT);
}

ONE_AND_TWO(peterson_no_fence, enter)

TEST(peterson_no_fence, one, two)
{
	FL_FORBIDDEN(s->count != 2, "a count was lost");
	FL_ACCEPTABLE(1, "both counted");
}
