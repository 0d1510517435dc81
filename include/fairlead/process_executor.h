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
 *             fl_process_main(argc, argv); // the first line of main(): worker processes begin here
 *             FL_SCOPED(fl_executor) *pool = NULL;
 *             int rc = fl_process_executor_create(&pool, NULL);
 *             if (rc == 0)
 *                     rc = count_primes_map(pool, parts, 64, counts, NULL);
 *             return rc != 0;
 *     }
 *
 * Everything in fairlead/executor.h applies to a process executor. The rest of this comment
 * describes what is special about it.
 *
 * Memory
 *
 * A task gets a copy of the argument's bytes, and the caller gets a copy of the result's bytes.
 * Pointers in the argument or the result are not valid in the other process. The one exception is
 * an fl_bytes (fairlead/bytes.h), whose contents travel with it. Global variables are the worker's
 * own. To share large data without a copy, put them into a region: see `regions` of the config, and
 * fl_task_region(). A result above 64 KiB has sealed memory of its own. If a task forks, the forked
 * process must not write the result.
 *
 * Tasks
 *
 * A task must be registered (FL_TASK). In a task, fl_executor_current() is an executor that runs a
 * nested task at once, on the worker's stack. A submit to it returns -EOVERFLOW when that stack is
 * nearly used up.
 *
 * A task is started at most once, unless its type declares `max_attempts`. There is one exception:
 * a task that damages the memory that its worker shares with this process, and ends the worker, may
 * be started up to four times.
 *
 * What a task has printed to `stdout` is written when the task ends. The elements of a map
 * (fl_executor_map(), fl_imap) run in chunks, and their output is written when the chunk ends. If
 * another thread of the worker has locked `stdout` at that moment, the output is written later.
 *
 * Workers
 *
 * A worker is a daemon of the fork server (fairlead/process.h). It is started when a task needs it,
 * runs one task at a time, and ends with this process at the latest. Each worker costs two pieces
 * of shared memory, together about 525 KiB, and four descriptors of this process. While tracing is
 * on (fairlead/debug.h), one of the two pieces also has a ring for the worker's events. The
 * executor stays sound whatever a worker writes into the shared memory. It kills a worker that
 * writes what no sound worker writes.
 *
 * A worker has the attributes (fairlead/process.h) of the thread of the pool that starts workers.
 * That thread has the attributes of the thread that made the first submit. A later change that the
 * C library makes for all threads, such as setuid(), applies to it, too. The pool reads that
 * thread's namespaces, cgroup, oom_score_adj, NUMA policy and security label once, when it starts
 * its first worker, and does not see later changes.
 *
 * Free a pool before this process drops privileges. The workers of the pool keep the rights with
 * which they were started. As long as the pool has workers, every start of a worker with other
 * rights fails with -EPERM, in this pool and in others.
 *
 * Memory of a worker
 *
 * With `memory_max` in the config the executor counts the anonymous memory of a worker that is
 * resident (RssAnon in /proc/PID/status): heap and stacks, but not files, regions and other shared
 * memory. It reads the kernel's counter in /proc/PID/statm, which on machines with many CPUs may be
 * some MiB behind.
 *
 * - A worker that has more than `memory_max` after a task is replaced before its next task. Nothing
 *   is lost: tasks that were waiting for this worker run in another one. A worker looks at its
 *   memory at most once in 2 ms, so that a task costs no system call. Several tasks that together
 *   take less time than that may run between two looks.
 * - A task that has run for 10 ms or more, and whose worker has more than twice `memory_max`, is
 *   ended, within some 20 ms. It fails with -ENOMEM and the message "worker 4711 (name-0) was
 *   killed: its task had passed twice the limit memory_max". It is not tried again
 *   (`max_attempts`), and no other task is affected. An initializer is not ended in this way.
 * - In a map each chunk has one element, whatever `chunk` is, so that no element is ended for the
 *   memory that another one has kept.
 *
 * If a worker has more than `memory_max` before its first task, another worker would have as much.
 * So this counts as a failed start or, after an initializer, as a failure of the initializer, which
 * breaks the executor. "Failed starts" below says what follows.
 *
 * Signals
 *
 * A worker blocks the signals that the creator of the executor blocks. It does not block the
 * signals of faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS), nor those that
 * fl_signals_create() has blocked.
 *
 * A worker ignores the signals that the process ignores, and so does a program that a task
 * executes. In addition a worker ignores, by an empty handler, SIGTSTP and every signal whose
 * default action would end it, except SIGKILL, SIGABRT and the signals of faults. In a program that
 * a task executes, the signals with the empty handler have their default actions. A handler of
 * SIGSEGV notes the address of an access to memory that is not mapped; then the signal has its
 * default action.
 *
 * Death of a worker
 *
 * If a worker dies, the task that it ran fails with -EOWNERDEAD and a message such as "worker 4711
 * (name-0) killed by SIGSEGV". In a map (fl_executor_map(), fl_imap) the elements before it in its
 * chunk keep their results. Tasks that the worker had not started run on other workers, and a new
 * worker replaces the dead one.
 *
 * The message also says if the worker died at an address that is mapped in this process alone: the
 * task has then most likely used a pointer of this process. This hint is missing if the program has
 * a handler of SIGSEGV, or ignores SIGSEGV.
 *
 * Deadlines
 *
 * A task that still runs `grace_period` after its deadline is killed with its worker, and fails
 * with -ETIMEDOUT. If this process may not kill the worker, the task fails with -EPERM. That worker
 * ends after its task, at the latest with this process.
 *
 * A worker that a signal has stopped (SIGSTOP, say) keeps its task, and no log tells of that. A
 * deadline, `task_timeout` and fl_executor_terminate() kill a stopped worker, too. Without them the
 * task and a join of the executor wait until SIGCONT continues the worker.
 *
 * Failed starts
 *
 * If a worker cannot be started, or ends before it is ready, the executor tries again after 1 to
 * 128 ms. If ten starts in a row have failed and no other worker takes tasks, the pending tasks
 * fail. Their error is that of the last start, or -EOWNERDEAD if that start made a worker that
 * ended before it was ready. Tasks that are submitted later have ten tries of their own.
 *
 * The executor breaks (-ENOTRECOVERABLE) in three cases. In the second and the third case it breaks
 * only when no other worker takes tasks.
 *
 * - The initializer fails.
 * - The initializer ends its worker ten times in a row, and none of these ends is a SIGKILL from
 *   outside the executor.
 * - Ten starts in a row fail with codes that say that no start can succeed: this program cannot be
 *   executed (-ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENOEXEC, -ENOTSUP), or the system lacks
 *   memfd_create() or pidfd_open() (-ENOSYS).
 *
 * Threads
 *
 * The callbacks of a future, and the hook `drop_arg` of its task, run on the executor's own thread;
 * or on the thread that cancels the task before it has started, or ends the executor. They must not
 * wait for tasks of the same executor. A callback that is registered after the end of the task runs
 * at once, on the thread that registers it. The hook `drop_result` runs on the thread that frees
 * the future.
 */

