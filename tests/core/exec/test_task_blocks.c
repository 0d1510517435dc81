/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of tasks: blocks and their pool. */
#include "core/base/atomic.h"
#include "core/exec/task_blocks.h"
#include "fl_child.h"
#include "fl_seam.h"

enum { LARGEST = 4096 };

static const struct fl__task_block_owner of_threads, of_processes = {.remote = true};

static fl_task_type type_of(size_t arg_size, size_t arg_align, size_t result_size, size_t result_align)
{
	return (fl_task_type){
	    .size = sizeof(fl_task_type),
	    .name = "blocks",
	    .arg_size = arg_size,
	    .arg_align = arg_align,
	    .result_size = result_size,
	    .result_align = result_align,
	};
}

static struct fl__task_blocks *pool_of(const struct fl__task_block_owner *of)
{
	struct fl__task_block_owner here = *of;
	struct fl__task_blocks *pool = fl__task_blocks_new(&here);
	assert_non_null(pool);
	return pool;
}

static struct fl__task_block *block_of(struct fl__task_blocks *pool, const fl_task_type *type)
{
	struct fl__task_block *block = fl__task_block_new(pool, type, 1, SIZE_MAX, sizeof(struct fl__callback));
	assert_non_null(block);
	return block;
}

static bool is_zero(const void *memory, size_t n)
{
	static const char zero[LARGEST];
	return memcmp(memory, zero, n) == 0;
}

/*
 * Writes to all space of a block: it overlaps nothing (address sanitizer, and the contents of the
 * next blocks).
 */
static void fill(struct fl__task_block *block, const fl_task_type *type, int with)
{
	*fl__task_block_callback(block) = (struct fl__callback){.arg = block};
	memset(block->future.arg, with, type->arg_size);
	memset(block->future.result, with, type->result_size);
	assert_ptr_equal(fl__task_block_callback(block)->arg, block);
	assert_ptr_equal(fl__task_block_of(&block->future), block);
}

FL_TEST(task_blocks_of_all_sizes)
{
	const struct fl__task_block_owner *kinds[] = {&of_threads, &of_processes};
	FL_EACH (kind, kinds) {
		struct fl__task_blocks *pool = pool_of(kinds[kind]);
		for (size_t n = 1; n <= LARGEST; n = n * 5 / 4 + 1)
			for (size_t align = 1; align <= FL_TASK_ALIGN_MAX; align *= 2) {
				const fl_task_type type = type_of(n, align, n, align);
				struct fl__task_block *blocks[3];
				for (int round = 0; round < 2; round++) {
					FL_EACH (i, blocks) {
						blocks[i] = block_of(pool, &type);
						assert_true((uintptr_t)blocks[i]->future.arg % align == 0);
						assert_true((uintptr_t)blocks[i]->future.result % align == 0);
						/* Also when it was used. */
						assert_true(is_zero(blocks[i]->future.result, n));
						assert_int_equal(blocks[i]->future.count, 1);
						fill(blocks[i], &type, i + 1);
					}
					FL_EACH (i, blocks) {
						assert_int_equal(((unsigned char *)blocks[i]->future.arg)[n - 1],
						                 i + 1);
						assert_int_equal(((unsigned char *)blocks[i]->future.result)[0], i + 1);
						fl__task_block_release(blocks[i]);
					}
				}
			}
		fl__task_blocks_free(pool);
	}
}

FL_TEST(task_blocks_without_room_for_results)
{
	const fl_task_type type = type_of(4, 4, 100, 4);
	struct fl__task_blocks *pool = pool_of(&of_threads);
	struct fl__task_block *block = fl__task_block_new(pool, &type, 3, 299, 0);
	assert_non_null(block);
	assert_null(block->future.result);
	fl__task_block_release(block);
	fl__task_blocks_free(pool);
}

/* No allocation in steady state, whatever their size below half a kilobyte. */
FL_TEST(task_blocks_are_used_again)
{
	enum { IN_FLIGHT = 500 };
	struct fl__task_block *blocks[IN_FLIGHT];
	const fl_task_type types[] = {type_of(8, 8, 8, 8), type_of(100, 4, 60, 4)};
	struct fl__task_blocks *pool = pool_of(&of_threads);
	long before = 0;
	for (int round = 0; round < 20; round++) {
		FL_EACH (i, blocks)
			blocks[i] = block_of(pool, &types[i % 2]);
		FL_EACH (i, blocks)
			fl__task_block_release(blocks[i]);
		if (round == 0)
			before = fl__load_relaxed(&seam_live);
		assert_int_equal(fl__load_relaxed(&seam_live), before);
	}
	fl__task_blocks_free(pool);
}

/* One thread makes blocks, and another frees them: they come round. */
enum { WINDOW = 200 };

struct way {
	struct fl__task_blocks *pool;
	fl_task_type type;
	struct fl__task_block *blocks[WINDOW]; /* atomic; NULL: taken */
	unsigned rounds;
	int done; /* atomic; the threads stay until then */
};

static void stay(struct way *way)
{
	while (!fl__load_acquire(&way->done))
		sched_yield();
}

