/* SPDX-License-Identifier: BSD-2-Clause */
/* Worker ranks that rank 0 spawns: below a launcher, and without one. */
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

/* Ends rank 0 if MPI cannot spawn. */
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

/* The roles. */

static int role_spawns(void)
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

static int role_has_ranks(void)
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

static int role_spawns_in_two_threads(void)
{
	fl_thread threads[2];
	fl_executor *executors[2];
	int results[2];
	for (int i = 0; i < 2; i++)
		fl_test_go(&threads[i], create_in_thread, &executors[i]);
	for (int i = 0; i < 2; i++)
		FL_OK(fl_thread_join(&threads[i], &results[i]));
	if (results[0] == -EAGAIN && results[1] == -EAGAIN)
		return CANNOT_SPAWN;
	FL_CHECK(results[0] == 0 && results[1] == 0);
	FL_CHECK(fl_mpi_ranks() == RANKS + 1);
	for (int i = 0; i < 2; i++) {
		FL_CHECK(square_of_three(executors[i]) == 9);
		fl_executor_free(executors[i]);
	}
	return 0;
}

/* FNV-1a, with the end of each argument. */
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

static int role_has_arguments(void)
{
	fl_executor *e = create();
	fl_future *f = NULL;
	uint64_t hash = 0;
	FL_OK(arguments_hash_submit(e, &f));
	FL_OK(arguments_hash_get(f, &hash));
	fl_future_free(f);
	fl_executor_free(e);
	return arguments[1] && hash == hash_arguments() ? 0 : 1;
}

/* A program that is started by rank 0, or by a rank, is no rank. */
static int role_refused(void)
{
	fl_executor *e = NULL;
	return fl_mpi_executor_create(&e, NULL, NULL) == -ENOTSUP && !e ? 0 : 1;
}

static int start_refused(void)
{
	char self[4096];
	fl_process *p = NULL;
	fl_process_status status = {.code = -1};
	const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	FL_CHECK(length > 0 && setenv(role_variable, "refused", 1) == 0);
	self[length] = '\0';
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = self}));
	FL_OK(fl_process_join(p, &status));
	fl_process_free(p);
	return status.code;
}

FL_TASK_STATIC(start_program, void, int)
{
	*result = start_refused();
	return 0;
}

static int role_has_programs(void)
{
	fl_executor *e = create();
	fl_future *f = NULL;
	int status = 0;
	FL_OK(start_program_submit(e, &f));
	FL_OK(start_program_get(f, &status));
	fl_future_free(f);
	status |= start_refused();
	fl_executor_free(e);
	return status;
}

static int role_rank_dies(void)
{
	fl_executor *e = create();
	fl_future *f = NULL;
	FL_OK(die_submit(e, &f));
	return fl_future_wait(f);
}

static int role_idle_rank_dies(void)
{
	fl_executor *e = create();
	fl_future *f = NULL;
	int pid = 0;
	FL_CHECK(process_id_submit(e, &f) == 0 && process_id_get(f, &pid) == 0);
	FL_OK(kill(pid, SIGKILL));
	return fl_sleep(FL_S(60));
}

static int role_dies(void)
{
	fl_executor *e = create_with(&(fl_mpi_config){.spawn = 1});
	fl_future *f = NULL;
	int pid = 0;
	FL_CHECK(process_id_submit(e, &f) == 0 && process_id_get(f, &pid) == 0);
	(void)fprintf(stderr, "rank 1 is process %d\n", pid);
	return raise(SIGKILL);
}

static bool spawn_is_refused;

/* In place of MPI's. */
int MPI_Comm_spawn(const char *program, char **args, int n, MPI_Info info, int root, MPI_Comm comm, MPI_Comm *spawned,
                   int *errors)
{
	return spawn_is_refused ? MPI_ERR_SPAWN : PMPI_Comm_spawn(program, args, n, info, root, comm, spawned, errors);
}

static int role_spawn_is_refused(void)
{
	fl_executor *e = NULL;
	spawn_is_refused = true;
	FL_CHECK(fl_mpi_executor_create(&e, NULL, &spawning) == -EAGAIN && !e);
	FL_CHECK(fl_mpi_ranks() == 1);
	FL_CHECK(fl_mpi_executor_create(&e, NULL, NULL) == -ENOTSUP && !e);
	spawn_is_refused = false;
	return 0;
}

static int role_spawns_after_a_refusal(void)
{
	FL_OK(role_spawn_is_refused());
	return role_spawns();
}

static int role_has_too_few_slots(void)
{
	fl_executor *e = NULL;
	for (const struct fl__mpi_variable *v = fl__mpi_oversubscribe; v->name; v++)
		FL_OK(unsetenv(v->name));
	FL_CHECK(fl_mpi_executor_create(&e, NULL, &(fl_mpi_config){.spawn = 1000}) == -EAGAIN && !e);
	return 0;
}

static int role_is_gone(void)
{
	char self[4096];
	fl_executor *e = NULL;
	const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	FL_CHECK(length > 0);
	self[length] = '\0';
	FL_OK(unlink(self));
	FL_CHECK(fl_mpi_executor_create(&e, NULL, &spawning) == -EAGAIN && !e);
	return 0;
}

static int role_cannot_spawn(void)
{
	fl_executor *e = NULL;
	return fl_mpi_executor_create(&e, NULL, &spawning) == -ENOTSUP && !e ? 0 : 1;
}

static int role_initializes(void)
{
	FL_CHECK(MPI_Init(NULL, NULL) == MPI_SUCCESS);
	const int status = role_cannot_spawn();
	return MPI_Finalize() == MPI_SUCCESS ? status : 1;
}

