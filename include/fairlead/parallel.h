/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PARALLEL_H
#define FAIRLEAD_PARALLEL_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/private/context.h>
#include <fairlead/private/inline.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Parallel loops: the workers of an executor process parts of a range of numbers.
 *
 *     static int scale(void *state, size_t from, size_t to) { for (...) x[i] *= 2; return 0; }
 *
 *     rc = fl_parallel_for(pool, 0, n, scale, x, NULL);      // check
 *
 * The range is split when a worker is idle, so no size of parts needs to be chosen.
 */
typedef struct fl_parallel_config {
	size_t grain; /* the most numbers for a call of the body; 0: measured */
	fl_time deadline;
	fl_cancel_token *cancel; /* NULL: the caller's scope; FL_SHIELDED: none */
	int *error;              /* stores the error of the call that failed, for FL_ETASK; may be NULL */
	uintptr_t more_[4];
} fl_parallel_config;

/*
 * Calls body(state, from, to) for parts that together are the numbers from `begin` to `end` - 1,
 * each once, in any order, several at a time. Blocks until all calls have returned. In a task of
 * `e` the loop runs on that task's worker and on idle workers. A thread that runs no task may make
 * calls beside the workers, as a task with FL_FULL_RUN does, unless `e` has one worker or an
 * initializer; these calls fork nothing. The calls have a scope that is requested when a call
 * fails, at the deadline, and with `cancel`. Returns:
 *   0            also for an empty range
 *   FL_ETASK     a call returned another value than 0; no further calls were begun
 *   -ETIMEDOUT, -ECANCELED
 *                some calls were not begun
 *   -ENOTSUP     the executor's tasks do not see the caller's memory (no FL_CAP_BY_REFERENCE)
 *   -EOWNERDEAD  a call has ended its thread, by pthread_exit() or pthread_cancel(), while no part
 *                of the loop was offered to another worker; otherwise see docs/ends.md
 * or an error of fl_submit(). Memory order: the calls see what the caller wrote before; the caller
 * then sees what the calls wrote.
 */
FL_API FL_MUST_CHECK int fl_parallel_for(fl_executor *e, size_t begin, size_t end,
                                         int (*body)(void *state, size_t from, size_t to), void *state,
                                         const fl_parallel_config *config);

/* How the values of parts are computed and combined. */
typedef struct fl_reduction {
	size_t size;          /* of the value, up to FL_REDUCTION_MAX; aligned as max_align_t */
	const void *identity; /* the value of an empty part: combined with another it changes nothing */
	/*
	 * Adds the numbers `from` to `to` - 1 to `*value`, which has those directly before. Returns
	 * 0, or an error.
	 */
	int (*body)(void *state, size_t from, size_t to, void *value);
	/*
	 * Makes `*left` the value of both parts; `*right` is that of the part that follows. Must be
	 * associative; need not commute.
	 */
	void (*combine)(void *state, void *left, const void *right);
} fl_reduction;
#define FL_REDUCTION_MAX 256

/*
 * As fl_parallel_for(); on success stores the value of the whole range in `*value`. Parts,
 * different in each run, are combined in the order of the numbers. Also returns -E2BIG: the value
 * is larger than FL_REDUCTION_MAX.
 */
FL_API FL_MUST_CHECK int fl_parallel_reduce(fl_executor *e, size_t begin, size_t end, const fl_reduction *reduction,
                                            void *state, void *value, const fl_parallel_config *config);

/*
 * Fork and join: calls two functions. On a worker of a thread executor an idle worker may steal the
 * second call. Otherwise they are called one after the other.
 *
 *     rc = fl_parallel_invoke(sort, &left, sort, &right);
 */
struct fl__fork_stack; /* lib/core/fork_join/fork_join.c has the invariants of the fast path below */

/* A call that another worker may steal; on the stack of the forker. The thief sets the rest. */
struct fl__fork {
	int (*run)(void *);
	void *arg;
	fl_cancel_token *scope;   /* of the forker */
	struct fl__inside inside; /* of the forker */
	uint32_t state;
	int error;
	struct fl__fork_stack *thief;
	struct fl__fork *outer;
	fl_cancel_token token;
};

struct fl__fork_flags {
	uint32_t thieves;  /* thieves of private forks, and FL__FORK_UNFENCED; not 0: each pop is a swap */
	uint32_t sleepers; /* 1: a context may sleep that could steal */
};

struct fl__fork_stack {
	/* The slots before `next` have the forks under way. The owner alone writes these pointers. */
	struct fl__fork **next, **limit;
	/* Forks before this slot are public, and those from it on private. There is a slot before the first. */
	struct fl__fork **split;
	struct fl__fork_flags *flags;
};

/* In a slot: this bit of the pointer marks a private fork. */
#define FL__FORK_PRIVATE ((uintptr_t)1)

/* Pushes when all public forks are taken: makes the oldest private fork public. */
FL_API void fl__fork_push_public(struct fl__fork_stack *s, struct fl__fork **slot, struct fl__fork *fork);

/* Called after a push if `sleepers` is set: wakes a context that can steal. */
FL_API void fl__fork_wake(struct fl__fork_stack *s);

/* Waits for a stolen fork. `error`: of the first call. Returns that of fl_parallel_invoke(). */
FL_API int fl__fork_await(struct fl__fork_stack *s, struct fl__fork *fork, int error);

static inline void fl__fork_push(struct fl__fork_stack *_s, struct fl__fork **_slot, struct fl__fork *_fork)
{
	if (fl__likely(fl__load_relaxed(_s->split - 1) != NULL)) { /* relaxed: a late look delays a steal */
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

/*
 * Calls f(a) on the calling thread, and g(b) after it, or beside it on another worker of the same
 * executor. Blocks the calling context until both have returned, also after a cancel. While g runs
 * on another worker, the waiting thread may run parts of g: calls that g has forked. It runs
 * nothing else, so the caller may hold a lock that neither f nor g wants. f and g must not wait for
 * each other, nor leave by longjmp or pthread_exit. g runs under the caller's cancel
 * scope, and is a part of the caller's task or callback, wherever g runs: its fl_executor_current()
 * and results -EDEADLK are the caller's. Of nested calls the outer 512 of a worker may run at the
 * same time; the calls within them are made one after the other.
 *
 * If f fails, a g that has not begun is not called, and the scope of a running g is requested. If g
 * fails, f goes on. Returns what f returned if that is not 0; else what g returned. -EOWNERDEAD: in
 * a forked child, if another thread of the parent runs g. Memory order: g sees what was written
 * before the call; the caller then sees what both wrote.
 */
static inline FL_MUST_CHECK int fl_parallel_invoke(int (*_f)(void *), void *_a, int (*_g)(void *), void *_b)
{
	const struct fl__ctx_front *_ctx = (const struct fl__ctx_front *)(void *)fl__ctx_current;
	struct fl__fork_stack *_s = _ctx ? _ctx->forks : NULL;
	struct fl__fork _fork, **_slot;
	int _error;
	if (fl__unlikely(!_s || _s->next == _s->limit)) {
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
	if (fl__unlikely(!fl__fork_pop(_s, _slot)))
		return fl__fork_await(_s, &_fork, _error);
	return _error != 0 ? _error : _g(_b);
}

FL_END_DECLS

#endif
