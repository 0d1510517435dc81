/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_MPI_JOB_H
#define FL_TEST_MPI_JOB_H

/*
 * Jobs that a case starts, by mpirun or without it, to see how they end. A job is this program once
 * more, with a role in the environment. A constructor calls fl_process_main() and then, in rank 0,
 * runs the role.
 */
#define FL_TEST_MPI_BY_HAND 1
#include "fl_mpi.h"

static const char role_variable[] = "FL_TEST_MPI_ROLE";

struct role {
	const char *name;
	int (*run)(void);
	struct role *next;
};
static struct role *roles;

/*
 * Defines a role, whose body returns the exit status: ROLE(name) { ... }. It registers itself
 * before play_role() runs.
 */
#define ROLE(name)                                                                                                     \
	static int role_##name(void);                                                                                  \
	__attribute__((constructor(101))) static void role_##name##_register(void)                                     \
	{                                                                                                              \
		static struct role this_role = {#name, role_##name, NULL};                                             \
		this_role.next = roles;                                                                                \
		roles = &this_role;                                                                                    \
	}                                                                                                              \
	static int role_##name(void)

/* The program that includes this defines it: what each rank does before fl_process_main(). */
static void prepare_rank(const char *role, char **argv);

FL_TASK_STATIC(square, int, int)
{
	*result = *arg * *arg;
	return 0;
}

static const char rank_dies[] = "a rank dies now";

FL_TASK_STATIC(die, void, void)
{
	(void)fprintf(stderr, "%s\n", rank_dies);
	(void)raise(SIGKILL);
	return 0;
}

FL_TASK_STATIC(process_id, void, int)
{
	*result = (int)getpid();
	return 0;
}

static inline int square_of_three(fl_executor *e)
{
	int result = 0;
	FL_OK(fl_test_run_task(e, &square, &(int){3}, &result));
	return result;
}

__attribute__((constructor)) static void play_role(int argc, char **argv)
{
	const char *name = getenv(role_variable);
	if (!name)
		return;
	prepare_rank(name, argv);
	fl_process_main(argc, argv);
	for (const struct role *r = roles; r; r = r->next)
		if (strcmp(r->name, name) == 0)
			exit(r->run());
	exit(99);
}

/*
 * The role of a program that a rank starts. It has the launcher's variables, but may not make an
 * executor.
 */
ROLE(refused)
{
	fl_executor *e = NULL;
	return fl_mpi_executor_create(&e, NULL, NULL) == -ENOTSUP && !e ? 0 : 1;
}

/* Starts this program once more with the role `refused`, and returns its exit status. */
static inline int start_refused(void)
{
	fl_process *p = NULL;
	fl_process_status status = {.code = -1};
	FL_OK(setenv(role_variable, "refused", 1));
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = fl_test_mpi_program()}));
	FL_OK(fl_process_join(p, &status));
	fl_process_free(p);
	return status.code;
}

static char *job_program;   /* what job_by() starts, or NULL for this program */
static pid_t job_launcher;  /* of the latest job */
static char job_text[8192]; /* what the latest job has printed */

/* Ends the launcher by SIGKILL, because mpirun of Open MPI 5 passes SIGALRM on to its ranks. */
static inline void job_takes_too_long(int number)
{
	(void)kill(job_launcher, SIGKILL);
}

/*
 * Runs a role with so many ranks, or without mpirun if `ranks` is NULL. `launcher` is NULL for that
 * of the build. `more` are the program's arguments: none with a `launcher`, and at most two without
 * mpirun. Returns the exit status, or 128 + SIGKILL.
 */
static inline int job_by(const char *launcher, const char *role, const char *ranks, char **more)
{
	enum { NOT_STARTED = 113, LIMIT = 100 /* s; less than the limit of tests/run */ };
	int status = -1;
	const int scratch = fl_test_scratch();
	(void)fflush(NULL);
	job_launcher = fork();
	FL_CHECK(job_launcher >= 0);
	if (job_launcher == 0) {
		FL_CHECK(dup2(scratch, STDOUT_FILENO) >= 0 && dup2(scratch, STDERR_FILENO) >= 0);
		/*
		 * The second variable keeps another program among the ranks from starting further
		 * ranks.
		 */
		FL_OK(setenv(role_variable, role, 1));
		FL_OK(setenv(fl_test_mpi_variable, "1", 1));
		fl_test_mpi_environment();
		char *program = job_program ? job_program : fl_test_mpi_program();
		if (launcher)
			(void)execlp(launcher, launcher, "-n", ranks, program, (char *)NULL);
		else if (ranks)
			fl_test_mpi_exec(ranks, program, more);
		else
			(void)execv(program, (char *[]){program, more[0], more[0] ? more[1] : NULL, NULL});
		_exit(NOT_STARTED);
	}
	(void)signal(SIGALRM, job_takes_too_long);
	(void)alarm(LIMIT);
	FL_CHECK(waitpid(job_launcher, &status, 0) == job_launcher);
	const bool in_time = alarm(0) > 0;
	fl_test_take(scratch, job_text, sizeof job_text);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_STARTED)
		FL_SKIP("mpirun cannot be started here");
	const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (status != 0) /* the text is shown when the case fails */
		print_error("%s\n", job_text);
	assert_true(in_time && (WIFEXITED(status) || killed));
	return killed ? 128 + SIGKILL : WEXITSTATUS(status);
}

static inline int job(const char *role, const char *ranks)
{
	return job_by(NULL, role, ranks, (char *[]){NULL});
}

/* Runs a job with fault tolerance, or without it. */
static inline int job_that(bool tolerates, const char *role, const char *ranks)
{
	const bool before = getenv(fl_test_mpi_tolerant) != NULL;
	FL_OK(tolerates ? setenv(fl_test_mpi_tolerant, "1", 1) : unsetenv(fl_test_mpi_tolerant));
	const int status = job(role, ranks);
	FL_OK(before ? setenv(fl_test_mpi_tolerant, "1", 1) : unsetenv(fl_test_mpi_tolerant));
	return status;
}

/* Checks that the latest job has printed this text. */
static inline void expect(const char *part)
{
	fl_test_contains(job_text, part);
}

static inline void expect_no(const char *part)
{
	assert_null(strstr(job_text, part));
}

/* Runs a job that ends with 0 and prints this text. */
static inline void job_prints(const char *role, const char *ranks, const char *part)
{
	FL_OK(job(role, ranks));
	expect(part);
}

/*
 * Checks that the job has said how it died. Rank 0 and the launcher both end the job. The first of
 * them says why, but Open MPI 5 loses lines.
 */
static inline void expect_death(void)
{
	static const char *const causes[] = {"signal 9", "EXIT CODE: 9", "MPI_ABORT was invoked",
	                                     "has died: the job ends"};
	bool found = false;
	FL_EACH (i, causes)
		found |= strstr(job_text, causes[i]) != NULL;
	assert_true(found);
}

#endif
