/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PARALLEL_INVOKE_H
#define FAIRLEAD_PARALLEL_INVOKE_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/inline.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Fork and join: two functions that may run at the same time, for work that divides itself. On a worker of a thread executor
 * another worker that has nothing to do takes the second; everywhere else, and when nobody is free, they are two calls, one
 * after the other. So it costs a few nanoseconds, and no memory.
 *
 *     static int sort(void *arg)
 *     {
 *             struct slice *s = arg, left, right;
 *             if (s->n < 1000)
 *                     return sort_here(s);
 *             cut(s, &left, &right);
 *             int rc = fl_parallel_invoke(sort, &left, sort, &right);
 *             return rc != 0 ? rc : merge(s, &left, &right);
 *     }
 */
struct fl__fork_stack; /* what it is made of comes first: lib/fork_join/fork_join.c has the invariants */

/*
 * What an execution context runs. A call that another worker takes from the context is a part of
 * that.
 */
struct fl__inside {
	void *helper;                /* of the innermost task: lib/wait/context.h */
	struct fl__calling *calling; /* of the callbacks that it runs: lib/future/future.h */
};

/* The beginning of an execution context: what the inline code below needs of it. */
struct fl__ctx_front {
	struct fl__fork_stack *forks; /* where it lays its forks; NULL: nobody would take them */
	fl_cancel_token *scope;       /* observed by plain waits; NULL: none */
	struct fl__inside inside;
};

struct fl__ctx;
FL_API extern __thread struct fl__ctx *fl__ctx_current __attribute__((tls_model("initial-exec")));

/* A call that another worker may take; on the stack of whoever forks. What is not set there, the thief sets. */
struct fl__fork {
	int (*run)(void *);
	void *arg;
	fl_cancel_token *scope;   /* of the forker */
	struct fl__inside inside; /* likewise */
	uint32_t state;
	int error;
	struct fl__fork_stack *thief;
	struct fl__fork *outer;
	fl_cancel_token token;
};

struct fl__fork_flags {
	uint32_t thieves;  /* who steals now; not 0: a fork is claimed by a read-modify-write */
	uint32_t sleepers; /* whether somebody sleeps who might steal */
};

struct fl__fork_stack {
	struct fl__fork **next,
	    **limit; /* the slots from the first to `next` are forks under way; `next` is the owner's to write */
	struct fl__fork_flags *flags;
};

/* A fork was laid open, and somebody may sleep who would take it. */
FL_API void fl__fork_wake(struct fl__fork_stack *s);

/* Waits for a fork that was taken; `error`: of the first call. Returns what fl_parallel_invoke() is to return. */
FL_API int fl__fork_await(struct fl__fork_stack *s, struct fl__fork *fork, int error);

static inline void fl__fork_push(struct fl__fork_stack *_s, struct fl__fork **_slot, struct fl__fork *_fork)
{
	fl__store_release(_slot, _fork);         /* what the fork holds; pairs with the CAS in steal() */
	fl__store_release(&_s->next, _slot + 1); /* the slot; pairs with the load in steal() */
	if (__builtin_expect(fl__load_relaxed(&_s->flags->sleepers) != 0, 0)) /* relaxed: a hint, see doze() */
		fl__fork_wake(_s);
}

/* Whether the fork in `_slot`, the last, is still the owner's; it is in no case there any more. */
static inline int fl__fork_pop(struct fl__fork_stack *_s, struct fl__fork **_slot)
{
	/* relaxed: the fence of a thief's membarrier() is behind it, or before the next load */
	fl__store_relaxed(&_s->next, _slot);
	fl__in_program_order();
	/* acquire: a thief has gone, and what it took is gone; pairs with the release in stop_stealing() */
	if (__builtin_expect(fl__load_acquire(&_s->flags->thieves) == 0, 1))
		return fl__load_relaxed(_slot) != NULL; /* relaxed: nobody else is at it */
	return fl__swap_relaxed(_slot, NULL) != NULL;   /* relaxed: fl__fork_await() acquires what the thief did */
}

/*
 * Calls f(a) and g(b), maybe at the same time: f on the calling thread, and g there after f, or meanwhile on another worker of
 * the same executor. Blocks the calling context until both have returned, whatever is requested; while g runs elsewhere it
 * runs what g has forked. The two must not wait for each other, nor leave by longjmp or pthread_exit. g runs under the caller's
 * cancel scope, and is a part of the caller's task or callback, wherever g runs: its
 * fl_executor_current() is the caller's, and a function that returns -EDEADLK in that task or
 * callback does so in g. Of nested calls the outer 512 of a worker may run at the same time; those
 * within are made in turn.
 *
 * When f fails g is not called any more; if it is running, its scope is requested. f goes on when g fails.
 * Returns what f returned if that is not 0; else what g returned. -EOWNERDEAD: in a forked child, where g's thread is not.
 * Memory order: g sees what was written before the call; after it, the caller sees what both wrote.
 */
static inline FL_MUST_CHECK int fl_parallel_invoke(int (*_f)(void *), void *_a, int (*_g)(void *), void *_b)
{
	const struct fl__ctx_front *_ctx = (const struct fl__ctx_front *)(void *)fl__ctx_current;
	struct fl__fork_stack *_s = _ctx ? _ctx->forks : NULL;
	struct fl__fork _fork, **_slot;
	int _error;
	if (__builtin_expect(!_s || _s->next == _s->limit, 0)) {
		_error = _f(_a);
		return _error != 0 ? _error : _g(_b);
	}
	_slot = _s->next;
	_fork.run = _g;
	_fork.arg = _b;
	_fork.scope = _ctx->scope;
	_fork.inside = _ctx->inside;
	_fork.state = 0;
	fl__fork_push(_s, _slot, &_fork);
	_error = _f(_a);
	if (__builtin_expect(!fl__fork_pop(_s, _slot), 0))
		return fl__fork_await(_s, &_fork, _error);
	return _error != 0 ? _error : _g(_b);
}

FL_END_DECLS

#endif
