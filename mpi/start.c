/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts MPI in fl_process_main(), spawns worker ranks, and ends MPI.
 *
 * A launcher starts the program once for each rank, and tells the rank so by environment variables.
 * The launcher may belong to another implementation of MPI, or may not speak the PMI that the
 * program's MPI needs (plain srun). Then MPI sees a world of one in each rank, so that each rank
 * would do the whole work, or MPI hangs. Such a process ends here, with one line in the log.
 *
 * Rank 0 of a world of one, or a process without a launcher, spawns worker ranks when the first
 * executor asks for them. The spawned ranks find the intercommunicator to rank 0 by
 * MPI_Comm_get_parent().
 */
#include "start.h"
#include "engine.h"
#include "host.h"
#include "internals.h"
#include "regions.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/thread.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	fl_mutex lock; /* guards fl__mpi_world while the first executor spawns ranks */
	char **args;
	struct fl__mpi_hello hello;
	bool has_served; /* set by a worker rank at its end */
} start = {.lock = FL_MUTEX_INIT};

/*
 * Whether a process without a launcher may start MPI. MPICH hangs if the mpiexec in PATH belongs to
 * version 4.0 or to another MPI.
 */
#ifdef OPEN_MPI
enum { START_NEEDS_NO_LAUNCHER = true };
#else
enum { START_NEEDS_NO_LAUNCHER = false };
#endif

struct start_launcher {
	const char *name;                          /* NULL if there is none */
	const char *rank_variable, *size_variable; /* the second one may be NULL */
	bool speaks_pmi;                           /* it connects the ranks as MPI's launchers do */
	long size;                                 /* 0 if the launcher does not say it */
};

