/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PARALLEL_H
#define FAIRLEAD_PARALLEL_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/private/context.h>
#include <fairlead/private/fork.h>
#include <fairlead/private/inline.h>

FL_BEGIN_DECLS

/*
 * A parallel loop calls a function for all numbers of a range, which the workers of an executor
 * share.
 *
 *     static int scale(void *state, size_t from, size_t to) { for (...) x[i] *= 2; return 0; }
 *
 *     rc = fl_parallel_for(pool, 0, n, scale, x, NULL);      // check
 *
 * A loop of 32 parts or more is shared only if it seems to take longer than 20 microseconds.
 */
typedef struct fl_parallel_config {
	/*
	 * The most numbers in a call of the body; 0 lets the library choose. A loop notices a
	 * cancel or a failure only between two calls.
	 */
	size_t grain;
	fl_time deadline;        /* of the whole loop; FL_FOREVER means none */
	fl_cancel_token *cancel; /* NULL means the caller's scope; FL_SHIELDED means none */
	int *error;              /* where FL_ETASK stores the error; may be NULL */
	uintptr_t more_[4];
} fl_parallel_config;

/*
 * Calls body(state, from, to) for parts of the range from `begin` to `end` - 1, several at a time.
 * A call processes the numbers from `from` to `to` - 1, and together they process each number once,
 * in any order. Blocks the calling context until all have returned.
 *
 * At most fl_executor_workers() calls run at a time, unless tasks block (fairlead/blocking.h), and
 * no two of them have the same fl_executor_current_worker(). A task of `e` that calls
 * fl_parallel_for() takes part in the loop. Usually a thread that runs no task also does, unless
 * `e` has only one worker or an initializer.
 *
 * The calls have a cancel scope, which is cancelled at the deadline and with `cancel`. A call fails
 * if it returns anything but 0 or, after its scope was cancelled, -ECANCELED. After a failure no
 * further calls begin, but others may still be running. Returns:
 *   0                       all calls have returned 0, or the range is empty
 *   FL_ETASK                a call failed
 *   -ETIMEDOUT, -ECANCELED  the deadline passed, or the loop or its executor was cancelled, and
 *                           some calls were not begun, or returned -ECANCELED
 *   -ENOTSUP                the executor's tasks do not see the caller's memory (no
 *                           FL_CAP_BY_REFERENCE)
 *   other                   an error of fl_executor_submit()
 *
 * Memory order: the calls see what the caller wrote before, and the caller sees what they wrote.
 */
FL_API FL_MUST_CHECK int fl_parallel_for(fl_executor *e, size_t begin, size_t end,
                                         int (*body)(void *state, size_t from, size_t to), void *state,
                                         const fl_parallel_config *config);

/* A reduction says how to compute the value of a part, and how to combine two values. */
typedef struct fl_reduction {
	/* The size of a value in bytes, up to FL_REDUCTION_MAX, aligned as max_align_t. */
	size_t size;
	/* The value of an empty part, which changes nothing when it is combined with another. */
	const void *identity;
	/*
	 * Adds the numbers `from` to `to` - 1 to `*value`, which is a copy of `identity` or the
	 * value of the part's numbers before `from`. Returns 0, or an error.
	 */
	int (*body)(void *state, size_t from, size_t to, void *value);
	/*
	 * Combines the values of two neighbouring parts, `*left` and then `*right`, and stores the
	 * result in `*left`. It must be associative, but need not be commutative.
	 */
	void (*combine)(void *state, void *left, const void *right);
} fl_reduction;
#define FL_REDUCTION_MAX 256

/*
 * Computes one value from the numbers `begin` to `end` - 1, and stores it in `*value` if all calls
 * succeed. The parts are processed as in fl_parallel_for(), and may differ in each run. Their
 * values are combined in the order of the numbers. Blocks the calling context. Returns what
 * fl_parallel_for() returns, with its memory order, or -E2BIG if the value has more than
 * FL_REDUCTION_MAX bytes.
 */
FL_API FL_MUST_CHECK int fl_parallel_reduce(fl_executor *e, size_t begin, size_t end, const fl_reduction *reduction,
                                            void *state, void *value, const fl_parallel_config *config);

/*
 * Forks and joins: calls f(a) on the calling thread, and g(b) after it. However, an idle worker may
 * steal g(b) and run it at the same time, if the caller is on a worker of a thread executor. Blocks
 * the calling context until both have returned, even after a cancel.
 *
 *     rc = fl_parallel_invoke(sort, &left, sort, &right);     // in sort(), for the two halves
 *
 * If f fails, g is not called or, if it runs, its cancel scope is cancelled. If g fails, f goes on.
 *
 * While the caller waits for g, it runs parts of g (calls that g has forked) and nothing else, so
 * it may hold a lock that neither f nor g needs. f and g must not wait for each other, and must not
 * leave by longjmp() or pthread_exit().
 *
 * Wherever g runs, it has the caller's cancel scope and fl_executor_current(). Calls may be nested
 * to any depth, but only g of the outermost 512 can be stolen. Returns what f returned, if that is
 * not 0, and otherwise what g returned. Memory order: g sees what was written before the call, and
 * after the return the caller sees what both functions wrote.
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

/*
 * Calls f for each of the `n` elements of the array `states`, of `size` bytes each, in order, and
 * waits for all calls. Idle workers may steal calls, as in fl_parallel_invoke().
 *
 *     struct node children[MAX];                          // a search: a state for each move
 *     size_t n = moves_of(node, children);
 *     int rc = fl_parallel_invoke_all(search, children, n, sizeof children[0]);
 *
 * If a call fails, calls of later elements are not begun, and those that run are cancelled. Calls
 * of earlier elements go on. What fl_parallel_invoke() says of f and g, and of memory order, holds
 * for each call. Returns 0 if all calls have returned 0, or `n` is 0; otherwise:
 *   -EINVAL  `size` is 0, or an array of that size cannot exist; nothing was called
 *   other    what the call of the first element that failed has returned
 */
FL_API FL_MUST_CHECK int fl_parallel_invoke_all(int (*f)(void *state), void *states, size_t n, size_t size);

FL_END_DECLS

#endif
