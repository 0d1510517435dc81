/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CONTEXT_VAR_H
#define FAIRLEAD_CONTEXT_VAR_H

#include <fairlead/defs.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Context variable: a local that is inherited. What a context starts begins with a copy of its
 * values. As Python's contextvars.
 *
 *     static fl_context_var request = FL_CONTEXT_VAR_INIT(NULL, free);
 *
 *     fl_context_token token = FL_CONTEXT_TOKEN_INIT;
 *     rc = fl_context_var_set(&request, strdup(id), &token);      // check
 *     rc = fl_to_thread(query, client, &result);                  // query() gets `id`
 *     fl_context_var_reset(&token);
 *
 * The copy is made by
 *   fl_thread_start()
 *   fl_fiber_start(), fl_group_start(), fl_loop_run(), fl_loop_run_on()
 *   fl_submit() and all other ways to submit a task
 *   fl_to_thread()
 *   fl_parallel_invoke(), for the second function on another thread
 *   fl_timer_start(), fl_timer_start_every(), fl_loop_timer_start(), fl_loop_post()
 *   fl_future_on_end(), and `on_end` of a submit
 *
 * It takes constant time and no memory. A task of a process executor, a process, and the callback
 * of a watch (fl_loop_watch_start()) begin without values. All other callbacks and hooks run with
 * the values of the context that calls them.
 *
 * What a task, a callback or a timer's function sets ends with its return. Sets of the first
 * function of fl_parallel_invoke() remain.
 *
 * A value is a pointer. `release`, if not NULL, is called once for each value that was set and is
 * not NULL, when no context, copy or token has the value any more: often on another thread. A
 * pending timer, post or task has a copy. `release` must not wait for long, nor for the end of the
 * task, fiber or thread that had the value. A variable must outlive all of its values.
 *
 * At the end of the process, and when the library is unloaded (dlclose), values of threads that go
 * on are not released. In a forked child the context keeps its values; copies of other threads,
 * tasks and timers are not released there.
 *
 * Memory order: what is started sees what was written before; `release` sees all uses of the value.
 */
typedef struct fl_context_var {
	void *default_;
	void (*release_)(void *value); /* NULL: none */
} fl_context_var;

/* clang-format off */
/* A variable with a default value, which is never released. All-zero: the default is NULL. */
#define FL_CONTEXT_VAR_INIT(default_value, release) { (default_value), (release) }
/* clang-format on */

/* The previous value, which a set has replaced. All-zero: nothing. Not to be copied. */
typedef struct fl_context_token {
	struct fl__values *before_, *after_, *spare_;
	uint64_t context_;
} fl_context_token;

/* clang-format off */
#define FL_CONTEXT_TOKEN_INIT { NULL, NULL, NULL, 0 }
/* clang-format on */

/*
 * The value of the variable in the calling context, else its default value. Takes time in the
 * number of variables that are set. Valid until the context sets or resets the variable, or ends.
 */
FL_API void *fl_context_var_get(const fl_context_var *var);

/*
 * Sets the value in the calling context. With a `token`, which must be all-zero, the previous value
 * is kept until fl_context_var_reset(), which the caller must call once. NULL: the previous value
 * is given up. Returns 0, or:
 *   -ENOMEM  the value was not set; it is still the caller's, and is not released
 */
FL_API FL_MUST_CHECK int fl_context_var_set(fl_context_var *var, void *value, fl_context_token *token);

/*
 * Gives the variable the value that it had before the set, and makes the token all-zero. Of several
 * tokens of one variable the last reset counts. All-zero: no effect. Panics in another context than
 * that of the set.
 */
FL_API void fl_context_var_reset(fl_context_token *token);

static inline void fl__scoped_fl_context_token(fl_context_token *_token)
{
	fl_context_var_reset(_token);
}

/*
 * The values of all variables, for code that other libraries call.
 *
 *     fl_context_values_copy(&values);
 *     rc = fl_context_values_run(&values, handle, event);     // later, on any thread
 *
 * All-zero: no values. One context at a time uses them. Not to be copied by assignment.
 */
typedef struct fl_context_values {
	struct fl__values *values_;
	uint32_t running_;
} fl_context_values;

/* clang-format off */
#define FL_CONTEXT_VALUES_INIT { NULL, 0 }
/* clang-format on */

/*
 * Makes `values` a copy of the values of the calling context. Gives up what they were before.
 * Panics within fl_context_values_run() of the same `values`.
 */
FL_API void fl_context_values_copy(fl_context_values *values);

/*
 * Calls `function(arg)` with these values in place of those of the calling context. What the
 * function sets is kept in `values`. Returns its result. Panics within a run of the same `values`.
 */
FL_API int fl_context_values_run(fl_context_values *values, int (*function)(void *arg), void *arg);

/* Gives up the values, then all-zero. Panics within fl_context_values_run() of these values. */
FL_API void fl_context_values_free(fl_context_values *values);

static inline void fl__scoped_fl_context_values(fl_context_values *_values)
{
	fl_context_values_free(_values);
}

FL_END_DECLS

#endif
