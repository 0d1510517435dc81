/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_MPI_DEATHS_H
#define FL_TEST_MPI_DEATHS_H

/*
 * Jobs that lose ranks. The case and all ranks share `deaths`. None of the ranks outlives its job.
 */
#include "fl_mpi_job.h"

#include "../../doorbell.h"
#include "../../engine.h"
#include <mpi.h>
#ifdef OPEN_MPI
#include <mpi-ext.h>
#endif

enum { DEATHS_RANKS = 64, DEATHS_TASKS = 200000 };

struct deaths {
	/* the processes of the ranks, and a worker process of one of them */
	int32_t pids[DEATHS_RANKS], worker;
	uint32_t over; /* the role has ended */
	/* tasks that wait or end their process wait for it first */
	uint32_t go;
	/* for test_mpi_deaths_points.c */
	uint32_t points[DEATHS_RANKS], point[DEATHS_RANKS];
	/* for test_mpi_deaths_kills.c */
	uint64_t kills, tasks, lost, each, grown;
	/* the rank that was the last to begin the task */
	int32_t of[DEATHS_TASKS];
	uint8_t ran[DEATHS_TASKS]; /* how often the task was begun */
};
#define deaths ((struct deaths *)(void *)fl_test_arena)
_Static_assert(sizeof *deaths <= FL_TEST_ARENA_SIZE, "all of it");

/* Tasks that end the process that runs them. */

enum deaths_end {
	SURVIVES,
	WAITS,
	BY_SIGKILL,
	BY_SIGSEGV,
	BY_ABORT,
	BY_EXIT,
	BY_EXIT_AT_ONCE,
	BY_STOP,
	BY_ITS_BELL,
	BY_ITS_ENGINE,
	BY_ITS_RANK
};

struct deaths_order {
	uint32_t id;
	enum deaths_end end;
	uint32_t times; /* how many of its first runs end in this way */
};

static void deaths_obey(const struct deaths_order *o)
{
	/* This comes first, because the task may die at the next step. */
	__atomic_store_n(&deaths->of[o->id], fl_test_mpi_rank(), __ATOMIC_SEQ_CST);
	const uint32_t n = __atomic_fetch_add(&deaths->ran[o->id], 1, __ATOMIC_SEQ_CST);
	if (o->end == SURVIVES || n >= o->times)
		return;
	FL_WAIT_FOR(__atomic_load_n(&deaths->go, __ATOMIC_SEQ_CST));
	switch (o->end) {
	case WAITS:
		return;
	case BY_SIGSEGV:
		(void)signal(SIGSEGV, SIG_DFL); /* MPI and ASan have handlers */
		(void)raise(SIGSEGV);
		break;
	case BY_ABORT:
		(void)signal(SIGABRT, SIG_DFL);
		abort();
	case BY_EXIT:
		exit(3);
	case BY_EXIT_AT_ONCE:
		_exit(0);
	case BY_STOP:
		(void)raise(SIGSTOP);
		break;
	/* rank 0 considers the rank dead */
	case BY_ITS_BELL:
		FL_OK(shutdown(fl__mpi_bell_fd(), SHUT_WR));
		for (;;)
			(void)pause();
	case BY_ITS_ENGINE:
		fl__mpi_abort("rank %d ends itself", fl_test_mpi_rank());
	case BY_ITS_RANK:
		deaths->worker = (int32_t)getpid();
		(void)kill(deaths->pids[fl_test_mpi_rank()], SIGKILL);
		for (;;)
			(void)pause();
	default:
		(void)raise(SIGKILL);
	}
}

FL_TASK_STATIC(obey, struct deaths_order, int)
{
	deaths_obey(arg);
	*result = (int)arg->id + 1;
	return 0;
}

FL_TASK_STATIC(obey_twice, struct deaths_order, int, .max_attempts = 2)
{
	return obey_body(ctx, arg, result);
}

