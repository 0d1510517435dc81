/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_EXECUTOR_H
#define FAIRLEAD_LOOP_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/loop.h>

FL_BEGIN_DECLS

/*
 * The loop executor runs tasks as fibers of an event loop, so that thousands of tasks wait on one
 * thread.
 *
 *     FL_SCOPED(fl_executor) *many = NULL;
 *     int rc = fl_loop_executor_create(&many, NULL);
 *     if (rc == 0)
 *             rc = download_map(many, urls, 1000, pages, NULL); // all of them at once
 *
 * Everything in fairlead/executor.h applies to a loop executor. The rest of this comment describes
 * what is special about it.
 *
 * `workers` of the config is the number of tasks that may run at once. It is at most
 * FL_LOOP_EXECUTOR_MAX; 0 means FL_LOOP_EXECUTOR_DEFAULT. Each running task costs a stack. If there
 * is no memory for another stack, the next task starts when a running task has ended, and a task
 * that waits for a pending one, or for a group of these, runs them itself. Further tasks are
 * pending, and start in the order of submission. A task that waits for a future, or joins a
 * group, a thread, a process, a queue or another executor, does not count meanwhile, so that the
 * next task may start. So tasks may wait for each other even with one worker.
 *
 * Each task has a fiber of its own (fairlead/fiber.h), with the name of the executor's thread. (If
 * there is no memory for a single fiber, a fiber of the executor runs one task after the other.)
 * The task may use streams, fl_sleep() and fl_blocking_call(). It may start fibers, which are
 * cancelled when the loop ends. Its cancel scope is the task's token. A fiber that a task has
 * started and left behind cannot join an executor of fl_loop_executor_create(): the join returns
 * -EDEADLK.
 *
 * The initializer runs once. fl_executor_terminate() asks running tasks to stop, as it does on
 * threads.
 */
#define FL_LOOP_EXECUTOR_DEFAULT 1000u
#define FL_LOOP_EXECUTOR_MAX 1000000u

/*
 * Creates an executor with a thread and an event loop of its own. Any thread may call it.
 *
 * The call never waits. `config` may be NULL. The thread is named name-0, and starts with the first
 * submit. In the tasks fl_loop_current() is the executor's loop. An fl_loop_cancel() of that loop
 * does the same as fl_executor_cancel().
 *
 * Returns:
 *   0                 the executor was created
 *   -EINVAL           the config has more than FL_LOOP_EXECUTOR_MAX workers or more than
 *                     FL_REGIONS_MAX regions; or the initializer has a result, or its argument
 *                     contains an fl_bytes or is aligned above max_align_t; or the initializer
 *                     takes an argument and `initialize_arg` is NULL, or the reverse
 *   -ENOMEM           there is no memory
 *   -EMFILE, -ENFILE  the process, or the system, has too many descriptors
 *   other             an error of fl_loop_create()
 *
 * A join of the executor also cancels the fibers that tasks have left behind, and waits for their
 * ends. If there is no memory to run the loop, the pending tasks fail with -ENOMEM, and the next
 * submit tries again.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Creates an executor that runs its tasks on the caller's loop `l`. Any thread may submit to it.
 *
 * The call never waits. `config` may be NULL. The caller must be on the thread of the loop, unless
 * the loop has not run yet.
 *
 * Returns:
 *   0        the executor was created
 *   -EINVAL  the config is one that fl_loop_executor_create() refuses
 *   -ENOMEM  there is no memory
 *
 * The executor is cancelled, as by fl_executor_cancel(), when a run of the loop ends
 * (fl_loop_run_on(), fl_loop_free()) and when fl_loop_cancel() is called. The loop then waits for
 * the executor's tasks. From then on the executor refuses tasks, as a closed executor does.
 *
 * A join of the executor waits for its tasks, callbacks and drop hooks, and not for the loop. Every
 * other thread may join, and so may a fiber of the loop that is no task of the executor. The join
 * waits even while the loop does not run. A loop that has not run yet has no thread, so every
 * thread may join. On the thread that runs the loop, or has run it, a join outside of the loop's
 * fibers would keep the loop from running. So while the loop has tasks to run, that join returns
 * -EDEADLK, fl_executor_try_join() returns -EAGAIN, and fl_executor_free() panics.
 *
 * The executor and its loop may be freed in any order.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create_on(fl_executor **e, fl_loop *l, const fl_executor_config *config);

FL_END_DECLS

#endif
