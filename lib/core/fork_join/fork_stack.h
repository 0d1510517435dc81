/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/atomic.h"
#include "fork_join.h"

/* The stacks of forks. fork_stack.c makes them and pushes; fork_join.c steals and waits. */

enum { FL__FORK_DEPTH = 512 };
#define FL__FORK_UNFENCED 0x80000000u

struct fl__fork_worker {
	/* what the owner uses with each push and pop */
	struct fl__fork_stack front;
	struct fl__fork *running; /* the innermost fork that this worker runs; private */
	size_t stolen;            /* how many it stole; only the worker writes it */
	char apart[FL__LINE];
	/* what thieves read */
	struct fl__forks *forks;
	struct fl__fork_worker *older; /* the stack made before this one, or NULL */
	struct fl__fork **top;
	char apart_top[FL__LINE];
	struct fl__fork *none;                      /* always NULL; a push reads it before slots[0] */
	struct fl__fork *slots[FL__FORK_DEPTH + 1]; /* the last is NULL, since a thief may read it */
};

static inline struct fl__fork_worker *fl__fork_worker_of(struct fl__fork_stack *s)
{
	return (struct fl__fork_worker *)(void *)s; /* front is its first member */
}

static inline bool fl__fork_is_private(const struct fl__fork *fork)
{
	return (uintptr_t)fork & FL__FORK_PRIVATE;
}

static inline struct fl__fork *fl__fork_without_mark(const struct fl__fork *fork)
{
	return (struct fl__fork *)((uintptr_t)fork & ~FL__FORK_PRIVATE);
}

/*
 * Returns the newest stack; the others are linked by `older`. The function is not inline, so that
 * its call in fork_join.c, which every program with a fork links, also links fork_stack.c. The
 * thread pool's references to that file are weak, and do not link it.
 */
struct fl__fork_worker *fl__fork_newest(const struct fl__forks *forks);

/*
 * Returns the stack that was made before `s`, or the newest if `s` was made first. So a walk from
 * any stack back to it visits each other stack once.
 */
static inline struct fl__fork_worker *fl__fork_after(const struct fl__fork_worker *s)
{
	return s->older ? s->older : fl__fork_newest(s->forks);
}

/* Guesses whether another worker has a fork, public or private. */
static inline bool fl__fork_is_left(const struct fl__fork_worker *self)
{
	for (struct fl__fork_worker *v = fl__fork_after(self); v != self; v = fl__fork_after(v))
		if (fl__load_relaxed(&v->top) < fl__load_relaxed(&v->front.next)) /* relaxed, both: hints */
			return true;
	return false;
}
