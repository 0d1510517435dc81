/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_queued.h"

static char destroyed[64]; /* by the threads of one case, which end one after another */

static void note(char letter)
{
	size_t n = strlen(destroyed);
	FL_CHECK(n + 1 < sizeof destroyed);
	destroyed[n] = letter;
	destroyed[n + 1] = '\0';
}

static void note_value(void *value)
{
	note(*(char *)value);
}

static void begin_notes(void)
{
	memset(destroyed, 0, sizeof destroyed);
}

static fl_local plain;
static char a_value[] = "a", b_value[] = "b", c_value[] = "c";

static int own_value(void *unused)
{
	FL_CHECK(fl_local_get(&plain) == NULL);
	FL_OK(fl_local_set(&plain, b_value));
	FL_CHECK(fl_local_get(&plain) == b_value);
	return 0;
}

FL_TEST(local_is_each_contexts_own)
{
	fl_local never = FL_LOCAL_INIT(NULL);
	assert_null(fl_local_get(&never));
	FL_OK(fl_local_set(&plain, a_value));
	fl_test_on_thread(own_value, NULL);
	assert_ptr_equal(fl_local_get(&plain), a_value);
	FL_OK(fl_local_set(&plain, c_value));
	assert_ptr_equal(fl_local_get(&plain), c_value);
	FL_OK(fl_local_set(&plain, NULL));
	assert_null(fl_local_get(&plain));
	fl_test_on_thread(own_value, NULL);
}

static int null_on_a_fresh_context(void *unused)
{
	static fl_local fresh;
	FL_OK(fl_local_set(&fresh, NULL));
	FL_CHECK(fl_local_get(&fresh) == NULL);
	FL_OK(fl_local_set(&fresh, a_value));
	FL_CHECK(fl_local_get(&fresh) == a_value);
	return 0;
}

FL_TEST(local_set_to_null_first)
{
	fl_test_on_thread(null_on_a_fresh_context, NULL);
}

enum { MANY = 100 };
static fl_local many[MANY];

static int set_many(void *unused)
{
	static char cells[MANY];
	for (int i = MANY - 1; i >= 0; i--)
		FL_OK(fl_local_set(&many[i], &cells[i]));
	FL_EACH (i, many)
		FL_CHECK(fl_local_get(&many[i]) == &cells[i]);
	return 0;
}

FL_TEST(local_tables_grow)
{
	fl_test_on_thread(set_many, NULL);
	fl_test_on_thread(set_many, NULL);
}

static fl_local first = FL_LOCAL_INIT(note_value), second = FL_LOCAL_INIT(note_value);
static fl_local third = FL_LOCAL_INIT(note_value);

static int set_in_order(void *unused)
{
	FL_OK(fl_local_set(&first, a_value));
	FL_OK(fl_local_set(&second, b_value));
	FL_OK(fl_local_set(&third, c_value));
	return 0;
}

static int set_backwards(void *unused)
{
	FL_OK(fl_local_set(&third, c_value));
	FL_OK(fl_local_set(&second, b_value));
	FL_OK(fl_local_set(&second, NULL));
	FL_OK(fl_local_set(&first, a_value));
	return 0;
}

FL_TEST(local_destructors_run_in_the_order_of_the_first_set)
{
	begin_notes();
	fl_test_on_thread(set_in_order, NULL);
	assert_string_equal(destroyed, "abc");
	begin_notes();
	fl_test_on_thread(set_backwards, NULL);
	assert_string_equal(destroyed, "ac"); /* nothing for NULL */
}

static int set_again(void *unused)
{
	FL_OK(fl_local_set(&first, a_value));
	FL_OK(fl_local_set(&first, b_value));
	return 0;
}

FL_TEST(local_set_does_not_destroy_the_one_before)
{
	begin_notes();
	fl_test_on_thread(set_again, NULL);
	assert_string_equal(destroyed, "b");
}

/* A destructor that sets values again: more rounds, at most four. */
static void note_and_set_again(void *left);
static fl_local stubborn = FL_LOCAL_INIT(note_and_set_again), meek = FL_LOCAL_INIT(note_value);

static void note_and_set_again(void *left)
{
	int *rounds = left;
	note((char)('0' + *rounds));
	FL_CHECK(fl_local_get(&stubborn) == NULL);
	FL_OK(fl_local_set(&meek, c_value));
	if (--*rounds > 0)
		FL_OK(fl_local_set(&stubborn, rounds));
}

static int be_stubborn(void *rounds)
{
	FL_OK(fl_local_set(&meek, a_value));
	FL_OK(fl_local_set(&meek, NULL));
	FL_OK(fl_local_set(&stubborn, rounds));
	return 0;
}

FL_TEST(local_destructors_run_again_at_most_four_rounds)
{
	int rounds = 2;
	begin_notes();
	fl_test_on_thread(be_stubborn, &rounds);
	assert_string_equal(destroyed, "2c1c");
	begin_notes();
	rounds = 9;
	fl_test_on_thread(be_stubborn, &rounds);
	assert_int_equal(rounds, 5); /* four rounds, then it is left alone */
	assert_null(strchr(destroyed, '5'));
}

/* Destructors may use the library: they run on the context that ends. */
static uint64_t destroyer;

static void use_the_library(void *mutex)
{
	FL_LOCKED(mutex);
	destroyer = fl_thread_current_id();
	FL_OK(fl_sleep(FL_US(10)));
}

static fl_local busy = FL_LOCAL_INIT(use_the_library);

static int leave_mutex(void *mutex)
{
	return fl_local_set(&busy, mutex);
}

FL_TEST(local_destructors_run_on_their_context)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_thread *t;
	destroyer = 0;
	fl_test_go(&t, leave_mutex, &m);
	uint64_t id = fl_thread_id(t);
	fl_test_end(t);
	assert_true(destroyer == id && id != 0);
	assert_false(fl_mutex_is_locked(&m));
}

static void *foreign_sets(void *unused)
{
	(void)set_in_order(unused);
	return NULL;
}

FL_TEST(local_of_a_thread_that_others_started)
{
	begin_notes();
	for (int i = 0; i < 2; i++) {
		(void)fl_test_foreign(foreign_sets, NULL);
	}
	assert_string_equal(destroyed, "abcabc");
}

/* Whatever a context allocated for its locals goes with it. */
FL_TEST(local_tables_are_freed)
{
	FL_FAULTS();
	fl_test_count_allocs();
	fl_test_on_thread(set_many, NULL);
	(void)fl_test_foreign(foreign_sets, NULL);
	assert_int_equal(fl__load_relaxed(&fl_test_live), 0);
}

static void exhaust(void *arg)
{
	enum { ALL = 1024 };
	static fl_local locals[ALL + 1];
	int i = 0, rc = 0;
	while (i <= ALL && (rc = fl_local_set(&locals[i], arg)) == 0)
		i++;
	FL_CHECK(rc == -ENOSPC);
	FL_CHECK(i <= ALL && i > ALL - 256); /* what the other cases have left */
	FL_CHECK(fl_local_get(&locals[i]) == NULL);
	FL_RC(fl_local_set(&locals[i], NULL), -ENOSPC);
	for (int j = 0; j < i; j++)
		FL_CHECK(fl_local_get(&locals[j]) == arg);
	FL_OK(fl_local_set(&locals[i - 1], NULL));
}

/* In a child: its locals end with it. */
FL_TEST(local_there_are_1024)
{
	FL_IN_CHILD(exhaust, a_value);
	FL_OK(fl_local_set(&plain, a_value));
	FL_OK(fl_local_set(&plain, NULL));
}
