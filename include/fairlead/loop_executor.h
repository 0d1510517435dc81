/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_LOOP_EXECUTOR_H
#define FAIRLEAD_LOOP_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/loop.h>

FL_BEGIN_DECLS

/*
 * The loop executor runs tasks as fibers of an event loop. A task that waits for a lock, a queue, a
 * future, a stream or a time lets the others run, so one thread can have thousands of tasks under
 * way. It suits tasks that wait. Tasks that compute run one after the other here; threads and
 * processes run them in parallel.
 *
 *     FL_SCOPED(fl_executor) *many = NULL;
 *     rc = fl_loop_executor_create(&many, NULL);              // check
 *     rc = download_map(many, urls, 1000, pages, NULL);       // check: all of them at once
 *
 * Everything of fairlead/executor.h holds. `workers` of the config is the number of tasks that may
 * be under way at once: at most FL_LOOP_EXECUTOR_MAX; 0: FL_LOOP_EXECUTOR_DEFAULT. The number does
 * not depend on the CPUs, since each task costs a stack, not a CPU. If there is no memory for
 * another stack, the next task starts when one has ended. Further tasks are pending, in the order
 * of submission. A task that waits for a pending task of the same executor starts it at once,
 * beyond that number.
 *
 * Each task has its own fiber (fairlead/fiber.h), which fl_fiber_current() returns. The task may
 * use streams, fl_sleep() and fl_to_thread(), and start fibers, which are cancelled when the loop
 * ends. Its cancel scope is the task's token. Fibers have the name of the executor's thread. A task
 * that blocks its thread by other means than this library holds up all others.
 *
 * The initializer runs once. fl_executor_terminate() requests running tasks to stop, as on threads.
 * A fiber that a task has left behind cannot join the executor: -EDEADLK.
 */
#define FL_LOOP_EXECUTOR_DEFAULT 1000u
#define FL_LOOP_EXECUTOR_MAX 1000000u

/*
 * Creates an executor with its own thread and loop. The thread starts with the first submit, is
 * called name-0. In the tasks fl_loop_current() is that loop; fl_loop_cancel() of it acts as
 * fl_executor_cancel(). A join also cancels fibers that tasks have left behind, and waits for them.
 * If the thread finds no memory to run its loop, the pending tasks fail with -ENOMEM, and the
 * thread tries again with the next submit. `config` may be NULL. Any thread may call it. Never
 * waits. Returns
 *
 *   0
 *   -ENOMEM, -EMFILE, -ENFILE
 *   -EINVAL  more than FL_LOOP_EXECUTOR_MAX workers, or as fl_thread_executor_create()
 *   or another error of fl_loop_create()
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Creates an executor that runs its tasks on the caller's loop; any thread may submit. Called by
 * the thread of the loop, or before the loop runs. `config` may be NULL. Never waits. Returns
 *
 *   0
 *   -ENOMEM
 *   -EINVAL      as above
 *   -EOWNERDEAD
 *
 * While the loop does not run, its tasks do not run either, and waits for them go on. At the end of
 * a run (fl_loop_run_on(), fl_loop_free()) and by fl_loop_cancel() the executor is cancelled, as by
 * fl_executor_cancel(), and the loop waits for its tasks. From then on the executor refuses tasks,
 * as a closed one does.
 *
 * A join waits for tasks, callbacks and drop hooks, not for the loop. In a fiber of the loop it
 * lets the others run. Elsewhere on the thread that runs the loop, or has run it, a join would keep
 * the loop from running: in a callback of the loop, between its iterations (fl_loop_run_once()) or
 * its runs, and in a fiber of another loop. There, while the loop has tasks to run, a join returns
 * -EDEADLK, fl_executor_try_join() returns -EBUSY, and fl_executor_free() panics. On another thread
 * a join waits, also while the loop does not run. Before the first run any thread may be the one
 * that will run the loop, so a join waits on every thread. The executor may be freed before or
 * after its loop.
 */
FL_API FL_MUST_CHECK int fl_loop_executor_create_on(fl_executor **e, fl_loop *l, const fl_executor_config *config);

FL_END_DECLS

#endif
