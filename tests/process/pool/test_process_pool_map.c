/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker dies in the middle of a chunk of a map: the elements before it keep their results. */
#include "fl_process_pool.h"

#include "core/exec/map.h"

enum { N = 60, UNTOUCHED = -77 };

/* An element; the counters are in the arena. */
struct element {
	int number;
	int dies_until; /* it kills its worker in each run before this one */
	int *runs;
};

/* Elements of results of this size, which are right when they are the number over and over. */
#define SIZED_RESULT(name, ints)                                                                                       \
	struct name##_result {                                                                                         \
		int number[ints];                                                                                      \
	}

static void run_element(const struct element *e, int *result, size_t n)
{
	process_pool_count(e->runs);
	for (size_t i = 0; i < n; i++)
		result[i] = e->number;
	if (process_pool_counted(e->runs) < e->dies_until)
		(void)kill(getpid(), SIGKILL);
}

/* In a slot; in an arena; of which 64 KiB hold one alone; and in memory of its own. */
SIZED_RESULT(small, 1);
SIZED_RESULT(middle, 100);
SIZED_RESULT(half, 10000);
SIZED_RESULT(large, 20000);

#define ELEMENT_TASK(name)                                                                                             \
	FL_TASK(name##_element, struct element, struct name##_result)                                                  \
	{                                                                                                              \
		run_element(arg, result->number, sizeof result->number / sizeof(int));                                 \
		return 0;                                                                                              \
	}
ELEMENT_TASK(small)
ELEMENT_TASK(middle)
ELEMENT_TASK(half)
ELEMENT_TASK(large)

FL_TASK(again_element, struct element, struct small_result, .max_attempts = 2)
{
	run_element(arg, result->number, 1);
	return 0;
}

static const fl_task_type *const types[] = {&small_element, &middle_element, &half_element, &large_element};
enum { TYPES = sizeof types / sizeof types[0], FOREVER = 1 << 30 };

static struct element elements[N];

static void make_elements(void)
{
	int *runs = process_pool_counters(N);
	FL_EACH (i, elements)
		elements[i] = (struct element){.number = i + 1, .runs = &runs[i]};
}

static int runs_of(size_t i)
{
	return process_pool_counted(elements[i].runs);
}

/* Whether all of the `i`th result at `results` is that number. */
static bool is_all(const fl_task_type *type, const char *results, size_t i, int number)
{
	const int *result = (const int *)(const void *)(results + i * type->result_size);
	for (size_t k = 0; k < type->result_size / sizeof(int); k++)
		if (result[k] != number)
			return false;
	return true;
}

static void *make_results(const fl_task_type *type)
{
	int *results = malloc(N * type->result_size);
	FL_CHECK(results != NULL);
	for (size_t k = 0; k < N * type->result_size / sizeof(int); k++)
		results[k] = UNTOUCHED;
	return results;
}

/*
 * The elements before it have results; those after it in the same chunk were not begun; each
 * element of other chunks ran once.
 */
static void map_with_death(const fl_task_type *type, size_t chunk, size_t dying)
{
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	char *results = make_results(type);
	const size_t most = FL__RINGS_INLINE_MOST / type->result_size;
	fl_map_error error = {.index = N};
	make_elements();
	elements[dying].dies_until = FOREVER;
	FL_RC(fl_executor_map(e, type, elements, N, results, &(fl_map_config){.chunk = chunk, .error = &error}),
	      FL_ETASK);
	chunk = chunk < most ? chunk : most > 0 ? most : 1; /* as the executor has cut it */
	assert_int_equal(error.index, dying);
	FL_RC(error.error, -EOWNERDEAD);
	fl_test_contains(error.message, "killed by SIGKILL");
	for (size_t i = 0; i < dying; i++)
		assert_true(is_all(type, results, i, elements[i].number));
	assert_true(is_all(type, results, dying, 0));
	for (size_t i = dying + 1; i < N; i++) {
		const bool ran = runs_of(i) > 0;
		assert_true(runs_of(i) <= 1 && (!ran || i / chunk > dying / chunk));
		assert_true(is_all(type, results, i, UNTOUCHED) ||
		            (ran && is_all(type, results, i, elements[i].number)));
	}
	free(results);
}

FL_TEST(process_pool_map_death_costs_one_element)
{
	for (unsigned t = 0; t < TYPES; t++) {
		map_with_death(types[t], 10, 0);
		map_with_death(types[t], 10, 23);
		map_with_death(types[t], 10, 29);
		map_with_death(types[t], N, N - 1);
		map_with_death(types[t], 1, 7);
	}
}

/* Where the map chooses its chunks. */
PROCESS_POOL_TEST(process_pool_map_names_the_element_of_a_chosen_chunk, 2)
{
	fl_map_error error = {.index = N};
	struct small_result results[N] = {0};
	make_elements();
	elements[41].dies_until = FOREVER;
	FL_RC(small_element_map(e, elements, N, results, &(fl_map_config){.error = &error}), FL_ETASK);
	assert_int_equal(error.index, 41);
}

/* An element that may be started twice: the chunk is run again, and all of it is there. */
PROCESS_POOL_TEST(process_pool_map_is_tried_again_if_the_type_says_so, 1)
{
	fl_map_error error = {.index = N};
	const fl_map_config config = {.chunk = 10, .error = &error};
	struct small_result results[N] = {0};
	make_elements();
	elements[14].dies_until = 2;
	FL_OK(again_element_map(e, elements, N, results, &config));
	FL_EACH (i, results)
		assert_int_equal(results[i].number[0], i + 1);
	assert_int_equal(runs_of(14), 2);
	make_elements();
	elements[14].dies_until = FOREVER;
	FL_RC(again_element_map(e, elements, N, results, &config), FL_ETASK);
	assert_int_equal(error.index, 14);
	assert_int_equal(runs_of(14), 2);
}

/* The lazy map: all others, but the rest of a chunk, have their results, each in its place. */
static void imap_with_deaths(const fl_task_type *type, const fl_imap_config *config, const size_t *dying, size_t deaths)
{
	FL_SCOPED(fl_executor) *e = process_pool_with(2);
	FL_SCOPED(fl_imap) *it = NULL;
	char *result = malloc(type->result_size);
	bool told[N] = {false}, died[N] = {false}, lost[N] = {false};
	size_t index;
	int rc;
	make_elements();
	for (size_t i = 0; i < deaths; i++) {
		elements[dying[i]].dies_until = FOREVER;
		died[dying[i]] = true;
	}
	const size_t chunk = fl__chunk_limit(e, type, config->chunk);
	for (size_t i = 1; i < N; i++)
		lost[i] = i % chunk != 0 && (lost[i - 1] || died[i - 1]);
	FL_OK(fl_imap_create(&it, e, type, elements, N, config));
	for (size_t n = 0; (rc = fl_imap_next(it, &index, result)) == 0 || rc == FL_ETASK; n++) {
		assert_true(index < N && !told[index] && (config->unordered || index == n));
		told[index] = true;
		FL_RC(rc, died[index] || lost[index] ? FL_ETASK : 0);
		if (rc == 0)
			assert_true(is_all(type, result, 0, elements[index].number));
		else
			FL_RC(fl_imap_error(it), -EOWNERDEAD);
		if (rc != 0)
			fl_test_contains(fl_imap_message(it), "killed by SIGKILL");
		assert_int_equal(runs_of(index), !lost[index]);
	}
	FL_RC(rc, -ENODATA);
	FL_EACH (i, told)
		assert_true(told[i]);
	free(result);
}

FL_TEST(process_pool_imap_death_costs_the_rest_of_a_chunk)
{
	/* Of chunks of 10; several of one chunk; neighbours. */
	static const size_t dying[] = {0, 9, 24, 25, 26, 33, N - 1};
	for (unsigned t = 0; t < TYPES; t++)
		FL_BOTH (unordered)
			for (size_t chunk = 1; chunk <= 20; chunk = 10 * (chunk / 10 + 1))
				imap_with_deaths(types[t], &(fl_imap_config){.chunk = chunk, .unordered = unordered},
				                 dying, sizeof dying / sizeof dying[0]);
}

/* Hooks of a generator's arguments and of the results, whatever becomes of the element. */
static int args_dropped, results_dropped;

static void drop_one_arg(void *arg)
{
	process_pool_count(&args_dropped);
}

static void drop_one_result(void *result)
{
	process_pool_count(&results_dropped);
}

FL_TASK(hooked_element, struct element, struct small_result, .drop_arg = drop_one_arg, .drop_result = drop_one_result)
{
	run_element(arg, result->number, 1);
	return 0;
}

static int next_element(void *state, void *arg)
{
	size_t *next = state;
	if (*next == N)
		return 0;
	*(struct element *)arg = elements[(*next)++];
	return 1;
}

FL_TEST(process_pool_imap_death_runs_each_hook_once)
{
	FL_BOTH (early) {
		fl_executor *e = process_pool_with(1);
		fl_imap *it = NULL;
		struct small_result result;
		size_t next = 0, index;
		int rc, given = 0;
		make_elements();
		elements[13].dies_until = FOREVER;
		args_dropped = results_dropped = 0;
		const fl_imap_config config = {.chunk = 10, .window = N, .next = next_element, .state = &next};
		FL_OK(hooked_element_imap(e, NULL, 0, &it, &config));
		while ((rc = hooked_element_imap_next(it, &index, &result)) == 0 || rc == FL_ETASK) {
			given += rc == 0;
			if (early && index == 15)
				break; /* the rest of the chunk is dropped */
		}
		fl_imap_free(it);
		fl_executor_free(e);
		assert_int_equal(process_pool_counted(&args_dropped), next);
		assert_true(early || given == N - 7); /* 13 to 19 */
		int succeeded = 0;
		for (size_t i = 0; i < N; i++)
			succeeded += i != 13 && runs_of(i) > 0;
		assert_int_equal(given + process_pool_counted(&results_dropped), succeeded);
	}
}

/* Workers killed from outside, at any time. */

/*
 * A worker that reports a wrong current element spoils only its own chunk, and nothing goes out of
 * bounds.
 */

struct lie {
	uint32_t says; /* how many elements have ended */
	bool tells;
	int *runs;
};

FL_TASK(process_pool_lies_about_its_element, struct lie, int)
{
	process_pool_count(arg->runs);
	*result = 5;
	if (!arg->tells)
		return 0;
	struct fl__completion *reply = NULL;
	FL_CHECK(order_under_way(&reply) != 0);
	fl__store_relaxed(&reply->progress, arg->says); /* relaxed: as the worker does */
	return kill(getpid(), SIGKILL);
}

FL_TEST(process_pool_hostile_lies_about_its_element)
{
	enum { LYING = 12, CHUNK = 10, ITEMS = 40 };
	static const uint32_t lies[] = {0, 1, 2, 5, 9, 10, 11, 1u << 16, INT32_MAX, 1u << 31, UINT32_MAX};
	FL_EACH (l, lies)
		FL_BOTH (lazy) {
			FL_SCOPED(fl_executor) *e = process_pool_with(1);
			FL_SCOPED(fl_imap) *it = NULL;
			struct lie args[ITEMS];
			int *runs = process_pool_counters(ITEMS), results[ITEMS], rc = 0;
			fl_map_error error = {.index = ITEMS};
			size_t index, told = 0;
			FL_EACH (i, args)
				args[i] = (struct lie){lies[l], i == LYING, &runs[i]};
			if (!lazy) {
				FL_RC(process_pool_lies_about_its_element_map(
					  e, args, ITEMS, results, &(fl_map_config){.chunk = CHUNK, .error = &error}),
				      FL_ETASK);
				assert_int_equal(error.index, CHUNK + (lies[l] < CHUNK ? lies[l] : 0));
				process_pool_works(e);
				continue;
			}
			FL_OK(process_pool_lies_about_its_element_imap(e, args, ITEMS, &it,
			                                               &(fl_imap_config){.chunk = CHUNK}));
			for (; (rc = process_pool_lies_about_its_element_imap_next(it, &index, results)) == 0 ||
			       rc == FL_ETASK;
			     told++) {
				assert_int_equal(index, told);
				if (index < CHUNK || index >= 2 * CHUNK)
					FL_RC(rc, 0);
			}
			FL_RC(rc, -ENODATA);
			assert_int_equal(told, ITEMS);
			process_pool_works(e);
		}
}
