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
 * `workers` of the config is the number of tasks that may run at once: at most
 * FL_LOOP_EXECUTOR_MAX; 0 means FL_LOOP_EXECUTOR_DEFAULT. Further tasks are pending, and start in
 * the order of submission. A task that joins a group, a thread, a process, a queue or another
 * executor, or waits for a future, does not count meanwhile, unless the future is that of another
 * executor's task. So tasks may wait for each other even with one worker.
 *
 * Each task has a fiber of its own (fairlead/fiber.h), with the name of the executor's thread. The
 * task may use streams, fl_sleep() and fl_blocking_call(), and its cancel scope is the task's
 * token. It may start fibers, which are cancelled when the loop ends. On the loop of
 * fl_loop_executor_create() such a fiber cannot join the executor (-EDEADLK).
 *
 * Each running task costs a stack. Without memory for another stack, the next task starts when a
 * running task has ended, and a task that waits for a pending one, or for a group of these, runs
 * them itself. Without memory for a single fiber, the executor runs one task after the other.
 *
 * The initializer runs once. fl_executor_terminate() asks running tasks to stop, as it does on
 * threads.
 */
#define FL_LOOP_EXECUTOR_DEFAULT 1000u
#define FL_LOOP_EXECUTOR_MAX 1000000u

/*
 * Creates an executor with a thread and an event loop of its own.
 *
 * The thread is named name-0, and starts with the first submit. In the tasks fl_loop_current() is
 * the executor's loop, and fl_loop_cancel() of that loop does the same as fl_executor_cancel().
 *
 * Returns:
 *   0                 the executor was created
 *   -EINVAL           the config has more than FL_LOOP_EXECUTOR_MAX workers or more than
 *                     FL_REGIONS_MAX regions, or sets `workers_max`, `stack_size` or `memory_max`;
 *                     or fl_thread_executor_create() would refuse the initializer
 *   -ENOMEM           out of memory
 *   -EMFILE, -ENFILE  too many descriptors
 *   other             an error of fl_loop_create()
 *
 * A join of the executor also cancels the fibers that tasks have left behind, and waits for them to
 * end. If there is no memory to run the loop, the pending tasks fail with -ENOMEM, and the next
 * submit tries again.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Creates an executor that runs its tasks on the caller's loop `l`. Any thread may submit to it.
 *
 * The caller must be on the thread of the loop, unless the loop has not run yet. The executor and
 * its loop may be freed in any order.
 *
 * Returns:
 *   0        the executor was created
 *   -EINVAL  the config is one that fl_loop_executor_create() refuses
 *   -ENOMEM  out of memory
 *
 * When a run of the loop ends (fl_loop_run_on(), fl_loop_free()), or fl_loop_cancel() is called,
 * the executor is cancelled, as by fl_executor_cancel(), and from then on refuses tasks. The loop
 * then waits for the executor's tasks.
 *
 * A join of the executor waits for its tasks, callbacks and drop hooks, even while the loop does
 * not run, but not for the loop. Every other thread may join, and so may a fiber of the loop that
 * is not a task of the executor. Before the first run of the loop, every thread may join.
 * Afterwards, a join on the loop's thread outside of its fibers would keep the loop from running.
 * So while the executor has tasks to run, that join returns -EDEADLK, fl_executor_try_join()
 * returns -EAGAIN, and fl_executor_free() panics.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create_on(fl_executor **e, fl_loop *l, const fl_executor_config *config);

FL_END_DECLS

#endif
