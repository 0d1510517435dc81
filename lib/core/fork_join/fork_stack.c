/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stacks of an executor's forks: how a worker gets its stack, makes a fork public in a push,
 * and gives the stack back. A thread that takes the place of a worker gets the stack that the
 * worker left. Because thieves read all stacks, each lasts as long as the executor. The invariants
 * are in fork_join.c.
 */
#include "fork_stack.h"
#include "../base/sys.h"
#include "../wait/context.h"

void fl__forks_init(struct fl__forks *forks, unsigned n, void (*wake)(void *pool), void *pool)
{
	*forks = (struct fl__forks){.n = n, .wake = wake, .pool = pool};
	forks->flags.thieves = FL__FORK_UNFENCED;
	forks->flags.sleepers = n > 1; /* so that the first push starts a worker */
}

void fl__forks_resize(struct fl__forks *forks, unsigned n)
{
	fl__store_relaxed(&forks->n, n); /* relaxed: a hint */
	if (n > 1)
		fl__store_relaxed(&forks->flags.sleepers, 1); /* relaxed: a later push sees it */
}

void fl__forks_fini(struct fl__forks *forks)
{
	for (struct fl__fork_worker *older, *s = fl__fork_worker_of(forks->newest); s; s = older) {
		older = s->older;
		fl__free(s);
	}
}

struct fl__fork_worker *fl__fork_newest(const struct fl__forks *forks)
{
	/* acquire: pairs with the release in fork_add_worker(), for this stack and older ones */
	return fl__fork_worker_of(fl__load_acquire(&forks->newest));
}

static void fork_add_worker(struct fl__forks *forks, struct fl__fork_worker *s)
{
	struct fl__fork_stack *seen;
	do {
		s->older = fl__fork_newest(forks);
		seen = s->older ? &s->older->front : NULL;
		/*
		 * release: pairs with the acquire in fl__fork_newest(), for the contents of the
		 * stack
		 */
	} while (!fl__cas_weak_release(&forks->newest, &seen, &s->front));
}

static struct fl__fork_stack *fork_make_stack(struct fl__forks *forks)
{
	struct fl__fork_worker *s = fl__alloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->forks = forks;
	s->front.next = s->front.split = s->top = s->slots;
	s->front.limit = s->slots + FL__FORK_DEPTH;
	s->front.flags = &forks->flags;
	fork_add_worker(forks, s);
	return &s->front;
}

struct fl__fork_stack *fl__forks_enter(struct fl__forks *forks, struct fl__fork_stack *left)
{
	struct fl__fork_stack *s = left ? left : fork_make_stack(forks);
	if (!s)
		return NULL;
	/* relaxed, both: the flag is never set again, and clearing it twice is harmless */
	if ((fl__load_relaxed(&forks->flags.thieves) & FL__FORK_UNFENCED) && fl__sys.membarrier() == 0)
		fl__and_relaxed(&forks->flags.thieves, ~FL__FORK_UNFENCED);
	fl__ctx_get()->front.forks = s;
	return s;
}

void fl__forks_leave(struct fl__fork_stack *self)
{
	if (self)
		fl__ctx_get()->front.forks = NULL;
}

size_t fl__forks_stolen(const struct fl__forks *forks)
{
	size_t stolen = 0;
	for (const struct fl__fork_worker *s = fl__fork_newest(forks); s; s = s->older)
		stolen += fl__load_relaxed(&s->stolen); /* relaxed: statistics */
	return stolen;
}

void fl__fork_push_public(struct fl__fork_stack *s, struct fl__fork **slot, struct fl__fork *fork)
{
	const bool is_oldest = s->split == slot;
	/* release: the fork's contents; pairs with the CAS of fork_take() */
	fl__store_release(slot, is_oldest ? fork : (struct fl__fork *)((uintptr_t)fork | FL__FORK_PRIVATE));
	fl__store_release(&s->next, slot + 1); /* release: the slot; pairs with fork_take_any() */
	if (is_oldest)
		s->split = slot + 1;
	while (s->split <= slot) {
		/* relaxed: a stale value makes the CAS below fail */
		struct fl__fork **oldest = s->split++, *seen = fl__load_relaxed(oldest);
		/* release: the fork's contents; pairs with the CAS of fork_take() */
		if (seen && fl__cas_release(oldest, &seen, fl__fork_without_mark(seen)))
			break;
	}
}
