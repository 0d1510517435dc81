/* SPDX-License-Identifier: BSD-2-Clause */
/* FL_TASK in all its forms, what a task asks of its context, and the registry of names. */
#include "core/exec/registry.h"
#include "fl_pool.h"

struct pair {
	int a, b;
};

static unsigned pairs_dropped, runs;

static void drop_pair(void *arg)
{
	FL_CHECK(((struct pair *)arg)->a == 3);
	COUNT(&pairs_dropped);
}

FL_TASK(task_sum, struct pair, long)
{
	*result = (long)arg->a + arg->b;
	return arg->a < 0 ? -EDOM : 0;
}

FL_TASK(task_note, struct pair, void)
{
	FL_CHECK(result == NULL);
	COUNT(&runs);
	return arg->a;
}

FL_TASK(task_answer, void, int)
{
	FL_CHECK(arg == NULL);
	*result = 42;
	return 0;
}

FL_TASK(task_nothing, void, void)
{
	FL_CHECK(arg == NULL && result == NULL && ctx != NULL);
	COUNT(&runs);
	return 0;
}

FL_TASK(task_pointer, const char *, size_t)
{
	*result = strlen(*arg);
	return 0;
}

FL_TASK_STATIC(task_static, int, int)
{
	*result = -*arg;
	return 0;
}

FL_TASK(task_with_more, struct pair, int, .drop_arg = drop_pair, .version = 3)
{
	*result = arg->a;
	return 0;
}

/* The type of that name, or NULL if no type or several different types have it. */
static const fl_task_type *find(const char *name)
{
	const fl_task_type *type;
	return fl__registry_find(name, &type) == 0 ? type : NULL;
}

/* As a header would have it, and one source file. */
FL_TASK_DECLARE(task_declared, int, int);

FL_TEST(task_declared_can_be_used_before_its_definition)
{
	FL_SCOPED(fl_executor) *e = sequential();
	assert_int_equal(fl_test_result_of(e, &task_declared, &(int){5}), 6);
	assert_ptr_equal(find("task_declared"), &task_declared);
}

FL_TASK_DEFINE(task_declared, int, int)
{
	*result = *arg + 1;
	return 0;
}

FL_TEST(task_type_says_what_it_is)
{
	assert_int_equal(task_sum.size, sizeof(fl_task_type));
	assert_int_equal(task_sum.version, 0);
	assert_string_equal(task_sum.name, "task_sum");
	assert_int_equal(task_sum.arg_size, sizeof(struct pair));
	assert_int_equal(task_sum.arg_align, _Alignof(struct pair));
	assert_int_equal(task_sum.result_size, sizeof(long));
	assert_int_equal(task_sum.result_align, _Alignof(long));
	assert_null(task_sum.drop_arg);
	assert_null(task_sum.drop_result);
	assert_int_equal(task_nothing.arg_size + task_nothing.arg_align, 0);
	assert_int_equal(task_nothing.result_size + task_nothing.result_align, 0);
	assert_int_equal(task_note.result_size, 0);
	assert_int_equal(task_answer.arg_size, 0);
	assert_int_equal(task_with_more.version, 3);
	assert_ptr_equal(task_with_more.drop_arg, drop_pair);
}

POOL_TEST(task_with_argument_and_result, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	long sum = 0;
	FL_OK(task_sum_submit(e, (struct pair){2, 3}, &f));
	FL_OK(task_sum_get(f, &sum));
	assert_int_equal(sum, 5);
	FL_OK(task_sum_submit_with(e, (struct pair){5, 3}, &g, &(fl_submit_config){.deadline = fl_after(FL_S(3600))}));
	FL_OK(task_sum_get_until(g, &sum, FL_FOREVER, NULL));
	assert_int_equal(sum, 8);
	sum = 0;
	FL_OK(task_sum_try_get(g, &sum));
	assert_int_equal(sum, 8);
	const struct pair pairs[] = {{1, 1}, {2, 2}, {3, 3}};
	long sums[3] = {0};
	FL_OK(task_sum_map(e, pairs, 3, sums, NULL));
	assert_int_equal(sums[0] * 100 + sums[1] * 10 + sums[2], 246);
	FL_RC(task_sum_map(e, &(struct pair){-1, 0}, 1, sums, NULL), FL_ETASK);
}

POOL_TEST(task_with_argument_alone, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	SET(&runs, 0);
	FL_OK(task_note_submit(e, (struct pair){0, 1}, &f));
	FL_OK(task_note_get(f));
	FL_OK(task_note_try_get(f));
	FL_OK(task_note_submit_with(e, (struct pair){-EIO, 1}, &g, NULL));
	FL_RC(task_note_get_until(g, FL_FOREVER, NULL), FL_ETASK);
	FL_RC(task_note_try_get(g), FL_ETASK);
	FL_RC(fl_future_error(g), -EIO);
	FL_OK(task_note_map(e, (const struct pair[]){{0, 1}, {0, 2}}, 2, NULL));
	assert_int_equal(LOOK(&runs), 4);
}

