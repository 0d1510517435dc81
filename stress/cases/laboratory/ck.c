/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of Concurrency Kit's inline code, with the ck_pr.h of laboratory/ck. They make calls
 * that are right on all machines that Concurrency Kit supports; the laboratory also sees its plain
 * accesses. Wrong calls are in laboratory/planted/ck.c.
 */
#define FL_CK_SEE_PLAIN
#include "../cases.h"
#include <ck_rwlock.h>
#include <ck_sequence.h>
#include <ck_stack.h>

#include "ck/depends.h"
#include <ck_fifo.h>
#include <ck_ring.h>

/* Rings. Items come out in order, each once, with the data written before. */

static void ring_put(ck_ring_t *ring, ck_ring_buffer_t *slots, int *item, int value)
{
	*item = value;
	while (!ck_ring_enqueue_spsc(ring, slots, item))
		fl_stress_relax();
}

static int ring_take(ck_ring_t *ring, ck_ring_buffer_t *slots)
{
	int *item;
	while (!ck_ring_dequeue_spsc(ring, slots, &item))
		fl_stress_relax();
	return *item;
}

/* There is one slot, which is reused again and again. */
struct ck_ring_spsc_order {
	ck_ring_t ring;
	ck_ring_buffer_t slots[2];
	int items[3], got[3];
};

FL_STRESS_SETUP(ck_ring_spsc_order)
{
	ck_ring_init(&s->ring, 2);
}

FL_STRESS_ACTOR(ck_ring_spsc_order, producer)
{
	for (int i = 0; i < 3; i++)
		ring_put(&s->ring, s->slots, &s->items[i], 10 + i);
}

FL_STRESS_ACTOR(ck_ring_spsc_order, consumer)
{
	for (int i = 0; i < 3; i++)
		s->got[i] = ring_take(&s->ring, s->slots);
}

FL_STRESS(ck_ring_spsc_order, producer, consumer)
{
	FL_ACCEPTABLE(s->got[0] == 10 && s->got[1] == 11 && s->got[2] == 12, "in order");
}

/* Two threads get what they both put. No slot is reused: planted/ck.c has reused slots. */
struct ck_ring_mpmc_each_once {
	ck_ring_t ring;
	ck_ring_buffer_t slots[4];
	int items[2], taken[2];
};

FL_STRESS_SETUP(ck_ring_mpmc_each_once)
{
	ck_ring_init(&s->ring, 4);
}

static void put_mpmc(struct ck_ring_mpmc_each_once *s, int i)
{
	s->items[i] = 1 << i;
	FL_STRESS_CHECK(ck_ring_enqueue_mpmc(&s->ring, s->slots, &s->items[i]));
}

static int take_mpmc(struct ck_ring_mpmc_each_once *s)
{
	int *item;
	return ck_ring_dequeue_mpmc(&s->ring, s->slots, &item) ? *item : 0;
}

static void put_and_take(struct ck_ring_mpmc_each_once *s, int i)
{
	put_mpmc(s, i);
	s->taken[i] = take_mpmc(s);
}

TWO_ACTORS(ck_ring_mpmc_each_once, put_and_take)

FL_STRESS(ck_ring_mpmc_each_once, one, two)
{
	FL_FORBIDDEN(!s->taken[0] || !s->taken[1], "empty though its own put came first");
	FL_ACCEPTABLE((s->taken[0] ^ s->taken[1]) == 3, "each once");
}

/* Stacks. Nodes are not reused. */

struct node {
	ck_stack_entry_t entry; /* first */
	int value;
};

static struct node *node_of(ck_stack_entry_t *entry)
{
	return (struct node *)(void *)entry;
}

/*
 * Two threads take what both put. The head, and the pair of head and generation, are one location.
 */
struct ck_stack_mpmc_each_once {
	_Alignas(16) ck_stack_t stack;
	struct node nodes[2];
	int taken[2];
};

static void push_and_pop(struct ck_stack_mpmc_each_once *s, int i)
{
	s->nodes[i].value = i + 1;
	ck_stack_push_mpmc(&s->stack, &s->nodes[i].entry);
	s->taken[i] = node_of(ck_stack_pop_mpmc(&s->stack))->value;
}

TWO_ACTORS(ck_stack_mpmc_each_once, push_and_pop)

FL_STRESS(ck_stack_mpmc_each_once, one, two)
{
	FL_ACCEPTABLE((s->taken[0] ^ s->taken[1]) == 3, "each once");
}

/* Locks. The counter is exact, and there is no race for it. */

#define CK_LOCK_TEST(test, type, lock, unlock)                                                                         \
	struct test {                                                                                                  \
		type lock_word;                                                                                        \
		int counter;                                                                                           \
	};                                                                                                             \
	FL_STRESS_ACTOR(test, one)                                                                                     \
	{                                                                                                              \
		lock(&s->lock_word);                                                                                   \
		s->counter++;                                                                                          \
		unlock(&s->lock_word);                                                                                 \
		lock(&s->lock_word);                                                                                   \
		s->counter++;                                                                                          \
		unlock(&s->lock_word);                                                                                 \
	}                                                                                                              \
	FL_STRESS_ACTOR(test, two)                                                                                     \
	{                                                                                                              \
		lock(&s->lock_word);                                                                                   \
		s->counter++;                                                                                          \
		unlock(&s->lock_word);                                                                                 \
	}                                                                                                              \
	FL_STRESS(test, one, two)                                                                                      \
	{                                                                                                              \
		FL_ACCEPTABLE(s->counter == 3, "exact");                                                               \
		FL_FORBIDDEN(1, "lost");                                                                               \
	}

