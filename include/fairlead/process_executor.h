/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PROCESS_EXECUTOR_H
#define FAIRLEAD_PROCESS_EXECUTOR_H

#include <fairlead/executor.h>
#include <fairlead/process.h>

FL_BEGIN_DECLS

/*
 * The process executor: runs tasks in processes. A task that crashes, or is killed, costs itself and nothing else.
 *
 *     int main(int argc, char **argv)
 *     {
 *             fl_main(argc, argv);                                // workers begin here: see fairlead/process.h
 *             FL_SCOPED(fl_executor) *pool = NULL;
 *             rc = fl_process_executor_create(&pool, NULL);       // check
 *             rc = count_primes_map(pool, parts, 64, counts, NULL);
 *
 * Everything of fairlead/executor.h holds, with what follows from other memory. A task gets a copy of the argument's bytes and
 * leaves the result's; pointers in either mean nothing, and global variables are the worker's own. A task must be registered,
 * as FL_TASK does. Large data are not copied when they stand in a region (`regions` of the config, fl_task_region()) and their
 * offset is the argument. Results above 64 KiB come in sealed memory of their own, which fl_future_result() points into.
 *
 * Workers are daemons of the fork server: started when they are needed, single-minded, with no signal unblocked, and gone when
 * this process is, however it ends. In a task fl_executor_current() is an executor of the worker's, which runs nested tasks at
 * once, on the worker's stack: -EOVERFLOW when that is nearly used up.
 *
 * When a worker dies, the task that it ran fails with -EOWNERDEAD and a message: "worker 4711
 * (name-0) killed by SIGSEGV", "... exited with status 3". In a map (fl_map(), fl_imap) that is one
 * element, not its chunk. Tasks that it had not started go to others, and another worker takes its
 * place. A task is started at most once, unless its type declares `max_attempts`. A task that runs
 * past its deadline is killed, by default 100 ms later (`kill_after`), and fails with -ETIMEDOUT:
 * "worker 4711 (name-0) was killed: it ran a task past its deadline". Workers that cannot be
 * started, or end before they are ready, again and again, break the executor (-ENOTRECOVERABLE),
 * with the reason as the message. So does a system without memfd_create() or pidfd_open().
 *
 * Callbacks, and the drop hooks of tasks, run on a thread of the executor; or on that which cancels. They must not wait for
 * tasks of the same executor, which that thread serves. A thread that waits for a
 * future fetches results itself while it waits.
 *
 * Costs: each worker two pieces of shared memory of 300 KiB, four descriptors here, and a process. All that crosses is checked:
 * whatever a worker writes, the executor stays sound, and kills that worker. Each worker has its own memory, and no other's.
 */

/*
 * Makes one. `config` may be NULL. Starts nothing yet; never waits. Returns 0; -ENOTSUP: no
 * fl_main(), no hook, and no fl_process_preload() (said in the log); -EINVAL: more than
 * FL_WORKERS_MAX workers; `max_tasks`, or a time, below 0; as for other executors; -ENOENT: the
 * initializer is not registered; -EEXIST: another task has the initializer's name; -ENOMEM.
 *
 * A submit also returns:
 *
 *   -ENOENT   the task is not registered here, under its name
 *   -EEXIST   another task is registered under its name, so that a worker could not tell them apart
 *             (see fl_task_register())
 *   -EAGAIN   the executor's own thread cannot be started
 *   -ENOSYS   a sandbox forbids eventfd()
 */
FL_API FL_MUST_CHECK int fl_process_executor_create(fl_executor **e, const fl_executor_config *config);

/* The numbers of the workers that there are now, up to `room` of them in `pids`. Returns how many there are. Never waits. */
FL_API size_t fl_process_executor_pids(fl_executor *e, int *pids, size_t room);

FL_END_DECLS

#endif
