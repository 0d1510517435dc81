/* SPDX-License-Identifier: BSD-2-Clause */
/* Task groups: many children, and what fails for lack of memory. */
#include "fl_children.h"
#include "fl_faults.h"

enum { MANY = 10000 };

static int counts(void *ended)
{
	fl_fiber_yield();
	++*(unsigned *)ended;
	return 0;
}

static int many_ends(void *unused)
{
	const unsigned many = fl_test_scaled(MANY);
	fl_tasks g = FL_TASKS_INIT;
	unsigned ended = 0;
	(void)unused;
	for (unsigned i = 0; i < many; i++)
		FL_CHECK(fl_tasks_start(&g, counts, &ended) == 0);
	FL_CHECK(fl_tasks_count(&g) == many);
	FL_CHECK(fl_tasks_join(&g) == 0 && ended == many);
	return 0;
}

FL_TEST(tasks_many_that_end)
{
	fl_test_in_loop(many_ends, NULL);
}

static int many_cancelled(void *unused)
{
	const unsigned many = fl_test_scaled(MANY);
	fl_tasks g = FL_TASKS_INIT;
	(void)unused;
	for (int failing = 0; failing < 2; failing++) {
		int ends = 0;
		for (unsigned i = 0; i < many; i++)
			FL_CHECK(fl_tasks_start(&g, until_cancelled, &ends) == 0);
		fl_test_settle();
		if (failing)
			FL_CHECK(fl_tasks_start(&g, returns, RC(-EIO)) == 0);
		else
			fl_tasks_cancel(&g);
		FL_CHECK(fl_tasks_join(&g) == (failing ? -EIO : 0) && (unsigned)ends == many);
	}
	return 0;
}

FL_TEST(tasks_many_that_are_cancelled)
{
	fl_test_in_loop(many_cancelled, NULL);
}

/* One after the other: a child frees itself. */
static int many_in_turn(void *unused)
{
	const unsigned many = fl_test_scaled(MANY);
	fl_tasks g = FL_TASKS_INIT;
	unsigned ended = 0;
	(void)unused;
	for (unsigned i = 0; i < many; i++) {
		FL_CHECK(fl_tasks_start(&g, counts, &ended) == 0);
		while (fl_tasks_count(&g) > 0)
			fl_fiber_yield();
	}
	FL_CHECK(fl_tasks_join(&g) == 0 && ended == many);
	return 0;
}

FL_TEST(tasks_many_in_turn)
{
	fl_test_in_loop(many_in_turn, NULL);
}

/* Memory for so many stacks more. */
static int stacks_left;

static int guards_some(void *memory, size_t size)
{
	return stacks_left-- > 0 ? fl_test_real_sys.guard(memory, size) : -ENOMEM;
}

static int start_fails(void *unused)
{
	fl_tasks g = FL_TASKS_INIT;
	(void)unused;
	FL_FAULTS();
	fl__sys.guard = guards_some;
	stacks_left = 0;
	FL_CHECK(fl_tasks_start(&g, returns, NULL) == -ENOMEM);
	FL_CHECK(fl_tasks_count(&g) == 0);
	for (int k = 1; k < 40; k++) {
		/* what was used before can be used again: so the failure comes with one that is new */
		int ends = 0, started = 0, rc;
		stacks_left = 1;
		while ((rc = fl_tasks_start(&g, until_cancelled, &ends)) == 0)
			started++;
		FL_CHECK(rc == -ENOMEM && started == k && fl_tasks_count(&g) == (size_t)k);
		FL_CHECK(fl_tasks_start_with(&g, until_cancelled, &ends, NULL) == -ENOMEM);
		fl_tasks_cancel(&g);
		FL_CHECK(fl_tasks_join(&g) == 0 && ends == k);
	}
	return 0;
}

FL_TEST(tasks_start_without_memory)
{
	fl_test_in_loop(start_fails, NULL);
}

/* The first start of a group fails: there is nothing to be joined, and the scope can be destroyed. */
static int leaves_no_token(void *unused)
{
	fl_cancel_token scope;
	(void)unused;
	FL_FAULTS();
	fl_cancel_token_init(&scope, NULL, FL_FOREVER);
	{
		FL_CANCEL_SCOPE(&scope);
		fl_tasks g = FL_TASKS_INIT;
		fl__sys.guard = guards_some;
		stacks_left = 0;
		FL_CHECK(fl_tasks_start(&g, returns, NULL) == -ENOMEM);
		fl_cancel_token_request(&scope);
		FL_CHECK(fl_tasks_start(&g, returns, NULL) == -ECANCELED);
	}
	fl_cancel_token_destroy(&scope); /* would panic if it had a child */
	return 0;
}

FL_TEST(tasks_start_that_fails_leaves_nothing_behind)
{
	fl_test_in_loop(leaves_no_token, NULL);
}
