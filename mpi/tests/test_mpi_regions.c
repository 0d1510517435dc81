/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests regions over MPI, with all ranks on one machine. test_mpi_regions_machines.c has several.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_faults.h"
#include "fl_mpi_regions.h"

#include "../engine.h"

enum { LARGE = 64 << 20, SMALL = 100 };

static int allocations_left;

static void *memory_while_it_lasts(size_t size)
{
	return allocations_left-- > 0 ? fl_test_real_sys.alloc(size) : NULL;
}

/*
 * This is the first case, because no fault may be planted while the thread exists that makes the
 * calls of MPI.
 */
FL_TEST(mpi_regions_without_memory)
{
	FL_SCOPED(fl_shm) *region = regions_new(SMALL);
	const fl_executor_config config = {.regions = &region, .n_regions = 1};
	FL_SCOPED(fl_executor) *e = NULL;
	int failures = 0;
	for (int rc = -ENOMEM; rc == -ENOMEM; failures += rc == -ENOMEM) {
		FL_FAULTS();
		fl__sys.alloc = memory_while_it_lasts;
		allocations_left = failures;
		rc = fl_mpi_executor_create(&e, &config, NULL);
		assert_true(rc == 0 || (rc == -ENOMEM && !e));
	}
	assert_true(failures > 3);
}

/* All ranks, and rank 0, see the marks of all others. */
static void expect_one_memory(fl_executor *e, fl_shm *const *regions, unsigned n)
{
	const unsigned ranks = regions_worker_ranks();
	const uint64_t all = ranks == 64 ? UINT64_MAX : (UINT64_C(1) << ranks) - 1;
	struct regions_seen seen[REGIONS_RANKS_MAX];
	regions_visit_all(e, n, seen);
	EACH_RANK (i, ranks) {
		assert_int_equal(seen[i].inode, regions_inode(regions[n - 1]));
		assert_int_equal(seen[i].marks, all);
		assert_true(seen[i].writable);
	}
	assert_int_equal(regions_marks_of(regions[n - 1]), all);
}

FL_TEST(mpi_regions_are_one_memory_on_one_machine)
{
	FL_SCOPED(fl_shm) *region = regions_new(LARGE);
	FL_SCOPED(fl_executor) *e = regions_executor(&region, 1, false);
	expect_one_memory(e, &region, 1);
}

FL_TEST(mpi_regions_of_processes)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_SCOPED(fl_shm) *region = regions_new(SMALL);
	FL_SCOPED(fl_executor) *e = regions_executor(&region, 1, true);
	expect_one_memory(e, &region, 1);
}

FL_TEST(mpi_regions_as_many_as_there_may_be)
{
	fl_shm *regions[FL_REGIONS_MAX + 1];
	for (int i = 0; i <= FL_REGIONS_MAX; i++)
		regions[i] = regions_new(SMALL);
	fl_executor *e = regions_executor(regions, FL_REGIONS_MAX, false), *refused = NULL;
	expect_one_memory(e, regions, FL_REGIONS_MAX);
	const fl_executor_config many = {.regions = regions, .n_regions = FL_REGIONS_MAX + 1};
	FL_RC(fl_mpi_executor_create(&refused, &many, NULL), -EINVAL);
	assert_null(refused);
	fl_executor_free(e);
	for (int i = 0; i <= FL_REGIONS_MAX; i++)
		fl_shm_free(regions[i]);
}

FL_TEST(mpi_regions_of_two_executors)
{
	fl_shm *regions[] = {regions_new(SMALL), regions_new(SMALL)};
	fl_executor *both = regions_executor(regions, 2, false), *second = regions_executor(&regions[1], 1, false);
	expect_one_memory(both, regions, 2);
	expect_one_memory(second, &regions[1], 1);
	fl_executor_free(both);
	expect_one_memory(second, &regions[1], 1);
	fl_executor_free(second);
	fl_shm_free(regions[0]);
	fl_shm_free(regions[1]);
}

/*
 * What was written before the first submit is there, even if the executor was made before the
 * write.
 */
FL_TEST(mpi_regions_are_sent_at_the_first_submit)
{
	FL_SCOPED(fl_shm) *region = regions_new(SMALL);
	FL_SCOPED(fl_executor) *e = regions_executor(&region, 1, false);
	struct regions_board *board = regions_board_of(region);
	((unsigned char *)(board + 1))[0] ^= 1;
	board->sum = regions_sum(board);
	expect_one_memory(e, &region, 1);
}

