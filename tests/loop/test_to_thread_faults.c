/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions on threads of a loop: without memory, without threads, in forked children. */
#include "core/exec/registry.h"
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_in_loop.h"

#include <malloc.h>

/* Faults. */
static unsigned allocs_left;

static void *few_allocs(size_t size)
{
	return allocs_left > 0 ? allocs_left--, fl_test_real_sys.alloc(size) : NULL;
}

static long live; /* bytes that are allocated; atomic */

static void *count_alloc(size_t size)
{
	void *memory = fl_test_real_sys.alloc(size);
	fl__add_relaxed(&live, (long)malloc_usable_size(memory));
	return memory;
}

static void count_free(void *memory)
{
	fl__add_relaxed(&live, -(long)malloc_usable_size(memory));
	fl_test_real_sys.free(memory);
}

static int again_and_again(void *unused)
{
	int five = 5;
	long before = 0;
	for (int i = 0; i < 6000; i++) {
		if (i == 1000)
			before = fl__load_relaxed(&live);
		FL_OK(fl_blocking_call(fl_test_return_int, &five, NULL));
	}
	/*
	 * The context that ends a task may be late to free its memory, and each of up to 32 workers
	 * that start late takes 8 kilobytes; 5000 calls that never freed theirs would have taken a
	 * megabyte and more.
	 */
	FL_CHECK(fl__load_relaxed(&live) < before + 500000);
	return 0;
}

FL_TEST(to_thread_gives_its_memory_back)
{
	FL_FAULTS();
	fl__sys.alloc = count_alloc;
	fl__sys.free = count_free;
	fl_test_in_loop(again_and_again, NULL);
}

/* The faults of these cases end after the loop, whose threads read the table, too. */
static void body_with_faults(void (*body)(void))
{
	FL_FAULTS();
	fl_test_body_in_loop(body);
}

FL_TEST_WITH(to_thread_without_memory, body_with_faults, void)
{
	int five = 5, result = 77, rc = -ENOMEM;
	unsigned failed = 0;
	fl__sys.alloc = few_allocs;
	for (unsigned n = 0; rc != 0; n++) { /* one allocation more succeeds each time */
		FL_CHECK(result == 77 && n < 50);
		allocs_left = n;
		rc = fl_blocking_call(fl_test_return_int, &five, &result);
		FL_OK_OR(rc, -ENOMEM);
		failed += rc != 0;
	}
	FL_CHECK(failed > 2 && result == 5);
	/* fl_blocking_call(): -ENOMEM */
}

FL_TEST_WITH(to_thread_without_threads, body_with_faults, void)
{
	int five = 5, result = 77;
	fl__sys.thread_create = fl_test_no_threads;
	FL_CHECK(fl_blocking_call(fl_test_return_int, &five, &result) == -EAGAIN && result == 77);
	fl__sys.thread_create = fl_test_real_sys.thread_create;
	/* It is not broken by that. */
	FL_CHECK(fl_blocking_call(fl_test_return_int, &five, &result) == 0 && result == 5);
}

static int run_nothing(fl_task_ctx *ctx, const void *arg, void *result)
{
	return 0;
}

static int run_another(fl_task_ctx *ctx, const void *arg, void *result)
{
	return 1;
}

FL_LOOP_TEST(to_thread_with_two_tasks_of_one_name)
{
	static const fl_task_type types[2] = {
	    {.size = sizeof(fl_task_type), .name = "to_thread_twin", .run = run_nothing},
	    {.size = sizeof(fl_task_type), .name = "to_thread_twin", .run = run_another}};
	static fl_task_entry entries[2] = {{.type = &types[0]}, {.type = &types[1]}};
	int five = 5, result = 77;
	fl_task_register(&entries[0]);
	fl_task_register(&entries[1]);
	const fl_task_type *found = NULL;
	FL_CHECK(fl__registry_find("to_thread_twin", &found) == -EEXIST);
	FL_CHECK(fl_blocking_call(fl_test_return_int, &five, &result) == 0 && result == 5);
	fl_task_unregister(&entries[1]);
	fl_task_unregister(&entries[0]);
}

static int go_once(void *unused)
{
	int five = 5, result = 77;
	FL_CHECK(fl_blocking_call(fl_test_return_int, &five, &result) == 0 && result == 5);
	fl_test_threads_rest();
	return 0;
}

/* The threads stay with their loop from one run to the next. */
FL_TEST(to_thread_loop_that_runs_again)
{
	size_t before = fl_thread_enumerate(NULL, NULL);
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_run_on(l, go_once, NULL));
	assert_int_equal(fl_thread_enumerate(NULL, NULL), before + 1);
	FL_OK(fl_loop_run_on(l, go_once, NULL));
	assert_int_equal(fl_thread_enumerate(NULL, NULL), before + 1);
	fl_loop_free(l);
	assert_int_equal(fl_thread_enumerate(NULL, NULL), before);
}
