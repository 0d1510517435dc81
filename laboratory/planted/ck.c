/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bugs of Concurrency Kit 0.7.1, seen through the ck_pr.h of laboratory/ck. The library calls none
 * of these functions.
 */
#include "planted.h"

#include "ck/depends.h"
#include <ck_stack.h>

/*
 * The store fence of a consumer on aarch64 (dmb ishst) orders only stores, and the consumer has
 * made no earlier store that another thread reads. So for a consumer, this is not a fence here. C11
 * has no such fence.
 */
static _Thread_local bool consumes;

static inline void store_fence(void)
{
	if (!consumes)
		ck_pr_fence_store();
}
#define ck_pr_fence_store store_fence
#include <ck_ring.h>

/* --- stacks --- */

struct ck_planted_stack {
	_Alignas(16) ck_stack_t stack;
	ck_stack_entry_t a, b, c;
};

static bool in_stack(const struct ck_planted_stack *s, const ck_stack_entry_t *entry)
{
	int n = 0;
	for (const ck_stack_entry_t *e = s->stack.head; e && n < 8; e = e->next, n++)
		if (e == entry)
			return true;
	return false;
}

/*
 * ck_stack_batch_pop_mpmc() takes all nodes, and leaves the generation unchanged. Suppose that
 * ck_stack_pop_mpmc() has read the head and its next. If the same head is pushed again, the pop
 * succeeds, and makes the old next, which is a node with an owner, the head. ck 7b5d000 (June 2026)
 * increments the generation.
 */
struct ck_stack_batch_pop_aba__forbidden {
	struct ck_planted_stack p;
};

FL_STRESS_SETUP(ck_stack_batch_pop_aba__forbidden)
{
	ck_stack_push_mpmc(&s->p.stack, &s->p.b);
	ck_stack_push_mpmc(&s->p.stack, &s->p.a);
}

FL_STRESS_ACTOR(ck_stack_batch_pop_aba__forbidden, popper)
{
	(void)ck_stack_pop_mpmc(&s->p.stack);
}

FL_STRESS_ACTOR(ck_stack_batch_pop_aba__forbidden, batch)
{
	/* it keeps b, and pushes a again */
	ck_stack_entry_t *all = ck_stack_batch_pop_mpmc(&s->p.stack);
	if (all == &s->p.a)
		ck_stack_push_mpmc(&s->p.stack, all);
}

FL_STRESS(ck_stack_batch_pop_aba__forbidden, popper, batch)
{
	FL_FORBIDDEN(in_stack(&s->p, &s->p.b), "free and owned");
	FL_ACCEPTABLE(1, "each has its own");
}

/*
 * ck_stack_pop_mpmc() continues with the pair of its failed compare-and-swap. On aarch64 without
 * LSE, this pair comes from ldxp. A pair that differs is not written back, so its halves need not
 * be from one moment: they may be an older head with a newer generation. When the next swap
 * succeeds, the next of that head may have changed. Here, a node is lost. ck has no fix as of June
 * 2026. ck_stack_trypop_mpmc() reads the generation first, each time, and is right.
 */
struct ck_stack_pop_torn_pair__forbidden {
	struct ck_planted_stack p;
	ck_stack_entry_t *popped;
	_Atomic(ck_stack_entry_t *) first, second;
};

FL_STRESS_SETUP(ck_stack_pop_torn_pair__forbidden)
{
	ck_stack_push_mpmc(&s->p.stack, &s->p.c);
	ck_stack_push_mpmc(&s->p.stack, &s->p.b);
	ck_stack_push_mpmc(&s->p.stack, &s->p.a);
}

FL_STRESS_ACTOR(ck_stack_pop_torn_pair__forbidden, one)
{
	STORE(&s->first, ck_stack_pop_mpmc(&s->p.stack), RLX);
}

FL_STRESS_ACTOR(ck_stack_pop_torn_pair__forbidden, popper)
{
	s->popped = ck_stack_pop_mpmc(&s->p.stack);
}

FL_STRESS_ACTOR(ck_stack_pop_torn_pair__forbidden, two)
{
	STORE(&s->second, ck_stack_pop_mpmc(&s->p.stack), RLX);
}

FL_STRESS_ACTOR(ck_stack_pop_torn_pair__forbidden, pusher)
{
	ck_stack_entry_t *first = SWAP(&s->first, NULL, RLX), *second = SWAP(&s->second, NULL, RLX);
	if (first)
		ck_stack_push_mpmc(&s->p.stack, first);
	if (second)
		ck_stack_push_mpmc(&s->p.stack, second);
}

FL_STRESS(ck_stack_pop_torn_pair__forbidden, one, popper, two, pusher)
{
	int n = (s->popped != NULL) + (LOAD(&s->first, RLX) != NULL) + (LOAD(&s->second, RLX) != NULL);
	for (const ck_stack_entry_t *e = s->p.stack.head; e && n < 8; e = e->next)
		n++;
	FL_FORBIDDEN(n != 3, "a node lost, or free and owned");
	FL_ACCEPTABLE(1, "each has its own");
}

/* --- rings --- */

/*
 * ck_ring_dequeue_spsc() copies the item, and then releases the slot to the producer. Between these
 * two is a fence for stores, although it is the reads of the copy that must come first. With dmb
 * ishst, the producer may write into a slot that is still being read. ck c7945fe (June 2026) has
 * ck_pr_fence_load_store() there.
 */
struct ck_ring_store_fence__race {
	ck_ring_t ring;
	ck_ring_buffer_t slots[2];
	int items[2];
};

FL_STRESS_SETUP(ck_ring_store_fence__race)
{
	ck_ring_init(&s->ring, 2);
}

FL_STRESS_ACTOR(ck_ring_store_fence__race, producer)
{
	(void)ck_ring_enqueue_spsc(&s->ring, s->slots, &s->items[0]);
	/* there are two slots, so the third item reuses the first one */
	for (int i = 0; i < 2; i++)
		while (!ck_ring_enqueue_spsc(&s->ring, s->slots, &s->items[1]))
			fl_stress_relax();
}

FL_STRESS_ACTOR(ck_ring_store_fence__race, consumer)
{
	int *item;
	consumes = true;
	for (int i = 0; i < 2; i++)
		while (!ck_ring_dequeue_spsc(&s->ring, s->slots, &item))
			fl_stress_relax();
}

TEST_OF_NO_OUTCOME(ck_ring_store_fence__race, producer, consumer)
