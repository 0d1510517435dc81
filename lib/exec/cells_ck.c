/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The free list, on ck_stack: a Treiber stack whose head carries a generation, so that a compare-and-swap does not take a
 * head that was popped and pushed again meanwhile for the one it saw (ABA). Push and pop are lock-free.
 *
 * Order. ck fences stores against the push and loads against the pop. The two full fences here add what a recycled object
 * needs: that its last owner's loads come before the push too, and that nothing of its next owner comes before the pop. In
 * TSan's build this file is not instrumented; the annotations of the callers stand for both fences.
 *
 * The pop is ck's single try in a loop: it reads the generation before the head each time. The looping form of ck goes on
 * with the pair that a failed compare-and-swap found, and on aarch64 such a pair need not be of one moment.
 *
 * FL__NO_CK_STACK, a build define, chooses the list under a lock, as do machines for which ck has no such stack.
 */
#include "../base/atomic.h"
#include "../wait/lock.h"
#include "cells.h"
#include <ck_stack.h>

void fl__locked_list_push(struct fl__free_list *list, void *entry)
{
	fl__lock(&list->lock);
	*(void **)entry = list->locked_head;
	list->locked_head = entry;
	fl__unlock(&list->lock);
}

void *fl__locked_list_pop(struct fl__free_list *list)
{
	fl__lock(&list->lock);
	void *entry = list->locked_head;
	if (entry)
		list->locked_head = *(void **)entry;
	fl__unlock(&list->lock);
	return entry;
}

#if defined(CK_F_STACK_POP_MPMC) && !defined(FL__NO_CK_STACK)

_Static_assert(sizeof(struct ck_stack) <= sizeof(((struct fl__free_list *)0)->words), "the words hold a ck_stack");
_Static_assert(sizeof(struct ck_stack_entry) == sizeof(void *), "an entry is one pointer");

void fl__free_list_push(struct fl__free_list *list, void *entry)
{
	fl__fence_release(); /* pairs with the fence in fl__free_list_pop() */
	ck_stack_push_mpmc((struct ck_stack *)(void *)list->words, entry);
}

void *fl__free_list_pop(struct fl__free_list *list)
{
	struct ck_stack *stack = (struct ck_stack *)(void *)list->words;
	struct ck_stack_entry *entry;
	while (!ck_stack_trypop_mpmc(stack, &entry))
		if (!ck_pr_load_ptr(&stack->head))
			return NULL;
	fl__fence_acquire(); /* pairs with the fence in fl__free_list_push() */
	return entry;
}

#else

void fl__free_list_push(struct fl__free_list *list, void *entry)
{
	fl__locked_list_push(list, entry);
}

void *fl__free_list_pop(struct fl__free_list *list)
{
	return fl__locked_list_pop(list);
}

#endif