/*
 * Creates a process executor. It starts neither threads nor processes before the first submit.
 *
 * The call never waits. `config` may be NULL.
 *
 * Returns:
 *   0         the executor was created
 *   -ENOMEM   there is no memory
 *   -ENOTSUP  this process has no fork server yet, and cannot make one by executing this program:
 *             it is not prepared, or there is another reason that "Preparing the program" in
 *             fairlead/process.h lists; or `memory_max` is set, and /proc/PID/statm cannot be
 *             read. The log says which
 *   -EINVAL   the config has more than FL_WORKERS_MAX workers, more than FL_REGIONS_MAX regions, or
 *             a negative `max_tasks` or time; or the initializer has a result, or its argument
 *             contains an fl_bytes or is aligned above max_align_t; or the initializer takes an
 *             argument and `initialize_arg` is NULL, or the reverse
 *   -ENOENT   the initializer is not registered
 *   -EEXIST   another task has the initializer's name
 *
 * A submit to a process executor returns the following codes in addition to those of
 * fl_executor_submit():
 *   -ENOENT           the task is not registered here under its name
 *   -EEXIST           another task is registered under its name: see fl_task_register()
 *   -EAGAIN           the executor's own thread cannot be started
 *   -EMFILE, -ENFILE  two descriptors for the executor's own thread cannot be opened
 *   -ENOSPC           the user's limit of watched descriptors is reached
 *   -ENOSYS           a sandbox forbids eventfd() or epoll_create1()
 */
FL_API FL_MUST_CHECK int fl_process_executor_create(fl_executor **e, const fl_executor_config *config);

/*
 * Stores the process ids of the workers in `pids`, at most `room` of them, and returns the number
 * of workers. For another kind of executor it returns 0. It never waits.
 */
FL_API size_t fl_process_executor_pids(const fl_executor *e, int *pids, size_t room);

FL_END_DECLS

#endif
