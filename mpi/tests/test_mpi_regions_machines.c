/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests regions over MPI, with ranks on several machines, as fl_test_mpi_move() makes them. */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi_regions.h"

static bool have_machines; /* in rank 0 */

__attribute__((constructor)) static void move_to_machine(void)
{
	if (getenv(fl_test_mpi_variable) && !getenv("FAIRLEAD_PROCESS"))
		have_machines = fl_test_mpi_move();
}

static fl_shm *new_region(size_t size)
{
	fl_shm *region = regions_new(size);
	if (!have_machines) {
		fl_shm_free(region);
		FL_SKIP("ranks cannot have host names of their own here");
	}
	return region;
}

/*
 * Each machine has one memory: tasks see the marks of their machine, and rank 0 sees those of its
 * machine.
 */
static void expect_one_memory_a_machine(fl_executor *e, fl_shm *region)
{
	const unsigned ranks = regions_worker_ranks();
	struct regions_seen seen[REGIONS_RANKS_MAX];
	char host[64] = "";
	uint64_t here = 0;
	FL_OK(gethostname(host, sizeof host - 1));
	regions_visit_all(e, 1, seen);
	EACH_RANK (i, ranks) {
		uint64_t marks = 0;
		for (unsigned j = 0; j < ranks; j++) {
			const bool same = strcmp(seen[i].host, seen[j].host) == 0;
			marks |= (uint64_t)same << j;
			assert_int_equal(seen[i].inode == seen[j].inode, same);
		}
		assert_int_equal(seen[i].marks, marks);
		assert_true(seen[i].writable);
		const bool is_here = strcmp(seen[i].host, host) == 0;
		assert_int_equal(seen[i].inode == regions_inode(region), is_here);
		here = is_here ? marks : here;
	}
	assert_int_equal(regions_marks_of(region), here);
}

static void visit_machines(size_t size, bool processes)
{
	FL_SCOPED(fl_shm) *region = new_region(size);
	FL_SCOPED(fl_executor) *stays = regions_executor(NULL, 0, false);
	fl_executor *e = regions_executor(&region, 1, processes);
	expect_one_memory_a_machine(e, region);
	fl_executor_free(e);
	const struct regions_held before = regions_held_by_all(stays);
	memset(regions_board_of(region)->marks, 0, sizeof(uint64_t[REGIONS_RANKS_MAX]));
	e = regions_executor(&region, 1, processes);
	expect_one_memory_a_machine(e, region);
	fl_executor_free(e);
	regions_expect_held(before, regions_held_by_all(stays));
}

FL_TEST(mpi_machines_share_a_copy)
{
	visit_machines(100, false);
}

FL_TEST(mpi_machines_share_a_large_copy)
{
	visit_machines(64 << 20, false);
}

FL_TEST(mpi_machines_share_a_copy_among_processes)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	visit_machines(1 << 20, true);
}

/* The sizes are near those of pieces and pages. */
FL_TEST(mpi_machines_copy_all_bytes)
{
	static const size_t sizes[] = {1, 3000, 4096, (16 << 20) - 4096, 16 << 20, (16 << 20) + 4096};
	FL_EACH (i, sizes) {
		fl_shm *region = new_region(sizes[i]);
		fl_executor *e = regions_executor(&region, 1, false);
		expect_one_memory_a_machine(e, region);
		fl_executor_free(e);
		fl_shm_free(region);
	}
}

/* Each executor has its own copies, and does not see what tasks of other executors have written. */
FL_TEST(mpi_machines_copy_for_each_executor)
{
	FL_SCOPED(fl_shm) *region = new_region(100);
	FL_SCOPED(fl_executor) *second = regions_executor(&region, 1, false);
	fl_executor *first = regions_executor(&region, 1, false);
	struct regions_seen seen[2][REGIONS_RANKS_MAX];
	regions_visit_all(first, 1, seen[0]);
	regions_visit_all(second, 1, seen[1]);
	for (unsigned i = 0; i < regions_worker_ranks(); i++)
		for (unsigned j = 0; j < regions_worker_ranks(); j++)
			assert_true(seen[0][i].inode != seen[1][j].inode || seen[0][i].inode == regions_inode(region));
	fl_executor_free(first);
	regions_visit_all(second, 1, seen[1]);
}

FL_TEST(mpi_machines_get_sealed_copies)
{
	FL_SCOPED(fl_shm) *region = new_region(5000);
	struct regions_seen seen[REGIONS_RANKS_MAX];
	FL_OK(fl_shm_seal(region));
	FL_SCOPED(fl_executor) *e = regions_executor(&region, 1, false);
	regions_visit_all(e, 1, seen);
	for (unsigned i = 0; i < regions_worker_ranks(); i++)
		assert_false(seen[i].writable);
}

/* A copy has an allocator and locks, like every region. */
FL_TASK_STATIC(add_block, fl_shm_offset, void)
{
	fl_shm *region = fl_task_region(ctx, 0);
	fl_shm_mutex *lock = FL_SHM_AT(region, fl_shm_mutex, *arg);
	FL_CHECK(lock && fl_shm_mutex_lock(lock) == 0);
	int *block = fl_shm_block_alloc(region, sizeof *block);
	FL_CHECK(block && *block == 0);
	*block = 1;
	fl_shm_mutex_unlock(lock);
	fl_shm_block_free(region, block);
	return 0;
}