FL_TEST(mpi_regions_that_are_sealed_are_read_only)
{
	FL_SCOPED(fl_shm) *region = regions_new(SMALL);
	struct regions_seen seen[REGIONS_RANKS_MAX];
	FL_OK(fl_shm_seal(region));
	FL_SCOPED(fl_executor) *e = regions_executor(&region, 1, false);
	regions_visit_all(e, 1, seen);
	for (unsigned i = 0; i < regions_worker_ranks(); i++) {
		assert_false(seen[i].writable);
		assert_int_equal(seen[i].inode, regions_inode(region));
	}
}

/*
 * A region that is read-only by rank 0's handle is read-only in all ranks, though its memory could
 * be written.
 */
FL_TEST(mpi_regions_of_a_read_only_descriptor_are_read_only)
{
	fl_shm *writable = regions_new(SMALL), *regions[] = {NULL};
	struct regions_seen seen[REGIONS_RANKS_MAX];
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fl_shm_fd(writable));
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	FL_OK(fl_shm_attach(&regions[0], fd));
	FL_OK(close(fd));
	fl_executor *e = regions_executor(regions, 1, false);
	regions_visit_all(e, 1, seen);
	for (unsigned i = 0; i < regions_worker_ranks(); i++)
		assert_false(seen[i].writable);
	fl_executor_free(e);
	fl_shm_free(regions[0]);
	fl_shm_free(writable);
}

FL_TASK_STATIC(find_inode, void, uint64_t)
{
	struct stat status;
	FL_CHECK(fl_task_region(ctx, 0) && fstat(fl_shm_fd(fl_task_region(ctx, 0)), &status) == 0);
	*result = status.st_ino;
	return 0;
}

FL_TASK_STATIC(find_inode_nested, void, uint64_t)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = find_inode_submit(fl_executor_current(), &f);
	return rc == 0 ? find_inode_get(f, result) : rc;
}

static void find_nested(bool processes)
{
	FL_SCOPED(fl_shm) *region = regions_new(SMALL);
	FL_SCOPED(fl_executor) *e = regions_executor(&region, 1, processes);
	uint64_t inode = 0;
	FL_OK(fl_test_run_task(e, &find_inode_nested, NULL, &inode));
	assert_int_equal(inode, regions_inode(region));
}

FL_TEST(mpi_regions_are_found_by_nested_tasks)
{
	find_nested(false);
}

FL_TEST(mpi_regions_are_found_by_nested_tasks_of_processes)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	find_nested(true);
}

FL_TASK_STATIC(has_region, void, void)
{
	return fl_task_region(ctx, 0) ? 0 : -ENOENT;
}

FL_TASK_STATIC(has_no_region_nested, void, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = has_region_submit(fl_executor_current(), &f);
	return rc != 0 ? rc : fl_future_error(f) == -ENOENT ? 0 : -EINVAL;
}

/* Threads that have served an executor with regions do not keep these regions. */
FL_TEST(mpi_regions_are_the_executors_own)
{
	FL_SCOPED(fl_shm) *region = regions_new(SMALL);
	FL_SCOPED(fl_executor) *with = regions_executor(&region, 1, false), *without = regions_executor(NULL, 0, false);
	for (int i = 0; i < 2; i++) {
		uint64_t inode;
		FL_OK(fl_test_run_task(with, &find_inode_nested, NULL, &inode));
		FL_OK(fl_test_run_task(without, &has_no_region_nested, NULL, NULL));
	}
}

FL_TEST(mpi_regions_are_found_by_the_initializer)
{
	FL_SCOPED(fl_shm) *region = regions_new(SMALL);
	const fl_executor_config config = {.initialize = &has_region, .regions = &region, .n_regions = 1};
	FL_SCOPED(fl_executor) *e = make_over_mpi(&config, NULL);
	FL_OK(fl_test_run_task(e, &has_region, NULL, NULL));
}

static void come_and_go(bool processes)
{
	enum { LIVES = 10 };
	FL_SCOPED(fl_executor) *stays = regions_executor(NULL, 0, false);
	struct regions_held before = {0};
	for (int i = 0; i < LIVES; i++) {
		fl_shm *regions[] = {regions_new(SMALL), regions_new(SMALL)};
		fl_executor *e = regions_executor(regions, 2, processes);
		expect_one_memory(e, regions, 2);
		fl_executor_free(e);
		fl_shm_free(regions[0]);
		fl_shm_free(regions[1]);
		const struct regions_held held = regions_held_by_all(stays);
		/* What the first executor has started in the ranks stays. */
		if (i == 0)
			before = held;
		regions_expect_held(before, held);
	}
}

