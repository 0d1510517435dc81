/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory: used after its end, freed twice, never freed, raced for. */
#include "planted.h"

/*
 * destroy_after_unlock (glibc 13690): the unlock reads the lock again after it has released it,
 * when the next owner may have freed it. Fix: one swap, which is the last access. (fixed)
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

static void lock_and_drop(struct destroy_after_unlock__use_after_free *s)
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

FL_STRESS_ACTOR(destroy_after_unlock__use_after_free, one)
{
	lock_and_drop(s);
}

FL_STRESS_ACTOR(destroy_after_unlock__use_after_free, two)
{
	lock_and_drop(s);
}

FL_STRESS(destroy_after_unlock__use_after_free, one, two)
{
	FL_ACCEPTABLE(1, "freed once");
}

/*
 * drop_vs_send_double_free (crossbeam #972): a sender that finds the channel closed after its store
 * takes its message back, and so does the receiver that closed it. Fix: both take it with one swap.
 * (fixed)
 */
struct drop_vs_send_double_free__use_after_free {
	int *_Atomic slot;
	atomic_int closed;
};

FL_STRESS_ACTOR(drop_vs_send_double_free__use_after_free, sender)
{
	int *message = malloc(sizeof *message);
	STORE(&s->slot, message, SEQ);
	if (LOAD(&s->closed, SEQ))
		free(message);
}

FL_STRESS_ACTOR(drop_vs_send_double_free__use_after_free, receiver)
{
	STORE(&s->closed, 1, SEQ);
	int *message = SWAP(&s->slot, NULL, SEQ);
	free(message);
}

FL_STRESS(drop_vs_send_double_free__use_after_free, sender, receiver)
{
	FL_ACCEPTABLE(LOAD(&s->slot, RLX) == NULL, "the receiver freed it");
	FL_ACCEPTABLE(1, "the sender took it back");
}

/*
 * A stack: its pop reads the next of a node that another thread has popped and freed. Fix:
 * reclamation by hazard pointers or epochs.
 */
struct stack_pop__use_after_free {
	struct node {
		struct node *next;
	} * _Atomic head;
};

FL_STRESS_SETUP(stack_pop__use_after_free)
{
	STORE(&s->head, calloc(1, sizeof(struct node)), RLX);
}

static void pop_and_free(struct stack_pop__use_after_free *s)
{
	struct node *head = LOAD(&s->head, ACQ);
	while (head && !CAS(&s->head, &head, head->next, ACQ))
		;
	free(head);
}

FL_STRESS_ACTOR(stack_pop__use_after_free, one)
{
	pop_and_free(s);
}

FL_STRESS_ACTOR(stack_pop__use_after_free, two)
{
	pop_and_free(s);
}

FL_STRESS(stack_pop__use_after_free, one, two)
{
	FL_ACCEPTABLE(1, "freed once");
}

/* Made on first use: the loser of the race does not free its object. Fix: free it. (fixed) */
struct lazy_init__leak {
	int *_Atomic made;
};

static void first_use(struct lazy_init__leak *s)
{
	int *expected = NULL;
	if (!LOAD(&s->made, ACQ))
		(void)CAS(&s->made, &expected, malloc(sizeof(int)), ACQ_REL);
}

FL_STRESS_ACTOR(lazy_init__leak, one)
{
	first_use(s);
}

FL_STRESS_ACTOR(lazy_init__leak, two)
{
	first_use(s);
}

FL_STRESS(lazy_init__leak, one, two)
{
	free(LOAD(&s->made, RLX));
	FL_ACCEPTABLE(1, "made");
}

/*
 * A count after the end of the section that should guard it. Fix: count inside, and wait for the
 * lock.
 */
struct unlocked_count__race {
	atomic_int locked;
	int count;
};

static void count_once(struct unlocked_count__race *s)
{
	if (SWAP(&s->locked, 1, ACQ) == 0)
		STORE(&s->locked, 0, REL);
	s->count++;
}

FL_STRESS_ACTOR(unlocked_count__race, one)
{
	count_once(s);
}

FL_STRESS_ACTOR(unlocked_count__race, two)
{
	count_once(s);
}

FL_STRESS(unlocked_count__race, one, two)
{
	FL_ACCEPTABLE(s->count == 2, "both counted");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * stray_wake_reused_memory: a flag hands the memory over, and its owner reads it once more. Fix:
 * read before.
 */
struct touch_after_release__race {
	atomic_int given;
	int data, last;
};

FL_STRESS_ACTOR(touch_after_release__race, giver)
{
	STORE(&s->given, 1, REL);
	s->last = s->data;
}

FL_STRESS_ACTOR(touch_after_release__race, taker)
{
	if (LOAD(&s->given, ACQ))
		s->data = 1;
}

FL_STRESS(touch_after_release__race, giver, taker)
{
	FL_ACCEPTABLE(1, "given");
}
