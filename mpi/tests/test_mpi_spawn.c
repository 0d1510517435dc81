/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests worker ranks that rank 0 spawns, under a launcher and without one. */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi_job.h"

#include <mpi.h>
#include <poll.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum { CANNOT_SPAWN = 98, RANKS = 2 };

static const fl_mpi_config spawning = {.spawn = RANKS};

static char **arguments;

static void prepare_rank(const char *role, char **argv)
{
	arguments = argv;
}

/* Makes an executor. Ends rank 0 if MPI cannot spawn. */
static fl_executor *create_with(const fl_mpi_config *mpi)
{
	fl_executor *e = NULL;
	const int rc = fl_mpi_executor_create(&e, NULL, mpi);
	if (rc == -EAGAIN)
		exit(CANNOT_SPAWN);
	FL_CHECK(rc == 0 && e);
	return e;
}

static fl_executor *create(void)
{
	return create_with(&spawning);
}

/* The roles, which run in rank 0. */

ROLE(spawns)
{
	fl_executor *e = create();
	FL_CHECK(fl_mpi_ranks() == RANKS + 1);
	FL_CHECK(square_of_three(e) == 9);
	fl_executor_free(e);
	/* The ranks serve all executors. */
	e = create_with(&(fl_mpi_config){.spawn = RANKS + 1});
	fl_executor *other = create_with(NULL);
	FL_CHECK(fl_mpi_ranks() == RANKS + 1);
	FL_CHECK(square_of_three(e) == 9 && square_of_three(other) == 9);
	fl_executor_free(other);
	fl_executor_free(e);
	return 7;
}

ROLE(has_ranks)
{
	FL_CHECK(fl_mpi_ranks() == 2);
	fl_executor *e = create();
	FL_CHECK(fl_mpi_ranks() == 2);
	FL_CHECK(square_of_three(e) == 9);
	fl_executor_free(e);
	return 0;
}

static int create_in_thread(void *arg)
{
	return fl_mpi_executor_create(arg, NULL, &spawning);
}

ROLE(spawns_in_two_threads)
{
	fl_thread *threads[2];
	fl_executor *executors[2];
	int results[2];
	FL_EACH (i, threads)
		fl_test_go(&threads[i], create_in_thread, &executors[i]);
	FL_EACH (i, threads)
		FL_OK(fl_thread_join(threads[i], &results[i]));
	if (results[0] == -EAGAIN && results[1] == -EAGAIN)
		return CANNOT_SPAWN;
	FL_CHECK(results[0] == 0 && results[1] == 0);
	FL_CHECK(fl_mpi_ranks() == RANKS + 1);
	FL_EACH (i, executors) {
		FL_CHECK(square_of_three(executors[i]) == 9);
		fl_executor_free(executors[i]);
	}
	return 0;
}

/* Returns FNV-1a of the arguments, including the end of each. */
static uint64_t hash_arguments(void)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (char **at = arguments + 1; *at; at++)
		for (const char *c = *at;; c++) {
			hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
			if (!*c)
				break;
		}
	return hash;
}

FL_TASK_STATIC(arguments_hash, void, uint64_t)
{
	*result = hash_arguments();
	return 0;
}

ROLE(has_arguments)
{
	fl_executor *e = create();
	uint64_t hash = 0;
	FL_OK(fl_test_run_task(e, &arguments_hash, NULL, &hash));
	fl_executor_free(e);
	return arguments[1] && hash == hash_arguments() ? 0 : 1;
}

FL_TASK_STATIC(start_program, void, int)
{
	*result = start_refused();
	return 0;
}

/* A program that rank 0 or another rank starts is not a rank. */
ROLE(has_programs)
{
	fl_executor *e = create();
	int status = 0;
	FL_OK(fl_test_run_task(e, &start_program, NULL, &status));
	status |= start_refused();
	fl_executor_free(e);
	return status;
}

ROLE(rank_dies)
{
	fl_executor *e = create();
	fl_future *f = NULL;
	FL_OK(die_submit(e, &f));
	return fl_future_wait(f);
}

ROLE(idle_rank_dies)
{
	fl_executor *e = create();
	int pid = 0;
	FL_OK(fl_test_run_task(e, &process_id, NULL, &pid));
	FL_OK(kill(pid, SIGKILL));
	return fl_sleep(FL_S(60));
}

