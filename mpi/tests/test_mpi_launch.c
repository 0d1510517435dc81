/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests jobs that a case starts by mpirun, to see how they end. */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi_job.h"

#include "../engine.h"
#include <mpi.h>

FL_TASK_STATIC(until_cancelled, void, void)
{
	return fl_sleep(FL_S(600));
}

FL_TASK_STATIC(for_ever, void, void)
{
	for (;;)
		(void)pause();
	return 0;
}

/* The roles, which run in rank 0. Each returns the exit status of the rank. */

ROLE(mixed)
{
	return role_refused();
}

ROLE(level)
{
	return role_refused();
}

/* The program starts MPI itself, so it also ends it. */
ROLE(initialized)
{
	const int status = role_refused();
	return MPI_Finalize() == MPI_SUCCESS ? status : 1;
}

/* Called instead of MPI's function: in the role `level` MPI grants too low a level. */
int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
	const char *role = getenv(role_variable);
	const int rc = PMPI_Init_thread(argc, argv, required, provided);
	if (role && strcmp(role, "level") == 0)
		*provided = MPI_THREAD_FUNNELED;
	return rc;
}

ROLE(exit_code)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(fl_mpi_executor_create(&e, NULL, NULL));
	return square_of_three(e) == 9 ? 7 : 1;
}

ROLE(works)
{
	(void)fprintf(stderr, "the whole work is done\n");
	return 0;
}

/* Starts this program once more, with the launcher's variables. */
ROLE(child)
{
	return start_refused();
}

ROLE(unused)
{
	return fl_mpi_ranks() == 2 ? 0 : 1;
}

static const char outlives[] = "rank 0 outlives rank 1";

ROLE(death)
{
	fl_executor *e = NULL;
	fl_future *f = NULL;
	FL_OK(fl_mpi_executor_create(&e, NULL, NULL));
	FL_OK(die_submit(e, &f));
	FL_OK(fl_future_wait(f));
	(void)fprintf(stderr, "%s\n", outlives);
	return 0;
}

/* Kills a rank that has nothing to do. */
ROLE(idle_death)
{
	fl_executor *e = NULL;
	int pid = 0;
	FL_OK(fl_mpi_executor_create(&e, NULL, NULL));
	FL_OK(fl_test_run_task(e, &process_id, NULL, &pid));
	(void)fprintf(stderr, "%s\n", rank_dies);
	FL_OK(kill(pid, SIGKILL));
	FL_OK(fl_sleep(FL_S(30)));
	(void)fprintf(stderr, "%s\n", outlives);
	return 0;
}

FL_TASK_STATIC(exit_thread, void, void)
{
	pthread_exit(NULL);
}

FL_TASK_STATIC(initialize_nothing, void, void)
{
	return 0;
}

/* With an initializer the rank runs tasks on a separate worker, not on its runner. */
static int end_thread(const fl_task_type *initialize)
{
	fl_executor *e = NULL;
	fl_future *f = NULL;
	(void)fprintf(stderr, "%s\n", rank_dies);
	FL_OK(fl_mpi_executor_create(&e, &(fl_executor_config){.workers = 1, .initialize = initialize}, NULL));
	FL_OK(exit_thread_submit(e, &f));
	FL_OK(fl_future_wait(f));
	(void)fprintf(stderr, "%s\n", outlives);
	return 0;
}

ROLE(ends_the_runner)
{
	return end_thread(NULL);
}

ROLE(ends_a_worker)
{
	return end_thread(&initialize_nothing);
}

static int leave_with(const fl_task_type *type)
{
	fl_executor *e = NULL;
	FL_OK(fl_mpi_executor_create(&e, &(fl_executor_config){.workers = 2}, NULL));
	FL_OK(fl_executor_submit(e, type, NULL, NULL));
	return square_of_three(e) == 9 ? 0 : 1;
}

ROLE(leaves_a_task)
{
	return leave_with(&until_cancelled);
}

