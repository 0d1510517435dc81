/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPI_EXECUTOR_H
#define FAIRLEAD_MPI_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/process.h>
#include <stdbool.h>

FL_BEGIN_DECLS

/*
 * The executor over MPI, of the library fairlead-mpi, runs tasks on several machines.
 *
 *     int main(int argc, char **argv)
 *     {
 *             fl_main(argc, argv); // the first line of main(): worker ranks do not return from it
 *             FL_SCOPED(fl_executor) *cluster = NULL;
 *             int rc = fl_mpi_executor_create(&cluster, NULL, NULL);
 *             if (rc == 0)
 *                     rc = count_primes_map(cluster, parts, 64, counts, NULL);
 *             return rc != 0;
 *     }
 *
 *     mpirun -n 5 --bind-to none ./primes // four worker ranks
 *
 * Everything in fairlead/executor.h applies to it, and what fairlead/process_executor.h says about
 * memory and tasks. The rest of this comment describes what is special about it. mpi/guide.md
 * describes ranks, spawning, regions, errors and costs at length.
 *
 * Ranks
 *
 * A launcher of MPI starts the program once for each rank. All ranks must run the same build. On
 * rank 0, which has all executors, fl_main() returns. On every other rank it serves until rank 0
 * ends, and then ends the process. It also ends a process that a launcher has started but MPI does
 * not connect.
 *
 * If there are no worker ranks, the first executor whose config has `spawn` starts so many ranks by
 * MPI_Comm_spawn(), of the same program and with the same arguments. Spawned ranks serve all
 * executors, and end with rank 0.
 *
 * Start of a task
 *
 * A task has started, for fl_future_cancel(), once it was sent to a rank. A rank is sent as many
 * tasks as it has workers, and `prefetch` more. A prefetched task that is asked to stop ends as
 * cancelled. A prefetched task moves to another rank that has a free worker.
 *
 * A task fails with -EPROTO or -ENOENT, and a message that names the task and the rank, if the rank
 * knows the task by another build or size, or not at all.
 *
 * A deadline is sent as the time that is left, and begins anew when the message arrives.
 *
 * Regions
 *
 * On rank 0's machine fl_task_region() returns the region itself. On each other machine it returns
 * a copy, one for each executor. Writes to the copy do not come back, and later writes of rank 0 do
 * not reach it. A container counts as a machine of its own.
 *
 * A task sees all that was written to the regions before the first submit. From the first submit
 * until a task has begun, the program must not write to the regions, allocate in them, or hold
 * locks there. Copies have the same offsets, root, blocks and locks. A sealed region
 * (fl_shm_seal()) is read-only in all ranks.
 *
 * If a rank cannot get the regions, the executor breaks before any task has run. Its tasks end with
 * -ENOTRECOVERABLE, and a message that names rank, host, region and error.
 *
 * Threads
 *
 * MPI is started for MPI_THREAD_SERIALIZED. A program must not call MPI itself while an executor
 * exists, and must not call MPI_Init() or MPI_Finalize() at all. A thread of rank 0 that submits a
 * task, or waits for one, may make the calls of MPI itself, and needs 64 KiB of stack for that.
 * Callbacks and drop hooks run on a thread of the executor, and must not wait for its tasks.
 *
 * No function of this header, nor fl_main(), is a cancellation point of pthread_cancel(): a cancel
 * does not act while the executor calls MPI. Whether a call of MPI that the program makes is a
 * cancellation point depends on the implementation of MPI.
 *
 * Death of a rank
 *
 * The death of a rank ends the whole job, unless Open MPI 5 was started with `mpirun --with-ft
 * ulfm`. Then tasks that were sent to the rank run again on another rank, if their type has
 * `max_attempts`. Otherwise they fail with -EOWNERDEAD, and a message that names rank, host and
 * process. All other tasks run on the ranks that are left. Dead ranks are not replaced. When the
 * last worker rank has died, pending tasks fail with -EOWNERDEAD, and later submits return
 * -EOWNERDEAD. A task that crashes or calls exit() ends its rank, unless tasks run in processes
 * (`processes` of fl_mpi_config).
 *
 * The end
 *
 * When rank 0 leaves main() or calls exit(), the other ranks end: tasks there are asked to stop,
 * and have a second to do so. If rank 0 ends by _exit() or a signal, the job ends with an error.
 */
typedef struct fl_mpi_config {
	/*
	 * Whether each worker rank runs its tasks in processes. Then the times and limits of
	 * workers in fl_executor_config apply.
	 */
	bool processes;
	/* How many tasks a rank gets beyond those that it can run: up to FL_MPI_PREFETCH_MAX. */
	unsigned prefetch;
	/* How many worker ranks to start if there are none: up to FL_MPI_SPAWN_MAX. */
	unsigned spawn;
} fl_mpi_config;
#define FL_MPI_PREFETCH_MAX 1024u
#define FL_MPI_SPAWN_MAX 65535u
#define FL_MPI_INITIALIZE_MAX 16000u

/*
 * Creates an executor whose tasks run on the worker ranks.
 *
 * `workers` of `config` is the number of tasks that run at once in all, spread evenly over the
 * ranks; 0 means as many as the ranks have CPUs. Both configs may be NULL. If `spawn` starts ranks,
 * the call blocks the calling thread until the launch has ended, without a limit, and so does a
 * call of another thread at that time. A failure after the ranks have started ends the job.
 *
 * Returns:
 *   0            the executor was created
 *   -ENOTSUP     for one of the following reasons, which the log names: the program was not started
 *                by a launcher of MPI, or does not call fl_main(); there is no worker rank, and no
 *                `spawn`; a rank runs another build; MPI grants no thread but the first; the
 *                program has called MPI_Init(); or this is a worker rank or a forked child
 *   -EAGAIN      MPI cannot spawn the ranks, for example because there are too few slots, or the
 *                program's file is gone: the log says why. The call may be repeated
 *   -EOWNERDEAD  all worker ranks have died
 *   -EINVAL      the config has more than FL_WORKERS_MAX workers a rank; a `prefetch` above
 *                FL_MPI_PREFETCH_MAX; a `spawn` above FL_MPI_SPAWN_MAX; a negative `max_tasks` or
 *                time; or something that all executors refuse
 *   -E2BIG       the argument of the initializer is larger than FL_MPI_INITIALIZE_MAX bytes
 *   -ENOENT      the initializer is not registered
 *   -EEXIST      another task has the initializer's name
 *   -ENOMEM      there is no memory
 *
 * A submit to this executor returns the following codes in addition to those of fl_submit():
 *   -ENOENT  the task is not registered here under its name
 *   -EEXIST  another task is registered under its name: see fl_task_register()
 *   -EAGAIN  the executor's threads cannot be started
 */
FL_API FL_MUST_CHECK int fl_mpi_executor_create(fl_executor **e, const fl_executor_config *config,
                                                const fl_mpi_config *mpi);

/*
 * Returns the number of living ranks of the job, including rank 0. An executor needs at least two.
 *
 * It returns 0 if the program was not started by a launcher of MPI, and has spawned no ranks.
 */
FL_API unsigned fl_mpi_ranks(void);

FL_END_DECLS

#endif
