/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_in_loop.h"

#include "loop/loop.h"

/* Mapped and allocated memory, by the table. */
static long live_maps, live_allocs, discards, guards;
static long maps_left, guards_left, allocs_left;

static void *counting_map(size_t size)
{
	if (maps_left-- <= 0)
		return NULL;
	live_maps++;
	return fl_test_real_sys.map(size);
}

static void counting_unmap(void *memory, size_t size)
{
	live_maps--;
	fl_test_real_sys.unmap(memory, size);
}

static int counting_guard(void *memory, size_t size)
{
	if (guards_left-- <= 0)
		return -ENOMEM;
	guards++;
	return fl_test_real_sys.guard(memory, size);
}

static void counting_discard(void *memory, size_t size)
{
	discards++;
	fl_test_real_sys.discard(memory, size);
}

static void *counting_alloc(size_t size)
{
	if (allocs_left-- <= 0)
		return NULL;
	live_allocs++;
	return fl_test_real_sys.alloc(size);
}

static void counting_free(void *memory)
{
	live_allocs--;
	fl_test_real_sys.free(memory);
}

static void count_memory(void)
{
	live_maps = live_allocs = discards = guards = 0;
	maps_left = guards_left = allocs_left = LONG_MAX;
	fl__sys.map = counting_map;
	fl__sys.unmap = counting_unmap;
	fl__sys.guard = counting_guard;
	fl__sys.discard = counting_discard;
	fl__sys.alloc = counting_alloc;
	fl__sys.free = counting_free;
}

static void nothing_lives(void)
{
	assert_int_equal(live_maps, 0);
	assert_int_equal(live_allocs, 0);
}

/* A pool whose memory is counted, within FL_FAULTS(). */
static void pool_begin(struct fl__stack_pool *pool)
{
	count_memory();
	fl__stack_pool_init(pool, 0, FL_TEST_BLOCK);
}

static void pool_end(struct fl__stack_pool *pool)
{
	fl__stack_pool_end(pool);
	nothing_lives();
}

FL_TEST(stack_is_reused_warm)
{
	FL_FAULTS();
	struct fl__stack_pool pool;
	struct fl_test_memory first, second, again;
	pool_begin(&pool);
	FL_OK(fl_test_get_memory(&pool, &first));
	FL_OK(fl_test_get_memory(&pool, &second));
	assert_ptr_not_equal(first.stack.low, second.stack.low);
	assert_int_equal(first.stack.size + pool.guard, pool.slot);
	FL_IN_RANGE(pool.slot, FL__STACK_SIZE, FL__STACK_SIZE + fl__page_size());
	memset(first.stack.low, 0x5a, first.stack.size);
	memset(second.stack.low, 0xa5, second.stack.size);
	assert_int_equal(first.stack.low[0], 0x5a);
	fl_test_put_memory(&pool, second);
	fl_test_put_memory(&pool, first);
	FL_OK(fl_test_get_memory(&pool, &again));
	assert_ptr_equal(again.stack.low, first.stack.low); /* the last one that was returned */
	assert_int_equal(guards, 2);
	fl_test_put_memory(&pool, again);
	assert_int_equal(pool.used_blocks, 0);
	assert_int_equal(discards, 0);
	pool_end(&pool);
}

FL_TEST(stack_sizes)
{
	size_t page = fl__page_size();
	static const size_t sizes[] = {0, 1, 20000, 40000, 65536, 1 << 20, (1 << 20) + 1};
	FL_EACH (i, sizes) {
		struct fl__stack_pool pool;
		struct fl_test_memory one;
		fl__stack_pool_init(&pool, sizes[i], FL_TEST_BLOCK);
		FL_OK(fl_test_get_memory(&pool, &one));
		assert_int_equal((uintptr_t)one.stack.low % page, 0);
		assert_int_equal(one.stack.size % page, 0);
		assert_true(one.stack.size >= 16384 && one.stack.size + pool.guard >= sizes[i]);
		assert_int_equal((one.stack.size + pool.guard) / page % 2,
		                 1); /* an odd number of pages: not one set of the caches */
		one.stack.low[0] = one.stack.low[one.stack.size - 1] = 1;
		fl_test_put_memory(&pool, one);
		fl__stack_pool_end(&pool);
	}
}

