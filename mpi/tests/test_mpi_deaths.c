/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests with worker ranks that die, with fault tolerance: what is lost, and what goes on. */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi_deaths.h"

#include "../internals.h"

/*
 * How the calls of MPI behave in rank 0. The engine lock guards it. With HOLDS, messages come after
 * the notice of a death. With COMPLETES, a message comes right after MPI's error, which Open MPI 5
 * then keeps. With SLEEPS, MPI only begins sends.
 */
static enum { TESTS, HOLDS, COMPLETES, SLEEPS } test_does;

static void let_test(int do_so)
{
	FL_LOCKED(&fl__mpi_lock);
	test_does = do_so;
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
	MPI_Status unused;
	*flag = 0;
	if (test_does == SLEEPS || (test_does == HOLDS && fl_mpi_ranks() == 3))
		return MPI_SUCCESS;
	const int rc = PMPI_Test(request, flag, status);
	if (test_does != COMPLETES || rc == MPI_SUCCESS)
		return rc;
	test_does = TESTS;
	deaths->go = 1;
	for (int there = 0; !there;)
		FL_OK(PMPI_Request_get_status(*request, &there, &unused));
	return rc;
}

int MPI_Testany(int n, MPI_Request *requests, int *index, int *flag, MPI_Status *status)
{
	*flag = 0;
	return test_does == SLEEPS ? MPI_SUCCESS : PMPI_Testany(n, requests, index, flag, status);
}

int MPI_Isend(const void *from, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request)
{
	const int rc = PMPI_Isend(from, n, type, to, tag, comm, request);
	__atomic_fetch_add(&deaths->points[fl_test_mpi_rank()], 1, __ATOMIC_SEQ_CST);
	return rc;
}

static int no_address(int fd, struct sockaddr *address, socklen_t *size)
{
	return -1;
}

static void prepare_rank(const char *role, char **argv)
{
	if (strcmp(role, "without_doorbells") == 0 || strcmp(role, "sends_to_the_dead") == 0)
		fl__net_sys.local = no_address;
	if (!getenv("FAIRLEAD_PROCESS")) {
		deaths->pids[fl_test_mpi_rank()] = (int32_t)getpid();
		deaths->points[fl_test_mpi_rank()] = 0;
	}
	if (strcmp(role, "before_start") == 0 && fl_test_mpi_rank() == 1)
		(void)raise(SIGKILL);
}

/* The roles, which run in rank 0. */

ROLE(each_end)
{
	static const enum deaths_end ends[] = {BY_SIGKILL,      BY_SIGSEGV,  BY_ABORT,     BY_EXIT,
	                                       BY_EXIT_AT_ONCE, BY_ITS_BELL, BY_ITS_ENGINE};
	const unsigned workers = fl_mpi_ranks() - 1;
	FL_SCOPED(fl_executor) *e = deaths_executor(workers, 0);
	uint32_t id = all_succeed(e, 0);
	deaths->go = 1;
	FL_EACH (i, ends) {
		FL_CHECK(serving_ranks(e) == workers - i && fl_mpi_ranks() == 1 + workers - i);
		FL_CHECK(!succeeds(submit_order(e, id, ends[i]), id));
		id = all_succeed(e, id + 1);
	}
	fl_stats_executor stats;
	FL_OK(fl_executor_stats(e, &stats));
	FL_CHECK(stats.workers_killed == sizeof ends / sizeof *ends);
	return job_is_over();
}

FL_TEST(mpi_rank_that_dies_costs_its_task)
{
	job_survives("each_end", "9");
}

static bool serve_by_default(unsigned ranks)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(0, 0);
	return fl_executor_workers(e) == ranks * fl_cpu_count();
}

/*
 * Idle ranks die while rank 0 sleeps; at first no thread looks. The single worker of an executor
 * moves from rank 1 to rank 3. Another executor, with a region, gets its first task after the
 * deaths.
 */