/* The known launchers, in the order of the search. Those without PMI come last. */
static const struct start_launcher start_launchers[] = {
    {"Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", true},
    {"a launcher with PMIx", "PMIX_RANK", NULL, true},
    {"a launcher with PMI (MPICH's mpiexec, srun --mpi=pmi2)", "PMI_RANK", "PMI_SIZE", true},
    {"mpirun_rsh", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", false},
    /* SLURM_NTASKS is also set in a batch script, so the size is taken from another variable. */
    {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", false},
    {"flux run", "FLUX_TASK_RANK", "FLUX_JOB_SIZE", false},
    {"jsrun", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", false},
};

static long start_number(const char *variable)
{
	const char *text = secure_getenv(variable);
	return text ? strtol(text, NULL, 10) : 0;
}

/*
 * Returns the first launcher whose variable for the rank is set. A launcher without PMI starts
 * programs of all kinds, so it counts only if it has started several processes. Slurm also starts
 * other launchers; if they do not say the number of ranks, Slurm's number counts.
 */
static struct start_launcher start_find_launcher(void)
{
	struct start_launcher found = {0};
	for (size_t i = 0; i < FL__COUNT(start_launchers); i++) {
		const struct start_launcher *l = &start_launchers[i];
		const long size = l->size_variable ? start_number(l->size_variable) : 0;
		if (!secure_getenv(l->rank_variable) || (!l->speaks_pmi && size < 2))
			continue;
		if (!found.name)
			found = *l;
		if (found.size == 0)
			found.size = size;
	}
	return found;
}

/*
 * Marks the environment with the job and the number of this rank. A process that a rank starts
 * inherits the launcher's variables, but also the mark. Returns false if the mark was already
 * there, or if there is no memory.
 */
static bool start_mark_rank(const struct start_launcher *launcher)
{
	static const char variable[] = "FAIRLEAD_MPI";
	char mark[128];
	const char *job = secure_getenv("PMIX_NAMESPACE"), *found = secure_getenv(variable);
	(void)snprintf(mark, sizeof mark, "%.90s:%ld", job ? job : "", start_number(launcher->rank_variable));
	if (found && strcmp(found, mark) == 0)
		return false;
	return setenv(variable, mark, 1) == 0;
}

/*
 * Ends the process with a line in the log. Each rank writes it, because a launcher may kill the
 * others when one ends.
 */
static _Noreturn void start_refuse(const struct start_launcher *launcher, const char *sees)
{
	fl__log(FL_LOG_ERROR,
	        "%s has started %ld ranks, but %s: use the launcher of the MPI that the program is built with "
	        "(mpirun), or a PMI that this MPI knows (srun --mpi=list)",
	        launcher->name, launcher->size, sees);
	fl__flush_streams();
	_exit(1);
}

/*
 * Refuses launchers before MPI_Init() is called, in which MPICH would hang under Open MPI's mpirun,
 * and Open MPI 4 would abort with a page of text without PMI. MPICH may know srun's protocol, so a
 * program that is built with MPICH does not refuse launchers for lack of PMI.
 */
static void start_check_launcher(const struct start_launcher *launcher)
{
#ifdef OPEN_MPI
	if (!launcher->speaks_pmi)
		start_refuse(launcher, "without PMIx, which Open MPI needs to connect them");
#else
	if (secure_getenv("OMPI_COMM_WORLD_SIZE") && !secure_getenv("PMI_RANK"))
		start_refuse(launcher, "this program is built with MPICH or a relative");
#endif
}

static void start_describe(struct fl__mpi_hello *hello)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	*hello = (struct fl__mpi_hello){
	    .magic = FL__MPI_MAGIC,
	    .protocol = FL__MPI_PROTOCOL,
	    .pointer_size = sizeof(void *),
	    .cpus = fl_cpu_count(),
	    .machine_cpus = cpus > 0 ? (uint32_t)cpus : 1,
	    .pid = (int32_t)getpid(),
	};
	fl__build_id_of_program(&hello->program);
	fl__registry_digest(&hello->tasks);
	if (gethostname(hello->host, sizeof hello->host - 1) != 0)
		(void)snprintf(hello->host, sizeof hello->host, "unknown host");
	hello->machine = fl__mpi_machine(hello->host);
	fl__mpi_world.host = hello->host;
}

static void start_check_protocol(const struct fl__mpi_hello *peer, int rank)
{
	if (peer->magic != FL__MPI_MAGIC || peer->protocol != FL__MPI_PROTOCOL || peer->pointer_size != sizeof(void *))
		fl__mpi_abort(
		    "rank %d has another version of fairlead-mpi, or runs on another architecture: all ranks need "
		    "the same program",
		    rank);
}

/*
 * Returns whether both programs have a build-id and these differ. Programs without one cannot be
 * compared between hosts, so their tasks are compared instead.
 */
static bool start_is_other_build(const struct fl__mpi_hello *a, const struct fl__mpi_hello *b)
{
	return !a->program.hashed && !b->program.hashed && memcmp(&a->program, &b->program, sizeof a->program) != 0;
}

static void start_check_peers(void)
{
	static char text[256];
	const struct fl__mpi_hello *peers = fl__mpi_world.peers;
	char here[FL__BUILD_ID_TEXT], there[FL__BUILD_ID_TEXT];
	fl__mpi_world.refusal = NULL;
	for (int i = 0; i < fl__mpi_world.size; i++) {
		start_check_protocol(&peers[i], i);
		if (!peers[i].level)
			fl__mpi_world.refusal = "MPI does not grant MPI_THREAD_SERIALIZED, which each rank needs";
		if (fl__mpi_world.refusal || !start_is_other_build(&peers[0], &peers[i]))
			continue;
		(void)snprintf(text, sizeof text,
		               "rank %d (%.60s) runs another build of the program: %s there, %s here", i, peers[i].host,
		               fl__build_id_text(&peers[i].program, there), fl__build_id_text(&peers[0].program, here));
		fl__mpi_world.refusal = text;
	}
}

static void start_at_exit(void)
{
	if (fl__is_forked(fl__mpi_world.fork_count))
		return;
	fl__mpi_dismiss();
	fl__mpi_finish();
}

static void start_call_at_exit(void (*function)(void))
{
	if (atexit(function) != 0)
		fl__mpi_abort("no memory for the end of MPI");
}

/*
 * A worker rank's function for atexit(). Since version 4.2, MPICH tells its launcher in such a
 * function that a rank ends in order, so a worker rank ends by exit(). This function is registered
 * before that of MPI, but after those that the program has registered before fl_process_main(), so
 * it runs between them. It keeps these functions of the program from running, as in a worker
 * process.
 */
static void start_end_worker(void)
{
	if (!start.has_served)
		return;
	fl__flush_streams();
	_exit(0);
}

/*
 * Another function of a worker rank for atexit(), with fault tolerance, which runs before that of
 * MPI. If a task has called exit(), it kills the rank, because MPI would not notice a rank that
 * leaves in order, and the rank's status would become that of mpirun.
 */
static void start_kill_worker(void)
{
	if (start.has_served || fl__is_forked(fl__mpi_world.fork_count))
		return;
	fl__flush_streams();
	(void)kill(getpid(), SIGKILL);
}

/* Stores why there can be no executor. `alone` is true if worker ranks would help. */
static void start_refuse_executors(const char *refusal, bool alone)
{
	fl__mpi_world.refusal = refusal;
	fl__mpi_world.alone = alone;
}

/* Returns whether MPI can be started. If not, fl__mpi_world.refusal says why. */
static bool start_may_initialize(void)
{
	int started = 0;
	(void)MPI_Initialized(&started);
	if (started)
		start_refuse_executors("the program has called MPI_Init()", false);
	return !started;
}

void fl__mpi_main(int argc, char **argv)
{
	/* MPI's calls are cancellation points, and the tasks of a worker rank may be cancelled. */
	FL__UNCANCELLED();
	const struct start_launcher launcher = start_find_launcher();
	start.args = argc > 0 ? argv + 1 : NULL;
	fl__mpi_world.fork_count = fl__fork_count;
	if (!launcher.name) {
		start_refuse_executors("the program was not started by a launcher of MPI, as mpirun",
		                       START_NEEDS_NO_LAUNCHER);
		return;
	}
	start_check_launcher(&launcher);
	if (!start_may_initialize())
		return;
	if (!start_mark_rank(&launcher)) {
		start_refuse_executors("this process was started by a rank, not by the launcher", false);
		return;
	}
	start_describe(&start.hello);
	start_call_at_exit(start_end_worker);
	fl__mpi_start(&argc, &argv, &start.hello);
	if (launcher.size > 1 && fl__mpi_world.size == 1)
		start_refuse(&launcher, "MPI sees a single one");
	if (fl__mpi_world.rank > 0) {
		start_refuse_executors("this is a worker rank, and rank 0 has all of them", false);
		if (fl__mpi_world.survives)
			start_call_at_exit(start_kill_worker);
		fl__mpi_host_serve();
		fl__hook_exit(true);
		fl__mpi_finish();
		start.has_served = true;
		exit(0);
	}
	if (fl__mpi_world.size > 1)
		start_check_peers();
	else
		start_refuse_executors("there is one rank alone, and no worker rank: start the program with at least "
		                       "two, as with mpirun -n 2",
		                       true);
	start_call_at_exit(start_at_exit);
}

/*
 * Starts MPI in a process without a launcher. If that is not possible, returns false, and
 * fl__mpi_world.refusal says why.
 */
static bool start_without_launcher(void)
{
	if (!start_may_initialize())
		return false;
	start_describe(&start.hello);
	fl__mpi_start(NULL, NULL, &start.hello);
	start_call_at_exit(start_at_exit);
	/*
	 * Open MPI has set the variables of a launcher, which are inherited by programs that this
	 * process starts.
	 */
	const struct start_launcher launcher = start_find_launcher();
	if (launcher.name && !start_mark_rank(&launcher))
		fl__mpi_abort("no memory for the environment");
	return true;
}

/*
 * Spawns `n` worker ranks. Returns 0, and fl__mpi_world tells whether there can be executors; or
 * returns -EAGAIN, and stores the cause in `why`.
 */
static int start_spawn(unsigned n, char *why, size_t size)
{
	char program[4096], cause[112];
	const ssize_t length = readlink("/proc/thread-self/exe", program, sizeof program - 1);
	program[length > 0 ? length : 0] = '\0';
	/* Open MPI 4.1 hangs if the program does not exist. */
	if (access(program, X_OK) != 0) {
		(void)snprintf(why, size, "no worker rank can be spawned: %.128s: %s", program, fl_error_text(-errno));
		return -EAGAIN;
	}
	if (fl__mpi_world.size == 0 && !start_without_launcher())
		return 0;
	if (!fl__mpi_spawn(program, start.args, (int)n, &start.hello, cause, sizeof cause)) {
		(void)snprintf(
		    why, size,
		    "%u worker ranks cannot be spawned: %s (%.40s): there are too few slots, or this MPI cannot spawn",
		    n, cause, fl__mpi_version());
		return -EAGAIN;
	}
	fl__mpi_world.alone = false;
	start_check_peers();
	return 0;
}

int fl__mpi_require_ranks(unsigned spawn)
{
	char why[256];
	const char *refusal = "this process is a forked child";
	int rc = -ENOTSUP;
	if (!fl__is_forked(fl__mpi_world.fork_count)) {
		FL__HELD(&start.lock);
		FL__UNCANCELLED(); /* MPI's calls are cancellation points */
		rc = fl__mpi_world.alone && spawn > 0 ? start_spawn(spawn, why, sizeof why) : 0;
		refusal = rc == 0 ? fl__mpi_world.refusal : why;
		if (rc == 0 && refusal)
			rc = -ENOTSUP;
	}
	if (rc != 0)
		fl__log(FL_LOG_ERROR, "no executor over MPI: %s", refusal);
	return rc;
}
