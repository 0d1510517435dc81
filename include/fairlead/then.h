/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_THEN_H
#define FAIRLEAD_THEN_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>

FL_BEGIN_DECLS

/*
 * Chains: a task that begins when another task has succeeded, with the other task's result as the
 * argument.
 *
 *     rc = fetch_submit(pool, url, &page);                    // check; its result is a struct page
 *     rc = fl_future_then(page, cpus, &parse, &tree);         // check; parse takes a struct page
 *     fl_future_free(page);
 *     rc = parse_get(tree, &result);
 *
 * When `f` succeeds, a task of `type` is submitted to `e`, with a copy of the result of `f`. When
 * `f` fails, or is cancelled, so does the next future, with the same error and message, and no task
 * runs. So the end of a chain has the error of whichever stage failed. If the submit is refused
 * (-EPIPE: `e` is closed by then, or freed; -ENOMEM), the next future fails with that error.
 *
 * Hooks: the result of `f` stays its own. It is dropped with the last reference to `f`; the next
 * future holds one. The type's `drop_arg` does not run.
 *
 * Cancelling: fl_future_cancel() of the next future cancels it while it waits for `f`, or else its
 * submitted task. It leaves `f` alone: to stop both, cancel `f`. Freeing a reference cancels
 * nothing.
 */

/*
 * Chains a task of `type`, on `e`, to `f`, and stores its future in `*next`, unless `next` is NULL.
 * `e` may be freed before `f` ends, and does not wait for it. The thread that ends `f` submits the
 * task; if `f` has ended, this call does. (On the sequential executor the submit runs the task.) A
 * worker that waits for the next future helps with both tasks, where it would help with either; in
 * a wait for the first of several futures only with tasks that are pending when the wait begins.
 *
 * Chains may be as long as memory allows: neither their tasks, nor a failure, nor a cancel uses
 * stack for each stage. A wait takes O(log n) steps to find the current stage of a chain of n
 * stages. Never waits, except that the sequential executor runs the task. Returns:
 *
 *   0
 *   -EINVAL   the type's argument size is not the result size of `f`
 *   -ENOMEM   nothing is chained
 */
FL_API FL_MUST_CHECK int fl_future_then(fl_future *f, fl_executor *e, const fl_task_type *type, fl_future **next);

FL_END_DECLS

#endif