/* Checks that the task has failed because a rank has died, and that the message names this rank. */
static inline void died(uint32_t id, int error, const char *message)
{
	char rank[16] = "rank ";
	FL_RC(error, -EOWNERDEAD);
	if (deaths->ran[id] > 0)
		(void)snprintf(rank, sizeof rank, "rank %d (", deaths->of[id]);
	if (!strstr(message, rank))
		(void)fprintf(stderr, "task %u of %s: %s\n", id, rank, message);
	FL_CHECK(strstr(message, rank) && deaths->ran[id] <= 1);
}

/* Waits for a task of obey(), and frees it. Returns true if it has succeeded and has run once. */
static inline bool succeeds(fl_future *f, uint32_t id)
{
	int result = 0;
	FL_OK(fl_future_wait(f));
	const int error = fl_future_error(f);
	if (error == 0) {
		FL_OK(fl_future_get(f, &result, sizeof result));
		FL_CHECK(result == (int)id + 1);
		FL_RC(deaths->ran[id], 1);
	} else {
		died(id, error, fl_future_message(f));
	}
	fl_future_free(f);
	return error == 0;
}

static inline fl_executor *deaths_executor(unsigned workers, unsigned prefetch)
{
	fl_executor *e = NULL;
	FL_OK(fl_mpi_executor_create(&e, &(fl_executor_config){.workers = workers},
	                             &(fl_mpi_config){.prefetch = prefetch}));
	return e;
}

static inline fl_future *submit_order(fl_executor *e, uint32_t id, enum deaths_end end)
{
	fl_future *f = NULL;
	FL_OK(obey_submit(e, (struct deaths_order){id, end, 1}, &f));
	return f;
}

/* Notes that rank 0 has ended, because mpirun may end with 0 although rank 0 has failed. */
static inline int job_is_over(void)
{
	deaths->over = 1;
	return 0;
}

static inline unsigned serving_ranks(fl_executor *e)
{
	fl_stats_executor stats;
	FL_OK(fl_executor_stats(e, &stats));
	return stats.threads;
}

/*
 * Checks that four tasks for each living worker rank succeed. Their ids begin with `id`. Returns
 * the next id.
 */
static inline uint32_t all_succeed(fl_executor *e, uint32_t id)
{
	fl_future *f[4 * DEATHS_RANKS];
	const unsigned n = 4 * (fl_mpi_ranks() - 1);
	for (unsigned i = 0; i < n; i++)
		f[i] = submit_order(e, id + i, SURVIVES);
	for (unsigned i = 0; i < n; i++)
		FL_CHECK(succeeds(f[i], id + i));
	return id + n;
}

/* What the case itself calls. */

static inline bool is_left(int pid)
{
	char path[32], byte;
	(void)snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	const int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	const bool left = fd >= 0 && read(fd, &byte, 1) == 1; /* a zombie has no command line */
	if (fd >= 0)
		FL_OK(close(fd));
	return left;
}

static inline bool none_is_left(void *unused)
{
	bool left = is_left(deaths->worker);
	FL_EACH (i, deaths->pids)
		left |= is_left(deaths->pids[i]);
	return !left;
}

static inline int job_with_deaths(bool tolerates, const char *role, const char *ranks)
{
	memset(deaths->pids, 0, sizeof deaths->pids);
	memset(deaths->ran, 0, sizeof deaths->ran);
	deaths->worker = 0;
	deaths->go = deaths->over = 0;
	const int status = job_that(tolerates, role, ranks);
	fl_test_wait_until(none_is_left, NULL);
	return status;
}

static inline void need_tolerance(void)
{
#ifndef OMPI_HAVE_MPI_EXT_FTMPI
	FL_SKIP("this MPI does not go on without a dead rank, as Open MPI 5 does");
#endif
}

/* Runs a job that goes on after the deaths. */
static inline void job_survives(const char *role, const char *ranks)
{
	need_tolerance();
	FL_OK(job_with_deaths(true, role, ranks));
	if (!deaths->over)
		print_error("%s\n", job_text);
	assert_true(deaths->over);
}

#endif
