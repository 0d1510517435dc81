/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_FORK_H
#define FAIRLEAD_FORK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/context.h>
#include <fairlead/private/inline.h>

FL_BEGIN_DECLS

/*
 * This header is private. It has the forks of fl_parallel_invoke(), and its fast path.
 */
struct fl__fork_stack; /* lib/core/fork_join/fork_join.c has the invariants of the fast path below */

/*
 * A call that another worker may steal. It lies on the stack of the forker. The thief sets `error`
 * and the fields after it.
 */
struct fl__fork {
	int (*run)(void *);
	void *arg;
	fl_cancel_token *scope;   /* the forker's scope */
	struct fl__inside inside; /* the forker's */
	uint32_t state;
	int error;
	struct fl__fork_stack *thief;
	struct fl__fork *outer;
	fl_cancel_token token;
};

struct fl__fork_flags {
	/* thieves of private forks, and FL__FORK_UNFENCED; while it is not 0, each pop is a swap */
	uint32_t thieves;
	uint32_t sleepers; /* 1 if a context that could steal may sleep */
};

struct fl__fork_stack {
	/*
	 * The slots before `next` have the forks under way. The owner alone writes these pointers.
	 */
	struct fl__fork **next, **limit;
	/*
	 * Forks before this slot are public, and forks from this slot on are private. A push reads
	 * the slot before `split`. So there is a further slot before the first one, which is always
	 * NULL.
	 */
	struct fl__fork **split;
	struct fl__fork_flags *flags;
};

/* This bit of the pointer in a slot marks a private fork. */
#define FL__FORK_PRIVATE ((uintptr_t)1)

/* Pushes a fork when all public forks are taken, and makes the oldest private fork public. */
FL_API void fl__fork_push_public(struct fl__fork_stack *s, struct fl__fork **slot, struct fl__fork *fork);

/* Called after a push if `sleepers` is set. Tries to wake a context that can steal. */
FL_API void fl__fork_wake(struct fl__fork_stack *s);

/*
 * Waits for a stolen fork. `error` is the result of the first call. Returns the result of
 * fl_parallel_invoke().
 */
FL_API int fl__fork_await(struct fl__fork_stack *s, struct fl__fork *fork, int error);

static inline void fl__fork_push(struct fl__fork_stack *_s, struct fl__fork **_slot, struct fl__fork *_fork)
{
	if (fl__likely(fl__load_relaxed(_s->split - 1) != NULL)) { /* relaxed: an old value delays a steal */
		/* release: the fork's contents; pairs with the CAS of fork_take() */
		fl__store_release(_slot, (struct fl__fork *)((uintptr_t)_fork | FL__FORK_PRIVATE));
		fl__store_release(&_s->next, _slot + 1); /* release: the slot; pairs with fork_take_any() */
	} else {
		fl__fork_push_public(_s, _slot, _fork);
	}
	if (fl__unlikely(fl__load_relaxed(&_s->flags->sleepers) != 0)) /* a hint, see fork_sleep() */
		fl__fork_wake(_s);
}

/* Removes the fork in `_slot`, the last one. Returns 0 if it was stolen. */
static inline int fl__fork_pop(struct fl__fork_stack *_s, struct fl__fork **_slot)
{
	/* relaxed: a thief's membarrier() is a fence after this store or before the next load */
	fl__store_relaxed(&_s->next, _slot);
	fl__in_program_order();
	/* acquire: the slots that thieves have emptied; pairs with fork_take_any() */
	if (fl__likely(_slot >= _s->split && fl__load_acquire(&_s->flags->thieves) == 0))
		return fl__load_relaxed(_slot) != NULL; /* relaxed: no thief uses the slot */
	if (_slot < _s->split)
		_s->split = _slot;
	return fl__swap_relaxed(_slot, NULL) != NULL; /* relaxed: fl__fork_await() acquires what the thief wrote */
}

FL_END_DECLS

#endif
