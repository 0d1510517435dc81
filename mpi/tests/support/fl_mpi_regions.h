/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_MPI_REGIONS_H
#define FL_TEST_MPI_REGIONS_H

/*
 * For tests of regions over MPI: a task that runs in all worker ranks at the same time, one in
 * each, and says which memory it found.
 */
#include "fl_fds.h"
#include "fl_mpi.h"

#include "../../internals.h"

enum { REGIONS_RANKS_MAX = 64 };

/* What a region contains. */
struct regions_board {
	uint64_t marks[REGIONS_RANKS_MAX];
	uint64_t size, sum; /* of the following bytes */
};

struct regions_visit {
	fl_shm_event entered, open;
};

struct regions_arg {
	struct regions_visit *visit;
	uint32_t number;
	uint32_t region;
};

/* What a task has seen in a region. */
struct regions_seen {
	uint64_t marks; /* has a bit for each number */
	uint64_t inode;
	bool writable, whole;
	char host[64];
};

static uint64_t regions_sum(const struct regions_board *board)
{
	const unsigned char *bytes = (const unsigned char *)(board + 1);
	uint64_t sum = 0;
	for (uint64_t i = 0; i < board->size; i++)
		sum = sum * 31 + bytes[i];
	return sum;
}

/* Writes a mark. When all tasks have done so, reads all marks. */
FL_TASK_STATIC(visit_region, struct regions_arg, struct regions_seen)
{
	fl_shm *region = fl_task_region(ctx, arg->region);
	FL_CHECK(region && !fl_task_region(ctx, arg->region + 1));
	struct regions_board *board = FL_SHM_AT(region, struct regions_board, fl_shm_root(region));
	struct stat status;
	FL_CHECK(board && fstat(fl_shm_fd(region), &status) == 0);
	FL_OK(gethostname(result->host, sizeof result->host - 1));
	result->inode = status.st_ino;
	result->writable = fl_shm_is_writable(region);
	if (result->writable)
		/* relaxed: the event orders it */
		fl__store_relaxed(&board->marks[arg->number], UINT64_C(1));
	FL_OK(fl_shm_event_set(&arg->visit->entered));
	FL_OK(fl_shm_event_wait_until(&arg->visit->open, FL_FOREVER, FL_SHIELDED));
	for (int i = 0; i < REGIONS_RANKS_MAX; i++)
		/* relaxed: the event orders it */
		result->marks |= fl__load_relaxed(&board->marks[i]) << i;
	result->whole = board->sum == regions_sum(board);
	return 0;
}

static inline unsigned regions_worker_ranks(void)
{
	const unsigned ranks = fl_test_mpi_ranks() - 1;
	assert_true(ranks <= REGIONS_RANKS_MAX);
	return ranks;
}

/* Returns a region with a board, and so many bytes behind it. */
static inline fl_shm *regions_new(size_t size)
{
	fl_shm *region = NULL;
	need_ranks();
	FL_OK(fl_shm_create(&region, sizeof(struct regions_board) + size));
	struct regions_board *board = fl_shm_block_alloc(region, sizeof *board + size);
	assert_non_null(board);
	unsigned char *bytes = (unsigned char *)(board + 1);
	board->size = size;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 509);
	board->sum = regions_sum(board);
	FL_OK(fl_shm_set_root(region, fl_shm_offset_of(region, board)));
	return region;
}

static inline struct regions_board *regions_board_of(fl_shm *region)
{
	struct regions_board *board = FL_SHM_AT(region, struct regions_board, fl_shm_root(region));
	FL_CHECK(board != NULL);
	return board;
}

static inline uint64_t regions_marks_of(fl_shm *region)
{
	uint64_t marks = 0;
	for (int i = 0; i < REGIONS_RANKS_MAX; i++)
		/* relaxed: no task runs any more */
		marks |= fl__load_relaxed(&regions_board_of(region)->marks[i]) << i;
	return marks;
}

static inline uint64_t regions_inode(const fl_shm *region)
{
	struct stat status;
	FL_OK(fstat(fl_shm_fd(region), &status));
	return status.st_ino;
}

