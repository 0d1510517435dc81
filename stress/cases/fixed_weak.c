/* SPDX-License-Identifier: BSD-2-Clause */
/* The wrong algorithms of stress/planted, fixed: order and memory. */
#include "../planted/planted.h"

/* Release and acquire. */
struct fixed_weak_order {
	atomic_int data, flag;
	int seen, value;
};

FL_STRESS_ACTOR(fixed_weak_order, writer)
{
	STORE(&s->data, 1, RLX);
	STORE(&s->flag, 1, REL);
}

FL_STRESS_ACTOR(fixed_weak_order, reader)
{
	s->seen = LOAD(&s->flag, ACQ);
	s->value = LOAD(&s->data, RLX);
}

FL_STRESS(fixed_weak_order, writer, reader)
{
	FL_FORBIDDEN(s->seen && !s->value, "the flag without the data");
	FL_ACCEPTABLE(s->seen, "both");
	FL_ACCEPTABLE(!s->seen, "too early");
}

/* Full fences on both sides. */
struct fixed_waiter_flag_dekker {
	atomic_uint seq, waiters;
};

FL_STRESS_ACTOR(fixed_waiter_flag_dekker, waiter)
{
	STORE(&s->waiters, 1, RLX);
	atomic_thread_fence(memory_order_seq_cst);
	while (LOAD(&s->seq, ACQ) == 0)
		SLEEP(&s->seq, 0);
}

FL_STRESS_ACTOR(fixed_waiter_flag_dekker, waker)
{
	ADD(&s->seq, 1, REL);
	atomic_thread_fence(memory_order_seq_cst);
	if (LOAD(&s->waiters, RLX))
		WAKE(&s->seq, 1);
}

FL_STRESS(fixed_waiter_flag_dekker, waiter, waker)
{
	FL_ACCEPTABLE(1, "woken");
}

/* An acquire fence between the data and the second check. */
struct fixed_seqlock {
	atomic_uint seq;
	atomic_int a, b;
	int seen_a, seen_b;
	bool whole;
};

FL_STRESS_ACTOR(fixed_seqlock, writer)
{
	STORE(&s->seq, 1, RLX);
	atomic_thread_fence(memory_order_release);
	STORE(&s->a, 1, RLX);
	STORE(&s->b, 1, RLX);
	STORE(&s->seq, 2, REL);
}

FL_STRESS_ACTOR(fixed_seqlock, reader)
{
	unsigned before = LOAD(&s->seq, ACQ);
	s->seen_a = LOAD(&s->a, RLX);
	s->seen_b = LOAD(&s->b, RLX);
	atomic_thread_fence(memory_order_acquire);
	s->whole = before % 2 == 0 && LOAD(&s->seq, RLX) == before;
}

FL_STRESS(fixed_seqlock, writer, reader)
{
	FL_FORBIDDEN(s->whole && s->seen_a != s->seen_b, "torn");
	FL_ACCEPTABLE(s->whole, "whole");
	FL_ACCEPTABLE(!s->whole, "again");
}

/* The last drop acquires what all other drops released. */
struct fixed_refcount {
	struct {
		atomic_int refs;
		int used[2];
	} * object;
};

FL_STRESS_SETUP(fixed_refcount)
{
	s->object = calloc(1, sizeof *s->object);
	STORE(&s->object->refs, 2, RLX);
}

static void use_and_drop(struct fixed_refcount *s, int i)
{
	s->object->used[i] = 1;
	if (ADD(&s->object->refs, -1, ACQ_REL) != 1)
		return;
	s->object->used[0] = s->object->used[1] = 0;
	free(s->object);
}

FL_STRESS_ACTOR(fixed_refcount, one)
{
	use_and_drop(s, 0);
}

FL_STRESS_ACTOR(fixed_refcount, two)
{
	use_and_drop(s, 1);
}

FL_STRESS(fixed_refcount, one, two)
{
	FL_ACCEPTABLE(1, "freed once");
}

/* Sequential consistency. */
struct fixed_peterson {
	atomic_int wants[2], turn;
	int count;
};

