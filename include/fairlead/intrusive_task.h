/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_INTRUSIVE_TASK_H
#define FAIRLEAD_INTRUSIVE_TASK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/event.h>
#include <fairlead/executor.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * A task in the caller's memory: its submit allocates nothing.
 *
 *     struct connection {
 *             fl_intrusive_task flush;                          // all-zero: not submitted
 *             struct buffer buffer;
 *             size_t written;
 *     };
 *
 *     rc = fl_intrusive_task_submit(pool, &c->flush, &write_buffer, &c->buffer, &c->written, NULL);
 *     ...                                                      // check
 *     rc = fl_future_wait(fl_intrusive_task_future(&c->flush)); // check
 *     rc = fl_intrusive_task_join(&c->flush);                 // check; now it may be freed
 *
 * The executor, a callback, or the owner of a reference (fl_future_ref()) may use a task after its
 * end. So its memory must stay, unmoved, until a join has returned. The join of a cancelled task
 * that no worker has taken waits for no worker.
 *
 * Argument and result are not copied: they must stay until the task has ended. No drop hooks run.
 *
 * One context at a time submits and joins. Only for executors with FL_CAP_BY_REFERENCE.
 */
typedef struct fl_intrusive_task {
	uint32_t word_;
	uint32_t fork_count_;
	fl_event released_; /* nothing refers to the future */
	struct {
		uint64_t numbers_[8];
		void *pointers_[32];
	} room_;
} fl_intrusive_task;

/* clang-format off */
/* A task that is not submitted; the same as all-zero. */
#define FL_INTRUSIVE_TASK_INIT { 0, 0, FL_EVENT_INIT, { { 0 }, { 0 } } }
/* clang-format on */

/*
 * Submits a task, as fl_submit_with(), without copies: the task reads `*arg` and writes `*result`
 * (of the type's sizes; NULL for size 0). `*result` is zeroed first. Allocates only to start a
 * worker or a fiber. If that fails, the task is queued, unless the executor has no thread yet:
 * -EAGAIN. Waits as fl_submit(). Returns 0, or:
 *   -EBUSY     `task` was submitted and is not joined
 *   -EINVAL    the type has an argument (or a result), and `arg` (or `result`) is NULL
 *   -ENOTSUP   `e` is without FL_CAP_BY_REFERENCE
 *   -EAGAIN    there is no worker, and none can be started, also for lack of memory
 *   -EPIPE, -ENOTRECOVERABLE, -ENOBUFS, -ETIMEDOUT, -ECANCELED, -EOWNERDEAD
 *              as fl_submit()
 *
 * On an error `*result` may have been zeroed.
 */
FL_API FL_MUST_CHECK int fl_intrusive_task_submit(fl_executor *e, fl_intrusive_task *task, const fl_task_type *type,
                                                  const void *arg, void *result, const fl_submit_config *config);

/*
 * The task's future, to wait for it, query it, cancel it, or add callbacks; not to be freed. Valid
 * until the first fl_intrusive_task_join() or fl_intrusive_task_join_until(), whatever that
 * returns, or until fl_intrusive_task_try_join() returns 0. A reference of fl_future_ref() is valid
 * until it is freed; the task cannot be joined before. fl_future_result() is `result`. NULL if the
 * task is not submitted.
 */
FL_API fl_future *fl_intrusive_task_future(fl_intrusive_task *task);

/*
 * Waits until the task has ended and nothing refers to it. Then the task may be submitted again, or
 * its memory freed. A worker of its executor helps, as in fl_future_wait(). Blocks the calling
 * context. Returns:
 *   0             also if the task was not submitted
 *   -ECANCELED    the task is not joined, as after -ETIMEDOUT
 *   -EDEADLK      called from the task itself or a callback of it, also in a part that
 *                 fl_parallel_invoke() runs on another worker
 *   -EOWNERDEAD   in a forked child, for a task that the parent submitted: nothing in the child
 *                 refers to the task, and its memory may be used again after a new
 *                 FL_INTRUSIVE_TASK_INIT
 *
 * Memory order: after a join the caller sees what the task and its callbacks wrote.
 */
FL_API FL_MUST_CHECK int fl_intrusive_task_join_until(fl_intrusive_task *task, int64_t deadline,
                                                      fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_intrusive_task_join(fl_intrusive_task *_task)
{
	return fl_intrusive_task_join_until(_task, FL_FOREVER, NULL);
}

/* As fl_intrusive_task_join(), without help: -EBUSY until it has ended and nothing uses it. */
FL_API FL_MUST_CHECK int fl_intrusive_task_try_join(fl_intrusive_task *task);

/*
 * FL_SCOPED(fl_intrusive_task) t = FL_INTRUSIVE_TASK_INIT; is joined when the scope ends; no cancel
 * ends that wait. The scope must not end in the task or in its callbacks, where a join returns
 * -EDEADLK.
 */
static inline void fl__scoped_fl_intrusive_task(fl_intrusive_task *_task)
{
	/* 0; or in a forked child -EOWNERDEAD, where there is nothing to do */
	FL_IGNORE(fl_intrusive_task_join_until(_task, FL_FOREVER, FL_SHIELDED));
}

FL_END_DECLS

#endif