ROLE(idle_ranks)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_SCOPED(fl_executor) *last = NULL;
	FL_OK(fl_shm_create(&region, 1));
	/* Before a rank says that it sleeps, it may still be in the start. */
	for (int rank = 1; rank < 5; rank++)
		FL_WAIT_FOR(__atomic_load_n(&deaths->points[rank], __ATOMIC_SEQ_CST) > 0);
	FL_OK(kill(deaths->pids[4], SIGKILL));
	FL_WAIT_FOR(serve_by_default(3));
	FL_SCOPED(fl_executor) *e = deaths_executor(3, 0), *single = deaths_executor(1, 0);
	const fl_executor_config config = {.workers = 3, .regions = &region, .n_regions = 1};
	FL_OK(fl_mpi_executor_create(&last, &config, NULL));
	uint32_t id = all_succeed(single, all_succeed(e, 0));
	for (int rank = 2; rank > 0; rank--) {
		FL_OK(kill(deaths->pids[rank], SIGKILL));
		FL_WAIT_FOR(serving_ranks(e) == (unsigned)rank);
		id = all_succeed(single, all_succeed(e, id));
	}
	(void)all_succeed(last, id);
	FL_CHECK(fl_executor_workers(single) == 1 && fl_executor_workers(last) == 1 && serve_by_default(1));
	return job_is_over();
}

FL_TEST(mpi_idle_ranks_die)
{
	job_survives("idle_ranks", "5");
}

/* The first of `n` orders ends its rank. Returns how many tasks are lost. */
static unsigned lose(fl_executor *e, uint32_t n)
{
	fl_future *f[40];
	unsigned lost = 0;
	for (uint32_t i = 0; i < n; i++)
		f[i] = submit_order(e, i, i == 0 ? BY_SIGKILL : SURVIVES);
	deaths->go = 1;
	for (uint32_t i = 0; i < n; i++)
		lost += !succeeds(f[i], i);
	return lost;
}

/* One task has begun, some wait in the rank, and others are queued in rank 0. */
ROLE(last_rank)
{
	enum { TASKS = 12 };
	fl_executor *e = deaths_executor(1, 4);
	FL_CHECK(lose(e, TASKS) == TASKS);
	for (int i = 0; i < TASKS; i++)
		FL_RC(deaths->ran[i], i == 0);
	FL_RC(obey_submit(e, (struct deaths_order){0}, NULL), -EOWNERDEAD);
	FL_CHECK(serving_ranks(e) == 0);
	fl_executor_free(e);
	FL_RC(fl_mpi_executor_create(&e, NULL, NULL), -EOWNERDEAD);
	return job_is_over();
}

FL_TEST(mpi_last_rank_dies)
{
	job_survives("last_rank", "2");
}

/* Two ranks have a task each. When one of them dies, MPI has a message of the other. */
static void lose_one(int does)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(2, 0);
	fl_future *f[] = {submit_order(e, 0, WAITS), submit_order(e, 1, WAITS)};
	FL_WAIT_FOR(deaths->ran[0] > 0 && deaths->ran[1] > 0);
	const int rank = deaths->of[0];
	const uint32_t sent = deaths->points[rank];
	let_test(does);
	deaths->go = does == HOLDS;
	FL_WAIT_FOR(does != HOLDS || deaths->points[rank] > sent);
	FL_OK(kill(deaths->pids[rank], SIGKILL));
	FL_CHECK(!succeeds(f[0], 0) && succeeds(f[1], 1));
	FL_CHECK(test_does != COMPLETES);
	(void)all_succeed(e, 2);
}

ROLE(late_message)
{
	lose_one(HOLDS);
	return job_is_over();
}

ROLE(message_with_error)
{
	lose_one(COMPLETES);
	return job_is_over();
}

FL_TEST(mpi_messages_cross_the_notice_of_a_death)
{
	job_survives("late_message", "3");
	job_survives("message_with_error", "3");
}

/* Rank 0 sends several tasks to each of some ranks whose sockets are closed. */
ROLE(sends_to_the_dead)
{
	enum { VICTIMS = 4, AHEAD = 4, TASKS = (VICTIMS + 1) * (1 + AHEAD) };
	FL_SCOPED(fl_executor) *e = deaths_executor(VICTIMS + 1, AHEAD);
	const uint32_t id = all_succeed(e, 0);
	fl_future *f[TASKS];
	unsigned lost = 0;
	let_test(SLEEPS);
	for (int rank = 1; rank <= VICTIMS; rank++) {
		FL_OK(kill(deaths->pids[rank], SIGKILL));
		/* mpirun has collected its status */
		FL_WAIT_FOR(kill(deaths->pids[rank], 0) != 0);
	}
	for (uint32_t i = 0; i < TASKS; i++)
		f[i] = submit_order(e, id + i, SURVIVES);
	FL_EACH (i, f)
		FL_WAIT_FOR(fl_future_state(f[i]) == FL_RUNNING); /* the task was sent */
	let_test(TESTS);
	for (uint32_t i = 0; i < TASKS; i++)
		lost += !succeeds(f[i], id + i);
	FL_CHECK(lost == VICTIMS * (1 + AHEAD));
	return job_is_over();
}

