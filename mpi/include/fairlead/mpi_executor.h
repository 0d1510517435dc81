/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPI_EXECUTOR_H
#define FAIRLEAD_MPI_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/process.h>
#include <stdbool.h>

FL_BEGIN_DECLS

/*
 * The executor over MPI runs tasks on several machines. It is in a separate library, fairlead-mpi.
 *
 *     int main(int argc, char **argv)
 *     {
 *             fl_process_main(argc, argv); // the first line; it does not return in worker ranks
 *             FL_SCOPED(fl_executor) *cluster = NULL;
 *             int rc = fl_mpi_executor_create(&cluster, NULL, NULL);
 *             if (rc == 0)
 *                     rc = count_primes_map(cluster, parts, 64, counts, NULL);
 *             return rc != 0;
 *     }
 *
 *     mpirun -n 5 --bind-to none ./primes // four worker ranks
 *
 * Everything in fairlead/executor.h applies to an executor over MPI, and so does what
 * fairlead/process_executor.h says about memory and tasks. The rest of this comment describes what
 * is special about it. mpi/guide.md describes ranks, spawning, regions, errors and costs at length.
 *
 * Ranks
 *
 * A launcher of MPI starts the program several times. Each of these processes is a rank. All ranks
 * must run the same build of the program. Rank 0 creates and uses the executors: fl_process_main()
 * returns there. Every other rank is a worker rank: its fl_process_main() runs tasks until rank 0
 * ends, and then ends the process. fl_process_main() also ends a process that a launcher has
 * started but that MPI does not connect with the others.
 *
 * If there are no worker ranks, the first executor whose config has `spawn` starts that many ranks
 * by MPI_Comm_spawn(). They run the same program with the same arguments. Spawned ranks serve all
 * executors, and end with rank 0.
 *
 * Start of a task
 *
 * For fl_future_cancel() a task has started as soon as it was sent to a rank. Each rank is sent as
 * many tasks as it has workers, and `prefetch` more. A prefetched task that is asked to stop ends
 * as cancelled, unless a worker of the rank has begun it. When no task is pending in rank 0, a
 * prefetched task that has waited for more than a millisecond moves to another rank with a free
 * worker.
 *
 * If a rank does not know a task, or knows it by another build or size, the task fails with -ENOENT
 * or -EPROTO, and a message that names the task and the rank.
 *
 * A deadline is sent as the time that is left. The rank counts this time from the arrival of the
 * message.
 *
 * In a task, fl_executor_current() is an executor that runs a nested task at once, on the stack of
 * the thread that runs the outer task. A submit to it returns -EOVERFLOW when that stack is nearly
 * used up.
 *
 * Regions
 *
 * On rank 0's machine fl_task_region() returns the region itself. On each other machine it returns
 * a copy, of which there is one for each executor. What a task writes to a copy does not come back
 * to rank 0, and what rank 0 writes later does not reach the copy. A container counts as a separate
 * machine.
 *
 * A task sees everything that was written to the regions before the first submit. From the first
 * submit until a task has begun, the program must not write to the regions, allocate in them, or
 * hold locks there. A copy has the same offsets, root, blocks and locks as the region. A sealed
 * region (fl_shm_seal()) is read-only in all ranks.
 *
 * If a rank cannot get the regions, the executor breaks before any task has run. Its tasks end with
 * -ENOTRECOVERABLE, and a message that names the rank, its host, the region and the error.
 *
 * Threads
 *
 * MPI is started with MPI_THREAD_SERIALIZED. The program must never call MPI_Init() or
 * MPI_Finalize(), and must not make other calls of MPI while an executor exists. A thread of rank 0
 * that submits a task, or waits for one, may call MPI itself in the name of the executor. It needs
 * 64 KiB of stack for that. The callbacks of a future, and the hook `drop_arg` of its task, run on
 * a thread of the executor; or on the thread that cancels the task before it has started, or ends
 * the executor. They must not wait for tasks of the same executor. A callback that is registered
 * after the end of the task runs at once, on the thread that registers it. The hook `drop_result`
 * runs on the thread that frees the future.
 *
 * Neither fl_process_main() nor a function of this header is a cancellation point of
 * pthread_cancel(). A cancel does not act while the executor calls MPI. Whether a call of MPI that
 * the program makes is a cancellation point depends on the implementation of MPI.
 *
 * Death of a rank
 *
 * The death of a rank ends the whole job, unless Open MPI 5 was started with `mpirun --with-ft
 * ulfm`. With that option the other ranks go on:
 *
 * - A task that was sent to the dead rank runs again on another rank if its type has
 *   `max_attempts`. Otherwise it fails with -EOWNERDEAD, and a message that names the rank, its
 *   host and its process.
 * - All other tasks run on the ranks that are left. Dead ranks are not replaced.
 * - When the last worker rank has died, pending tasks fail with -EOWNERDEAD, and later submits
 *   return -EOWNERDEAD.
 *
 * A task that crashes or calls exit() ends its rank, unless the rank runs tasks in processes
 * (`processes` of fl_mpi_config).
 *
 * The end
 *
 * When rank 0 leaves main() or calls exit(), the other ranks end. Tasks that still run there are
 * asked to stop, and have one second to do so. If rank 0 ends by _exit() or a signal, the job ends
 * with an error.
 */
