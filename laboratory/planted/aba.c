/* SPDX-License-Identifier: BSD-2-Clause */
/* ABA bugs: a value has gone away and come back. */
#include "planted.h"

/*
 * A free list of indices. Its head has a tag that each pop increments, modulo `tags`. Suppose that
 * a pop has read the head and its next. Another thread pops both, and pushes the head back. If the
 * tag is the same again, the first pop succeeds, and makes a block that has an owner the new head.
 */
struct list {
	/* head: tag x 4 + index; indices count from 1, and 0 ends the list */
	atomic_uint head, next[4];
	unsigned one, two;
};

/* With `again`, the pop loads the head once more after a failed compare-and-swap. */
static unsigned pop(struct list *l, unsigned tags, bool again)
{
	unsigned head = LOAD(&l->head, ACQ);
	while (!CAS(&l->head, &head, (head / 4 + 1) % tags * 4 + LOAD(&l->next[head % 4], RLX), ACQ))
		if (again)
			head = LOAD(&l->head, ACQ);
	return head % 4;
}

static void push(struct list *l, unsigned node)
{
	unsigned head = LOAD(&l->head, RLX);
	do
		STORE(&l->next[node], head % 4, RLX);
	while (!CAS(&l->head, &head, head / 4 * 4 + node, REL));
}

#define LIST(test, tags, again)                                                                                        \
	struct test {                                                                                                  \
		struct list l;                                                                                         \
	};                                                                                                             \
	SETUP(test)                                                                                                    \
	{                                                                                                              \
		for (unsigned i = 0; i < 3; i++)                                                                       \
			STORE(&s->l.next[i], i + 1, RLX);                                                              \
		STORE(&s->l.head, 1, RLX);                                                                             \
	}                                                                                                              \
	ACTOR(test, one)                                                                                               \
	{                                                                                                              \
		s->l.one = pop(&s->l, (tags), (again));                                                                \
	}                                                                                                              \
	ACTOR(test, two)                                                                                               \
	{                                                                                                              \
		unsigned first = pop(&s->l, (tags), (again));                                                          \
		s->l.two = pop(&s->l, (tags), (again));                                                                \
		push(&s->l, first);                                                                                    \
	}                                                                                                              \
	TEST(test, one, two)                                                                                           \
	{                                                                                                              \
		FL_FORBIDDEN(s->l.one == s->l.two, "two own one node");                                                \
		FL_FORBIDDEN(LOAD(&s->l.head, RLX) % 4 == s->l.two, "free and owned");                                 \
		FL_ACCEPTABLE(1, "each has its own");                                                                  \
	}

/*
 * The tag has many bits, but the pop continues with the head of its failed compare-and-swap. That
 * read was relaxed, so an old next of that head may be read. The fix is another load, with acquire.
 */
LIST(NAME(failed_cas_relaxed, forbidden), 1 << 20, BUG(false, true))

#ifndef FIXED

/* The head has no tag. The fix is a tag. */
LIST(aba_no_tag__forbidden, 1, true)

/*
 * aba_short_tag (tokio #5042, ck 7b5d000): a tag of one bit is the same again after two pops. The
 * fix is more bits.
 */
LIST(aba_short_tag__forbidden, 2, true)

#endif