ROLE(leaves_a_stubborn_task)
{
	return leave_with(&for_ever);
}

/* The ranks do not find the region of rank 0, so that they fetch its bytes. */
ROLE(leaves_regions)
{
	enum { SIZE = 100 << 20 };
	fl_shm *region = NULL;
	fl_executor *e = NULL;
	FL_OK(fl_shm_create(&region, SIZE));
	FL_OK(fl_mpi_executor_create(&e, &(fl_executor_config){.regions = &region, .n_regions = 1}, NULL));
	fl__mpi_world.peers[0].pid = (int32_t)getppid();
	return square_submit(e, 3, NULL);
}

FL_TASK_STATIC(echo, fl_bytes, fl_bytes)
{
	return fl_bytes_ref(result, arg);
}

/* Leaves some bytes under way to the ranks and back when `n` results have come. */
static int leave_bytes(int n)
{
	enum { SIZE = 8 << 20, TASKS = 8 };
	fl_executor *e = NULL;
	fl_future *f[TASKS];
	FL_SCOPED(fl_bytes) b = {0};
	FL_OK(fl_mpi_executor_create(&e, NULL, NULL));
	FL_OK(fl_bytes_alloc(&b, SIZE, 1));
	memset(b.data, 'a', SIZE);
	FL_EACH (i, f)
		FL_OK(echo_submit(e, b, &f[i]));
	for (int i = 0; i < n; i++)
		FL_OK(fl_future_wait(f[i]));
	FL_EACH (i, f)
		fl_future_free(f[i]);
	return 0;
}

ROLE(leaves_bytes)
{
	return leave_bytes(0);
}

ROLE(leaves_more_bytes)
{
	return leave_bytes(3);
}

/*
 * Tasks that the ranks know differently. Each role prints the error of such a task, and its
 * message.
 */

static int run_differing(fl_task_ctx *ctx, const void *arg, void *result)
{
	return 0;
}

static fl_task_type differing = {.size = sizeof(fl_task_type), .name = "differing", .run = run_differing};
static fl_bytes differing_arg;
static fl_task_entry differing_entry = {&differing, NULL};

/* The rank does not have the task. */
ROLE(not_there)
{
	fl_executor *e = NULL;
	fl_future *f = NULL;
	FL_OK(fl_mpi_executor_create(&e, NULL, NULL));
	FL_OK(fl_executor_submit(e, &differing, &differing_arg, &f));
	FL_OK(fl_future_wait(f));
	(void)fprintf(stderr, "%s: %s\n", fl_error_name(fl_future_error(f)), fl_future_message(f));
	fl_future_free(f);
	FL_CHECK(square_of_three(e) == 9); /* the rank goes on */
	fl_executor_free(e);
	return 0;
}

/* The task of the rank has another size. */
ROLE(other_size)
{
	return role_not_there();
}

/* The rank does not fetch the argument of such a task. */
ROLE(other_size_with_bytes)
{
	FL_OK(fl_bytes_alloc(&differing_arg, 1 << 20, 1));
	differing.arg_size = sizeof(fl_bytes);
	differing.arg_align = _Alignof(fl_bytes);
	differing.drop_arg = FL_BYTES_DROP;
	return role_not_there();
}

static void end_worker_rank(void)
{
	(void)fprintf(stderr, "a function of atexit() has run\n");
}

static void become_another_program(void)
{
	char *other = fl_test_mpi_program();
	static const char name[] = "test_mpi_executor";
	memcpy(strrchr(other, '/') + 1, name, sizeof name);
	(void)execl(other, other, (char *)NULL);
	FL_CHECK(false);
}

