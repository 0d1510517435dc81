/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SERIAL_EXECUTOR_H
#define FAIRLEAD_SERIAL_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>

FL_BEGIN_DECLS

/*
 * A serial executor runs its tasks one at a time, in the order of their submits, on the workers of
 * another executor. Tasks that share data need no lock if all of them are submitted to one serial
 * executor, and a program may have thousands of these over one pool of threads.
 *
 *     FL_SCOPED(fl_executor) *account = NULL;
 *     rc = fl_serial_executor_create(&account, pool, NULL);
 *     if (rc == 0)
 *             rc = deposit_submit(account, 20, NULL);   // never beside another task of `account`
 *
 * Everything in fairlead/executor.h applies to a serial executor. The rest of this comment
 * describes what is special about it.
 *
 * While no task is pending, a serial executor uses no thread. When a task comes, it submits a task
 * of its own, "fl__serial", to its target, which runs up to 16 pending tasks and then submits
 * itself again if there are more, so that the worker gets to other tasks, too. There is at most one
 * such task at a time, and the bound of a backlog does not hold for it.
 *
 * A task that waits keeps the next one from beginning, however long the wait is. There is one
 * exception to the order: a task that waits for a pending task of the same serial executor runs
 * that task at once, within itself, since nobody else may; and if it joins a group, it runs the
 * pending members of the group. It does so in fl_future_wait(), fl_future_get(), fl_group_join(),
 * maps and ordered iterations. Each such wait nests one more task on the same stack, and over a loop
 * executor that is the small stack of a fiber (fl_loop_config). Any other wait for a later task of
 * the same serial executor never ends, for example one for a chained future (fl_future_then()) or
 * by FL_WAIT_ANY(). If several threads run one task (fl_parallel_invoke(), fl_parallel_for()), each
 * of them may run a pending task for which it waits, at the same time as the others.
 *
 * The target executor does not end the serial executor, and may be freed first. When it is closed,
 * the serial executor still runs the tasks that it has accepted. Once they have ended, it refuses
 * further tasks with the error of the target executor. When the target executor is cancelled
 * (fl_executor_cancel(), fl_executor_terminate()), or its loop ends, the serial executor is
 * cancelled, too. When the target executor breaks, or has no memory to run a task, the pending
 * tasks end with its error and its message.
 *
 * Of the config a serial executor uses `name`, which stands in reports, the initializer, which runs
 * once, before the first task, `regions` and `bytes_max`. Workers are those of the target executor,
 * and have its names. fl_executor_workers() returns 1.
 */

/*
 * Creates a serial executor over `target`. `config` may be NULL. The call neither waits nor starts
 * a thread.
 *
 * `target` may be a thread executor, a loop executor, a sequential executor or a serial executor.
 * Over a serial executor, the tasks of both run one at a time. Over a sequential executor, a submit
 * runs the task, except while another thread runs tasks of the same serial executor: then the
 * submit returns at once, and the other thread runs the task. Executors whose tasks run in other
 * processes are refused. If one of their workers is enough, a process executor with one worker runs
 * its tasks one at a time. Returns:
 *   0            `*e` is the new executor
 *   -ENOTSUP     the tasks of `target` run in other processes
 *   -ENOMEM      out of memory
 *   -EINVAL      the config has more than FL_REGIONS_MAX regions or a `workers_max`; or the
 *                initializer has a result, or its argument contains an fl_bytes or is aligned above
 *                max_align_t; or the initializer takes an argument and `initialize_arg` is NULL, or
 *                the reverse
 *   -EOWNERDEAD  in a forked child, `target` is an executor of the parent
 *
 * Memory order: each task sees what the tasks before it wrote.
 */
FL_API FL_MUST_CHECK int fl_serial_executor_create(fl_executor **e, fl_executor *target,
                                                   const fl_executor_config *config);

FL_END_DECLS

#endif