CK_LOCK_TEST(ck_spinlock_fas_excl, ck_spinlock_fas_t, ck_spinlock_fas_lock, ck_spinlock_fas_unlock)
CK_LOCK_TEST(ck_spinlock_cas_excl, ck_spinlock_cas_t, ck_spinlock_cas_lock, ck_spinlock_cas_unlock)
CK_LOCK_TEST(ck_spinlock_dec_excl, ck_spinlock_dec_t, ck_spinlock_dec_lock, ck_spinlock_dec_unlock)
CK_LOCK_TEST(ck_spinlock_ticket_excl, ck_spinlock_ticket_t, ck_spinlock_ticket_lock, ck_spinlock_ticket_unlock)

FL_STRESS_SETUP(ck_spinlock_dec_excl)
{
	ck_spinlock_dec_init(&s->lock_word);
}

/* A writer excludes all others. Readers exclude only writers. */
struct ck_rwlock_excl {
	ck_rwlock_t lock;
	int a, b, seen[2];
	bool tried;
};

FL_STRESS_ACTOR(ck_rwlock_excl, writer)
{
	ck_rwlock_write_lock(&s->lock);
	s->a = 1;
	s->b = 1;
	ck_rwlock_write_unlock(&s->lock);
}

FL_STRESS_ACTOR(ck_rwlock_excl, reader)
{
	ck_rwlock_read_lock(&s->lock);
	s->seen[0] = s->a - s->b;
	ck_rwlock_read_unlock(&s->lock);
}

FL_STRESS_ACTOR(ck_rwlock_excl, trier)
{
	s->tried = ck_rwlock_read_trylock(&s->lock);
	if (!s->tried)
		return;
	s->seen[1] = s->a - s->b;
	ck_rwlock_read_unlock(&s->lock);
}

FL_STRESS(ck_rwlock_excl, writer, reader, trier)
{
	FL_FORBIDDEN(s->seen[0] || s->seen[1], "half a write");
	FL_ACCEPTABLE(s->tried, "read");
	FL_ACCEPTABLE(!s->tried, "met the writer");
}

/*
 * The two halves that a reader accepts are of one write. They are relaxed atomics, because ck
 * leaves that to its user.
 */
struct ck_sequence_torn {
	ck_sequence_t sequence;
	atomic_int a, b;
	int seen_a, seen_b;
};

FL_STRESS_ACTOR(ck_sequence_torn, writer)
{
	for (int i = 1; i <= 2; i++) {
		ck_sequence_write_begin(&s->sequence);
		SET(&s->a, i);
		SET(&s->b, i);
		ck_sequence_write_end(&s->sequence);
	}
}

FL_STRESS_ACTOR(ck_sequence_torn, reader)
{
	unsigned version;
	do {
		version = ck_sequence_read_begin(&s->sequence);
		s->seen_a = LOOK(&s->a);
		s->seen_b = LOOK(&s->b);
	} while (ck_sequence_read_retry(&s->sequence, version));
}

FL_STRESS(ck_sequence_torn, writer, reader)
{
	FL_FORBIDDEN(s->seen_a != s->seen_b, "torn");
	FL_ACCEPTABLE(s->seen_a == 0, "before");
	FL_ACCEPTABLE(s->seen_a == 1, "between");
	FL_ACCEPTABLE(s->seen_a == 2, "after");
}

/* Queues of nodes. */

/* No node is reused: planted/ck.c has reused nodes. */
struct ck_fifo_mpmc_order {
	ck_fifo_mpmc_t fifo;
	ck_fifo_mpmc_entry_t stub, entries[3];
	int items[3], got[2];
};

FL_STRESS_SETUP(ck_fifo_mpmc_order)
{
	ck_fifo_mpmc_init(&s->fifo, &s->stub);
}

static void fifo_put(struct ck_fifo_mpmc_order *s, int i)
{
	s->items[i] = 10 + i;
	ck_fifo_mpmc_enqueue(&s->fifo, &s->entries[i], &s->items[i]);
}

static int fifo_take(struct ck_fifo_mpmc_order *s)
{
	int *item;
	ck_fifo_mpmc_entry_t *garbage;
	return ck_fifo_mpmc_dequeue(&s->fifo, &item, &garbage) ? *item : 0;
}

FL_STRESS_ACTOR(ck_fifo_mpmc_order, one)
{
	fifo_put(s, 0);
	fifo_put(s, 1);
	s->got[0] = fifo_take(s);
}

FL_STRESS_ACTOR(ck_fifo_mpmc_order, two)
{
	fifo_put(s, 2);
	s->got[1] = fifo_take(s);
}

FL_STRESS(ck_fifo_mpmc_order, one, two)
{
	FL_FORBIDDEN(!s->got[0] || !s->got[1], "empty though its own put came first");
	FL_FORBIDDEN(s->got[0] == s->got[1], "one item twice");
	int rest = fifo_take(s);
	FL_FORBIDDEN(s->got[0] + s->got[1] + rest != 33, "not each once");
	FL_FORBIDDEN(rest == 10, "out of order");
	FL_ACCEPTABLE(1, "each once, in order");
}
