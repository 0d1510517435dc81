/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SERIAL_EXECUTOR_H
#define FAIRLEAD_SERIAL_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>

FL_BEGIN_DECLS

/*
 * A serial executor runs its tasks one at a time, in the order of their submits, on the workers of
 * another executor, its target. Tasks of one serial executor need no lock for data that they share.
 * There may be thousands of them over one pool of threads.
 *
 *     FL_SCOPED(fl_executor) *account = NULL;
 *     rc = fl_serial_executor_create(&account, pool, NULL);
 *     if (rc == 0)
 *             rc = deposit_submit(account, 20, NULL);   // never beside another task of `account`
 *
 * Everything in fairlead/executor.h applies to a serial executor, too.
 *
 * After 16 tasks in a row, it lets its worker get to other tasks of the target.
 *
 * A task that waits delays the tasks behind it. However, if it waits for a pending task of the same
 * serial executor by fl_future_wait(), fl_future_get(), a map, an ordered iteration or
 * fl_group_join(), it runs that task at once, nested on its stack. Any other wait for a later task,
 * for example by FL_WAIT_ANY() or for a chained future (fl_future_then()), never ends. If a task
 * runs on several threads (fl_parallel_invoke(), fl_parallel_for()), these may run pending tasks at
 * the same time.
 *
 * The target may be freed before the serial executor. After the target is closed, the serial
 * executor still runs the tasks that it has accepted, and then refuses further tasks with the
 * target's error. When the target is cancelled, or its loop ends, the serial executor is cancelled,
 * too. When the target breaks, or has no memory to run a task, the pending tasks end with its error
 * and message.
 *
 * Of the config it uses `name`, `regions`, `bytes_max`, and the initializer, which runs once,
 * before the first task.
 */

/*
 * Creates a serial executor over `target`: a thread, loop, sequential or serial executor. Over a
 * serial executor, the tasks of both run one at a time. Over a sequential executor, a submit runs
 * the task, unless another thread is running tasks of the same serial executor: then that thread
 * runs it. Returns 0, -ENOMEM, -EOWNERDEAD, or:
 *
 *   -ENOTSUP  the tasks of `target` run in other processes (one worker also runs its tasks one at a
 *             time)
 *   -EINVAL   the config is invalid (see its members)
 *
 * Memory order: each task sees what the tasks before it wrote.
 */
FL_API FL_MUST_CHECK int fl_serial_executor_create(fl_executor **e, fl_executor *target,
                                                   const fl_executor_config *config);

FL_END_DECLS

#endif
