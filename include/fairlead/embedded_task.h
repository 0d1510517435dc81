/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_EMBEDDED_TASK_H
#define FAIRLEAD_EMBEDDED_TASK_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/future.h>
#include <fairlead/task_type.h>
#include <fairlead/time.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * A task in the caller's memory: its submit takes no memory, so none can be missing. For what must go on when memory is short, and
 * for objects that each have one task at a time.
 *
 *     struct connection {
 *             fl_embedded_task flush;                          // all-zero is one that is not submitted
 *             struct buffer buffer;
 *             size_t written;
 *     };
 *
 *     rc = fl_embedded_task_submit(pool, &c->flush, &write_buffer, &c->buffer, &c->written, NULL);   // check
 *     rc = fl_future_wait(fl_embedded_task_future(&c->flush));                                       // check
 *     rc = fl_embedded_task_retire(&c->flush);                                                       // check; now it may be freed, or
 *                                                                                           // submitted again
 *
 * A task has ended before nobody refers to it any more: the executor, a callback, or who has a reference from fl_future_ref(), may still
 * be about to let go of it. So its memory stays, unmoved, until it is *retired*: that waits for its end, and until nothing refers to it.
 * One that is cancelled while it waits for a worker leaves the executor at once, and so does one that a waiting worker runs itself.
 *
 * Argument and result are the caller's, too, and are not copied: they stay until the task has ended. No drop hook of the type runs for
 * them.
 *
 * One context at a time submits and retires. For executors with FL_CAP_BY_REFERENCE.
 */
typedef struct fl_embedded_task {
	uint32_t word_;
	uint32_t fork_count_;
	struct {
		uint64_t numbers_[8];
		void *pointers_[32];
	} room_;
} fl_embedded_task;

/* clang-format off */
/* Not submitted; the same as all-zero. */
#define FL_EMBEDDED_TASK_INIT { 0, 0, { { 0 }, { 0 } } }
/* clang-format on */

/*
 * Submits a task, as fl_submit_with(), but with `*arg` and `*result` (of the type's sizes; NULL when there are none) where they are:
 * the task reads and writes there. `*result` is zeroed first. Never takes memory, but for the first worker of an executor of threads, or of a loop.
 * `config` may be NULL. Never waits, but as fl_submit().
 * Returns 0; -EBUSY: it was submitted and is not retired; -EINVAL: NULL for an argument or result that has a size; -ENOTSUP: the
 * executor is without FL_CAP_BY_REFERENCE; -EAGAIN: no worker, and none can be started, also for want of memory; -EPIPE,
 * -ENOTRECOVERABLE, -ENOBUFS, -ETIMEDOUT, -ECANCELED, -EOWNERDEAD, as fl_submit(). On an error nothing was queued, and `*task` is as
 * it was.
 */
FL_API FL_MUST_CHECK int fl_embedded_task_submit(fl_executor *e, fl_embedded_task *task, const fl_task_type *type,
                                                 const void *arg, void *result, const fl_submit_config *config);

/*
 * The task's future, to wait for it, look at it, cancel it, add callbacks; not to be freed. Valid until the first fl_embedded_task_retire(), or
 * fl_embedded_task_retire_until(), whatever it returns, and until fl_embedded_task_try_retire() returns 0; a reference from fl_future_ref() is valid until
 * it is freed, and the task is not retired before that. fl_future_result() is `result`. NULL when it is not submitted. Never waits.
 */
FL_API fl_future *fl_embedded_task_future(fl_embedded_task *task);

/*
 * Waits until the task has ended and nothing refers to it, and takes it back: it may be freed, or submitted again. Helps, when called from
 * a worker of its executor, as fl_future_wait(). Blocks the calling context. Observes its cancel scope.
 * Returns 0, also when it was not submitted; -ECANCELED: it is not retired; -EDEADLK, and nothing
 * happened: from the task itself, or a callback of it, also in a call of fl_parallel_invoke() there that
 * another worker has taken; -EOWNERDEAD, and nothing happened, in a forked child, of a task that
 * was submitted before: nothing there refers to it, its memory is the child's to use, for a new
 * FL_EMBEDDED_TASK_INIT too.
 * Memory order: who has retired it sees what it wrote, and what its callbacks did.
 */
FL_INLINE FL_MUST_CHECK int fl_embedded_task_retire(fl_embedded_task *task);

/* As fl_embedded_task_retire; never waits, and does not help: -EBUSY, and nothing happened, while it has not ended, or something refers to it. */
FL_API FL_MUST_CHECK int fl_embedded_task_try_retire(fl_embedded_task *task);

/* As fl_embedded_task_retire; also returns -ETIMEDOUT: it is not retired. */
FL_API FL_MUST_CHECK int fl_embedded_task_retire_until(fl_embedded_task *task, int64_t deadline,
                                                       fl_cancel_token *cancel);

/* FL_SCOPED(fl_embedded_task) t = FL_EMBEDDED_TASK_INIT; is retired when the scope ends, which is not cut short. Not in the task itself. */
static inline void fl__scoped_fl_embedded_task(fl_embedded_task *_task)
{
	FL_IGNORE(fl_embedded_task_retire_until(_task, FL_FOREVER,
	                                        FL_SHIELDED)); /* 0, or there is nothing to be done in a forked child */
}

/* The inline functions. */

FL_INLINE int fl_embedded_task_retire(fl_embedded_task *_task)
{
	return fl_embedded_task_retire_until(_task, FL_FOREVER, NULL);
}

FL_END_DECLS

#endif
