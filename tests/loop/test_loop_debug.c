/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reports on a loop: the fiber that has held it up, and the tree of its fibers.
 */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_in_loop.h"

static fl_mutex lock;
static char said[4096]; /* guarded */
static int lines;       /* guarded */

FL_TEST_LOG_HANDLER(hear)
{
	FL_LOCKED(&lock);
	FL_CHECK(level == FL_LOG_WARNING);
	(void)strncat(said, message, sizeof said - strlen(said) - 1);
	lines++;
}

static bool heard(const char *text)
{
	FL_LOCKED(&lock);
	return strstr(said, text) != NULL;
}

static int heard_lines(void)
{
	FL_LOCKED(&lock);
	return lines;
}

static void listen_to_log(void)
{
	said[0] = '\0';
	lines = 0;
	(void)fl_log_set_handler(hear);
}

static int hold_up(void *ns)
{
	const fl_time end = fl_after(*(int64_t *)ns);
	while (!fl_time_is_past(end))
		;
	return 0;
}

static fl_event held_up;

static void hold_up_in_callback(void *ns)
{
	(void)hold_up(ns);
	fl_event_set(&held_up);
}

static int start_named(const char *name, fl_fiber_function *function, void *arg)
{
	fl_fiber *f;
	FL_OK(fl_fiber_start(&f, function, arg, &(fl_fiber_config){.name = name}));
	return fl_fiber_join(f, NULL);
}

static int slow_ones(void *unused)
{
	int64_t ns = FL_MS(20);
	FL_OK(fl_loop_debug(fl_loop_current(), &(fl_loop_debug_config){.slow = FL_MS(10)}));
	FL_OK(start_named("dawdler", hold_up, &ns));
	FL_CHECK(heard("fiber dawdler kept the thread for "));
	fl_loop_timer timer = {0};
	fl_loop_timer_start(fl_loop_current(), &timer, FL_NO_WAIT, hold_up_in_callback, &ns);
	FL_OK(fl_event_wait(&held_up));
	FL_CHECK(heard("its callbacks kept the thread for "));
	FL_OK(fl_loop_debug(fl_loop_current(), NULL));
	FL_OK(start_named("unseen", hold_up, &ns));
	FL_CHECK(!heard("unseen"));
	return 0;
}

FL_TEST(loop_debug_names_the_slow_fiber)
{
	listen_to_log();
	FL_OK(fl_loop_run(slow_ones, NULL));
	(void)fl_log_set_handler(NULL);
}

/* The time in which a loop waits for events does not count for any fiber. */
static int quick_ones(void *unused)
{
	FL_OK(fl_loop_debug(fl_loop_current(), &(fl_loop_debug_config){.slow = FL_S(30)}));
	for (int i = 0; i < 10; i++)
		FL_OK(fl_sleep(FL_MS(1)));
	return 0;
}

FL_TEST(loop_debug_is_silent_about_the_rest)
{
	listen_to_log();
	FL_OK(fl_loop_run(quick_ones, NULL));
	assert_int_equal(heard_lines(), 0);
	(void)fl_log_set_handler(NULL);
}

FL_LOOP_TEST(loop_debug_refuses)
{
	fl_loop *l = fl_loop_current();
	const fl_loop_debug_config good = {.slow = FL_S(30)};
	FL_RC(fl_loop_debug(l, &(fl_loop_debug_config){.slow = -1}), -EINVAL);
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_loop_debug(l, &good), -ENOMEM);
	}
	FL_OK(fl_loop_debug(l, &good));
	FL_OK(fl_loop_debug(l, &good)); /* again */
}

static int wait_for(void *event)
{
	volatile int rc = fl_event_wait(event); /* a call that this function's frame is there for */
	return rc;
}

static int parent(void *event)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(NULL);
	FL_OK(fl_group_start_with(&g, wait_for, event, &(fl_fiber_config){.name = "child"}));
	FL_OK(fl_group_start_with(&g, wait_for, event, &(fl_fiber_config){.name = "other"}));
	FL_OK(fl_event_wait(event)); /* here: without inlining, a join has more frames than a dump shows */
	volatile int rc = fl_group_join(&g);
	return rc;
}

/* The depth of the line that begins with `name`, by its indent; -1: there is none. */
static int depth_of(const char *text, const char *name)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const int depth = (int)strspn(line, " ");
		if (strncmp(line + depth, name, strlen(name)) == 0)
			return depth;
	}
	return -1;
}

static char dumped[1 << 16];

static void dump(void *unused)
{
	FILE *out = fmemopen(dumped, sizeof dumped, "w");
	FL_CHECK(out != NULL);
	fl_loop_dump(fl_loop_current(), out);
	(void)fclose(out);
}

/* A list. */
static void dump_without_memory(void)
{
	FL_FAULTS();
	fl__sys.alloc = fl_test_no_memory;
	dump(NULL);
}

static int dump_tree(void *unused)
{
	fl_event event = FL_EVENT_INIT;
	fl_fiber *f, *fresh;
	FL_OK(fl_fiber_start(&f, parent, &event, &(fl_fiber_config){.name = "parent"}));
	fl_fiber_yield();
	fl_fiber_yield();
	FL_OK(fl_fiber_start(&fresh, wait_for, &event, &(fl_fiber_config){.name = "fresh"}));
	for (int way = 0; way < 3; way++) {
		if (way == 0)
			dump(NULL);
		else if (way == 1)
			FL_OK(fl_loop_post(fl_loop_current(), dump, NULL));
		else
			dump_without_memory();
		FL_OK(fl_sleep(0));
		FL_OK(fl_sleep(0));
		FL_CHECK(depth_of(dumped, "main") == 2);
		FL_CHECK(depth_of(dumped, "parent") == (way < 2 ? 4 : 2));
		FL_CHECK(depth_of(dumped, "child") == (way < 2 ? 6 : 2) &&
		         depth_of(dumped, "other") == (way < 2 ? 6 : 2));
		FL_CHECK(strstr(dumped, "wait_for+0x") &&
		         strstr(dumped, "parent+0x")); /* on their stacks; names take no memory */
		if (way == 0)
			FL_CHECK(strstr(dumped, "runs\n") && strstr(dumped, "has not begun\n") &&
			         strstr(dumped, "waits\n"));
	}
	fl_event_set(&event);
	FL_OK(fl_fiber_join(f, NULL));
	return fl_fiber_join(fresh, NULL);
}

/* And they go on as if nothing had been. */
FL_TEST(loop_dump_is_a_tree)
{
	FL_OK(fl_loop_run(dump_tree, NULL));
	fl_test_contains(dumped, "event loop ");
}

/* Each has started the next: what prints them needs no more of its stack for many than for few. */
static int start_next(void *left)
{
	static fl_event all_are_there;
	const int n = *(int *)left;
	fl_fiber *f = NULL;
	if (n > 0) {
		*(int *)left = n - 1;
		FL_OK(fl_fiber_start(&f, start_next, left, NULL));
	} else {
		dump(NULL); /* as much of it as there is room for */
		fl_event_set(&all_are_there);
	}
	FL_OK(fl_event_wait(&all_are_there));
	return f ? fl_fiber_join(f, NULL) : 0;
}

FL_TEST(loop_dump_of_a_long_line)
{
	FL_OK(fl_loop_run(start_next, &(int){(int)fl_test_scaled(3000)}));
	assert_int_equal(depth_of(dumped, "main"), 2);
}

FL_LOOP_TEST(loop_debug_of_the_longest_time)
{
	FL_OK(fl_loop_debug(fl_loop_current(), &(fl_loop_debug_config){.slow = FL_DURATION_MAX}));
}
