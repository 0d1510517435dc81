/* SPDX-License-Identifier: BSD-2-Clause */
/* ABA: a value that went away and came back. */
#include "planted.h"

/*
 * A free list of indices without a tag. A pop has read the head and its next; another thread pops
 * both and pushes the head back; then the first pop makes a block the head that has an owner. Fix:
 * a tag in the head. (fixed)
 */
struct aba_no_tag__forbidden {
	atomic_uint head, next[4]; /* from 1; 0 ends the list */
	unsigned one, two;
};

FL_STRESS_SETUP(aba_no_tag__forbidden)
{
	for (unsigned i = 0; i < 3; i++)
		STORE(&s->next[i], i + 1, RLX);
	STORE(&s->head, 1, RLX);
}

static unsigned pop(struct aba_no_tag__forbidden *s)
{
	unsigned head;
	do
		head = LOAD(&s->head, ACQ);
	while (!CAS(&s->head, &head, LOAD(&s->next[head], RLX), ACQ));
	return head;
}

static void push(struct aba_no_tag__forbidden *s, unsigned node)
{
	unsigned head = LOAD(&s->head, RLX);
	do
		STORE(&s->next[node], head, RLX);
	while (!CAS(&s->head, &head, node, REL));
}

FL_STRESS_ACTOR(aba_no_tag__forbidden, one)
{
	s->one = pop(s);
}

FL_STRESS_ACTOR(aba_no_tag__forbidden, two)
{
	unsigned first = pop(s);
	s->two = pop(s);
	push(s, first);
}

FL_STRESS(aba_no_tag__forbidden, one, two)
{
	FL_FORBIDDEN(s->one == s->two, "two own one node");
	FL_FORBIDDEN(LOAD(&s->head, RLX) == s->two, "free and owned");
	FL_ACCEPTABLE(1, "each has its own");
}

/*
 * aba_short_tag (tokio #5042, ck 7b5d000): the same with a tag of one bit: it is the same after two
 * pops. Fix: more bits.
 */
struct aba_short_tag__forbidden {
	atomic_uint head, next[4]; /* head: index x 2 + tag */
	unsigned one, two;
};

FL_STRESS_SETUP(aba_short_tag__forbidden)
{
	for (unsigned i = 0; i < 3; i++)
		STORE(&s->next[i], i + 1, RLX);
	STORE(&s->head, 2, RLX);
}

static unsigned tagged_pop(struct aba_short_tag__forbidden *s)
{
	unsigned head, next;
	do {
		head = LOAD(&s->head, ACQ);
		next = LOAD(&s->next[head / 2], RLX);
	} while (!CAS(&s->head, &head, next * 2 + !(head % 2), ACQ));
	return head / 2;
}

static void tagged_push(struct aba_short_tag__forbidden *s, unsigned node)
{
	unsigned head = LOAD(&s->head, RLX);
	do
		STORE(&s->next[node], head / 2, RLX);
	while (!CAS(&s->head, &head, node * 2 + head % 2, REL));
}

FL_STRESS_ACTOR(aba_short_tag__forbidden, one)
{
	s->one = tagged_pop(s);
}

FL_STRESS_ACTOR(aba_short_tag__forbidden, two)
{
	unsigned first = tagged_pop(s);
	s->two = tagged_pop(s);
	tagged_push(s, first);
}

FL_STRESS(aba_short_tag__forbidden, one, two)
{
	FL_FORBIDDEN(s->one == s->two, "two own one node");
	FL_FORBIDDEN(LOAD(&s->head, RLX) / 2 == s->two, "free and owned");
	FL_ACCEPTABLE(1, "each has its own");
}

/*
 * A ring of two: its head is kept below two. A pop that has read the slot finds the head unchanged
 * a whole lap later, and delivers an item twice. Fix: a head that does not wrap with the ring.
 */
struct aba_index_wrap__forbidden {
	atomic_int head, slot[2];
	int one, two[2];
};

FL_STRESS_SETUP(aba_index_wrap__forbidden)
{
	STORE(&s->slot[0], 10, RLX);
	STORE(&s->slot[1], 11, RLX);
}

static int pop_slot(struct aba_index_wrap__forbidden *s)
{
	int head, item;
	do {
		head = LOAD(&s->head, ACQ);
		item = LOAD(&s->slot[head], RLX);
	} while (!CAS(&s->head, &head, !head, ACQ_REL));
	return item;
}

FL_STRESS_ACTOR(aba_index_wrap__forbidden, one)
{
	s->one = pop_slot(s);
}

FL_STRESS_ACTOR(aba_index_wrap__forbidden, two)
{
	s->two[0] = pop_slot(s);
	if (s->two[0] != 10)
		return;
	STORE(&s->slot[0], 12, RLX); /* its slot is free again */
	s->two[1] = pop_slot(s);
}

FL_STRESS(aba_index_wrap__forbidden, one, two)
{
	FL_FORBIDDEN(s->one == s->two[0] || s->one == s->two[1], "delivered twice");
	FL_ACCEPTABLE(1, "each once");
}

/*
 * A tag of many bits, and a pop that continues with the head of its failed compare-and-swap. That
 * read was relaxed, so the next of that head may be an old one. Fix: another load, with acquire.
 * (fixed)
 */
struct failed_cas_relaxed__forbidden {
	atomic_uint head, next[4]; /* head: tag x 4 + index, from 1; 0 ends the list */
	unsigned one, two;
};

FL_STRESS_SETUP(failed_cas_relaxed__forbidden)
{
	for (unsigned i = 0; i < 3; i++)
		STORE(&s->next[i], i + 1, RLX);
	STORE(&s->head, 1, RLX);
}

static unsigned counted_pop(struct failed_cas_relaxed__forbidden *s)
{
	unsigned head = LOAD(&s->head, ACQ), next;
	do
		next = LOAD(&s->next[head % 4], RLX);
	while (!CAS(&s->head, &head, (head / 4 + 1) * 4 + next, ACQ));
	return head % 4;
}

static void counted_push(struct failed_cas_relaxed__forbidden *s, unsigned node)
{
	unsigned head = LOAD(&s->head, RLX);
	do
		STORE(&s->next[node], head % 4, RLX);
	while (!CAS(&s->head, &head, (head / 4 + 1) * 4 + node, REL));
}

FL_STRESS_ACTOR(failed_cas_relaxed__forbidden, one)
{
	s->one = counted_pop(s);
}

FL_STRESS_ACTOR(failed_cas_relaxed__forbidden, two)
{
	unsigned first = counted_pop(s);
	s->two = counted_pop(s);
	counted_push(s, first);
}

FL_STRESS(failed_cas_relaxed__forbidden, one, two)
{
	FL_FORBIDDEN(s->one == s->two, "two own one node");
	FL_FORBIDDEN(LOAD(&s->head, RLX) % 4 == s->two, "free and owned");
	FL_ACCEPTABLE(1, "each has its own");
}
