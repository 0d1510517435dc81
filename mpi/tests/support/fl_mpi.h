/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_MPI_H
#define FL_TEST_MPI_H

/*
 * The frame of the tests of the executor over MPI. The cases of a program that includes this run in
 * rank 0 of a job of three ranks, or of as many as FL_TEST_MPI_RANKS in the environment says.
 * Before main() the program starts itself once more, by mpirun, and then ends with the same status.
 * If mpirun cannot be started, the cases run without ranks, and those that make an executor are
 * skipped.
 *
 * All ranks are on this machine, so the arena (fl_arena.h) has the same address in each of them.
 * The process that started mpirun has made the arena, and rank 0 allocates from it.
 */
#include "fl_arena.h"
#include "fl_child.h"
#include "fl_test.h"

#include "../../launch.h"
#include <fairlead/mpi_executor.h>

#define EACH_RANK(i, ranks) for (unsigned i = 0; i < (ranks); i++)

static inline unsigned fl_test_mpi_ranks(void)
{
	const char *ranks = getenv("FL_TEST_MPI_RANKS");
	return ranks ? (unsigned)strtoul(ranks, NULL, 10) : 3;
}

static const char fl_test_mpi_variable[] = "FL_TEST_MPI_RANK";
/* Set in the environment if jobs are to be started with fault tolerance. */
static const char fl_test_mpi_tolerant[] = "FL_TEST_MPI_FT";

/* Returns the path of this program. */
static inline char *fl_test_mpi_program(void)
{
	static char path[4096];
	FL_CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
	return path;
}

/* Skips the case if mpirun cannot be started. */
static inline void need_ranks(void)
{
	if (fl_mpi_ranks() == 0)
		FL_SKIP("mpirun cannot be started here");
}

static inline fl_executor *make_over_mpi(const fl_executor_config *config, const fl_mpi_config *mpi)
{
	fl_executor *e = NULL;
	need_ranks();
	FL_OK(fl_mpi_executor_create(&e, config, mpi));
	return e;
}

/*
 * Sets the environment of mpirun so that root may start ranks, that there may be more ranks than
 * CPUs, and that ranks are not bound to one CPU.
 */
static inline void fl_test_mpi_environment(void)
{
	FL_CHECK(fl__mpi_set_launch_environment());
	/* If another program computes, a yield costs a time slice. */
	FL_OK(setenv("OMPI_MCA_mpi_yield_when_idle", "0", 0));
	/*
	 * The suppressions of leaks fit only if ASan unwinds whole stacks, through code without
	 * frame pointers.
	 */
	char options[512];
	const char *asan = getenv("ASAN_OPTIONS");
	(void)snprintf(options, sizeof options, "%s:fast_unwind_on_malloc=0", asan ? asan : "");
	FL_OK(setenv("ASAN_OPTIONS", options, 1));
	FL_OK(setenv("LSAN_OPTIONS", "print_suppressions=0:suppressions=" FL_TEST_MPI_SOURCES "/leaks.supp", 1));
}

/*
 * Runs `program` instead of this process, with so many ranks, by the launcher of the build's MPI.
 * Returns if that is not possible.
 */
static inline void fl_test_mpi_exec(const char *ranks, char *program, char **args)
{
	enum { ARGS = 256 };
	const char *argv[ARGS] = {FL_TEST_MPIRUN, "-n", ranks};
	size_t n = 3;
	if (getenv(fl_test_mpi_tolerant)) {
		argv[n++] = "--with-ft";
		argv[n++] = "ulfm";
	}
	argv[n++] = program;
	for (; *args && n + 1 < ARGS; args++)
		argv[n++] = *args;
	fl_test_mpi_environment();
	(void)execvp(argv[0], (char **)(uintptr_t)argv);
}