static const struct role roles[] = {
    {"spawns", role_spawns},
    {"has_ranks", role_has_ranks},
    {"spawns_in_two_threads", role_spawns_in_two_threads},
    {"has_arguments", role_has_arguments},
    {"refused", role_refused},
    {"has_programs", role_has_programs},
    {"rank_dies", role_rank_dies},
    {"idle_rank_dies", role_idle_rank_dies},
    {"dies", role_dies},
    {"spawn_is_refused", role_spawn_is_refused},
    {"spawns_after_a_refusal", role_spawns_after_a_refusal},
    {"has_too_few_slots", role_has_too_few_slots},
    {"is_gone", role_is_gone},
    {"cannot_spawn", role_cannot_spawn},
    {"initializes", role_initializes},
    {NULL, NULL},
};

static const struct role *all_roles(void)
{
	return roles;
}

/* Of a job with a single rank, and of one without a launcher where that can spawn. */
#ifdef OPEN_MPI
static const char *const launches[] = {"1", NULL};
#else
static const char *const launches[] = {"1"};
#endif
enum { LAUNCHES = sizeof launches / sizeof launches[0] };

/* Runs a role. Returns its exit status. Skips the case where MPI cannot spawn; Open MPI can. */
static int spawning_job(const char *role, const char *ranks, char **args, char *text)
{
	const int status = job_by(NULL, role, ranks, args, text, TEXT);
	if (status == CANNOT_SPAWN)
		expect(text, "worker ranks cannot be spawned: ");
#ifndef OPEN_MPI
	if (status == CANNOT_SPAWN)
		FL_SKIP("this MPI cannot spawn");
#endif
	return status;
}

static void expect_each(const char *role, int status)
{
	char text[TEXT];
	for (int i = 0; i < LAUNCHES; i++)
		assert_int_equal(spawning_job(role, launches[i], (char *[]){NULL}, text), status);
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
	char text[TEXT];
	FL_OK(job("cannot_spawn", NULL, text, sizeof text));
	expect(text, "no executor over MPI: the program was not started by a launcher of MPI");
#endif
}

FL_TEST(mpi_spawn_beside_ranks_of_the_launcher)
{
	char text[TEXT];
	FL_OK(job("has_ranks", "2", text, sizeof text));
}

FL_TEST(mpi_spawn_in_two_threads)
{
	expect_each("spawns_in_two_threads", 0);
}

FL_TEST(mpi_spawn_passes_arguments)
{
	static char two_words[] = "two words; a=b", quoted[] = "\"'\\$";
	char text[TEXT];
	for (int i = 0; i < LAUNCHES; i++) {
		char *args[] = {two_words, quoted, NULL};
		FL_OK(spawning_job("has_arguments", launches[i], args, text));
	}
}

FL_TEST(mpi_spawn_programs_of_spawned_ranks_are_none)
{
	expect_each("has_programs", 0);
}

/* Open MPI 5 ends rank 0 without a launcher silently, and with status 14, before it could say more. */
#if defined OPEN_MPI && OMPI_MAJOR_VERSION >= 5
enum { DIES_SILENTLY_ALONE = true };
#else
enum { DIES_SILENTLY_ALONE = false };
#endif

static void expect_death_of_each(const char *role)
{
	char text[TEXT];
	for (int i = 0; i < LAUNCHES; i++) {
		const int status = spawning_job(role, launches[i], (char *[]){NULL}, text);
		assert_int_not_equal(status, 0);
		assert_int_not_equal(status, CANNOT_SPAWN);
		if (launches[i] || !DIES_SILENTLY_ALONE)
			expect_death(text);
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
	char text[TEXT];
	for (int i = 0; i < LAUNCHES; i++) {
		const int status = spawning_job("dies", launches[i], (char *[]){NULL}, text);
		assert_int_not_equal(status, 0);
		assert_int_not_equal(status, CANNOT_SPAWN);
		expect(text, says);
		wait_for_end((int)strtol(strstr(text, says) + strlen(says), NULL, 10));
	}
}

FL_TEST(mpi_spawn_after_a_refusal)
{
	expect_each("spawns_after_a_refusal", 7);
}

FL_TEST(mpi_spawn_refused)
{
	char text[TEXT];
	for (int i = 0; i < LAUNCHES; i++) {
		FL_OK(job("spawn_is_refused", launches[i], text, sizeof text));
		expect(text, "no executor over MPI: 2 worker ranks cannot be spawned: ");
	}
}

FL_TEST(mpi_spawn_too_few_slots)
{
#if defined OPEN_MPI && OMPI_MAJOR_VERSION < 5
	char text[TEXT];
	FL_OK(job("has_too_few_slots", NULL, text, sizeof text));
	expect(text, "no executor over MPI: 1000 worker ranks cannot be spawned: MPI_ERR_SPAWN");
	expect(text, "there are too few slots");
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
	char text[TEXT];
	for (int i = 0; i < LAUNCHES; i++) {
		char copy[] = "/tmp/fairlead-test-XXXXXX";
		copy_program(copy);
		job_program = copy;
		const int status = job("is_gone", launches[i], text, sizeof text);
		job_program = NULL;
		assert_int_equal(status, 0);
		expect(text, "no worker rank can be spawned: /tmp/fairlead-test-");
		expect(text, "(deleted): ");
	}
}

FL_TEST(mpi_spawn_initialized_by_the_program)
{
#ifdef OPEN_MPI
	char text[TEXT];
	FL_OK(job("initializes", NULL, text, sizeof text));
	expect(text, "the program has called MPI_Init()");
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
