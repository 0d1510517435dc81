/* SPDX-License-Identifier: BSD-2-Clause */
/* Context variables: values, tokens, values as an object; threads, forks, no memory. */
#include "fl_child.h"
#include "fl_context_vars.h"
#include "fl_faults.h"
#include "fl_queued.h"

static void in_thread(fl_thread_function *function, void *arg)
{
	fl_thread t;
	fl_test_go(&t, function, arg);
	fl_test_end(&t);
}

/* As a case of its own context, which ends with all of its values. */
#define IN_CONTEXT(name)                                                                                               \
	static int name##_body(void *unused);                                                                          \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		in_thread(name##_body, NULL);                                                                          \
		assert_int_equal(fl_test_values_alive(), 0);                                                           \
	}                                                                                                              \
	static int name##_body(__attribute__((unused)) void *unused)

IN_CONTEXT(context_var_has_its_default)
{
	static fl_context_var zero;
	FL_CHECK(fl_context_var_get(&fl_test_colour) == fl_test_white);
	FL_CHECK(fl_context_var_get(&zero) == NULL);
	FL_OK(fl_context_var_set(&fl_test_colour, NULL, NULL));
	FL_CHECK(fl_context_var_get(&fl_test_colour) == NULL); /* NULL is a value */
	return 0;
}

static void *get_only(void *unused)
{
	return fl_context_var_get(&fl_test_colour); /* its first call of the library */
}

FL_TEST(context_var_get_is_a_threads_first_call)
{
	pthread_t t;
	void *colour = NULL;
	FL_OK(pthread_create(&t, NULL, get_only, NULL));
	FL_OK(pthread_join(t, &colour));
	assert_ptr_equal(colour, fl_test_white);
}

IN_CONTEXT(context_var_set_and_reset)
{
	fl_context_token one = FL_CONTEXT_TOKEN_INIT, two = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(1, &one);
	FL_CHECK(fl_test_owned_number() == 1);
	fl_test_own_scoped(2, &two);
	FL_CHECK(fl_test_owned_number() == 2 && fl_test_values_alive() == 2);
	fl_context_var_reset(&two);
	FL_CHECK(fl_test_owned_number() == 1 && fl_test_values_alive() == 1);
	fl_context_var_reset(&one);
	FL_CHECK(fl_test_owned_number() == 0 && fl_test_values_alive() == 0);
	fl_test_own(3);
	fl_test_own(4); /* gives up 3 */
	FL_CHECK(fl_test_owned_number() == 4 && fl_test_values_alive() == 1);
	return 0;
}

IN_CONTEXT(context_var_tokens_in_any_order)
{
	enum { N = 3, ROUNDS = 20 };
	static const int orders[][N] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	fl_context_token tokens[N], colour = FL_CONTEXT_TOKEN_INIT;
	fl_test_own(7);
	for (int round = 0; round < ROUNDS; round++)
		for (int o = 0; o < 6; o++) {
			FL_OK(fl_context_var_set(&fl_test_colour, fl_test_red, &colour));
			for (int i = 0; i < N; i++) {
				tokens[i] = (fl_context_token)FL_CONTEXT_TOKEN_INIT;
				fl_test_own_scoped(10 + i, &tokens[i]);
			}
			fl_context_var_reset(&colour);
			FL_CHECK(fl_test_owned_number() == 12);
			for (int i = 0; i < N; i++) {
				const int t = orders[o][i];
				fl_context_var_reset(&tokens[t]);
				FL_CHECK(fl_test_owned_number() == (t == 0 ? 7 : 9 + t)); /* before that set */
			}
			FL_CHECK(fl_context_var_get(&fl_test_colour) == fl_test_white);
			fl_test_own(7); /* removes what the resets have left */
			FL_CHECK(fl_test_values_alive() == 1);
		}
	return 0;
}

/*
 * The last token decides: interleaved sets and resets of two variables leave no more than the
 * variables.
 */
FL_TEST(context_var_lists_stay_short)
{
	enum { ROUNDS = 100, MOST = 30 };
	uint32_t most = 0;
	FL_FAULTS();
	fl_test_count_allocs();
	for (int i = 0; i < ROUNDS; i++) {
		fl_context_token a = FL_CONTEXT_TOKEN_INIT, b = FL_CONTEXT_TOKEN_INIT;
		fl_test_own_scoped(i, &a);
		FL_OK(fl_context_var_set(&fl_test_colour, fl_test_red, &b));
		fl_context_var_reset(&a);
		fl_context_var_reset(&b);
		most = fl_test_live > most ? fl_test_live : most;
	}
	assert_int_equal(fl_test_owned_number(), 0);
	assert_true(most < MOST);
	fl__sys = fl_test_real_sys;
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(1, &token);
	fl_context_var_reset(&token);
	assert_int_equal(fl_test_values_alive(), 0);
}

static void scoped(void)
{
	FL_SCOPED(fl_context_token) token = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(5, &token);
	FL_CHECK(fl_test_owned_number() == 5);
}