static void enter(struct fixed_peterson *s, int me)
{
	STORE(&s->wants[me], 1, SEQ);
	STORE(&s->turn, !me, SEQ);
	while (LOAD(&s->wants[!me], SEQ) && LOAD(&s->turn, SEQ) == !me)
		fl_stress_relax();
	s->count++;
	STORE(&s->wants[me], 0, SEQ);
}

FL_STRESS_ACTOR(fixed_peterson, one)
{
	enter(s, 0);
}

FL_STRESS_ACTOR(fixed_peterson, two)
{
	enter(s, 1);
}

FL_STRESS(fixed_peterson, one, two)
{
	FL_ACCEPTABLE(s->count == 2, "both counted");
	FL_FORBIDDEN(1, "a count was lost");
}

/* A tag that counts every change of the head. */
struct fixed_aba {
	atomic_uint head, next[4]; /* head: tag x 4 + index, from 1; 0 ends the list */
	unsigned one, two;
};

FL_STRESS_SETUP(fixed_aba)
{
	for (unsigned i = 0; i < 3; i++)
		STORE(&s->next[i], i + 1, RLX);
	STORE(&s->head, 1, RLX);
}

static unsigned pop(struct fixed_aba *s)
{
	unsigned head, next;
	do {
		/* Again, after a failed compare-and-swap with relaxed order. */
		head = LOAD(&s->head, ACQ);
		next = LOAD(&s->next[head % 4], RLX);
	} while (!CAS(&s->head, &head, (head / 4 + 1) * 4 + next, ACQ));
	return head % 4;
}

static void push(struct fixed_aba *s, unsigned node)
{
	unsigned head = LOAD(&s->head, RLX);
	do
		STORE(&s->next[node], head % 4, RLX);
	while (!CAS(&s->head, &head, (head / 4 + 1) * 4 + node, REL));
}

FL_STRESS_ACTOR(fixed_aba, one)
{
	s->one = pop(s);
}

FL_STRESS_ACTOR(fixed_aba, two)
{
	unsigned first = pop(s);
	s->two = pop(s);
	push(s, first);
}

FL_STRESS(fixed_aba, one, two)
{
	FL_FORBIDDEN(s->one == s->two, "two own one node");
	FL_FORBIDDEN(LOAD(&s->head, RLX) % 4 == s->two, "free and owned");
	FL_ACCEPTABLE(1, "each has its own");
}

/* One swap takes the message; the first one wins. */
struct fixed_drop_vs_send {
	int *_Atomic slot;
	atomic_int closed;
};

FL_STRESS_ACTOR(fixed_drop_vs_send, sender)
{
	STORE(&s->slot, malloc(sizeof(int)), SEQ);
	if (LOAD(&s->closed, SEQ))
		free(SWAP(&s->slot, NULL, SEQ));
}

FL_STRESS_ACTOR(fixed_drop_vs_send, receiver)
{
	STORE(&s->closed, 1, SEQ);
	free(SWAP(&s->slot, NULL, SEQ));
}

FL_STRESS(fixed_drop_vs_send, sender, receiver)
{
	FL_ACCEPTABLE(LOAD(&s->slot, RLX) == NULL, "freed");
	FL_FORBIDDEN(1, "forgotten");
}

/* The loser frees its object. */
struct fixed_lazy_init {
	int *_Atomic made;
};

static void first_use(struct fixed_lazy_init *s)
{
	int *expected = NULL;
	if (LOAD(&s->made, ACQ))
		return;
	int *mine = malloc(sizeof *mine);
	if (!CAS(&s->made, &expected, mine, ACQ_REL))
		free(mine);
}

FL_STRESS_ACTOR(fixed_lazy_init, one)
{
	first_use(s);
}

FL_STRESS_ACTOR(fixed_lazy_init, two)
{
	first_use(s);
}

FL_STRESS(fixed_lazy_init, one, two)
{
	free(LOAD(&s->made, RLX));
	FL_ACCEPTABLE(1, "made");
}