FL_TEST(mpi_machines_use_allocator_and_locks)
{
	enum { TASKS = 64 };
	fl_shm *region = new_region(100), *regions[] = {NULL};
	fl_shm_free(region);
	FL_OK(fl_shm_create(&regions[0], 1 << 20));
	fl_shm_mutex *lock = fl_shm_block_alloc(regions[0], sizeof *lock);
	const fl_shm_offset at = fl_shm_offset_of(regions[0], lock);
	fl_executor *e = regions_executor(regions, 1, false);
	fl_future *f[TASKS];
	FL_EACH (i, f)
		FL_OK(add_block_submit(e, at, &f[i]));
	FL_EACH (i, f) {
		FL_OK(add_block_get(f[i]));
		fl_future_free(f[i]);
	}
	fl_executor_free(e);
	fl_shm_free(regions[0]);
}

FL_TASK_STATIC(read_byte, uint32_t, unsigned char)
{
	fl_shm *region = fl_task_region(ctx, 0);
	const struct regions_board *board = FL_SHM_AT(region, struct regions_board, fl_shm_root(region));
	FL_CHECK(board && *arg < board->size);
	*result = ((const unsigned char *)(board + 1))[*arg];
	return 0;
}

/* Many small tasks use one table, like tasks of a program. */
FL_TEST(mpi_machines_map_over_a_table)
{
	enum { SIZE = 20000 };
	FL_SCOPED(fl_shm) *region = new_region(SIZE);
	static uint32_t places[SIZE];
	static unsigned char bytes[SIZE];
	FL_SCOPED(fl_executor) *e = NULL;
	for (uint32_t i = 0; i < SIZE; i++)
		places[i] = i;
	FL_OK(fl_mpi_executor_create(&e, &(fl_executor_config){.regions = &region, .n_regions = 1},
	                             &(fl_mpi_config){.prefetch = 2}));
	FL_OK(read_byte_map(e, places, SIZE, bytes, NULL));
	assert_memory_equal(bytes, regions_board_of(region) + 1, SIZE);
}

FL_TASK_STATIC(has_region, void, void)
{
	return fl_task_region(ctx, 0) ? 0 : -ENOENT;
}

/* Executors are freed while a region is on its way. */
FL_TEST(mpi_machines_of_executors_that_end_at_once)
{
	FL_SCOPED(fl_shm) *region = new_region(40 << 20);
	FL_SCOPED(fl_executor) *stays = regions_executor(NULL, 0, false);
	const struct regions_held before = regions_held_by_all(stays);
	for (unsigned i = 0; i < fl_test_scaled(12); i++) {
		FL_SCOPED(fl_future) *f = NULL;
		fl_executor *e = regions_executor(&region, 1, false);
		FL_OK(has_region_submit(e, &f));
		if (i % 3 == 1)
			FL_IGNORE(fl_future_cancel(f));
		if (i % 3 == 2)
			FL_IGNORE(fl_executor_terminate(e));
		fl_executor_free(e);
		FL_RC(fl_future_get(f, NULL, 0), fl_future_state(f) == FL_CANCELLED ? FL_ETASK : 0);
	}
	regions_expect_held(before, regions_held_by_all(stays));
}

/* A machine that cannot make a copy breaks the executor, with a message that names the machine. */
FL_TEST(mpi_machines_without_memory)
{
	fl_shm *regions[] = {new_region(100), new_region(8 << 20)};
	FL_SCOPED(fl_executor) *stays = regions_executor(NULL, 0, false), *one = NULL;
	/* Its worker is in rank 1. */
	FL_OK(fl_mpi_executor_create(&one, &(fl_executor_config){.workers = 1}, NULL));
	const struct regions_held before = regions_held_by_all(stays);
	regions_limit_rank(one, RLIMIT_FSIZE, 4 << 20);
	FL_SCOPED(fl_future) *f = NULL;
	fl_executor *e = regions_executor(regions, 2, false);
	FL_OK(has_region_submit(e, &f));
	FL_OK(fl_future_wait(f));
	FL_RC(fl_future_error(f), -ENOTRECOVERABLE);
	fl_test_contains(fl_future_message(f), "rank 1 (fl-machine-a) cannot make region 1 of");
	assert_true(fl_executor_is_broken(e));
	FL_RC(has_region_submit(e, NULL), -ENOTRECOVERABLE);
	fl_executor_free(e);
	regions_limit_rank(one, RLIMIT_FSIZE, 0);
	e = regions_executor(regions, 1, false);
	expect_one_memory_a_machine(e, regions[0]);
	fl_executor_free(e);
	fl_shm_free(regions[0]);
	fl_shm_free(regions[1]);
	/* Rank 0 no longer has two of its regions. */
	struct regions_held after = regions_held_by_all(stays);
	after.files += 2;
	after.mappings += 2;
	regions_expect_held(before, after);
}

#endif