IN_CONTEXT(context_var_scoped_token)
{
	scoped();
	FL_CHECK(fl_test_owned_number() == 0 && fl_test_values_alive() == 0);
	FL_SCOPED(fl_context_token) unused_token = FL_CONTEXT_TOKEN_INIT;
	return 0;
}

IN_CONTEXT(context_var_reset_twice)
{
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_context_var_reset(&token);
	fl_test_own_scoped(1, &token);
	fl_context_var_reset(&token);
	fl_test_own(2);
	fl_context_var_reset(&token);
	FL_CHECK(fl_test_owned_number() == 2);
	return 0;
}

static fl_context_token foreign_token;

static int set_foreign(void *unused)
{
	FL_OK(fl_context_var_set(&fl_test_colour, fl_test_red, &foreign_token));
	fl_context_token copy = foreign_token; /* only for the panic below */
	fl_context_var_reset(&copy);
	return 0;
}

FL_TEST(context_var_token_of_another_context_panics)
{
	in_thread(set_foreign, NULL);
	FL_PANICS(fl_context_var_reset(&foreign_token));
	assert_string_equal(fl_test_panic.function, "fl_context_var_reset");
	assert_ptr_equal(fl_context_var_get(&fl_test_colour), fl_test_white);
}

/* Each allocation of a set fails in turn. */
static uint32_t allocations_left;

static void *fail_later(size_t size)
{
	if (fl__load_relaxed(&allocations_left) == 0)
		return NULL;
	(void)fl__sub_acq_rel(&allocations_left, 1);
	return fl_test_real_sys.alloc(size);
}

static int try_set_without_memory(void *value, fl_context_token *token)
{
	FL_FAULTS();
	fl__sys.alloc = fail_later;
	return fl_context_var_set(&fl_test_owned, value, token);
}

static void without_memory(fl_context_token *token)
{
	void *value = fl_test_value(6);
	int rc = -ENOMEM;
	for (uint32_t n = 0; rc != 0; n++) {
		fl__store_relaxed(&allocations_left, n);
		rc = try_set_without_memory(value, token);
		FL_CHECK(rc == 0 || rc == -ENOMEM);
		FL_CHECK(rc == 0 ? fl_test_owned_number() == 6 : fl_test_owned_number() == 1);
		FL_CHECK(fl_context_var_get(&fl_test_colour) == fl_test_red && n < 10);
	}
}

FL_TEST(context_var_without_memory)
{
	fl_context_token token = FL_CONTEXT_TOKEN_INIT, one = FL_CONTEXT_TOKEN_INIT, red = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(1, &one);
	FL_OK(fl_context_var_set(&fl_test_colour, fl_test_red, &red)); /* before the entry of 1 */
	without_memory(&token);
	fl__store_relaxed(&allocations_left, 0);
	FL_FAULTS();
	fl__sys.alloc = fail_later;
	fl_context_var_reset(&token); /* never fails */
	FL_CHECK(fl_test_owned_number() == 1);
	fl__sys.alloc = fl_test_real_sys.alloc;
	without_memory(NULL);
	fl_context_var_reset(&red);
	fl_context_var_reset(&one);
	assert_int_equal(fl_test_values_alive(), 0);
	assert_ptr_equal(fl_context_var_get(&fl_test_colour), fl_test_white);
}

static void *foreign_without_memory(void *unused)
{
	FL_FAULTS();
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_context_var_set(&fl_test_colour, fl_test_red, NULL), -ENOMEM);
	FL_CHECK(fl_context_var_get(&fl_test_colour) == fl_test_white);
	return NULL;
}

static void *foreign_sets(void *unused)
{
	fl_test_own(1);
	fl_test_own(2);
	return NULL;
}

FL_TEST(context_var_of_a_thread_that_others_started)
{
	(void)fl_test_foreign(foreign_without_memory, NULL);
	(void)fl_test_foreign(foreign_sets, NULL);
	assert_int_equal(fl_test_values_alive(), 0);
}

IN_CONTEXT(context_var_in_threads)
{
	fl_test_seen seen = {.number = -1};
	fl_thread t;
	fl_test_own(1);
	fl_test_go(&t, fl_test_see, &seen);
	fl_test_own(2); /* not seen there, early or late */
	fl_test_end(&t);
	FL_CHECK(seen.number == 1 && seen.colour == fl_test_white);
	FL_CHECK(fl_test_owned_number() == 2 && fl_context_var_get(&fl_test_colour) == fl_test_white);
	FL_CHECK(fl_test_values_alive() == 1); /* 1 and 99 ended with the thread */
	return 0;
}

FL_TEST(context_var_of_a_thread_that_does_not_start)
{
	fl_thread t;
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_test_own_scoped(1, &token);
	{
		FL_FAULTS();
		fl__sys.thread_create = fl_test_no_threads;
		FL_RC(fl_thread_start(&t, fl_test_see, NULL, NULL), -EAGAIN);
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_thread_start(&t, fl_test_see, NULL, NULL), -ENOMEM);
	}
	fl_context_var_reset(&token);
	assert_int_equal(fl_test_values_alive(), 0);
}

/* The destructors of locals still have the values; `release` may set locals. */
static int destroyed_with;