/* More than there can be: also where so many stacks together would overflow to a few bytes. */
FL_TEST(stack_of_a_size_that_is_refused)
{
	static const size_t sizes[] = {
		SIZE_MAX,
		SIZE_MAX / 2 + 1,
		SIZE_MAX / 16 + 1,
		SIZE_MAX / 32 + 1,
#if SIZE_MAX > UINT32_MAX /* 64 MiB are no such size */
		SIZE_MAX / 64,
#endif
	};
	FL_EACH (i, sizes) {
		struct fl__stack_pool pool;
		struct fl_test_memory one;
		fl_loop *l;
		fl__stack_pool_init(&pool, sizes[i], FL_TEST_BLOCK);
		FL_RC(fl_test_get_memory(&pool, &one), -ENOMEM);
		fl__stack_pool_end(&pool);
		FL_RC(fl_loop_create(&l, &(fl_loop_config){.stack_size = sizes[i]}), -ENOMEM);
	}
}

FL_TEST(stack_memory_goes_back)
{
	enum { MANY = 500 };
	static struct fl_test_memory stacks[MANY];
	FL_FAULTS();
	struct fl__stack_pool pool;
	pool_begin(&pool);
	for (int round = 0; round < 3; round++) {
		FL_EACH (i, stacks) {
			FL_OK(fl_test_get_memory(&pool, &stacks[i]));
			memset(stacks[i].stack.low + stacks[i].stack.size - 64, i, 64);
		}
		FL_EACH (i, stacks)
			for (int j = 0; j < 64; j++)
				assert_int_equal(stacks[i].stack.low[stacks[i].stack.size - 64 + (size_t)j], (char)i);
		assert_int_equal(live_maps, (MANY + 31) / 32);
		for (int i = 0; i < MANY; i++)
			fl_test_put_memory(&pool, stacks[(i * 7) % MANY]);
		assert_int_equal(pool.warm_count, FL__STACK_WARM);
		/* Kept while there is more to do. */
		assert_int_equal(pool.dirty, MANY - FL__STACK_WARM);
		assert_int_equal(discards, 0);
		fl__stack_pool_trim(&pool);
		assert_int_equal(pool.dirty, 0);
		assert_true(discards > 0);
		discards = 0;
		fl__stack_pool_trim(&pool); /* nothing is left to do */
		assert_int_equal(discards, 0);
		/* The warm stacks may hold a slab each; one more is kept for the next request. */
		FL_IN_RANGE(live_maps, 1, FL__STACK_WARM + 1);
	}
	pool_end(&pool);
}

/*
 * The memory of a slab of blocks goes back when they are many, as that of stacks, which they never
 * got.
 */
FL_TEST(stack_blocks_go_back)
{
	enum { MANY = 500 };
	static struct fl_test_memory blocks[MANY];
	FL_FAULTS();
	struct fl__stack_pool pool;
	pool_begin(&pool);
	FL_EACH (i, blocks) {
		FL_OK(fl__stack_reserve(&pool, &blocks[i].block, &blocks[i].slab));
		assert_int_equal((uintptr_t)blocks[i].block % 64, 0);
		memset(blocks[i].block, i, FL_TEST_BLOCK);
	}
	FL_EACH (i, blocks)
		for (size_t j = 0; j < FL_TEST_BLOCK; j++)
			assert_int_equal(((char *)blocks[i].block)[j], (char)i);
	assert_int_equal(pool.used_blocks, MANY);
	FL_EACH (i, blocks) {
		fl__stack_release(&pool, blocks[i].block, blocks[i].slab);
		if (i == MANY / 2 - 1)
			fl__stack_pool_trim(&pool); /* not more than are used */
	}
	assert_int_equal(pool.free_blocks, MANY);
	void *again;
	struct fl__slab *slab;
	FL_OK(fl__stack_reserve(&pool, &again, &slab));
	assert_ptr_equal(again, blocks[MANY - 1].block); /* the last one that was released */
	fl__stack_release(&pool, again, slab);
	assert_int_equal(live_maps, (MANY + 31) / 32);
	fl__stack_pool_trim(&pool);
	assert_int_equal(live_maps, 1);
	FL_IN_RANGE(pool.free_blocks, 1, 32);
	assert_int_equal(discards, 0);
	pool_end(&pool);
}

