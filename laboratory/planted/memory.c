/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is used after it was freed, freed twice, never freed, or accessed in a race. */
#include "planted.h"

/*
 * drop_vs_send_double_free (crossbeam #972): a sender that finds the channel closed after its store
 * takes its message back. The receiver that has closed the channel also takes the message. The fix
 * is that both take the message by one swap.
 */
#define drop_vs_send_double_free NAME(drop_vs_send_double_free, use_after_free)
struct drop_vs_send_double_free {
	int *_Atomic slot;
	atomic_int closed;
};

ACTOR(drop_vs_send_double_free, sender)
{
	int *message = malloc(sizeof *message);
	STORE(&s->slot, message, SEQ);
	if (LOAD(&s->closed, SEQ))
		free(BUG(message, SWAP(&s->slot, NULL, SEQ)));
}

ACTOR(drop_vs_send_double_free, receiver)
{
	STORE(&s->closed, 1, SEQ);
	int *message = SWAP(&s->slot, NULL, SEQ);
	free(message);
}

TEST_OF_NO_OUTCOME(drop_vs_send_double_free, sender, receiver)

/*
 * An object is made on first use, and the loser of the race does not free its own. The fix is to
 * free it.
 */
#define lazy_init NAME(lazy_init, leak)
struct lazy_init {
	int *_Atomic made;
};

ACTOR(lazy_init, first_use)
{
	int *expected = NULL, *mine = LOAD(&s->made, ACQ) ? NULL : malloc(sizeof *mine);
	if (mine && !CAS(&s->made, &expected, mine, ACQ_REL))
		BUG((void)mine, free(mine));
}

TEST(lazy_init, first_use, first_use)
{
	free(LOAD(&s->made, RLX));
	FL_ACCEPTABLE(1, "made");
}

/*
 * touch_after_release: a flag hands the memory over, and the previous owner reads it once more. The
 * fix is to read before.
 */
#define touch_after_release NAME(touch_after_release, race)
struct touch_after_release {
	atomic_int given;
	int data, last;
};

ACTOR(touch_after_release, giver)
{
	BUG(, s->last = s->data);
	STORE(&s->given, 1, REL);
	BUG(s->last = s->data, );
}

ACTOR(touch_after_release, taker)
{
	if (LOAD(&s->given, ACQ))
		s->data = 1;
}

TEST_OF_NO_OUTCOME(touch_after_release, giver, taker)

#ifndef FIXED

/*
 * destroy_after_unlock (glibc 13690): the unlock reads the lock again after it has released it,
 * when the next owner may have freed it. The fix is one swap, which is the last access.
 */
struct destroy_after_unlock__use_after_free {
	struct {
		atomic_uint held, waiters;
		int refs;
	} * object;
};

FL_STRESS_SETUP(destroy_after_unlock__use_after_free)
{
	s->object = calloc(1, sizeof *s->object);
	s->object->refs = 2;
}

FL_STRESS_ACTOR(destroy_after_unlock__use_after_free, lock_and_drop)
{
	while (SWAP(&s->object->held, 1, ACQ)) {
		STORE(&s->object->waiters, 1, SEQ);
		SLEEP(&s->object->held, 1);
	}
	int refs = --s->object->refs;
	STORE(&s->object->held, 0, SEQ);
	if (LOAD(&s->object->waiters, SEQ))
		WAKE(&s->object->held, 1);
	if (refs == 0)
		free(s->object);
}

TEST_OF_NO_OUTCOME(destroy_after_unlock__use_after_free, lock_and_drop, lock_and_drop)

#endif