static void get_in_destructor(void *unused)
{
	destroyed_with = fl_test_owned_number();
	fl_test_own(8);
}

static fl_local local = FL_LOCAL_INIT(get_in_destructor);
static fl_local set_by_release = FL_LOCAL_INIT(fl_test_value_release);

static void set_a_local(void *value)
{
	FL_OK(fl_local_set(&set_by_release, fl_test_value(9)));
	fl_test_value_release(value);
}

static int end_with_both(void *unused)
{
	static fl_context_var setter = FL_CONTEXT_VAR_INIT(NULL, set_a_local);
	fl_test_own(1);
	FL_OK(fl_context_var_set(&setter, fl_test_value(2), NULL));
	return fl_local_set(&local, &destroyed_with);
}

FL_TEST(context_var_ends_after_the_locals)
{
	destroyed_with = 0;
	in_thread(end_with_both, NULL);
	assert_int_equal(destroyed_with, 1);
	assert_int_equal(fl_test_values_alive(), 0);
}

static void in_child(void *unused)
{
	FL_CHECK(fl_test_owned_number() == 1);
	fl_test_seen seen = {.number = -1};
	FL_SCOPED(fl_context_values) values = FL_CONTEXT_VALUES_INIT;
	fl_context_values_copy(&values);
	FL_CHECK(fl_context_values_run(&values, fl_test_see, &seen) == 0 && seen.number == 1);
	fl_context_values_free(&values);
	fl_test_own(2);
	FL_CHECK(fl_test_values_alive() == 1);
}

IN_CONTEXT(context_var_in_a_forked_child)
{
	fl_test_own(1);
	FL_OK(fl_test_child(in_child, NULL, NULL, 0));
	FL_CHECK(fl_test_owned_number() == 1 && fl_test_values_alive() == 1);
	return 0;
}

/* Values as an object. */

IN_CONTEXT(context_values_empty)
{
	fl_context_values values = FL_CONTEXT_VALUES_INIT;
	fl_test_seen seen = {.number = -1};
	fl_test_own(1);
	FL_OK(fl_context_values_run(&values, fl_test_see, &seen));
	FL_CHECK(seen.number == 0 && seen.colour == fl_test_white && fl_test_owned_number() == 1);
	fl_context_values_free(&values);
	fl_context_values_free(&values);
	FL_CHECK(fl_test_values_alive() == 1);
	return 0;
}

static int run_elsewhere(void *values)
{
	fl_test_seen seen = {.number = -1};
	FL_OK(fl_context_values_run(values, fl_test_see, &seen));
	FL_CHECK(seen.number == 1 && fl_test_owned_number() == 2);
	return 0;
}

IN_CONTEXT(context_values_copy_and_run)
{
	fl_context_values values = FL_CONTEXT_VALUES_INIT;
	fl_test_own(1);
	fl_context_values_copy(&values);
	fl_context_values_copy(&values); /* again */
	fl_test_own(2);
	in_thread(run_elsewhere, &values);
	FL_CHECK(fl_test_owned_number() == 2 && fl_test_values_alive() == 2); /* 2, 99 */
	fl_context_values_free(&values);
	FL_CHECK(fl_test_values_alive() == 1);
	return 0;
}

IN_CONTEXT(context_values_keep_what_the_run_sets)
{
	FL_SCOPED(fl_context_values) values = FL_CONTEXT_VALUES_INIT;
	fl_test_seen seen = {.number = -1};
	FL_OK(fl_context_values_run(&values, fl_test_see, &seen));
	FL_OK(fl_context_values_run(&values, fl_test_see, &seen));
	FL_CHECK(seen.number == 99 && seen.colour == fl_test_blue && seen.calls == 2);
	FL_CHECK(fl_test_owned_number() == 0);
	return 0;
}

static int copy_within(void *copy)
{
	fl_context_values_copy(copy);
	fl_test_own(3);
	return 7;
}

IN_CONTEXT(context_values_copy_of_a_copy)
{
	FL_SCOPED(fl_context_values) values = FL_CONTEXT_VALUES_INIT, copy = FL_CONTEXT_VALUES_INIT;
	fl_test_seen seen = {.number = -1};
	fl_test_own(1);
	fl_context_values_copy(&values);
	fl_test_own(2);
	FL_CHECK(fl_context_values_run(&values, copy_within, &copy) == 7);
	FL_CHECK(fl_context_values_run(&copy, fl_test_see, &seen) == 0 && seen.number == 1);
	return 0;
}

static int enter_again(void *values)
{
	FL_PANICS(FL_IGNORE(fl_context_values_run(values, fl_test_see, NULL)));
	assert_string_equal(fl_test_panic.function, "fl_context_values_run");
	FL_PANICS(fl_context_values_copy(values));
	assert_string_equal(fl_test_panic.function, "fl_context_values_copy");
	FL_PANICS(fl_context_values_free(values));
	assert_string_equal(fl_test_panic.function, "fl_context_values_free");
	return 0;
}

FL_TEST(context_values_entered_twice_panics)
{
	fl_context_values values = FL_CONTEXT_VALUES_INIT;
	FL_OK(fl_context_values_run(&values, enter_again, &values));
}