POOL_TEST(task_with_result_alone, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	int n = 0;
	FL_OK(task_answer_submit(e, &f));
	FL_OK(task_answer_get(f, &n));
	assert_int_equal(n, 42);
	FL_OK(task_answer_submit_with(e, &g, &(fl_submit_config){0}));
	n = 0;
	FL_OK(task_answer_get_until(g, &n, FL_FOREVER, NULL));
	assert_int_equal(n, 42);
	n = 0;
	FL_OK(task_answer_try_get(g, &n));
	assert_int_equal(n, 42);
}

POOL_TEST(task_with_neither, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	SET(&runs, 0);
	FL_OK(task_nothing_submit(e, &f));
	FL_OK(task_nothing_get(f));
	FL_OK(task_nothing_submit_with(e, &g, NULL));
	FL_OK(task_nothing_get_until(g, FL_FOREVER, NULL));
	FL_OK(task_nothing_try_get(g));
	FL_OK(task_nothing_submit(e, NULL));
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&runs), 3);
}

POOL_TEST(task_with_pointers_static_and_more_fields, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	size_t length = 0;
	int n = 0;
	FL_OK(task_pointer_submit(e, "seven..", &f));
	FL_OK(task_pointer_get(f, &length));
	assert_int_equal(length, 7);
	FL_OK(task_static_submit(e, 5, &g));
	FL_OK(task_static_get(g, &n));
	assert_int_equal(n, -5);
	SET(&pairs_dropped, 0);
	FL_OK(fl_test_run_task(e, &task_with_more, &(struct pair){3, 4}, &n));
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&pairs_dropped), 1);
}

POOL_TEST(task_in_a_group, 1)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	long sum = 0;
	int n = 0;
	SET(&runs, 0);
	FL_OK(task_sum_group_submit(&g, (struct pair){2, 3}, &sum));
	FL_OK(task_note_group_submit(&g, (struct pair){0, 1}));
	FL_OK(task_answer_group_submit(&g, &n));
	FL_OK(task_nothing_group_submit(&g));
	FL_OK(task_answer_group_submit(&g, NULL)); /* its result is dropped */
	FL_OK(fl_group_join(&g));
	assert_int_equal(sum, 5);
	assert_int_equal(n, 42);
	assert_int_equal(LOOK(&runs), 2);
	FL_OK(task_sum_group_submit(&g, (struct pair){-1, 1}, &sum));
	FL_GROUP_FAILED(&g, -EDOM);
	assert_int_equal(sum, 5);
	fl_group_cancel(&g);
	FL_RC(task_sum_group_submit(&g, (struct pair){2, 3}, &sum), -ECANCELED);
	FL_OK(fl_group_join(&g));
}

/* The context. */

FL_TASK(task_looks_around, fl_time, int)
{
	FL_CHECK(!fl_task_is_cancelled(ctx));
	FL_CHECK(fl_task_token(ctx) == fl_cancel_scope_current());
	FL_CHECK(fl_cancel_token_deadline(fl_task_token(ctx)).ns == arg->ns);
	FL_CHECK(fl_cancel_token_deadline(NULL).ns == arg->ns);
	*result = fl_executor_current() != NULL;
	return 0;
}

POOL_TEST(task_token_is_the_scope_and_has_the_deadline, 1)
{
	FL_SCOPED(fl_executor) *s = sequential();
	FL_SCOPED(fl_cancel_token) mine = FL_CANCEL_TOKEN_INIT;
	FL_CANCEL_SCOPE(&mine);
	const fl_submit_config config = {.deadline = fl_after(FL_S(3600))};
	for (int i = 0; i < 4; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(task_looks_around_submit_with(i % 2 ? s : e, i < 2 ? config.deadline : FL_FOREVER, &f,
		                                    i < 2 ? &config : NULL));
		assert_int_equal(fl_test_result(f), 1);
	}
	/* Also after a task ran on this thread. */
	assert_ptr_equal(fl_cancel_scope_current(), &mine);
	assert_null(fl_executor_current());
}

/* Arguments are the bytes 1, 2, 3, ... */
static const fl_task_type *bytes_type;

static int bytes_run(fl_task_ctx *ctx, const void *arg, void *result)
{
	for (size_t i = 0; i < bytes_type->arg_size; i++)
		if (((const unsigned char *)arg)[i] != i + 1)
			return -EDOM;
	for (size_t i = 0; i < bytes_type->result_size; i++)
		if (((unsigned char *)result)[i] != 0)
			return -ERANGE;
	if (result)
		memset(result, 7, bytes_type->result_size);
	return (arg != NULL) == (bytes_type->arg_size > 0) ? 0 : -EINVAL;
}

