/* SPDX-License-Identifier: BSD-2-Clause */
/* Arguments and results of every size and alignment: in a slot, in an arena, in separate memory. */
#include "fl_process_pool_sizes.h"

enum { K64 = 64 << 10, MIB = 1 << 20, MIB64 = 64 << 20 };

/* In by out, at each boundary. */
PROCESS_POOL_SIZED(in_1, 1, 1, 31, 1);
PROCESS_POOL_SIZED(in_31, 31, 1, 1, 1);
PROCESS_POOL_SIZED(in_32, 32, 1, 32, 1);
PROCESS_POOL_SIZED(in_33, 33, 1, 33, 1);
PROCESS_POOL_SIZED(in_8_out_33, 8, 8, 33, 1);
PROCESS_POOL_SIZED(in_33_out_8, 33, 1, 8, 8);
PROCESS_POOL_SIZED(in_below_64k, K64 - 1, 1, K64 - 1, 1);
PROCESS_POOL_SIZED(in_64k, K64, 1, K64, 1);
PROCESS_POOL_SIZED(in_above_64k, K64 + 1, 1, K64 + 1, 1);
PROCESS_POOL_SIZED(in_64k_out_8, K64, 8, 8, 8);
PROCESS_POOL_SIZED(in_8_out_64k, 8, 8, K64, 8);
PROCESS_POOL_SIZED(in_above_out_8, K64 + 1, 1, 8, 8);
PROCESS_POOL_SIZED(in_8_out_above, 8, 8, K64 + 1, 1);
PROCESS_POOL_SIZED(in_1m, MIB, 8, MIB, 8);
PROCESS_POOL_SIZED(in_1m_out_64k, MIB, 8, K64, 8);
PROCESS_POOL_SIZED(in_64k_out_1m, K64, 8, MIB, 8);
PROCESS_POOL_SIZED(in_64m_out_8, MIB64, 64, 8, 8);
PROCESS_POOL_SIZED(in_8_out_64m, 8, 8, MIB64, 64);
PROCESS_POOL_SIZED(in_64m, MIB64, 64, MIB64, 64);

static const fl_task_type *const sizes[] = {
    &in_1,          &in_31,         &in_32,        &in_33,        &in_8_out_33,    &in_33_out_8,    &in_below_64k,
    &in_64k,        &in_above_64k,  &in_64k_out_8, &in_8_out_64k, &in_above_out_8, &in_8_out_above, &in_1m,
    &in_1m_out_64k, &in_64k_out_1m, &in_64m_out_8, &in_8_out_64m, &in_64m};
enum { SIZES = sizeof sizes / sizeof sizes[0], SMALLER = SIZES - 3 };

