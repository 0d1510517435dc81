/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests worker ranks that die at each point of their conversation with MPI: before and after each
 * call that begins or ends something, after each test that finds something, and after some tests
 * that find nothing, even in the middle of a transfer. The points of the start are those up to the
 * first receive.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi_deaths.h"

enum { VICTIMS = 6, TASKS = 24, LARGE = 1 << 20 };

/* With `of_start`, only the points of the start count, otherwise only those after `go`. */
static bool starting = true, of_start;
static int empty_tests; /* how many since the last call */

static void pass_point(void)
{
	const int rank = fl_test_mpi_rank();
	if ((of_start ? starting : __atomic_load_n(&deaths->go, __ATOMIC_SEQ_CST) > 0) &&
	    ++deaths->points[rank] == deaths->point[rank])
		(void)raise(SIGKILL);
}

static void pass_call(const char *call)
{
	pass_point();
	empty_tests = 0;
	starting &= strcmp(call, "Irecv") != 0;
}

static void pass_test(bool found)
{
	enum { EMPTY_MAX = 3 };
	empty_tests = found ? 0 : empty_tests + 1;
	if (empty_tests <= EMPTY_MAX)
		pass_point();
}

/* clang-format off */
#define POINTS(call, params, args)                                                                                     \
	int MPI_##call params                                                                                          \
	{                                                                                                              \
		pass_call(#call);                                                                                      \
		const int rc = PMPI_##call args;                                                                       \
		pass_point();                                                                                          \
		return rc;                                                                                             \
	}

POINTS(Init_thread, (int *argc, char ***argv, int required, int *provided), (argc, argv, required, provided))
POINTS(Comm_dup, (MPI_Comm comm, MPI_Comm *made), (comm, made))
POINTS(Bcast, (void *at, int n, MPI_Datatype type, int root, MPI_Comm comm), (at, n, type, root, comm))
POINTS(Gather, (const void *from, int n, MPI_Datatype type, void *to, int each, MPI_Datatype as, int root, MPI_Comm comm),
       (from, n, type, to, each, as, root, comm))
POINTS(Scatter, (const void *from, int n, MPI_Datatype type, void *to, int each, MPI_Datatype as, int root, MPI_Comm comm),
       (from, n, type, to, each, as, root, comm))
POINTS(Isend, (const void *from, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request),
       (from, n, type, to, tag, comm, request))
POINTS(Irecv, (void *at, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request *request),
       (at, n, type, from, tag, comm, request))
POINTS(Comm_free, (MPI_Comm *comm), (comm))
POINTS(Finalize, (void), ())
/* clang-format on */

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
	const int rc = PMPI_Test(request, flag, status);
	pass_test(*flag);
	return rc;
}

int MPI_Testany(int n, MPI_Request *requests, int *index, int *flag, MPI_Status *status)
{
	const int rc = PMPI_Testany(n, requests, index, flag, status);
	pass_test(*flag);
	return rc;
}

static void prepare_rank(const char *role, char **argv)
{
	deaths->pids[fl_test_mpi_rank()] = (int32_t)getpid();
	of_start = strcmp(role, "starts") == 0;
	(void)fl_test_mpi_move();
}

/* Tasks with much to send and to return. Their results begin with the order. */

struct large {
	struct deaths_order order;
	unsigned char bytes[LARGE];
};

FL_TASK_STATIC(obey_with_struct, struct large, struct large)
{
	deaths_obey(&arg->order);
	*result = *arg;
	return 0;
}

/* The data are in the message, but too large for MPI to send at once. */
struct medium {
	struct deaths_order order;
	unsigned char bytes[10000];
};

FL_TASK_STATIC(obey_with_medium, struct medium, struct medium)
{
	deaths_obey(&arg->order);
	*result = *arg;
	return 0;
}

FL_TASK_STATIC(obey_with_bytes, fl_bytes, fl_bytes)
{
	deaths_obey(arg->data);
	return fl_bytes_ref(result, arg);
}

FL_TASK_STATIC(obey_with_region, struct deaths_order, struct deaths_order)
{
	fl_shm *region = fl_task_region(ctx, 0);
	const struct large *l = FL_SHM_AT(region, struct large, fl_shm_root(region));
	FL_CHECK(l && l->bytes[LARGE - 1] == 1);
	deaths_obey(arg);
	*result = *arg;
	return 0;
}

static struct large *large_of(uint32_t id)
{
	static struct large l;
	for (size_t i = 0; i < LARGE; i++)
		l.bytes[i] = (unsigned char)(i / 251 + id);
	l.order.id = id;
	return &l;
}

static fl_future *submit_large(fl_executor *e, uint32_t id)
{
	struct large *l = large_of(id);
	FL_SCOPED(fl_bytes) b = {0};
	fl_future *f = NULL;
	if (id % 4 == 0)
		FL_OK(obey_with_struct_submit(e, *l, &f));
	else if (id % 4 == 3)
		FL_OK(obey_with_medium_submit(e, (struct medium){.order = l->order}, &f));
	else if (id % 4 == 1)
		FL_CHECK(fl_bytes_append(&b, l, sizeof *l) == 0 && obey_with_bytes_submit(e, b, &f) == 0);
	else
		FL_OK(obey_with_region_submit(e, l->order, &f));
	return f;
}