static void submit_bytes(fl_executor *e, const fl_task_type *type)
{
	unsigned char result[64];
	/* AddressSanitizer sees the size */
	unsigned char *bytes = type->arg_size > 0 ? malloc(type->arg_size) : NULL;
	fl_future *f = NULL;
	assert_true(bytes || type->arg_size == 0);
	bytes_type = type;
	for (size_t i = 0; i < type->arg_size; i++)
		bytes[i] = (unsigned char)(i + 1);
	FL_OK(fl_executor_submit(e, type, bytes, &f));
	free(bytes);
	FL_OK(fl_future_get(f, result, type->result_size));
	for (size_t i = 0; i < type->result_size; i++)
		assert_int_equal(result[i], 7);
	fl_future_free(f);
}

FL_TEST(task_arguments_and_results_of_all_sizes)
{
	enum { ARGS = 41, ALIGNS = 3 };
	static const size_t results[] = {0, 1, 8, 15, 16, 17, 31, 32, 40}, aligns[ALIGNS] = {1, 8, FL_TASK_ALIGN_MAX};
	static fl_task_type types[ARGS][sizeof results / sizeof *results][ALIGNS]; /* outlive the worker's use */
	fl_executor *const executors[] = {sequential(), pool_with(1)};
	FL_EACH (e, executors) {
		FL_EACH (n, types)
			FL_EACH (r, results)
				FL_EACH (a, aligns) {
					types[n][r][a] = (fl_task_type){.size = sizeof(fl_task_type),
					                                .name = "bytes",
					                                .run = bytes_run,
					                                .arg_size = n,
					                                .arg_align = aligns[a],
					                                .result_size = results[r],
					                                .result_align = aligns[a]};
					submit_bytes(executors[e], &types[n][r][a]);
				}
		fl_executor_free(executors[e]);
	}
}

/* The registry. */

FL_TEST(task_find_knows_the_names)
{
	assert_ptr_equal(find("task_sum"), &task_sum);
	assert_ptr_equal(find("task_nothing"), &task_nothing);
	assert_ptr_equal(find(__FILE__ ":task_static"), &task_static);
	assert_null(find("task_static"));
	assert_null(find("task_su"));
	assert_null(find(""));
}

static int other_run(fl_task_ctx *ctx, const void *arg, void *result)
{
	return 0;
}

FL_TEST(task_register_and_unregister)
{
	const fl_task_type type = {.size = sizeof type, .name = "task by hand", .run = other_run};
	fl_task_entry entry = {&type, NULL}, again = {&type, NULL};
	assert_null(find("task by hand"));
	fl_task_register(&entry);
	assert_ptr_equal(find("task by hand"), &type);
	fl_task_register(&again); /* the same type under its name: no conflict */
	fl_task_unregister(&entry);
	assert_ptr_equal(find("task by hand"), &type);
	fl_task_unregister(&again);
	fl_task_unregister(&again); /* it is not there: nothing */
	assert_null(find("task by hand"));
	assert_ptr_equal(find("task_sum"), &task_sum);
}

/*
 * A name with different types stands for none of them. Executors run both: one_name_for_two_tasks.
 */
FL_TEST(task_of_an_ambiguous_name_is_not_found_by_it)
{
	const fl_task_type one = {.size = sizeof one, .name = "task twice", .run = other_run};
	const fl_task_type sum = {.size = sizeof sum, .name = "task_sum", .run = other_run};
	fl_task_entry a = {&one, NULL}, b = {&sum, NULL};
	fl_task_register(&a);
	fl_task_register(&b);
	const fl_task_type *found = NULL;
	FL_RC(fl__registry_find("task_sum", &found), -EEXIST);
	assert_ptr_equal(find("task twice"), &one);
	fl_task_unregister(&b);
	assert_ptr_equal(find("task_sum"), &task_sum);
	fl_task_unregister(&a);
	assert_null(find("task twice"));
	assert_ptr_equal(find("task_sum"), &task_sum);
}

FL_TEST(task_registry_needs_no_memory)
{
	enum { N = 300 };
	static fl_task_type types[N];
	static fl_task_entry entries[N];
	static char names[N][16];
	for (int i = 0; i < N; i++) {
		(void)snprintf(names[i], sizeof names[i], "task %d", i);
		types[i] = (fl_task_type){.size = sizeof types[i], .name = names[i], .run = other_run};
		entries[i] = (fl_task_entry){&types[i], NULL};
		fl_task_register(&entries[i]);
	}
	fl_executor *e = NULL;
	seam_fail_allocs(0, 1000);
	assert_ptr_equal(find("task 7"), &types[7]);
	FL_RC(fl_sequential_executor_create(&e, NULL), -ENOMEM);
	seam_fail_allocs(1, 1000);
	FL_RC(fl_sequential_executor_create(&e, NULL), -ENOMEM);
	seam_fail_allocs(2, 1000);
	FL_RC(fl_thread_executor_create(&e, NULL), -ENOMEM);
	assert_null(e);
	(void)seam_heal();
	FL_EACH (i, types)
		assert_ptr_equal(find(names[i]), &types[i]);
	FL_EACH (i, entries)
		fl_task_unregister(&entries[i]);
	assert_null(find("task 7"));
	assert_ptr_equal(find("task_sum"), &task_sum);
}
