/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_EXECUTOR_H
#define FAIRLEAD_LOOP_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/loop.h>

FL_BEGIN_DECLS

/*
 * A loop executor runs tasks as fibers of an event loop, so that thousands of tasks wait on one
 * thread.
 *
 *     FL_SCOPED(fl_executor) *many = NULL;
 *     int rc = fl_loop_executor_create(&many, NULL);
 *     if (rc == 0)
 *             rc = download_map(many, urls, 1000, pages, NULL); // all of them at once
 *
 * Everything in fairlead/executor.h applies to a loop executor.
 *
 * At most `workers` of the config run at once, up to FL_LOOP_EXECUTOR_MAX; 0 means
 * FL_LOOP_EXECUTOR_DEFAULT. Further tasks start in the order of submission. A task does not count
 * while it joins a group, a thread, a process, a queue or another executor, or waits for a future
 * other than that of another executor's task. So tasks may wait for each other even with one
 * worker.
 *
 * Each task has a fiber of its own (fairlead/fiber.h). The task may use streams, fl_sleep() and
 * fl_blocking_call(), and its cancel scope is the task's token. It may start fibers, which are
 * cancelled when the loop ends. On the loop of fl_loop_executor_create() such a fiber cannot join
 * the executor (-EDEADLK).
 *
 * Each running task costs a stack. Without memory for another one, the next task starts when a
 * running task has ended. The initializer runs once.
 */
#define FL_LOOP_EXECUTOR_DEFAULT 1000u
#define FL_LOOP_EXECUTOR_MAX 1000000u

/*
 * Creates an executor with a thread and an event loop of its own. The thread is named name-0, and
 * starts with the first submit. fl_loop_cancel() of the loop does what fl_executor_cancel() does.
 * Returns 0, -ENOMEM, -EMFILE, -ENFILE, or:
 *   -EINVAL  the config is invalid (see its members), or has more than FL_LOOP_EXECUTOR_MAX workers
 *   other    an error of fl_loop_create()
 *
 * A join of the executor also cancels the fibers that tasks have left, and waits for them.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Creates an executor that runs its tasks on the caller's loop `l`. Any thread may submit to it.
 * The caller must be on the thread of the loop, unless the loop has not run yet. The executor and
 * its loop may be freed in any order. Returns 0, -ENOMEM, or -EINVAL if the config is one that
 * fl_loop_executor_create() refuses.
 *
 * When a run of the loop ends (fl_loop_run_on(), fl_loop_free()), or fl_loop_cancel() is called,
 * the executor is cancelled and refuses tasks, and the loop waits for its tasks.
 *
 * A join of the executor waits for its tasks, callbacks and drop hooks, not for the loop. Join on
 * another thread, in a fiber of the loop that is not a task of the executor, or before the first
 * run of the loop. Elsewhere on the loop's thread a join would keep the loop from running. So if
 * tasks are left, it returns -EDEADLK, fl_executor_try_join() -EAGAIN, and fl_executor_free()
 * panics.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create_on(fl_executor **e, fl_loop *l, const fl_executor_config *config);

FL_END_DECLS

#endif