/* A seed that fits into an argument of one byte. */
static uint64_t seed_for(const fl_task_type *type, unsigned i)
{
	return type->arg_size < 8 || type->result_size < 8 ? i % 200 + 1 : i * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

PROCESS_POOL_TEST(process_pool_carries_every_size, 1)
{
	for (unsigned i = 0; i < SIZES; i++) {
		const fl_task_type *type = sizes[i];
		for (unsigned round = 0; round < (i < SMALLER ? 3 : 1); round++)
			process_pool_receive(process_pool_send(e, type, seed_for(type, i)), type, seed_for(type, i));
	}
}

PROCESS_POOL_TEST(process_pool_carries_every_size_at_once, 2)
{
	enum { ROUNDS = 20 };
	fl_future *f[ROUNDS * SMALLER];
	for (unsigned i = 0; i < ROUNDS * SMALLER; i++) {
		const fl_task_type *type = sizes[i % SMALLER];
		f[i] = process_pool_send(e, type, seed_for(type, i));
	}
	for (unsigned i = 0; i < ROUNDS * SMALLER; i++) {
		const fl_task_type *type = sizes[i % SMALLER];
		process_pool_receive(f[i], type, seed_for(type, i));
	}
}

/* Their arenas go round: three of 64 KiB do not always fit behind each other. */
PROCESS_POOL_TEST(process_pool_arenas_go_round, 1)
{
	enum { TASKS = 400, AT_ONCE = 30 };
	static const fl_task_type *const mixed[] = {&in_64k, &in_33, &in_8_out_64k, &in_below_64k, &in_64k_out_8};
	fl_future *f[AT_ONCE] = {NULL};
	for (unsigned i = 0; i < TASKS + AT_ONCE; i++) {
		const fl_task_type *type = mixed[i % 5];
		if (i >= AT_ONCE) {
			const fl_task_type *was = mixed[(i - AT_ONCE) % 5];
			process_pool_receive(f[i % AT_ONCE], was, seed_for(was, i - AT_ONCE));
		}
		if (i < TASKS)
			f[i % AT_ONCE] = process_pool_send(e, type, seed_for(type, i));
	}
}

#define ALIGNED(n)                                                                                                     \
	PROCESS_POOL_SIZED(aligned_slot_##n, n, n, n, n);                                                              \
	PROCESS_POOL_SIZED(aligned_arena_##n, 64 * 3, n, 64 * 5, n);                                                   \
	PROCESS_POOL_SIZED(aligned_apart_##n, 64 * 2000, n, 64 * 2001, n)
ALIGNED(1);
ALIGNED(2);
ALIGNED(4);
ALIGNED(8);
ALIGNED(16);
ALIGNED(32);
ALIGNED(64);
PROCESS_POOL_SIZED(odd, 35, 1, 37, 1);

FL_TEST(process_pool_keeps_alignments)
{
#define TYPES(n) &aligned_slot_##n, &aligned_arena_##n, &aligned_apart_##n
	static const fl_task_type *const types[] = {TYPES(1),  TYPES(2),  TYPES(4), TYPES(8),
	                                            TYPES(16), TYPES(32), TYPES(64)};
	enum { TYPES_N = sizeof types / sizeof types[0] };
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	fl_future *f[2 * TYPES_N];
	for (unsigned i = 0; i < TYPES_N; i++) { /* in between there is something odd */
		f[2 * i] = process_pool_send(e, types[i], 7);
		f[2 * i + 1] = process_pool_send(e, &odd, i + 1);
	}
	for (unsigned i = 0; i < TYPES_N; i++) {
		process_pool_receive(f[2 * i], types[i], 7);
		process_pool_receive(f[2 * i + 1], &odd, i + 1);
	}
}

/* The place of a large result. */

/* The rights of the mapping that has that address: "r--s". */
static void rights_at(const void *address, char rights[8], char *line, int size)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t from, to;
	FL_CHECK(maps != NULL);
	rights[0] = '\0';
	while (fgets(line, size, maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, rights) == 3 &&
		    (uintptr_t)address >= from && (uintptr_t)address < to)
			break;
	(void)fclose(maps);
}

FL_TEST(process_pool_large_results_stand_in_sealed_memory)
{
	enum { RESULTS = 50 };
	const struct process_pool_census before = process_pool_begin();
	fl_executor *e = process_pool_with(1);
	fl_future *f[RESULTS];
	char rights[8], line[512];
	FL_EACH (i, f)
		f[i] = process_pool_send(e, &in_8_out_above, i);
	FL_EACH (i, f)
		FL_OK(fl_future_wait(f[i]));
	FL_OK(fl_executor_join(e));
	fl_executor_free(e);
	/*
	 * Mapped, one by one; no descriptor is kept; valid after the end of the worker and the
	 * executor.
	 */
	struct process_pool_census now = process_pool_census();
	assert_int_equal(now.rings, before.rings + RESULTS);
	assert_int_equal(now.fds, before.fds);
	FL_EACH (i, f) {
		const char *result = fl_future_result(f[i]);
		rights_at(result, rights, line, sizeof line);
		assert_memory_equal(rights, "r--", 3);
		fl_test_contains(line, "memfd:fairlead");
		assert_true(process_pool_is_right(result, K64 + 1, i));
		unsigned char *copy = malloc(K64 + 1);
		FL_OK(fl_future_get(f[i], copy, K64 + 1));
		assert_true(process_pool_is_right(copy, K64 + 1, i));
		free(copy);
		fl_future *again = fl_future_ref(f[i]);
		fl_future_free(f[i]);
		assert_true(process_pool_is_right(fl_future_result(again), K64 + 1, i));
		fl_future_free(again);
	}
	process_pool_same(&before);
}

/* A worker keeps nothing of what it has sent or was sent. */
FL_TASK(process_pool_counts_its_own, void, struct process_pool_census)
{
	*result = (struct process_pool_census){fl_test_fds(), 0, fl_test_mappings()};
	return 0;
}

static struct process_pool_census census_of_worker(fl_executor *e)
{
	struct process_pool_census there;
	process_pool_call(e, &process_pool_counts_its_own, NULL, &there);
	return there;
}

PROCESS_POOL_TEST(process_pool_workers_keep_nothing, 1)
{
	const struct process_pool_census before = census_of_worker(e);
	for (unsigned i = 0; i < 100; i++) {
		const fl_task_type *type = sizes[i % SMALLER];
		process_pool_receive(process_pool_send(e, type, seed_for(type, i)), type, seed_for(type, i));
	}
	const struct process_pool_census after = census_of_worker(e);
	assert_int_equal(after.fds, before.fds);
	assert_int_equal(after.rings, before.rings);
}

/* Those of tasks that fail, or are cancelled. */

struct large {
	unsigned char bytes[K64 + 1];
};

FL_TASK_STATIC(fails_large, int, struct large)
{
	memset(result, *arg, sizeof *result);
	return *arg;
}

PROCESS_POOL_TEST(process_pool_large_result_of_a_task_that_fails, 1)
{
	for (unsigned i = 0; i < 50; i++) {
		fl_future *failing = NULL, *good = process_pool_send(e, &in_8_out_above, i);
		FL_OK(fails_large_submit(e, -EDOM, &failing));
		fl_future *next = process_pool_send(e, &in_8_out_above, i + 1);
		process_pool_receive(next, &in_8_out_above, i + 1);
		process_pool_fails(failing, -EDOM, NULL);
		process_pool_receive(good, &in_8_out_above, i);
	}
}

/* A map leaves zeros: the worker sends only what it keeps. */
PROCESS_POOL_TEST(process_pool_large_result_of_an_element_that_fails, 1)
{
	struct large result = {{1}};
	FL_RC(fails_large_map(e, &(int){-EDOM}, 1, &result, NULL), FL_ETASK);
	for (size_t i = 0; i < sizeof result; i++)
		assert_int_equal(result.bytes[i], 0);
}

/*
 * A large submission that is taken back before it starts leaves nothing in the channel that would
 * block others.
 */
PROCESS_POOL_TEST(process_pool_large_arguments_that_are_taken_back, 1)
{
	enum { TIMES = 800 };
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *held = process_pool_hold(e, gate);
	for (unsigned i = 0; i < TIMES; i++) {
		fl_future *f = process_pool_send(e, &in_above_64k, i);
		FL_OK(fl_future_cancel(f));
		fl_future_free(f);
	}
	process_pool_let_go(gate, held);
	for (unsigned i = 0; i < 5; i++)
		process_pool_receive(process_pool_send(e, &in_above_64k, i), &in_above_64k, i);
}

/* In a region that both have: nothing is copied. */

struct frame {
	fl_shm_offset at;
	uint64_t seed;
};

FL_TASK(process_pool_paints, struct frame, uint64_t)
{
	unsigned char *pixels = fl_shm_at(fl_task_region(ctx, 0), arg->at, MIB64);
	FL_CHECK(pixels != NULL && process_pool_is_right(pixels, MIB64, arg->seed));
	process_pool_grow(pixels, MIB64, arg->seed + 1);
	*result = arg->seed + 1;
	return 0;
}

FL_TEST(process_pool_64_mib_in_a_region)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_OK(fl_shm_create(&region, MIB64 + MIB));
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .regions = &region, .n_regions = 1);
	unsigned char *pixels = fl_shm_block_alloc_raw(region, MIB64);
	struct frame frame = {fl_shm_offset_of(region, pixels), 1};
	process_pool_grow(pixels, MIB64, 1);
	for (int i = 0; i < 2; i++) {
		process_pool_call(e, &process_pool_paints, &frame, &frame.seed);
		assert_true(process_pool_is_right(pixels, MIB64, frame.seed));
	}
}
