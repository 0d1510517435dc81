/* SPDX-License-Identifier: BSD-2-Clause */
/* clang-format off */
#include <fairlead/stress.h>
#include <stdatomic.h>

struct node { struct node *next; int value; };
struct stack { _Atomic(struct node *) top; struct node nodes[2]; int got[2]; };

static void push(struct stack *s, struct node *n, int value)
{
	n->value = value;
	n->next = atomic_load_explicit(&s->top, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&s->top, &n->next, n, memory_order_release, memory_order_relaxed))
		;
}

static int pop(struct stack *s)
{
	struct node *n = atomic_load_explicit(&s->top, memory_order_acquire);
	while (n && !atomic_compare_exchange_weak_explicit(&s->top, &n, n->next, memory_order_acquire, memory_order_acquire))
		;
	return n ? n->value : 0;
}

FL_STRESS_ACTOR(stack, pusher) { push(s, &s->nodes[0], 1); push(s, &s->nodes[1], 2); }
FL_STRESS_ACTOR(stack, popper) { s->got[0] = pop(s); s->got[1] = pop(s); }
FL_STRESS(stack, pusher, popper)
{
	FL_FORBIDDEN(s->got[0] != 0 && s->got[0] == s->got[1], "popped twice");
	FL_ACCEPTABLE(s->got[0] == 0 && s->got[1] == 0, "came too early");
	FL_ACCEPTABLE(1, "popped something");
}