/* Slabs with one used block stay, however often a trim looks; with its last block a slab goes. */
FL_TEST(stack_slabs_with_a_used_block)
{
	enum { SLAB = 32, SLABS = 4 * FL__STACK_WARM, MANY = SLABS * SLAB };
	static struct fl_test_memory blocks[MANY];
	FL_FAULTS();
	struct fl__stack_pool pool;
	pool_begin(&pool);
	FL_EACH (i, blocks)
		FL_OK(fl__stack_reserve(&pool, &blocks[i].block, &blocks[i].slab));
	FL_EACH (i, blocks)
		if (i % SLAB != 0)
			fl__stack_release(&pool, blocks[i].block, blocks[i].slab);
	for (int i = 0; i < 3; i++) {
		fl__stack_pool_trim(&pool);
		assert_int_equal(live_maps, SLABS);
	}
	for (int i = 0; i < MANY; i += SLAB)
		fl__stack_release(&pool, blocks[i].block, blocks[i].slab);
	fl__stack_pool_trim(&pool);
	assert_int_equal(live_maps, 1);
	pool_end(&pool);
}

static uintptr_t frames[2];
static unsigned frame_count;

/* Notes its frame, unless that is noted already. All fibers call it at the same depth. */
static int note_frame(void *arg)
{
	const uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	for (unsigned i = 0; i < frame_count; i++)
		if (frames[i] == frame)
			return 0;
	FL_CHECK(frame_count < 2);
	frames[frame_count++] = frame;
	return 0;
}

/*
 * Fibers that do not wait take turns on two stacks: one ends on the first while the next begins on
 * the second.
 */
FL_LOOP_TEST(stack_of_fibers_that_do_not_wait)
{
	enum { MANY = 1000 };
	frame_count = 0;
	for (int i = 0; i < MANY; i++)
		fl_fiber_detach(fl_test_start(note_frame, NULL));
	fl_fiber_yield();
	FL_CHECK(frame_count >= 1);
}

/*
 * Many fibers that end at once free memory, also while the scheduler always has something to do:
 * but not within a second.
 */
FL_TEST(stack_memory_is_bounded_without_a_trim)
{
	enum { MANY = FL__STACK_WARM + FL__STACK_SPARE + 1000, LEAST_SIZE = 1 };
	FL_FAULTS();
	if (FL_TEST_SANITIZED)
		skip(); /* so many mappings take it long */
	count_memory();
	fl_test_clock_stands();
	struct fl__stack_pool *pool = calloc(1, sizeof *pool);
	struct fl_test_memory *stacks = calloc(MANY, sizeof *stacks);
	assert_non_null(pool);
	assert_non_null(stacks);
	fl__stack_pool_init(pool, LEAST_SIZE, FL_TEST_BLOCK);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++)
			FL_OK(fl_test_get_memory(pool, &stacks[i]));
		for (int i = 0; i < MANY; i++)
			fl_test_put_memory(pool, stacks[i]);
		assert_int_equal(pool->dirty, MANY - FL__STACK_WARM);
		assert_int_equal(discards, 0);
	}
	/* From now on a few at a time, all of them warm. */
	for (int round = 0; round < 20; round++) {
		fl_test_time += FL_MS(200);
		for (int i = 0; i < FL__STACK_WARM; i++)
			FL_OK(fl_test_get_memory(pool, &stacks[i]));
		for (int i = 0; i < FL__STACK_WARM; i++)
			fl_test_put_memory(pool, stacks[i]);
		if (round == 0)
			assert_int_equal(discards, 0);
	}
	assert_true(discards > 0);
	assert_true(pool->dirty < FL__STACK_SPARE);
	pool_end(pool);
	free(stacks);
	free(pool);
}

/* A scheduler that has nothing to do gives memory back, in each of its ways to say so. */
static int yield_once(void *unused)
{
	fl__fiber_yield();
	return 0;
}

FL_TEST(stack_memory_goes_back_before_a_sleep)
{
	enum { MANY = 300 };
	FL_FAULTS();
	FL_OK(fl_loop_run(yield_once, NULL)); /* what the thread keeps is there */
	count_memory();
	fl_loop *l = fl_test_loop();
	struct fl__sched *s = l->sched;
	struct fl__fiber *f;
	FL_OK(fl__sched_enter(s));
	for (int way = 0; way < 2; way++) {
		for (int i = 0; i < MANY; i++) {
			FL_OK(fl__fiber_create(s, &f, yield_once, NULL, NULL));
			f->detached = true;
		}
		assert_true(fl__sched_turn(s, 0));
		assert_false(fl__sched_turn(s, 0));
		assert_int_equal(discards, 0);
		if (way == 0) {
			fl__sched_sleep(s, 0);
		} else {
			assert_true(fl__sched_arm(s));
			fl__sched_disarm(s, false);
		}
		assert_true(discards > 0);
		discards = 0;
	}
	fl__sched_leave(s);
	fl_loop_free(l);
	nothing_lives();
}

