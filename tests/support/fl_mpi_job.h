/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_MPI_JOB_H
#define FL_TEST_MPI_JOB_H

/*
 * Jobs that a case starts, by mpirun or without it, to see how they end: this program once more,
 * with a role in the environment. The roles run in a constructor, behind fl_main(), in rank 0.
 */
#define FL_TEST_MPI_BY_HAND 1
#include "fl_mpi.h"

static const char role_variable[] = "FL_TEST_MPI_ROLE";

/* `run` returns the exit status. */
struct role {
	const char *name;
	int (*run)(void);
};

/* The includer's: what each rank does before fl_main(); its roles, with a NULL behind the last. */
static void prepare_rank(const char *role, char **argv);
static const struct role *all_roles(void);

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
	fl_future *f = NULL;
	int result = 0;
	FL_OK(square_submit(e, 3, &f));
	FL_OK(square_get(f, &result));
	fl_future_free(f);
	return result;
}

__attribute__((constructor)) static void play_role(int argc, char **argv)
{
	const char *name = getenv(role_variable);
	if (!name)
		return;
	prepare_rank(name, argv);
	fl_main(argc, argv);
	for (const struct role *r = all_roles(); r->name; r++)
		if (strcmp(r->name, name) == 0)
			exit(r->run());
	exit(99);
}

static char *job_program; /* what job_by() starts; NULL: this program */

/*
 * Runs a role with so many ranks, or without mpirun. `launcher` NULL: that of the build. `more`:
 * what follows the program: its arguments. Returns the exit status, or 128 +
 * SIGKILL; `text` is what was printed.
 */
static inline int job_by(const char *launcher, const char *role, const char *ranks, char **more, char *text,
                         size_t size)
{
	enum { NOT_STARTED = 113, LIMIT = 60 };
	char self[4096];
	int status = -1;
	const int scratch = fl_test_scratch();
	const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	assert_true(length > 0);
	self[length] = '\0';
	(void)fflush(NULL);
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		FL_CHECK(dup2(scratch, STDOUT_FILENO) >= 0 && dup2(scratch, STDERR_FILENO) >= 0);
		/* The second: another program among the ranks does not start ranks of its own. */
		FL_CHECK(setenv(role_variable, role, 1) == 0 && setenv(fl_test_mpi_variable, "1", 1) == 0);
		(void)alarm(LIMIT);
		fl_test_mpi_environment();
		char *program = job_program ? job_program : self;
		if (launcher)
			(void)execlp(launcher, launcher, "-n", ranks, program, (char *)NULL);
		else if (ranks)
			fl_test_mpi_exec(ranks, program, more);
		else
			(void)execv(program, (char *[]){program, more[0], more[0] ? more[1] : NULL, NULL});
		_exit(NOT_STARTED);
	}
	FL_CHECK(waitpid(pid, &status, 0) == pid);
	fl_test_take(scratch, text, size);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_STARTED)
		FL_SKIP("mpirun cannot be started here");
	const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (status != 0) /* shown when the case fails */
		print_error("%s\n", text);
	assert_true(WIFEXITED(status) || killed);
	return killed ? 128 + SIGKILL : WEXITSTATUS(status);
}

static inline int job(const char *role, const char *ranks, char *text, size_t size)
{
	return job_by(NULL, role, ranks, (char *[]){NULL}, text, size);
}

#define TEXT 8192

static inline void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("%s\n", text);
	assert_non_null(strstr(text, part));
}

/* Rank 0 and the launcher both end the job: one is first, and says why. Open MPI 5 loses lines. */
static inline void expect_death(const char *text)
{
	if (!strstr(text, "signal 9") && !strstr(text, "EXIT CODE: 9") && !strstr(text, "MPI_ABORT was invoked"))
		expect(text, "has died: the job ends");
}

#endif