FL_TEST(mpi_regions_leave_nothing)
{
	come_and_go(false);
}

FL_TEST(mpi_regions_of_processes_leave_nothing)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	come_and_go(true);
}

/* Executors are freed when their ranks may not have the regions yet. */
FL_TEST(mpi_regions_of_executors_that_end_at_once)
{
	FL_SCOPED(fl_executor) *stays = regions_executor(NULL, 0, false);
	const struct regions_held before = regions_held_by_all(stays);
	fl_shm *region = regions_new(SMALL);
	for (unsigned i = 0; i < fl_test_scaled(40); i++) {
		FL_SCOPED(fl_future) *f = NULL;
		fl_executor *e = regions_executor(&region, 1, false);
		if (i % 4 != 0)
			FL_OK(has_region_submit(e, &f));
		if (i % 4 >= 2)
			FL_IGNORE(fl_future_cancel(f));
		if (i % 4 == 3)
			FL_IGNORE(fl_executor_terminate(e));
		fl_executor_free(e);
		if (f)
			FL_RC(fl_future_get(f, NULL, 0), fl_future_state(f) == FL_CANCELLED ? FL_ETASK : 0);
	}
	fl_shm_free(region);
	regions_expect_held(before, regions_held_by_all(stays));
}

/* A rank without descriptors breaks the executor, with a message that names rank and host. */
FL_TEST(mpi_regions_without_descriptors)
{
	FL_SCOPED(fl_executor) *stays = regions_executor(NULL, 0, false), *one = NULL;
	/* Its worker is in rank 1. */
	FL_OK(fl_mpi_executor_create(&one, &(fl_executor_config){.workers = 1}, NULL));
	const struct regions_held before = regions_held_by_all(stays);
	char host[64] = "", rank[96];
	FL_OK(gethostname(host, sizeof host - 1));
	(void)snprintf(rank, sizeof rank, "rank 1 (%s) cannot map region 0", host);
	regions_limit_rank(one, RLIMIT_NOFILE, 3);
	fl_shm *region = regions_new(SMALL);
	fl_executor *e = regions_executor(&region, 1, false);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(has_region_submit(e, &f));
	FL_OK(fl_future_wait(f));
	FL_RC(has_region_submit(e, NULL), -ENOTRECOVERABLE);
	FL_RC(fl_future_error(f), -ENOTRECOVERABLE);
	fl_test_contains(fl_future_message(f), rank);
	fl_executor_free(e);
	regions_limit_rank(one, RLIMIT_NOFILE, 0);
	e = regions_executor(&region, 1, false);
	expect_one_memory(e, &region, 1);
	fl_executor_free(e);
	fl_shm_free(region);
	regions_expect_held(before, regions_held_by_all(stays));
}

static unsigned warnings;

static void count_warning(fl_log_level level, const char *message)
{
	FL_CHECK(level == FL_LOG_WARNING && strstr(message, "gets a copy of its own"));
	fl__add_relaxed(&warnings, 1); /* relaxed: the end of the executor orders it */
}

/* A rank that cannot map the memory of rank 0 gets a copy, and rank 0 says so. */
static void visit_unreached(fl_shm *region)
{
	const unsigned ranks = regions_worker_ranks();
	struct regions_seen seen[REGIONS_RANKS_MAX];
	const int pid = fl__mpi_world.peers[0].pid;
	warnings = 0;
	(void)fl_log_set_handler(count_warning);
	/* The MPI thread does not read `pid` meanwhile, because no executor has regions now. */
	fl__mpi_world.peers[0].pid = (int32_t)getppid();
	fl_executor *e = regions_executor(&region, 1, false);
	regions_visit_all(e, 1, seen);
	fl_executor_free(e);
	fl__mpi_world.peers[0].pid = pid;
	(void)fl_log_set_handler(NULL);
	assert_int_equal(warnings, ranks);
	EACH_RANK (i, ranks) {
		assert_int_equal(seen[i].marks, UINT64_C(1) << i);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(seen[i].inode, seen[j].inode);
	}
	assert_int_equal(regions_marks_of(region), 0);
}

FL_TEST(mpi_regions_out_of_reach_are_copied)
{
	FL_SCOPED(fl_executor) *stays = regions_executor(NULL, 0, false);
	FL_SCOPED(fl_shm) *region = regions_new(20 << 20);
	const struct regions_held before = regions_held_by_all(stays);
	visit_unreached(region);
	regions_expect_held(before, regions_held_by_all(stays));
}

#endif