/* Each step of a reserve fails in turn: an error, and nothing stays behind. */
FL_TEST(stack_reserve_fails_whole)
{
	FL_FAULTS();
	struct fl__stack_pool pool;
	struct fl_test_memory one;
	pool_begin(&pool);
	long *const steps[] = {&allocs_left, &maps_left, &guards_left};
	FL_EACH (i, steps) {
		*steps[i] = 0;
		FL_RC(fl_test_get_memory(&pool, &one), -ENOMEM);
		*steps[i] = LONG_MAX;
		nothing_lives();
		assert_int_equal(pool.used_blocks, 0);
	}
	FL_OK(fl_test_get_memory(&pool, &one));
	struct fl_test_memory other;
	guards_left = 0;
	FL_RC(fl_test_get_memory(&pool, &other), -ENOMEM); /* the slab stays, for the stack in use */
	assert_int_equal(live_maps, 1);
	guards_left = LONG_MAX;
	FL_OK(fl_test_get_memory(&pool, &other));
	assert_ptr_not_equal(one.stack.low, other.stack.low);
	fl_test_put_memory(&pool, other);
	fl_test_put_memory(&pool, one);
	pool_end(&pool);
}

FL_TEST(fiber_create_fails_whole)
{
	FL_FAULTS();
	count_memory();
	const struct fl__sched_config config = {.fiber_size = sizeof(struct fl__fiber)};
	struct fl__sched *s = NULL;
	struct fl__fiber *f = NULL;
	allocs_left = 0;
	FL_RC(fl__sched_create(&s, &config), -ENOMEM);
	allocs_left = LONG_MAX;
	FL_OK(fl__sched_create(&s, &config));
	long *const steps[] = {&allocs_left, &maps_left, &guards_left};
	FL_EACH (i, steps) {
		*steps[i] = 0;
		FL_RC(fl__fiber_create(s, &f, NULL, NULL, NULL), -ENOMEM);
		*steps[i] = LONG_MAX;
		assert_int_equal(s->fibers, 0);
	}
	fl__sched_destroy(s);
	nothing_lives();
}

static void touch_guard(void *arg)
{
	struct fl__stack_pool pool;
	struct fl_test_memory one;
	(void)signal(SIGSEGV, SIG_DFL); /* sanitizers have a handler */
	const struct rlimit none = {0, 0};
	FL_OK(setrlimit(RLIMIT_CORE, &none));
	if (arg)
		fl__sys.guard = fl__portable_guard;
	fl__stack_pool_init(&pool, 0, FL_TEST_BLOCK);
	FL_OK(fl_test_get_memory(&pool, &one));
	one.stack.low[0] = 1;
	fl__sys.discard(one.stack.low - pool.guard, pool.slot); /* the guard stays */
	one.stack.low[0] = 1;
	*(volatile char *)(one.stack.low - 1) = 1;
}

FL_TEST(stack_guard_faults)
{
	fl_test_child_dies(touch_guard, NULL, SIGSEGV, NULL);
	fl_test_child_dies(touch_guard, &(char){0}, SIGSEGV, NULL);
}

/* Memory that is given back reads as zeros, and its guard stays. */
FL_TEST(sys_memory)
{
	size_t page = fl__page_size();
	char *memory = fl__sys.map(4 * page);
	assert_non_null(memory);
	for (size_t i = 0; i < 4 * page; i++)
		assert_int_equal(memory[i], 0);
	memset(memory, 7, 4 * page);
	fl__sys.discard(memory + page, 2 * page);
	assert_int_equal(memory[page - 1], 7);
	assert_int_equal(memory[page], 0);
	assert_int_equal(memory[3 * page - 1], 0);
	assert_int_equal(memory[3 * page], 7);
	FL_OK(fl__sys.guard(memory + page, page));
	fl__sys.discard(memory, 4 * page);
#ifdef __GLIBC__ /* musl's mprotect() rounds the address down */
	FL_RC(fl__portable_guard(memory + 1, page), -EINVAL);
#endif
	fl__sys.unmap(memory, 4 * page);
	assert_null(fl__sys.map(SIZE_MAX / page * page));
}