ROLE(dies)
{
	fl_executor *e = create_with(&(fl_mpi_config){.spawn = 1});
	int pid = 0;
	FL_OK(fl_test_run_task(e, &process_id, NULL, &pid));
	(void)fprintf(stderr, "rank 1 is process %d\n", pid);
	return raise(SIGKILL);
}

static bool spawn_is_refused;

/* Called instead of MPI's function. */
int MPI_Comm_spawn(const char *program, char **args, int n, MPI_Info info, int root, MPI_Comm comm, MPI_Comm *spawned,
                   int *errors)
{
	return spawn_is_refused ? MPI_ERR_SPAWN : PMPI_Comm_spawn(program, args, n, info, root, comm, spawned, errors);
}

ROLE(spawn_is_refused)
{
	fl_executor *e = NULL;
	spawn_is_refused = true;
	FL_CHECK(fl_mpi_executor_create(&e, NULL, &spawning) == -EAGAIN && !e);
	FL_CHECK(fl_mpi_ranks() == 1);
	FL_CHECK(fl_mpi_executor_create(&e, NULL, NULL) == -ENOTSUP && !e);
	spawn_is_refused = false;
	return 0;
}

ROLE(spawns_after_a_refusal)
{
	FL_OK(role_spawn_is_refused());
	return role_spawns();
}

ROLE(has_too_few_slots)
{
	fl_executor *e = NULL;
	for (const struct fl__mpi_variable *v = fl__mpi_oversubscribe; v->name; v++)
		FL_OK(unsetenv(v->name));
	FL_CHECK(fl_mpi_executor_create(&e, NULL, &(fl_mpi_config){.spawn = 1000}) == -EAGAIN && !e);
	return 0;
}

ROLE(is_gone)
{
	fl_executor *e = NULL;
	FL_OK(unlink(fl_test_mpi_program()));
	FL_CHECK(fl_mpi_executor_create(&e, NULL, &spawning) == -EAGAIN && !e);
	return 0;
}

ROLE(cannot_spawn)
{
	fl_executor *e = NULL;
	return fl_mpi_executor_create(&e, NULL, &spawning) == -ENOTSUP && !e ? 0 : 1;
}

ROLE(initializes)
{
	FL_CHECK(MPI_Init(NULL, NULL) == MPI_SUCCESS);
	const int status = role_cannot_spawn();
	return MPI_Finalize() == MPI_SUCCESS ? status : 1;
}

/*
 * How jobs are started that spawn: by a launcher with a single rank, and without a launcher (NULL)
 * if this MPI can spawn without one.
 */
#ifdef OPEN_MPI
static const char *const launches[] = {"1", NULL};
#else
static const char *const launches[] = {"1"};
#endif
enum { LAUNCHES = sizeof launches / sizeof launches[0] };

/*
 * Runs a role, and returns its exit status. If MPI cannot spawn here, skips the case, except with
 * Open MPI, which always can spawn: then the caller finds CANNOT_SPAWN.
 */
static int spawning_job(const char *role, const char *ranks, char **args)
{
	const int status = job_by(NULL, role, ranks, args);
	if (status == CANNOT_SPAWN)
		expect("worker ranks cannot be spawned: ");
#ifndef OPEN_MPI
	if (status == CANNOT_SPAWN)
		FL_SKIP("this MPI cannot spawn");
#endif
	return status;
}

static void expect_each(const char *role, int status)
{
	for (int i = 0; i < LAUNCHES; i++)
		assert_int_equal(spawning_job(role, launches[i], (char *[]){NULL}), status);
}

FL_TEST(mpi_spawn)
{
	expect_each("spawns", 7);
}

FL_TEST(mpi_spawn_without_a_launcher)
{
#ifdef OPEN_MPI
	FL_SKIP("Open MPI can: see the other cases");
#else
	job_prints("cannot_spawn", NULL, "no executor over MPI: the program was not started by a launcher of MPI");
#endif
}

FL_TEST(mpi_spawn_beside_ranks_of_the_launcher)
{
	FL_OK(job("has_ranks", "2"));
}

FL_TEST(mpi_spawn_in_two_threads)
{
	expect_each("spawns_in_two_threads", 0);
}

FL_TEST(mpi_spawn_passes_arguments)
{
	static char two_words[] = "two words; a=b", quoted[] = "\"'\\$";
	for (int i = 0; i < LAUNCHES; i++) {
		char *args[] = {two_words, quoted, NULL};
		FL_OK(spawning_job("has_arguments", launches[i], args));
	}
}

