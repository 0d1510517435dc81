/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PROCESS_EXECUTOR_H
#define FAIRLEAD_PROCESS_EXECUTOR_H

#include <fairlead/executor.h>
#include <fairlead/process.h>

FL_BEGIN_DECLS

/*
 * The process executor runs tasks in worker processes. A task that crashes harms no other task.
 *
 *     int main(int argc, char **argv)
 *     {
 *             fl_main(argc, argv);                            // workers begin here
 *             FL_SCOPED(fl_executor) *pool = NULL;
 *             rc = fl_process_executor_create(&pool, NULL);   // check
 *             rc = count_primes_map(pool, parts, 64, counts, NULL);
 *
 * All of fairlead/executor.h applies. In addition:
 *
 * Memory. A task gets a copy of the argument's bytes, and the caller gets a copy of the result's.
 * Pointers in either mean nothing, except an fl_bytes (fairlead/bytes.h), and global variables are
 * the worker's own. Large data in a region (`regions`, fl_task_region()) are not copied. A result
 * above 64 KiB has its own sealed memory. A process that a task forks must not write the result.
 *
 * Tasks. A task must be registered (FL_TASK). In a task fl_executor_current() runs nested tasks at
 * once, on the worker's stack; a submit returns -EOVERFLOW when that is nearly used up.
 *
 * Workers are daemons of the fork server, started when a task needs one. A worker runs one task at
 * a time, and ends with this process. It has the attributes (fairlead/process.h) of the pool's
 * thread that starts workers: those of the thread that made the first submit, and what the C
 * library has changed for all threads since, as by setuid(). Namespaces, cgroup, oom_score_adj,
 * NUMA policy and security label are those of the pool's first start. Free a pool before this
 * process drops privileges: its workers keep them, and as long as it has workers, every start of a
 * worker with other rights fails with -EPERM, in this pool and in others (fairlead/process.h).
 *
 * Signals that the creator of the executor blocks, or that the process ignores, are so in a worker.
 * A worker ignores, by a handler, SIGTSTP and each signal whose default action would end it, except
 * SIGKILL, SIGABRT and those of faults. A handler notes the address of a SIGSEGV, which then has
 * its default action. Programs that a task executes have the default action.
 *
 * Output. What a task has printed to `stdout` is written when the task ends.
 *
 * Death of a worker. The task that the worker ran fails with -EOWNERDEAD and a message: "worker
 * 4711 (name-0) killed by SIGSEGV". The message says so if the worker died at an address that is
 * mapped in this process alone, so at a pointer of this process; unless the program has a handler
 * of SIGSEGV. In a map (fl_map(), fl_imap) that is one element, not its chunk. Tasks that the
 * worker had not started run on other workers, and a new worker replaces it. A task is started at
 * most once, unless its type declares `max_attempts`.
 *
 * Deadlines. A task that runs past its deadline is killed with its worker (`grace_period`), and
 * fails with -ETIMEDOUT. If this process may not kill the worker, the task fails with -EPERM, and
 * the worker ends after its task, at the latest with this process.
 *
 * Failed starts. If a worker cannot be started, or ends before it is ready, the executor tries
 * again after 1 to 128 ms. After ten failures in a row, while no other worker serves, the pending
 * tasks fail with the error of the last start, or with -EOWNERDEAD if that worker ended. Later
 * tasks have ten tries of their own.
 *
 * The executor breaks (-ENOTRECOVERABLE) if the initializer fails; if it ends its worker ten times
 * in a row, except by SIGKILL; and if ten starts in a row say that this program cannot be executed
 * (-ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENOEXEC, -ENOTSUP), or that the system lacks memfd_create()
 * or pidfd_open() (-ENOSYS).
 *
 * Threads. Callbacks, and the drop hooks of tasks, run on the executor's own thread, or on the
 * thread that cancels. They must not wait for tasks of the same executor.
 *
 * Each worker costs two pieces of shared memory of 300 KiB, and four descriptors here. Whatever a
 * worker writes to them, the executor stays sound, and kills that worker.
 */

/*
 * Creates a process executor. Starts nothing yet. Returns 0, -ENOMEM, or:
 *   -ENOTSUP  without fl_process_preload(): the program has no fl_main() and no hook, was started
 *             as an argument of the loader, or has no /proc; the log says which
 *   -EINVAL   more than FL_WORKERS_MAX workers; `max_tasks` or a time below 0; or as
 *             fl_sequential_executor_create()
 *   -ENOENT   the initializer is not registered
 *   -EEXIST   another task has the initializer's name
 *
 * A submit to this executor also returns:
 *   -ENOENT  the task is not registered here under its name
 *   -EEXIST  another task is registered under its name: see fl_task_register()
 *   -EAGAIN  the executor's own thread cannot be started
 *   -EMFILE, -ENFILE  no two descriptors for the executor's own thread
 *   -ENOSYS  a sandbox forbids eventfd()
 */
FL_API FL_MUST_CHECK int fl_process_executor_create(fl_executor **e, const fl_executor_config *config);

/* Stores at most `room` process ids of workers. Returns the number of workers. */
FL_API size_t fl_process_executor_pids(const fl_executor *e, int *pids, size_t room);

FL_END_DECLS

#endif