/* Returns an executor with the regions and with one worker in each rank. */
static inline fl_executor *regions_executor(fl_shm *const *regions, unsigned n, bool processes)
{
	const fl_executor_config config = {.workers = fl_test_mpi_ranks() - 1, .regions = regions, .n_regions = n};
	return make_over_mpi(&config, &(fl_mpi_config){.processes = processes});
}

/*
 * Runs visit_region() in all ranks at the same time, for the last of `n` regions. `seen` has
 * REGIONS_RANKS_MAX entries.
 */
static inline void regions_visit_all(fl_executor *e, unsigned n, struct regions_seen *seen)
{
	const unsigned ranks = regions_worker_ranks();
	struct regions_visit *visits = FL_IN_ARENA(struct regions_visit, ranks);
	fl_future *f[REGIONS_RANKS_MAX];
	memset(seen, 0, REGIONS_RANKS_MAX * sizeof *seen);
	EACH_RANK (i, ranks)
		FL_OK(visit_region_submit(e, (struct regions_arg){&visits[i], i, n - 1}, &f[i]));
	EACH_RANK (i, ranks)
		FL_OK(fl_shm_event_wait_until(&visits[i].entered, FL_FOREVER, FL_SHIELDED));
	EACH_RANK (i, ranks)
		FL_OK(fl_shm_event_set(&visits[i].open));
	EACH_RANK (i, ranks) {
		FL_OK(visit_region_get(f[i], &seen[i]));
		assert_true(seen[i].whole);
		fl_future_free(f[i]);
	}
}

/* How many descriptors, and mappings of regions, a process has. */
struct regions_held {
	unsigned files, mappings;
};

static inline struct regions_held regions_held_here(void)
{
	return (struct regions_held){fl_test_fds(), fl_test_mappings()};
}

FL_TASK_STATIC(count_held, struct regions_visit *, struct regions_held)
{
	FL_OK(fl_shm_event_set(&(*arg)->entered));
	FL_OK(fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED));
	*result = regions_held_here();
	return 0;
}

/*
 * Returns the sum over rank 0 and all worker ranks. `e` is an executor with one thread in each
 * rank.
 */
static inline struct regions_held regions_held_by_all(fl_executor *e)
{
	const unsigned ranks = regions_worker_ranks();
	struct regions_visit *visits = FL_IN_ARENA(struct regions_visit, ranks);
	struct regions_held sum = regions_held_here(), held;
	fl_future *f[REGIONS_RANKS_MAX];
	EACH_RANK (i, ranks)
		FL_OK(count_held_submit(e, &visits[i], &f[i]));
	EACH_RANK (i, ranks)
		FL_OK(fl_shm_event_wait_until(&visits[i].entered, FL_FOREVER, FL_SHIELDED));
	EACH_RANK (i, ranks) {
		FL_OK(fl_shm_event_set(&visits[i].open));
		FL_OK(count_held_get(f[i], &held));
		sum.files += held.files;
		sum.mappings += held.mappings;
		fl_future_free(f[i]);
	}
	return sum;
}

static inline void regions_expect_held(struct regions_held before, struct regions_held after)
{
	assert_int_equal(after.files, before.files);
	assert_int_equal(after.mappings, before.mappings);
}

/* Tests with too little memory. */

struct regions_limit {
	int resource;   /* RLIMIT_... */
	uint64_t limit; /* 0 means the most */
};

FL_TASK_STATIC(set_limit, struct regions_limit, void)
{
	struct rlimit limit;
	FL_OK(getrlimit(arg->resource, &limit));
	limit.rlim_cur = arg->limit > 0 ? arg->limit : limit.rlim_max;
	return setrlimit(arg->resource, &limit) == 0 ? 0 : -errno;
}

/* Limits the rank of `e`, which is an executor with one worker. */
static inline void regions_limit_rank(fl_executor *e, int resource, uint64_t limit)
{
	FL_OK(fl_test_run_task(e, &set_limit, &(struct regions_limit){resource, limit}, NULL));
}

#endif