FL_TEST(mpi_spawn_programs_of_spawned_ranks_are_none)
{
	expect_each("has_programs", 0);
}

/*
 * Without a launcher, Open MPI 5 ends rank 0 silently and with status 14, before rank 0 could say
 * why.
 */
#if defined OPEN_MPI && OMPI_MAJOR_VERSION >= 5
enum { DIES_SILENTLY_ALONE = true };
#else
enum { DIES_SILENTLY_ALONE = false };
#endif

static void expect_death_of_each(const char *role)
{
	for (int i = 0; i < LAUNCHES; i++) {
		const int status = spawning_job(role, launches[i], (char *[]){NULL});
		assert_int_not_equal(status, 0);
		assert_int_not_equal(status, CANNOT_SPAWN);
		if (launches[i] || !DIES_SILENTLY_ALONE)
			expect_death();
	}
}

FL_TEST(mpi_spawn_kill_busy_rank)
{
	expect_death_of_each("rank_dies");
}

FL_TEST(mpi_spawn_kill_idle_rank)
{
	expect_death_of_each("idle_rank_dies");
}

static void wait_for_end(int pid)
{
	const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 && errno == ENOSYS)
		FL_SKIP("there is no pidfd_open() here");
	if (fd < 0)
		return;
	struct pollfd end = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&end, 1, -1), 1);
	FL_OK(close(fd));
}

FL_TEST(mpi_spawn_kill_rank_0)
{
	static const char says[] = "rank 1 is process ";
	for (int i = 0; i < LAUNCHES; i++) {
		const int status = spawning_job("dies", launches[i], (char *[]){NULL});
		assert_int_not_equal(status, 0);
		assert_int_not_equal(status, CANNOT_SPAWN);
		expect(says);
		wait_for_end((int)strtol(strstr(job_text, says) + strlen(says), NULL, 10));
	}
}

FL_TEST(mpi_spawn_after_a_refusal)
{
	expect_each("spawns_after_a_refusal", 7);
}

FL_TEST(mpi_spawn_refused)
{
	for (int i = 0; i < LAUNCHES; i++) {
		job_prints("spawn_is_refused", launches[i], "no executor over MPI: 2 worker ranks cannot be spawned: ");
	}
}

FL_TEST(mpi_spawn_too_few_slots)
{
#if defined OPEN_MPI && OMPI_MAJOR_VERSION < 5
	job_prints("has_too_few_slots", NULL,
	           "no executor over MPI: 1000 worker ranks cannot be spawned: MPI_ERR_SPAWN");
	expect("there are too few slots");
#else
	FL_SKIP("MPICH has no slots, nor has Open MPI 5 without a launcher");
#endif
}

/* Copies the program to `path`, a template of mkostemp(). */
static void copy_program(char *path)
{
	char buffer[1 << 16];
	const int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = mkostemp(path, O_CLOEXEC);
	assert_true(from >= 0 && to >= 0);
	for (ssize_t n; (n = read(from, buffer, sizeof buffer)) != 0;)
		assert_true(n > 0 && write(to, buffer, (size_t)n) == n);
	FL_OK(fchmod(to, 0700));
	FL_OK(close(from));
	FL_OK(close(to));
}

FL_TEST(mpi_spawn_of_a_program_that_is_gone)
{
	for (int i = 0; i < LAUNCHES; i++) {
		char copy[] = "/tmp/fairlead-test-XXXXXX";
		copy_program(copy);
		job_program = copy;
		const int status = job("is_gone", launches[i]);
		job_program = NULL;
		assert_int_equal(status, 0);
		expect("no worker rank can be spawned: /tmp/fairlead-test-");
		expect("(deleted): ");
	}
}

FL_TEST(mpi_spawn_initialized_by_the_program)
{
#ifdef OPEN_MPI
	job_prints("initializes", NULL, "the program has called MPI_Init()");
#else
	FL_SKIP("without a launcher, fairlead-mpi does not start MPICH");
#endif
}

FL_TEST(mpi_spawn_too_many)
{
	fl_executor *e = NULL;
	FL_RC(fl_mpi_executor_create(&e, NULL, &(fl_mpi_config){.spawn = FL_MPI_SPAWN_MAX + 1}), -EINVAL);
	assert_null(e);
}

#endif