static void end_large(fl_future *f, uint32_t id)
{
	FL_OK(fl_future_wait(f));
	const struct large *l = fl_future_result(f);
	if (!l) {
		died(id, fl_future_error(f), fl_future_message(f));
	} else {
		l = id % 4 == 1 ? ((const fl_bytes *)fl_future_result(f))->data : l;
		FL_CHECK(l->order.id == id && (id % 4 > 1 || memcmp(l, large_of(id), sizeof *l) == 0));
		FL_RC(deaths->ran[id], 1);
	}
	fl_future_free(f);
}

/* What rank 0 does. */

/* Returns when all ranks serve, and points count. */
static void let_points_count(void)
{
	const unsigned ranks = fl_mpi_ranks() - 1;
	fl_executor *e = deaths_executor(ranks, 0);
	fl_future *f[DEATHS_RANKS];
	EACH_RANK (i, ranks)
		f[i] = submit_order(e, 2 * TASKS + i, WAITS);
	EACH_RANK (i, ranks)
		FL_WAIT_FOR(__atomic_load_n(&deaths->ran[2 * TASKS + i], __ATOMIC_SEQ_CST) > 0);
	deaths->go = 1;
	EACH_RANK (i, ranks)
		(void)succeeds(f[i], 2 * TASKS + i);
	fl_executor_free(e);
}

ROLE(serves)
{
	let_points_count();
	FL_SCOPED(fl_shm) *region = NULL;
	FL_OK(fl_shm_create(&region, sizeof(struct large) + 4096));
	struct large *l = fl_shm_block_alloc(region, sizeof *l);
	FL_CHECK(l && fl_shm_set_root(region, fl_shm_offset_of(region, l)) == 0);
	l->bytes[LARGE - 1] = 1;
	const fl_executor_config config = {.workers = fl_mpi_ranks() - 1, .regions = &region, .n_regions = 1};
	fl_future *f[TASKS];
	fl_executor *e = NULL;
	FL_OK(fl_mpi_executor_create(&e, &config, &(fl_mpi_config){.prefetch = 1}));
	for (uint32_t i = 0; i < TASKS; i++)
		f[i] = submit_large(e, i);
	for (uint32_t i = 0; i < TASKS; i++)
		end_large(f[i], i);
	fl_executor_free(e);
	e = deaths_executor(fl_mpi_ranks() - 1, 1);
	for (uint32_t i = 0; i < TASKS; i++)
		f[i] = submit_order(e, TASKS + i, SURVIVES);
	for (uint32_t i = 0; i < TASKS; i++)
		(void)succeeds(f[i], TASKS + i);
	for (uint32_t i = 0; i < TASKS; i++) /* they are under way at the end */
		fl_future_free(submit_large(e, 101 + 4 * i));
	return job_is_over();
}

/* Runs a job in which each victim dies at another point. Returns how many have died. */
static unsigned die_at(const char *role, const char *ranks, uint32_t first, uint32_t step, unsigned victims)
{
	unsigned n = 0;
	memset(deaths->points, 0, sizeof deaths->points);
	for (unsigned i = 1; i <= victims; i++)
		deaths->point[i] = first + (i - 1) * step;
	const int status = job_with_deaths(true, role, ranks);
	for (unsigned i = 1; i <= victims; i++)
		n += deaths->points[i] == deaths->point[i];
	if (of_start)
		return n;
	FL_CHECK(status == 0 && deaths->over);
	return n;
}

/*
 * Tests each `step`-th point, each (6 * `step`)-th one under a sanitizer, or every point if
 * FL_TEST_MPI_DEATHS is in the environment; of these, each `parts`-th one, from number `part` on.
 * Six points cost a job of eight ranks, so all points take longer than a case may.
 */
static void die_at_each_point(uint32_t step, unsigned part, unsigned parts)
{
	unsigned all = 0, n = 1;
	need_tolerance();
	step = getenv("FL_TEST_MPI_DEATHS") ? 1 : FL_TEST_SANITIZED ? 6 * step : step;
	for (uint32_t first = 1 + part * step; n > 0; first += parts * step * VICTIMS, all += n)
		n = die_at("serves", "8", first, parts * step, VICTIMS);
	print_message("%u points\n", all);
}

FL_TEST(mpi_ranks_die_at_each_point)
{
	die_at_each_point(5, 0, 2);
}

FL_TEST(mpi_ranks_die_at_each_point_between)
{
	die_at_each_point(5, 1, 2);
}

/* Data are sent as between machines, where large data are sent in pieces. */
FL_TEST(mpi_ranks_die_at_each_point_over_tcp)
{
	FL_OK(setenv("OMPI_MCA_btl", "self,tcp", 1));
	die_at_each_point(27, 0, 1);
	FL_OK(unsetenv("OMPI_MCA_btl"));
}

/* The job may end or go on. */
ROLE(starts)
{
	fl_executor *e = NULL;
	FL_OK(fl_mpi_executor_create(&e, NULL, NULL));
	(void)succeeds(submit_order(e, 0, SURVIVES), 0);
	return job_is_over();
}

FL_TEST(mpi_rank_dies_at_each_point_of_the_start)
{
	unsigned n = 1;
	need_tolerance();
	of_start = true;
	/*
	 * Begins after the first MPI_Comm_dup(), because before that, MPI_Init() of another rank
	 * may hang.
	 */
	for (uint32_t point = 4; n > 0; point++)
		n = die_at("starts", "3", point, 0, 1);
	of_start = false;
}

#endif
