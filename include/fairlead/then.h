/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_THEN_H
#define FAIRLEAD_THEN_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>

FL_BEGIN_DECLS

/*
 * Chains: a task that begins when another has succeeded, with its result.
 *
 *     rc = fetch_submit(pool, url, &page);                    // check; gives a struct page
 *     rc = fl_future_then(page, cpus, &parse, &tree);         // check; parse takes a struct page
 *     fl_future_free(page);
 *     rc = parse_get(tree, &result);
 *
 * When `f` succeeds, a task of `type` is submitted to `e`, with a copy of its result as the argument. When it fails, or is
 * cancelled, so does the next, with the same error and message, and nothing is run; so one error at the end of a chain tells of
 * any of its stages. What the submit is refused for (-EPIPE: `e` is closed by then, or freed; -ENOMEM) fails the next as well.
 *
 * Hooks: the result of `f` stays its own. It is dropped with the last reference to `f`, of which the next holds one until it is
 * freed itself; the type's `drop_arg` does not run.
 *
 * Cancelling: fl_future_cancel() of the next cancels it while it waits for `f`, and its task once that is submitted. It leaves `f`
 * alone, which others may want; to stop both, cancel `f`. To free a reference cancels nothing.
 */

/*
 * Chains a task of `type`, on `e`, to `f`, and gives its future in `*next`, unless `next` is NULL.
 * `e` may be freed before `f` ends, and does not wait for it. The submit is made by whoever ends
 * `f`, or now, when it has ended: on the sequential executor that runs the task there. A worker
 * that waits for the next helps with both, where it would help with either; but in a wait for the
 * first of several only with what is pending when the wait begins. Chains may be as long as memory
 * allows: neither their tasks, nor a failure, nor a cancel uses stack for each stage, and the wait
 * costs no more for each stage of a long chain than for one of a short chain, but for a few looks
 * (the logarithm of the length). Otherwise never waits. Returns:
 *
 *   0
 *   -EINVAL   the size of the argument is not that of the result of `f`
 *   -ENOMEM   nothing is chained
 */
FL_API FL_MUST_CHECK int fl_future_then(fl_future *f, fl_executor *e, const fl_task_type *type, fl_future **next);

FL_END_DECLS

#endif
