/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPI_EXECUTOR_H
#define FAIRLEAD_MPI_EXECUTOR_H

#include <fairlead/defs.h>
#include <fairlead/executor.h>
#include <fairlead/process.h>
#include <stdbool.h>

FL_BEGIN_DECLS

/*
 * The executor over MPI, in the library fairlead-mpi, runs tasks on several machines. mpi/guide.md
 * describes ranks, spawning, regions, errors and costs.
 *
 *     int main(int argc, char **argv)
 *     {
 *             fl_main(argc, argv);                                 // worker ranks do not return
 *             FL_SCOPED(fl_executor) *cluster = NULL;
 *             rc = fl_mpi_executor_create(&cluster, NULL, NULL);    // check
 *             rc = count_primes_map(cluster, parts, 64, counts, NULL);
 *
 *     mpirun -n 5 --bind-to none ./primes                          # four worker ranks
 *
 * All of fairlead/executor.h applies. In addition:
 *
 * Ranks. A launcher of MPI starts the program once for each rank. On rank 0, which has all
 * executors, fl_main() returns. On all other ranks it serves until rank 0 ends, and then ends the
 * process. It also ends processes that a launcher has started, but MPI does not connect.
 *
 * Spawn. If there are no worker ranks, the first executor whose config has `spawn` starts so many
 * by MPI_Comm_spawn(), of the same program, with the same arguments. Spawned ranks serve all
 * executors, and end with rank 0.
 *
 * Memory, tasks: as of fairlead/process_executor.h. All ranks must run the same build.
 *
 * Regions. On rank 0's machine fl_task_region() returns the region itself; on each other machine
 * one copy for each executor, from which no write comes back, and to which no later write of rank 0
 * goes.
 *
 * A task sees all that was written before the first submit. From the first submit until a task has
 * begun, the program must not write the regions, allocate in them, or hold locks there. Copies have
 * the same offsets, root, blocks and locks. A sealed region (fl_shm_seal()) is read-only in all
 * ranks. Containers are machines of their own.
 *
 * If a rank cannot get the regions, the executor is broken, and no task has run: tasks end with
 * -ENOTRECOVERABLE, and a message that names rank, host, region and error.
 *
 * A task that a rank knows by another build or size, or not at all, fails with -EPROTO or -ENOENT,
 * and a message that names both.
 *
 * Start. A task has started, for fl_future_cancel(), once it was sent to a rank. A rank is sent as
 * many tasks as it has workers, and `prefetch` more. A prefetched task that is asked to stop ends
 * as cancelled, and moves to another rank that has a free worker.
 *
 * Deadlines pass as the time that is left, and begin anew when the message arrives.
 *
 * pthread_cancel(). No function here, nor fl_main(), is a cancellation point: a cancel does not act
 * while the executor makes calls of MPI. Whether a call of MPI that the program makes is one, is
 * for that MPI to say.
 *
 * Threads. A thread of rank 0 that submits a task, or waits for one, may make the calls of MPI
 * itself: it needs 64 KiB of stack. Callbacks and drop hooks run on a thread of the executor, and
 * must not wait for its tasks.
 *
 * The death of a rank ends the whole job, unless Open MPI 5 was started with `mpirun --with-ft
 * ulfm`. Then tasks that were sent to the rank fail with -EOWNERDEAD, and a message that names
 * rank, host and process, or run again on another rank (`max_attempts` of the type). All others run
 * on the other ranks. Dead ranks are not replaced. When the last one has died, pending tasks fail
 * with -EOWNERDEAD, and later submits return that. A task that crashes or calls exit() ends its
 * rank, unless tasks run in processes (fl_mpi_config).
 *
 * End. When rank 0 leaves main() or calls exit(), the other ranks end: tasks there are asked to
 * stop, and get a second to do so. The end of rank 0 by _exit() or a signal ends the job, with an
 * error.
 *
 * MPI is started for MPI_THREAD_SERIALIZED: a program must make no calls of MPI beside an executor,
 * nor MPI_Init() or MPI_Finalize().
 */
typedef struct fl_mpi_config {
	/* Each worker rank runs its tasks in processes: the worker times and limits apply. */
	bool processes;
	/* Tasks that a rank gets beyond those that it can run: up to FL_MPI_PREFETCH_MAX. */
	unsigned prefetch;
	/* How many worker ranks to start if there are none: up to FL_MPI_SPAWN_MAX. */
	unsigned spawn;
} fl_mpi_config;
#define FL_MPI_PREFETCH_MAX 1024u
#define FL_MPI_SPAWN_MAX 65535u
#define FL_MPI_INITIALIZE_MAX 16000u

/*
 * Creates an executor whose tasks run on the worker ranks. `workers` of the config is how many
 * tasks run at once in all, spread evenly over the ranks; 0: as many as the ranks have CPUs. Both
 * configs may be NULL. If `spawn` starts ranks, the call blocks as long as the launch takes,
 * without a limit, and so does a call of another thread at that time. A failure after the ranks
 * have started ends the job. Returns 0, -ENOMEM, or:
 *   -ENOTSUP  the program was not started by a launcher of MPI, or without fl_main(); there is no
 *             worker rank, and no `spawn`; a rank runs another build; MPI grants no thread but the
 *             first; the program has called MPI_Init(); this is a worker rank, or a forked child:
 *             the log says which
 *   -EAGAIN   MPI cannot spawn the ranks, as with too few slots, or without the program's file: the
 *             log says why. The call may be tried again
 *   -EOWNERDEAD  all worker ranks have died
 *   -EINVAL   more than FL_WORKERS_MAX workers a rank; a `prefetch` above FL_MPI_PREFETCH_MAX; a
 *             `spawn` above FL_MPI_SPAWN_MAX; `max_tasks` or a time below 0; a config that other
 *             executors refuse, too
 *   -E2BIG    the initializer's argument exceeds FL_MPI_INITIALIZE_MAX bytes
 *   -ENOENT   the initializer is not registered
 *   -EEXIST   another task has the initializer's name
 *
 * A submit to this executor also returns:
 *   -ENOENT  the task is not registered here under its name
 *   -EEXIST  another task is registered under its name: see fl_task_register()
 *   -EAGAIN  the executor's threads cannot be started
 */
FL_API FL_MUST_CHECK int fl_mpi_executor_create(fl_executor **e, const fl_executor_config *config,
                                                const fl_mpi_config *mpi);

/*
 * The number of living ranks of the job, with rank 0; 0 if the program was not started by a
 * launcher of MPI, and has spawned none. An executor needs at least two.
 */
FL_API unsigned fl_mpi_ranks(void);

FL_END_DECLS

#endif
