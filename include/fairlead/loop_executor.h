/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_EXECUTOR_H
#define FAIRLEAD_LOOP_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/loop.h>

FL_BEGIN_DECLS

/*
 * The loop executor runs tasks as fibers of an event loop: thousands may wait on one thread.
 *
 *     FL_SCOPED(fl_executor) *many = NULL;
 *     rc = fl_loop_executor_create(&many, NULL);              // check
 *     rc = download_map(many, urls, 1000, pages, NULL);       // check: all of them at once
 *
 * Everything of fairlead/executor.h holds. `workers` of the config is the number of tasks that may
 * be under way at once: at most FL_LOOP_EXECUTOR_MAX; 0: FL_LOOP_EXECUTOR_DEFAULT. Each task costs
 * a stack; if there is no memory for another, the next task starts when one has ended. Further
 * tasks are pending, in the order of submission. A task that waits for a pending task of the same
 * executor starts it at once, beyond that number.
 *
 * Each task has its own fiber (fairlead/fiber.h), with the name of the executor's thread. The task
 * may use streams, fl_sleep() and fl_to_thread(), and start fibers, which are cancelled when the
 * loop ends. Its cancel scope is the task's token.
 *
 * The initializer runs once. fl_executor_terminate() requests running tasks to stop, as on threads.
 * A fiber that a task has left behind cannot join the executor: -EDEADLK.
 */
#define FL_LOOP_EXECUTOR_DEFAULT 1000u
#define FL_LOOP_EXECUTOR_MAX 1000000u

/*
 * Creates an executor with its own thread and loop. The thread, name-0, starts with the first
 * submit. In the tasks fl_loop_current() is that loop; fl_loop_cancel() of it acts as
 * fl_executor_cancel(). A join also cancels fibers that tasks have left behind, and waits for them.
 * If there is no memory to run the loop, the pending tasks fail with -ENOMEM; the next submit tries
 * again. Any thread may call it. Returns 0, -ENOMEM, -EMFILE, -ENFILE, or:
 *   -EINVAL  more than FL_LOOP_EXECUTOR_MAX workers, or as fl_sequential_executor_create()
 *   or another error of fl_loop_create()
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Creates an executor that runs its tasks on the caller's loop; any thread may submit. Called by
 * the thread of the loop, or before the loop runs. Returns 0, -ENOMEM, or:
 *   -EINVAL      as fl_loop_executor_create()
 *   -EOWNERDEAD  the loop is that of the parent process of a fork
 *
 * At the end of a run (fl_loop_run_on(), fl_loop_free()) and by fl_loop_cancel() the executor is
 * cancelled, as by fl_executor_cancel(), and the loop waits for its tasks. From then on the
 * executor refuses tasks, as a closed one does.
 *
 * A join waits for tasks, callbacks and drop hooks, not for the loop. On the thread that runs the
 * loop, or has run it, a join outside of a fiber of the loop would keep the loop from running.
 * There, while the loop has tasks to run, a join returns -EDEADLK, fl_executor_try_join() returns
 * -EINPROGRESS, and fl_executor_free() panics. On another thread, and before the first run on every
 * thread, a join waits, also while the loop does not run. The executor and its loop may be freed in
 * any order.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create_on(fl_executor **e, fl_loop *l, const fl_executor_config *config);

FL_END_DECLS

#endif