static int make_cells(void *arg)
{
	struct way *way = arg;
	for (unsigned i = 0; i < way->rounds; i++) {
		struct fl__task_block *block = fl__task_block_new(way->pool, &way->type, 1, SIZE_MAX, 0);
		FL_CHECK(block != NULL);
		*(unsigned *)block->future.arg = i;
		while (fl__load_relaxed(&way->blocks[i % WINDOW]))
			sched_yield();
		fl__store_release(&way->blocks[i % WINDOW], block);
	}
	stay(way);
	return 0;
}

static int free_cells(void *arg)
{
	struct way *way = arg;
	for (unsigned i = 0; i < way->rounds; i++) {
		struct fl__task_block *block;
		while (!(block = fl__load_acquire(&way->blocks[i % WINDOW])))
			sched_yield();
		fl__store_relaxed(&way->blocks[i % WINDOW], NULL);
		FL_CHECK(*(unsigned *)block->future.arg == i);
		fl__task_block_release(block);
	}
	stay(way);
	return 0;
}

FL_TEST(task_blocks_come_round)
{
	struct way way = {.pool = pool_of(&of_threads), .type = type_of(sizeof(unsigned), 4, 0, 1), .done = 1};
	fl_thread *threads[2];
	way.rounds = fl_test_scaled(200000);
	const long before = fl__load_relaxed(&seam_live);
	fl_test_go(&threads[0], make_cells, &way);
	fl_test_go(&threads[1], free_cells, &way);
	FL_EACH (i, threads)
		fl_test_end(threads[i]);
	/*
	 * Slabs of 32, 64, 128, 256, ...: some hundred blocks are in use, from both shards and
	 * between them.
	 */
	FL_IN_RANGE(fl__load_relaxed(&seam_live) - before, 1, 6);
	fl__task_blocks_free(way.pool);
}

FL_TEST(task_blocks_outlive_their_creator)
{
	const fl_task_type small = type_of(4, 4, 4, 4), large = type_of(4, 4, LARGEST, 4);
	const long before = fl__load_relaxed(&seam_live);
	struct fl__task_blocks *pool = pool_of(&of_threads);
	struct fl__task_block *blocks[] = {block_of(pool, &small), block_of(pool, &large), block_of(pool, &small)};
	fl__task_block_release(blocks[0]);
	fl__task_blocks_free(pool);
	fill(blocks[1], &large, 1);
	fl__task_block_release(blocks[1]);
	assert_true(fl__load_relaxed(&seam_live) > before);
	fill(blocks[2], &small, 2);
	fl__task_block_release(blocks[2]);
	assert_int_equal(fl__load_relaxed(&seam_live), before);
}

FL_TEST(task_blocks_give_back_their_owner)
{
	const long before = fl__load_relaxed(&seam_live);
	void *owner = fl__alloc(1, 8);
	const struct fl__task_block_owner of = {.executor = owner};
	struct fl__task_blocks *pool = fl__task_blocks_new(&of);
	assert_non_null(pool);
	const fl_task_type type = type_of(4, 4, 4, 4);
	struct fl__task_block *block = block_of(pool, &type);
	fl__task_blocks_free(pool);
	memset(owner, 1, 8); /* it is there */
	fl__task_block_release(block);
	assert_int_equal(fl__load_relaxed(&seam_live), before);
}

/* Who has a reference may take another after the end of the pool. */
FL_TEST(task_blocks_are_referenced_after_their_end)
{
	const long before = fl__load_relaxed(&seam_live);
	struct fl__task_blocks *pool = pool_of(&of_threads);
	fl__task_blocks_ref(pool);
	const long with_pool = fl__load_relaxed(&seam_live);
	fl__task_blocks_free(pool);
	fl__task_blocks_ref(pool);
	fl__task_blocks_unref(pool);
	assert_int_equal(fl__load_relaxed(&seam_live), with_pool);
	fl__task_blocks_unref(pool);
	assert_int_equal(fl__load_relaxed(&seam_live), before);
}

FL_TEST(task_blocks_without_memory)
{
	const fl_task_type small = type_of(4, 4, 4, 4), large = type_of(4, 4, LARGEST, 4);
	seam_fail_allocs(0, 1);
	assert_null(fl__task_blocks_new(&of_threads));
	struct fl__task_blocks *pool = pool_of(&of_threads);
	seam_fail_allocs(0, 2);
	assert_null(fl__task_block_new(pool, &small, 1, SIZE_MAX, 0));
	assert_null(fl__task_block_new(pool, &large, 1, SIZE_MAX, 0));
	seam_heal();
	/* the allocation for the argument and the result is freed if there is no block for it */
	const long before = fl__load_relaxed(&seam_live);
	seam_fail_allocs(1, 1);
	assert_null(fl__task_block_new(pool, &large, 1, SIZE_MAX, 0));
	seam_heal();
	assert_int_equal(fl__load_relaxed(&seam_live), before);
	fl__task_block_release(block_of(pool, &small));
	fl__task_block_release(block_of(pool, &large));
	fl__task_blocks_free(pool);
}