/* Does what each rank does before fl_process_main(). */
static void prepare_rank(const char *role, char **argv)
{
	const bool first = fl_test_mpi_rank() == 0;
	if (strcmp(role, "mixed") == 0 && !first)
		become_another_program();
	if (strcmp(role, "exit_code") == 0 && !first)
		FL_OK(atexit(end_worker_rank));
	if (strcmp(role, "other_size") == 0 && !first) {
		differing.arg_size = 24;
		differing.arg_align = 8;
	}
	if (strcmp(role, "initialized") == 0)
		FL_CHECK(MPI_Init(NULL, NULL) == MPI_SUCCESS);
	if (first || strcmp(role, "not_there") != 0)
		fl_task_register(&differing_entry);
}

FL_TEST(mpi_without_a_launcher)
{
	job_prints("refused", NULL, "not started by a launcher of MPI");
	assert_int_equal(fl_mpi_ranks(), 0);
	fl_executor *e = NULL;
	/* No launcher has started this program, either. */
	FL_RC(fl_mpi_executor_create(&e, NULL, NULL), -ENOTSUP);
}

FL_TEST(mpi_world_of_one)
{
	job_prints("refused", "1", "no worker rank");
}

FL_TEST(mpi_level_of_threads_too_low)
{
	job_prints("level", "2", "MPI does not grant MPI_THREAD_SERIALIZED");
}

FL_TEST(mpi_initialized_by_the_program)
{
	job_prints("initialized", "2", "the program has called MPI_Init()");
}

FL_TEST(mpi_mixed_build)
{
	job_prints("mixed", "2", "rank 1 (");
	expect("runs another build of the program: ");
}

FL_TEST(mpi_launcher_of_another_mpi)
{
	if (access(FL_TEST_MPIRUN_OTHER, X_OK) != 0)
		FL_SKIP("there is no second MPI here");
	assert_int_not_equal(job_by(FL_TEST_MPIRUN_OTHER, "refused", "2", NULL), 0);
	expect("has started 2 ranks, but ");
	expect("use the launcher of the MPI that the program is built with");
}

/* A process that a launcher has started as one of several, but that finds no other one. */

struct launch {
	/* The launcher, and its variables for the rank and the size. */
	const char *name, *rank, *size;
};