/* bug: rank_0_dies_of_a_dead_ranks_socket. MPI learns of the deaths only from these sends. */
FL_TEST(mpi_sends_to_dead_ranks_over_tcp)
{
	need_tolerance();
	FL_OK(setenv("OMPI_MCA_btl", "self,tcp", 1));
	job_survives("sends_to_the_dead", "6");
	FL_OK(unsetenv("OMPI_MCA_btl"));
}

/* Tasks wait in a rank that dies. Some of them were recalled for other ranks. */
ROLE(ready_tasks)
{
	enum { PREFETCH = 4, TASKS = 40 };
	FL_SCOPED(fl_executor) *e = deaths_executor(2, PREFETCH);
	(void)all_succeed(e, TASKS);
	const unsigned lost = lose(e, TASKS);
	FL_CHECK(lost >= 1 && lost <= 1 + PREFETCH);
	return job_is_over();
}

FL_TEST(mpi_rank_dies_with_ready_tasks)
{
	job_survives("ready_tasks", "3");
}

/*
 * At first there is one task at a time in each rank: one task ends two ranks, and another one ends
 * one. Then two ranks are left, tasks wait in both, and one task ends one rank.
 */
ROLE(attempts)
{
	enum { TASKS = 24 };
	fl_future *f[TASKS] = {NULL};
	deaths->go = 1;
	for (uint32_t round = 0; round < 2; round++) {
		FL_SCOPED(fl_executor) *e = deaths_executor(fl_mpi_ranks() - 1, 4 * round);
		for (uint32_t i = 0; i < TASKS; i++) {
			const uint32_t n = i + round < 2 ? 2 - round - i : 0;
			const struct deaths_order o = {TASKS * round + i, n > 0 ? BY_SIGKILL : SURVIVES, n};
			FL_OK(obey_twice_submit(e, o, &f[i]));
		}
		for (uint32_t i = 0; i < TASKS; i++) {
			const uint32_t id = TASKS * round + i;
			int result = 0;
			FL_OK(fl_future_wait(f[i]));
			FL_RC(fl_future_error(f[i]), id == 0 ? -EOWNERDEAD : 0);
			FL_CHECK(id == 0 || (obey_twice_get(f[i], &result) == 0 && result == (int)id + 1));
			FL_RC(deaths->ran[id], i + round < 2 ? 2 : 1);
		}
		fl_test_futures_free(f, TASKS);
	}
	FL_CHECK(fl_mpi_ranks() == 2);
	return job_is_over();
}

FL_TEST(mpi_task_of_a_dead_rank_is_tried_again)
{
	job_survives("attempts", "6");
}

/* A generator of deaths_order. Some of the orders end their ranks. */
struct orders {
	uint32_t from, next, to, each;
};

static int next_order(void *state, void *arg)
{
	struct orders *o = state;
	*(struct deaths_order *)arg =
	    (struct deaths_order){o->next, (o->next - o->from) % o->each == o->each / 2 ? BY_SIGKILL : SURVIVES, 1};
	return o->next < o->to && o->next++ < o->to;
}

/* Returns how many elements were lost by deaths. */
static unsigned iterate(fl_executor *e, struct orders o, size_t chunk)
{
	const fl_imap_config how = {.chunk = chunk, .unordered = true, .next = next_order, .state = &o};
	FL_SCOPED(fl_imap) *it = NULL;
	unsigned n = 0, lost = 0;
	size_t index;
	int rc, result;
	for (FL_OK(obey_imap(e, NULL, 0, &it, &how)); (rc = obey_imap_next(it, &index, &result)) != -ENODATA; n++) {
		const uint32_t id = o.from + (uint32_t)index;
		if (rc == FL_ETASK)
			died(id, fl_imap_error(it), fl_imap_message(it));
		else
			FL_CHECK(rc == 0 && result == (int)id + 1 && deaths->ran[id] == 1);
		lost += rc == FL_ETASK;
	}
	FL_CHECK(n == o.to - o.from);
	return lost;
}

