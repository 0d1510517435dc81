/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which forks thieves may take: the oldest is public, a push makes the next one public when that
 * was taken, and a thread that is about to sleep takes private ones. One thread plays both workers.
 */
#include "fl_faults.h"

#include "core/fork_join/fork_join.h"

enum { LEVELS = 4 };

static struct {
	struct fl__forks forks;
	struct fl__fork_stack *thief;
	int taken[LEVELS], n_taken;
} stacks;

static void wake_nobody(void *unused)
{
}

static int note_level(void *level)
{
	stacks.taken[stacks.n_taken++] = *(int *)level;
	return 0;
}

static int level_numbers[LEVELS] = {0, 1, 2, 3};

static bool thief_steals(void)
{
	return fl__forks_run_one(&stacks.forks, stacks.thief);
}

static bool thief_is_about_to_sleep(void)
{
	return fl__forks_prepare_sleep(&stacks.forks, stacks.thief);
}

static int at_level_4(void *unused)
{
	/* fl__fork_push_public() has offered fork 1, when fork 3 was pushed */
	assert_true(thief_steals());
	assert_false(thief_steals());
	assert_true(thief_is_about_to_sleep());
	assert_true(thief_is_about_to_sleep());
	assert_false(thief_is_about_to_sleep());
	return 0;
}

static int at_level_3(void *unused)
{
	assert_true(thief_steals());
	assert_false(thief_steals());
	return fl_parallel_invoke(at_level_4, NULL, note_level, &level_numbers[3]);
}

static int at_level_2(void *unused)
{
	return fl_parallel_invoke(at_level_3, NULL, note_level, &level_numbers[2]);
}

static int at_level_1(void *unused)
{
	return fl_parallel_invoke(at_level_2, NULL, note_level, &level_numbers[1]);
}

FL_TEST(forks_are_offered_from_the_oldest_on)
{
	fl__forks_init(&stacks.forks, 2, wake_nobody, NULL);
	stacks.forks.used = 1;
	stacks.thief = fl__forks_enter(&stacks.forks, NULL);
	struct fl__fork_stack *owner = fl__forks_enter(&stacks.forks, NULL); /* this thread forks as this worker */
	assert_true(stacks.thief && owner);
	FL_OK(fl_parallel_invoke(at_level_1, NULL, note_level, &level_numbers[0]));
	assert_memory_equal(stacks.taken, level_numbers, sizeof level_numbers);
	assert_int_equal(fl__forks_stolen(&stacks.forks), LEVELS);
	fl__forks_leave(owner);
	fl__forks_fini(&stacks.forks);
}

/* A thief that leaves a fork behind wakes another worker, since the forker may not push again. */

static unsigned wakes;

static void count_wake(void *unused)
{
	wakes++;
}

static int with_two_forks(void *unused)
{
	const unsigned before = wakes;
	assert_true(thief_steals());
	assert_int_equal(wakes, before + 1);
	assert_true(thief_is_about_to_sleep());
	assert_int_equal(wakes, before + 1); /* no fork is left */
	assert_int_equal(stacks.forks.flags.sleepers, 1);
	return 0;
}

static int with_one_fork(void *unused)
{
	return fl_parallel_invoke(with_two_forks, NULL, note_level, &level_numbers[1]);
}

FL_TEST(forks_that_a_thief_leaves_wake_another_worker)
{
	fl__forks_init(&stacks.forks, 3, count_wake, NULL);
	stacks.forks.used = 1;
	stacks.n_taken = 0;
	stacks.thief = fl__forks_enter(&stacks.forks, NULL);
	struct fl__fork_stack *owner = fl__forks_enter(&stacks.forks, NULL);
	assert_true(stacks.thief && owner);
	FL_OK(fl_parallel_invoke(with_one_fork, NULL, note_level, &level_numbers[0]));
	assert_int_equal(fl__forks_stolen(&stacks.forks), 2);
	fl__forks_leave(owner);
	fl__forks_fini(&stacks.forks);
}

/* A worker's search for the stack that it had before once walked through the stacks of all workers. */
FL_TEST(forks_of_a_worker_that_begins_again_use_its_stack)
{
	enum { WORKERS = 3 };
	struct fl__forks forks;
	struct fl__fork_stack *stack[WORKERS];
	FL_FAULTS();
	fl_test_count_allocs();
	fl__forks_init(&forks, WORKERS, wake_nobody, NULL);
	for (int round = 0; round < 2; round++) {
		FL_EACH (i, stack) {
			struct fl__fork_stack *left = round == 0 ? NULL : stack[i];
			stack[i] = fl__forks_enter(&forks, left);
			assert_true(stack[i] && (!left || stack[i] == left));
			fl__forks_leave(stack[i]);
		}
		assert_int_equal(fl_test_live, WORKERS);
	}
	fl__forks_fini(&forks);
	assert_int_equal(fl_test_live, 0);
}