static const struct launch launches[] = {
    {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
    {"flux run", "FLUX_TASK_RANK", "FLUX_JOB_SIZE"},
    {"jsrun", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"},
    {"mpirun_rsh", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
};

/* Runs the role `works` with a rank and a size in the environment. Returns the exit status. */
static int job_within(const struct launch *l, const char *rank, const char *size, const char *ranks)
{
	FL_OK(setenv(l->rank, rank, 1));
	FL_OK(setenv(l->size, size, 1));
	const int status = job("works", ranks);
	FL_OK(unsetenv(l->rank));
	FL_OK(unsetenv(l->size));
	return status;
}

static const char work[] = "the whole work is done";

FL_TEST(mpi_singletons)
{
	char line[64];
	FL_EACH (i, launches) {
		assert_int_not_equal(job_within(&launches[i], "3", "4", NULL), 0);
		(void)snprintf(line, sizeof line, "%s has started 4 ranks, but ", launches[i].name);
		expect(line);
		expect("use the launcher of the MPI that the program is built with");
		expect_no(work);
	}
}

FL_TEST(mpi_single_task_of_a_launcher)
{
	FL_EACH (i, launches) {
		FL_OK(job_within(&launches[i], "0", "1", NULL));
		expect(work);
	}
}

/* Slurm tells a batch script, which is a single process, how many tasks its srun is to start. */
FL_TEST(mpi_batch_script)
{
	static const struct launch batch = {"sbatch", "SLURM_PROCID", "SLURM_NTASKS"};
	FL_OK(job_within(&batch, "0", "4", NULL));
	expect(work);
}

/* srun starts a daemon on each node, and a daemon starts the only rank. */
FL_TEST(mpi_world_of_one_below_srun)
{
	FL_OK(job_within(&launches[0], "2", "4", "1"));
	expect(work);
}

/*
 * The launcher is srun with PMIx, but MPI is built without it. PMIx does not say the number of
 * ranks.
 */
FL_TEST(mpi_singletons_with_pmix)
{
	FL_OK(setenv("PMIX_RANK", "0", 1));
	const int status = job_within(&launches[0], "0", "4", NULL);
	FL_OK(unsetenv("PMIX_RANK"));
	assert_int_not_equal(status, 0);
	expect("a launcher with PMIx has started 4 ranks, but MPI sees a single one");
	expect_no(work);
}

FL_TEST(mpi_child_of_a_rank)
{
	job_prints("child", "2", "started by a rank");
}

FL_TEST(mpi_unused)
{
	FL_OK(job("unused", "2"));
}

FL_TEST(mpi_exit_nonzero)
{
	assert_int_equal(job("exit_code", "2"), 7);
	/*
	 * A worker rank ends without the program's functions of atexit(), as a worker process does.
	 */
	expect_no("atexit()");
}

/*
 * Hydra, the launcher of MPICH, may exit with 0 and print nothing although a rank was killed: from
 * MPICH 4.1 to 5.0.1, the newest when this was written. When the PMI connection of a rank closes,
 * Hydra's proxy sets the status of each other rank that it has not reaped to 0, and kills these
 * ranks. Their connections also close. If the proxy has not reaped the first rank by then, the
 * status of the first rank is also 0.
 */
#if defined MPICH_NUMVERSION && MPICH_NUMVERSION >= 40100000
enum { LAUNCHER_LOSES_STATUS = true };
#else
enum { LAUNCHER_LOSES_STATUS = false };
#endif

static void expect_job_to_die(const char *role)
{
	const int status = job_that(false, role, "2");
	expect_no(outlives);
	if (status == 0 && LAUNCHER_LOSES_STATUS) {
		expect(rank_dies);
		return;
	}
	assert_int_not_equal(status, 0);
	expect_death();
}

FL_TEST(mpi_kill_busy_rank)
{
	expect_job_to_die("death");
}

FL_TEST(mpi_kill_idle_rank)
{
	expect_job_to_die("idle_death");
}

FL_TEST(mpi_ends_its_rank_with_its_thread)
{
	static const char *const ends[] = {"ends_the_runner", "ends_a_worker"};
	FL_EACH (i, ends) {
		const int status = job_that(false, ends[i], "2");
		expect_no(outlives);
		FL_CHECK(status != 0 || LAUNCHER_LOSES_STATUS);
		expect("ends its thread, by pthread_exit() or pthread_cancel()");
	}
}

FL_TEST(mpi_exit_with_a_task_that_stops)
{
	FL_OK(job("leaves_a_task", "2"));
	expect_no("does not stop");
}

FL_TEST(mpi_exit_with_a_task_that_does_not_stop)
{
	job_prints("leaves_a_stubborn_task", "2", "does not stop");
}

FL_TEST(mpi_exit_while_ranks_fetch_regions)
{
	FL_OK(job("leaves_regions", "3"));
}

FL_TEST(mpi_exit_while_bytes_are_under_way)
{
	static const char *const roles_of_it[] = {"leaves_bytes", "leaves_more_bytes"};
	FL_EACH (i, roles_of_it) {
		FL_OK(job(roles_of_it[i], "3"));
		expect_no("under way");
	}
}

FL_TEST(mpi_task_with_bytes_of_another_size)
{
	job_prints("other_size_with_bytes", "2", "EPROTO: task differing here is of build ");
}

FL_TEST(mpi_task_that_a_rank_does_not_have)
{
	job_prints("not_there", "2", "ENOENT: task differing here is of build ");
	expect("but rank 1 (");
}

FL_TEST(mpi_task_of_another_size)
{
	job_prints("other_size", "2", "EPROTO: task differing here is of build ");
	expect("with 0 and 0 bytes, but that of rank 1 (");
	expect("with 24 and 0 bytes");
}

#endif