ROLE(iterations)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(fl_mpi_ranks() - 1, 0);
	struct deaths_order orders[20];
	fl_map_error error = {0};
	int results[20];
	deaths->go = 1;
	FL_CHECK(iterate(e, (struct orders){0, 0, 300, 100}, 1) == 3);
	FL_CHECK(iterate(e, (struct orders){300, 300, 400, 100}, 5) == 5);
	FL_EACH (i, orders)
		orders[i] = (struct deaths_order){400 + (uint32_t)i, i == 7 ? BY_SIGKILL : SURVIVES, 1};
	FL_RC(obey_map(e, orders, 20, results, &(fl_map_config){.chunk = 1, .error = &error}), FL_ETASK);
	FL_CHECK(error.index == 7);
	died(407, error.error, error.message);
	FL_EACH (i, orders)
		FL_CHECK(deaths->ran[400 + i] <= 1);
	(void)all_succeed(e, 420);
	return job_is_over();
}

FL_TEST(mpi_ranks_die_during_iterations)
{
	job_survives("iterations", "8");
}

FL_TASK_STATIC(more, int, int)
{
	*result = *arg + 1;
	return 0;
}

ROLE(groups_and_chains)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(4, 0);
	fl_future *f[2], *next[2];
	fl_group g = FL_GROUP_INIT(e);
	int result = 0;
	deaths->go = 1;
	FL_OK(obey_group_submit(&g, (struct deaths_order){0, BY_SIGKILL, 1}, &result));
	FL_GROUP_FAILED(&g, -EOWNERDEAD);
	died(0, -EOWNERDEAD, fl_group_message(&g));
	for (uint32_t i = 0; i < 2; i++) {
		f[i] = submit_order(e, 1 + i, i == 0 ? BY_SIGKILL : SURVIVES);
		FL_OK(fl_future_then(f[i], e, &more, &next[i]));
	}
	FL_CHECK(more_get(next[1], &result) == 0 && result == 4);
	FL_OK(fl_future_wait(next[0]));
	died(1, fl_future_error(next[0]), fl_future_message(next[0]));
	fl_test_futures_free(next, 2);
	FL_CHECK(!succeeds(f[0], 1) && succeeds(f[1], 2));
	FL_OK(obey_group_submit(&g, (struct deaths_order){3, SURVIVES, 0}, &result));
	FL_OK(fl_group_join(&g));
	return job_is_over();
}

FL_TEST(mpi_ranks_die_in_groups_and_chains)
{
	job_survives("groups_and_chains", "5");
}

/* The request, or the deadline, reaches a rank that dies, or that is dead. */
ROLE(requests)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(4, 0);
	(void)all_succeed(e, 3);
	for (uint32_t i = 0; i < 3; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		fl_submit_config config = {0};
		/* Tries again if the deadline has passed on the way. */
		for (int64_t limit = FL_MS(500); deaths->ran[i] == 0; limit *= 2) {
			fl_future_free(f);
			config.deadline = i == 2 ? fl_after(limit) : FL_FOREVER;
			FL_OK(obey_submit_with(e, (struct deaths_order){i, BY_SIGKILL, 1}, &f, &config));
			FL_WAIT_FOR(__atomic_load_n(&deaths->ran[i], __ATOMIC_SEQ_CST) > 0 ||
			            fl_future_state(f) > FL_RUNNING);
		}
		if (i == 0)
			FL_IGNORE(fl_future_cancel(f));
		if (i == 2)
			FL_WAIT_FOR(fl_time_is_past(config.deadline));
		FL_OK(kill(deaths->pids[deaths->of[i]], SIGKILL));
		if (i == 1)
			FL_IGNORE(fl_future_cancel(f));
		FL_OK(fl_future_wait(f));
		died(i, fl_future_error(f), fl_future_message(f));
	}
	(void)all_succeed(e, 100);
	return job_is_over();
}

FL_TEST(mpi_request_to_a_rank_that_dies)
{
	job_survives("requests", "5");
}

ROLE(with_processes)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(fl_mpi_executor_create(&e, &(fl_executor_config){.workers = 4}, &(fl_mpi_config){.processes = true}));
	uint32_t id = all_succeed(e, 0);
	fl_future *of_a_worker = submit_order(e, id, BY_SIGKILL), *of_a_rank = submit_order(e, id + 1, BY_ITS_RANK);
	deaths->go = 1;
	FL_OK(fl_future_wait(of_a_worker));
	FL_RC(fl_future_error(of_a_worker), -EOWNERDEAD);
	fl_future_free(of_a_worker);
	FL_CHECK(!succeeds(of_a_rank, id + 1));
	FL_CHECK(serving_ranks(e) == 1);
	(void)all_succeed(e, id + 2);
	return job_is_over();
}