/* Runs the cases under mpirun, and ends this process. Returns if mpirun cannot be started. */
static inline void fl_test_mpi_launch(char **argv)
{
	enum { NOT_STARTED = 113 };
	char number[16];
	int status = 0;
	(void)snprintf(number, sizeof number, "%u", fl_test_mpi_ranks());
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		FL_OK(setenv(fl_test_mpi_variable, "1", 1));
		fl_test_mpi_exec(number, fl_test_mpi_program(), argv + 1);
		_exit(NOT_STARTED);
	}
	FL_CHECK(waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != NOT_STARTED)
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Returns the number of this rank. It may be called before fl_process_main(). */
static inline int fl_test_mpi_rank(void)
{
	const char *rank = getenv("OMPI_COMM_WORLD_RANK");
	if (!rank)
		rank = getenv("PMIX_RANK");
	if (!rank)
		rank = getenv("PMI_RANK");
	return rank ? (int)strtol(rank, NULL, 10) : 0;
}

/*
 * Gives ranks separate host names, in a UTS namespace, as if they were on several machines. Called
 * before fl_process_main(). Ranks 1 and 2 are on one machine, rank 3 is on another, and all others
 * are on that of rank 0. Returns false if the process may not do so, because that requires root.
 */
static inline bool fl_test_mpi_move(void)
{
	static const char *const names[] = {NULL, "fl-machine-a", "fl-machine-a", "fl-machine-b"};
	const int rank = fl_test_mpi_rank();
	const char *name = rank < (int)(sizeof names / sizeof *names) ? names[rank] : NULL;
	return unshare(CLONE_NEWUTS) == 0 && (!name || sethostname(name, strlen(name)) == 0);
}

/* A program that starts its ranks itself defines FL_TEST_MPI_BY_HAND. */
#ifndef FL_TEST_MPI_BY_HAND
/* Runs after the constructor of the arena, because that is defined above. */
__attribute__((constructor)) static void fl_test_mpi_begin(int argc, char **argv)
{
	const bool started_again = getenv("FAIRLEAD_PROCESS") != NULL;
	if (getenv(fl_test_mpi_variable)) {
		if (!started_again && fl_test_mpi_rank() == 0)
			fl_test_arena_used = 0;
	} else if (!started_again && (argc < 2 || strcmp(argv[1], "--list") != 0)) {
		fl_test_mpi_launch(argv);
	}
}
#endif

/* The kinds of executors over MPI, for conformance.h. */
#ifdef CONFORMANCE_MPI

static int create_over_mpi(fl_executor **e, const fl_executor_config *config)
{
	need_ranks();
	return fl_mpi_executor_create(e, config, NULL);
}

/* Its workers have a long grace period, like those of create_patient_processes(). */
static int create_processes_over_mpi(fl_executor **e, const fl_executor_config *config)
{
	fl_executor_config patient = {0};
	if (config)
		patient = *config;
	patient.grace_period = FL_DURATION_MAX;
	need_ranks();
	return fl_mpi_executor_create(e, &patient, &(fl_mpi_config){.processes = true});
}

static struct conformance_kind conformance_mpi = {
    "mpi", create_over_mpi, FL_CAP_CONCURRENT | FL_CAP_NESTED, .over_ranks = true, .dies_as_a_whole = true,
};

static struct conformance_kind conformance_mpi_processes = {
    "mpi",
    create_processes_over_mpi,
    FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .needs = FL_TEST_PROCESS_POOLS,
    .over_ranks = true,
};

__attribute__((constructor)) static void fl_test_mpi_set_workers(void)
{
	const unsigned worker_ranks = fl_test_mpi_ranks() - 1;
	conformance_mpi.workers_by_default = worker_ranks * fl_cpu_count();
	conformance_mpi.workers_at_most = worker_ranks * FL_WORKERS_MAX;
	conformance_mpi_processes.workers_by_default = conformance_mpi.workers_by_default;
	conformance_mpi_processes.workers_at_most = conformance_mpi.workers_at_most;
}

#define CONFORMANCE_KINDS(each, row) each(row, mpi) each(row, mpi_processes)

#endif

#endif
