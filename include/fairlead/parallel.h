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
 * A parallel loop calls a function for all numbers of a range. The workers of an executor share the
 * range: each worker processes parts of it.
 *
 *     static int scale(void *state, size_t from, size_t to) { for (...) x[i] *= 2; return 0; }
 *
 *     rc = fl_parallel_for(pool, 0, n, scale, x, NULL);      // check
 *
 * The range is cut into 64 parts, or into eight for each worker if that is more. A worker that is
 * idle takes over half of what another one has left. A loop that seems to take less than 20
 * microseconds is not shared.
 */
typedef struct fl_parallel_config {
	/*
	 * The most numbers in a call of the body; 0 means that the library chooses. A loop looks
	 * for a cancel or a failure between two calls.
	 */
	size_t grain;
	fl_time deadline;        /* of the whole loop; FL_FOREVER means none */
	fl_cancel_token *cancel; /* NULL means the caller's scope; FL_SHIELDED means none */
	int *error;              /* where FL_ETASK stores the error of the call; may be NULL */
	uintptr_t more_[4];
} fl_parallel_config;

/*
 * Calls a function for the numbers from `begin` to `end` - 1, part by part. Each call, body(state,
 * from, to), processes the numbers from `from` to `to` - 1. Together the parts contain each number
 * of the range exactly once. The calls come in any order, several at a time. fl_parallel_for()
 * blocks the calling context until all calls have returned. `config` may be NULL.
 *
 * The loop makes at most fl_executor_workers() calls at a time, unless tasks block
 * (fairlead/blocking.h), and no two of them at a time have the same fl_executor_current_worker().
 * In a task of `e`, the loop runs on that task's worker and on idle workers. A thread that runs no
 * task takes the place of a worker until the loop ends, if `e` has started a worker and has a place
 * left. Otherwise it waits while workers run the loop; so it does if `e` has only one worker, or an
 * initializer.
 *
 * The calls have a cancel scope, which is requested at the deadline, and when `cancel` is
 * requested. A call fails if it returns another value than 0, except -ECANCELED after a request of
 * its scope. When a call fails, calls of other workers may still be running. The scopes of some of
 * them may be requested then, but a call must not rely on it. Returns:
 *   0            all calls have returned 0, or the range is empty
 *   FL_ETASK     a call failed; after the loop had learned of the failure, it began no further call
 *   -ETIMEDOUT   the deadline passed, and some calls were not begun, or returned -ECANCELED
 *   -ECANCELED   the loop was cancelled, or its executor was (fl_executor_cancel(),
 *                fl_executor_cancel_pending(), fl_executor_terminate()), and some calls were not
 *                begun, or returned -ECANCELED
 *   -ENOTSUP     the executor's tasks do not see the caller's memory (no FL_CAP_BY_REFERENCE)
 *   other        an error of fl_executor_submit(), with the meaning that it has there
 *
 * Memory order: the calls see what the caller wrote before. After the return, the caller sees what
 * the calls wrote.
 */
FL_API FL_MUST_CHECK int fl_parallel_for(fl_executor *e, size_t begin, size_t end,
                                         int (*body)(void *state, size_t from, size_t to), void *state,
                                         const fl_parallel_config *config);

/*
 * A reduction says how the value of a part is computed, and how the values of two parts are
 * combined.
 */
typedef struct fl_reduction {
	/*
	 * The size of a value in bytes, up to FL_REDUCTION_MAX. Values are aligned as max_align_t.
	 */
	size_t size;
	/* The value of an empty part. To combine it with another value must change nothing. */
	const void *identity;
	/*
	 * Adds the numbers `from` to `to` - 1 to `*value`. In the first call of a part, `*value` is
	 * a copy of `identity`. In each further call it covers the numbers of that part before
	 * `from`. It returns 0, or an error.
	 */
	int (*body)(void *state, size_t from, size_t to, void *value);
	/*
	 * Combines two neighbouring parts. `*left` is the value of one part, and `*right` that of
	 * the part that follows. It stores the value of both in `*left`. It must be associative,
	 * but need not be commutative.
	 */
	void (*combine)(void *state, void *left, const void *right);
} fl_reduction;
#define FL_REDUCTION_MAX 256