FL_TEST(mpi_rank_dies_with_its_worker_processes)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	job_survives("with_processes", "3");
}

/*
 * A rank stops, like a machine that does not answer for a time. Rank 0 considers the rank dead. The
 * rank ends when it continues. Idle ranks live.
 */
ROLE(silent_rank)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(2, 0);
	const uint32_t id = all_succeed(e, 1);
	const fl_time idle = fl_now();
	/* longer than the silence that counts as a death */
	FL_WAIT_FOR(fl_time_diff(fl_now(), idle) > FL_S(6));
	deaths->go = 1;
	FL_CHECK(!succeeds(submit_order(e, 0, BY_STOP), 0));
	(void)all_succeed(e, id);
	FL_OK(kill(deaths->pids[deaths->of[0]], SIGCONT));
	FL_WAIT_FOR(!is_left(deaths->pids[deaths->of[0]]));
	return job_is_over();
}

FL_TEST(mpi_silent_rank_is_dead)
{
	static const char *const detector[][2] = {{"OMPI_MCA_mpi_ft_detector", "1"},
	                                          {"OMPI_MCA_mpi_ft_detector_thread", "1"},
	                                          {"OMPI_MCA_mpi_ft_detector_period", "0.5"},
	                                          {"OMPI_MCA_mpi_ft_detector_timeout", "2"}};
	need_tolerance();
	FL_EACH (i, detector)
		FL_OK(setenv(detector[i][0], detector[i][1], 1));
	job_survives("silent_rank", "3");
	FL_EACH (i, detector)
		FL_OK(unsetenv(detector[i][0]));
}

/* The job ends, with fault tolerance or without it. */

static void expect_end(const char *role, const char *ranks)
{
	FL_CHECK(job_with_deaths(false, role, ranks) != 0);
#ifdef OMPI_HAVE_MPI_EXT_FTMPI
	FL_CHECK(job_with_deaths(true, role, ranks) != 0);
#endif
}

ROLE(first_idle)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(0, 0);
	(void)all_succeed(e, 0);
	(void)raise(SIGKILL);
	return job_is_over();
}

/* Each rank has a task that never ends, and others that wait. */
ROLE(first_busy)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(fl_mpi_ranks() - 1, 4);
	for (uint32_t i = 0; i < 20; i++)
		fl_future_free(submit_order(e, i, BY_ABORT));
	FL_WAIT_FOR(deaths->ran[0]);
	(void)raise(SIGKILL);
	return job_is_over();
}

/* Other ranks have died before rank 0 dies, and die at the same time. */
ROLE(first_of_many)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(fl_mpi_ranks() - 1, 4);
	uint32_t id = all_succeed(e, 0);
	for (int rank = 1; rank < 8; rank++) {
		fl_future_free(submit_order(e, id++, BY_ABORT));
		FL_OK(kill(deaths->pids[rank], SIGKILL));
		FL_WAIT_FOR(rank > 4 || serving_ranks(e) == 15U - (unsigned)rank);
	}
	(void)raise(SIGKILL);
	return 1;
}

FL_TEST(mpi_rank_0_dies)
{
	expect_end("first_idle", "3");
	expect_end("first_busy", "3");
}

/* There are no doorbells, so the ranks learn of deaths only from MPI. */
ROLE(without_doorbells)
{
	FL_SCOPED(fl_executor) *e = deaths_executor(2, 0);
	FL_CHECK(!fl__mpi_bell_any());
	deaths->go = 1;
	FL_CHECK(!succeeds(submit_order(e, 0, BY_SIGKILL), 0));
	(void)all_succeed(e, 1);
	deaths->over = 1;
	(void)raise(SIGKILL);
	return 1;
}

FL_TEST(mpi_rank_0_dies_after_others)
{
	need_tolerance();
	FL_CHECK(job_with_deaths(true, "first_of_many", "16") != 0);
	FL_CHECK(job_with_deaths(true, "without_doorbells", "3") != 0 && deaths->over);
}

ROLE(before_start)
{
	return job_is_over();
}

/* Runs only without fault tolerance, with which MPI_Init() of the other ranks waits forever. */
FL_TEST(mpi_rank_dies_before_the_start)
{
	FL_CHECK(job_with_deaths(false, "before_start", "3") != 0);
}

#endif
