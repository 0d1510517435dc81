/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PROCESS_EXECUTOR_H
#define FAIRLEAD_PROCESS_EXECUTOR_H

#include <fairlead/executor.h>
#include <fairlead/process.h>

FL_BEGIN_DECLS

/*
 * A process executor runs tasks in worker processes, so that a crash of a task harms no other task.
 *
 *     fl_process_main(argc, argv); // the first line of main(): worker processes begin here
 *     FL_SCOPED(fl_executor) *pool = NULL;
 *     int rc = fl_process_executor_create(&pool, NULL);
 *     if (rc == 0)
 *             rc = count_primes_map(pool, parts, 64, counts, NULL);
 *
 * Everything in fairlead/executor.h applies to a process executor (docs/guide/processes.md).
 *
 * Memory
 *
 * Arguments and results are copied, so a pointer in them is not valid in the other process, but an
 * fl_bytes (fairlead/bytes.h) carries its contents with it. Global variables are the worker's own.
 * Share large data in a region: see `regions` of the config, and fl_task_region(). If a task forks,
 * the forked process must not write the result.
 *
 * Tasks
 *
 * A task must be registered (FL_TASK). In a task, fl_executor_current() runs a nested task at once,
 * on the worker's stack. A submit to it returns -EOVERFLOW when little of that stack is left. A
 * task is started at most once, unless its type declares `max_attempts`, or the worker damages
 * memory before it dies. What a task prints is written when the task or, in a map, its chunk has
 * ended.
 *
 * Workers
 *
 * A worker is a daemon of the fork server (fairlead/process.h). It is started when a task needs it,
 * runs one task at a time, and ends with this process at the latest. It needs about 525 KiB of
 * shared memory, and four descriptors of this process. It cannot harm the executor
 * (docs/security.md).
 *
 * A worker has the rights and settings (fairlead/process.h) of the thread that made the first
 * submit. Later changes count only if the C library makes them for all threads, as setuid() does.
 * Free the executor before this process drops privileges ("The fork server" in fairlead/process.h).
 *
 * Memory of a worker
 *
 * `memory_max` in the config limits the resident heap and stacks of a worker (RssAnon in
 * /proc/PID/status), but not files, regions and other shared memory. A worker above the limit after
 * a task is replaced soon. If a task runs for 10 ms or more, and its worker is above twice the
 * limit, the worker is killed: only this task fails, with -ENOMEM, and is not tried again. A worker
 * above the limit before its first task counts as a failed start or, after its initializer, as a
 * failure of the initializer. With `memory_max`, each chunk of a map has one element.
 *
 * Signals
 *
 * Ctrl-C and SIGTERM do not end a worker, so that its parent decides ("Signals" in
 * docs/in-your-process.md). In a program that a task executes, they have the default actions. The
 * worker and the program ignore the signals that this process ignores.
 *
 * Death of a worker
 *
 * If a worker dies, the task that it ran fails with -EOWNERDEAD and a message such as "worker 4711
 * (name-0) killed by SIGSEGV". The message also says if the task has probably used a pointer of
 * this process. A new worker replaces the dead one ("What a death costs" in
 * docs/guide/processes.md).
 *
 * Deadlines
 *
 * If this process may not kill a worker whose task has overrun its `grace_period`, the task fails
 * with -EPERM. A worker that is stopped (SIGSTOP) keeps its task, and a join waits for it, until
 * the worker is continued or killed.
 *
 * Failed starts
 *
 * If a worker cannot be started, or ends before it is ready, the executor tries again. After ten
 * failures in a row, if no other worker takes tasks, the pending tasks fail with the error of the
 * last start, or with -EOWNERDEAD if its worker ended. Later tasks get ten new tries.
 *
 * The executor breaks (-ENOTRECOVERABLE) if the initializer fails. If no other worker takes tasks,
 * it also breaks after ten starts in a row in which
 *
 * - the initializer ends its worker, other than by a SIGKILL from outside; or
 * - an error is permanent: this program cannot be executed (-ENOENT, -ENOTDIR, -EACCES, -ELOOP,
 *   -ENOEXEC, -ENOTSUP), or the system lacks memfd_create() or pidfd_open() (-ENOSYS).
 *
 * Threads
 *
 * A future's callbacks, and the hook `drop_arg` of its task, run on the executor's own thread, or
 * on the thread that ends the executor or cancels the pending task. They must not wait for tasks of
 * the same executor. The hook `drop_result` runs on the thread that frees the future.
 */

/*
 * Creates a process executor. The first submit starts its thread and processes. Returns 0, -ENOMEM,
 * or:
 *   -ENOTSUP  this process cannot make a fork server by executing this program ("Preparing the
 *             program" in fairlead/process.h), or `memory_max` is set, and /proc/PID/statm cannot
 *             be read. The log says which
 *   -EINVAL   the config is invalid (see its members), or has a negative `max_tasks` or time
 *   -ENOENT   the initializer is not registered
 *   -EEXIST   another task has the initializer's name
 *
 * A submit to a process executor may also return -EMFILE, -ENFILE, -ENOSPC, or:
 *   -ENOENT  the task is not registered here under its name
 *   -EEXIST  another task is registered under its name: see fl_task_register()
 *   -EAGAIN  the executor's own thread cannot be started
 *   -ENOSYS  a sandbox forbids eventfd() or epoll_create1()
 */
FL_API FL_MUST_CHECK int fl_process_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Stores up to `room` process ids of workers in `pids`, and returns the number of workers, or 0 for
 * another kind of executor.
 */
FL_API size_t fl_process_executor_pids(const fl_executor *e, int *pids, size_t room);

FL_END_DECLS

#endif