/*
 * Computes one value from the numbers from `begin` to `end` - 1. The value is stored in `*value` if
 * all calls succeed. The parts of the range are processed as in fl_parallel_for(). `body` computes
 * a value for each part, and `combine` combines the values of the parts in the order of the
 * numbers. The parts may be different in each run. The call blocks the calling context until all
 * calls have returned. Returns:
 *   0         `*value` is the value of the range
 *   FL_ETASK  a call failed, as in fl_parallel_for(); after the loop had learned of the failure, it
 *             began no further call
 *   -E2BIG    the value has more than FL_REDUCTION_MAX bytes
 *   -ENOTSUP  the executor's tasks do not see the caller's memory (no FL_CAP_BY_REFERENCE)
 *   other     another error that fl_parallel_for() may return, with the same meaning: after a
 *             deadline or a cancel, or an error of fl_executor_submit()
 *
 * Memory order: the calls see what the caller wrote before. After the return, the caller sees what
 * the calls wrote.
 */
FL_API FL_MUST_CHECK int fl_parallel_reduce(fl_executor *e, size_t begin, size_t end, const fl_reduction *reduction,
                                            void *state, void *value, const fl_parallel_config *config);

/*
 * Fork and join: calls two functions, and waits for both. On a worker of a thread executor, an idle
 * worker may steal the second call and run it at the same time. Anywhere else the functions are
 * called one after the other.
 *
 *     rc = fl_parallel_invoke(sort, &left, sort, &right);
 */

/*
 * Calls f(a) and g(b), and waits for both. f is called on the calling thread. g is called after it
 * or, on another worker of the same executor, beside it. The call blocks the calling context until
 * both have returned, even after a cancel.
 *
 * If f fails, a g that has not begun is not called, and the cancel scope of a running g is
 * requested. If g fails, f goes on.
 *
 * While g runs on another worker, the waiting thread may run parts of g: calls that g has forked.
 * The waiting thread runs nothing else, so the caller may hold a lock that neither f nor g needs. f
 * and g must not wait for each other, and must not leave by longjmp() or pthread_exit().
 *
 * g runs under the caller's cancel scope, and is a part of the caller's task or callback wherever
 * it runs. So in g, fl_executor_current() returns what it returns in the caller, and a call that
 * returns -EDEADLK in the caller does so in g.
 *
 * Calls of fl_parallel_invoke() may be nested to any depth. A worker offers the functions g of the
 * outer 512 calls to other workers. A call that is nested more deeply calls f and then g. Returns:
 *   0      f and g have returned 0
 *   other  what f returned, if that is not 0; else what g returned
 *
 * Memory order: g sees what was written before the call. After the return, the caller sees what
 * both wrote.
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
 * Calls f for each of `n` states, and waits for all calls: a fork with any number of branches.
 * `states` is an array, and `size` is the size of an element in bytes. On a worker of a thread
 * executor, idle workers may steal calls, as those of fl_parallel_invoke(). Anywhere else the calls
 * are made one after the other, in the order of the array.
 *
 *     struct node children[MAX];                          // a search: a state for each move
 *     size_t n = moves_of(node, children);
 *     int rc = fl_parallel_invoke_all(search, children, n, sizeof children[0]);
 *
 * If a call fails, calls of later elements that have not begun are not made, and the cancel scopes
 * of those that are running are requested. Calls of earlier elements go on. What
 * fl_parallel_invoke() says of its functions is so for each call: they may fork in turn, must not
 * wait for each other, and run under the caller's cancel scope. Returns:
 *   0        all calls have returned 0, or `n` is 0
 *   -EINVAL  `size` is 0, or an array of that size cannot exist; nothing was called
 *   other    what the call of the first element that failed has returned
 *
 * Memory order: the calls see what was written before. After the return, the caller sees what they
 * wrote.
 */
FL_API FL_MUST_CHECK int fl_parallel_invoke_all(int (*f)(void *state), void *states, size_t n, size_t size);

FL_END_DECLS

#endif