typedef struct fl_mpi_config {
	/*
	 * Whether each worker rank runs its tasks in its own worker processes. Then the members of
	 * fl_executor_config for the workers of a process executor apply to these workers.
	 */
	bool processes;
	/*
	 * How many tasks a rank is sent in addition to those that it can run at once, up to
	 * FL_MPI_PREFETCH_MAX.
	 */
	unsigned prefetch;
	/*
	 * How many worker ranks to start if the job has none, up to FL_MPI_SPAWN_MAX. 0 means none.
	 */
	unsigned spawn;
} fl_mpi_config;
#define FL_MPI_PREFETCH_MAX 1024u
#define FL_MPI_SPAWN_MAX 65535u
#define FL_MPI_INITIALIZE_MAX 16000u

/*
 * Creates an executor whose tasks run on the worker ranks.
 *
 * `workers` of `config` is the number of tasks that run at once in all ranks together. The library
 * spreads it evenly over the ranks; 0 means as many as the ranks have CPUs. Both configs may be
 * NULL.
 *
 * The call does not wait, unless it starts ranks because of `spawn`. Then it blocks the calling
 * thread until the launch has ended, and so does a call that another thread makes meanwhile; this
 * wait has no limit. A failure after the ranks have started ends the job.
 *
 * Returns:
 *   0            the executor was created
 *   -ENOTSUP     for one of the following reasons, which the log names: the program was not started
 *                by a launcher of MPI, or does not call fl_process_main(); there is no worker rank,
 *                and no `spawn`; a rank runs another build; MPI does not let any thread but the
 *                first call it; the program has called MPI_Init(); or this process is a worker rank
 *                or a forked child
 *   -EAGAIN      MPI cannot spawn the ranks, for example because there are too few slots or the
 *                program's file is gone; the log says why. The call may be repeated
 *   -EOWNERDEAD  all worker ranks have died
 *   -EINVAL      the config has more than FL_WORKERS_MAX workers for each worker rank, more than
 *                FL_REGIONS_MAX regions, a `prefetch` above FL_MPI_PREFETCH_MAX, a `spawn` above
 *                FL_MPI_SPAWN_MAX, a negative `max_tasks` or time, or a `memory_max` without
 *                `processes`; or the initializer has a result, or its argument contains an fl_bytes
 *                or is aligned above max_align_t; or the initializer takes an argument and
 *                `initialize_arg` is NULL, or the reverse
 *   -E2BIG       the argument of the initializer is larger than FL_MPI_INITIALIZE_MAX bytes
 *   -ENOENT      the initializer is not registered
 *   -EEXIST      another task has the initializer's name
 *   -ENOMEM      there is no memory
 *
 * A submit to this executor returns the following codes in addition to those of
 * fl_executor_submit():
 *   -ENOENT  the task is not registered here under its name
 *   -EEXIST  another task is registered under its name (fl_task_register())
 *   -EAGAIN  the executor's threads cannot be started
 */
FL_API FL_MUST_CHECK int fl_mpi_executor_create(fl_executor **e, const fl_executor_config *config,
                                                const fl_mpi_config *mpi);

/*
 * Returns the number of living ranks of the job, including rank 0. An executor needs at least two
 * of them. The result is 0 as long as MPI was not started, as in a program without a launcher that
 * has not tried to spawn ranks. Only rank 0 learns of deaths: in a worker rank the result includes
 * the ranks that have died.
 */
FL_API unsigned fl_mpi_ranks(void);

FL_END_DECLS

#endif
